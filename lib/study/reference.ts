/** The reference set-up: the examined text's own sizes, data and training, for every system. */
import { Sequential } from '../layers/sequential';
import { mseLoss } from '../losses/mse';
import { Adam } from '../optimizers/adam';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { formatNumber } from '../report/text';
import { Tensor } from '../tensor';
import { fit } from '../training/fit';
import type { StudyCell } from './placements';
import type { ReferencePart, ReferenceRun, StudyOptions } from './results';
import { type StudySystem, systems } from './systems';
import { countTrue, gradientTrend, trendSteps } from './verdicts';

export const referenceSetUp: Omit<ReferencePart, 'systems'> = {
  sequences: 32,
  timeSteps: 50,
  inputSize: 10,
  hiddenSize: 20,
  learningRate: 1e-3,
  trainingSteps: 100,
  dtype: 'float32',
};

/** Trains the four systems from the same weights on the same data, and adds each to `finished` when it is done. */
export async function runReference(
  { seed, cell }: Pick<StudyOptions, 'seed' | 'cell'>,
  finished: ReferenceRun[],
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const { sequences, timeSteps, inputSize, hiddenSize, dtype, trainingSteps } = referenceSetUp;
  const generator = new Generator(seed);
  const batch = {
    input: Tensor.randn([sequences, timeSteps, inputSize], { generator, dtype }),
    target: Tensor.randn([sequences, timeSteps, hiddenSize], { generator, dtype }),
  };
  // Weights draw from a stream of their own, begun anew for each system.
  const weightSeed = generator.nextUint32();
  for (const system of systems) {
    progress.begin(`Reference set-up: ${system.title}`, trainingSteps);
    const run = await train({ system, cell }, weightSeed, batch, progress, signal);
    finished.push(run);
    progress.end(
      `gradient norm ${formatNumber(run.gradNorm[0] ?? Number.NaN)} -> ${formatNumber(run.gradNorm.at(-1) ?? Number.NaN)}, ${run.trend}`,
    );
  }
}

async function train(
  { system, cell }: { system: StudySystem; cell: StudyCell },
  weightSeed: number,
  batch: { input: Tensor; target: Tensor },
  progress: Progress,
  signal?: AbortSignal,
): Promise<ReferenceRun> {
  const { inputSize, hiddenSize, learningRate, trainingSteps } = referenceSetUp;
  const model = new Sequential(system.layers({ cell, inputSize, hiddenSize, generator: new Generator(weightSeed) }));
  const gradNorms = new Map<string, number[]>(model.parameters().map(({ name }) => [name, []]));
  const begin = performance.now();
  const { loss, gradNorm, clipped } = await fit(model, [batch], {
    loss: mseLoss,
    optimizer: new Adam(model.parameters(), { learningRate }),
    clip: system.clip,
    epochs: trainingSteps,
    signal,
    onStep: (record) => {
      for (const [name, norm] of Object.entries(record.gradNorms)) gradNorms.get(name)?.push(norm);
      progress.advance(record.step);
    },
  });
  const { trend, ratio } = gradientTrend(gradNorm, trendSteps);
  return {
    system: system.name,
    loss,
    gradNorm,
    gradNorms: Object.fromEntries(gradNorms),
    clipped,
    clippedSteps: countTrue(clipped),
    trend,
    trendRatio: ratio,
    seconds: (performance.now() - begin) / 1000,
  };
}
