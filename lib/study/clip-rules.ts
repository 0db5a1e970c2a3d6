/** Clipping where it is needed: the design that the text warns of, trained under several rules. */
import { AutoClip } from '../clipping/auto-clip';
import { ZClip } from '../clipping/zclip';
import { Sequential } from '../layers/sequential';
import { mseLoss } from '../losses/mse';
import { Adam } from '../optimizers/adam';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { formatNumber } from '../report/text';
import { Tensor } from '../tensor';
import type { Clip } from '../training/clip-rule';
import { fit } from '../training/fit';
import { placedLayers } from './placements';
import type { ClippingPart, ClippingRun } from './results';
import { countTrue } from './verdicts';

/** In float64, whose range no gradient of this size and length leaves. */
export const clippingSetUp = {
  placement: 'hidden',
  initializer: 'orthogonal',
  gain: 1.5,
  sequences: 32,
  timeSteps: 200,
  inputSize: 10,
  hiddenSize: 20,
  learningRate: 1e-3,
  trainingSteps: 100,
  dtype: 'float64',
} as const satisfies Omit<ClippingPart, 'rules'>;

/** In the order of tables. AutoClip and ZClip have their papers' settings. */
export const clipRules: readonly { name: ClippingRun['rule']; title: string; make(): Clip | undefined }[] = [
  { name: 'none', title: 'No clip', make: () => undefined },
  { name: 'norm', title: 'Norm clipped at 1.0', make: () => ({ maxNorm: 1 }) },
  { name: 'autoclip', title: 'AutoClip', make: () => new AutoClip() },
  { name: 'zclip', title: 'ZClip', make: () => new ZClip() },
];

/** Trains from the same weights on the same data under each rule, and adds each run to `finished` when it is done. */
export async function runClipping(seed: number, finished: ClippingRun[], progress: Progress, signal?: AbortSignal): Promise<void> {
  const { sequences, timeSteps, inputSize, hiddenSize, dtype } = clippingSetUp;
  const generator = new Generator(seed);
  const batch = {
    input: Tensor.randn([sequences, timeSteps, inputSize], { generator, dtype }),
    target: Tensor.randn([sequences, hiddenSize], { generator, dtype }),
  };
  const weightSeed = generator.nextUint32();
  for (const { name, title, make } of clipRules) {
    progress.begin(`Clipping: ${title}`, clippingSetUp.trainingSteps);
    const run = await train(name, make(), weightSeed, batch, progress, signal);
    finished.push(run);
    progress.end(
      `acted in ${run.clippedSteps} of ${run.clipped.length} steps, loss ${formatNumber(run.loss[0] ?? Number.NaN)} -> ${formatNumber(run.lastLoss)}`,
    );
  }
}

async function train(
  rule: ClippingRun['rule'],
  clip: Clip | undefined,
  weightSeed: number,
  batch: { input: Tensor; target: Tensor },
  progress: Progress,
  signal?: AbortSignal,
): Promise<ClippingRun> {
  const { placement, initializer, gain, inputSize, hiddenSize, dtype, learningRate, trainingSteps } = clippingSetUp;
  const generator = new Generator(weightSeed);
  const start = { inputSize, hiddenSize, dtype, recurrentInitializer: { name: initializer, gain }, generator, returnSequences: false };
  const model = new Sequential(placedLayers(placement, start));
  const threshold: number[] = [];
  const begin = performance.now();
  const { loss, gradNorm, clipped } = await fit(model, [batch], {
    loss: mseLoss,
    optimizer: new Adam(model.parameters(), { learningRate }),
    clip,
    epochs: trainingSteps,
    signal,
    onStep: (record) => {
      threshold.push(record.clipThreshold);
      progress.advance(record.step);
    },
  });
  const last = loss.slice(-lastSteps);
  return {
    rule,
    loss,
    gradNorm,
    threshold,
    clipped,
    clippedSteps: countTrue(clipped),
    lastLoss: last.reduce((sum, value) => sum + value, 0) / last.length,
    seconds: (performance.now() - begin) / 1000,
  };
}

/** How many losses make up the last one, of a training whose loss jumps. */
const lastSteps = 10;
