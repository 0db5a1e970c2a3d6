// Malformed arguments of tensors, parameters and layers: see calls.ts.
import {
  Activation,
  Dropout,
  Embedding,
  Generator,
  GRU,
  LastStep,
  LayerNorm,
  Linear,
  LSTM,
  Parameter,
  Predictor,
  type PredictorHandle,
  RMSNorm,
  RNN,
  Sequential,
  type Stream,
  Tensor,
} from '../../lib/index';
import { checkLengths } from '../../lib/lengths';
import type { Schema } from '../../lib/schema';
import {
  type Accepts,
  type Call,
  float64,
  generator,
  hasNoKeys,
  isBoolean,
  isDType,
  isInteger,
  isReadableArray,
  makeRNN,
  makeSequential,
  never,
  optional,
  tensor,
  testCalls,
} from './calls';

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
const makeEmbedding = (options: object = {}) =>
  new Embedding({ vocabularySize: 6, embeddingSize: 5, generator: generator(), ...float64, ...options });
const symbols = () => new Tensor(Float64Array.of(0, 5, 2, 2, 1, 0), [2, 3]);
const makeLinear = () => new Linear({ inputSize: 4, outputSize: 5, generator: generator(), ...float64 });

/** What a check of the library takes. */
const takenBy =
  (check: (value: unknown) => unknown): Accepts =>
  (value) => {
    try {
      check(value);
      return true;
    } catch {
      return false;
    }
  };

/** Every option of a layer, by its schema: a new one is tested without a word here. */
const placesOf = (schema: Schema): Record<string, Accepts> => {
  const options = Object.entries(schema).map(([name, { check, default: otherwise }]): [string, Accepts] => [
    `0.${name}`,
    takenBy((value) => check(name, value === undefined ? otherwise : value)),
  ]);
  return { 0: never, ...Object.fromEntries(options) };
};

