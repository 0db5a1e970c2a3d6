// How a fit ends before its batches do, and goes on in another: signals, onStep, step numbers, checkpoints.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as wait } from 'node:timers/promises';
import {
  Adam,
  type Batch,
  type Batches,
  type FitOptions,
  fit,
  Generator,
  LastStep,
  Linear,
  loadCheckpoint,
  loadState,
  makeBatches,
  mseLoss,
  RNN,
  Sequential,
  SGD,
  saveCheckpoint,
  Tensor,
} from '../../lib/index';
import { evenkeelError, expectRefused } from '../helpers/errors';

const directory = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = (name: string) => join(directory, name);

const scalarBatch = (x: number): Batch => ({ input: Tensor.from([[x]]), target: Tensor.from([[0]]) });
function start(batches: Batches, options: Partial<FitOptions> = {}) {
  const model = new Linear({ inputSize: 1, outputSize: 1 });
  return fit(model, batches, { loss: mseLoss, optimizer: new SGD(model.parameters(), { learningRate: 0.1 }), ...options });
}
const endless = {
  *[Symbol.iterator]() {
    for (;;) yield scalarBatch(0);
  },
};

describe('an aborted signal', () => {
  const reason = new Error('enough');

  test('rejects with its reason, before the next step', async () => {
    const controller = new AbortController();
    let steps = 0;
    const onStep = () => void (++steps === 5 && controller.abort(reason));
    await expect(start(endless, { signal: controller.signal, onStep })).rejects.toBe(reason);
    expect(steps).toBe(5);
    await expect(start(endless, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('in the last step counts too', async () => {
    const controller = new AbortController();
    await expect(start([scalarBatch(1)], { signal: controller.signal, onStep: () => controller.abort(reason) })).rejects.toBe(reason);
  });

  test('timers run while it trains, so one can stop it', async () => {
    await expect(start(endless, { signal: AbortSignal.timeout(30) })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('ends the wait for a batch at once, and tells the source', async () => {
    const controller = new AbortController();
    const calls: string[] = [];
    const source = {
      [Symbol.asyncIterator]: () => ({
        async next() {
          calls.push('next');
          if (calls.length === 1) return { done: false as const, value: scalarBatch(1) };
          setTimeout(() => controller.abort(reason), 5);
          return new Promise<never>(() => {});
        },
        async return() {
          calls.push('return');
          throw new Error('nobody hears this');
        },
      }),
    };
    await expect(start(source, { signal: controller.signal })).rejects.toBe(reason);
    expect(calls).toEqual(['next', 'next', 'return']);
  });

  test.each([
    [
      'an asynchronous generator',
      async function* () {
        yield scalarBatch(1);
        await wait(100_000, undefined, { ref: false });
      },
    ],
    ['a promise in an array', () => [Promise.resolve(scalarBatch(1)), wait(100_000, scalarBatch(1), { ref: false })] as unknown as Batch[]],
  ])('ends the wait for %s', async (_, make) => {
    const began = performance.now();
    await expect(start(make(), { signal: AbortSignal.timeout(10) })).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(performance.now() - began).toBeLessThan(50_000);
  });

  test('ends the wait for onStep, and closes the batches', async () => {
    let closed = false;
    const batches = (function* () {
      try {
        yield* endless;
      } finally {
        closed = true;
      }
    })();
    const onStep = () => new Promise(() => {});
    await expect(start(batches, { signal: AbortSignal.timeout(10), onStep })).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(closed).toBe(true);
  });

  test('leaves no listener behind', async () => {
    const { signal } = new AbortController();
    const listening = new Set<unknown>();
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listening.add(args[1]);
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listening.delete(args[1]);
      removeEventListener.apply(signal, args);
    };
    await start(Array(5).fill(scalarBatch(1)), { signal, onStep: () => setImmediate() });
    await setImmediate();
    expect(listening.size).toBe(0);
  });
});

test('what batches, loss and onStep throw comes through unchanged, and the batches are closed', async () => {
  const mine = new Error('mine');
  let closed = false;
  const batches = (function* () {
    try {
      yield scalarBatch(1);
      yield scalarBatch(1);
    } finally {
      closed = true;
    }
  })();
  const throwMine = () => {
    throw mine;
  };
  await expect(start(batches, { onStep: throwMine })).rejects.toBe(mine);
  expect(closed).toBe(true);
  await expect(start([scalarBatch(1)], { loss: throwMine })).rejects.toBe(mine);
  await expect(start([scalarBatch(1)], { onStep: () => Promise.reject(mine) })).rejects.toBe(mine);
  await expect(start({ [Symbol.iterator]: throwMine })).rejects.toBe(mine);
});

describe('onStep ends the training with false', () => {
  test.each([
    ['at once', (step: number) => step < 3],
    ['after a wait', (step: number) => setImmediate(step < 3)],
  ])('%s, and the history is of the steps that were made', async (_, goOn) => {
    let closed = false;
    const batches = {
      *[Symbol.iterator]() {
        try {
          yield* [scalarBatch(1), scalarBatch(1)];
        } finally {
          closed = true;
        }
      },
    };
    const file = path('ended');
    const history = await start(batches, { epochs: 9, onStep: ({ step }) => goOn(step), checkpoint: { path: file } });
    expect([history.loss.length, closed]).toEqual([3, true]);
    expect(loadState(file).step?.toArray()).toBe(3);
  });

  test.each([undefined, null, 0, '', Number.NaN])('but with %p it goes on', async (answer) => {
    expect((await start([scalarBatch(1), scalarBatch(1)], { onStep: () => answer })).loss).toHaveLength(2);
  });
});

describe('a checkpoint that cannot be written', () => {
  test.each<[string, () => string]>([
    ['in a folder that is not there', () => path('no/such/file')],
    [
      'where a folder is',
      () => {
        mkdirSync(path('folder'), { recursive: true });
        return path('folder');
      },
    ],
  ])('%s is refused before the first step', async (_, make) => {
    let steps = 0;
    const run = start([scalarBatch(1)], { checkpoint: { path: make() }, onStep: () => void steps++ });
    await expect(run).rejects.toEqual(evenkeelError('ERR_FILE'));
    expect(steps).toBe(0);
  });

  test('later names the step', async () => {
    mkdirSync(path('removed'));
    const onStep = () => rmSync(path('removed'), { recursive: true });
    await expect(start([scalarBatch(1)], { checkpoint: { path: path('removed/file'), every: 1 }, onStep })).rejects.toEqual(
      evenkeelError('ERR_FILE', 'after step 1: '),
    );
  });

  test('one that can be leaves nothing behind before the first step', async () => {
    mkdirSync(path('empty'));
    await start([scalarBatch(1)], {
      checkpoint: { path: path('empty/file') },
      onStep: () => expect(readdirSync(path('empty'))).toEqual([]),
    });
    expect(existsSync(path('empty/file'))).toBe(true);
  });
});

describe('step numbers', () => {
  const make = () => {
    const model = new Linear({ inputSize: 1, outputSize: 1, generator: new Generator(1) });
    return { model, optimizer: new Adam(model.parameters()) };
  };
  const bad = scalarBatch(Number.NaN);
  const steps = async ({ model, optimizer }: ReturnType<typeof make>, batches: Batch[], file?: string) => {
    const seen: number[] = [];
    await fit(model, batches, {
      loss: mseLoss,
      optimizer,
      nonFinite: 'skip',
      checkpoint: file === undefined ? undefined : { path: path(file) },
      onStep: ({ step }) => void seen.push(step),
    });
    return seen;
  };

  test('go on in the next fit, and in one after a checkpoint was loaded; steps that were skipped count', async () => {
    const first = make();
    expect(await steps(first, [scalarBatch(1), bad, scalarBatch(1)])).toEqual([1, 2, 3]);
    expect(await steps(first, [scalarBatch(1)], 'steps')).toEqual([4]);
    const second = make();
    expect(loadCheckpoint(path('steps'), second)).toBe(4);
    expect(await steps(second, [bad, scalarBatch(1)], 'steps')).toEqual([5, 6]);
    expect(loadState(path('steps')).step?.toArray()).toBe(6);
    expect(second.optimizer.steps).toBe(4);
  });

  test('count steps of the optimiser that were made by hand', async () => {
    const { model, optimizer } = make();
    optimizer.step();
    expect(await steps({ model, optimizer }, [scalarBatch(1)])).toEqual([2]);
  });

  test('go back with a checkpoint', async () => {
    const trained = make();
    saveCheckpoint(path('begin'), { ...trained, step: 0 });
    await steps(trained, [bad, scalarBatch(1)]);
    loadCheckpoint(path('begin'), trained);
    expect(await steps(trained, [bad])).toEqual([1]);
  });
});

describe('a run in two halves', () => {
  const generator = new Generator(8);
  const [inputs, targets] = [Tensor.randn([20, 5, 3], { generator }), Tensor.randn([20, 1], { generator })];
  const make = (seed: number) => {
    const random = new Generator(seed);
    const rnn = new RNN({ inputSize: 3, hiddenSize: 4, stateful: true, generator: random });
    const model = new Sequential({ rnn, last: new LastStep(), head: new Linear({ inputSize: 4, outputSize: 1, generator: random }) });
    return { model, optimizer: new Adam(model.parameters(), { learningRate: 0.05 }), generator: new Generator(seed) };
  };
  const train = ({ model, optimizer, generator }: ReturnType<typeof make>, epochs: number, file?: string) =>
    fit(model, makeBatches(inputs, targets, { batchSize: 4, generator }), {
      loss: mseLoss,
      optimizer,
      epochs,
      generator,
      checkpoint: file === undefined ? undefined : { path: path(file) },
    });

  test('ends with the bits of one in one piece: the order of the batches and the state of a stateful layer go on', async () => {
    const whole = make(1);
    await train(whole, 4);
    await train(make(1), 2, 'half');
    const second = make(2);
    expect(loadCheckpoint(path('half'), second)).toBe(10);
    await train(second, 2, 'half');
    expect([second.model.stateDict(), second.model.carriedState(), second.generator.state]).toEqual([
      whole.model.stateDict(),
      whole.model.carriedState(),
      whole.generator.state,
    ]);
    expect(loadState(path('half')).step?.toArray()).toBe(20);
  });

  test('a generator that is not given, or not there, is refused, and nothing is changed', async () => {
    await train(make(1), 1, 'generator');
    const { generator: _, ...without } = make(1);
    saveCheckpoint(path('no-generator'), { ...without, step: 1 });
    const other = make(2);
    const snapshot = () =>
      JSON.stringify([other.model.stateDict(), other.optimizer.stateDict(), other.generator.state, other.model.carriedState()]);
    const before = snapshot();
    const { generator: own, ...rest } = other;
    expectRefused(
      () => loadCheckpoint(path('generator'), rest),
      'ERR_STATE',
      'generator: expected the generator whose state the checkpoint holds, got none',
    );
    expectRefused(() => loadCheckpoint(path('no-generator'), other), 'ERR_STATE', 'generator: expected none, got one');
    const sgd = new SGD(other.model.parameters(), { learningRate: 1, momentum: 0.5 });
    expectRefused(() => loadCheckpoint(path('generator'), { ...other, optimizer: sgd }), 'ERR_STATE', 'momentum_buffer');
    expectRefused(
      () => saveCheckpoint(path('x'), { ...rest, generator: 5 as never, step: 1 }),
      'ERR_OPTION',
      'generator: expected a Generator',
    );
    expect([snapshot(), own.state]).toEqual([before, new Generator(2).state]);
  });

  test('a checkpoint without a state lets a stateful layer begin from zero', () => {
    const [fresh, other] = [make(1), make(1)];
    saveCheckpoint(path('fresh'), { ...fresh, step: 0 });
    const input = Tensor.randn([2, 5, 3], { generator: new Generator(3) });
    other.model.forward(input);
    loadCheckpoint(path('fresh'), other);
    expect(other.model.forward(input).toArray()).toEqual(fresh.model.forward(input).toArray());
  });
});
