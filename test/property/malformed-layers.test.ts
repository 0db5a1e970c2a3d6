// Malformed arguments of tensors, parameters and layers: see calls.ts.
import { Generator, GRU, LastStep, LayerNorm, Linear, LSTM, Parameter, RMSNorm, RNN, Sequential, Tensor } from '../../lib/index';
import {
  type Accepts,
  type Call,
  float64,
  generator,
  hasNoKeys,
  isBoolean,
  isDType,
  isInteger,
  isNumber,
  isReadableArray,
  isSize,
  makeRNN,
  makeSequential,
  never,
  optional,
  tensor,
  testCalls,
} from './calls';

const recurrentPlaces = {
  0: never,
  '0.inputSize': isSize,
  '0.hiddenSize': isSize,
  '0.normalization': optional(never),
  '0.bias': optional(isBoolean),
  '0.recurrentInitializer': optional(never),
  '0.inputInitializer': optional(never),
  '0.returnSequences': optional(isBoolean),
  '0.stateful': optional(isBoolean),
  '0.truncateAfter': optional(isSize),
  '0.dtype': optional(isDType),
  '0.generator': optional(never),
  '0.stateGradientLimit': optional(isNumber(Number.MIN_VALUE)),
  '0.checkpointing': optional(never),
};
const makeLSTM = () =>
  new LSTM({ inputSize: 4, hiddenSize: 5, projSize: 3, cellNormalization: 'output', generator: generator(), ...float64 });
const makeGRU = () => new GRU({ inputSize: 4, hiddenSize: 5, resetAfter: false, generator: generator(), ...float64 });
const lstmState = () => ({ h: tensor([2, 3]), c: tensor([2, 5]) });

const isLastStep: Accepts = (value) => {
  try {
    return value instanceof LastStep;
  } catch {
    return false;
  }
};
const makeLinear = () => new Linear({ inputSize: 4, outputSize: 5, generator: generator(), ...float64 });
const normPlaces = {
  0: never,
  '0.size': isSize,
  '0.eps': optional(isNumber(1e-37, (2 - 2 ** -23) * 2 ** 127)),
  '0.dtype': optional(isDType),
};

const layerCall = (
  makeLayer: () => RNN | LSTM | GRU | LayerNorm | RMSNorm | Linear | LastStep | Sequential,
  inputShape: number[],
  outputShape: number[],
): Record<string, Call> => {
  const probe = ([layer]: unknown[]) => {
    const subject = layer as Sequential;
    for (const { grad } of subject.parameters()) grad.data.fill(0);
    const output = subject.forward(tensor(inputShape));
    const gradInput = subject.backward(tensor(outputShape, 3));
    return [output.toArray(), gradInput.toArray(), ...subject.parameters().map(({ grad }) => grad.toArray())];
  };
  const takesAll = makeLayer() instanceof LastStep;
  const acceptsInput: Accepts = (value) => takesAll && Tensor.isTensor(value) && value.shape.length === 3 && value.data.length > 0;
  return {
    forward: {
      make: () => [makeLayer(), tensor(inputShape)],
      call: (layer, input) => (layer as Sequential).forward(input as Tensor),
      places: { 1: acceptsInput },
      probe,
    },
    backward: {
      make() {
        const layer = makeLayer();
        layer.forward(tensor(inputShape));
        return [layer, tensor(outputShape)];
      },
      call: (layer, gradOutput) => (layer as Sequential).backward(gradOutput as Tensor),
      places: { 1: never },
      probe,
    },
    loadStateDict: {
      make: () => [makeLayer(), makeLayer().stateDict()],
      call: (layer, state) => (layer as Sequential).loadStateDict(state as Record<string, Tensor>),
      places: takesAll
        ? { 1: hasNoKeys }
        : { 1: never, ...Object.fromEntries(Object.keys(makeLayer().stateDict()).map((name) => [`1.${name}`, never])) },
      probe,
    },
  };
};

const prefixed = (prefix: string, calls: Record<string, Call>) =>
  Object.fromEntries(Object.entries(calls).map(([name, call]) => [`${prefix}.${name}`, call]));

