// Malformed arguments of training: losses, tasks, fit, and what measures stability: see calls.ts.
import fc from 'fast-check';
import {
  Adam,
  accuracy,
  addingProblem,
  bceWithLogitsLoss,
  copyMemory,
  crossEntropyLoss,
  f1,
  findLearningRate,
  fit,
  flossing,
  gradientFlow,
  huberLoss,
  l1Loss,
  lyapunovExponents,
  mae,
  makeBatches,
  mape,
  mase,
  mseLoss,
  padSequences,
  perplexity,
  type RNN,
  r2,
  rmse,
  type Sequential,
  setNumThreads,
  smape,
  Tensor,
} from '../../lib/index';
import { ERROR_CODES } from '../helpers/errors';
import {
  type Accepts,
  type Call,
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
  RUNS,
  replaced,
  tensor,
  testCalls,
} from './calls';
import { makeHostile, recipes } from './hostile';

const taskPlaces = {
  '0.batchSize': isSize,
  '0.batches': optional(isInteger(1, Number.MAX_SAFE_INTEGER)),
  '0.generator': never,
  '0.dtype': optional(isDType),
};

/** A loss of an output [2, 3, 5] with good options, its own with what else each of them may be. */
const lossCall = (
  loss: (output: Tensor, options: unknown) => unknown,
  own: Record<string, [good: unknown, accepts: Accepts]> = {},
): Call => ({
  make: () => [
    tensor([2, 3, 5]),
    { lengths: [3, 1], reduction: 'sum', ...Object.fromEntries(Object.entries(own).map(([name, [good]]) => [name, good])) },
  ],
  call: (output, options) => loss(output as Tensor, options),
  places: {
    0: never,
    1: optional(hasNoKeys),
    '1.lengths': optional(
      (value) => isReadableArray(value) && (value as number[]).length === 2 && (value as number[]).every(isInteger(0, 3)),
    ),
    '1.reduction': optional(never),
    '1.sampleWeights': optional(
      (value) =>
        ArrayBuffer.isView(value) ||
        (isReadableArray(value) && (value as number[]).length === 2 && (value as number[]).every(isNumber(0, 3.4e38))),
    ),
    ...Object.fromEntries(Object.entries(own).map(([name, [, accepts]]) => [`1.${name}`, optional(accepts)])),
  },
});

const isLengths: Accepts = (value) =>
  isReadableArray(value) && (value as number[]).length === 2 && (value as number[]).every(isInteger(0, 3));
/** A Tensor may be a series. */
const hasElements: Accepts = (value) => Tensor.isTensor(value);
const metricCall = (metric: (output: Tensor, target: never, options: object) => number, labels?: readonly number[]): Call => ({
  make: () => [tensor([2, 3, 5]), labels ?? tensor([2, 3, 5], 2), { lengths: [3, 1] }],
  call: (output, target, options) => metric(output as Tensor, target as never, options as object),
  places: {
    0: never,
    1: labels === undefined ? never : (value) => ArrayBuffer.isView(value) || isReadableArray(value),
    2: optional(hasNoKeys),
    '2.lengths': optional(isLengths),
  },
});

