import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Adam,
  AdaptiveGradientClipping,
  AutoClip,
  type Batch,
  fit,
  Generator,
  Linear,
  loadCheckpoint,
  loadState,
  mseLoss,
  Sequential,
  SGD,
  saveCheckpoint,
  saveState,
  Tensor,
  ZClip,
} from '../../lib/index';
import { expectRefused } from '../helpers/errors';

const directory = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = (name: string) => join(directory, name);

function make(seed = 1) {
  const model = new Sequential({ linear: new Linear({ inputSize: 3, outputSize: 2, generator: new Generator(seed) }) });
  return { model, optimizer: new Adam(model.parameters(), { learningRate: 0.1 }) };
}

function batches(count: number): Batch[] {
  const generator = new Generator(3);
  return Array.from({ length: count }, () => ({ input: Tensor.randn([4, 3], { generator }), target: Tensor.randn([4, 2], { generator }) }));
}

test('a run that was interrupted ends as one that was not', async () => {
  const [whole, first] = [make(), make()];
  await fit(whole.model, batches(6), { loss: mseLoss, optimizer: whole.optimizer });
  first.optimizer.learningRate = 0.1;
  await fit(first.model, batches(6).slice(0, 4), { loss: mseLoss, optimizer: first.optimizer, checkpoint: { path: path('run') } });
  const second = make(2);
  second.optimizer.learningRate = 0.7;
  expect(loadCheckpoint(path('run'), second)).toBe(4);
  await fit(second.model, batches(6).slice(4), { loss: mseLoss, optimizer: second.optimizer });
  expect(second.model.stateDict()).toEqual(whole.model.stateDict());
  expect(second.optimizer.stateDict()).toEqual(whole.optimizer.stateDict());
});

test.each([
  ['AutoClip', () => new AutoClip({ percentile: 40 }), ['clipper.history']],
  ['ZClip', () => new ZClip({ alpha: 0.1, zThreshold: 0.01, warmupSteps: 2 }), ['clipper.mean', 'clipper.steps', 'clipper.variance']],
  ['AdaptiveGradientClipping', () => new AdaptiveGradientClipping({ ratio: 0.1 }), []],
])('a run that was interrupted under %s goes on with what it remembers', async (name, makeClipper, keys) => {
  const whole = { ...make(), clipper: makeClipper() };
  const run = (trained: typeof whole, data: Batch[], file?: string) =>
    fit(trained.model, data, {
      loss: mseLoss,
      optimizer: trained.optimizer,
      clip: trained.clipper,
      checkpoint: file === undefined ? undefined : { path: file },
    });
  const expected = await run(whole, batches(8));
  const file = path(name);
  await run({ ...make(), clipper: makeClipper() }, batches(8).slice(0, 4), file);
  expect(Object.keys(loadState(file)).filter((key) => key.startsWith('clipper.'))).toEqual(keys);
  const resumed = { ...make(2), clipper: makeClipper() };
  expect(loadCheckpoint(file, resumed)).toBe(4);
  const rest = await run(resumed, batches(8).slice(4));
  expect(rest.clipThreshold).toEqual(expected.clipThreshold.slice(4));
  expect(new Set(expected.clipped.slice(4)).has(true)).toBe(true);
  expect(resumed.model.stateDict()).toEqual(whole.model.stateDict());
});

test('a checkpoint from before the first step holds an empty memory', () => {
  const clipper = new AutoClip();
  saveCheckpoint(path('empty'), { ...make(), clipper, step: 0 });
  const other = new AutoClip();
  other.clip(make().model.parameters());
  expect(loadCheckpoint(path('empty'), { ...make(), clipper: other })).toBe(0);
  expect(other.stateDict()).toEqual(clipper.stateDict());
});

test('is written after every so many steps, and after the last one', async () => {
  const { model, optimizer } = make();
  const steps: unknown[] = [];
  const file = path('every');
  await fit(model, batches(5), {
    loss: mseLoss,
    optimizer,
    checkpoint: { path: file, every: 2 },
    onStep() {
      steps.push(existsSync(file) ? loadState(file).step?.toArray() : undefined);
    },
  });
  expect([...steps, loadState(file).step?.toArray()]).toEqual([undefined, undefined, 2, 2, 4, 5]);
  expect(readdirSync(directory).filter((name) => name.startsWith('every'))).toEqual(['every']);
});

test('holds the names of the model, of the optimiser and the step', () => {
  saveCheckpoint(path('names'), { ...make(), step: 7 });
  expect(Object.keys(loadState(path('names'))).sort()).toEqual([
    'model.linear.bias',
    'model.linear.weight',
    'optimizer.0.linear.weight.exp_avg',
    'optimizer.0.linear.weight.exp_avg_sq',
    'optimizer.1.linear.bias.exp_avg',
    'optimizer.1.linear.bias.exp_avg_sq',
    'optimizer.learning_rate',
    'optimizer.step',
    'step',
  ]);
});

