import {
  Adam,
  type ErrorCode,
  fit,
  Generator,
  gradientFlow,
  LastStep,
  type Layer,
  type LayerFlow,
  LayerNorm,
  Linear,
  LSTM,
  mseLoss,
  type Placement,
  RNN,
  Sequential,
  Tensor,
} from '../../lib/index';
import { evenkeelError, expectRefused } from '../helpers/errors';

const dtype = 'float64';
const [N, T, I, H] = [3, 9, 2, 5];

function makeModel(seed = 1) {
  const generator = new Generator(seed);
  return new Sequential({
    first: new RNN({ inputSize: I, hiddenSize: H, dtype, generator }),
    inner: new Sequential({ ln: new LayerNorm({ size: H, dtype }), second: new RNN({ inputSize: H, hiddenSize: H, dtype, generator }) }),
  });
}
const random = (shape: number[], seed: number) => Tensor.randn(shape, { dtype, generator: new Generator(seed) });
const inputOf = (t = T) => random([N, t, I], 2);

/** ln‖∂L/∂h_t‖ of one sequence by central differences: of a loss of the last state, by the state that a second call starts from. */
function byDifferences(rnn: RNN, input: Tensor, target: Tensor, sequence: number, step: number): number {
  const rest = new Tensor(input.data.slice((sequence * T + step) * I, (sequence + 1) * T * I), [1, T - step, I]);
  const before = new Tensor(input.data.slice(sequence * T * I, (sequence * T + step) * I), [1, step, I]);
  rnn.forward(before);
  const state = new Tensor(rnn.finalState.data.slice(), [1, H]);
  const row = target.data.subarray(sequence * H, (sequence + 1) * H);
  const loss = () => {
    rnn.forward(rest, { initialState: state });
    // The mean over all N · H elements, of which this sequence has H.
    return [...rnn.finalState.data].reduce((sum, value, i) => sum + (value - (row[i] as number)) ** 2, 0) / (N * H);
  };
  let squares = 0;
  for (let i = 0; i < H; i++) {
    const value = state.data[i] as number;
    state.data[i] = value + 1e-6;
    const above = loss();
    state.data[i] = value - 1e-6;
    squares += ((above - loss()) / 2e-6) ** 2;
    state.data[i] = value;
  }
  return 0.5 * Math.log(squares);
}

test('the norms are those of central differences, over all sequences and of each', () => {
  const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype, normalization: 'recurrent-input', generator: new Generator(4) });
  const [input, target] = [inputOf(), random([N, H], 3)];
  const [layer] = gradientFlow(rnn, input, { target, perSequence: true }).layers;
  expect(layer?.name).toBe('rnn');
  expect(layer?.sequenceLogNorms?.shape).toEqual([N, T]);
  for (const step of [1, 4, T - 1]) {
    const each = Array.from({ length: N }, (_, sequence) => byDifferences(rnn, input, target, sequence, step));
    for (const [n, expected] of each.entries()) expect(layer?.sequenceLogNorms?.data[n * T + step - 1]).toBeCloseTo(expected, 6);
    expect(layer?.logNorms[step - 1]).toBeCloseTo(0.5 * Math.log(each.reduce((sum, ln) => sum + Math.exp(2 * ln), 0)), 6);
  }
});

