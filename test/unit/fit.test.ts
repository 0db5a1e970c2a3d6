import {
  Adam,
  AdaptiveGradientClipping,
  AutoClip,
  type Batch,
  type Clip,
  clipGradNorm,
  crossEntropyLoss,
  fit,
  Generator,
  type History,
  LastStep,
  LayerNorm,
  Linear,
  mseLoss,
  RNN,
  Sequential,
  type StepRecord,
  Tensor,
} from '../../lib/index';
import { evenkeelError } from '../helpers/errors';
import { float64, makeScalar, scalarBatch, values } from './fit-models';

function makeModel(seed = 1) {
  const generator = new Generator(seed);
  return new Sequential({
    rnn: new RNN({ inputSize: 2, hiddenSize: 3, generator, dtype: 'float64' }),
    ln: new LayerNorm({ size: 3, dtype: 'float64' }),
  });
}

function makeBatches(count = 3): Batch[] {
  const generator = new Generator(99);
  return Array.from({ length: count }, () => ({
    input: Tensor.randn([2, 4, 2], { generator, dtype: 'float64' }),
    target: Tensor.randn([2, 4, 3], { generator, dtype: 'float64' }),
  }));
}

describe('training', () => {
  test('goes through a stream in chunks, each from the state that the one before left, with the gradient cut between them', async () => {
    const makeStream = () => {
      const generator = new Generator(3);
      const rnn = new RNN({ inputSize: 2, hiddenSize: 3, generator, stateful: true, truncateAfter: 3, ...float64 });
      return { rnn, model: new Sequential({ rnn, head: new Linear({ inputSize: 3, outputSize: 3, generator, ...float64 }) }) };
    };
    const [fitted, byHand] = [makeStream(), makeStream()];
    const epochs = 2;
    // A stream that is never whole in memory, and starts anew in each epoch.
    const stream = {
      async *[Symbol.asyncIterator]() {
        fitted.rnn.resetState();
        for (const batch of makeBatches()) yield batch;
      },
    };
    const { loss } = await fit(fitted.model, stream, {
      loss: mseLoss,
      optimizer: new Adam(fitted.model.parameters(), { learningRate: 0.05 }),
      epochs,
    });
    const optimizer = new Adam(byHand.model.parameters(), { learningRate: 0.05 });
    const { rnn, model } = byHand;
    const head = model.layers.head as Linear;
    const expected: number[] = [];
    for (let epoch = 0; epoch < epochs; epoch++) {
      let initialState = Tensor.zeros([2, 3], float64);
      for (const { input, target } of makeBatches()) {
        optimizer.zeroGrad();
        const { value, grad } = mseLoss(head.forward(rnn.forward(input, { initialState })), target);
        rnn.backward(head.backward(grad));
        optimizer.step();
        initialState = rnn.finalState;
        expected.push(value);
      }
    }
    expect(loss).toEqual(expected);
    expect(values(fitted.model)).toEqual(values(byHand.model));
  });

  test('does what a loop by hand does, with and without clipping', async () => {
    for (const maxNorm of [undefined, 0.3]) {
      const [fitted, byHand] = [makeModel(), makeModel()];
      const optimizer = new Adam(byHand.parameters(), { learningRate: 0.05 });
      const clippedNorms: number[] = [];
      const expected: Omit<History, 'clippedGradNorm'> = {
        loss: [],
        gradNorm: [],
        clipThreshold: [],
        clipped: [],
        skipped: [],
        largestState: [],
        warnings: [],
        learningRate: [],
        epochs: [],
        end: 'epochs',
      };
      for (let epoch = 0; epoch < 2; epoch++) {
        for (const { input, target } of makeBatches()) {
          optimizer.zeroGrad();
          const { value, grad } = mseLoss(byHand.forward(input), target);
          byHand.backward(grad);
          const norm = clipGradNorm(byHand.parameters(), { maxNorm: maxNorm ?? 1e9 });
          optimizer.step();
          expected.loss.push(value);
          expected.gradNorm.push(norm);
          clippedNorms.push(Math.hypot(...byHand.parameters().flatMap(({ grad }) => [...grad.data])));
          expected.clipThreshold.push(maxNorm ?? Infinity);
          expected.clipped.push(norm > (maxNorm ?? 1e9));
          expected.skipped.push(false);
          expected.largestState.push(Math.max(...(byHand.layers.rnn as RNN).finalState.data.map(Math.abs)));
          expected.learningRate.push(0.05);
        }
        const losses = expected.loss.slice(-3);
        const loss = losses.reduce((sum, one) => sum + one, 0) / 3;
        expected.epochs.push({ epoch: epoch + 1, step: 3 * (epoch + 1), loss, learningRate: 0.05 });
      }
      const history = await fit(fitted, makeBatches(), {
        loss: mseLoss,
        optimizer: new Adam(fitted.parameters(), { learningRate: 0.05 }),
        epochs: 2,
        clip: maxNorm === undefined ? undefined : { maxNorm },
      });
      const { clippedGradNorm, ...rest } = history;
      expect(rest).toEqual(expected);
      for (const [step, norm] of clippedGradNorm.entries()) expect(norm / (clippedNorms[step] as number)).toBeCloseTo(1, 12);
      expect(values(fitted)).toEqual(values(byHand));
    }
  });

  test('onStep is told everything, and awaited', async () => {
    const model = makeModel();
    const records: StepRecord[] = [];
    let busy = false;
    const history = await fit(model, makeBatches(2), {
      loss: mseLoss,
      optimizer: new Adam(model.parameters()),
      epochs: 2,
      clip: { maxNorm: 0.01 },
      async onStep(record) {
        expect(busy).toBe(false);
        busy = true;
        await new Promise((resolve) => setTimeout(resolve, 2));
        busy = false;
        records.push(record);
      },
    });
    expect(records.map(({ step, epoch }) => [step, epoch])).toEqual([
      [1, 1],
      [2, 1],
      [3, 2],
      [4, 2],
    ]);
    expect(records.map(({ loss }) => loss)).toEqual(history.loss);
    expect(history.clipped).toEqual([true, true, true, true]);
    expect(history.clipThreshold).toEqual([0.01, 0.01, 0.01, 0.01]);
    for (const { gradNorm, gradNorms, clipped, skipped } of records) {
      expect(Object.keys(gradNorms)).toEqual(model.parameters().map(({ name }) => name));
      expect(Math.hypot(...Object.values(gradNorms)) / gradNorm).toBeCloseTo(1, 12);
      expect([clipped, skipped]).toEqual([true, false]);
    }
  });

  test.each<[string, Clip, number, boolean]>([
    ['by 1-norm', { maxNorm: 1, normType: 1 }, 1 - 0.1, true],
    ['by infinity norm', { maxNorm: 8, normType: Number.POSITIVE_INFINITY }, 1 - 0.4, false],
    ['by a norm that only is measured', { maxNorm: Infinity }, 1 - 0.4, false],
    ['by value', { clipValue: 2 }, 1 - 0.2, true],
    ['by a value that is not reached', { clipValue: 5 }, 1 - 0.4, false],
    ['by a clipper', { clip: ([w]) => ({ norm: 4, threshold: 0, clipped: w?.grad.data.fill(3) !== undefined }) }, 1 - 0.3, true],
    ['by AutoClip', new AutoClip(), 1 - 0.4, false],
    ['by AdaptiveGradientClipping', new AdaptiveGradientClipping({ ratio: 0.5 }), 1 - 0.05, true],
  ])('clips %s', async (_, clip, expected, clipped) => {
    const { model, optimizer } = makeScalar();
    // The gradient is 2·w·x² = 4.
    const history = await fit(model, [scalarBatch(Math.SQRT2)], { loss: mseLoss, optimizer, clip });
    expect(model.parameters()[0]?.value.data[0]).toBeCloseTo(expected, 5);
    expect(history.clipped).toEqual([clipped]);
    expect(history.gradNorm[0]).toBeCloseTo(4, 12);
    expect(history.clippedGradNorm[0]).toBeCloseTo((1 - expected) / 0.1, 5);
  });

  test('takes targets of any kind, for the loss to understand', async () => {
    const generator = new Generator(5);
    const model = new Sequential([
      new RNN({ inputSize: 1, hiddenSize: 8, generator }),
      new LastStep(),
      new Linear({ inputSize: 8, outputSize: 2, generator }),
    ]);
    const batch = {
      input: Tensor.from([
        [[1], [0]],
        [[-1], [0]],
      ]),
      target: Int32Array.of(0, 1),
    };
    const history = await fit(model, [batch], {
      loss: crossEntropyLoss,
      optimizer: new Adam(model.parameters(), { learningRate: 0.05 }),
      epochs: 60,
    });
    expect(history.loss[0]).toBeGreaterThan(0.4);
    expect(history.loss.at(-1)).toBeLessThan(0.05);
  });

  test('takes batches whose parts are getters of a class', async () => {
    class Lazy implements Batch {
      get input() {
        return Tensor.from([[2]], float64);
      }
      get target() {
        return Tensor.from([[0]], float64);
      }
    }
    const { model, optimizer } = makeScalar();
    expect((await fit(model, [new Lazy()], { loss: mseLoss, optimizer })).loss).toEqual([4]);
  });

  test('takes arrays, sets, generators, and asynchronous ones', async () => {
    const losses = async (batches: Iterable<Batch> | AsyncIterable<Batch>, epochs = 1) => {
      const model = makeModel();
      return (await fit(model, batches, { loss: mseLoss, optimizer: new Adam(model.parameters()), epochs })).loss;
    };
    const expected = await losses(makeBatches());
    expect(await losses(new Set(makeBatches()))).toEqual(expected);
    expect(
      await losses(
        (function* () {
          yield* makeBatches();
        })(),
      ),
    ).toEqual(expected);
    expect(
      await losses(
        (async function* () {
          yield* makeBatches();
        })(),
      ),
    ).toEqual(expected);
    const again = {
      async *[Symbol.asyncIterator]() {
        yield* makeBatches();
      },
    };
    expect(await losses(again, 2)).toEqual(await losses(makeBatches(), 2));
  });
});

