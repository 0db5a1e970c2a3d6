// A sample of weight 2 counts as two of it, one of weight 0 as none.
import {
  bceWithLogitsLoss,
  crossEntropyLoss,
  fit,
  Generator,
  huberLoss,
  Linear,
  type LossOptions,
  type LossResult,
  l1Loss,
  makeBatches,
  mseLoss,
  SGD,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const generator = new Generator(1);
const float64 = { dtype: 'float64' } as const;
const random = (shape: number[]) => Tensor.randn(shape, { generator, ...float64 });
const weights = [2, 0, 1, 3];
const twice = weights.flatMap((weight, n) => Array<number>(weight).fill(n));
/** Some of a tensor's samples, again and again. */
const take = ({ data, shape, size }: Tensor, samples: number[]) => {
  const each = size / (shape[0] as number);
  return new Tensor(Float64Array.from(samples.flatMap((n) => [...data.subarray(n * each, (n + 1) * each)])), [
    samples.length,
    ...shape.slice(1),
  ]);
};
const [outputs, targets] = [random([4, 5, 3]), random([4, 5, 3])];
const labels = Array.from({ length: 20 }, (_, i) => (i % 6 === 1 ? -1 : (i * 7) % 3));
const lengths = [5, 2, 1, 3];

const losses: [string, (samples: number[], options: LossOptions) => LossResult][] = [
  ['mse', (samples, options) => mseLoss(take(outputs, samples), take(targets, samples), options)],
  ['l1', (samples, options) => l1Loss(take(outputs, samples), take(targets, samples), options)],
  ['huber', (samples, options) => huberLoss(take(outputs, samples), take(targets, samples), { ...options, delta: 0.5 })],
  ['bce', (samples, options) => bceWithLogitsLoss(take(outputs, samples), take(targets, samples), { ...options, posWeight: [1, 2, 3] })],
  [
    'cross-entropy',
    (samples, options) =>
      crossEntropyLoss(
        take(outputs, samples),
        samples.flatMap((n) => labels.slice(5 * n, 5 * n + 5)),
        { ...options, ignoreIndex: -1, classWeights: [1, 2, 0.5], labelSmoothing: 0.1 },
      ),
  ],
];

test.each(
  losses.flatMap(([name, loss]) =>
    (['mean', 'sum'] as const).flatMap((reduction) => [true, false].map((cut) => ({ name, reduction, cut, loss }))),
  ),
)('$name, $reduction, with lengths: $cut', ({ loss, reduction, cut }) => {
  const own = (samples: number[]) => (cut ? { lengths: samples.map((n) => lengths[n] as number) } : {});
  const weighted = loss([0, 1, 2, 3], { ...own([0, 1, 2, 3]), reduction, sampleWeights: weights });
  const repeated = loss(twice, { ...own(twice), reduction });
  expect(weighted.value).toBeCloseTo(repeated.value, 12);
  expect(weighted.count).toBeCloseTo(repeated.count as number, 12);
  // The gradient of what stands there several times is the sum of theirs.
  const each = outputs.size / 4;
  const sums = new Float64Array(outputs.size);
  for (const [i, n] of twice.entries())
    for (let j = 0; j < each; j++) sums[n * each + j] = (sums[n * each + j] as number) + (repeated.grad.data[i * each + j] as number);
  expectClose(weighted.grad, new Tensor(sums, outputs.shape), { within: 1e-12 });
  const none = loss([0, 1, 2, 3], { ...own([0, 1, 2, 3]), reduction: 'none', sampleWeights: Float32Array.from(weights) });
  const plain = loss([0, 1, 2, 3], { ...own([0, 1, 2, 3]), reduction: 'none' });
  const [rows, all] = [(plain.values?.size as number) / 4, plain.values as Tensor];
  expect([...(none.values as Tensor).data]).toEqual([...all.data].map((value, i) => value * (weights[Math.floor(i / rows)] as number) + 0));
});

test('batches of makeBatches bring theirs, shuffled like the samples', async () => {
  const inputs = Tensor.from([[1], [2], [3], [4]], float64);
  const zeros = Tensor.zeros([4, 1], float64);
  const model = new Linear({ inputSize: 1, outputSize: 1, bias: false, ...float64 });
  model.loadStateDict({ weight: Tensor.from([[1]], float64) });
  const optimizer = new SGD(model.parameters(), { learningRate: 0 });
  const batches = makeBatches(inputs, zeros, { batchSize: 2, sampleWeights: weights, generator: new Generator(3) });
  const { loss, epochs } = await fit(model, batches, { loss: mseLoss, optimizer, accumulate: 2, validation: { batches } });
  const expected = (2 * 1 + 0 + 9 + 3 * 16) / 6;
  expect(loss[0]).toBeCloseTo(expected, 13);
  expect(epochs[0]?.validation?.loss).toBeCloseTo(expected, 13);
});

test('what they are given is checked', () => {
  const loss = (sampleWeights: unknown) => () => mseLoss(outputs, targets, { sampleWeights: sampleWeights as number[] });
  expectRefused(loss([1, 1, 1]), 'ERR_SHAPE', 'sampleWeights: expected one for each of the 4 samples, got 3');
  expectRefused(loss([1, -1, 1, 1]), 'ERR_OPTION', 'sampleWeights[1]: expected a finite number at least 0');
  expectRefused(loss([0, 0, 0, 0]), 'ERR_OPTION', 'sampleWeights: expected at least one above 0');
});
