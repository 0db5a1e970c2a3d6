/**
 * Gradient flossing before a task (Engelken 2023, arXiv:2312.17306): does an RNN learn to repeat bits after a longer delay when its leading Lyapunov
 * exponents were pushed to 0 first, from a random and from an orthogonal W_hh?
 */
import { setImmediate } from 'node:timers/promises';
import { Linear } from '../../layers/linear';
import { RNN } from '../../layers/rnn';
import { Sequential } from '../../layers/sequential';
import { crossEntropyLoss } from '../../losses/cross-entropy';
import { Adam } from '../../optimizers/adam';
import type { Progress } from '../../progress';
import { Generator } from '../../random';
import { flossing } from '../../stability/flossing';
import { lyapunovSpectrum } from '../../stability/lyapunov';
import type { StateDict } from '../../state-dict';
import { Tensor } from '../../tensor';
import { fit } from '../../training/fit';
import { meanOfDraws } from '../draws';
import { measuring } from '../measuring';
import { environment } from '../run';
import type { FlossingDesign, FlossingResults, FlossingSetUp } from './set-up';

export const flossingDesigns: readonly FlossingDesign[] = (['random', 'orthogonal'] as const).flatMap((start) =>
  [false, true].map((flossed) => ({ start, flossed })),
);

/** Measures all of a set-up. An aborted signal does not throw: the results then hold what had finished, and say so. */
export async function runFlossing(setUp: FlossingSetUp, seed: number, progress: Progress, signal?: AbortSignal): Promise<FlossingResults> {
  const results: FlossingResults = {
    schema: 'evenkeel/flossing',
    schemaVersion: 1,
    interrupted: false,
    date: new Date().toISOString(),
    seconds: 0,
    seed,
    environment: environment(),
    ...setUp,
    exponents: [],
    runs: [],
  };
  return await measuring(results, signal, () => measureAll(results, progress, signal));
}

async function measureAll(results: FlossingResults, progress: Progress, signal?: AbortSignal): Promise<void> {
  const generator = new Generator(results.seed);
  const seeds = Array.from({ length: results.draws }, () => generator.nextUint32());
  const starts: StateDict[][] = [];
  progress.begin('Flossing: before the task', flossingDesigns.length);
  for (const design of flossingDesigns) {
    starts.push(await startsOf(design, results, seeds, signal));
    progress.advance(starts.length);
  }
  progress.end(`largest exponents ${results.exponents.map(({ largest }) => largest.mean.toFixed(3)).join(', ')}`);
  for (const delay of results.delays) {
    progress.begin(`Flossing: a delay of ${delay}`, flossingDesigns.length * seeds.length);
    for (const [index, design] of flossingDesigns.entries()) {
      await learnDelay(
        results,
        design,
        delay,
        starts[index] as StateDict[],
        seeds,
        (draw) => progress.advance(index * seeds.length + draw),
        signal,
      );
    }
    const last = results.runs.slice(-flossingDesigns.length);
    progress.end(`accuracies ${last.map(({ accuracy }) => accuracy.mean.toFixed(3)).join(', ')}`);
  }
}

/** The weights of each draw, and what their exponents are. */
async function startsOf(
  design: FlossingDesign,
  results: FlossingResults,
  seeds: readonly number[],
  signal?: AbortSignal,
): Promise<StateDict[]> {
  const spectra: Float64Array[] = [];
  const states: StateDict[] = [];
  for (const seed of seeds) {
    await setImmediate();
    signal?.throwIfAborted();
    const generator = new Generator(seed);
    const model = makeModel(design, results, generator);
    if (design.flossed) floss(model.rnn, results, generator);
    const { data, shape } = randomBits(4, 500, generator);
    spectra.push(lyapunovSpectrum(model.rnn, new Tensor(data, shape), { count: results.flossing.count }).exponents);
    states.push(copyOf(model.whole.stateDict()));
  }
  results.exponents.push({
    ...design,
    largest: meanOfDraws(spectra.map((exponents) => exponents[0] as number)),
    last: meanOfDraws(spectra.map((exponents) => exponents.at(-1) as number)),
  });
  return states;
}

function copyOf(state: StateDict): StateDict {
  return Object.fromEntries(Object.entries(state).map(([name, { data, shape }]) => [name, new Tensor(data.slice(), shape)]));
}

