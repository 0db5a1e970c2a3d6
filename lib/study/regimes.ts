/** The text's Example 1 beside others of its kind: in which settings do its gradients grow, or its states? */
import { EvenkeelError } from '../errors';
import type { Layer } from '../layers/layer';
import { LayerNorm } from '../layers/layer-norm';
import type { Nonlinearity } from '../layers/rnn';
import { RNN } from '../layers/rnn';
import { Sequential } from '../layers/sequential';
import { mseLoss } from '../losses/mse';
import { Adam } from '../optimizers/adam';
import type { Optimizer } from '../optimizers/optimizer';
import { SGD } from '../optimizers/sgd';
import type { Parameter } from '../parameter';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { Tensor } from '../tensor';
import { fit } from '../training/fit';
import { meanOfDraws } from './draws';
import type { RegimeRun, RegimesPart } from './results';
import { countRises, gradientTrend, trendSteps } from './verdicts';

export interface Regime {
  name: string;
  /** what is other than in the text, in words */
  title: string;
  nonlinearity?: Nonlinearity;
  timeSteps?: number;
  trainingSteps?: number;
  inputScale?: number;
  weightScale?: number;
  /** gain of an orthogonal W_hh */
  orthogonal?: number;
  optimizer?: (parameters: Parameter[]) => Optimizer;
  /** in a quick study too */
  quick?: true;
}

const adam = (learningRate: number) => (parameters: Parameter[]) => new Adam(parameters, { learningRate });
const sgd = (learningRate: number) => (parameters: Parameter[]) => new SGD(parameters, { learningRate });

/** In the order of tables; the first is the text's own. */
export const regimes: readonly Regime[] = [
  { name: 'text', title: 'as in the text', quick: true },
  { name: 'adam-0.1', title: 'Adam at 0.1', optimizer: adam(0.1) },
  { name: 'adam-1', title: 'Adam at 1.0', optimizer: adam(1), quick: true },
  { name: 'sgd-0.1', title: 'SGD at 0.1', optimizer: sgd(0.1) },
  { name: 'sgd-10', title: 'SGD at 10', optimizer: sgd(10), quick: true },
  { name: 'small', title: 'inputs × 0.01, weights × 0.1', inputScale: 0.01, weightScale: 0.1, quick: true },
  { name: 'small-weights', title: 'weights × 0.001', weightScale: 0.001 },
  { name: 'relu', title: 'relu', nonlinearity: 'relu' },
  { name: 'relu-orthogonal', title: 'relu, W_hh orthogonal ×1.5', nonlinearity: 'relu', orthogonal: 1.5, quick: true },
  {
    name: 'relu-long',
    title: 'relu, T = 200, Adam at 0.01',
    nonlinearity: 'relu',
    timeSteps: 200,
    trainingSteps: 150,
    optimizer: adam(0.01),
    quick: true,
  },
];

export const regimeSystems = ['none', 'before', 'after'] as const;

export const regimesSetUp = {
  sequences: 32,
  timeSteps: 50,
  inputSize: 10,
  hiddenSize: 20,
  trainingSteps: 100,
  learningRate: 1e-3,
  dtype: 'float32',
} as const;

/** Trains the three systems of each regime from the same weights on the same data in each draw. */
export async function runRegimes(part: RegimesPart, seed: number, progress: Progress, signal?: AbortSignal): Promise<void> {
  const chosen = regimes.filter(({ quick }) => quick || part.plan === 'full');
  for (const regime of chosen) {
    progress.begin(`Example 1, ${regime.title}`, regimeSystems.length * part.draws);
    const runs: RegimeRun[] = [];
    for (const system of regimeSystems) {
      const draws: Course[] = [];
      for (let draw = 0; draw < part.draws; draw++) {
        draws.push(await train(part, regime, system, 1000 * (seed + 1) + draw, signal));
        progress.advance(runs.length * part.draws + draws.length);
      }
      runs.push(runOf(regime, system, draws));
    }
    // Together: LayerNorm after the RNN is judged beside the others.
    part.runs.push(...runs);
    const after = runs.at(-1) as RegimeRun;
    progress.end(
      `the norm rises to ${Math.exp(after.lnPeak.mean).toPrecision(3)} times its first value, not finite in ${after.notFinite} of ${part.draws}`,
    );
  }
}

