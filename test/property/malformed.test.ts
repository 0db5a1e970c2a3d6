// Whatever is put in the place of whichever argument of whichever function: it is refused with an EvenkeelError, and afterwards the same
// objects still compute what they computed before.
import fc from 'fast-check';
import {
  Adam,
  AdamW,
  AdaptiveGradientClipping,
  AutoClip,
  addingProblem,
  type Clipper,
  clipGradNorm,
  clipGradValue,
  copyMemory,
  crossEntropyLoss,
  fit,
  Generator,
  gradientFlow,
  LastStep,
  LayerNorm,
  Linear,
  lyapunovExponents,
  mseLoss,
  Parameter,
  RMSNorm,
  RMSprop,
  RNN,
  Sequential,
  SGD,
  setNumThreads,
  Tensor,
  ZClip,
} from '../../lib/index';
import { ERROR_CODES } from '../helpers/errors';
import { makeHostile, recipes } from './hostile';

/** Hostile values for each argument of each function. */
const RUNS = Number(process.env.FUZZ_RUNS ?? 100);
const float64 = { dtype: 'float64' } as const;
const tensor = (shape: number[], seed = 1) => Tensor.randn(shape, { ...float64, generator: new Generator(seed) });
const parameter = () => new Parameter('w', tensor([3]), tensor([3], 2));

type Accepts = (value: unknown) => boolean;
const never: Accepts = () => false;
const optional =
  (accepts: Accepts): Accepts =>
  (value) =>
    value === undefined || accepts(value);
const isNumber =
  (from: number, to = Number.MAX_VALUE): Accepts =>
  (value) =>
    typeof value === 'number' && value >= from && value <= to;
const isInteger =
  (from: number, to: number): Accepts =>
  (value) =>
    Number.isInteger(value) && isNumber(from, to)(value);
const isSize = isInteger(1, 2 ** 31 - 1);
const isDType: Accepts = (value) => value === 'float32' || value === 'float64';
const isBoolean: Accepts = (value) => typeof value === 'boolean';
const isLastStep: Accepts = (value) => {
  try {
    return value instanceof LastStep;
  } catch {
    return false;
  }
};
const hasNoKeys: Accepts = (value) => {
  try {
    const prototype = Object.getPrototypeOf(value);
    return typeof value === 'object' && Object.keys(value as object).length === 0 && (prototype === null || prototype === Object.prototype);
  } catch {
    return false;
  }
};

/** One call of the API: its good arguments, and which other values would be as good in each of their places. */
interface Call {
  /** makes what the call works on, anew */
  make(): unknown[];
  call(...args: unknown[]): unknown;
  /** by place: the index of an argument, or `index.option` */
  places: Record<string, Accepts>;
  /** a valid call on the same objects; its numbers must not change */
  probe?(args: unknown[]): unknown;
}