testCalls({
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
  flossing: {
    make: () => [makeRNN(), tensor([2, 4, 4]), { count: 2, target: 0, weight: 1, burnIn: 1 }],
    call: (rnn, input, options) => flossing(rnn as RNN, input as Tensor, options as object),
    places: {
      0: never,
      1: never,
      2: optional(hasNoKeys),
      '2.count': optional(isInteger(1, 5)),
      '2.target': optional(isNumber(-Number.MAX_VALUE)),
      '2.weight': optional(isNumber(0)),
      '2.burnIn': optional(isInteger(0, 3)),
    },
    probe: ([rnn]) => flossing(rnn as RNN, tensor([2, 4, 4])).value,
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
  'mseLoss, options': lossCall((output, options) => mseLoss(output, tensor([2, 3, 5], 2), options as object)),
  'l1Loss, options': lossCall((output, options) => l1Loss(output, tensor([2, 3, 5], 2), options as object)),
  'huberLoss, options': lossCall((output, options) => huberLoss(output, tensor([2, 3, 5], 2), options as object), {
    delta: [0.5, (value) => isNumber(Number.MIN_VALUE)(value)],
  }),
  'bceWithLogitsLoss, options': lossCall((output, options) => bceWithLogitsLoss(output, tensor([2, 3, 5], 2), options as object), {
    posWeight: [[1, 2, 3, 4, 5], isNumber(0, 3.4028234663852886e38)],
  }),
  'crossEntropyLoss, options': lossCall((output, options) => crossEntropyLoss(output, [0, 4, 2, -1, -1, 2], options as object), {
    // Any other leaves labels that are not classes.
    ignoreIndex: [-1, (value) => value === -1],
    classWeights: [[1, 2, 3, 4, 5], never],
    labelSmoothing: [0.1, isNumber(0, 1)],
  }),
  l1Loss: {
    make: () => [tensor([2, 5]), tensor([2, 5], 2)],
    call: (output, target) => l1Loss(output as Tensor, target as Tensor),
    places: { 0: never, 1: never },
  },
  padSequences: {
    make: () => [[tensor([3, 2]), tensor([1, 2])], { length: 4, value: 0, dtype: 'float64' }],
    call: (sequences, options) => padSequences(sequences as Tensor[], options as object),
    places: {
      0: isReadableArray,
      1: optional(hasNoKeys),
      '1.length': optional(isInteger(3, 2 ** 31 - 1)),
      '1.value': optional(isNumber(-Number.MAX_VALUE)),
      '1.dtype': optional(isDType),
    },
  },
  'makeBatches, options': {
    make: () => [
      tensor([4, 3, 2]),
      [0, 1, 2, 3],
      { batchSize: 2, lengths: [3, 0, 1, 2], sampleWeights: [1, 0, 2, 1], shuffle: true, dropLast: false, generator: generator() },
    ],
    call: (inputs, labels, options) => [...makeBatches(inputs as Tensor, labels as number[], options as { batchSize: number })],
    places: {
      0: never,
      1: (value) => ArrayBuffer.isView(value) || isReadableArray(value),
      2: never,
      '2.batchSize': isInteger(1, Number.MAX_SAFE_INTEGER),
      '2.lengths': optional(
        (value) => isReadableArray(value) && (value as number[]).length === 4 && (value as number[]).every(isInteger(0, 3)),
      ),
      '2.sampleWeights': optional(
        (value) =>
          ArrayBuffer.isView(value) ||
          (isReadableArray(value) && (value as number[]).length === 4 && (value as number[]).every(isNumber(0, 3.4e38))),
      ),
      '2.shuffle': optional(isBoolean),
      '2.dropLast': optional(isBoolean),
      '2.generator': optional(never),
    },
  },
  crossEntropyLoss: {
    make: () => [tensor([3, 5]), Int32Array.of(0, 4, 2)],
    call: (logits, labels) => crossEntropyLoss(logits as Tensor, labels as Int32Array),
    places: { 0: never, 1: (value) => ArrayBuffer.isView(value) || isReadableArray(value) },
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
  mae: metricCall((output, target, options) => mae(output, target, options)),
  rmse: metricCall((output, target, options) => rmse(output, target, options)),
  mape: metricCall((output, target, options) => mape(output, target, options)),
  smape: metricCall((output, target, options) => smape(output, target, options)),
  r2: metricCall((output, target, options) => r2(output, target, options)),
  accuracy: metricCall((output, labels, options) => accuracy(output, labels, options), [0, 4, 2, -1, 1, 2]),
  f1: metricCall((output, labels, options) => f1(output, labels, options), [0, 4, 2, -1, 1, 2]),
  perplexity: metricCall((output, labels, options) => perplexity(output, labels, options), [0, 4, 2, -1, 1, 2]),
  mase: {
    make: () => [[1, 2, 4, 3], { season: 2 }],
    call: (training, options) => mase(training as number[], options as object),
    places: {
      0: (value) => ArrayBuffer.isView(value) || isReadableArray(value) || hasElements(value),
      1: optional(hasNoKeys),
      '1.season': optional(isInteger(1, 3)),
    },
  },
  setNumThreads: { make: () => [2], call: (count) => setNumThreads(count as number), places: { 0: isInteger(1, 256) } },
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
    '2.onWarning': optional(isFunction),
    '2.onEpoch': optional(isFunction),
    '2.accumulate': optional(isInteger(1, Number.MAX_SAFE_INTEGER)),
    '2.schedule': optional(never),
    '2.validation': optional(never),
    '2.metrics': optional(never),
    '2.earlyStopping': optional(never),
    '2.averaging': optional(never),
    '2.progress': optional((value) => isBoolean(value) || ArrayBuffer.isView(value)),
    '2.page': optional((value) => typeof value === 'string'),
    '2.resume': optional((value) => value === false),
    '2.signal': optional(never),
    '2.generator': optional(never),
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

  test.each([
    ['from', 0],
    ['to', 1e-9],
    ['steps', 1],
    ['loss', undefined],
    ['optimizer', {}],
    ['clip', 5],
    ['generator', 5],
    ['rate', 1],
  ])('findLearningRate with another %s is refused', async (name, value) => {
    const [model, batches, options] = make() as [Sequential, never, { loss: never; optimizer: never }];
    const { loss, optimizer } = options;
    await expect(findLearningRate(model, batches, { loss, optimizer, [name]: value })).rejects.toMatchObject({ code: 'ERR_OPTION' });
  });

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
