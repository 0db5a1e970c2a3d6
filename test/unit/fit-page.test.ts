// The page that fit writes of a training.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Adam,
  addingProblem,
  type FitOptions,
  fit,
  Generator,
  type History,
  LastStep,
  Linear,
  LSTM,
  mae,
  mseLoss,
  Sequential,
  Tensor,
} from '../../lib/index';
import { isOwnPage } from '../../lib/report/page';
import { renderTraining } from '../../lib/training/page';
import { trainingCharts } from '../../lib/training/page-charts';
import { evenkeelError } from '../helpers/errors';
import { expectWellFormed } from '../report/well-formed';
import { makeScalar, scalarBatch } from './fit-models';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(at(name), 'utf8');

function train(page: string, more: Partial<FitOptions> = {}) {
  const generator = new Generator(1);
  const model = new Sequential({
    lstm: new LSTM({ inputSize: 2, hiddenSize: 6, generator }),
    last: new LastStep(),
    head: new Linear({ inputSize: 6, outputSize: 1, generator }),
  });
  const batches = [...addingProblem({ batchSize: 4, sequenceLength: 12, batches: 6, generator })];
  return fit(model, batches, {
    loss: mseLoss,
    optimizer: new Adam(model.parameters(), { learningRate: 0.01 }),
    clip: { maxNorm: 0.1 },
    epochs: 3,
    validation: { batches },
    metrics: { mae, '<b>': () => 1 },
    earlyStopping: { patience: 5 },
    gradientFlow: { every: 5 },
    page: at(page),
    ...more,
  });
}

let history: History;
beforeAll(async () => {
  history = await train('whole.html');
});

