// A predictor computes what its model's predict does, bit by bit, in whole sequences and step by step, in any thread.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  Dropout,
  Embedding,
  Generator,
  GRU,
  getNumThreads,
  LastStep,
  type Layer,
  Linear,
  LSTM,
  Predictor,
  RNN,
  Sequential,
  setNumThreads,
  Tensor,
} from '../../lib/index';
import { models, Scale } from './layers';

const threadsBefore = getNumThreads();
afterAll(() => setNumThreads(threadsBefore));

const numbers = ({ data }: Tensor) => Array.from(data);
const generator = new Generator(5);
const head = (inputSize: number) => new Linear({ inputSize, outputSize: 2, generator });
const make = (options: object = {}) =>
  new Sequential({
    lstm: new LSTM({
      inputSize: 3,
      hiddenSize: 40,
      numLayers: 2,
      projSize: 20,
      normalization: 'split-preactivation',
      generator,
      ...options,
    }),
    drop: new Dropout(),
    gru: new GRU({ inputSize: 20, hiddenSize: 70, generator }),
    head: head(70),
  });

describe('a run', () => {
  test.each(models)('of $name gives the bits of predict', ({ make: makeModel, input }) => {
    const model = makeModel();
    const predictor = new Predictor(model);
    const expected = model.predict === undefined ? model.forward(input) : model.predict(input);
    expect(numbers(predictor.run(input).output)).toEqual(numbers(expected));
  });

  test.each([1, 2, 5, 40])('of %i sequences goes on where another ended, and with lengths', (n) => {
    for (const threads of [1, 2]) {
      setNumThreads(threads);
      const model = make();
      const predictor = new Predictor(model);
      const x = Tensor.randn([n, 7, 3], { generator });
      const lengths = Array.from({ length: n }, (_, i) => i % 8);
      expect(numbers(predictor.run(x, { lengths }).output)).toEqual(numbers(model.predict(x, { lengths })));
      const whole = numbers(model.predict(x));
      let state = {};
      const parts: number[][] = Array.from({ length: n }, () => []);
      for (const [begin, end] of [
        [0, 1],
        [1, 4],
        [4, 7],
      ] as const) {
        const part = Float32Array.from({ length: n * (end - begin) * 3 }, (_, i) => {
          const [row, column] = [Math.floor(i / (3 * (end - begin))), i % (3 * (end - begin))];
          return x.data[row * 21 + begin * 3 + column] as number;
        });
        const made = predictor.run(new Tensor(part, [n, end - begin, 3]), { state });
        state = made.state;
        for (let row = 0; row < n; row++)
          parts[row]?.push(...made.output.data.subarray(row * 2 * (end - begin), (row + 1) * 2 * (end - begin)));
      }
      expect(Object.keys(state)).toEqual(['lstm.h', 'lstm.c', 'gru.state']);
      // The head's products sum in another order for another number of rows.
      for (const [i, value] of parts.flat().entries()) expect(Math.abs(value - (whole[i] as number))).toBeLessThan(1e-6);
    }
  });

  test('refuses the state of another model, and a part of one', () => {
    const predictor = new Predictor(make());
    const x = Tensor.randn([2, 3, 3], { generator });
    const { state } = predictor.run(x);
    const { 'gru.state': gru, ...others } = state;
    expect(() => predictor.run(x, { state: others })).toThrow('expected the state of every layer, gru among them');
    expect(() => predictor.run(x, { state: { ...state, 'rnn.state': gru as Tensor } })).toThrow(
      'expected names that begin with lstm or gru',
    );
    expect(() => predictor.run(Tensor.randn([3, 3, 3]), { state })).toThrow('state: expected shape [2, 3, 60], got [2, 2, 60]');
  });
});