test('states that grow behind a LayerNorm are seen, while the loss and the gradient of the last state say nothing', () => {
  const generator = new Generator(2);
  const recurrentInitializer = { name: 'orthogonal', gain: 2.5 } as const;
  const rnn = new RNN({
    inputSize: I,
    hiddenSize: H,
    nonlinearity: 'relu',
    recurrentInitializer,
    dtype,
    generator,
    returnSequences: false,
  });
  const model = new Sequential({ rnn, ln: new LayerNorm({ size: H, dtype }) });
  const input = random([N, 150, I], 3);
  const [layer] = gradientFlow(model, input).layers;
  const wide = new RNN({ inputSize: I, hiddenSize: H, nonlinearity: 'relu', dtype });
  wide.loadStateDict(rnn.stateDict());
  const states = wide.forward(input).data;
  for (const t of [0, 70, 149]) {
    const squares = [0, 1, 2].flatMap((n) => [...states.subarray((n * 150 + t) * H, (n * 150 + t + 1) * H)].map((h) => h * h));
    expect(layer?.states.logNorms[t]).toBeCloseTo(0.5 * Math.log(squares.reduce((sum, square) => sum + square, 0)), 10);
  }
  expect(layer?.states.verdict).toBe('exploding');
  expect(layer?.states.growthRate).toBeGreaterThan(0.1);
});

test('states of an LSTM are h and c together; of a sequence that ends early, those up to its end', async () => {
  const lstm = new LSTM({ inputSize: I, hiddenSize: H, dtype, generator: new Generator(3), checkpointing: { every: 4 } });
  const input = inputOf();
  const [layer] = gradientFlow(lstm, input).layers;
  lstm.forward(input);
  const { h, c } = lstm.finalState;
  expect(layer?.states.logNorms[T - 1]).toBeCloseTo(Math.log(Math.hypot(...h.data, ...c.data)), 10);
  const model = makeModel();
  const batch = { input, target: random([N, T, H], 8), lengths: [T, 4, 6] };
  const { gradientFlow: flows } = await fit(model, [batch], {
    loss: mseLoss,
    optimizer: new Adam(model.parameters()),
    gradientFlow: { every: 1 },
  });
  for (const { states, verdict } of flows?.[0]?.layers ?? []) {
    expect([states.verdict, Number.isFinite(states.growthRate), typeof verdict]).toEqual(['stable', true, 'string']);
  }
});

test('every recurrent layer is there by its name, and nothing of the model changes', () => {
  const model = makeModel();
  for (const { grad } of model.parameters()) grad.data.fill(0.5);
  const before = model.parameters().map(({ value }) => [...value.data]);
  const flow = gradientFlow(model, inputOf(), { loss: 'all-steps' });
  expect(flow.layers.map(({ name }) => name)).toEqual(['first', 'inner.second']);
  for (const { logNorms, sequenceLogNorms } of flow.layers) {
    expect(logNorms).toHaveLength(T);
    expect(logNorms.every(Number.isFinite)).toBe(true);
    expect(sequenceLogNorms).toBeUndefined();
  }
  expect(model.parameters().map(({ value }) => [...value.data])).toEqual(before);
  expect(model.parameters().every(({ grad }) => grad.data.every((value) => value === 0.5))).toBe(true);
  expect((model.layers.first as RNN).recordStateGradients).toBe(false);
});

test('a loss on the last step is the same whether the model puts out all steps or the last', () => {
  const make = (last: boolean) => {
    const generator = new Generator(5);
    const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype, generator });
    const head = new Linear({ inputSize: H, outputSize: 2, dtype, generator });
    return new Sequential(last ? [rnn, new LastStep(), head] : [rnn, head]);
  };
  const [whole, last] = [gradientFlow(make(false), inputOf()), gradientFlow(make(true), inputOf())];
  expect(whole.layers[0]?.logNorms).toEqual(last.layers[0]?.logNorms);
  // Of a target for all steps it takes the last.
  const target = random([N, T, 2], 6);
  const lastTarget = new LastStep().forward(target);
  const flows = [
    gradientFlow(make(false), inputOf(), { target }),
    gradientFlow(make(false), inputOf(), { target: lastTarget }),
    gradientFlow(make(true), inputOf(), { target: lastTarget }),
  ].map(({ layers }) => layers[0]?.logNorms);
  expect(flows[1]).toEqual(flows[0]);
  expect(flows[2]).toEqual(flows[0]);
  expect(flows[0]).not.toEqual(whole.layers[0]?.logNorms);
});