const layerCall = (
  makeLayer: () => RNN | LayerNorm | RMSNorm | Linear | LastStep | Sequential,
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

const generator = () => new Generator(7);
const makeRNN = () => new RNN({ inputSize: 4, hiddenSize: 5, generator: generator(), ...float64 });
const makeLinear = () => new Linear({ inputSize: 4, outputSize: 5, generator: generator(), ...float64 });
const makeSequential = () => new Sequential({ rnn: makeRNN(), ln: new LayerNorm({ size: 5, ...float64 }), last: new LastStep() });

const prefixed = (prefix: string, calls: Record<string, Call>) =>
  Object.fromEntries(Object.entries(calls).map(([name, call]) => [`${prefix}.${name}`, call]));

const optimizerCall = (
  make: (parameters: Parameter[], options: object) => unknown,
  good: object,
  places: Record<string, Accepts>,
): Call => ({
  make: () => [[parameter()], { ...good }],
  call: (parameters, options) => make(parameters as Parameter[], options as object),
  places: { 0: never, ...places },
  probe: ([parameters]) => (parameters as Parameter[]).map(({ value }) => value.toArray()),
});
const adamPlaces = {
  1: optional(hasNoKeys),
  '1.learningRate': optional(isNumber(0)),
  '1.betas': optional((value) => isReadableArray(value) && (value as unknown[]).every(isNumber(0, 1))),
  '1.eps': optional(isNumber(0)),
  '1.weightDecay': optional(isNumber(0)),
};
const normPlaces = { 0: never, '0.size': isSize, '0.eps': optional(isNumber(1e-37)), '0.dtype': optional(isDType) };

const isPositive: Accepts = (value) => isNumber(Number.MIN_VALUE)(value);
const isFloat64Scalar: Accepts = (value) => Tensor.isTensor(value) && value.dtype === 'float64' && value.shape.length === 0;
const clipperCall = (make: (options: object) => Clipper, places: Record<string, Accepts>): Call => ({
  make: () => [[parameter()], {}],
  call: (parameters, options) => make(options as object).clip(parameters as Parameter[]),
  places: { 0: never, 1: optional(hasNoKeys), ...places },
  probe: ([parameters]) => (parameters as Parameter[]).map(({ grad }) => grad.toArray()),
});
const watched = <C extends Clipper>(clipper: C): C => {
  clipper.clip([parameter()]);
  return clipper;
};

const taskPlaces = {
  '0.batchSize': isSize,
  '0.batches': optional(isInteger(1, Number.MAX_SAFE_INTEGER)),
  '0.generator': never,
  '0.dtype': optional(isDType),
};

const CALLS: Record<string, Call> = {
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
    places: { 0: isReadableArray, 1: never, '1.generator': never, '1.dtype': optional(isDType) },
  },
  'new Generator': { make: () => [1], call: (seed) => new Generator(seed as number), places: { 0: isInteger(0, Number.MAX_SAFE_INTEGER) } },
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
    places: {
      0: never,
      '0.inputSize': isSize,
      '0.hiddenSize': isSize,
      '0.nonlinearity': optional(never),
      '0.normalization': optional(never),
      '0.initializer': optional(never),
      '0.dtype': optional(isDType),
      '0.generator': optional(never),
      '0.stateGradientLimit': optional(isNumber(Number.MIN_VALUE)),
      '0.checkpointing': optional(never),
    },
  },
  'new LayerNorm': {
    make: () => [{ size: 3 }],
    call: (options) => new LayerNorm(options as { size: number }),
    places: { ...normPlaces, '0.affine': optional(isBoolean) },
  },
  'new RMSNorm': { make: () => [{ size: 3 }], call: (options) => new RMSNorm(options as { size: number }), places: normPlaces },
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
  gradientFlow: {
    make: () => [makeSequential(), tensor([2, 4, 4]), { target: tensor([2, 5]), loss: 'last-step', perSequence: true }],
    call: (model, input, options) => gradientFlow(model as Sequential, input as Tensor, options as object),
    places: {
      0: never,
      1: never,
      2: optional(hasNoKeys),
      '2.target': optional(never),
      '2.loss': optional(never),
      '2.perSequence': optional(isBoolean),
    },
    probe: ([model]) => gradientFlow(model as Sequential, tensor([2, 4, 4])),
  },
  lyapunovExponents: {
    make: () => [makeRNN(), tensor([2, 4, 4]), { count: 2, onProgress: () => {} }],
    call: (rnn, input, options) => lyapunovExponents(rnn as RNN, input as Tensor, options as object),
    places: {
      0: never,
      1: never,
      2: optional(hasNoKeys),
      '2.count': optional(isInteger(1, 5)),
      '2.onProgress': optional((value) => typeof value === 'function'),
    },
    probe: ([rnn]) => lyapunovExponents(rnn as RNN, tensor([2, 4, 4])),
  },
  mseLoss: {
    make: () => [tensor([2, 5]), tensor([2, 5], 2)],
    call: (output, target) => mseLoss(output as Tensor, target as Tensor),
    places: { 0: never, 1: never },
  },
  crossEntropyLoss: {
    make: () => [tensor([3, 5]), Int32Array.of(0, 4, 2)],
    call: (logits, labels) => crossEntropyLoss(logits as Tensor, labels as Int32Array),
    places: { 0: never, 1: (value) => ArrayBuffer.isView(value) || isReadableArray(value) },
  },
  'new SGD': optimizerCall(
    (parameters, options) => new SGD(parameters, options as { learningRate: number }),
    { learningRate: 0.1, momentum: 0.5 },
    {
      1: never,
      '1.learningRate': isNumber(0),
      '1.momentum': optional(isNumber(0)),
      '1.nesterov': optional(isBoolean),
      '1.weightDecay': optional(isNumber(0)),
    },
  ),
  'new Adam': optimizerCall((parameters, options) => new Adam(parameters, options), {}, adamPlaces),
  'new AdamW': optimizerCall((parameters, options) => new AdamW(parameters, options), {}, adamPlaces),
  'new RMSprop': optimizerCall(
    (parameters, options) => new RMSprop(parameters, options),
    {},
    {
      1: optional(hasNoKeys),
      '1.learningRate': optional(isNumber(0)),
      '1.alpha': optional(isNumber(0, 1)),
      '1.eps': optional(isNumber(0)),
      '1.weightDecay': optional(isNumber(0)),
      '1.momentum': optional(isNumber(0)),
    },
  ),
  'optimizer.learningRate': {
    make: () => [new Adam([parameter()]), 0.1],
    call(optimizer, value) {
      (optimizer as Adam).learningRate = value as number;
    },
    places: { 1: isNumber(0) },
    probe: ([optimizer]) => (optimizer as Adam).learningRate,
  },
  'optimizer.loadStateDict': {
    make() {
      const optimizer = new Adam([parameter()]);
      return [optimizer, { ...optimizer.stateDict() }];
    },
    call: (optimizer, state) => (optimizer as Adam).loadStateDict(state as Record<string, Tensor>),
    places: {
      1: never,
      '1.step': (value) => Tensor.isTensor(value) && value.shape.length === 0,
      '1.learning_rate': (value) => Tensor.isTensor(value) && value.shape.length === 0,
      '1.0.w.exp_avg': never,
    },
    probe([optimizer]) {
      const subject = optimizer as Adam;
      subject.step();
      return [subject.parameters()[0]?.value.toArray(), subject.learningRate];
    },
  },
  clipGradNorm: {
    make: () => [[parameter()], { maxNorm: 1e-3 }],
    call: (parameters, options) => clipGradNorm(parameters as Parameter[], options as { maxNorm: number }),
    places: {
      0: never,
      1: never,
      '1.maxNorm': isNumber(0),
      '1.normType': optional((value) => value === 1 || value === 2 || value === Number.POSITIVE_INFINITY),
      '1.nonFinite': optional(never),
    },
    probe: ([parameters]) => (parameters as Parameter[]).map(({ grad }) => grad.toArray()),
  },
  clipGradValue: {
    make: () => [[parameter()], { clipValue: 1e-3 }],
    call: (parameters, options) => clipGradValue(parameters as Parameter[], options as { clipValue: number }),
    places: { 0: never, 1: never, '1.clipValue': isNumber(0) },
    probe: ([parameters]) => (parameters as Parameter[]).map(({ grad }) => grad.toArray()),
  },
  'new AdaptiveGradientClipping': clipperCall((options) => new AdaptiveGradientClipping(options), {
    '1.ratio': optional(isPositive),
    '1.eps': optional(isPositive),
  }),
  'new AutoClip': clipperCall((options) => new AutoClip(options), { '1.percentile': optional(isNumber(0, 100)) }),
  'new ZClip': clipperCall((options) => new ZClip(options), {
    '1.alpha': optional(isNumber(0, 1 - 2 ** -53)),
    '1.zThreshold': optional(isPositive),
    '1.warmupSteps': optional(isInteger(1, Number.MAX_SAFE_INTEGER)),
  }),
  'AutoClip.loadStateDict': {
    make: () => [new AutoClip(), { ...watched(new AutoClip()).stateDict() }],
    call: (clipper, state) => (clipper as AutoClip).loadStateDict(state as Record<string, Tensor>),
    places: { 1: never, '1.history': (value) => Tensor.isTensor(value) && value.dtype === 'float64' && value.shape.length === 1 },
    probe: ([clipper]) => (clipper as AutoClip).clip([parameter()]),
  },
  'ZClip.loadStateDict': {
    make: () => [new ZClip(), { ...watched(new ZClip()).stateDict() }],
    call: (clipper, state) => (clipper as ZClip).loadStateDict(state as Record<string, Tensor>),
    places: { 1: never, '1.steps': isFloat64Scalar, '1.mean': isFloat64Scalar, '1.variance': isFloat64Scalar },
    probe: ([clipper]) => (clipper as ZClip).clip([parameter()]),
  },
  addingProblem: {
    make: () => [{ sequenceLength: 3, batchSize: 2, batches: 1, generator: generator() }],
    call: (options) => addingProblem(options as Parameters<typeof addingProblem>[0]),
    places: { 0: never, '0.sequenceLength': isInteger(2, 2 ** 30 - 1), ...taskPlaces },
  },
  copyMemory: {
    make: () => [{ delay: 3, batchSize: 2, batches: 1, generator: generator() }],
    call: (options) => copyMemory(options as Parameters<typeof copyMemory>[0]),
    places: {
      0: never,
      '0.delay': isSize,
      '0.copyLength': optional(isSize),
      '0.symbols': optional(isInteger(2, 2 ** 31 - 3)),
      ...taskPlaces,
    },
  },
  setNumThreads: { make: () => [2], call: (count) => setNumThreads(count as number), places: { 0: isInteger(1, 256) } },
};

