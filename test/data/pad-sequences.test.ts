import {
  crossEntropyLoss,
  fit,
  Generator,
  GRU,
  LastStep,
  Linear,
  makeBatches,
  padSequences,
  Sequential,
  SGD,
  Tensor,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const dtype = 'float64';

describe('padSequences', () => {
  test('pads rows of numbers at the end', () => {
    const { input, lengths } = padSequences(
      [
        [
          [1, 2],
          [3, 4],
        ],
        [],
        [[5, 6]],
      ],
      { value: -1 },
    );
    expect(input.toArray()).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
      [
        [-1, -1],
        [-1, -1],
      ],
      [
        [5, 6],
        [-1, -1],
      ],
    ]);
    expect(lengths).toEqual(Int32Array.of(2, 0, 1));
    expect(input.dtype).toBe('float32');
  });

  test('pads symbols, and tensors of their own dtype', () => {
    expect(padSequences([[3], [1, 2]], { length: 4 }).input.toArray()).toEqual([
      [3, 0, 0, 0],
      [1, 2, 0, 0],
    ]);
    const { input, lengths } = padSequences([Tensor.from([[1.5], [2]], { dtype }), Tensor.zeros([0, 1], { dtype })]);
    expect([input.dtype, input.shape, [...lengths]]).toEqual([dtype, [2, 2, 1], [2, 0]]);
  });

  test('refuses what does not go together', () => {
    expectRefused(() => padSequences([]), 'ERR_OPTION', 'at least one tensor');
    expectRefused(() => padSequences([[[1, 2]], [[1]]]), 'ERR_SHAPE', 'sequences[1]: expected shape [T, 2], got [1, 1]');
    expectRefused(() => padSequences([[1], [[1]]]), 'ERR_SHAPE', 'sequences[1]: expected shape [T], got [1, 1]');
    expectRefused(() => padSequences([[[[1]]]]), 'ERR_SHAPE', 'expected shape [T] or [T, F]');
    expectRefused(
      () => padSequences([Tensor.zeros([1]), Tensor.zeros([1], { dtype })]),
      'ERR_DTYPE',
      'sequences[1]: expected a float32 tensor',
    );
    expectRefused(() => padSequences([[1, 2, 3]], { length: 2 }), 'ERR_OPTION', 'length: expected an integer from 3');
    expectRefused(() => padSequences(['text' as unknown as number]), 'ERR_OPTION', 'sequences[0]');
  });
});

describe('makeBatches with lengths', () => {
  const generator = new Generator(3);
  const count = 500;
  const lengths = Array.from({ length: count }, () => generator.integer(41));
  const input = Tensor.zeros([count, 40, 2]);
  for (let i = 0; i < input.size; i++) input.data[i] = Math.floor(i / 80);
  const options = { batchSize: 16, lengths };
  const stepsOf = (batches: Iterable<{ input: Tensor }>) => [...batches].reduce((sum, batch) => sum + batch.input.size / 2, 0);

  test('gives each sample once an epoch, with its length and target, in an order of the generator', () => {
    const labels = Array.from({ length: count }, (_, i) => i);
    const batches = makeBatches(input, labels, { ...options, generator: new Generator(1) });
    const epochs = [0, 1].map(() => {
      const order: number[] = [];
      for (const batch of batches) {
        const [n, t] = batch.input.shape as [number, number];
        expect(t).toBe(Math.max(1, ...(batch.lengths as Int32Array)));
        for (let row = 0; row < n; row++) {
          const sample = batch.input.data[row * t * 2] as number;
          expect(batch.lengths?.[row]).toBe(lengths[sample]);
          expect(batch.target[row]).toBe(sample);
          order.push(sample);
        }
      }
      expect([...order].sort((a, b) => a - b)).toEqual(labels);
      return order;
    });
    expect(epochs[0]).not.toEqual(epochs[1]);
    const again = [...makeBatches(input, labels, { ...options, generator: new Generator(1) })].flatMap((batch) => [...batch.target]);
    expect(again).toEqual(epochs[0]);
  });

  test('few steps are padding', () => {
    const counted = lengths.reduce((sum, length) => sum + length, 0);
    const labels = new Array(count).fill(0);
    expect(stepsOf(makeBatches(input, labels, options))).toBeLessThan(1.15 * counted);
    expect(stepsOf(makeBatches(input, labels, { ...options, shuffle: false }))).toBeGreaterThan(1.5 * counted);
  });

  test('targets of each step are cut like the input', () => {
    const targets = Tensor.zeros([count, 40, 1]);
    for (const batch of makeBatches(input, targets, options)) expect(batch.target.shape[1]).toBe(batch.input.shape[1]);
    const labels = Array.from({ length: count * 40 }, (_, i) => Math.floor(i / 40));
    for (const batch of makeBatches(input, labels, options)) {
      const [n, t] = batch.input.shape as [number, number];
      expect([...batch.target]).toEqual(Array.from({ length: n * t }, (_, i) => batch.input.data[Math.floor(i / t) * t * 2]));
    }
  });

  test('a classifier learns which of two symbols came last, whatever the length', async () => {
    const rng = new Generator(5);
    const sequences = Array.from({ length: 200 }, () => Array.from({ length: 1 + rng.integer(12) }, () => [rng.integer(2) * 2 - 1]));
    const labels = sequences.map((sequence) => ((sequence.at(-1) as number[])[0] === 1 ? 1 : 0));
    const padded = padSequences(sequences, { dtype });
    const model = new Sequential([
      new GRU({ inputSize: 1, hiddenSize: 6, dtype, generator: rng }),
      new LastStep(),
      new Linear({ inputSize: 6, outputSize: 2, dtype, generator: rng }),
    ]);
    const batches = makeBatches(padded.input, labels, { batchSize: 20, lengths: padded.lengths, generator: rng });
    await fit(model, batches, { loss: crossEntropyLoss, optimizer: new SGD(model.parameters(), { learningRate: 1 }), epochs: 20 });
    const { data } = model.predict(padded.input, { lengths: padded.lengths });
    const right = labels.filter((label, i) => (data[2 * i + 1] as number) > (data[2 * i] as number) === (label === 1)).length;
    expect(right).toBe(200);
  });

  test('refuses lengths that do not fit', () => {
    expectRefused(
      () => makeBatches(input, new Array(count).fill(0), { batchSize: 4, lengths: [1] }),
      'ERR_SHAPE',
      'lengths: expected one for each',
    );
    expectRefused(() => makeBatches(Tensor.zeros([2]), [0, 1], { batchSize: 1, lengths: [1, 1] }), 'ERR_SHAPE', '[N, T] or [N, T, F]');
  });
});
