import { type BatchOptions, makeBatches } from '../../lib/data/batches';
import { Generator } from '../../lib/random';
import { Tensor } from '../../lib/tensor';
import { detach, expectRefused } from '../helpers/errors';

/** Sample i is [[10 i, 10 i + 1]] with target [i]. */
function samples(count: number): { inputs: Tensor; targets: Tensor } {
  const inputs = Tensor.from(Array.from({ length: count }, (_, i) => [[10 * i, 10 * i + 1]]));
  return {
    inputs,
    targets: Tensor.from(
      Array.from({ length: count }, (_, i) => [i]),
      { dtype: 'float64' },
    ),
  };
}

function batches(count: number, batchSize: number, seed = 1) {
  const { inputs, targets } = samples(count);
  return makeBatches(inputs, targets, { batchSize, generator: new Generator(seed) });
}

/** The samples of one epoch in their order. */
const order = (epoch: Iterable<{ target: Tensor }>): number[] => [...epoch].flatMap(({ target }) => [...target.data]);

describe('makeBatches', () => {
  test('gives every sample once per epoch, inputs with their targets, and what is left in the last batch', () => {
    const epoch = [...batches(10, 4)];
    expect(epoch.map(({ input, target }) => [input.shape, target.shape])).toEqual([
      [
        [4, 1, 2],
        [4, 1],
      ],
      [
        [4, 1, 2],
        [4, 1],
      ],
      [
        [2, 1, 2],
        [2, 1],
      ],
    ]);
    expect([epoch[0]?.input.dtype, epoch[0]?.target.dtype]).toEqual(['float32', 'float64']);
    for (const { input, target } of epoch) {
      expect(input.toArray()).toEqual([...target.data].map((i) => [[10 * i, 10 * i + 1]]));
    }
    expect(order(epoch).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('each epoch has a new order, and the same seed gives the same orders', () => {
    const run = batches(20, 6);
    const epochs = [order(run), order(run), order(run)];
    expect(new Set(epochs.map(String)).size).toBe(3);
    const again = batches(20, 6);
    expect([order(again), order(again), order(again)]).toEqual(epochs);
    expect(order(batches(20, 6, 2))).not.toEqual(epochs[0]);
  });

  test('every order is as likely as any other', () => {
    const run = batches(3, 3, 7);
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 6000; epoch++) {
      const key = String(order(run));
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // χ² with 5 degrees of freedom is above 20.5 once in a thousand seeds; this seed is fixed.
    const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    expect(chiSquare).toBeLessThan(20.5);
  });

  test('batches keep their numbers while later ones are made, and are cut from the caller’s arrays by copying', () => {
    const { inputs, targets } = samples(6);
    const run = makeBatches(inputs, targets, { batchSize: 2, generator: new Generator(1) });
    const kept = [...run];
    const copies = kept.map(({ input }) => input.data.slice());
    [...run];
    inputs.data.fill(-1);
    expect(kept.map(({ input }) => input.data)).toEqual(copies);
  });

  test('an epoch that is broken off does not disturb the next', () => {
    const run = batches(8, 2);
    for (const _ of run) break;
    expect(order(run).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('a batch larger than all samples holds them all', () => {
    expect([...batches(3, 100)].map(({ input }) => input.shape)).toEqual([[3, 1, 2]]);
  });

  test.each<[string, unknown, unknown, unknown, string, string]>([
    ['no inputs', [[1]], undefined, {}, 'ERR_OPTION', 'inputs: expected a Tensor'],
    ['inputs without samples', Tensor.zeros([0, 2]), undefined, {}, 'ERR_SHAPE', 'inputs: expected at least one sample, got shape [0, 2]'],
    ['a scalar', Tensor.from(1), undefined, {}, 'ERR_SHAPE', 'inputs: expected at least one sample, got shape []'],
    ['other targets', undefined, Tensor.zeros([3, 1]), {}, 'ERR_SHAPE', 'targets: expected 4 samples as in inputs, got shape [3, 1]'],
    ['a batch of nothing', undefined, undefined, { batchSize: 0 }, 'ERR_OPTION', 'batchSize: expected an integer of at least 1, got 0'],
    ['a seed for a generator', undefined, undefined, { generator: 1 }, 'ERR_OPTION', 'generator: expected a Generator, got 1'],
    ['an unknown option', undefined, undefined, { shufle: false }, 'ERR_OPTION', 'unknown option "shufle". Did you mean "shuffle"?'],
    ['an order that is none', undefined, undefined, { shuffle: 'no' }, 'ERR_OPTION', 'shuffle: expected true or false, got "no"'],
    ['no batch at all', undefined, undefined, { batchSize: 5, dropLast: true }, 'ERR_OPTION', 'batchSize: expected at most the 4 samples'],
    [
      'other labels',
      undefined,
      [1, 2, 3, 4, 5],
      {},
      'ERR_SHAPE',
      'targets: expected as many labels for each of the 4 samples in inputs, got 5',
    ],
    ['no labels', undefined, [], {}, 'ERR_SHAPE', 'got 0'],
    [
      'a part of a label',
      undefined,
      [1, 2, 3, 4.5],
      {},
      'ERR_OPTION',
      'targets[3]: expected a class, an integer of at most 32 bits, got 4.5',
    ],
    ['a label beyond 32 bits', undefined, Uint32Array.of(1, 2, 3, 2 ** 31), {}, 'ERR_OPTION', 'targets[3]: expected a class'],
    ['labels that are not there', undefined, new Array(2 ** 32 - 4), {}, 'ERR_OPTION', 'targets[0]: expected a class'],
    [
      'numbers that are no labels',
      undefined,
      new Float64Array(4),
      {},
      'ERR_OPTION',
      'targets: expected a Tensor, or labels in an Int32Array',
    ],
    ['64-bit labels', undefined, new BigInt64Array(4), {}, 'ERR_OPTION', 'targets: expected a Tensor, or labels'],
  ])('refuses %s', (_, inputs, targets, options, code, message) => {
    const good = samples(4);
    const given = { batchSize: 2, generator: new Generator(1), ...(options as object) } as BatchOptions;
    expect(() => makeBatches((inputs ?? good.inputs) as Tensor, (targets ?? good.targets) as Tensor, given)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  test('without shuffling samples come in their order, and no generator is asked', () => {
    const { inputs, targets } = samples(5);
    const generator = new Generator(1);
    const run = makeBatches(inputs, targets, { batchSize: 2, shuffle: false, generator });
    expect([order(run), order(run)]).toEqual([
      [0, 1, 2, 3, 4],
      [0, 1, 2, 3, 4],
    ]);
    expect(generator.nextUint32()).toBe(new Generator(1).nextUint32());
  });

  test('without a generator each call has an order of its own', () => {
    const { inputs, targets } = samples(100);
    const [one, another] = [makeBatches(inputs, targets, { batchSize: 7 }), makeBatches(inputs, targets, { batchSize: 7 })];
    expect(order(one)).not.toEqual(order(another));
    expect(order(one).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('dropLast leaves out the smaller batch alone', () => {
    const { inputs, targets } = samples(6);
    const sizes = (batchSize: number) =>
      [...makeBatches(inputs, targets, { batchSize, dropLast: true })].map(({ input }) => input.shape[0]);
    expect([sizes(4), sizes(3), sizes(6)]).toEqual([[4], [3, 3], [6]]);
  });

  test.each([
    ['one for each sample', 1],
    ['one for each step', 3],
  ])('labels go with their inputs, %s', (_, each) => {
    const { inputs } = samples(10);
    const labels = Array.from({ length: 10 * each }, (_, i) => i - 2);
    for (const given of [labels, Int32Array.from(labels), Int16Array.from(labels)]) {
      const epoch = [...makeBatches(inputs, given, { batchSize: 4, generator: new Generator(1) })];
      expect(epoch.map(({ target }) => [target.constructor.name, target.length])).toEqual([4, 4, 2].map((n) => ['Int32Array', n * each]));
      for (const { input, target } of epoch) {
        const wanted = Array.from({ length: input.shape[0] as number }, (_, i) => (input.data[2 * i] as number) / 10);
        expect([...target]).toEqual(wanted.flatMap((sample) => Array.from({ length: each }, (_, t) => sample * each + t - 2)));
      }
    }
  });

  test('arrays that changed since are found at the next batch', () => {
    const { inputs } = samples(4);
    const labels = [0, 1, 2, 3];
    const options = { batchSize: 2, shuffle: false };
    const byLabel = makeBatches(inputs, labels, options);
    labels[3] = 0.5;
    expectRefused(() => [...byLabel], 'ERR_OPTION', 'targets[3]: expected a class');
    labels.length = 3;
    expectRefused(() => [...byLabel], 'ERR_STATE', 'targets: expected the 4 labels that it had at first, but it now holds 3');
    for (const name of ['inputs', 'targets'] as const) {
      const fresh = samples(4);
      const run = makeBatches(fresh.inputs, fresh.targets, options)[Symbol.iterator]();
      expect(run.next().done).toBe(false);
      detach(fresh[name].data);
      expectRefused(() => run.next(), 'ERR_STATE', `${name}: expected the`);
    }
  });
});
