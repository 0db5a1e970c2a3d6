/**
 * What clipping costs and what it saves: two designs, one in which gradients explode and the text's own, trained with and without a clip by
 * several optimisers on noise and on a target that can be learnt.
 */
import { AutoClip } from '../clipping/auto-clip';
import { ZClip } from '../clipping/zclip';
import { EvenkeelError } from '../errors';
import { LastStep } from '../layers/last-step';
import type { Layer } from '../layers/layer';
import { Linear } from '../layers/linear';
import { Sequential } from '../layers/sequential';
import { mseLoss } from '../losses/mse';
import { Adam } from '../optimizers/adam';
import type { Optimizer } from '../optimizers/optimizer';
import { SGD } from '../optimizers/sgd';
import type { Parameter } from '../parameter';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { Tensor } from '../tensor';
import type { Clip } from '../training/clip-rule';
import { fit } from '../training/fit';
import type { Batch } from '../training/options';
import { meanOfDraws } from './draws';
import { placedLayers } from './placements';
import type { ClipTrial, ClipTrialsPart } from './results';

export const clipTrialsSetUp = {
  sequences: 16,
  timeSteps: 100,
  inputSize: 10,
  hiddenSize: 20,
  trainingSteps: 100,
  dtype: 'float64',
} as const satisfies Partial<ClipTrialsPart>;

/** The designs, in the order of tables. Those of `quick` are trained in a quick study too. */
export const trialDesigns = [
  {
    name: 'exploding',
    quick: true,
    title: 'LayerNorm on the state, W_hh orthogonal ×1.5',
    placement: 'hidden',
    start: { name: 'orthogonal', gain: 1.5 },
  },
  {
    name: 'as-in-the-text',
    quick: false,
    title: 'LayerNorm after the RNN, as in Examples 1 and 3',
    placement: 'output',
    start: { name: 'uniform' },
  },
] as const;

type Make = (parameters: Parameter[]) => Optimizer;

/** The optimisers, in the order of tables. Those of `quick` are tried in a quick study too. */
export const trialOptimizers: readonly { name: string; quick: boolean; make: Make }[] = [
  { name: 'SGD 0.1', quick: true, make: (p) => new SGD(p, { learningRate: 0.1 }) },
  { name: 'SGD 0.01', quick: false, make: (p) => new SGD(p, { learningRate: 0.01 }) },
  { name: 'momentum 0.9, 0.01', quick: true, make: (p) => new SGD(p, { learningRate: 0.01, momentum: 0.9 }) },
  { name: 'Adam 0.001', quick: true, make: (p) => new Adam(p, { learningRate: 1e-3 }) },
  { name: 'Adam 0.01', quick: false, make: (p) => new Adam(p, { learningRate: 1e-2 }) },
];

/** The rules, in the order of tables. AutoClip and ZClip have their papers' settings. */
export const trialRules: readonly { name: string; quick: boolean; make(): Clip | undefined }[] = [
  { name: 'no clip', quick: true, make: () => undefined },
  { name: 'norm 0.1', quick: false, make: () => ({ maxNorm: 0.1 }) },
  { name: 'norm 1', quick: true, make: () => ({ maxNorm: 1 }) },
  { name: 'norm 10', quick: false, make: () => ({ maxNorm: 10 }) },
  { name: 'AutoClip', quick: false, make: () => new AutoClip() },
  { name: 'ZClip', quick: false, make: () => new ZClip() },
];

/** Noise is the same batch again and again, as in the text; what can be learnt comes with new data at each step. */
export const trialTargets = ['noise', 'learnable'] as const;

type Design = (typeof trialDesigns)[number];

/** Trains every combination from the same weights on the same data in each draw, and adds each to `part.trials` when its draws are done. */
export async function runClipTrials(part: ClipTrialsPart, seed: number, progress: Progress, signal?: AbortSignal): Promise<void> {
  const isTried = ({ quick }: { quick: boolean }) => quick || part.plan === 'full';
  const [designs, optimizers, rules] = [trialDesigns.filter(isTried), trialOptimizers.filter(isTried), trialRules.filter(isTried)];
  for (const design of designs) {
    progress.begin(`Clipping: ${design.title}`, trialTargets.length * optimizers.length * rules.length);
    const before = part.trials.length;
    for (const target of trialTargets) {
      for (const optimizer of optimizers) {
        for (const rule of rules) {
          const runs: Run[] = [];
          for (let draw = 0; draw < part.draws; draw++) {
            runs.push(await train(part, { design, target, make: optimizer.make, clip: rule.make() }, 1000 * (seed + 1) + draw, signal));
          }
          part.trials.push(trialOf({ design: design.name, target, optimizer: optimizer.name, rule: rule.name }, runs));
          progress.advance(part.trials.length - before);
        }
      }
    }
    const lost = part.trials.slice(before).reduce((sum, { diverged }) => sum + diverged, 0);
    progress.end(`${lost} of ${(part.trials.length - before) * part.draws} trainings end worse than they began`);
  }
}

