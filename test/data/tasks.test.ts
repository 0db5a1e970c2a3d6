import {
  addingProblem,
  type CopyMemoryOptions,
  copyMemory,
  crossEntropyLoss,
  fit,
  Generator,
  LastStep,
  Linear,
  mseLoss,
  RNN,
  Sequential,
  SGD,
  Tensor,
} from '../../lib/index';
import { expectClose } from '../helpers/compare';
import { expectRefused } from '../helpers/errors';

const only = <T>(task: Iterable<T>): T => {
  const [batch] = task;
  if (batch === undefined) throw new Error('no batch');
  return batch;
};

describe('addingProblem', () => {
  const [size, length] = [4000, 12];
  const draw = (overrides: object = {}) =>
    addingProblem({ sequenceLength: length, batchSize: size, generator: new Generator(1), dtype: 'float64', ...overrides });
  const { input, target } = only(draw());
  const at = (n: number, t: number, feature: number) => input.data[(n * length + t) * 2 + feature] as number;
  const marked = Array.from({ length: size }, (_, n) => Array.from({ length }, (_, t) => t).filter((t) => at(n, t, 1) === 1));

  test('marks two steps of each sequence and asks for the sum of their numbers', () => {
    expect(input.shape).toEqual([size, length, 2]);
    expect(target.shape).toEqual([size, 1]);
    for (let n = 0; n < size; n++) {
      const [first = -1, second = -1, ...more] = marked[n] as number[];
      expect(more).toEqual([]);
      expect(target.data[n]).toBe(at(n, first, 0) + at(n, second, 0));
      for (let t = 0; t < length; t++) expect([0, 1]).toContain(at(n, t, 1));
    }
  });

  test('draws numbers uniform in [0, 1)', () => {
    const numbers = Array.from({ length: size * length }, (_, i) => input.data[2 * i] as number);
    expect(Math.min(...numbers.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(numbers.every((x) => x >= 0 && x < 1)).toBe(true);
    const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / numbers.length));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(4 * Math.sqrt(1 / 180 / numbers.length));
  });

  test('marks every pair of steps equally often', () => {
    const pairs = (length * (length - 1)) / 2;
    const counts = new Map<string, number>();
    for (const pair of marked) counts.set(pair.join(), (counts.get(pair.join()) ?? 0) + 1);
    expect(counts.size).toBe(pairs);
    const expected = size / pairs;
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 65 degrees of freedom: above 110 once in 2000 draws, and the seed is fixed.
    expect(chiSquare).toBeLessThan(110);
  });

  test('its baseline is the error of the answer 1', () => {
    expect(draw().baseline).toBe(1 / 6);
    const ones = new Tensor(new Float64Array(size).fill(1), [size, 1]);
    // The square of the sum's deviation has standard deviation √(7/180).
    expect(Math.abs(mseLoss(ones, target).value - draw().baseline)).toBeLessThan(4 * Math.sqrt(7 / 180 / size));
  });

  test('the shortest sequence marks both steps', () => {
    const { input, target } = only(draw({ sequenceLength: 2, batchSize: 1 }));
    const [a = 0, , b = 0] = input.data;
    expect([...input.data]).toEqual([a, 1, b, 1]);
    expect(target.toArray()).toEqual([[a + b]]);
  });

  test('in float32 the target is the sum of the rounded numbers', () => {
    const { input, target } = only(draw({ dtype: 'float32', batchSize: 50 }));
    expect([input.dtype, target.dtype]).toEqual(['float32', 'float32']);
    for (let n = 0; n < 50; n++) {
      let sum = 0;
      for (let t = 0; t < length; t++) sum += (input.data[(n * length + t) * 2] ?? 0) * (input.data[(n * length + t) * 2 + 1] ?? 0);
      expect(target.data[n]).toBe(Math.fround(sum));
    }
  });

  test('gives as many batches as asked, anew each time, the same for the same seed', () => {
    const task = draw({ batches: 3, batchSize: 2 });
    const [first, second] = [[...task], [...task]];
    expect(first).toHaveLength(3);
    expect(new Set([...first, ...second].map((batch) => JSON.stringify(batch.input))).size).toBe(6);
    expect([...draw({ batches: 6, batchSize: 2 })]).toEqual([...first, ...second]);
  });

  test('can be learned by fit', async () => {
    const generator = new Generator(2);
    const task = addingProblem({ sequenceLength: 2, batchSize: 16, batches: 150, generator });
    const rnn = new RNN({ inputSize: task.inputSize, hiddenSize: 8, generator });
    const model = new Sequential([rnn, new LastStep(), new Linear({ inputSize: 8, outputSize: task.outputSize, generator })]);
    const { loss } = await fit(model, task, { loss: mseLoss, optimizer: new SGD(model.parameters(), { learningRate: 0.1 }) });
    expect(loss.at(-1)).toBeLessThan(task.baseline / 4);
  });

  test.each<[object, string, string?]>([
    [{ sequenceLength: 1 }, 'sequenceLength: expected an integer from 2 to'],
    [{ batchSize: 0 }, 'batchSize'],
    [{ batches: 0 }, 'batches: expected an integer of at least 1, got 0'],
    [{ generator: 7 }, 'generator: expected a Generator'],
    [{ length: 3 }, 'unknown option "length"'],
    [{ batchSize: 2 ** 30 }, 'rows', 'ERR_SHAPE'],
    [{ dtype: 'float16' }, 'dtype', 'ERR_DTYPE'],
  ])('refuses %j', (overrides, text, code = 'ERR_OPTION') => {
    expectRefused(() => draw(overrides), code as 'ERR_OPTION', text);
  });
});