const isLengths = takenBy((value) => checkLengths(value, [2, 3, 4]));

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
    places: placesOf(RNN.schema),
  },
  'new LSTM': {
    make: () => [{ inputSize: 2, hiddenSize: 3, generator: generator() }],
    call: (options) => new LSTM(options as { inputSize: number; hiddenSize: number }),
    places: placesOf(LSTM.schema),
  },
  'new GRU': {
    make: () => [{ inputSize: 2, hiddenSize: 3, generator: generator() }],
    call: (options) => new GRU(options as { inputSize: number; hiddenSize: number }),
    places: placesOf(GRU.schema),
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
    places: placesOf(LayerNorm.schema),
  },
  'new RMSNorm': {
    make: () => [{ size: 3 }],
    call: (options) => new RMSNorm(options as { size: number }),
    places: placesOf(RMSNorm.schema),
  },
  'Activation.forward': {
    make: () => [{ kind: 'softmax' }, tensor([2, 3, 4]), { lengths: [3, 1], training: true }],
    call: (own, input, options) => new Activation(own as { kind: 'softmax' }).forward(input as Tensor, options as object),
    places: {
      ...placesOf(Activation.schema),
      1: (value) => Tensor.isTensor(value) && value.shape.length === 3 && value.data.length > 0,
      2: optional(hasNoKeys),
      '2.lengths': optional(isLengths),
      '2.training': optional(isBoolean),
    },
  },
  'Dropout.forward': {
    make: () => [{ p: 0.25, generator: generator() }, tensor([2, 3, 4]), { lengths: [3, 1], training: true }],
    call: (own, input, options) => new Dropout(own as object).forward(input as Tensor, options as object),
    places: {
      ...placesOf(Dropout.schema),
      0: optional(hasNoKeys),
      1: (value) => Tensor.isTensor(value) && value.shape.length === 3 && value.data.length > 0,
      2: optional(hasNoKeys),
      '2.lengths': optional(isLengths),
      '2.training': optional(isBoolean),
    },
  },
  'Dropout.loadCarriedState': {
    make: () => [new Dropout({ generator: generator() }), new Dropout({ generator: generator() }).carriedState()],
    call: (layer, state) => (layer as Dropout).loadCarriedState(state as Record<string, Tensor>),
    places: { 1: never, '1.generator': never },
    probe: ([layer]) => (layer as Dropout).carriedState().generator?.toArray(),
  },
  'new Embedding': {
    make: () => [{ vocabularySize: 6, embeddingSize: 5, paddingIndex: 0, generator: generator() }],
    call: (options) => new Embedding(options as { vocabularySize: number; embeddingSize: number }),
    places: {
      ...placesOf(Embedding.schema),
      '0.vocabularySize': isInteger(1, 2 ** 24),
      '0.paddingIndex': optional(isInteger(0, 5)),
    },
  },
  ...Object.fromEntries(
    [false, true].map((sparse): [string, Call] => [
      `Embedding.forward, ${sparse ? 'sparse' : 'dense'}`,
      {
        make: () => [makeEmbedding({ sparse }), symbols(), { lengths: [3, 1], training: true }],
        call: (layer, input, options) => (layer as Embedding).forward(input as Tensor, options as object),
        places: {
          1: never,
          2: optional(hasNoKeys),
          '2.lengths': optional(takenBy((value) => checkLengths(value, [2, 3], ['N', 'T']))),
          '2.training': optional(isBoolean),
        },
        probe: ([layer]) => {
          const subject = layer as Embedding;
          const output = subject.forward(symbols());
          for (const { grad } of subject.parameters()) grad.data.fill(0);
          subject.backward(tensor([2, 3, 5]));
          return [output.toArray(), ...subject.parameters().map(({ grad }) => grad.toArray())];
        },
      },
    ]),
  ),
  'Embedding.backward': {
    make: () => {
      const layer = makeEmbedding();
      layer.forward(symbols());
      return [layer, tensor([2, 3, 5]), { inputGradient: false }];
    },
    call: (layer, gradOutput, options) => (layer as Embedding).backward(gradOutput as Tensor, options as object),
    places: { 1: never, 2: optional(hasNoKeys), '2.inputGradient': optional(isBoolean) },
  },
  'new Linear': {
    make: () => [{ inputSize: 2, outputSize: 3, generator: generator() }],
    call: (options) => new Linear(options as { inputSize: number; outputSize: number }),
    places: placesOf(Linear.schema),
  },
  'new Sequential': {
    make: () => [{ a: makeRNN(), b: new LastStep() }],
    call: (layers) => new Sequential(layers as Record<string, LastStep>),
    places: { 0: never, '0.a': isLastStep, '0.b': isLastStep },
  },
  'rnn.forward with options': {
    make: () => [makeRNN(), tensor([2, 3, 4]), { initialState: tensor([2, 5]), lengths: [3, 1], training: true }],
    call: (rnn, input, options) => (rnn as RNN).forward(input as Tensor, options as object),
    places: {
      1: never,
      2: optional(hasNoKeys),
      '2.initialState': optional(never),
      '2.lengths': isLengths,
      '2.training': optional(isBoolean),
    },
    probe: ([rnn]) => (rnn as RNN).forward(tensor([2, 3, 4]), { initialState: tensor([2, 5]) }).toArray(),
  },
  'rnn.backward with options': {
    make() {
      const rnn = makeRNN();
      rnn.forward(tensor([2, 3, 4]));
      return [rnn, tensor([2, 3, 5]), { gradFinalState: tensor([2, 5]), inputGradient: true }];
    },
    call: (rnn, gradOutput, options) => (rnn as RNN).backward(gradOutput as Tensor, options as object),
    places: { 1: never, 2: optional(hasNoKeys), '2.gradFinalState': optional(never), '2.inputGradient': optional(isBoolean) },
    probe: ([rnn]) => (rnn as RNN).predict(tensor([2, 3, 4])).toArray(),
  },
  'rnn.predict': {
    make: () => [makeRNN(), tensor([2, 3, 4]), { initialState: tensor([2, 5]), lengths: [3, 1] }],
    call: (rnn, input, options) => (rnn as RNN).predict(input as Tensor, options as object),
    places: { 1: never, 2: optional(hasNoKeys), '2.initialState': optional(never), '2.lengths': isLengths },
    probe: ([rnn]) => (rnn as RNN).predict(tensor([2, 3, 4])).toArray(),
  },
  'Sequential.predict': {
    make: () => [makeSequential(), tensor([2, 3, 4]), { lengths: [3, 1] }],
    call: (model, input, options) => (model as Sequential).predict(input as Tensor, options as object),
    places: { 1: never, 2: optional(hasNoKeys), '2.lengths': isLengths },
    probe: ([model]) => (model as Sequential).predict(tensor([2, 3, 4])).toArray(),
  },
  'new Predictor': {
    make: () => [makeSequential()],
    call: (model) => new Predictor(model as Sequential),
    places: { 0: isLastStep },
  },
  'Predictor.run': {
    make: () => {
      const predictor = new Predictor(makeSequential());
      return [predictor, tensor([2, 3, 4]), { lengths: [3, 1], state: predictor.run(tensor([2, 3, 4])).state }];
    },
    call: (predictor, input, options) => (predictor as Predictor).run(input as Tensor, options as object),
    places: {
      1: never,
      2: optional(hasNoKeys),
      '2.lengths': optional(isLengths),
      '2.state': optional(hasNoKeys),
    },
    probe: ([predictor]) => (predictor as Predictor).run(tensor([2, 3, 4])).output.toArray(),
  },
  'Predictor.update': {
    make: () => [new Predictor(makeSequential()), makeSequential()],
    call: (predictor, model) => (predictor as Predictor).update(model as Sequential),
    places: { 1: never },
    probe: ([predictor]) => (predictor as Predictor).run(tensor([2, 3, 4])).output.toArray(),
  },
  'Predictor.from': {
    make: () => [new Predictor(makeSequential()).share()],
    call: (handle) => Predictor.from(handle as PredictorHandle),
    places: { 0: never, '0.architecture': never, '0.weights': never },
  },
  'stream.step': {
    make: () => [new Predictor(makeRNN()).stream(2), tensor([2, 4])],
    call: (stream, input) => (stream as Stream).step(input as Tensor),
    places: { 1: never },
    probe: ([stream]) => (stream as Stream).state,
  },
  'stream.state': {
    make: () => {
      const stream = new Predictor(makeRNN()).stream(2);
      stream.step(tensor([2, 4]));
      return [stream, { state: tensor([2, 5]) }];
    },
    call: (stream, state) => {
      (stream as Stream).state = state as Record<string, Tensor>;
    },
    places: { 1: hasNoKeys, '1.state': never },
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
