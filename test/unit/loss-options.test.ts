import {
  bceWithLogitsLoss,
  crossEntropyLoss,
  Generator,
  huberLoss,
  type LossOptions,
  type LossResult,
  l1Loss,
  mseLoss,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';
import { checkGradients } from '../helpers/gradient-check';

const dtype = 'float64';
const random = (shape: number[], seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const shape = [3, 4, 5];
const target = random(shape, 2);
const labels = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, -100, 1];

const losses: [string, (output: Tensor, options: LossOptions) => LossResult][] = [
  ['mseLoss', (output, options) => mseLoss(output, target, options)],
  ['l1Loss', (output, options) => l1Loss(output, target, options)],
  ['huberLoss', (output, options) => huberLoss(output, target, { ...options, delta: 0.7 })],
  ['bceWithLogitsLoss', (output, options) => bceWithLogitsLoss(output, target, { ...options, posWeight: [1, 2, 3, 0, 0.5] })],
  [
    'crossEntropyLoss',
    (output, options) =>
      crossEntropyLoss(output, labels, { ...options, ignoreIndex: -100, classWeights: [1, 2, 3, 0.5, 1], labelSmoothing: 0.1 }),
  ],
];

describe.each(losses)('%s', (_, loss) => {
  test.each<LossOptions>([{}, { reduction: 'sum' }, { reduction: 'none' }, { lengths: [4, 0, 2] }])(
    'its gradient agrees with central differences: %j',
    (options) => {
      const output = random(shape);
      const { grad } = loss(output, options);
      checkGradients(() => loss(output, options).value, { output: { value: output, grad } });
    },
  );

  test('a mean is the sum over what counts, and the sum that of values', () => {
    const output = random(shape);
    const [mean, sum, none] = (['mean', 'sum', 'none'] as const).map((reduction) => loss(output, { reduction, lengths: [4, 0, 2] }));
    const [{ value, grad }, { value: total, grad: gradOfSum }, { values }] = [mean, sum, none] as [LossResult, LossResult, LossResult];
    expectClose(
      gradOfSum.data.map((x) => x * (value / total)),
      grad,
      { within: 1e-13 },
    );
    expectClose(
      Array.from(values?.data ?? []).reduce((a, b) => a + b, 0),
      total,
      { within: 1e-13 },
    );
    expect(none?.value).toBe(total);
    expect(mean?.values).toBeUndefined();
  });

  test('NaN in what counts is never lost, in what does not it does not matter', () => {
    for (let position = 0; position < 60; position++) {
      const output = random(shape);
      output.data[position] = Number.NaN;
      const step = Math.floor(position / 5);
      const isIgnored = loss === losses[4]?.[1] && labels[step] === -100;
      expect(Number.isNaN(loss(output, {}).value)).toBe(!isIgnored);
      const counts = step % 4 < ([4, 0, 2][Math.floor(step / 4)] as number);
      const { value, grad } = loss(output, { lengths: [4, 0, 2] });
      expect(Number.isNaN(value)).toBe(counts);
      expect([...grad.data].some(Number.isNaN)).toBe(counts);
    }
  });

  test('no finite output makes an infinity, in float32 either', () => {
    for (const kind of ['float32', 'float64'] as const) {
      for (const size of [1e-30, 100, 1e4, 1e15]) {
        const output = new Tensor(
          Tensor.zeros(shape, { dtype: kind }).data.map((_, i) => (i % 2 === 0 ? size : -size)) as Float64Array,
          shape,
        );
        const wanted = new Tensor(Tensor.zeros(shape, { dtype: kind }).data.map((_, i) => (i % 3 === 0 ? 1 : 0)) as Float64Array, shape);
        const results = [mseLoss, l1Loss, huberLoss, bceWithLogitsLoss].map((each) => each(output, wanted));
        results.push(crossEntropyLoss(output, labels, { ignoreIndex: -100, labelSmoothing: 0.1 }));
        for (const { value, grad } of results) {
          expect(Number.isFinite(value)).toBe(true);
          expect([...grad.data].every(Number.isFinite)).toBe(true);
        }
      }
    }
  });

  test('a mean of nothing is refused, a sum of nothing is 0', () => {
    const output = random(shape);
    expectRefused(() => loss(output, { lengths: [0, 0, 0] }), 'ERR_SHAPE', 'at least one step that counts');
    for (const reduction of ['sum', 'none'] as const) {
      const { value, grad } = loss(output, { lengths: [0, 0, 0], reduction });
      expect(value).toBe(0);
      expect(grad.data.every((x) => x === 0)).toBe(true);
    }
  });

  test('refuses options that are none', () => {
    const output = random(shape);
    expectRefused(() => loss(output, { reduction: 'average' } as unknown as LossOptions), 'ERR_OPTION', 'reduction: expected one of');
    expectRefused(() => loss(output, { reductions: 'sum' } as LossOptions), 'ERR_OPTION', 'Did you mean "reduction"?');
  });
});

test('crossEntropyLoss refuses labels and weights that are none, and says what may be meant', () => {
  const logits = random([2, 3]);
  expectRefused(() => crossEntropyLoss(logits, [0, -100]), 'ERR_OPTION', 'ignoreIndex: -100');
  expectRefused(() => crossEntropyLoss(logits, [1, 1], { ignoreIndex: 1 }), 'ERR_OPTION', 'at least one that counts');
  expectRefused(() => crossEntropyLoss(logits, [1, 1], { classWeights: [1, 0, 1] }), 'ERR_OPTION', 'a weight above 0');
  expectRefused(() => crossEntropyLoss(logits, [1, 1], { classWeights: [1, 0] }), 'ERR_SHAPE', 'classWeights: expected 3 numbers, got 2');
  expectRefused(() => crossEntropyLoss(logits, [1, 1], { classWeights: [1, -1, 1] }), 'ERR_OPTION', 'classWeights[1]');
  expectRefused(() => crossEntropyLoss(logits, [1, 1], { labelSmoothing: 1.5 }), 'ERR_OPTION', 'labelSmoothing');
  expectRefused(() => crossEntropyLoss(logits, [1, 1], { ignoreIndex: 0.5 }), 'ERR_OPTION', 'ignoreIndex');
  expectRefused(() => huberLoss(logits, logits, { delta: 0 }), 'ERR_OPTION', 'delta: expected a finite number above 0');
  expectRefused(() => bceWithLogitsLoss(logits, logits, { posWeight: [1] }), 'ERR_SHAPE', 'posWeight: expected 3 numbers');
});
