/** What a sweep will cost, from a short measurement of shortened trials on this machine. */
import { usableCores } from '../cgroup';
import { fitsInMemory } from '../memory';
import { getNumThreads, setNumThreads } from '../runtime';
import { estimateBytes, leastBytes, rowOperations } from './cost';
import type { CheckedDefinition } from './definition';
import { trialsOf } from './grid';
import { runTrial } from './measures';
import { canonicalJson, type Trial } from './trial';

/** An estimate; times are those of one thread per trial. */
export interface SweepEstimate {
  trials: number;
  /** how many run at once */
  workers: number;
  /** of one trial */
  seconds: { least: number; most: number };
  totalSeconds: number;
  /** from begin to end with all workers */
  wallSeconds: number;
  /** of one trial, its process included */
  bytes: { least: number; most: number };
  /** of the largest trials, as many as run at once */
  totalBytes: number;
  /** how many trials cannot run here, since memory does not hold even their data and weights */
  tooLarge: number;
}

/** Kinds of trials that are measured; the others count as the one next to them in size. */
const maxSamples = 12;
/** Operations of one shortened training step, about: some milliseconds. */
const sampleOperations = 1e8;
const sampleSteps = 3;

/** Estimates a whole sweep; takes a second or two. */
export async function estimateSweep({ grid, files }: CheckedDefinition, workers = usableCores()): Promise<SweepEstimate> {
  const kinds = new Map<string, Trial>();
  for (const trial of trialsOf(grid)) {
    const key = kindOf(trial);
    if (!kinds.has(key)) kinds.set(key, trial);
  }
  const rates = await measureRates([...kinds.values()], files);
  const seconds: number[] = [];
  const bytes: number[] = [];
  let tooLarge = 0;
  for (const trial of trialsOf(grid)) {
    seconds.push(secondsOf(trial, rates));
    bytes.push(estimateBytes(trial));
    if (!fitsInMemory(leastBytes(trial))) tooLarge++;
  }
  seconds.sort((a, b) => a - b);
  bytes.sort((a, b) => a - b);
  const atOnce = Math.min(workers, seconds.length);
  const totalSeconds = sum(seconds);
  return {
    trials: seconds.length,
    workers: atOnce,
    seconds: { least: seconds[0] ?? 0, most: seconds.at(-1) ?? 0 },
    totalSeconds,
    wallSeconds: Math.max(seconds.at(-1) ?? 0, totalSeconds / atOnce),
    bytes: { least: bytes[0] ?? 0, most: bytes.at(-1) ?? 0 },
    totalBytes: sum(bytes.slice(-atOnce)),
    tooLarge,
  };
}

/** Seconds per time step of all sequences. */
interface Rate {
  kind: string;
  operations: number;
  /** of one training step */
  training: number;
  /** of everything else that a trial does */
  rest: number;
}

/** What decides how fast a time step is: all but length, start values, clip and seed. */
function kindOf({ task, batchSize, inputSize, hiddenSize, cell, nonlinearity, placement, kind, dtype }: Trial): string {
  return canonicalJson({ task, batchSize, inputSize, hiddenSize, cell, nonlinearity, placement, kind, dtype });
}

async function measureRates(kinds: Trial[], files: ReadonlyMap<string, string>): Promise<Rate[]> {
  const bySize = kinds.toSorted((a, b) => rowOperations(a) - rowOperations(b));
  const stride = Math.max(1, bySize.length / maxSamples);
  const samples = Array.from({ length: Math.min(maxSamples, bySize.length) }, (_, i) => bySize[Math.floor(i * stride)] as Trial);
  const threads = getNumThreads();
  try {
    setNumThreads(1);
    const rates: Rate[] = [];
    for (const trial of samples) rates.push(await measureRate(trial, files));
    return rates;
  } finally {
    setNumThreads(threads);
  }
}

async function measureRate(trial: Trial, files: ReadonlyMap<string, string>): Promise<Rate> {
  const operations = rowOperations(trial) * trial.batchSize;
  const length = Math.min(trial.length, Math.max(8, Math.floor(sampleOperations / operations)));
  const file = trial.task.name === 'csv' ? files.get(trial.task.sha256) : undefined;
  const seconds = async (steps: number) => (await runTrial({ ...trial, length, steps }, file)).cost.seconds / length;
  // The first run warms up.
  await seconds(1);
  const rest = await seconds(0);
  const training = Math.max(0, (await seconds(sampleSteps)) - rest) / sampleSteps;
  return { kind: kindOf(trial), operations, training, rest };
}

function secondsOf(trial: Trial, rates: readonly Rate[]): number {
  const operations = rowOperations(trial) * trial.batchSize;
  const kind = kindOf(trial);
  const distance = (rate: Rate) => (rate.kind === kind ? -1 : Math.abs(Math.log(rate.operations / operations)));
  const nearest = rates.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  return (trial.length * operations * (nearest.rest + trial.steps * nearest.training)) / nearest.operations;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