describe('a stream', () => {
  test.each<[string, () => Layer, number]>([
    ['an RNN', () => new RNN({ inputSize: 3, hiddenSize: 5, generator }), 3],
    ['a large LSTM', () => new LSTM({ inputSize: 3, hiddenSize: 257, generator }), 3],
    ['a stack', make, 3],
    ['in float64', () => new GRU({ inputSize: 3, hiddenSize: 9, dtype: 'float64', generator }), 3],
    ['the last step', () => new Sequential([new RNN({ inputSize: 3, hiddenSize: 5, generator }), new LastStep(), head(5)]), 3],
    ['no sequences', () => new Sequential([new RNN({ inputSize: 3, hiddenSize: 5, returnSequences: false, generator }), head(5)]), 3],
    [
      'a layer of one’s own',
      () => new Sequential([new Scale({ size: 3, factor: 2 }), new RNN({ inputSize: 3, hiddenSize: 5, generator })]),
      3,
    ],
    [
      'symbols',
      () =>
        new Sequential([
          new Embedding({ vocabularySize: 7, embeddingSize: 4, generator }),
          new LSTM({ inputSize: 4, hiddenSize: 6, generator }),
        ]),
      0,
    ],
  ])('of %s gives the bits of a run', (_, makeModel, width) => {
    const model = makeModel();
    const predictor = new Predictor(model);
    const dtype = (model as Partial<GRU>).dtype ?? 'float32';
    for (const n of [1, 3]) {
      const [stream, other] = [predictor.stream(n), predictor.stream(n)];
      let state = {};
      for (let step = 0; step < 4; step++) {
        const x = Tensor.randn(width === 0 ? [n] : [n, width], { generator, dtype });
        if (width === 0) for (let i = 0; i < n; i++) x.data[i] = generator.integer(7);
        const made = predictor.run(new Tensor(x.data, width === 0 ? [n, 1] : [n, 1, width]), { state });
        state = made.state;
        const y = stream.step(x);
        expect(y.shape).toEqual([n, y.size / n]);
        expect(numbers(y)).toEqual(numbers(made.output));
        expect(stream.state).toEqual(state);
        // Another stream of the same weights goes its own way.
        other.step(x);
        other.reset();
        expect(other.state).toEqual({});
      }
      const copy = predictor.stream(n);
      copy.state = stream.state;
      const x = width === 0 ? Tensor.zeros([n]) : Tensor.randn([n, width], { generator, dtype });
      expect(numbers(copy.step(x))).toEqual(numbers(stream.step(x)));
    }
  });

  test('that is refused a step has its state as before', () => {
    const stream = new Predictor(
      new Sequential([new RNN({ inputSize: 3, hiddenSize: 5 }), new Embedding({ vocabularySize: 2, embeddingSize: 2 })]),
    ).stream();
    expect(() => stream.step(Tensor.randn([1, 3]))).toThrow('a symbol');
    expect(stream.state).toEqual({});
    expect(() => stream.step(Tensor.randn([1, 4]))).toThrow('input: expected shape [1, 3], one step of each sequence, got [1, 4]');
    expect(() => stream.step(Tensor.randn([3], { dtype: 'float64' }))).toThrow('expected a float32 tensor');
  });

  test('is of a whole number of sequences', () => {
    const predictor = new Predictor(make());
    for (const sequences of [0, 1.5, Number.NaN, '1'])
      expect(() => predictor.stream(sequences as number)).toThrow('sequences: expected an integer from 1');
  });

  test('of a reverse direction there is none', () => {
    expect(() => new Predictor(new RNN({ inputSize: 1, hiddenSize: 2, bidirectional: true })).stream()).toThrow(
      'goes forward in time alone',
    );
  });

  test('the predictor has one of its own', () => {
    const predictor = new Predictor(new RNN({ inputSize: 2, hiddenSize: 3 }));
    const stream = predictor.stream();
    const x = Tensor.randn([2]);
    expect([predictor.step(x), predictor.step(x)].map(numbers)).toEqual([stream.step(x), stream.step(x)].map(numbers));
  });
});

