/** Every page that this project writes, with all kinds of what may be on it. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBench } from '../../lib/bench/compare';
import { renderBench } from '../../lib/bench/page';
import { readForecastOptions } from '../../lib/forecast/options';
import { renderForecast } from '../../lib/forecast/page';
import { prepareTraining, runTraining } from '../../lib/forecast/train';
import { runCellState } from '../../lib/study/cell-state/experiment';
import { writeCellState } from '../../lib/study/cell-state/page';
import { writeFlossing } from '../../lib/study/flossing/page';
import type { FlossingResults } from '../../lib/study/flossing/set-up';
import { type PublishedStudy, reviveStudy } from '../../lib/study/markdown';
import { renderStudy } from '../../lib/study/page';
import { checkDefinition } from '../../lib/sweep/definition';
import { trialsOf } from '../../lib/sweep/grid';
import { type Measures, measureNames } from '../../lib/sweep/measures';
import { renderSweep } from '../../lib/sweep/report';
import type { TrialRecord } from '../../lib/sweep/store';
import { trialHash } from '../../lib/sweep/trial';
import { renderTraining } from '../../lib/training/page';
import type { History } from '../../lib/training/records';
import { root } from '../docs/documents';
import { csvOf, seasonalSeries } from '../forecast/series';
import { smallCellState, studyResults } from '../study/synthetic';

const silent = { begin() {}, advance() {}, end() {} };

/** Each writes index.html into a folder that is there. */
export const pages: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  async study(folder) {
    const { regimes, clipTrials, findings } = reviveStudy(readFileSync(join(root, 'docs/study.json'), 'utf8')) as PublishedStudy;
    write(folder, await renderStudy(studyResults({ regimes, clipTrials, findings, interrupted: true })));
  },
  async 'cell-state experiment'(folder) {
    await writeCellState(await runCellState(smallCellState, 5, silent), folder);
  },
  async 'flossing experiment'(folder) {
    await writeFlossing(reviveStudy(readFileSync(join(root, 'docs/study-flossing.json'), 'utf8')) as FlossingResults, folder);
  },
  async sweep(folder) {
    write(folder, { page: await sweepPage() });
  },
  async benchmark(folder) {
    const results = readBench(join(root, 'bench/results/2026-11-26-epyc-zen4.json'));
    write(folder, await renderBench({ ...results, trials: results.trials.filter((_, i) => i % 6 === 0) }));
  },
  async training(folder) {
    write(folder, { page: await trainingPage() });
  },
  async forecast(folder) {
    const data = join(folder, 'data.csv');
    writeFileSync(data, csvOf(seasonalSeries(300)));
    const options = readForecastOptions({ target: 'y', time: 'day', window: 12, horizon: 3, hidden: 8, epochs: 6, learningRate: 0.01 });
    const run = join(folder, 'run');
    mkdirSync(run);
    write(folder, await renderForecast(await runTraining(await prepareTraining(data, options, run), silent, new AbortController().signal)));
  },
};

function write(folder: string, { page, charts = new Map() }: { page: string; charts?: ReadonlyMap<string, string> }): void {
  for (const [file, text] of new Map([['index.html', page], ...charts])) writeFileSync(join(folder, file), text);
}

/** Writes a page into a folder of its own. @returns the folder */
export async function writePage(folder: string, name: string): Promise<string> {
  const own = mkdtempSync(join(folder, 'page-'));
  await pages[name]?.(own);
  return own;
}

async function sweepPage(): Promise<string> {
  const placements = ['none', 'input', 'output', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'];
  const { grid } = checkDefinition({ lengths: [10, 50, 100, 500, 1000, 5000, 10_000], placements, gains: [1, 1.5] }, '.');
  const numbers = Object.fromEntries(measureNames.map((name) => [name, -1.2345])) as unknown as Measures;
  const records = [...trialsOf(grid)].map((trial, i): TrialRecord => {
    const shared = { hash: trialHash(trial, '1'), trial, finished: '', attempts: 1 };
    if (i % 10 === 0)
      return { ...shared, status: 'failed', reason: 'its process was killed by SIGKILL, as the system does when memory runs out' };
    const verdict = i % 3 === 0 ? 'exploding' : 'vanishing';
    const states = i % 7 === 0 ? { largestState: 3.9e32, statesGrewAt: 41 } : { largestState: 1, statesGrewAt: null };
    const measures: Measures = { ...numbers, verdict, horizon: 123_456, divergedAt: null, ...states };
    const cost = { seconds: 2, stepsPerSecond: 50, peakMemoryBytes: 2 ** 27 };
    return { ...shared, status: 'done', measures, cost, cpuKind: { cpu: 'a processor', simdTarget: 'AVX2', blas: 'a BLAS' } };
  });
  return renderSweep({ version: '1', sweepId: '', grid, records: new Map(records.map((record) => [record.hash, record])) });
}

/** Of 900 steps in 60 epochs, with numbers of any size. */
async function trainingPage(): Promise<string> {
  const list = <T>(value: (i: number) => T) => Array.from({ length: 900 }, (_, i) => value(i));
  const growth = (growthRate: number) => ({ name: 'encoder.l1_reverse', growthRate, growthRateError: 0.01 });
  const history = {
    loss: list((i) => 1e-3 + 10 ** (3 - i / 100)),
    gradNorm: list((i) => 1e5 / (i + 1)),
    clippedGradNorm: list((i) => Math.min(1, 1e5 / (i + 1))),
    clipThreshold: list(() => 1),
    clipped: list(() => true),
    skipped: list((i) => i === 5),
    learningRate: list((i) => 1e-5 * (900 - i)),
    largestState: list((i) => 1 + i * 1e4),
    warnings: [{ message: 'step 3: the states of the layer "encoder" grow: '.repeat(4) }],
    gradientFlow: [1, 301, 601].map((step) => ({
      step: 1_000_000 + step,
      layers: [growth(step / 1e4), { ...growth(-0.2), name: 'decoder' }],
    })),
    epochs: Array.from({ length: 60 }, (_, i) => {
      const validation = { loss: 1e-7 * i, mae: 123_456.789, meanAbsolutePercentageError: 0.5 };
      return { epoch: i + 1, step: 1_000_000 + 15 * (i + 1), loss: 1234.5678, learningRate: 1e-5, validation };
    }),
    best: { epoch: 41, step: 615, value: 1e-9 },
    end: 'patience',
  } as unknown as History;
  return renderTraining(history, { lastStep: 1_000_900, facts: [['Parameters', '1234567 trained']] });
}
