// Dropout between layers, recurrent dropout and zoneout: their masks, their gradients, and what stands for them outside training.
import {
  Adam,
  type Checkpointing,
  fit,
  Generator,
  GRU,
  type Layer,
  LSTM,
  type LSTMState,
  type mseLoss,
  type RecurrentLayer,
  RNN,
  setNumThreads,
  Tensor,
} from '../../lib/index';
import { native } from '../../lib/native/load';
import { expectRefused } from '../helpers/errors';
import { checkGradients, type Differentiated, dot } from '../helpers/gradient-check';

const dtype = 'float64';
const [N, T, I, H] = [5, 9, 3, 6];
const lengths = [9, 4, 0, 1, 9];
const random = (shape: readonly number[], seed = 1) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const CELLS = { rnn: RNN, lstm: LSTM, gru: GRU };
const KINDS = Object.keys(CELLS) as (keyof typeof CELLS)[];
const make = (kind: keyof typeof CELLS, options: object = {}) =>
  new CELLS[kind]({ inputSize: I, hiddenSize: H, dtype, generator: new Generator(9), ...options }) as RecurrentLayer<unknown>;
const partsOf = (state: unknown): Tensor[] => (state instanceof Tensor ? [state] : Object.values(state as LSTMState));

afterEach(() => native().setScanStrategy('auto'));

/** A forward and a backward pass; the same masks for layers made alike. */
function passes(layer: RecurrentLayer<unknown>, x: Tensor, options: object = {}) {
  const output = layer.forward(x, options);
  const final = partsOf(layer.finalState).map(({ data }) => data.slice());
  const gradInput = layer.backward(Tensor.randn(output.shape, { dtype: output.dtype, generator: new Generator(2) }));
  const initial = partsOf(layer.gradInitialState).map(({ data }) => data.slice());
  return {
    output: output.data.slice(),
    gradInput: gradInput.data,
    final,
    initial,
    gradients: layer.parameters().map(({ grad }) => grad.data),
  };
}

const MASKS = [
  { zoneout: 0.3 },
  { recurrentDropout: 0.4 },
  { zoneout: 0.2, recurrentDropout: 0.3, dropout: 0.5, numLayers: 3 },
  { zoneout: 0.2, recurrentDropout: 0.3, dropout: 0.5, numLayers: 2, bidirectional: true },
];

