import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Adam,
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
  expectRefused(() => loadCheckpoint(path('x'), { optimizer } as never), 'ERR_OPTION', 'model: expected a layer');
  expect(existsSync(path('x'))).toBe(false);
});