testCalls({
  'new Tensor': {
    make: () => [new Float64Array(6), [2, 3]],
    call: (data, shape) => new Tensor(data as Float64Array, shape as number[]),
    places: {
      0: (value) => ArrayBuffer.isView(value) && /^Float(32|64)Array$/.test(value.constructor.name) && (value as Float64Array).length === 6,
      1: isReadableArray,
    },
  },
  'Tensor.from': {
    make: () => [[[1, 2]], { dtype: 'float64' }],
    call: (numbers, options) => Tensor.from(numbers as number[], options as object),
    // Arrays of numbers are all right; those that are not are listed in the tests of Tensor.
    places: { 0: (value) => typeof value === 'number' || isReadableArray(value), 1: optional(hasNoKeys), '1.dtype': optional(isDType) },
  },
  'Tensor.zeros': {
    make: () => [[2, 3], { dtype: 'float64' }],
    call: (shape, options) => Tensor.zeros(shape as number[], options as object),
    places: { 0: isReadableArray, 1: optional(hasNoKeys), '1.dtype': optional(isDType) },
  },
  'Tensor.randn': {
    make: () => [[2, 3], { generator: generator(), dtype: 'float64' }],
    call: (shape, options) => Tensor.randn(shape as number[], options as { generator: Generator }),
    places: { 0: isReadableArray, 1: optional(hasNoKeys), '1.generator': optional(never), '1.dtype': optional(isDType) },
  },
  'new Generator': { make: () => [1], call: (seed) => new Generator(seed as number), places: { 0: isInteger(0, Number.MAX_SAFE_INTEGER) } },
  'Generator.from': {
    make: () => [[1, 2, 3, 4, 0.5]],
    call: (state) => Generator.from(state as number[]),
    places: { 0: (value) => isReadableArray(value) && (value as unknown[]).every((word) => Number.isInteger(word)) },
  },
  'generator.integer': {
    make: () => [10],
    call: (bound) => generator().integer(bound as number),
    places: { 0: isInteger(1, 2 ** 32) },
  },
  'new Parameter': {
    make: () => ['w', tensor([3]), tensor([3])],
    call: (name, value, grad) => new Parameter(name as string, value as Tensor, grad as Tensor),
    places: { 0: (value) => typeof value === 'string' && value !== '', 1: never, 2: optional(never) },
  },
  'new RNN': {
    make: () => [{ inputSize: 2, hiddenSize: 3, generator: generator() }],
    call: (options) => new RNN(options as { inputSize: number; hiddenSize: number }),
    places: { ...recurrentPlaces, '0.nonlinearity': optional(never) },
  },
  'new LSTM': {
    make: () => [{ inputSize: 2, hiddenSize: 3, generator: generator() }],
    call: (options) => new LSTM(options as { inputSize: number; hiddenSize: number }),
    places: {
      ...recurrentPlaces,
      '0.projSize': optional(isInteger(1, 2)),
      '0.forgetBias': optional(isNumber(-Number.MAX_VALUE)),
      '0.cellNormalization': optional(never),
    },
  },
  'new GRU': {
    make: () => [{ inputSize: 2, hiddenSize: 3, generator: generator() }],
    call: (options) => new GRU(options as { inputSize: number; hiddenSize: number }),
    places: { ...recurrentPlaces, '0.resetAfter': optional(isBoolean) },
  },
  'LSTM.forward with options': {
    make: () => [makeLSTM(), tensor([2, 3, 4]), { initialState: lstmState() }],
    call: (lstm, input, options) => (lstm as LSTM).forward(input as Tensor, options as object),
    places: { 1: never, 2: optional(hasNoKeys), '2.initialState': optional(never) },
    probe: ([lstm]) => (lstm as LSTM).forward(tensor([2, 3, 4]), { initialState: lstmState() }).toArray(),
  },
  'RNN.loadCarriedState': {
    make() {
      const rnn = new RNN({ inputSize: 4, hiddenSize: 5, stateful: true, generator: generator(), ...float64 });
      rnn.forward(tensor([2, 3, 4]));
      return [rnn, { state: tensor([2, 5]) }];
    },
    call: (rnn, state) => (rnn as RNN).loadCarriedState(state as Record<string, Tensor>),
    places: { 1: hasNoKeys, '1.state': never },
    probe: ([rnn]) => (rnn as RNN).carriedState(),
  },
  'new LayerNorm': {
    make: () => [{ size: 3 }],
    call: (options) => new LayerNorm(options as { size: number }),
    places: { ...normPlaces, '0.affine': optional(isBoolean) },
  },
  'new RMSNorm': {
    make: () => [{ size: 3 }],
    call: (options) => new RMSNorm(options as { size: number }),
    places: { ...normPlaces, '0.affine': optional(isBoolean) },
  },
  'new Linear': {
    make: () => [{ inputSize: 2, outputSize: 3, generator: generator() }],
    call: (options) => new Linear(options as { inputSize: number; outputSize: number }),
    places: {
      0: never,
      '0.inputSize': isSize,
      '0.outputSize': isSize,
      '0.bias': optional(isBoolean),
      '0.dtype': optional(isDType),
      '0.generator': optional(never),
    },
  },
  'new Sequential': {
    make: () => [{ a: makeRNN(), b: new LastStep() }],
    call: (layers) => new Sequential(layers as Record<string, LastStep>),
    places: { 0: never, '0.a': isLastStep, '0.b': isLastStep },
  },
  'rnn.forward with options': {
    make: () => [makeRNN(), tensor([2, 3, 4]), { initialState: tensor([2, 5]) }],
    call: (rnn, input, options) => (rnn as RNN).forward(input as Tensor, options as object),
    places: { 1: never, 2: optional(hasNoKeys), '2.initialState': optional(never) },
    probe: ([rnn]) => (rnn as RNN).forward(tensor([2, 3, 4]), { initialState: tensor([2, 5]) }).toArray(),
  },
  ...prefixed('RNN', layerCall(makeRNN, [2, 3, 4], [2, 3, 5])),
  ...prefixed('LSTM', layerCall(makeLSTM, [2, 3, 4], [2, 3, 3])),
  ...prefixed('GRU', layerCall(makeGRU, [2, 3, 4], [2, 3, 5])),
  ...prefixed(
    'LayerNorm',
    layerCall(() => new LayerNorm({ size: 4, ...float64 }), [2, 3, 4], [2, 3, 4]),
  ),
  ...prefixed(
    'RMSNorm',
    layerCall(() => new RMSNorm({ size: 4, ...float64 }), [2, 4], [2, 4]),
  ),
  ...prefixed('Linear', layerCall(makeLinear, [4], [5])),
  ...prefixed(
    'LastStep',
    layerCall(() => new LastStep(), [2, 3, 4], [2, 4]),
  ),
  ...prefixed('Sequential', layerCall(makeSequential, [2, 3, 4], [2, 5])),
});
