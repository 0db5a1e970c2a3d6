// What fit does after an epoch: validation, metrics, early stopping, schedules that depend on it, onEpoch; and how it ends.
import {
  Adam,
  type Batch,
  bceWithLogitsLoss,
  crossEntropyLoss,
  type EpochRecord,
  type FitOptions,
  fit,
  Generator,
  GRU,
  LastStep,
  Linear,
  mseLoss,
  ReduceLROnPlateau,
  RNN,
  Sequential,
  StepLR,
  Tensor,
} from '../../lib/index';
import { evenkeelError } from '../helpers/errors';
import { float64, makeScalar, scalarBatch } from './fit-models';

/** A model y = w·x under SGD whose loss is w, and whose w goes through the course, one value after each step. */
function makeCourse(course: readonly number[], options: Partial<FitOptions> = {}) {
  const { model, optimizer } = makeScalar(course[0]);
  optimizer.learningRate = 1;
  const loss = ({ data: [w = Number.NaN] }: Tensor) => ({
    value: w,
    grad: Tensor.from([[w - (course[course.indexOf(w) + 1] ?? w)]], float64),
  });
  return {
    weight: () => model.parameters()[0]?.value.data[0],
    run: (more: Partial<FitOptions> = {}) =>
      fit(model, [scalarBatch(1)], { loss, optimizer, epochs: course.length - 1, ...options, ...more }),
  };
}