// Of the norm over the batch: a reference in PyTorch gives medians of −0.007, −0.028 and 0.099 over eight draws of its own, from −0.027 to 0.008, −0.045 to −0.005 and
// 0.095 to 0.116.
describe('growth per step backwards with W_hh orthogonal times 1.5, eight draws', () => {
  const growthRates = (normalization: Placement) =>
    Array.from({ length: 8 }, (_, seed) => {
      const generator = new Generator(seed + 1);
      const recurrentInitializer = { name: 'orthogonal', gain: 1.5 } as const;
      const rnn = new RNN({ inputSize: 10, hiddenSize: 20, dtype, generator, normalization, recurrentInitializer });
      return gradientFlow(rnn, Tensor.randn([32, 200, 10], { dtype, generator })).layers[0] as LayerFlow;
    }).sort((a, b) => a.batchGrowthRate - b.batchGrowthRate);
  const median = (flows: LayerFlow[]) => ((flows[3]?.batchGrowthRate ?? Number.NaN) + (flows[4]?.batchGrowthRate ?? Number.NaN)) / 2;

  test('hidden explodes in each', () => {
    const flows = growthRates('hidden');
    expect(median(flows)).toBeGreaterThan(0.1);
    expect(median(flows)).toBeLessThan(0.12);
    expect(flows[0]?.batchGrowthRate).toBeGreaterThan(0.07);
    expect(flows.map(({ verdict }) => verdict)).toEqual(Array(8).fill('exploding'));
  });

  test.each<Placement>(['none', 'preactivation'])('%s stays about where it is', (normalization) => {
    const flows = growthRates(normalization);
    expect(Math.abs(median(flows))).toBeLessThan(0.02);
    expect(flows[7]?.batchGrowthRate).toBeLessThan(0.02);
    expect(flows.map(({ verdict }) => verdict)).not.toContain('exploding');
  });
});

test('a million steps whose gradient overflows float32 ten thousand times: finite, at the right rate, with the horizon it passed', () => {
  const rnn = new RNN({
    inputSize: 1,
    hiddenSize: 2,
    recurrentInitializer: { name: 'orthogonal', gain: 2.5 },
    generator: new Generator(1),
  });
  for (const bias of ['bias_ih_l0', 'bias_hh_l0']) rnn.stateDict()[bias]?.data.fill(0);
  // Without input the states stay 0, where tanh' is 1: ∂h_t/∂h_{t-1} is W_hh, 2.5 times an orthogonal matrix.
  const target = Tensor.from([[3, -4]]);
  const [layer] = gradientFlow(rnn, Tensor.zeros([1, 1_000_000, 1]), { target }).layers;
  expect(layer?.logNorms.every(Number.isFinite)).toBe(true);
  expect(layer?.logNorms[0]).toBeGreaterThan(1e4 * Math.log(3.4e38));
  expect(layer?.growthRate).toBeCloseTo(Math.log(2.5), 6);
  expect(layer?.verdict).toBe('exploding');
  // The gradient starts at the norm of the target.
  expect(layer?.horizon).toBe(Math.ceil((128 * Math.LN2 - Math.log(5)) / Math.log(2.5)));
});

