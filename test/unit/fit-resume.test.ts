// A training that goes on from a checkpoint ends with the bits of one that nothing interrupted.
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  Adam,
  AdamW,
  AutoClip,
  type Batch,
  type Batches,
  CosineAnnealingLR,
  Dropout,
  type FitOptions,
  fit,
  Generator,
  GRU,
  LastStep,
  Linear,
  loadCheckpoint,
  loadState,
  makeBatches,
  mseLoss,
  ReduceLROnPlateau,
  RNN,
  Sequential,
  Tensor,
} from '../../lib/index';
import { evenkeelError } from '../helpers/errors';

const root = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(root, { recursive: true }));
const folder = () => mkdtempSync(join(root, 'run-'));

const data = new Generator(1);
const [inputs, targets] = [Tensor.randn([23, 6, 2], { generator: data }), Tensor.randn([23, 1], { generator: data })];

/** Everything that a training starts from, made anew. */
function makeTraining(more: Partial<FitOptions> = {}, seed = 2, hiddenSize = 5) {
  const generator = new Generator(seed);
  const gru = new GRU({ inputSize: 2, hiddenSize, recurrentDropout: 0.3, generator });
  const head = new Linear({ inputSize: hiddenSize, outputSize: 1, generator });
  const model = new Sequential({ gru, dropout: new Dropout({ p: 0.2, generator }), last: new LastStep(), head });
  const options: FitOptions = {
    loss: mseLoss,
    optimizer: new AdamW([{ parameters: gru.parameters() }, { parameters: head.parameters(), learningRate: 0.05 }], { learningRate: 0.02 }),
    epochs: 4,
    accumulate: 2,
    clip: new AutoClip({ percentile: 60 }),
    schedule: new CosineAnnealingLR({ tMax: 20 }),
    averaging: { decay: 0.8 },
    validation: { batches: makeBatches(inputs, targets, { batchSize: 9, generator: new Generator(7) }) },
    metrics: { first: (output) => output.data[0] as number },
    earlyStopping: { patience: 3 },
    gradientFlow: { every: 4 },
    ...more,
  };
  return { model, options, batches: makeBatches(inputs, targets, { batchSize: 4, generator }) as Batches, generator };
}

type Training = ReturnType<typeof makeTraining>;
const start = ({ model, batches, options }: Training, more: Partial<FitOptions> = {}) => fit(model, batches, { ...options, ...more });

/** What is left of a training: its history, its weights, and its last checkpoint. */
async function endOf(training: Training, path: string, more: Partial<FitOptions> = {}) {
  const history = await start(training, { checkpoint: { path, every: 1 }, ...more });
  return { history, weights: training.model.stateDict(), state: loadState(path) };
}

/** Runs a training, and keeps each of its checkpoints. */
async function everyCheckpoint(make: () => Training) {
  const own = folder();
  const path = join(own, 'run.safetensors');
  const kept: string[] = [];
  const whole = await endOf(make(), path, {
    onStep({ step }) {
      if (step === 1) return;
      kept.push(join(own, `after-${step - 1}.safetensors`));
      copyFileSync(path, kept.at(-1) as string);
    },
  });
  return { whole, kept };
}