describe('what is not finite', () => {
  test('a loss stops the run, names the step, and leaves the parameters of the step before', async () => {
    const { model, optimizer } = makeScalar();
    const batches = [scalarBatch(1), scalarBatch(Number.NaN), scalarBatch(1)];
    await expect(fit(model, batches, { loss: mseLoss, optimizer })).rejects.toEqual(
      evenkeelError('ERR_NON_FINITE', 'step 2, epoch 1: the loss is NaN'),
    );
    expect(values(model)).toEqual([[1 - 0.2]]);
    expect(optimizer.stateDict().step?.toArray()).toBe(1);
  });

  test('a gradient names the parameter', async () => {
    const model = makeModel();
    const before = values(model);
    const loss = (output: Tensor, target: Tensor) => {
      const { value, grad } = mseLoss(output, target);
      grad.data[0] = Number.POSITIVE_INFINITY;
      return { value, grad };
    };
    const run = fit(model, makeBatches(), { loss, optimizer: new Adam(model.parameters()), clip: { maxNorm: 1 } });
    await expect(run).rejects.toEqual(
      evenkeelError('ERR_NON_FINITE', 'step 1, epoch 1: the norm of the gradient of "rnn.weight_ih_l0" is'),
    );
    expect(values(model)).toEqual(before);
  });

  test('on request the step is left out', async () => {
    const { model, optimizer } = makeScalar();
    const records: StepRecord[] = [];
    const history = await fit(model, [scalarBatch(1), scalarBatch(Number.POSITIVE_INFINITY), scalarBatch(1)], {
      loss: mseLoss,
      optimizer,
      nonFinite: 'skip',
      onStep: (record) => void records.push(record),
    });
    expect(history.skipped).toEqual([false, true, false]);
    expect(history.gradNorm[1]).toBeNaN();
    expect(records[1]).toEqual({
      step: 2,
      epoch: 1,
      loss: Number.POSITIVE_INFINITY,
      gradNorm: Number.NaN,
      clippedGradNorm: Number.NaN,
      gradNorms: { 'linear.weight': Number.NaN },
      clipThreshold: Number.NaN,
      clipped: false,
      skipped: true,
      largestState: Number.NaN,
      learningRate: 0.1,
    });
    expect(values(model)[0]?.[0]).toBeCloseTo(0.8 * 0.8, 14);
  });

  test('a step that is left out is not remembered by a clipper', async () => {
    const clip = new AutoClip({ percentile: 50 });
    const { model, optimizer } = makeScalar();
    const batches = [scalarBatch(1), scalarBatch(Number.NaN), scalarBatch(Number.POSITIVE_INFINITY), scalarBatch(1)];
    const history = await fit(model, batches, { loss: mseLoss, optimizer, clip, nonFinite: 'skip' });
    expect(clip.stateDict().history?.size).toBe(2);
    expect(history.clipThreshold.map(Number.isNaN)).toEqual([false, true, true, false]);
  });
});