describe('fit records the flow of the training loss', () => {
  test('in every so many steps, and changes nothing', async () => {
    const run = async (gradientFlow?: { every: number }) => {
      const model = makeModel(7);
      const batch = { input: inputOf(), target: random([N, T, H], 8) };
      const optimizer = new Adam(model.parameters(), { learningRate: 0.01 });
      return fit(model, [batch, batch, batch, batch, batch], { loss: mseLoss, optimizer, ...(gradientFlow && { gradientFlow }) });
    };
    const [plain, recorded] = [await run(), await run({ every: 2 })];
    expect(plain.gradientFlow).toBeUndefined();
    expect(recorded.loss).toEqual(plain.loss);
    expect(recorded.gradientFlow?.map(({ step }) => step)).toEqual([1, 3, 5]);
    const first = gradientFlow(makeModel(7), inputOf(), { loss: 'all-steps', target: random([N, T, H], 8) });
    expect(recorded.gradientFlow?.[0]?.layers).toEqual(first.layers);
  });

  test('and leaves out a step that was skipped', async () => {
    const model = makeModel();
    const bad = { input: inputOf(), target: new Tensor(new Float64Array(N * T * H).fill(Number.NaN), [N, T, H]) };
    const optimizer = new Adam(model.parameters());
    const history = await fit(model, [bad], { loss: mseLoss, optimizer, nonFinite: 'skip', gradientFlow: { every: 1 } });
    expect(history.skipped).toEqual([true]);
    expect(history.gradientFlow).toEqual([]);
  });

  test('and refuses a batch of two steps before it trains on it, in the words of fit', async () => {
    const model = makeModel();
    const before = model.parameters().map(({ value }) => value.toArray());
    const short = { input: inputOf(2), target: random([N, 2, H], 8) };
    const optimizer = new Adam(model.parameters());
    await expect(fit(model, [short], { loss: mseLoss, optimizer, gradientFlow: { every: 1 } })).rejects.toEqual(
      evenkeelError('ERR_SHAPE', `step 1, epoch 1: input: expected [N, T, I] with T of at least 3, got [${N}, 2, ${I}].`),
    );
    expect(model.parameters().map(({ value }) => value.toArray())).toEqual(before);
  });
});

describe('refusals', () => {
  const rnn = () => new RNN({ inputSize: I, hiddenSize: H, dtype });
  const withLast = () => new Sequential([rnn(), new LastStep()]);
  const infinite = new Tensor(new Float64Array(N * H).fill(Number.POSITIVE_INFINITY), [N, H]);
  test.each<[string, () => unknown, ErrorCode, string]>([
    [
      'no recurrent layer',
      () => gradientFlow(new LayerNorm({ size: I, dtype }), inputOf()),
      'ERR_OPTION',
      'model: expected a recurrent layer, or',
    ],
    ['no layer', () => gradientFlow(3 as unknown as Layer, inputOf()), 'ERR_OPTION', 'model: expected a layer'],
    ['two steps', () => gradientFlow(rnn(), inputOf(2)), 'ERR_SHAPE', 'T of at least 3'],
    ['another target', () => gradientFlow(rnn(), inputOf(), { target: random([N, 2], 1) }), 'ERR_SHAPE', 'target'],
    ['another target of all steps', () => gradientFlow(rnn(), inputOf(), { target: random([N, T + 1, H], 1) }), 'ERR_SHAPE', 'target'],
    ['another loss', () => gradientFlow(rnn(), inputOf(), { loss: 'some' as 'all-steps' }), 'ERR_OPTION', 'loss'],
    ['all steps of the last alone', () => gradientFlow(withLast(), inputOf(), { loss: 'all-steps' }), 'ERR_SHAPE', "'last-step'"],
    ['a misspelt option', () => gradientFlow(rnn(), inputOf(), { perSequences: true } as object), 'ERR_OPTION', 'perSequence'],
    ['a target that is not finite', () => gradientFlow(rnn(), inputOf(), { target: infinite }), 'ERR_NON_FINITE', 'the loss is Infinity'],
  ])('%s', (_, call, code, text) => expectRefused(call, code, text));
});

test('a stateful layer goes on from where it was, also after a loss that is not finite', () => {
  const rnn = new RNN({ inputSize: I, hiddenSize: H, dtype, stateful: true, generator: new Generator(4) });
  rnn.forward(inputOf());
  const before = rnn.carriedState();
  gradientFlow(rnn, inputOf());
  expect(rnn.carriedState()).toEqual(before);
  const bad = inputOf();
  bad.data[0] = Number.NaN;
  expectRefused(() => gradientFlow(rnn, bad), 'ERR_NON_FINITE', 'the loss is NaN');
  expect(rnn.carriedState()).toEqual(before);
});
