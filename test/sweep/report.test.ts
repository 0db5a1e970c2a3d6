import { checkDefinition } from '../../lib/sweep/definition';
import { trialsOf } from '../../lib/sweep/grid';
import { type Measures, measureNames } from '../../lib/sweep/measures';
import { renderSweep } from '../../lib/sweep/report';
import type { StoredSweep, TrialRecord } from '../../lib/sweep/store';
import { fullCsv, measuresCsv } from '../../lib/sweep/table';
import { type Trial, trialHash } from '../../lib/sweep/trial';

const { grid } = checkDefinition({ lengths: [10, 100, 1000], placements: ['none', 'output'], seeds: [1, 2, 3] }, '.');

const numbers = {
  ...Object.fromEntries(measureNames.map((name) => [name, 1])),
  verdict: 'stable',
  divergedAt: null,
  statesGrewAt: null,
} as unknown as Measures;
const cpuKind = { cpu: 'a processor', simdTarget: 'AVX2', blas: 'a BLAS' };

function done(trial: Trial, measures: Partial<Measures> = {}): TrialRecord {
  const cost = { seconds: 2, stepsPerSecond: 50, peakMemoryBytes: 2 ** 27 };
  return {
    hash: trialHash(trial, '1'),
    trial,
    finished: '',
    status: 'done',
    measures: { ...numbers, ...measures },
    cost,
    cpuKind,
    attempts: 1,
  };
}

function failed(trial: Trial, reason: string): TrialRecord {
  return { hash: trialHash(trial, '1'), trial, finished: '', status: 'failed', reason, attempts: 2 };
}

function stored(records: readonly TrialRecord[]): StoredSweep {
  return { version: '1', sweepId: '', grid, records: new Map(records.map((record) => [record.hash, record])) };
}

const trials = [...trialsOf(grid)];

test('a page of nothing yet', async () => {
  const page = await renderSweep(stored([]));
  expect(page).toContain('<h1>0 of 18 trials</h1>');
  expect(page).toContain('18 trials have not ended yet.');
  expect(page).not.toContain('<figure>');
});

test('lines go through the medians over seeds, and say what they are', async () => {
  const records = trials.map((trial) => done(trial, { lossMin: trial.seed === 2 ? 5 : trial.seed === 1 ? 4 : 700 }));
  const page = await renderSweep(stored(records));
  expect(page).toContain('evenkeel sweep, 18 of 18 trials');
  expect(page).toContain('<h1>None of 2 designs explodes</h1>');
  expect(page).toContain('The sweep is complete. The trials took 36.0 s in all.');
  for (const title of ['Gradient norm', 'Loss reached', 'Throughput', 'Memory']) expect(page).toContain(`<h2>${title} against length</h2>`);
  // The median is 5, so the axis never sees 700.
  const [, loss] = /<h2>Loss reached against length<\/h2>(.*?)<\/section>/s.exec(page) ?? [];
  expect(loss).not.toContain('>700<');
  expect(page).not.toContain('What failed');
});

test('growth rates are lines and a map: colour is the rate, words say what the trials make of it, bold where one explodes', async () => {
  const records = trials.map((trial) => {
    const explodes = trial.placement === 'output';
    // One seed of the shortest length is not told apart from 0.
    if (trial.length === 10 && trial.seed === 1) return done(trial, { growthRate: 0.5, verdict: 'stable', horizon: null });
    return done(
      trial,
      explodes ? { growthRate: 0.25, verdict: 'exploding', horizon: 300 } : { growthRate: null, verdict: 'vanishing', horizon: null },
    );
  });
  const page = await renderSweep(stored(records));
  expect(page).toContain('<h2>Growth rate against length</h2>');
  const [, map] = /<h2>Growth rates: reference, N 32, I 10, H 20<\/h2>.*?<div class="wide">(.*?)<div class="narrow">/s.exec(page) ?? [];
  const fills = [...(map ?? '').matchAll(/<rect [^>]*>/g)].map(([rect]) => rect).filter((rect) => rect.includes(' rx="'));
  const colors = fills.map((rect) => /fill="([^"]+)"/.exec(rect)?.[1]);
  expect(colors).toHaveLength(6);
  const [vanishes, , , explodes] = colors;
  expect(explodes).not.toBe(vanishes);
  expect(colors).toEqual([vanishes, vanishes, vanishes, explodes, explodes, explodes]);
  expect(map?.match(/font-weight="600" text-anchor="middle"/g)).toHaveLength(6);
  expect([map?.split('>−∞<').length, map?.split('>0.250<').length]).toEqual([4, 4]);
  expect(map).toContain('T 1,000');
  expect(map?.match(/>[^<>]*(explode|vanish)[^<>]*</g)?.slice(-6)).toEqual([
    '>2 of 3 vanish<',
    '>vanishes<',
    '>vanishes<',
    '>2 of 3 explode<',
    '>explodes in 300<',
    '>explodes in 300<',
  ]);
  // Of more lengths in words there is no room.
  expect(page).toContain('>↑ 300<');
});