/** What one training did, step by step. */
interface Course {
  norms: number[];
  /** the largest |h_T| */
  states: number[];
  /** whether it ended with a loss, gradient or weight that is not finite */
  broke: boolean;
}

async function train(part: RegimesPart, regime: Regime, system: RegimeRun['system'], seed: number, signal?: AbortSignal): Promise<Course> {
  const { sequences, inputSize, hiddenSize, dtype } = part;
  const { timeSteps = part.timeSteps, trainingSteps = part.trainingSteps, inputScale = 1, optimizer = adam(part.learningRate) } = regime;
  const generator = new Generator(seed);
  const input = Tensor.randn([sequences, timeSteps, inputSize], { generator, dtype });
  const target = Tensor.randn([sequences, timeSteps, hiddenSize], { generator, dtype });
  scale(input, inputScale);
  const rnn = makeRnn(part, regime, generator);
  const model = new Sequential(layersAround(rnn, system, part));
  const course: Course = { norms: [], states: [], broke: false };
  try {
    await fit(model, [{ input, target }], {
      loss: mseLoss,
      optimizer: optimizer(model.parameters()),
      epochs: trainingSteps,
      signal,
      onStep: ({ gradNorm, largestState }) => {
        course.norms.push(gradNorm);
        course.states.push(largestState);
      },
      // Growing states are what is looked for.
      onWarning: () => {},
    });
  } catch (error) {
    if (!(error instanceof EvenkeelError) || error.code !== 'ERR_NON_FINITE') throw error;
    course.broke = true;
  }
  return course;
}

function makeRnn({ inputSize, hiddenSize, dtype }: RegimesPart, regime: Regime, generator: Generator): RNN {
  const { nonlinearity = 'tanh', orthogonal, weightScale = 1 } = regime;
  const recurrentInitializer = orthogonal === undefined ? 'uniform' : ({ name: 'orthogonal', gain: orthogonal } as const);
  const rnn = new RNN({ inputSize, hiddenSize, nonlinearity, dtype, recurrentInitializer, generator });
  for (const { value } of rnn.parameters()) scale(value, weightScale);
  return rnn;
}

function layersAround(rnn: RNN, system: RegimeRun['system'], { inputSize, hiddenSize, dtype }: RegimesPart): Record<string, Layer> {
  if (system === 'before') return { ln: new LayerNorm({ size: inputSize, dtype }), rnn };
  return system === 'after' ? { rnn, ln: new LayerNorm({ size: hiddenSize, dtype }) } : { rnn };
}

function scale({ data }: Tensor, factor: number): void {
  for (let i = 0; i < data.length; i++) data[i] = factor * (data[i] as number);
}

function runOf({ name, trainingSteps }: Regime, system: RegimeRun['system'], courses: readonly Course[]): RegimeRun {
  const first = (norms: readonly number[]) => Math.log(norms[0] as number);
  return {
    regime: name,
    system,
    trainingSteps: trainingSteps ?? regimesSetUp.trainingSteps,
    lnFirst: meanOfDraws(courses.map(({ norms }) => first(norms))),
    lnPeak: meanOfDraws(courses.map(({ norms }) => Math.log(Math.max(...norms)) - first(norms))),
    lnRatio: meanOfDraws(courses.map(({ norms }) => Math.log(gradientTrend(norms, trendSteps).ratio))),
    rising: meanOfDraws(courses.map(({ norms }) => countRises(norms) / (norms.length - 1))),
    largestNorms: courses.map(({ norms }) => Math.max(...norms)),
    largestStates: courses.map(({ states }) => Math.max(...states)),
    notFinite: courses.filter(({ broke }) => broke).length,
    lastNormsBeforeNotFinite: courses.filter(({ broke }) => broke).map(({ norms }) => norms.at(-1) as number),
  };
}
