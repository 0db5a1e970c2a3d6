import { Generator, GRU, getNumThreads, LSTM, setNumThreads, Tensor } from '../../lib/index';

// A pass over a step or two takes the weights as they are, a longer one packs them first: neither must change a bit.
const threadsBefore = getNumThreads();
afterAll(() => setNumThreads(threadsBefore));

describe.each([
  ['an LSTM', (options: object) => new LSTM(options as never)],
  ['an LSTM with a projection', (options: object) => new LSTM({ ...options, projSize: 3 } as never)],
  [
    'a LayerNorm LSTM',
    (options: object) => new LSTM({ ...options, normalization: 'split-preactivation', cellNormalization: 'output' } as never),
  ],
  ['a GRU', (options: object) => new GRU(options as never)],
  ['a GRU that resets before its product', (options: object) => new GRU({ ...options, resetAfter: false } as never)],
] as const)('%s', (_, make) => {
  test.each([
    [1, 4],
    [10, 20],
    [7, 17],
    [64, 101],
    [33, 257],
  ])('of %i inputs and %i units gives the same bits step by step as in one pass', (inputSize, hiddenSize) => {
    for (const dtype of ['float32', 'float64'] as const) {
      for (const threads of [1, 2]) {
        setNumThreads(threads);
        const generator = new Generator(1);
        const layer = make({ inputSize, hiddenSize, dtype, stateful: true, generator });
        const t = 5;
        const x = Tensor.randn([1, t, inputSize], { generator, dtype });
        const whole = Array.from(layer.forward(x, { training: false }).data);
        for (const steps of [1, 2]) {
          layer.resetState();
          const parts: number[] = [];
          for (let begin = 0; begin < t; begin += steps) {
            const count = Math.min(steps, t - begin);
            const part = new Tensor(x.data.slice(begin * inputSize, (begin + count) * inputSize), [1, count, inputSize]);
            parts.push(...layer.forward(part, { training: false }).data);
          }
          expect(parts).toEqual(whole);
        }
      }
    }
  });
});