describe.each(KINDS)('%s', (kind) => {
  describe.each(MASKS)('%o', (options) => {
    test('same bits whatever the threads and the checkpointing, and not from call to call', () => {
      const x = random([N, T, I]);
      for (const call of [{}, { lengths }]) {
        const expected = passes(make(kind, options), x, call);
        for (const threads of [1, 3]) {
          setNumThreads(threads);
          for (const checkpointing of ['none', { every: 2 }] as Checkpointing[])
            expect(passes(make(kind, { ...options, checkpointing }), x, call)).toEqual(expected);
        }
        setNumThreads(2);
        const layer = make(kind, options);
        expect(layer.forward(x, call).data).toEqual(expected.output);
        expect(layer.forward(x, call).data).not.toEqual(expected.output);
      }
    });

    test('central differences, the masks fixed', () => {
      const layer = make(kind, { ...options, hiddenSize: 3 });
      const x = random([3, 4, I]);
      const counts = [3, 0, 4];
      const masks = layer.carriedState();
      const forward = () => {
        layer.loadCarriedState(masks);
        return layer.forward(x, { lengths: counts });
      };
      const output = forward();
      const dy = random([...output.shape], 5);
      const gradInput = layer.backward(dy);
      const parameters = Object.fromEntries(layer.parameters().map((parameter): [string, Differentiated] => [parameter.name, parameter]));
      checkGradients(() => dot(forward(), dy), { ...parameters, x: { value: x, grad: gradInput } });
    });

    test('lengths: a sequence has the masks that it has alone, whatever its place in the order and its padding', () => {
      const x = random([N, T, I]);
      const whole = make(kind, options).forward(x, { lengths });
      const width = whole.shape[2] as number;
      const first = make(kind, options).forward(new Tensor(x.data.slice(0, 2 * T * I), [2, T, I]), { lengths: lengths.slice(0, 2) });
      for (const [index, value] of first.data.entries()) expect(value).toBeCloseTo(whole.data[index] as number, 12);
      expect(whole.data.subarray((T + 4) * width, 2 * T * width).every((value) => value === 0)).toBe(true);
    });

    test('no masks in predict and outside training; a call in between does not disturb the masks', () => {
      const [x, layer, other] = [random([N, T, I]), make(kind, options), make(kind, options)];
      const predicted = layer.predict(x).data;
      expect(layer.predict(x).data).toEqual(predicted);
      expect(layer.forward(x, { training: false }).data).toEqual(predicted);
      expect(layer.forward(x).data).toEqual(other.forward(x).data);
      if (!('zoneout' in options)) {
        const plain = make(kind, { ...options, recurrentDropout: 0, dropout: 0 });
        for (const [index, value] of predicted.entries()) expect(value).toBeCloseTo(plain.predict(x).data[index] as number, 12);
      }
    });
  });

  describe.each(['blas', 'panels', 'single', 'columns', 'lanes'])('on every way through time: %s', (strategy) => {
    test.each([
      ['float64', { zoneout: 0.3 }],
      ['float32', { zoneout: 0.3 }],
      ['float64', { recurrentDropout: 0.4 }],
      ['float32', { recurrentDropout: 0.4 }],
      ['float64', { recurrentDropout: 0.4, zoneout: 0.3 }],
    ] as const)('%s, %o', (type, options) => {
      const x = Tensor.randn([19, 5, I], { dtype: type, generator: new Generator(1) });
      const run = () => passes(make(kind, { ...options, dtype: type, hiddenSize: 37 }), x);
      const expected = run();
      native().setScanStrategy(strategy);
      const { output, gradients } = run();
      const digits = type === 'float64' ? [12, 8] : [5, 2];
      for (const [index, value] of output.entries()) expect(value).toBeCloseTo(expected.output[index] as number, digits[0]);
      for (const [k, gradient] of gradients.entries())
        for (const [index, value] of gradient.entries()) expect(value).toBeCloseTo(expected.gradients[k]?.[index] as number, digits[1]);
    });
  });

  test('zoneout: what is held is exactly what was there, in a share p of the cases, whatever the unit and the step before', () => {
    const [n, t, h, p] = [64, 60, 16, 0.3];
    const layer = make(kind, { hiddenSize: h, zoneout: p });
    const x = random([n, t, I]);
    const { data } = layer.forward(x);
    const held = (row: number, step: number, unit: number) =>
      Number(data[(row * t + step) * h + unit] === data[(row * t + step - 1) * h + unit]);
    const count = n * (t - 1) * h;
    let [sum, pairsInTime, pairsOfUnits, pairsOfRows] = [0, 0, 0, 0];
    for (let row = 0; row < n; row++) {
      for (let step = 1; step < t; step++) {
        for (let unit = 0; unit < h; unit++) {
          const own = held(row, step, unit);
          sum += own;
          pairsInTime += step > 1 ? own * held(row, step - 1, unit) : 0;
          pairsOfUnits += own * held(row, step, (unit + 1) % h);
          pairsOfRows += own * held((row + 1) % n, step, unit);
        }
      }
    }
    // Five standard errors: false alarms come once in two million.
    const near = (share: number, expected: number, of: number) =>
      expect(Math.abs(share - expected)).toBeLessThan(5 * Math.sqrt((expected * (1 - expected) * 3) / of));
    near(sum / count, p, count);
    near(pairsInTime / (n * (t - 2) * h), p * p, count);
    near(pairsOfUnits / count, p * p, count);
    near(pairsOfRows / count, p * p, count);
  });
});

test('recurrent dropout: one mask for all steps of a sequence, whose mean is 1', () => {
  const [n, t, h, p] = [200, 4, 32, 0.25];
  // h_t = relu(x_t + h_{t−1} ⊙ mask): of x = 1 at the first step alone, every later h is the mask's power.
  const layer = new RNN({
    inputSize: 1,
    hiddenSize: h,
    nonlinearity: 'relu',
    bias: false,
    recurrentDropout: p,
    dtype,
    generator: new Generator(4),
  });
  const [weightIh, weightHh] = layer.parameters().map(({ value }) => value.data);
  weightIh?.fill(1);
  for (let i = 0; i < h * h; i++) (weightHh as Float64Array)[i] = i % (h + 1) === 0 ? 1 : 0;
  const x = Tensor.zeros([n, t, 1], { dtype });
  for (let row = 0; row < n; row++) x.data[row * t] = 1;
  const { data } = layer.forward(x);
  let kept = 0;
  for (let row = 0; row < n; row++) {
    for (let unit = 0; unit < h; unit++) {
      const at = (step: number) => data[(row * t + step) * h + unit] as number;
      const mask = at(1);
      expect(mask === 0 || Math.abs(mask - 1 / (1 - p)) < 1e-12).toBe(true);
      expect(at(3)).toBeCloseTo(mask ** 3, 12);
      kept += Number(mask > 0);
    }
  }
  expect(Math.abs(kept / (n * h) - (1 - p))).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / (n * h)));
});

