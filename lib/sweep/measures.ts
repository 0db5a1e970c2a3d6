/** What a trial measures: one run of it from the seed to the numbers. */
import { EvenkeelError } from '../errors';
import type { Sequential } from '../layers/sequential';
import { checkMemory } from '../memory';
import { Adam } from '../optimizers/adam';
import { Generator } from '../random';
import { runtimeInfo } from '../runtime';
import type { Verdict } from '../stability/flow';
import { gradientFlow } from '../stability/gradient-flow';
import { lyapunovExponents } from '../stability/lyapunov';
import { fit } from '../training/fit';
import type { Batch } from '../training/options';
import { leastBytes } from './cost';
import { collectGarbage, peakMemory, resetPeakMemory } from './peak-memory';
import { setUpTask, type TaskSetUp } from './tasks';
import type { Trial } from './trial';
import { buildModel, clipOf, type TrialModel } from './trial-model';

/**
 * What depends on the trial alone: the same, bit for bit, wherever and with however many threads it runs on one kind of CPU. Null where
 * there is no such number.
 */
export interface Measures {
  /**
   * How the gradient flows back through time before training, with the loss on the last step of a batch of the task: see gradientFlow. All are
   * null for fewer than three steps and where the states leave the range of numbers. Growth of ln‖∂L/∂h_t‖ per step back in time; null,
   * with a verdict of `'vanishing'`, where the gradient is zero before there is a rate.
   */
  growthRate: number | null;
  growthRateError: number | null;
  verdict: Verdict | null;
  /** steps back in time after which the gradient leaves the range of float32; null where the rate cannot be told from 0 */
  horizon: number | null;
  /**
   * The largest Lyapunov exponent of the recurrent layer under the same batch, per time step: see lyapunovExponents. Null where there is none that is
   * finite.
   */
  lyapunovLeader: number | null;
  /** 2-norm of all gradients before clipping: of the first step, the largest, of the last step */
  gradNormFirst: number | null;
  gradNormMax: number | null;
  gradNormLast: number | null;
  lossFirst: number | null;
  lossLast: number | null;
  lossMin: number | null;
  /** in how many steps the clip acted */
  clippedSteps: number;
  /** the training step, from 1, whose loss or gradient was not finite: training ended there; null when it never happened */
  divergedAt: number | null;
  /** the largest magnitude in the states of the recurrent layer at the ends of the sequences, in all steps of training: see `largestState` of fit's history */
  largestState: number | null;
  /**
   * The training step, from 1, after which the states had grown so far that they overflow if they go on: see `onWarning` of fit. Neither the loss nor the
   * gradients need show it. Null when it never happened.
   */
  statesGrewAt: number | null;
}

/** In the order of tables. */
export const measureNames = [
  'growthRate',
  'growthRateError',
  'verdict',
  'horizon',
  'lyapunovLeader',
  'gradNormFirst',
  'gradNormMax',
  'gradNormLast',
  'lossFirst',
  'lossLast',
  'lossMin',
  'clippedSteps',
  'divergedAt',
  'largestState',
  'statesGrewAt',
] as const satisfies readonly (keyof Measures)[];

/** What decides the last bits of a result, beside the trial. */
export interface CpuKind {
  /** the processor's name */
  cpu: string;
  /** the vector instruction set in use */
  simdTarget: string;
  /** the BLAS library, its version and kernel */
  blas: string;
}

/** What the same trial costs, which differs from run to run. */
export interface Cost {
  /** the whole trial */
  seconds: number;
  /** training steps per second of training; null without training steps */
  stepsPerSecond: number | null;
  /** the most resident memory of the process during the trial, what Node needs for itself included */
  peakMemoryBytes: number;
}

/** What a trial gives. */
export interface TrialResult {
  measures: Measures;
  cost: Cost;
  cpuKind: CpuKind;
}

/**
 * Runs one trial.
 * @param file where the CSV file of its task lies
 * @throws EvenkeelError what the layers and the task throw; a loss or gradient that is not finite is a result, not an error
 */