describe('validation', () => {
  const generator = new Generator(1);
  const model = new Sequential({
    gru: new GRU({ inputSize: 2, hiddenSize: 4, generator, dropout: 0.5, numLayers: 2, ...float64 }),
    last: new LastStep(),
    head: new Linear({ inputSize: 4, outputSize: 3, generator, ...float64 }),
  });
  const all: Batch = { input: Tensor.randn([7, 5, 2], { generator, ...float64 }), target: Tensor.randn([7, 3], { generator, ...float64 }) };
  const part = ({ data, shape: [, ...rest] }: Tensor, begin: number, end: number) => {
    const size = rest.reduce((product, one) => product * one, 1);
    return new Tensor(data.slice(begin * size, end * size), [end - begin, ...rest]);
  };
  const parts = [
    [0, 4],
    [4, 5],
    [5, 7],
  ].map(([begin = 0, end = 0]) => ({ input: part(all.input, begin, end), target: part(all.target, begin, end) }));
  const start = (options: Partial<FitOptions> = {}) =>
    fit(model, [all], { loss: mseLoss, optimizer: new Adam(model.parameters()), ...options });

  test('measures the whole set, as one batch of it, by predict', async () => {
    const { epochs } = await start({ epochs: 2, validation: { batches: parts } });
    const { value } = mseLoss(model.predict(all.input), all.target);
    expect(epochs).toHaveLength(2);
    expect(epochs[1]?.validation?.loss).toBeCloseTo(value, 14);
    expect(Object.keys(epochs[1] as EpochRecord)).toEqual(['epoch', 'step', 'loss', 'learningRate', 'validation']);
  });

  test('of a sum is the sum', async () => {
    const loss: FitOptions['loss'] = (output, target) => mseLoss(output, target, { reduction: 'sum' });
    const { epochs } = await start({ loss, validation: { batches: parts } });
    expect(epochs[0]?.validation?.loss).toBeCloseTo(loss(model.predict(all.input), all.target).value, 12);
  });

  test('counts the steps and the labels that count', async () => {
    const sequence = new RNN({ inputSize: 2, hiddenSize: 3, generator, ...float64 });
    const lengths = [5, 1, 2];
    const input = Tensor.randn([3, 5, 2], { generator, ...float64 });
    const labels = Array.from({ length: 15 }, (_, i) => (i % 4 === 0 ? -1 : i % 3));
    const batches = lengths.map((length, n) => ({
      input: part(input, n, n + 1),
      target: labels.slice(5 * n, 5 * n + 5),
      lengths: [length],
    }));
    const loss: FitOptions<number[]>['loss'] = (output, target, options) =>
      crossEntropyLoss(output, target, { ...options, ignoreIndex: -1 });
    const { epochs } = await fit(sequence, [batches[0] as Batch<number[]>], {
      loss,
      optimizer: new Adam(sequence.parameters()),
      // The second sequence's one label does not count, which makes a batch of nothing: it stands with another.
      validation: {
        batches: [batches[0], { input: part(input, 1, 3), target: labels.slice(5), lengths: lengths.slice(1) }] as Batch<number[]>[],
      },
    });
    const { value } = loss(sequence.predict(input, { lengths }), labels, { lengths });
    expect(epochs[0]?.validation?.loss).toBeCloseTo(value, 14);
  });

  test('comes after every so many epochs, and after the last one', async () => {
    const { epochs } = await start({ epochs: 5, validation: { batches: parts, every: 2 } });
    expect(epochs.map(({ validation }) => validation !== undefined)).toEqual([false, true, false, true, true]);
  });

  test('changes nothing: the training goes as it does without one', async () => {
    const run = async (options: Partial<FitOptions>) => {
      const random = new Generator(4);
      const gru = new GRU({ inputSize: 2, hiddenSize: 3, numLayers: 2, dropout: 0.5, stateful: true, generator: random, ...float64 });
      const history = await fit(gru, [{ input: all.input, target: Tensor.randn([7, 5, 3], { generator: random, ...float64 }) }], {
        loss: mseLoss,
        optimizer: new Adam(gru.parameters()),
        epochs: 3,
        ...options,
      });
      return [history.loss, gru.stateDict(), gru.carriedState()];
    };
    const batches = [{ input: Tensor.randn([7, 9, 2], float64), target: Tensor.randn([7, 9, 3], float64) }];
    expect(await run({ validation: { batches } })).toEqual(await run({}));
  });

  test('a metric of one’s own is averaged by the number of samples', async () => {
    const metrics = { first: (output: Tensor) => output.data[0] as number };
    const { epochs } = await start({ validation: { batches: parts }, metrics });
    const [a, b, c] = [0, 4, 5].map((n) => model.predict(all.input).data[3 * n] as number) as [number, number, number];
    expect(epochs[0]?.validation?.first).toBeCloseTo((4 * a + b + 2 * c) / 7, 14);
  });

  test('a loss that is not finite is an error that says where, or in the record', async () => {
    const broken = [parts[0], { input: Tensor.from([[[Number.NaN, 1]]], float64), target: Tensor.zeros([1, 3], float64) }] as Batch[];
    await expect(start({ validation: { batches: broken } })).rejects.toEqual(
      evenkeelError('ERR_NON_FINITE', ', epoch 1: validation, batch 2: the loss is NaN'),
    );
    const { epochs } = await start({ validation: { batches: broken }, nonFinite: 'skip', epochs: 2 });
    expect(epochs.map(({ validation }) => validation?.loss)).toEqual([Number.NaN, Number.NaN]);
  });

  test.each<[string, Partial<FitOptions>, string]>([
    [
      'an iterator',
      { validation: { batches: parts.values() } },
      'validation.batches: expected something that can be gone through again and again',
    ],
    ['metrics without it', { metrics: { w: () => 0 } }, 'metrics: expected a validation to measure them in'],
    ['a metric called loss', { validation: { batches: parts }, metrics: { loss: () => 0 } }, 'metrics: expected names but "loss"'],
    ['an unknown option', { validation: { batch: parts } as never }, 'Did you mean "batches"?'],
    ['no batches', { validation: { batches: [] } }, 'validation.batches: expected at least one batch, got none'],
    [
      'a metric that is none',
      { validation: { batches: parts }, metrics: { a: () => 'x' as never } },
      'metrics.a: expected a function that returns a number',
    ],
    ['a monitor that is none', { earlyStopping: { patience: 1, monitor: 'validation.loss' } }, 'For others give validation: { batches }.'],
    [
      'Keras’ name for it',
      { earlyStopping: { patience: 1, monitor: 'val_loss' }, validation: { batches: parts } },
      'earlyStopping.monitor: expected one of "loss", "validation.loss", got "val_loss". Did you mean "validation.loss"?',
    ],
    ['no patience', { earlyStopping: {} as never }, 'earlyStopping.patience: expected an integer of at least 1'],
    ['a schedule that is none', { schedule: {} as never }, 'schedule: expected a schedule, such as new StepLR'],
    [
      'a schedule of a rate that is none',
      { schedule: { learningRate: () => Number.NaN } },
      'schedule.learningRate(0, …): expected a finite number',
    ],
    ['a decay of 1', { averaging: { decay: 1 } }, 'averaging.decay: expected a finite number at least 0 and below 1'],
  ])('%s is refused', async (_, options, message) => {
    await expect(start(options)).rejects.toEqual(evenkeelError('ERR_OPTION', message));
  });
});