describe('from any of its checkpoints', () => {
  test.each<[string, () => Training]>([
    ['with all that has a state', () => makeTraining()],
    [
      'with a schedule that has one',
      () => makeTraining({ schedule: new ReduceLROnPlateau({ patience: 0, factor: 0.7 }), averaging: undefined }),
    ],
    [
      'of a stream that draws numbers as it goes, and a stateful layer that it resets',
      () => {
        const generator = new Generator(3);
        const rnn = new RNN({ inputSize: 1, hiddenSize: 3, stateful: true, generator });
        const model = new Sequential({ rnn, head: new Linear({ inputSize: 3, outputSize: 1, generator }) });
        const batches = {
          async *[Symbol.asyncIterator]() {
            rnn.resetState();
            for (let i = 0; i < 5; i++) {
              const input = Tensor.randn([2, 4, 1], { generator });
              yield { input, target: input };
            }
          },
        };
        return { model, batches, generator, options: { loss: mseLoss, optimizer: new Adam(model.parameters()), epochs: 3, generator } };
      },
    ],
  ])('%s', async (_, make) => {
    const { whole, kept } = await everyCheckpoint(make);
    expect(kept.length).toBeGreaterThan(8);
    for (const resume of kept) {
      const again = await endOf(make(), join(folder(), 'again.safetensors'), { resume });
      expect({ resume: basename(resume), ...again }).toEqual({ resume: basename(resume), ...whole });
    }
  });

  test('of its last one nothing more is done', async () => {
    const path = join(folder(), 'run.safetensors');
    const whole = await endOf(makeTraining(), path);
    const before = readFileSync(path);
    let steps = 0;
    const again = await endOf(makeTraining({}, 9), path, { resume: true, onStep: () => void steps++ });
    expect([again, steps, readFileSync(path).equals(before)]).toEqual([whole, 0, true]);
  });

  test('with more epochs it goes on', async () => {
    const path = join(folder(), 'run.safetensors');
    const options = { earlyStopping: { patience: Infinity } };
    const whole = await endOf(makeTraining(options), join(folder(), 'whole.safetensors'), { epochs: 5 });
    await endOf(makeTraining(options), path, { epochs: 2 });
    expect(await endOf(makeTraining(options, 9), path, { epochs: 5, resume: true })).toEqual(whole);
  });

  test('one that an abort made', async () => {
    const whole = await endOf(makeTraining(), join(folder(), 'whole.safetensors'));
    const path = join(folder(), 'run.safetensors');
    for (const last of [3, 7, 9]) {
      const controller = new AbortController();
      const onStep = ({ step }: { step: number }) => void (step === last && controller.abort());
      const run = start(makeTraining(), { checkpoint: { path }, resume: true, signal: controller.signal, onStep });
      await expect(run).rejects.toMatchObject({ name: 'AbortError' });
      expect(loadState(path).step?.data[0]).toBe(last);
    }
    expect(await endOf(makeTraining(), path, { resume: true })).toEqual(whole);
  });
});