/** What one training comes to. */
interface Run {
  first: number;
  /** mean of the last ten losses; infinite where the training left the range of numbers */
  last: number;
  firstNorm: number;
  largestNorm: number;
  clippedSteps: number;
}

interface Training {
  design: Design;
  target: (typeof trialTargets)[number];
  make: Make;
  clip: Clip | undefined;
}

async function train(part: ClipTrialsPart, { design, target, make, clip }: Training, seed: number, signal?: AbortSignal): Promise<Run> {
  const { trainingSteps } = part;
  const generator = new Generator(seed);
  const model = new Sequential(layersOf(part, design, target, generator));
  const losses: number[] = [];
  const norms: number[] = [];
  let clippedSteps = 0;
  try {
    await fit(model, batchesOf(part, target, generator), {
      loss: mseLoss,
      optimizer: make(model.parameters()),
      clip,
      signal,
      onStep: ({ loss, gradNorm, clipped }) => {
        losses.push(loss);
        norms.push(gradNorm);
        if (clipped) clippedSteps++;
      },
    });
  } catch (error) {
    if (!(error instanceof EvenkeelError) || error.code !== 'ERR_NON_FINITE') throw error;
  }
  const last = losses.slice(-lastSteps);
  return {
    first: losses[0] ?? Number.NaN,
    last: losses.length < trainingSteps ? Number.POSITIVE_INFINITY : last.reduce((sum, value) => sum + value, 0) / last.length,
    firstNorm: norms[0] ?? Number.NaN,
    largestNorm: Math.max(...norms),
    clippedSteps,
  };
}

/** How many losses make up the last one, of a training whose loss jumps. */
const lastSteps = 10;

/** On noise the state itself is compared, as in the text; a target that can be learnt has one column, which a Linear layer gives. */
function layersOf(
  { inputSize, hiddenSize, dtype }: ClipTrialsPart,
  design: Design,
  target: string,
  generator: Generator,
): Record<string, Layer> {
  const layers = placedLayers(design.placement, { inputSize, hiddenSize, dtype, recurrentInitializer: design.start, generator });
  if (target === 'noise') return { ...layers, last: new LastStep() };
  return { ...layers, last: new LastStep(), head: new Linear({ inputSize: hiddenSize, outputSize: 1, dtype, generator }) };
}

function* batchesOf(part: ClipTrialsPart, target: string, generator: Generator): Iterable<Batch> {
  const { sequences, timeSteps, inputSize, hiddenSize, trainingSteps, dtype } = part;
  const drawInput = () => Tensor.randn([sequences, timeSteps, inputSize], { generator, dtype });
  const noise = { input: drawInput(), target: Tensor.randn([sequences, hiddenSize], { generator, dtype }) };
  for (let step = 0; step < trainingSteps; step++) {
    if (target === 'noise') {
      yield noise;
      continue;
    }
    const input = drawInput();
    yield { input, target: sumOfLastInput(input) };
  }
}

/** The sum of the last step's inputs, over √I: of variance 1, which is the loss of those who say 0. */
function sumOfLastInput({ data, shape }: Tensor): Tensor {
  const [n, t, width] = shape as [number, number, number];
  const target = Tensor.zeros([n, 1], { dtype: 'float64' });
  for (let row = 0; row < n; row++) {
    const from = (row * t + t - 1) * width;
    for (let i = from; i < from + width; i++) target.data[row] = (target.data[row] as number) + (data[i] as number) / Math.sqrt(width);
  }
  return target;
}

function trialOf(names: Pick<ClipTrial, 'design' | 'target' | 'optimizer' | 'rule'>, runs: readonly Run[]): ClipTrial {
  const logs = (key: 'first' | 'last' | 'firstNorm' | 'largestNorm') => meanOfDraws(runs.map((run) => Math.log(run[key])));
  return {
    ...names,
    lnFirst: logs('first'),
    lnLast: logs('last'),
    lnFirstNorm: logs('firstNorm'),
    lnLargestNorm: logs('largestNorm'),
    lasts: runs.map(({ last }) => last),
    diverged: runs.filter(({ first, last }) => !(last <= first)).length,
    clippedShare: runs.reduce((sum, { clippedSteps }) => sum + clippedSteps, 0) / (runs.length * clipTrialsSetUp.trainingSteps),
  };
}
