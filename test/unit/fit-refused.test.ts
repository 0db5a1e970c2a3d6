// A step that fit refuses, or in which something throws, leaves no trace; and what is not trained has no say in it.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Adam,
  AdamW,
  AutoClip,
  type Batch,
  type Clipper,
  type FitOptions,
  fit,
  Generator,
  LastStep,
  type Layer,
  Linear,
  loadState,
  mseLoss,
  type Optimizer,
  Parameter,
  RMSprop,
  RNN,
  Sequential,
  SGD,
  type StepRecord,
  Tensor,
  ZClip,
} from '../../lib/index';
import { evenkeelError } from '../helpers/errors';

const optimizers: [string, (parameters: Parameter[]) => Optimizer][] = [
  ['SGD', (parameters) => new SGD(parameters, { learningRate: 0.05, momentum: 0.9 })],
  ['Adam', (parameters) => new Adam(parameters, { learningRate: 0.05 })],
  ['AdamW', (parameters) => new AdamW(parameters, { learningRate: 0.05 })],
  ['RMSprop', (parameters) => new RMSprop(parameters, { learningRate: 0.05, momentum: 0.9 })],
];

/** A rule with a memory, none of the package's. */
class Counting implements Clipper {
  #calls = 0;
  clip() {
    this.#calls++;
    return { norm: 1, threshold: 1, clipped: false };
  }
  stateDict() {
    return { calls: Tensor.from(this.#calls) };
  }
  loadStateDict({ calls }: Record<string, Tensor>) {
    this.#calls = calls?.data[0] as number;
  }
}

const clippers: [string, () => Clipper][] = [
  ['AutoClip', () => new AutoClip({ percentile: 50 })],
  ['ZClip', () => new ZClip({ warmupSteps: 2 })],
  ['one of my own', () => new Counting()],
];

const makers = optimizers.flatMap(([optimizer, make]) =>
  clippers.map(([clipper, clip]) => ({ name: `${optimizer}, ${clipper}`, make, clip })),
);

function makeBatch(seed: number, inputSize = 2): Batch {
  const generator = new Generator(seed);
  return { input: Tensor.randn([2, 3, inputSize], { generator }), target: Tensor.randn([2, 2], { generator }) };
}
const BAD = makeBatch(50);
const isBad = (target: Tensor) => target === BAD.target;
const mine = new Error('mine');

/** A model that carries a state, an optimiser, a clipper and a loss with noise; and all that they hold. */
function makeRun(
  { make, clip }: (typeof makers)[number],
  spoil: (run: ReturnType<typeof parts>, result: ReturnType<typeof mseLoss>) => void,
) {
  function parts() {
    const generator = new Generator(1);
    const rnn = new RNN({ inputSize: 2, hiddenSize: 3, stateful: true, generator });
    const head = new Linear({ inputSize: 3, outputSize: 2, generator });
    const model = new Sequential([new Sequential({ rnn, last: new LastStep() }), head]);
    return { model, optimizer: make(model.parameters()), clipper: clip(), noise: new Generator(2) };
  }
  const run = parts();
  const { model, optimizer, clipper, noise } = run;
  const loss = (output: Tensor, target: Tensor) => {
    for (let i = 0; i < output.size; i++) output.data[i] = (output.data[i] as number) + 0.01 * noise.normal();
    const result = mseLoss(output, target);
    if (isBad(target)) spoil(run, result);
    return result;
  };
  return {
    fit: (batches: Iterable<Batch>, more: Partial<FitOptions> = {}) => {
      const resetRate = () => {
        optimizer.learningRate = 0.05;
      };
      resetRate();
      return fit(model, batches, { loss, optimizer, clip: clipper, generator: noise, onStep: resetRate, ...more });
    },
    state: () => [model, optimizer, clipper].map((part) => part.stateDict?.()).concat(model.carriedState(), [noise.state as never]),
  };
}

describe.each(makers)('$name', (maker) => {
  const good = [1, 2, 3, 4].map((seed) => makeBatch(seed));
  const [before, after] = [good.slice(0, 2), good.slice(2)];

  test.each<[string, Parameters<typeof makeRun>[1], string]>([
    ['loss is NaN', (_, result) => void Object.assign(result, { value: Number.NaN }), 'the loss is NaN'],
    ['gradient is infinite', (_, { grad }) => void grad.data.fill(Number.NEGATIVE_INFINITY, 0, 1), 'the norm of the gradient of'],
    [
      'weights overflow',
      ({ model, optimizer }) => {
        // An update beyond the type's range, once: no learning rate that optimisers take makes it with all of them.
        optimizer.step = () => {
          Reflect.deleteProperty(optimizer, 'step');
          optimizer.step();
          model.parameters()[0]?.value.data.fill(Infinity, 0, 1);
        };
      },
      `the optimiser's step made the parameter "0.rnn.weight_ih_l0"`,
    ],
  ])('a step whose %s', async (_, spoil, reason) => {
    const [twin, skipping, throwing] = [makeRun(maker, spoil), makeRun(maker, spoil), makeRun(maker, spoil)];
    await twin.fit(good);
    const { skipped } = await skipping.fit([...before, BAD, ...after], { nonFinite: 'skip' });
    expect(skipped).toEqual([false, false, true, false, false]);
    expect(skipping.state()).toEqual(twin.state());
    await expect(throwing.fit([...before, BAD])).rejects.toEqual(evenkeelError('ERR_NON_FINITE', `step 3, epoch 1: ${reason}`));
    await throwing.fit(after);
    expect(throwing.state()).toEqual(twin.state());
  });

  test.each<[string, Batch, Parameters<typeof makeRun>[1], unknown]>([
    [
      'the loss',
      BAD,
      () => {
        throw mine;
      },
      mine,
    ],
    [
      'the loss, with its result',
      BAD,
      (_, result) => void Object.assign(result, { grad: 1 }),
      evenkeelError('ERR_OPTION', 'step 3, epoch 1: loss(): expected'),
    ],
    [
      'the first layer',
      makeBatch(9, 5),
      () => {},
      evenkeelError('ERR_SHAPE', 'step 3, epoch 1: input: expected shape [N, T, 2], got [2, 3, 5]'),
    ],
    ['the clipper', BAD, ({ clipper }) => void throwOnce(clipper), mine],
    ['the optimiser', BAD, ({ optimizer }) => void throwOnce(optimizer, 'step'), mine],
  ])('a step in which %s throws', async (_, bad, spoil, error) => {
    const [twin, other] = [makeRun(maker, spoil), makeRun(maker, spoil)];
    await twin.fit(good);
    await expect(other.fit([...before, bad])).rejects.toEqual(error);
    await other.fit(after);
    expect(other.state()).toEqual(twin.state());
  });
});

/** Lets the next call of a method throw after it has done its work. */
function throwOnce(subject: Clipper | Optimizer, name = 'clip') {
  const methods = subject as unknown as Record<string, (...args: unknown[]) => unknown>;
  const method = methods[name] as (...args: unknown[]) => unknown;
  methods[name] = (...args) => {
    methods[name] = method;
    method.apply(subject, args);
    throw mine;
  };
}

describe('weights that are not finite', () => {
  const directory = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const batch = (y: number): Batch => ({ input: Tensor.from([[1e3]]), target: Tensor.from([[y]]) });

  test.each(['throw', 'skip'] as const)('never replace a good checkpoint (%s)', async (nonFinite) => {
    const model = new Linear({ inputSize: 1, outputSize: 1, generator: new Generator(1) });
    const optimizer = new SGD(model.parameters(), { learningRate: 1e-9 });
    const path = join(directory, nonFinite);
    const options = { loss: mseLoss, optimizer, checkpoint: { path, every: 1 }, nonFinite };
    await fit(model, [batch(1)], options);
    const good = loadState(path)['model.weight']?.toArray();
    optimizer.learningRate = 1e10;
    const run = fit(model, [batch(1e30)], options);
    if (nonFinite === 'throw')
      await expect(run).rejects.toEqual(
        evenkeelError('ERR_NON_FINITE', 'step 2, epoch 1: the optimiser\'s step made the parameter "weight"'),
      );
    else expect((await run).skipped).toEqual([true]);
    expect(model.stateDict().weight?.toArray()).toEqual(good);
    expect(loadState(path)['model.weight']?.toArray()).toEqual(good);
  });

  test('and nothing is written of a run whose first step is refused', async () => {
    const model = new Linear({ inputSize: 1, outputSize: 1 });
    const path = join(directory, 'none');
    await expect(
      fit(model, [batch(Number.NaN)], { loss: mseLoss, optimizer: new Adam(model.parameters()), checkpoint: { path, every: 1 } }),
    ).rejects.toEqual(evenkeelError('ERR_NON_FINITE'));
    expect(existsSync(path)).toBe(false);
  });
});

describe('frozen parameters', () => {
  const makeModel = (body = 1e-3) => {
    const linear = () => new Linear({ inputSize: 1, outputSize: 1, bias: false });
    const model = new Sequential({ body: linear(), head: linear() });
    model.loadStateDict({ 'body.weight': Tensor.from([[body]]), 'head.weight': Tensor.from([[100]]) });
    return { model, head: model.layers.head as Layer };
  };
  const batch: Batch = { input: Tensor.from([[1]]), target: Tensor.from([[0]]) };

  test('count neither in the norm nor in the clipping, stay as they are, and their gradients do not pile up', async () => {
    const { model, head } = makeModel();
    const records: StepRecord[] = [];
    const grads: unknown[] = [];
    await fit(model, [batch], {
      loss: mseLoss,
      optimizer: new SGD(head.parameters(), { learningRate: 1e-9 }),
      clip: { maxNorm: 1 },
      epochs: 3,
      onStep(record) {
        records.push(record);
        grads.push(model.parameters()[0]?.grad.data[0]);
      },
    });
    // ∂L/∂w = 2·(0.1)·0.001
    for (const { gradNorm, gradNorms, clipped } of records) {
      expect([Object.keys(gradNorms), clipped]).toEqual([['head.weight'], false]);
      expect(gradNorm).toBeCloseTo(2e-4, 8);
    }
    expect(grads[0]).toBeCloseTo(20, 4);
    expect(grads[2]).toBeCloseTo(20, 4);
    expect(model.stateDict()['body.weight']?.data[0]).toBe(Math.fround(1e-3));
  });

  test('with a gradient that is not finite do not stop the training of others', async () => {
    const { model, head } = makeModel();
    const body = model.layers.body as Layer;
    const backward = body.backward.bind(body) as (gradOutput: Tensor) => Tensor;
    body.backward = ((gradOutput: Tensor) => {
      const gradient = backward(gradOutput);
      body.parameters()[0]?.grad.data.fill(Number.NaN);
      return gradient;
    }) as Layer['backward'];
    const history = await fit(model, [batch], { loss: mseLoss, optimizer: new SGD(head.parameters(), { learningRate: 1 }) });
    expect(history.skipped).toEqual([false]);
  });

  test("parameters of the optimiser that are not the model's are trained, and count", async () => {
    const { model } = makeModel();
    const scale = new Parameter('scale', Tensor.from([2]));
    const loss = (output: Tensor, target: Tensor) => {
      scale.grad.data[0] = 5;
      return mseLoss(output, target);
    };
    const norms = {};
    await fit(model, [batch], {
      loss,
      optimizer: new SGD([...model.parameters(), scale], { learningRate: 0.1 }),
      onStep: (record) => void Object.assign(norms, record.gradNorms),
    });
    expect(Object.entries(norms).map(([name]) => name)).toEqual(['body.weight', 'head.weight', 'scale']);
    expect(scale.value.data[0]).toBe(1.5);
    const twin = new Parameter('head.weight', Tensor.from([2]));
    await expect(fit(model, [batch], { loss, optimizer: new SGD([...model.parameters(), twin], { learningRate: 0.1 }) })).rejects.toEqual(
      evenkeelError('ERR_OPTION', 'names that differ, got "head.weight"'),
    );
  });
});