describe('a checkpoint of something else changes nothing', () => {
  const other = new Sequential({ linear: new Linear({ inputSize: 3, outputSize: 1 }) });
  const sgd = (model: Sequential) => new SGD(model.parameters(), { learningRate: 1, momentum: 0.5 });

  test('another model, another optimiser', () => {
    const { model, optimizer } = make();
    const before = JSON.stringify([model.stateDict(), optimizer.stateDict()]);
    saveCheckpoint(path('other-model'), { model: other, optimizer: new Adam(other.parameters()), step: 1 });
    expectRefused(
      () => loadCheckpoint(path('other-model'), { model, optimizer }),
      'ERR_SHAPE',
      'model["linear.weight"]: expected shape [2, 3], got [1, 3]',
    );
    const trained = make(5);
    saveCheckpoint(path('other-optimizer'), { model: trained.model, optimizer: sgd(trained.model), step: 1 });
    expectRefused(
      () => loadCheckpoint(path('other-optimizer'), { model, optimizer }),
      'ERR_STATE',
      'Unexpected: 0.linear.weight.momentum_buffer',
    );
    expect(JSON.stringify([model.stateDict(), optimizer.stateDict()])).toBe(before);
  });

  test('another clipper, or none', () => {
    const trained = make();
    const clipper = new AutoClip();
    clipper.clip(trained.model.parameters());
    saveCheckpoint(path('auto-clip'), { ...trained, clipper, step: 1 });
    saveCheckpoint(path('no-clipper'), { ...trained, step: 1 });
    const { model, optimizer } = make(5);
    const before = JSON.stringify([model.stateDict(), optimizer.stateDict()]);
    const load = (file: string, other?: ZClip | AutoClip | AdaptiveGradientClipping) => () =>
      loadCheckpoint(path(file), { model, optimizer, clipper: other });
    expectRefused(load('auto-clip'), 'ERR_STATE', 'clipper: expected the clipper whose state the checkpoint holds ("history"), got none');
    expectRefused(load('auto-clip', new AdaptiveGradientClipping()), 'ERR_STATE', 'got one that remembers nothing');
    expectRefused(load('auto-clip', new ZClip()), 'ERR_STATE', 'Unexpected: history');
    expectRefused(load('no-clipper', new ZClip()), 'ERR_STATE', 'Missing: steps, mean, variance');
    expect(JSON.stringify([model.stateDict(), optimizer.stateDict()])).toBe(before);
  });

  test('the clipper too keeps what it had when the optimiser is another', () => {
    const trained = make();
    const clipper = new ZClip();
    clipper.clip(trained.model.parameters());
    saveCheckpoint(path('zclip-sgd'), { model: trained.model, optimizer: sgd(trained.model), clipper, step: 1 });
    const fresh = new ZClip();
    expectRefused(() => loadCheckpoint(path('zclip-sgd'), { ...make(), clipper: fresh }), 'ERR_STATE', 'momentum_buffer');
    expect(fresh.stateDict()).toEqual(new ZClip().stateDict());
  });

  test('files that saveCheckpoint did not write', () => {
    const trained = make();
    saveState(path('state'), trained.model.stateDict());
    expectRefused(
      () => loadCheckpoint(path('state'), trained),
      'ERR_STATE',
      'expected a file written by saveCheckpoint, but it holds "linear.',
    );
    saveState(path('no-step'), {});
    expectRefused(() => loadCheckpoint(path('no-step'), trained), 'ERR_STATE', 'no whole number called "step"');
    writeFileSync(path('text'), 'hello');
    expectRefused(() => loadCheckpoint(path('text'), trained), 'ERR_FILE');
    expectRefused(() => loadCheckpoint(path('missing'), trained), 'ERR_FILE');
  });
});

test('refuses arguments that are none', () => {
  const { model, optimizer } = make();
  expectRefused(() => saveCheckpoint(path('x'), { model, optimizer, step: -1 }), 'ERR_OPTION', 'step');
  expectRefused(
    () => saveCheckpoint(path('x'), { model, optimizer: model, step: 1 } as never),
    'ERR_OPTION',
    'optimizer: expected an Optimizer',
  );
  expectRefused(
    () => saveCheckpoint(path('x'), { model, optimizer, clipper: { maxNorm: 1 }, step: 1 } as never),
    'ERR_OPTION',
    'clipper: expected a clipper',
  );
  expectRefused(() => loadCheckpoint(path('x'), { optimizer } as never), 'ERR_OPTION', 'model: expected a layer');
  expect(existsSync(path('x'))).toBe(false);
});