describe('new weights', () => {
  test('are taken over between two calls, and streams go on from their states', () => {
    const [before, after] = [make(), make()];
    const predictor = new Predictor(before);
    const [x, y] = [Tensor.randn([1, 3], { generator }), Tensor.randn([1, 3], { generator })];
    const stream = predictor.stream();
    stream.step(x);
    const { state } = stream;
    const handle = predictor.share();
    predictor.update(after);
    const expected = new Predictor(after).run(new Tensor(y.data, [1, 1, 3]), { state });
    expect(numbers(stream.step(y))).toEqual(numbers(expected.output));
    // Whoever has the old ones keeps them.
    const whole = Tensor.randn([2, 3, 3], { generator });
    expect(numbers(Predictor.from(handle).run(whole).output)).toEqual(numbers(before.predict(whole)));
    predictor.update(handle);
    expect(numbers(predictor.run(whole).output)).toEqual(numbers(before.predict(whole)));
  });

  test('are the model’s own no more', () => {
    const model = make();
    const predictor = new Predictor(model);
    const x = Tensor.randn([2, 3, 3], { generator });
    const expected = numbers(predictor.run(x).output);
    for (const { value } of model.parameters()) value.data.fill(Number.NaN);
    expect(numbers(predictor.run(x).output)).toEqual(expected);
  });

  test('of another model are refused, and of no model', () => {
    const predictor = new Predictor(make());
    const x = Tensor.randn([1, 2, 3], { generator });
    const expected = numbers(predictor.run(x).output);
    expect(() => predictor.update(make({ normalization: 'none' }))).toThrow('expected a model of the same layers and options');
    expect(() => predictor.update(new RNN({ inputSize: 3, hiddenSize: 2 }))).toThrow('expected a model of the same layers and options');
    const { architecture, weights } = predictor.share();
    const small = new SharedArrayBuffer(64);
    expect(() => predictor.update({ architecture, weights: small })).toThrow('handle: expected what Predictor.share gave');
    expect(() => Predictor.from({ architecture: '{', weights })).toThrow('handle: expected what Predictor.share gave');
    expect(() => Predictor.from({ architecture, weights: weights.slice(0) as never as SharedArrayBuffer })).not.toThrow();
    expect(() => Predictor.from({ architecture, weights: new ArrayBuffer(8) as never })).toThrow('expected a SharedArrayBuffer');
    expect(numbers(predictor.run(x).output)).toEqual(expected);
  });
});

test('gradients take no memory of their own', () => {
  const model = new Predictor(new Sequential([new LSTM({ inputSize: 1, hiddenSize: 8 }), new Linear({ inputSize: 8, outputSize: 8 })]));
  expect(model.share().weights.byteLength).toBe(32 * 4 + 32 * 8 * 4 + 2 * (32 * 4) + 8 * 8 * 4 + 64);
});

test('several threads compute with one copy of the weights', async () => {
  const model = make();
  const predictor = new Predictor(model);
  const x = Tensor.randn([1, 50, 3], { generator });
  const expected = numbers(model.predict(x));
  const program = `
    const { Predictor, Tensor } = require(${JSON.stringify(join(__dirname, '../../dist/index.js'))});
    const { parentPort, workerData: { handle, x } } = require('node:worker_threads');
    const predictor = Predictor.from(handle);
    let last;
    for (let run = 0; run < 20; run++) last = predictor.run(new Tensor(x, [1, 50, 3])).output.data;
    parentPort.postMessage({ last, isSame: predictor.share().weights.byteLength === handle.weights.byteLength });
  `;
  const answers = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise<{ last: Float32Array }>((resolve, reject) => {
          const worker = new Worker(program, { eval: true, workerData: { handle: predictor.share(), x: x.data } });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  for (const { last } of answers) expect(Array.from(last)).toEqual(expected);
});