export async function runTrial(trial: Trial, file?: string): Promise<TrialResult> {
  // At once, and not when its data fill the memory.
  checkMemory('the trial', leastBytes(trial), 'Make its length or its sizes smaller.');
  resetPeakMemory();
  const begin = performance.now();
  // Streams of their own: the weights do not depend on how much data the task draws.
  const seeds = new Generator(trial.seed);
  const weights = new Generator(seeds.nextUint32());
  const task = await setUpTask(trial, new Generator(seeds.nextUint32()), file);
  const built = buildModel(trial, task, weights);
  const flow = measureFlow(trial, task, built);
  // Else its states would count beside those of training.
  collectGarbage();
  const trainingBegin = performance.now();
  const measures = { ...flow, ...(await train(trial, task, built.model)) };
  const end = performance.now();
  const steps = measures.divergedAt ?? trial.steps;
  const { cpu, simdTarget, blas } = runtimeInfo();
  return {
    measures,
    cost: {
      seconds: (end - begin) / 1000,
      stepsPerSecond: steps === 0 ? null : (1000 * steps) / (end - trainingBegin),
      peakMemoryBytes: peakMemory(),
    },
    cpuKind: { cpu, simdTarget, blas },
  };
}

type FlowMeasures = Pick<Measures, 'growthRate' | 'growthRateError' | 'verdict' | 'horizon' | 'lyapunovLeader'>;

/** Steps from which a growth rate has an error. */
const shortestFlow = 3;

function measureFlow({ length }: Trial, task: TaskSetUp, { model, rnn, before }: TrialModel): FlowMeasures {
  const [{ input }] = [...task.batches(1)] as [Batch<unknown>];
  const reaching = before === undefined ? input : before.forward(input);
  const [leader] = unlessNonFinite(() => lyapunovExponents(rnn, reaching, { count: 1 })) ?? [];
  const flow = length < shortestFlow ? undefined : unlessNonFinite(() => gradientFlow(model, input).layers[0]);
  return {
    growthRate: orNull(flow?.growthRate),
    growthRateError: orNull(flow?.growthRateError),
    verdict: flow?.verdict ?? null,
    horizon: orNull(flow?.horizon),
    lyapunovLeader: orNull(leader),
  };
}

/** As JSON has it. */
function orNull(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function unlessNonFinite<T>(compute: () => T): T | undefined {
  try {
    return compute();
  } catch (error) {
    if (!isNonFinite(error)) throw error;
    return undefined;
  }
}

function isNonFinite(error: unknown): boolean {
  return error instanceof EvenkeelError && error.code === 'ERR_NON_FINITE';
}

async function train(trial: Trial, task: TaskSetUp, model: Sequential): Promise<Omit<Measures, keyof FlowMeasures>> {
  const losses: number[] = [];
  const norms: number[] = [];
  let clippedSteps = 0;
  const states: number[] = [];
  let divergedAt: number | null = null;
  let statesGrewAt: number | null = null;
  try {
    if (trial.steps > 0)
      await fit(model, task.batches(trial.steps), {
        loss: task.loss,
        optimizer: new Adam(model.parameters(), { learningRate: trial.learningRate }),
        clip: clipOf(trial.clip),
        onWarning({ step }) {
          statesGrewAt = step;
        },
        onStep({ loss, gradNorm, clipped, largestState }) {
          losses.push(loss);
          norms.push(gradNorm);
          states.push(largestState);
          if (clipped) clippedSteps++;
        },
      });
  } catch (error) {
    if (!isNonFinite(error)) throw error;
    divergedAt = losses.length + 1;
  }
  return {
    gradNormFirst: norms[0] ?? null,
    gradNormMax: largest(norms),
    gradNormLast: norms.at(-1) ?? null,
    lossFirst: losses[0] ?? null,
    lossLast: losses.at(-1) ?? null,
    lossMin: losses.length === 0 ? null : losses.reduce((a, b) => Math.min(a, b)),
    clippedSteps,
    divergedAt,
    largestState: orNull(largest(states) ?? undefined),
    statesGrewAt,
  };
}

/** Not Math.max of all, which are more than a call takes. */
function largest(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => Math.max(a, b));
}