/** An array whose elements are all there to be read: shapes and nested numbers among them may be valid. */
function isReadableArray(value: unknown): boolean {
  try {
    return Array.isArray(value) && value.length < 1e6 && value.every((element) => typeof element !== 'undefined');
  } catch {
    return false;
  }
}

/** The good arguments with another value in one place. */
function replaced(args: unknown[], place: string, value: unknown): unknown[] {
  const dot = place.indexOf('.');
  const index = Number(dot === -1 ? place : place.slice(0, dot));
  return args.with(index, dot === -1 ? value : { ...(args[index] as object), [place.slice(dot + 1)]: value });
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    const { name, code } = error as { name: string; code: string };
    if (name !== 'EvenkeelError') throw error;
    return code;
  }
  return 'was accepted';
}

const cases = Object.entries(CALLS).flatMap(([name, call]) =>
  Object.entries(call.places).map(([place, accepts]) => ({ name, place, call, accepts })),
);

test.each(cases)('$name, argument $place', ({ call, place, accepts }) => {
  const expected = call.probe?.(call.make());
  fc.assert(
    fc.property(recipes, (recipe) => {
      const value = makeHostile(recipe);
      fc.pre(!accepts(value));
      const args = call.make();
      expect(ERROR_CODES).toContain(codeOf(() => call.call(...replaced(args, place, value))));
      expect(call.probe?.(args)).toEqual(expected);
    }),
    { numRuns: RUNS },
  );
});

