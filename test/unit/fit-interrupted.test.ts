// What an abort or a disk that is full leaves behind is whole, and what goes on from it has the bits of a training that nothing interrupted.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Batches, type FitOptions, fit, Generator, Linear, loadState, mae, makeBatches, mseLoss, SGD, Tensor } from '../../lib/index';
import { evenkeelError } from '../helpers/errors';

const root = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(root, { recursive: true }));
const folder = () => mkdtempSync(join(root, 'run-'));

/** @param tick called where the training may be aborted */
type Make = (generator: Generator, model: Linear, tick: () => void) => { batches: Batches; more?: Partial<FitOptions> };

const shuffled = (generator: Generator) =>
  makeBatches(Tensor.randn([40, 2], { generator }), Tensor.randn([40, 1], { generator }), { batchSize: 8, generator });

const kinds: [string, Make][] = [
  [
    'during a validation that shares the generator',
    (generator, _, tick) => {
      const metric = (output: Tensor, target: Tensor) => {
        tick();
        return mae(output, target);
      };
      return { batches: shuffled(generator), more: { validation: { batches: shuffled(generator) }, metrics: { metric: metric as never } } };
    },
  ],
  [
    'while batches wait that have drawn from the generator',
    (generator, _, tick) => ({
      batches: {
        async *[Symbol.asyncIterator]() {
          for (let i = 0; i < 5; i++) {
            const input = Tensor.randn([8, 2], { generator });
            tick();
            await sleep(1);
            yield { input, target: Tensor.zeros([8, 1]) };
          }
        },
      },
      more: { generator },
    }),
  ],
  [
    'while batches with carriedState wait that have shuffled',
    (generator, _, tick) => {
      const made = shuffled(generator);
      const batches = {
        async *[Symbol.asyncIterator]() {
          for (const batch of made) {
            tick();
            await sleep(1);
            yield batch;
          }
        },
        carriedState: () => made.carriedState(),
        loadCarriedState: (state: ReturnType<typeof made.carriedState>) => made.loadCarriedState(state),
      };
      return { batches };
    },
  ],
];

/** @param abortAt which tick aborts; 0: none */
async function train(make: Make, path: string, abortAt: number) {
  const generator = new Generator(1);
  const model = new Linear({ inputSize: 2, outputSize: 1, generator });
  const controller = new AbortController();
  let ticks = 0;
  const { batches, more } = make(generator, model, () => {
    if (++ticks === abortAt) setImmediate(() => controller.abort());
    if (ticks === abortAt && more?.metrics !== undefined) controller.abort();
  });
  const options = { loss: mseLoss, optimizer: new SGD(model.parameters(), { learningRate: 0.05 }), epochs: 3, ...more };
  const history = await fit(model, batches, { ...options, checkpoint: { path }, resume: true, signal: controller.signal });
  return { history, weights: model.stateDict() };
}

test.each(kinds)('goes on after an abort %s', async (_, make) => {
  const whole = await train(make, join(folder(), 'run.safetensors'), 0);
  for (const abortAt of [2, 3, 5, 6, 7, 11]) {
    const path = join(folder(), 'run.safetensors');
    await expect(train(make, path, abortAt)).rejects.toMatchObject({ name: 'AbortError' });
    expect({ abortAt, ...(await train(make, path, 0)) }).toEqual({ abortAt, ...whole });
  }
});

function steps(path: string, last: number, more: Partial<FitOptions> = {}, carries = {}) {
  const model = new Linear({ inputSize: 2, outputSize: 1, generator: new Generator(1) });
  const batches = Object.assign([{ input: Tensor.from([[1, 2]]), target: Tensor.from([[1]]) }], carries);
  const optimizer = new SGD(model.parameters(), { learningRate: 0.1 });
  return fit(model, batches, { loss: mseLoss, optimizer, epochs: last, checkpoint: { path, every: 1, keep: 2 }, ...more });
}

const stepIn = (path: string) => loadState(path).step?.data[0];

describe('a save that fails', () => {
  test.each<true | string>([true, 'run.1.safetensors'])('after a damaged checkpoint was passed over, with resume: %j', async (resume) => {
    const own = folder();
    const [path, before] = [join(own, 'run.safetensors'), join(own, 'run.1.safetensors')];
    await steps(path, 3);
    truncateSync(path, 50);
    const good = readFileSync(before);
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    let isFull = false;
    const carriedState = () => {
      if (isFull) throw new RangeError('full');
      return {};
    };
    const onStep = () => {
      isFull = true;
    };
    const from = resume === true ? true : join(own, resume);
    await expect(steps(path, 5, { resume: from, onStep }, { carriedState, loadCarriedState: () => {} })).rejects.toThrow(RangeError);
    warn.mockRestore();
    expect(readFileSync(before).equals(good)).toBe(true);
    expect(readdirSync(own).sort()).toEqual(['run.1.safetensors', 'run.safetensors']);
  });

  test('what was passed over is not kept', async () => {
    const own = folder();
    const [path, before] = [join(own, 'run.safetensors'), join(own, 'run.1.safetensors')];
    await steps(path, 3);
    truncateSync(path, 50);
    const was = stepIn(before) as number;
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    await steps(path, 9, { resume: true, onStep: ({ step }) => (step === was + 1 ? false : undefined) });
    warn.mockRestore();
    expect([path, before].every((name) => (stepIn(name) as number) >= was)).toBe(true);
  });
});

test('behind a symbolic link, those before the newest are files of their own', async () => {
  const own = folder();
  const [path, target] = [join(own, 'run.safetensors'), join(own, 'elsewhere')];
  symlinkSync('elsewhere', path);
  await steps(path, 4, { checkpoint: { path, every: 2, keep: 2 }, onStep: ({ step }) => step < 4 });
  await steps(path, 6, { checkpoint: { path, every: 2, keep: 2 }, onStep: ({ step }) => step < 2 });
  expect(statSync(join(own, 'run.1.safetensors')).ino).not.toBe(statSync(path).ino);
  expect([stepIn(target), stepIn(join(own, 'run.1.safetensors'))]).toEqual([2, 4]);
});

test.each([
  ['within a file', 'afile/run.safetensors'],
  ['of too long a name', 'n'.repeat(300)],
  ['in a folder of too long a name', `${'n'.repeat(300)}/run.safetensors`],
])('resume from a path %s', async (_, name) => {
  const own = folder();
  writeFileSync(join(own, 'afile'), '');
  await expect(steps(join(own, 'run'), 2, { resume: join(own, name) })).rejects.toEqual(evenkeelError('ERR_FILE', 'could not read'));
});

test('a name that is too long only for those before the newest', async () => {
  const own = folder();
  const path = join(own, `${'n'.repeat(255 - '.safetensors'.length)}.safetensors`);
  await expect(steps(path, 3)).rejects.toEqual(evenkeelError('ERR_FILE', 'The name is too long'));
  expect([readdirSync(own).length, stepIn(path)]).toEqual([1, 1]);
  await steps(path, 3, { resume: true, checkpoint: { path } });
  expect(stepIn(path)).toBe(3);
});
