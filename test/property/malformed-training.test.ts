// Malformed arguments of training: losses, tasks, fit, and what measures stability: see calls.ts.
import fc from 'fast-check';
import {
  Adam,
  addingProblem,
  copyMemory,
  crossEntropyLoss,
  fit,
  gradientFlow,
  lyapunovExponents,
  mseLoss,
  type RNN,
  type Sequential,
  setNumThreads,
  type Tensor,
} from '../../lib/index';
import { ERROR_CODES } from '../helpers/errors';
import {
  type Accepts,
  generator,
  hasNoKeys,
  isBoolean,
  isDType,
  isInteger,
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
