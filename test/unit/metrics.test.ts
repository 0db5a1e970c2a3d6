import {
  accuracy,
  type Classes,
  f1,
  Generator,
  type Metric,
  type MetricAccumulator,
  mae,
  mape,
  mase,
  perplexity,
  r2,
  rmse,
  smape,
  Tensor,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const float64 = { dtype: 'float64' } as const;
const tensor = (numbers: Parameters<typeof Tensor.from>[0]) => Tensor.from(numbers, float64);
/** Logits whose largest in each row is at the class. */
const logitsOf = (classes: readonly number[], count: number) =>
  tensor(classes.map((which) => Array.from({ length: count }, (_, c) => (c === which ? 2 : -c / 10))));

// Of scikit-learn's documentation, where the percentage is a fraction.
const [output, target] = [tensor([2.5, 0, 2, 8]), tensor([3, -0.5, 2, 7])];

test.each<[string, Metric, number]>([
  ['mae', mae, 0.5],
  ['rmse', rmse, 0.6123724356957945],
  ['mape', mape, 32.738095238095234],
  ['smape', smape, (200 / 4) * (0.5 / 5.5 + 0.5 / 0.5 + 0 + 1 / 15)],
  ['r2', r2, 0.9486081370449679],
  ['mase', mase([1, 2, 4, 3]), 0.5 / ((1 + 2 + 1) / 3)],
  ['mase, season', mase(Float64Array.of(1, 2, 4, 3), { season: 2 }), 0.5 / 2],
])('%s', (_, metric, expected) => {
  expect(metric(output, target)).toBeCloseTo(expected, 13);
});

test('r2 of several columns is the mean of theirs, and does not lose a small variance beside a large mean', () => {
  const [o, t] = [
    [
      [0, 2],
      [-1, 2],
      [8, -5],
    ],
    [
      [0.5, 1],
      [-1, 1],
      [7, -6],
    ],
  ] as const;
  expect(r2(tensor(o), tensor(t))).toBeCloseTo(0.9368005266622779, 13);
  const far = (rows: readonly (readonly number[])[]) => tensor(rows.map((row) => row.map((value) => value + 2 ** 40)));
  expect(r2(far(o), far(t))).toBeCloseTo(0.9368005266622779, 3);
  expect([r2(tensor([1, 1]), tensor([1, 1])), r2(tensor([1, 2]), tensor([1, 1]))]).toEqual([Number.NaN, Number.NEGATIVE_INFINITY]);
});

test('a percentage of a target of 0', () => {
  expect([mape(tensor([0, 2]), tensor([0, 1])), mape(tensor([1]), tensor([0]))]).toEqual([50, Number.POSITIVE_INFINITY]);
  expect(smape(tensor([0, 1]), tensor([0, 0]))).toBe(100);
});

test.each([
  ['negative labels', [-1], undefined],
  ['lengths of 0', [1], { lengths: [0] }],
])('f1 counts the classes of all batches, when the last has none that counts: %s', (_, labels, options) => {
  const all = f1.accumulator?.() as MetricAccumulator<Classes>;
  all.add(logitsOf([0, 0, 2, 1], 3), [0, 1, 2, 1]);
  all.add(new Tensor(Float32Array.of(1, 0, 0), options === undefined ? [1, 3] : [1, 1, 3]), labels, options);
  expect(all.value()).toBeCloseTo((2 / 3 + 2 / 3 + 1) / 3, 15);
});

test('accuracy and f1, as in scikit-learn', () => {
  const labels = [0, 1, 2, 0, 1, 2];
  const logits = logitsOf([0, 2, 1, 0, 0, 1], 3);
  expect(accuracy(logits, labels)).toBeCloseTo(1 / 3, 15);
  expect(f1(logits, labels)).toBeCloseTo(0.26666666666666666, 15);
  // A class that is only predicted counts; one that is nowhere does not.
  expect(f1(logitsOf([0, 1], 4), [0, 0])).toBeCloseTo((2 / 3 + 0) / 2, 15);
  const two = logitsOf([0, 1, 0, 0, 1, 1], 2);
  expect(f1(two, [0, 1, 0, 1, 1, 0])).toBeCloseTo(2 / 3, 15);
  expect(f1(logitsOf([0, 0], 2), [0, 0])).toBeNaN();
});

test('yes and no', () => {
  const [logits, answers] = [tensor([[1], [-2], [3], [-1], [0]]), tensor([[1], [1], [0], [0], [0]])];
  expect([accuracy(logits, answers), f1(logits, answers)]).toEqual([3 / 5, 1 / 2]);
});

test('perplexity is e to the mean cross-entropy', () => {
  expect(perplexity(tensor([[0, 0, 0, 0]]), [2])).toBeCloseTo(4, 13);
  const far = tensor([
    [1e4, 0],
    [0, 1e4 + 1],
  ]);
  expect(perplexity(far, [0, 1])).toBe(1);
  expect(perplexity(tensor([[Math.log(3), 0]]), [1])).toBeCloseTo(4, 13);
});

test('what is NaN stays so, or is not right', () => {
  for (const metric of [mae, rmse, mape, smape, r2]) expect(metric(tensor([1, Number.NaN]), tensor([1, 2]))).toBeNaN();
  expect(perplexity(tensor([[Number.NaN, 0]]), [1])).toBeNaN();
  expect(
    accuracy(
      tensor([
        [Number.NaN, 0],
        [1, 0],
      ]),
      [1, 0],
    ),
  ).toBe(1 / 2); // prettier-ignore
  expect(
    accuracy(
      tensor([
        [0, Number.NaN],
        [1, 0],
      ]),
      [0, 0],
    ),
  ).toBe(1 / 2); // prettier-ignore
});

describe('over a set, whatever batches it comes in', () => {
  const generator = new Generator(1);
  const n = 7;
  const lengths = [4, 1, 3, 0, 2, 4, 1];
  const outputs = Tensor.randn([n, 4, 3], { generator, ...float64 });
  const targets = Tensor.randn([n, 4, 3], { generator, ...float64 });
  const labels = Array.from({ length: n * 4 }, (_, i) => (i % 5 === 2 ? -100 : (i * 7) % 3));
  const cut = ({ data, shape: [, t = 0, f = 0] }: Tensor, begin: number, end: number) =>
    new Tensor(data.slice(begin * t * f, end * t * f), [end - begin, t, f]);
  const cuts = [
    [0, 3],
    [3, 4],
    [4, 7],
  ] as const;
  const answers = new Tensor(
    targets.data.map((value) => Number(value > 0)),
    targets.shape,
  );

  test.each<[string, Metric<never>, unknown]>([
    ['mae', mae as Metric<never>, targets],
    ['rmse', rmse as Metric<never>, targets],
    ['mape', mape as Metric<never>, targets],
    ['smape', smape as Metric<never>, targets],
    ['r2', r2 as Metric<never>, targets],
    ['mase', mase([1, 3, 2]) as Metric<never>, targets],
    ['accuracy', accuracy as Metric<never>, labels],
    ['accuracy of yes and no', accuracy as Metric<never>, answers],
    ['f1', f1 as Metric<never>, labels],
    ['f1 of yes and no', f1 as Metric<never>, answers],
    ['perplexity', perplexity as Metric<never>, labels],
  ])('%s; steps that do not count may hold anything', (_, metric, wanted) => {
    const seen = metric.accumulator?.();
    for (const [begin, end] of cuts) {
      const own = Tensor.isTensor(wanted) ? cut(wanted, begin, end) : (wanted as number[]).slice(4 * begin, 4 * end);
      seen?.add(cut(outputs, begin, end), own as never, { lengths: lengths.slice(begin, end) });
    }
    const padded = new Tensor(
      outputs.data.map((value, i) => (Math.floor(i / 3) % 4 < (lengths[Math.floor(i / 12)] as number) ? value : Number.NaN)),
      outputs.shape,
    );
    const whole = metric(padded, wanted as never, { lengths });
    expect(whole).not.toBeNaN();
    expect(seen?.value()).toBeCloseTo(whole, 12);
    expect(metric(outputs, wanted as never)).not.toBeCloseTo(whole, 6);
  });
});

test('what they are given is checked', () => {
  expectRefused(() => mae(tensor([1]), tensor([1, 2])), 'ERR_SHAPE', 'target: expected shape [1], got [2]');
  expectRefused(() => accuracy(tensor([[1, 2]]), [2]), 'ERR_OPTION', 'target[0]: expected a class from 0 to 1');
  expectRefused(() => accuracy(tensor([[1, 2]]), [0, 1]), 'ERR_SHAPE', 'one class for each of the 1 rows');
  expectRefused(() => mase([1, 1, 1]), 'ERR_OPTION', 'training: expected a series that changes');
  expectRefused(() => mase([1], { season: 1 }), 'ERR_OPTION', 'more than the 1 values of a season');
});