/** 1/H is the variance of W_hh's entries either way: uniform ones, in ±1/√H, are stretched by √3. */
function makeModel({ start }: FlossingDesign, { hiddenSize }: FlossingSetUp, generator: Generator) {
  const recurrentInitializer = start === 'random' ? 'uniform' : 'orthogonal';
  const rnn = new RNN({ inputSize: 1, hiddenSize, recurrentInitializer, generator });
  if (start === 'random') {
    const { data } = (rnn.parameters().find(({ name }) => name === 'weight_hh_l0') as { value: Tensor }).value;
    for (let i = 0; i < data.length; i++) data[i] = Math.sqrt(3) * (data[i] as number);
  }
  return { rnn, whole: new Sequential({ rnn, head: new Linear({ inputSize: hiddenSize, outputSize: 2, generator }) }) };
}

function floss(rnn: RNN, { flossing: { steps, timeSteps, count }, learningRate }: FlossingSetUp, generator: Generator): void {
  const optimizer = new Adam(rnn.parameters(), { learningRate });
  for (let step = 0; step < steps; step++) {
    optimizer.zeroGrad();
    flossing(rnn, randomBits(1, timeSteps, generator), { count });
    optimizer.step();
  }
}

async function learnDelay(
  results: FlossingResults,
  design: FlossingDesign,
  delay: number,
  starts: readonly StateDict[],
  seeds: readonly number[],
  advance: (draws: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { batchSize, trainingSteps, learningRate, maxNorm, testSequences, solvedAt, bits } = results;
  const accuracies: number[] = [];
  const learnedAt: (number | null)[] = [];
  for (const [draw, seed] of seeds.entries()) {
    signal?.throwIfAborted();
    const { whole } = makeModel(design, results, new Generator(seed));
    whole.loadStateDict(starts[draw] as StateDict);
    // The same bits for every design.
    const generator = new Generator((seed ^ delay) >>> 0);
    const history = await fit(whole, batchesOf({ batchSize, delay, bits, batches: trainingSteps }, generator), {
      loss: (output, target: Int32Array) => crossEntropyLoss(output, target, { ignoreIndex: NOTHING }),
      optimizer: new Adam(whole.parameters(), { learningRate }),
      clip: { maxNorm },
      signal,
    });
    const first = history.loss.findIndex((loss) => loss < Math.LN2 / 4);
    learnedAt.push(first < 0 ? null : first + 1);
    const test = delayedBits(testSequences, delay, bits, generator);
    accuracies.push(accuracyOf(whole.predict(test.input), test.target));
    advance(draw + 1);
  }
  const solved = accuracies.filter((accuracy) => accuracy >= solvedAt).length;
  results.runs.push({ ...design, delay, accuracies, accuracy: meanOfDraws(accuracies), solved, learnedAt });
}

/** The target of a step of which nothing is asked. */
const NOTHING = -1;

function* batchesOf(sizes: { batchSize: number; delay: number; bits: number; batches: number }, generator: Generator) {
  for (let i = 0; i < sizes.batches; i++) yield delayedBits(sizes.batchSize, sizes.delay, sizes.bits, generator);
}

/** Random bits, ±1, and at each step the one of `delay` steps before as a class; there are `bits` of these. */
function delayedBits(n: number, delay: number, bits: number, generator: Generator): { input: Tensor; target: Int32Array } {
  const steps = delay + bits;
  const input = randomBits(n, steps, generator);
  const target = Int32Array.from({ length: n * steps }, (_, at) =>
    at % steps < delay ? NOTHING : Number((input.data[at - delay] as number) > 0),
  );
  return { input, target };
}

function randomBits(n: number, steps: number, generator: Generator): Tensor {
  return new Tensor(
    Float32Array.from({ length: n * steps }, () => (generator.nextUint32() & 1) * 2 - 1),
    [n, steps, 1],
  );
}

function accuracyOf({ data }: Tensor, target: Int32Array): number {
  const asked = [...target.keys()].filter((at) => target[at] !== NOTHING);
  return asked.filter((at) => Number((data[2 * at + 1] as number) > (data[2 * at] as number)) === target[at]).length / asked.length;
}
