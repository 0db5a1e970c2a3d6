import { type Batch, type Clip, type FitOptions, fit, LastStep, type Layer, mseLoss, Parameter, Tensor } from '../../lib/index';
import { evenkeelError } from '../helpers/errors';
import { float64, makeScalar, scalarBatch, values } from './fit-models';

describe('what is refused before the first step', () => {
  const { model, optimizer } = makeScalar();
  const good = { loss: mseLoss, optimizer };
  const iterator = [scalarBatch(1)][Symbol.iterator]();

  test.each<[string, unknown, unknown, unknown, string]>([
    ['no model', {}, [], good, 'model: expected a layer'],
    ['a model without parameters', new LastStep(), [], good, 'model.parameters(): expected at least one Parameter'],
    ['no batches', model, undefined, good, 'batches: expected an iterable or async iterable of { input, target, lengths? }, got undefined'],
    ['a string of batches', model, 'abc', good, 'batches: expected an iterable'],
    ['an empty list of batches', model, [], good, 'batches: expected at least one batch in each epoch, got none in epoch 1'],
    ['an iterator for two epochs', model, iterator, { ...good, epochs: 2 }, 'which can be gone through once'],
    ['no options', model, [], undefined, 'fit options: expected an options object'],
    ['an unknown option', model, [], { ...good, epoch: 2 }, 'Did you mean "epochs"?'],
    ['no loss', model, [], { optimizer }, 'loss: expected a function'],
    ['an optimizer that is none', model, [], { ...good, optimizer: { step() {} } }, 'optimizer: expected an Optimizer'],
    ['a foreign optimizer', model, [], { ...good, optimizer: makeScalar().optimizer }, 'got one that has none of them'],
    ['no epochs', model, [], { ...good, epochs: 0 }, 'epochs: expected an integer of at least 1'],
    ['onStep as a string', model, [], { ...good, onStep: 'log' }, 'onStep: expected a function'],
    ['a controller as signal', model, [], { ...good, signal: new AbortController() }, 'signal: expected an AbortSignal'],
    ['half a signal', model, [], { ...good, signal: { throwIfAborted() {} } }, 'signal: expected an AbortSignal'],
    ['a seed as generator', model, [], { ...good, generator: 5 }, 'generator: expected a Generator'],
    ['a checkpoint path with NUL', model, [], { ...good, checkpoint: { path: 'a\0b' } }, 'checkpoint.path: expected a path without NUL'],
    ['an unknown nonFinite', model, [], { ...good, nonFinite: 'ignore' }, 'nonFinite: expected one of'],
    ['a checkpoint without path', model, [], { ...good, checkpoint: { every: 1 } }, 'checkpoint.path'],
    ['a checkpoint every 0 steps', model, [], { ...good, checkpoint: { path: 'x', every: 0 } }, 'checkpoint.every'],
    ['clip without a limit', model, [], { ...good, clip: {} }, 'clip: expected either maxNorm or clipValue'],
    ['clip with both limits', model, [], { ...good, clip: { maxNorm: 1, clipValue: 1 } }, 'clip: expected either'],
    [
      'clip with an unknown norm',
      model,
      [],
      { ...good, clip: { maxNorm: 1, normType: 3 } },
      'clip.normType: expected 1, 2 or Infinity, got 3',
    ],
    ['clip by value with a norm', model, [], { ...good, clip: { clipValue: 1, normType: 2 } }, 'clip.normType'],
    ['a negative limit', model, [], { ...good, clip: { maxNorm: -1 } }, 'clip.maxNorm'],
  ])('%s', async (_, badModel, batches, options, text) => {
    const before = values(model);
    await expect(fit(badModel as Layer, batches as Batch[], options as FitOptions)).rejects.toEqual(evenkeelError('ERR_OPTION', text));
    expect(values(model)).toEqual(before);
  });

  test('two parameters of one name', async () => {
    const twins: Layer = { ...bare(), parameters: () => [new Parameter('w', Tensor.from([1])), new Parameter('w', Tensor.from([1]))] };
    await expect(fit(twins, [], good)).rejects.toEqual(evenkeelError('ERR_OPTION', 'names that differ, got "w"'));
  });
});

function bare(): Layer {
  const identity = (x: Tensor) => x;
  return { forward: identity, backward: identity, parameters: () => [], stateDict: () => ({}), loadStateDict() {} };
}

describe('what is refused on the way', () => {
  test.each<[string, unknown, string]>([
    ['null', null, 'step 1, epoch 1: batches: expected { input: Tensor, target, lengths? }, got null'],
    ['an array', [1, 2], 'step 1, epoch 1: batches: expected { input: Tensor, target, lengths? }, got an array'],
    ['an array as input', { input: [1], target: [1] }, 'step 1, epoch 1: batches'],
  ])('%s as a batch', async (_, batch, text) => {
    const { model, optimizer } = makeScalar();
    await expect(fit(model, [batch as Batch], { loss: mseLoss, optimizer })).rejects.toEqual(evenkeelError('ERR_OPTION', text));
  });

  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'loss(): expected { value: number, grad: Tensor }, got undefined'],
    ['a number', 1, 'loss(): expected'],
    ['a promise', Promise.resolve(), 'loss(): expected { value: number, grad: Tensor }, got an instance of Promise'],
    ['no gradient', { value: 1 }, 'loss(): expected'],
    ['a value that is no number', { value: '1', grad: Tensor.zeros([1, 1], float64) }, 'loss(): expected'],
    [
      'a gradient of another shape',
      { value: 1, grad: Tensor.zeros([1], float64) },
      "loss().grad: expected the output's float64 [1, 1], got float64 [1]",
    ],
    ['a gradient of another dtype', { value: 1, grad: Tensor.zeros([1, 1]) }, 'got float32 [1, 1]'],
  ])('a loss that returns %s', async (_, result, text) => {
    const { model, optimizer } = makeScalar();
    await expect(fit(model, [scalarBatch(1)], { loss: () => result as ReturnType<typeof mseLoss>, optimizer })).rejects.toEqual(
      evenkeelError('ERR_OPTION', text),
    );
    expect(values(model)).toEqual([[1]]);
  });

  test('a clipper that does not say what it did', async () => {
    const { model, optimizer } = makeScalar();
    const clip = { clip: () => 3 } as unknown as Clip;
    await expect(fit(model, [scalarBatch(1)], { loss: mseLoss, optimizer, clip })).rejects.toEqual(
      evenkeelError('ERR_OPTION', 'clip.clip(): expected'),
    );
  });

  test('a model that puts out no tensor', async () => {
    const { model, optimizer } = makeScalar();
    const broken: Layer = { ...bare(), parameters: () => model.parameters(), forward: () => undefined as unknown as Tensor };
    const loss = () => ({ value: 1, grad: Tensor.from(1) });
    await expect(fit(broken, [scalarBatch(1)], { loss, optimizer })).rejects.toEqual(
      evenkeelError('ERR_OPTION', 'output of model.forward(): expected a Tensor, got undefined'),
    );
  });

  test('batches that cannot be gone through a second time', async () => {
    const { model, optimizer } = makeScalar();
    const once = [scalarBatch(1)].values();
    const batches = { [Symbol.iterator]: () => once };
    await expect(fit(model, batches, { loss: mseLoss, optimizer, epochs: 2 })).rejects.toEqual(
      evenkeelError('ERR_OPTION', 'got none in epoch 2. Can it be gone through more than once?'),
    );
  });
});