describe('early stopping', () => {
  const course = [9, 5, 3, 4, 2, 6, 7, 8, 1, 0];
  // The loss of a step is the weight before it: epoch e's record has course[e − 1], and the model then has course[e].
  const options: Partial<FitOptions> = { earlyStopping: { monitor: 'loss', patience: 3 } };
  const best = { epoch: 5, step: 5, value: 2 };

  test('ends after so many values that are no better, with the weights of the best', async () => {
    const { run, weight } = makeCourse(course, options);
    const history = await run();
    expect([history.end, history.loss, history.best]).toEqual(['patience', course.slice(0, 8), best]);
    expect(weight()).toBe(6);
  });

  test('with a difference that counts, and for a value that is to be large', async () => {
    expect((await makeCourse(course, { earlyStopping: { monitor: 'loss', patience: 3, minDelta: 1.5 } }).run()).best?.value).toBe(3);
    const upward = await makeCourse(course, { earlyStopping: { monitor: 'loss', patience: 3, mode: 'max' } }).run();
    expect([upward.best?.value, upward.loss.length]).toEqual([9, 4]);
  });

  test.each<[string, Partial<FitOptions>, string | undefined]>([
    ['its last epoch', { earlyStopping: { monitor: 'loss', patience: Infinity }, epochs: 7 }, undefined],
    ['onStep', { onStep: ({ step }) => step < 7 }, undefined],
    ['onEpoch', { onEpoch: ({ epoch }) => epoch < 7 }, undefined],
    [
      'an error',
      {
        onStep: ({ step }) => {
          if (step === 7) throw new Error('mine');
        },
      },
      'mine',
    ], // prettier-ignore
    [
      'an error in onEpoch',
      {
        onEpoch: ({ epoch }) => {
          if (epoch === 7) throw new Error('mine');
        },
      },
      'mine',
    ], // prettier-ignore
    ['a step that is refused', { schedule: { learningRate: (step) => (step === 6 ? Number.NaN : 1) } }, 'expected a finite number'],
  ])('when it ends by %s, the model has the weights of the best', async (_, how, error) => {
    const { run, weight } = makeCourse(course, options);
    if (error !== undefined) await expect(run(how)).rejects.toThrow(error);
    else expect((await run(how)).best).toEqual(best);
    expect(weight()).toBe(6);
  });

  test('when it is aborted, the model has the weights of the best', async () => {
    const controller = new AbortController();
    const { run, weight } = makeCourse(course, options);
    const reason = new Error('enough');
    await expect(run({ signal: controller.signal, onStep: ({ step }) => void (step === 7 && controller.abort(reason)) })).rejects.toBe(
      reason,
    );
    expect(weight()).toBe(6);
  });

  test('monitors a metric, which says whether it is to be large', async () => {
    const { run } = makeCourse([5, 8, 3, 4, 1]);
    const large = Object.assign((output: Tensor) => output.data[0] as number, { mode: 'max' as const });
    const history = await run({
      validation: { batches: [scalarBatch(1)] },
      metrics: { large },
      earlyStopping: { monitor: 'validation.large', patience: 2 },
    });
    expect(history.best).toEqual({ epoch: 1, step: 1, value: 8 });
    expect(history.end).toBe('patience');
  });

  test('of NaN is an error, or no better', async () => {
    const nan = { validation: { batches: [scalarBatch(1)] }, metrics: { nan: () => Number.NaN } };
    const early = { earlyStopping: { monitor: 'validation.nan', patience: 2 } };
    await expect(makeCourse(course).run({ ...nan, ...early })).rejects.toEqual(
      evenkeelError('ERR_NON_FINITE', 'after step 1, epoch 1: earlyStopping.monitor: validation.nan is NaN'),
    );
    const history = await makeCourse(course).run({ ...nan, ...early, nonFinite: 'skip' });
    expect([history.end, history.epochs.length, history.best]).toEqual(['patience', 2, undefined]);
  });
});

describe('schedules', () => {
  test('go by steps or by epochs, and the history says the rate', async () => {
    const { model, optimizer } = makeScalar();
    const run = (schedule: FitOptions['schedule']) =>
      fit(model, [scalarBatch(1), scalarBatch(1)], { loss: mseLoss, optimizer, epochs: 3, schedule });
    const schedule = new StepLR({ stepSize: 2, gamma: 0.5 });
    optimizer.learningRate = 1;
    expect((await run(schedule)).learningRate).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
    optimizer.learningRate = 1;
    expect((await run({ schedule, each: 'epoch' })).learningRate).toEqual([1, 1, 1, 1, 0.5, 0.5]);
    optimizer.learningRate = 1;
    const own = await run({ learningRate: (step, initial) => initial / (1 + step) });
    expect(own.epochs.map(({ learningRate }) => learningRate)).toEqual([1 / 2, 1 / 4, 1 / 6]);
  });

  test('ReduceLROnPlateau goes by what it monitors', async () => {
    const { model, optimizer } = makeScalar();
    let value = 0;
    const schedule = new ReduceLROnPlateau({ monitor: 'validation.rising', patience: 1, factor: 0.5 });
    const { epochs } = await fit(model, [scalarBatch(0)], {
      loss: mseLoss,
      optimizer,
      epochs: 6,
      schedule,
      validation: { batches: [scalarBatch(1)] },
      metrics: { rising: () => ++value },
    });
    expect(epochs.map(({ learningRate }) => learningRate)).toEqual([0.1, 0.1, 0.1, 0.05, 0.05, 0.025]);
    await expect(fit(model, [scalarBatch(0)], { loss: mseLoss, optimizer, schedule })).rejects.toEqual(
      evenkeelError('ERR_OPTION', 'schedule.monitor: expected one of "loss", got "validation.rising"'),
    );
  });

  test('a step that is skipped leaves the rate as it was before', async () => {
    const { model, optimizer } = makeScalar();
    await fit(model, [scalarBatch(1), scalarBatch(Number.NaN)], {
      loss: mseLoss,
      optimizer,
      nonFinite: 'skip',
      schedule: { learningRate: (step) => 0.1 / (1 + step) },
    });
    expect(optimizer.learningRate).toBe(0.1);
  });
});