test('is one file that needs no other, and shows each of its numbers', () => {
  const html = read('whole.html');
  expect(isOwnPage(html)).toBe(true);
  expect(html).not.toMatch(/<script|<b>|(?:src|href)=|url\(|NaN|Infinity/);
  for (const svg of html.match(/<svg[^>]*role="img".*?<\/svg>/gs) ?? []) expectWellFormed(svg);
  const captions = [...html.matchAll(/<figcaption>(.*?)[.,]/g)].map((match) => match[1]);
  expect(captions).toEqual([
    'Loss in each step',
    'mae of the validation',
    '&lt;b&gt; of the validation',
    'Gradient norm in each step',
    'Learning rate in each step',
    'Largest magnitude in the states of recurrent layers in each step',
    'Growth rate of ln‖∂L/∂h_t‖ per time step backwards',
  ]);
  expect(html).toContain(
    `<h1>Training loss from ${history.epochs[0]?.loss.toFixed(4)} to ${history.epochs[2]?.loss.toFixed(4)} in 18 steps</h1>`,
  );
  expect(html).toContain(`Clipping acted in ${history.clipped.filter(Boolean).length} of 18 steps.`);
  expect(html).toContain('3, the best');
});

test('has the numbers of the history in its lines', () => {
  const linesOf = (name: string) => trainingCharts(history, 1).find(({ file }) => file === name)?.chart.panels[0]?.lines ?? [];
  const ys = (name: string) => linesOf(name).map(({ points }) => points.map(({ y }) => y));
  expect(ys('loss')).toEqual([history.loss, history.epochs.map(({ validation }) => validation?.loss)]);
  expect(linesOf('loss').map(({ points }) => points.at(-1)?.x)).toEqual([18, 18]);
  expect(ys('gradient-norm')).toEqual([history.gradNorm, history.clippedGradNorm]);
  expect(ys('learning-rate')).toEqual([history.learningRate]);
  expect(ys('largest-state')).toEqual([history.largestState]);
  expect(ys('growth-rate')).toEqual([history.gradientFlow?.map(({ layers }) => layers[0]?.growthRate)]);
  expect(linesOf('growth-rate')[0]?.points.map(({ x }) => x)).toEqual([1, 6, 11, 16]);
  for (const [i, norm] of history.clippedGradNorm.entries()) expect(norm).toBeCloseTo(Math.min(0.1, history.gradNorm[i] as number), 5);
});

test('of many steps shows means and ranges, without those that were skipped', () => {
  const count = 1000;
  const list = <T>(value: (i: number) => T) => Array.from({ length: count }, (_, i) => value(i));
  const long: History = {
    ...history,
    loss: list((i) => (i === 4 ? Number.POSITIVE_INFINITY : i + 1)),
    gradNorm: list(() => Number.NaN),
    clippedGradNorm: list(() => Number.NaN),
    learningRate: list(() => 0),
    largestState: list(() => Number.NaN),
    clipped: list(() => false),
    gradientFlow: [],
  };
  const charts = trainingCharts(long, 11);
  const points = charts[0]?.chart.panels[0]?.lines[0]?.points ?? [];
  expect(points).toHaveLength(334);
  expect(points.slice(0, 2)).toEqual([
    { x: 12, y: 2, low: 1, high: 3 },
    { x: 15, y: 5, low: 4, high: 6 },
  ]);
  expect(points.at(-1)).toEqual({ x: 1010, y: 1000, low: 1000, high: 1000 });
  expect(charts.map(({ file }) => file)).toEqual(['loss', 'validation.mae', 'validation.<b>', 'gradient-norm', 'learning-rate']);
  expect(charts[0]?.caption).toContain('the mean of 3');
  expect(charts[0]?.caption).toContain('It is not finite in 1 step, which the line leaves out.');
  expect(charts[3]?.caption).toContain('It is not finite in 1000 steps');
});

test('can be drawn of anything that can happen', async () => {
  const { model, optimizer } = makeScalar();
  const batches = [scalarBatch(1), scalarBatch(Number.POSITIVE_INFINITY)];
  await fit(model, batches, { loss: mseLoss, optimizer, nonFinite: 'skip', page: at('skipped.html') });
  expect(read('skipped.html')).toContain('1 step left out, for a loss, gradients or new weights that were not finite.');
  const negative = ({ data, shape }: Tensor) => ({ value: -Math.abs(data[0] as number), grad: Tensor.zeros(shape, { dtype: 'float64' }) });
  await fit(model, [scalarBatch(1)], { loss: negative, optimizer, page: at('negative.html') });
  const html = read('negative.html');
  expect(html).toContain('Clipping never acted');
  const empty = {
    loss: [],
    gradNorm: [],
    clippedGradNorm: [],
    clipThreshold: [],
    clipped: [],
    skipped: [],
    learningRate: [],
    largestState: [],
  };
  const none = await renderTraining({ ...empty, warnings: [], epochs: [] }, { lastStep: 0, facts: [] });
  expect(none).toContain('Training loss from NaN to NaN in 0 steps');
});

describe('a training that ends early', () => {
  test('by an abort has one, and goes on to that of the whole', async () => {
    const controller = new AbortController();
    const more = { checkpoint: { path: at('run.safetensors') }, resume: true };
    const onStep = ({ step }: { step: number }) => void (step === 8 && controller.abort());
    await expect(train('part.html', { ...more, onStep, signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(read('part.html')).toContain('The training was ended early, by an abort or an error.');
    expect(read('part.html')).toContain('in 8 steps</h1>');
    await train('part.html', more);
    const withoutDate = (name: string) => read(name).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, '');
    expect(withoutDate('part.html')).toBe(withoutDate('whole.html'));
  });

  test('by an error rejects with that, even where no page can be written', async () => {
    const { model, optimizer } = makeScalar();
    const run = (page: string, onStep: () => unknown) => fit(model, [scalarBatch(1)], { loss: mseLoss, optimizer, page, onStep });
    const mine = new Error('mine');
    await expect(
      run(at('failed.html'), () => {
        throw mine;
      }),
    ).rejects.toBe(mine);
    expect(read('failed.html')).toContain('The training was ended early');
    const inGoneFolder = join(mkdtempSync(at('gone-')), 'page.html');
    const remove = () => rmSync(join(inGoneFolder, '..'), { recursive: true });
    await expect(
      run(inGoneFolder, () => {
        remove();
        throw mine;
      }),
    ).rejects.toBe(mine);
    const another = join(mkdtempSync(at('gone-')), 'page.html');
    await expect(run(another, () => void rmSync(join(another, '..'), { recursive: true }))).rejects.toEqual(
      evenkeelError('ERR_FILE', another),
    );
  });

  test('before its first step leaves an earlier page alone', async () => {
    writeFileSync(at('earlier.html'), 'earlier');
    await expect(train('earlier.html', { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    expect(read('earlier.html')).toBe('earlier');
  });
});

test('a path that cannot be is refused before the first step', async () => {
  let steps = 0;
  const run = train('no/folder/page.html', { onStep: () => void steps++ });
  await expect(run).rejects.toEqual(evenkeelError('ERR_FILE', 'page.html'));
  await expect(train('x', { page: 5 as never })).rejects.toEqual(evenkeelError('ERR_OPTION', 'page: expected a non-empty string'));
  expect([steps, existsSync(at('no'))]).toEqual([0, false]);
});