const optionPlaces = cases.filter(({ place }) => place.includes('.') && !place.includes('.0.'));

test.each(optionPlaces)('$name, a getter that throws in place of $place', ({ call, place }) => {
  const args = call.make();
  const [index, key] = [Number(place.slice(0, place.indexOf('.'))), place.slice(place.indexOf('.') + 1)];
  const options = Object.defineProperty({ ...(args[index] as object) }, key, {
    enumerable: true,
    get() {
      throw new Error('a getter threw');
    },
  });
  expect(codeOf(() => call.call(...args.with(index, options)))).toBe('ERR_OPTION');
});

test.each(Object.entries(CALLS))('%s with its own arguments works, without any it does not', (name, { make, call, places }) => {
  expect(codeOf(() => call(...make()))).toBe('was accepted');
  const required = Object.entries(places).find(([place, accepts]) => !place.includes('.') && !accepts(undefined))?.[0];
  expect(required).toBeDefined();
  const without = make().map((argument, index) => (index >= Number(required) ? undefined : argument));
  if (name !== 'LastStep.loadStateDict') expect(ERROR_CODES).toContain(codeOf(() => call(...without)));
});

describe('fit', () => {
  const make = () => {
    const model = makeSequential();
    const options = { loss: mseLoss, optimizer: new Adam(model.parameters()), epochs: 1, nonFinite: 'throw' };
    return [model, [{ input: tensor([2, 3, 4]), target: tensor([2, 5]) }], options] as unknown[];
  };
  const isFunction: Accepts = (value) => typeof value === 'function';
  const isIterable: Accepts = (value) => typeof value === 'object' && value !== null && canIterate(value);
  const places: Record<string, Accepts> = {
    0: never,
    // What can be iterated is asked for its batches, and may throw what it likes.
    1: isIterable,
    '1.0.input': never,
    2: never,
    '2.loss': isFunction,
    '2.optimizer': never,
    '2.clip': optional(never),
    '2.epochs': optional(isInteger(1, Number.MAX_SAFE_INTEGER)),
    '2.onStep': optional(isFunction),
    '2.signal': optional(never),
    '2.checkpoint': optional(never),
    '2.nonFinite': optional(never),
  };

  function canIterate(value: object): boolean {
    try {
      return Symbol.iterator in value || Symbol.asyncIterator in value;
    } catch {
      return false;
    }
  }

  test.each(Object.entries(places))('argument %s', async (place, accepts) => {
    await fc.assert(
      fc.asyncProperty(recipes, async (recipe) => {
        const value = makeHostile(recipe);
        fc.pre(!accepts(value));
        const good = make();
        const args = place === '1.0.input' ? good.with(1, [{ input: value, target: tensor([2, 5]) }]) : replaced(good, place, value);
        const weights = () => (good[0] as Sequential).parameters().map((weight) => weight.value.toArray());
        const before = weights();
        const error = await (fit as (...all: unknown[]) => Promise<unknown>)(...args).then(
          () => 'was accepted',
          (reason) => reason,
        );
        expect(error).toMatchObject({ name: 'EvenkeelError', code: expect.stringMatching(new RegExp(`^(${ERROR_CODES.join('|')})$`)) });
        expect(weights()).toEqual(before);
      }),
      { numRuns: RUNS },
    );
  });
});