describe('gradients of several batches', () => {
  const generator = new Generator(6);
  const make = () => {
    const random = new Generator(5);
    return new Sequential({
      rnn: new RNN({ inputSize: 2, hiddenSize: 4, generator: random, ...float64 }),
      head: new Linear({ inputSize: 4, outputSize: 3, generator: random, ...float64 }),
    });
  };
  const slice = ({ data, shape: [, t = 0, f = 0] }: Tensor, begin: number, end: number) =>
    new Tensor(data.slice(begin * t * f, end * t * f), [end - begin, t, f]);
  const input = Tensor.randn([6, 5, 2], { generator, ...float64 });
  const target = Tensor.randn([6, 5, 3], { generator, ...float64 });
  const lengths = [5, 3, 1, 2, 4, 2];
  const labels = Array.from({ length: 30 }, (_, i) => (i % 7 === 3 ? -1 : (5 * i) % 3));
  const cuts = [
    [0, 3],
    [3, 4],
    [4, 6],
  ] as const;

  test.each<[string, FitOptions<never>['loss'], (begin: number, end: number) => Omit<Batch<unknown>, 'input'>]>([
    ['a mean', mseLoss, (begin, end) => ({ target: slice(target, begin, end) })],
    ['a sum', (output, wanted) => mseLoss(output, wanted, { reduction: 'sum' }), (begin, end) => ({ target: slice(target, begin, end) })],
    ['a mean over lengths', mseLoss, (begin, end) => ({ target: slice(target, begin, end), lengths: lengths.slice(begin, end) })],
    [
      'labels, some of which do not count',
      (output, wanted, options) => crossEntropyLoss(output, wanted, { ...options, ignoreIndex: -1, classWeights: [1, 2, 3] }),
      (begin, end) => ({ target: labels.slice(5 * begin, 5 * end), lengths: lengths.slice(begin, end) }),
    ],
    [
      'a loss that says nothing of what it is a mean of',
      (output, wanted) => {
        const { value, grad } = bceWithLogitsLoss(output, wanted);
        return { value, grad };
      },
      (begin, end) => ({ target: slice(target, begin, end) }),
    ],
  ])('are those of one batch: %s', async (_, loss, rest) => {
    const steps = async (batches: Batch<never>[], accumulate: number) => {
      const model = make();
      const grads: number[][] = [];
      const { loss: losses } = await fit(model, batches, {
        loss,
        optimizer: new Adam(model.parameters(), { learningRate: 0 }),
        accumulate,
        onStep: () => void grads.push(...model.parameters().map(({ grad }) => [...grad.data])),
      });
      return { losses, grads };
    };
    const batch = (begin: number, end: number) => ({ input: slice(input, begin, end), ...rest(begin, end) }) as Batch<never>;
    const [whole, parts] = [
      await steps([batch(0, 6)], 1),
      await steps(
        cuts.map(([begin, end]) => batch(begin, end)),
        3,
      ),
    ];
    expect(parts.losses).toHaveLength(1);
    expect(parts.losses[0]).toBeCloseTo(whole.losses[0] as number, 13);
    for (const [i, gradient] of whole.grads.entries()) {
      for (const [j, element] of gradient.entries()) expect(parts.grads[i]?.[j]).toBeCloseTo(element, 13);
    }
  });

  test('at the end of an epoch a step is made from what is left, and one bad batch takes back the whole step', async () => {
    const { model, optimizer } = makeScalar();
    const batches = [1, 1, 1, Number.NaN, 1].map((x) => scalarBatch(x));
    const history = await fit(model, batches, { loss: mseLoss, optimizer, accumulate: 2, nonFinite: 'skip' });
    expect(history.skipped).toEqual([false, true, false]);
    expect(model.parameters()[0]?.value.data[0]).toBeCloseTo(0.8 * 0.8, 14);
    await expect(fit(model, batches, { loss: mseLoss, optimizer, accumulate: 5 })).rejects.toEqual(
      evenkeelError('ERR_NON_FINITE', 'step 4, epoch 1: the loss of batch 4 of 5 is NaN'),
    );
  });
});