test('a tie of two seeds is in the colour of its rate, whatever they make of it', async () => {
  const two = checkDefinition({ lengths: [100], placements: ['none', 'hidden', 'output'], seeds: [1, 2] }, '.').grid;
  const rates = { none: [3, -0.002], hidden: [0.039, 0.039], output: [-0.106, -0.106] } as Record<string, number[]>;
  const records = [...trialsOf(two)].map((trial) => {
    const growthRate = rates[trial.placement]?.[trial.seed - 1] as number;
    return done(trial, { growthRate, verdict: growthRate > 1 ? 'exploding' : 'stable', horizon: 30, gradNormFirst: 3e22 });
  });
  const page = await renderSweep({ ...stored(records), grid: two });
  const [, map = ''] = /<div class="wide">(.*?)<div class="narrow">/s.exec(page) ?? [];
  const fills = [...map.matchAll(/<rect [^>]*>/g)].map(([rect]) => /fill="([^"]+)"/.exec(rect)?.[1]);
  // The nine steps of the key, then the cells.
  const [key, cells] = [fills.slice(0, 9), fills.slice(9)];
  expect(cells).toEqual([key[8], key[6], key[0]]);
  expect(map).toContain('>1 of 2 explode<');
  expect(page).toContain('<h1>1 of 3 designs explodes in some trials</h1>');
  expect(page).toContain('In some trials alone: none, uniform ×1 at T 100.');
});

test('the headline says which designs explode, and from which length', async () => {
  const explodesFrom = (from: Record<string, (length: number) => boolean>) =>
    renderSweep(
      stored(
        trials.map((trial) => {
          const explodes = from[trial.placement]?.(trial.length);
          return done(trial, explodes ? { growthRate: 0.1, verdict: 'exploding', horizon: 870 } : { growthRate: -1, verdict: 'vanishing' });
        }),
      ),
    );
  expect(await explodesFrom({ output: (length) => length >= 100 })).toContain(
    '<h1>1 of 2 designs explodes</h1>\n</header>\n<p class="lead">Exploding: output, uniform ×1 from T 100 on (×1.11 per step). Of the others, 1 of 1 vanish at the longest length.</p>',
  );
  expect(await explodesFrom({ output: () => true, none: (length) => length === 1000 })).toContain(
    'output, uniform ×1 at every length (×1.11 per step)',
  );
  expect(await explodesFrom({ none: (length) => length === 1000 })).toContain('none, uniform ×1 at T 1,000 (×1.11 per step)');
  expect(await explodesFrom({ none: (length) => length === 100 })).toContain('none, uniform ×1 at T 100 (');
  expect(await renderSweep(stored([done(trials[0] as Trial)]))).toContain('<h1>The design does not explode so far</h1>');
});

test('series, sizes and nonlinearities of one sweep have maps and lines of their own', async () => {
  const [first] = trials as [Trial];
  const series = (file: string, target: string): Trial => ({ ...first, task: { name: 'csv', file, sha256: '', target } });
  const others = [series('a.csv', 'x'), series('a.csv', 'y'), series('b.csv', 'x'), { ...first, inputSize: 3 }];
  const variants: Trial[] = [first, ...others, { ...first, nonlinearity: 'relu' }];
  const shapes = variants.slice(0, -1).map(({ task, batchSize, inputSize, hiddenSize }) => ({ task, batchSize, inputSize, hiddenSize }));
  const recurrences = (['tanh', 'relu'] as const).map((nonlinearity) => ({ cell: 'rnn' as const, nonlinearity }));
  const sweep = { ...stored([]), grid: { ...grid, shapes, recurrences } };
  for (const trial of variants) sweep.records.set(trialHash(trial, '1'), done(trial));
  const page = await renderSweep(sweep);
  for (const size of [
    'a.csv (x), N 32, I 10',
    'a.csv (y), N 32, I 10',
    'b.csv (x), N 32, I 10',
    'reference, N 32, I 3',
    'reference, N 32, I 10',
  ]) {
    expect(page).toContain(`<h2>Growth rates: ${size}, H 20</h2>`);
  }
  const [, lines = ''] = /<h2>Growth rate against length<\/h2>(.*?)<\/section>/s.exec(page) ?? [];
  for (const panel of ['a.csv (x), uniform ×1', 'a.csv (y), uniform ×1', 'b.csv (x), uniform ×1', 'reference, uniform ×1, relu']) {
    expect(lines).toContain(`>${panel}<`);
  }
});