describe('checkpoints', () => {
  const numbers = (of: string) => readdirSync(of).sort();
  const stepIn = (path: string) => loadState(path).step?.data[0];

  test('the last ones and the best one are kept, and loadCheckpoint reads them', async () => {
    const own = folder();
    const training = makeTraining();
    const { best } = await start(training, { checkpoint: { path: join(own, 'run.safetensors'), every: 2, keep: 3 } });
    expect(numbers(own)).toEqual(['run.1.safetensors', 'run.2.safetensors', 'run.best.safetensors', 'run.safetensors']);
    expect(['run', 'run.1', 'run.2'].map((name) => stepIn(join(own, `${name}.safetensors`)))).toEqual([12, 12, 10]);
    expect(stepIn(join(own, 'run.best.safetensors'))).toBe(best?.step);
    const other = makeTraining({}, 9);
    const { optimizer, clip } = other.options;
    expect(loadCheckpoint(join(own, 'run.1.safetensors'), { model: other.model, optimizer, clipper: clip as AutoClip })).toBe(12);
  });

  test('true is from the start where there is none; a path must be there', async () => {
    const path = join(folder(), 'run.safetensors');
    expect((await endOf(makeTraining(), path, { resume: true })).history.loss).toHaveLength(12);
    await expect(start(makeTraining(), { resume: join(root, 'no-such-file') })).rejects.toEqual(
      evenkeelError('ERR_FILE', 'There is no such file'),
    );
    await expect(start(makeTraining(), { resume: true })).rejects.toEqual(
      evenkeelError('ERR_OPTION', 'resume: expected a path, or true with'),
    );
    await expect(start(makeTraining(), { resume: 5 as never })).rejects.toEqual(evenkeelError('ERR_OPTION', 'resume: expected'));
  });

  const cut = (path: string) => truncateSync(path, Math.floor(readFileSync(path).length / 2));
  const flip = (path: string) => {
    const bytes = readFileSync(path);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 4;
    writeFileSync(path, bytes);
  };
  const other = (make: () => Training) => async (path: string) => {
    const foreign = join(folder(), 'foreign.safetensors');
    await start(make(), { checkpoint: { path: foreign } });
    copyFileSync(foreign, path);
  };

  test.each<[string, (path: string) => unknown, string]>([
    ['cut', cut, 'The file is damaged'],
    ['flipped', flip, 'The file is damaged'],
    ['empty', (path) => writeFileSync(path, ''), 'The file is damaged'],
    ['of another model', other(() => makeTraining({}, 2, 6)), 'model["gru.weight_ih_l0"]: expected shape [15, 2], got [18, 2]'],
    ['of another clipper', other(() => makeTraining({ clip: undefined })), 'Missing: history'],
    ['of a training without averages', other(() => makeTraining({ averaging: undefined })), 'averaging: expected none, as when'],
  ])('one that is %s is passed over, with a warning that says why', async (_, spoil, reason) => {
    const path = join(folder(), 'run.safetensors');
    const whole = await endOf(makeTraining(), join(folder(), 'whole.safetensors'));
    const onStep = ({ step }: { step: number }) => step < 7;
    await start(makeTraining(), { checkpoint: { path, every: 1, keep: 3 }, onStep });
    await spoil(path);
    // The one before it is of the same step, before the callback's answer.
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    expect(await endOf(makeTraining({}, 9), path, { resume: true })).toEqual(whole);
    expect(warn.mock.calls).toEqual([[expect.stringContaining(reason), { code: 'EVENKEEL_CHECKPOINT' }]]);
    expect(warn.mock.calls[0]?.[0]).toContain('run.safetensors');
    warn.mockRestore();
  });

  const once = { epochs: 1, accumulate: 1 };
  const plateau = () => new ReduceLROnPlateau({ patience: 0 });
  test.each<[string, Partial<FitOptions>]>([
    ['schedule', { schedule: undefined }],
    ['schedule', { schedule: plateau() }],
    ['averaging', { averaging: undefined }],
    ['earlyStopping', { earlyStopping: undefined }],
    ['validation', { validation: undefined, metrics: undefined, earlyStopping: { patience: 3, monitor: 'loss' } }],
    ['clipper', { clip: undefined }],
    ['generator', { generator: new Generator(1) }],
  ])('what one has of an option is not dropped, and nothing made up where it has none: %s in %p', async (option, changed) => {
    const path = join(folder(), 'run.safetensors');
    await start(makeTraining(once), { checkpoint: { path } });
    const training = makeTraining({ ...once, ...changed, epochs: 2 }, 9);
    const before = JSON.stringify([training.model.stateDict(), training.options.optimizer.stateDict()]);
    await expect(start(training, { resume: path })).rejects.toEqual(evenkeelError('ERR_FILE', `${path}: ${option}: expected`));
    expect(JSON.stringify([training.model.stateDict(), training.options.optimizer.stateDict()])).toBe(before);

    const [other, whole] = [join(folder(), 'other.safetensors'), makeTraining({ ...once, epochs: 2 }, 9)];
    await start(makeTraining({ ...once, ...changed }), { checkpoint: { path: other } });
    await expect(start(whole, { resume: other })).rejects.toEqual(evenkeelError('ERR_FILE', `${other}: `));
  });

  test('where none is whole, the error says what is wrong with each, and nothing is changed', async () => {
    const own = folder();
    const path = join(own, 'run.safetensors');
    await start(makeTraining(), { checkpoint: { path, every: 1, keep: 2 } });
    cut(path);
    flip(join(own, 'run.1.safetensors'));
    const training = makeTraining({}, 9);
    const before = JSON.stringify([training.model.stateDict(), training.options.optimizer.stateDict()]);
    const error = await start(training, { checkpoint: { path }, resume: true }).catch((reason: unknown) => reason);
    expect(error).toEqual(evenkeelError('ERR_FILE', `${path}, tensor`));
    expect(error).toEqual(evenkeelError('ERR_FILE', `${join(own, 'run.1.safetensors')}: expected contents`));
    expect(JSON.stringify([training.model.stateDict(), training.options.optimizer.stateDict()])).toBe(before);
  });

  test('of other data is refused', async () => {
    const path = join(folder(), 'run.safetensors');
    await start(makeTraining(), { checkpoint: { path }, onStep: ({ step }) => step < 2, accumulate: 2 });
    const fewer: Batch[] = [{ input: inputs, target: targets }];
    const state = loadState(path);
    expect([state['position.epoch'], state['position.batch']].map((count) => count?.data[0])).toEqual([1, 4]);
    // A training that a callback ended is over; one that was killed is not.
    const killed = join(folder(), 'run.safetensors');
    const controller = new AbortController();
    const run = start(makeTraining(), { checkpoint: { path: killed }, signal: controller.signal, onStep: () => controller.abort() });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    const batches = Object.assign(fewer, { carriedState: () => ({}), loadCarriedState: () => {} });
    await expect(start({ ...makeTraining(), batches }, { resume: killed })).rejects.toEqual(
      evenkeelError('ERR_OPTION', 'batches: expected the 2 batches of epoch 1 that the checkpoint was made after, got 1'),
    );
    expect(existsSync(path)).toBe(true);
  });
});