describe('copyMemory', () => {
  const draw = (overrides: Partial<CopyMemoryOptions> = {}) =>
    copyMemory({ delay: 7, batchSize: 300, generator: new Generator(1), ...overrides });

  test("has the paper's form: ten symbols of eight, blanks, the marker at T + 10, blanks; the symbols are asked for at the end", () => {
    const { input, target } = only(draw());
    expect(input.shape).toEqual([300, 27, 10]);
    expect(target).toHaveLength(300 * 27);
    for (let n = 0; n < 300; n++) {
      const shown = Array.from({ length: 27 }, (_, t) => {
        const oneHot = [...input.data.subarray((n * 27 + t) * 10, (n * 27 + t + 1) * 10)];
        expect(oneHot.toSorted()).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        return oneHot.indexOf(1);
      });
      const asked = [...target.subarray(n * 27, (n + 1) * 27)];
      const symbols = shown.slice(0, 10);
      expect(Math.max(...symbols)).toBeLessThan(8);
      expect(shown.slice(10)).toEqual([8, 8, 8, 8, 8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
      expect(asked).toEqual([...new Array(17).fill(8), ...symbols]);
    }
  });

  test('draws each symbol equally often in each place', () => {
    const { target } = only(draw({ batchSize: 4000, copyLength: 3, symbols: 4, delay: 1 }));
    for (let place = 0; place < 3; place++) {
      for (let symbol = 0; symbol < 4; symbol++) {
        let count = 0;
        for (let n = 0; n < 4000; n++) if (target[n * 7 + 4 + place] === symbol) count++;
        expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(4000 * 0.25 * 0.75));
      }
    }
  });

  test.each([
    [{}, (10 * Math.log(8)) / 27],
    [{ delay: 500 }, (10 * Math.log(8)) / 520],
    [{ delay: 4, copyLength: 3, symbols: 2 }, (3 * Math.log(2)) / 10],
  ])('its baseline is the loss of blanks and then any symbol, %j', (overrides, baseline) => {
    const task = draw({ batchSize: 4, ...overrides });
    expect(task.baseline).toBe(baseline);
    const { target } = only(task);
    const length = target.length / 4;
    const [classes, copyLength] = [task.outputSize, (overrides as CopyMemoryOptions).copyLength ?? 10];
    // Logits that give the blank, or each symbol alike, a probability of 1 but for e^−80.
    const logits = Tensor.zeros([4, length, classes], { dtype: 'float64' });
    for (let row = 0; row < 4 * length; row++) {
      const isCopied = row % length >= length - copyLength;
      for (let c = 0; c < classes; c++) logits.data[row * classes + c] = (c === classes - 1) === isCopied ? -80 : 0;
    }
    expectClose(crossEntropyLoss(logits, target).value, baseline, { within: 1e-12 });
  });

  test('gives as many batches as asked, the same for the same seed', () => {
    expect([...draw({ batches: 2, batchSize: 1 })]).toEqual([...draw({ batches: 2, batchSize: 1 })]);
    const [first, second] = [...draw({ batches: 2, batchSize: 1 })];
    expect(first).not.toEqual(second);
  });

  test.each<[object, string, string?]>([
    [{ delay: 0 }, 'delay: expected an integer from 1'],
    [{ symbols: 1 }, 'symbols: expected an integer from 2'],
    [{ copyLength: 0 }, 'copyLength'],
    [{ generator: undefined }, 'generator: expected a Generator'],
    [{ batchSize: 2 ** 28 }, 'rows', 'ERR_SHAPE'],
    [{ sequenceLength: 5 }, 'unknown option "sequenceLength"'],
  ])('refuses %j', (overrides, text, code = 'ERR_OPTION') => {
    expectRefused(() => draw(overrides), code as 'ERR_OPTION', text);
  });
});