test('the name of a series leaves room for the rest of a title', async () => {
  const [first] = trials as [Trial];
  const file = `measurements/${'of a very long name '.repeat(5)}2026.csv`;
  const trial: Trial = { ...first, task: { name: 'csv', file, sha256: '' } };
  const shapes = [first, trial].map(({ task, batchSize, inputSize, hiddenSize }) => ({ task, batchSize, inputSize, hiddenSize }));
  const sweep = { ...stored([]), grid: { ...grid, shapes } };
  for (const each of [first, trial]) sweep.records.set(trialHash(each, '1'), done(each, { growthRate: 0.004 }));
  const page = await renderSweep(sweep);
  const titles = [...page.matchAll(/>([^<]*…[^<]*)</g)].map(([, title = '']) => title);
  // A title in two lines, the start in the second.
  expect(titles).toContain('measurements/of a…ng name 2026.csv,');
  expect(page).toContain('>uniform ×1<');
  expect(Math.max(...titles.map((title) => title.length))).toBeLessThanOrEqual(46);
  expect(page).toContain(`<h2>Growth rates: ${file}, N 32, I 10, H 20</h2>`);
  // Of one form with its neighbours, however small it is.
  expect(page).toContain('>0.004<');
});

test('kinds of CPU are named, and a mixture is warned of', async () => {
  const [first, second] = trials.map((trial) => done(trial)) as [TrialRecord, TrialRecord];
  expect(await renderSweep(stored([first, second]))).toContain('All trials ran on one kind of CPU: a processor, AVX2, a BLAS.');
  const other: TrialRecord = { ...second, ...{ cpuKind: { ...cpuKind, simdTarget: 'AVX3 <b>' } } };
  const mixed = await renderSweep(stored([first, other]));
  expect(mixed).toContain('ran on 2 kinds of CPU');
  expect(mixed).toContain('<li>a processor, AVX3 &lt;b&gt;, a BLAS: 1 trial</li>');
});

test('failures are listed with their reasons, as text', async () => {
  const [first, second] = trials as [Trial, Trial];
  const page = await renderSweep(stored([failed(first, '<b>killed</b> by "SIGKILL"'), done(second, { divergedAt: 7 })]));
  expect(page).toContain('&lt;b&gt;killed&lt;/b&gt; by &quot;SIGKILL&quot;');
  expect(page).toContain('1 failed; the same sweep');
  expect(page).toContain('In 1 trial the loss or a gradient left the range of numbers.');
  expect(page).toContain('16 trials have not ended yet.');
});

test('states that grow are told of and listed with the trial, the step and their size', async () => {
  const [first, second, third] = trials as [Trial, Trial, Trial];
  const grown = { largestState: 3.9e32, statesGrewAt: 41, lossLast: 0.25 };
  const page = await renderSweep(stored([done(first, grown), done(second, { ...grown, largestState: null }), done(third)]));
  expect(page).toContain('In 2 trials the states grew until they were close to overflow');
  const [, table = ''] = /<h2>Where states grow<\/h2>(.*?)<\/section>/s.exec(page) ?? [];
  expect(table.match(/seed \d/g)).toEqual(['seed 1', 'seed 2']);
  expect(table).toMatch(/>41<.*>3\.90e32<.*>0\.2500<.*>not finite</s);
  expect(measuresCsv([done(first, grown)])).toMatch(/,largestState,statesGrewAt\n.*,3\.9e\+32,41\n$/);
  expect((await renderSweep(stored([done(first)]))).includes('Where states grow')).toBe(false);
});

test('records of another version or grid are not shown', async () => {
  const page = await renderSweep({ ...stored(trials.map((trial) => done(trial))), version: '2' });
  expect(page).toContain('<h1>0 of 18 trials</h1>');
});

test('tables have the same columns for every record, and quote what needs it', () => {
  const [first, second] = trials as [Trial, Trial];
  const csvTrial: Trial = { ...first, task: { name: 'csv', file: 'a,"b".csv', sha256: '', target: 'load' } };
  for (const csv of [measuresCsv, fullCsv]) {
    const lines = csv([failed(second, 'why'), done(csvTrial, { lossMin: null })])
      .trimEnd()
      .split('\n');
    expect(lines).toHaveLength(3);
    const columns = lines[0]?.split(',').length;
    expect(lines[1]?.split(',')).toHaveLength(columns as number);
    expect(lines[2]?.startsWith('"a,""b"".csv",load,none,')).toBe(true);
  }
  expect(fullCsv([done(first)])).toContain('a processor,AVX2,a BLAS');
  // Nothing that differs from run to run.
  expect(measuresCsv([done(first)])).not.toMatch(/seconds|attempts|finished|processor/i);
});