test('dropout between layers: elements by themselves, not after the last layer', () => {
  const layer = new RNN({
    inputSize: 1,
    hiddenSize: 8,
    numLayers: 2,
    nonlinearity: 'relu',
    bias: false,
    dropout: 0.5,
    dtype,
    generator: new Generator(4),
  });
  const [ofFirst, back, ofSecond, backToo] = layer.parameters().map(({ value }) => value.data);
  ofFirst?.fill(1);
  back?.fill(0);
  backToo?.fill(0);
  for (let i = 0; i < 64; i++) (ofSecond as Float64Array)[i] = i % 9 === 0 ? 1 : 0;
  const x = new Tensor(new Float64Array(1000).fill(1), [50, 20, 1]);
  const { data } = layer.forward(x);
  const twos = data.filter((value) => value === 2).length;
  expect(data.every((value) => value === 0 || value === 2)).toBe(true);
  expect(Math.abs(twos / data.length - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / data.length));
});

test('outside training zoneout gives what it gives in the mean', () => {
  const options = { inputSize: I, hiddenSize: 8, dtype } as const;
  // Linear in its state and small: relu of positive numbers, where the mean of the states is the state of the means.
  const layer = new RNN({ ...options, nonlinearity: 'relu', zoneout: 0.4, generator: new Generator(1) });
  for (const { value } of layer.parameters())
    for (let i = 0; i < value.size; i++) value.data[i] = 0.05 + 0.05 * Math.abs(value.data[i] as number);
  const x = new Tensor(random([1, 6, I]).data.map(Math.abs), [1, 6, I]);
  const many = new Tensor(
    new Float64Array(4000 * 6 * I).map((_, index) => x.data[index % (6 * I)] as number),
    [4000, 6, I],
  );
  const { data } = layer.forward(many);
  const expected = layer.predict(x).data;
  for (let k = 0; k < 48; k++) {
    let [sum, squares] = [0, 0];
    for (let row = 0; row < 4000; row++) {
      const value = data[row * 48 + k] as number;
      sum += value;
      squares += value * value;
    }
    const mean = sum / 4000;
    const error = Math.sqrt((squares / 4000 - mean * mean) / 4000);
    expect(Math.abs(mean - (expected[k] as number))).toBeLessThan(5 * error + 1e-12);
  }
});

test('an LSTM takes a probability for h and one for c', () => {
  const x = random([N, T, I]);
  const both = make('lstm', { zoneout: 0.3 }).forward(x);
  expect(make('lstm', { zoneout: { hidden: 0.3, cell: 0.3 } }).forward(x).data).toEqual(both.data);
  expect(make('lstm', { zoneout: { cell: 0.3 } }).forward(x).data).not.toEqual(both.data);
  expect(make('lstm', { zoneout: { hidden: 0, cell: 0 } }).forward(x).data).toEqual(make('lstm').forward(x).data);
  const stuck = make('lstm', { zoneout: { cell: 1 } }) as LSTM;
  stuck.forward(x);
  expect(stuck.finalState.c.data.every((value) => value === 0)).toBe(true);
  const projected = make('lstm', { zoneout: 0.3, projSize: 2, recurrentDropout: 0.2 });
  expect(passes(projected, x).output).toHaveLength(N * T * 2);
});

test('options out of range are refused', () => {
  for (const options of [
    { dropout: 1 },
    { dropout: -0.1 },
    { recurrentDropout: 1 },
    { zoneout: 1.1 },
    { zoneout: Number.NaN },
    { zoneout: { cell: 0.1 } },
  ])
    expectRefused(() => make('gru', options), 'ERR_OPTION', Object.keys(options)[0]);
  expectRefused(() => make('lstm', { zoneout: { forget: 0.1 } }), 'ERR_OPTION', 'zoneout');
  expectRefused(
    () => make('gru', { recurrentDropout: 0.1, resetAfter: false }),
    'ERR_OPTION',
    'recurrentDropout: expected 0 where resetAfter',
  );
});

test('the generator goes with the carried state, and fit takes it back with a refused step', async () => {
  const layer = make('gru', { zoneout: 0.2, stateful: true }) as Layer;
  const x = random([N, T, I]);
  layer.forward(x);
  const carried = layer.carriedState?.() ?? {};
  expect(Object.keys(carried).sort()).toEqual(['generator', 'state']);
  const next = layer.forward(x).data;
  layer.loadCarriedState?.(carried);
  expect(layer.forward(x).data).toEqual(next);
  expectRefused(() => layer.loadCarriedState?.({}), 'ERR_STATE', 'generator');
  expect(make('gru').carriedState()).toEqual({});

  const model = make('gru', { zoneout: 0.2 });
  const before = model.carriedState();
  const broken = () => ({ value: Number.NaN, grad: Tensor.zeros([N, T, H], { dtype }) });
  const batches = [{ input: x, target: x }];
  await expect(fit(model as Layer, batches, { loss: broken as typeof mseLoss, optimizer: new Adam(model.parameters()) })).rejects.toThrow();
  expect(model.carriedState()).toEqual(before);
});
