import {
  Adam,
  AutoClip,
  Dropout,
  findLearningRate,
  Generator,
  GRU,
  LastStep,
  Linear,
  makeBatches,
  mseLoss,
  Sequential,
  SGD,
  Tensor,
} from '../../lib/index';
import { evenkeelError } from '../helpers/errors';
import { makeScalar, scalarBatch } from './fit-models';

test('rates grow by the same factor, and the loss falls fastest where theory says', async () => {
  // w ← w (1 − 2 η): at once it is 0 at ½, and diverges above 1.
  const { model, optimizer } = makeScalar(1);
  const { learningRates, losses, smoothed, suggestion } = await findLearningRate(model, [scalarBatch(1)], {
    loss: mseLoss,
    optimizer,
    from: 1e-3,
    to: 10,
    steps: 41,
  });
  expect(learningRates[0]).toBe(1e-3);
  for (let i = 1; i < learningRates.length; i++)
    expect((learningRates[i] as number) / (learningRates[i - 1] as number)).toBeCloseTo(10 ** 0.1, 12);
  expect([losses[0], smoothed[0]]).toEqual([1, 1]);
  expect(suggestion).toBeGreaterThan(1e-2);
  expect(suggestion).toBeLessThan(1);
});

test('ends when the loss diverges', async () => {
  const { model, optimizer } = makeScalar(1);
  const range = await findLearningRate(model, [scalarBatch(10)], { loss: mseLoss, optimizer, steps: 100 });
  expect(range.losses.length).toBeLessThan(95);
  expect(range.losses.every(Number.isFinite)).toBe(true);
});

test('leaves everything as it was', async () => {
  const generator = new Generator(1);
  const model = new Sequential({
    gru: new GRU({ inputSize: 2, hiddenSize: 4, stateful: true, generator }),
    dropout: new Dropout({ generator }),
    last: new LastStep(),
    head: new Linear({ inputSize: 4, outputSize: 1, generator }),
  });
  const optimizer = new Adam([{ parameters: model.parameters(), learningRate: 0.5 }], { learningRate: 0.25 });
  const clip = new AutoClip();
  const batches = makeBatches(Tensor.randn([8, 3, 2], { generator }), Tensor.randn([8, 1], { generator }), { batchSize: 4, generator });
  const all = () => JSON.stringify([model.stateDict(), model.carriedState(), optimizer.stateDict(), clip.stateDict(), generator.state]);
  const before = all();
  const { learningRates } = await findLearningRate(model, batches, { loss: mseLoss, optimizer, clip, generator, steps: 30 });
  expect(learningRates.length).toBeGreaterThan(9);
  expect(all()).toBe(before);
  const broken = findLearningRate(model, [{ input: Tensor.zeros([1, 1, 9]), target: Tensor.zeros([1, 1]) }], {
    loss: mseLoss,
    optimizer,
    generator,
  });
  await expect(broken).rejects.toEqual(evenkeelError('ERR_SHAPE', 'step 1, epoch 1: '));
  expect(all()).toBe(before);
});

test('what it is given is checked', async () => {
  const { model, optimizer } = makeScalar();
  const run = (options: object, batches: unknown = [scalarBatch(1)]) =>
    findLearningRate(model, batches as never, { loss: mseLoss, optimizer, ...options });
  await expect(run({ from: 1, to: 1 })).rejects.toEqual(evenkeelError('ERR_OPTION', 'to: expected a rate above 1, got 1'));
  await expect(run({ start: 1 })).rejects.toEqual(evenkeelError('ERR_OPTION', 'unknown option "start"'));
  await expect(run({}, [])).rejects.toEqual(evenkeelError('ERR_OPTION', 'at least one batch'));
  await expect(run({ optimizer: new SGD(new Linear({ inputSize: 1, outputSize: 1 }).parameters(), { learningRate: 1 }) })).rejects.toEqual(
    evenkeelError('ERR_OPTION', 'optimizer: expected one over parameters of the model'),
  );
});
