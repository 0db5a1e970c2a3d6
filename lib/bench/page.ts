/** The benchmark's page, its SVG files and its table in Markdown. */
import { writeFiles } from '../io/folder';
import { standaloneSvg } from '../report/chart';
import { type Column, renderDefinitions, renderPage, renderRangeFigure, renderTable } from '../report/page';
import { renderRangeChart } from '../report/range-chart';
import { capitalize, escapeHtml, formatBytes, formatDuration, plural, threeDigits, trimZeros } from '../report/text';
import {
  type BenchChart,
  floorChart,
  formatPercent,
  fractionOfFloor,
  layouts,
  overviewFiles,
  rivalChart,
  slug,
  trialChart,
} from './charts';
import type { MachineFloor } from './floor';
import { forGatedWorks } from './gated';
import { formatMarkdown } from './markdown';
import type { GatedPart, Trial, Work } from './protocol';
import {
  type BenchResults,
  type CaseResult,
  type Comparison,
  caseName,
  type Outcome,
  type TrialResult,
  type Verdict,
  verdict,
} from './results';
import { enoughRounds } from './statistics';
import {
  countingCases,
  describeAbsent,
  describeFactor,
  describeInterruption,
  describeOneSteps,
  describeRounds,
  describeThreads,
  describeUncompared,
  describeUnexpressed,
  formatFactor,
  headline,
  oneStepCases,
  ownCase,
  rivalCase,
  sizes,
  standings,
  systemName,
  trialTitle,
  verdictRule,
  verdictWords,
  whyNotCompared,
  workTitles,
} from './summary';
import { evenkeel } from './systems';
import { trials } from './trials';

/** Files that a run may write. */
export const benchFiles: readonly string[] = ['results.json', 'index.html', 'table.md', ...chartFiles()];

function chartFiles(): string[] {
  return [...Object.values(overviewFiles), ...trials.map(({ id }) => `${slug(id)}.svg`)];
}

/**
 * Writes index.html, table.md and the charts into a folder that is there, each file whole or not at all; results.json, to which the page links, is
 * written by whoever has the results.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writePage(results: BenchResults, outDir: string): Promise<string[]> {
  const { page, charts } = await renderBench(results);
  return writeFiles(outDir, new Map([['index.html', page], ['table.md', formatMarkdown(results)], ...charts]), chartFiles());
}

/** The text of index.html, and of each SVG file by its name. */
export async function renderBench(results: BenchResults): Promise<{ page: string; charts: Map<string, string> }> {
  const all = [rivalChart(results), floorChart(results), ...results.trials.map(trialChart)].filter((chart) => chart !== undefined);
  const charts = new Map<string, string>();
  for (const { file, chart } of all) charts.set(file, standaloneSvg(await renderRangeChart(chart, { ...layouts.wide, padding: 12 })));
  const body = [
    opening(results),
    await overviewSection(results),
    await trialSections(results.trials),
    costSection(results.trials),
    untimedSection(results),
    machineSection(results),
    methodSection(results, [...charts.keys()]),
  ];
  return { page: renderPage(headline(results), 'benchmark', body.join('\n')), charts };
}

const verdictClass: Record<Verdict, string> = { faster: 'good', draw: '', slower: 'bad', undecided: '' };

/** The first screen: where evenkeel wins, draws and loses, and by how much. */
function opening(results: BenchResults): string {
  const items = standings(results).map(
    ({ verdict: name, label, text }) => `<li><strong class="${verdictClass[name]}">${escapeHtml(label)}:</strong> ${escapeHtml(text)}</li>`,
  );
  const uncompared = describeUncompared(results);
  const absent = describeAbsent(results);
  return `<header>
<p class="kicker">evenkeel benchmark, ${escapeHtml(results.date.slice(0, 10))}, ${escapeHtml(results.environment.cpu)}</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? `<p class="warning">${escapeHtml(describeInterruption(results))}</p>` : ''}
${items.length === 0 ? '' : `<ul>\n${items.join('\n')}\n</ul>`}
${uncompared === undefined ? '' : `<p>${escapeHtml(uncompared)}</p>`}
${absent === undefined ? '' : `<p class="warning">${escapeHtml(absent)} <a href="#untimed">Which, and why.</a></p>`}
${verdictTable(results.trials)}`;
}

function verdictTable(results: readonly TrialResult[]): string {
  if (results.length === 0) return '';
  const columns = [
    { head: 'Trial' },
    { head: 'against the best rival', sentences: true },
    { head: 'evenkeel', numeric: true },
    { head: 'best rival', numeric: true },
  ];
  const rows = results.map((result) => {
    const { trial, comparison } = result;
    const [own, rival] = [ownCase(result), rivalCase(result)];
    const name = `<a href="#${slug(trial.id)}">${escapeHtml(workTitles[trial.work])}</a><small>${sizes(trial)}</small>`;
    const rivalCell = rival === undefined ? '–' : `${time(rival)}<small>${escapeHtml(systemName(rival))}</small>`;
    const verdictText =
      comparison === undefined ? `not compared<small>${escapeHtml(whyNotCompared(result))}</small>` : verdictCell(comparison);
    return [name, verdictText, time(own), rivalCell];
  });
  return `${renderTable('Time of each trial, median', columns, rows)}
<p class="note">Sizes: sequences, time steps, inputs, hidden units; for LayerNorm: rows, size. Each system counts with the better number of threads. ${verdictRule}</p>`;
}

function verdictCell(comparison: Comparison): string {
  const name = verdict(comparison);
  return `<strong class="${verdictClass[name]}">${verdictWords[name]}</strong>, ${describeFactor(comparison)}<small>${describeRounds(comparison)}</small>`;
}

async function overviewSection(results: BenchResults): Promise<string> {
  const [rival, floor] = [rivalChart(results), floorChart(results)];
  if (rival === undefined && floor === undefined) return '';
  return `<section>
<h2>All trials at a glance</h2>
${await figure(rival, `Evenkeel's speed divided by that of the best rival of each trial, on a logarithmic scale; the line is the range over the rounds, p10 to p90. ${verdictRule}`)}
${await figure(floor, "The shortest time in which this machine could do each trial, divided by the time taken, with the 10th and 90th percentiles, on a logarithmic scale. The floor is the trial's operations at the machine's measured peak, or its bytes at the measured speed of memory, whichever takes longer; that each time step must wait for the one before is not counted.")}
</section>`;
}

const gatedTexts: Record<GatedPart, string> = {
  train: 'The cell, mean squared error on all steps, backward, clipping at norm 1.0, Adam.',
  forward: 'The cell over all steps, without gradients.',
  step: 'A stream: T steps, each a call of its own that goes on from the state before, without gradients.',
};
const layerNormLstmText =
  ' LayerNorm on both products and on the cell state that is put out (Ba et al. 2016, supplement): in PyTorch a scripted loop, in Keras a cell of its own.';

const workTexts: Record<Work, string> = {
  train: 'Zero gradients, RNN (tanh), LayerNorm over its outputs, mean squared error on all steps, backward, clipping at norm 1.0, Adam.',
  forward: 'RNN (tanh) and LayerNorm over its outputs, without gradients.',
  backward: 'The gradients of all parameters from the loss of one forward pass, which is not timed itself.',
  rnn: 'The RNN (tanh) alone, forward and backward with a given output gradient: the gradients of the input and of all parameters.',
  'layer-norm': 'LayerNorm over the rows, forward and backward with a given output gradient.',
  placement:
    'A training step with LayerNorm within the recurrence and none after it: RNN (tanh), mean squared error on all steps, backward, clipping at norm 1.0, Adam. PyTorch runs a loop in Python over its own operations, JAX lax.scan, TF.js its autodiff loop.',
  ...forGatedWorks(({ cell, part }) => gatedTexts[part] + (cell === 'layer-norm-lstm' ? layerNormLstmText : '')),
};

/** One section per kind of work, in the order of the run. */
async function trialSections(results: readonly TrialResult[]): Promise<string> {
  const works = [...new Set(results.map(({ trial }) => trial.work))];
  const sections: string[] = [];
  for (const work of works) {
    const parts: string[] = [];
    for (const result of results) if (result.trial.work === work) parts.push(await trialPart(result));
    sections.push(`<section>\n<h2>${escapeHtml(workTitles[work])}</h2>\n<p>${workTexts[work]}</p>\n${parts.join('\n')}\n</section>`);
  }
  return sections.join('\n');
}

async function trialPart(result: TrialResult): Promise<string> {
  const { trial, floor } = result;
  const bound = floor.milliseconds === undefined ? 'nothing bounds it' : formatDuration(floor.milliseconds);
  return `<h3 id="${slug(trial.id)}">${escapeHtml(workTitles[trial.work])} ${sizes(trial)}</h3>
<p>${escapeHtml([sentence(result), describeThreads(result) ?? '', ...describeOneSteps(result).map((text) => `${text}.`)].join(' '))} <span class="note">${escapeHtml(capitalize(trial.why))}. The machine's floor: ${bound} (${amount(floor.flop, 'FLOP')}, ${amount(floor.bytes, 'B')}).</span></p>
${await figure(trialChart(result), 'Median of each system, with the 10th and 90th percentiles.')}
${caseTable(result)}`;
}

/** Who is faster, said of a win, a draw and a loss alike. */
function sentence(result: TrialResult): string {
  const { comparison } = result;
  const [own, rival] = [ownCase(result), rivalCase(result)];
  if (comparison === undefined || own === undefined || rival === undefined) return `Not compared: ${whyNotCompared(result)}.`;
  const words = { faster: 'Evenkeel is faster', draw: 'A draw', slower: 'Evenkeel is slower', undecided: 'Undecided' }[verdict(comparison)];
  return `${words}: ${time(own)} against ${time(rival)} by ${caseName(rival)}, ${describeFactor(comparison)} (${describeRounds(comparison)}).`;
}

function caseTable(result: TrialResult): string {
  const own = ownCase(result);
  const rows = countingCases(result.cases).map((one) => {
    const { median, p10, p90, slow, firstCallMs } = one.timing as NonNullable<CaseResult['timing']>;
    const part = fractionOfFloor(one, result);
    return [
      caseLabel(one),
      `${formatDuration(median)}${slow ? '*' : ''}<small>${formatDuration(p10)} – ${formatDuration(p90)}</small>`,
      one === own ? '–' : againstEvenkeel(one, result),
      part === undefined ? '–' : formatPercent(part),
      formatBytes(memory(one)),
      formatDuration(firstCallMs),
    ];
  });
  if (rows.length === 0) return '';
  rows.push(...oneStepCases(result.cases).map((one) => oneStepRow(one, own)), ...boundRows(result));
  const heads = ['median <small>p10 – p90</small>', 'time against evenkeel', 'of the floor', 'memory', 'first call'];
  const columns: Column[] = [{ head: 'System' }, ...heads.map((head) => ({ head, numeric: true }))];
  const slow = countingCases(result.cases).some(({ timing }) => timing?.slow);
  const note = `<p class="note">* Its calls are so long that it was measured in fewer than ${enoughRounds} rounds: its noise is not known.</p>`;
  return `<details>
<summary>All systems: spread, memory, first call</summary>
${renderTable(`All systems, ${trialTitle(result.trial)}`, columns, rows)}
${slow ? note : ''}
</details>`;
}

function oneStepRow(one: ReturnType<typeof oneStepCases>[number], own: CaseResult | undefined): string[] {
  const { milliseconds, baseBytes, peakBytes } = one.step;
  const ratio = own?.timing === undefined ? '–' : `×${formatFactor(milliseconds / own.timing.median)}`;
  const memory = formatBytes(Math.max(0, peakBytes - baseBytes));
  return [caseLabel(one), `${formatDuration(milliseconds)}<small>one step, not repeated</small>`, ratio, '–', memory, '–'];
}

/** Of those that no number of threads brought below the limit: the least that they take. */
function boundRows(result: TrialResult): string[][] {
  const own = ownCase(result)?.timing?.median;
  const told = new Set(result.cases.filter(({ timing, step }) => (timing ?? step) !== undefined).map(systemName));
  return result.cases
    .filter((one) => one.moreThanMs !== undefined && !told.has(systemName(one)) && told.add(systemName(one)))
    .map((one) => {
      const least = one.moreThanMs as number;
      const ratio = own === undefined ? '–' : `over ×${formatFactor(least / own)}`;
      return [caseLabel(one), `over ${formatDuration(least)}<small>over the limit</small>`, ratio, '–', '–', '–'];
    });
}

/** With the look of its range in the charts. */
function caseLabel(one: CaseResult): string {
  const threads = plural(one.threads, 'thread');
  const name = `${escapeHtml(systemName(one))}<small>${threads}</small>`;
  return one.system === evenkeel.id ? `<strong>${name}</strong>` : name;
}

/** Of the best rival as it is compared, round by round; the others have no rounds in common with evenkeel's that count. */
function againstEvenkeel(one: CaseResult, result: TrialResult): string {
  const own = ownCase(result)?.timing;
  if (one.timing === undefined || own === undefined) return '–';
  const isCompared = one === rivalCase(result) && result.comparison !== undefined;
  return `×${formatFactor(isCompared ? 1 / (result.comparison?.ratio ?? 1) : one.timing.median / own.median)}`;
}

/** What starting costs, and memory: evenkeel beside the least and the most that others need. */
function costSection(results: readonly TrialResult[]): string {
  const shown = results.filter(({ cases }) => countingCases(cases).length > 0);
  if (shown.length === 0) return '';
  return `<section>
<h2>Memory and first call</h2>
${costTable('Largest memory of the process, less what it held before the data and the model were made', shown, memory, formatBytes)}
${costTable('The first call, with whatever is compiled or set up in it', shown, ({ timing }) => timing?.firstCallMs ?? Number.NaN, formatDuration)}
</section>`;
}

function costTable(
  caption: string,
  results: readonly TrialResult[],
  cost: (one: CaseResult) => number,
  format: (value: number) => string,
): string {
  const columns = ['evenkeel', 'least of the others', 'most of the others'].map((head) => ({ head, numeric: true }));
  const rows = results.map((result) => {
    const own = ownCase(result);
    const others = countingCases(result.cases).filter(({ system }) => system !== evenkeel.id);
    const order = others.toSorted((a, b) => cost(a) - cost(b));
    const cell = (one: CaseResult | undefined) =>
      one === undefined ? '–' : `${format(cost(one))}<small>${escapeHtml(systemName(one))}</small>`;
    return [
      `${escapeHtml(workTitles[result.trial.work])}<small>${sizes(result.trial)}</small>`,
      own === undefined ? '–' : format(cost(own)),
      cell(order[0]),
      cell(order.at(-1)),
    ];
  });
  return renderTable(caption, [{ head: 'Trial' }, ...columns], rows);
}

function memory({ timing }: CaseResult): number {
  return timing === undefined ? Number.NaN : Math.max(0, timing.peakBytes - timing.baseBytes);
}

const outcomeTexts: Record<Exclude<Outcome, 'timed'>, string> = {
  disagrees: 'Disagrees: it computes something else, and was not timed',
  failed: 'Failed',
  missing: 'Not installed',
  'over the limit': 'Over the limit',
  'one step': 'Over the limit, but for one step',
};

/** Whoever was not timed, the same reason said once. */
function untimedSection(run: BenchResults): string {
  const results = run.trials;
  const groups = new Map<string, { row: string[]; trials: Set<Trial> }>();
  for (const { trial, cases } of results) {
    for (const one of cases) {
      if (one.outcome === 'timed') continue;
      const who = one.outcome === 'missing' ? one.title : caseName(one);
      const install = one.install === undefined ? '' : `<br>To install it: <code>${escapeHtml(one.install)}</code>`;
      const why =
        one.step === undefined
          ? (one.reason ?? '')
          : `It took ${formatDuration(one.step.milliseconds)}, not repeated${one.numbers === undefined ? '; it had agreed in an earlier trial' : ''}`;
      const row = [escapeHtml(who), `<strong>${outcomeTexts[one.outcome]}.</strong> ${escapeHtml(capitalize(why))}${install}`];
      const group = groups.get(row.join()) ?? { row, trials: new Set<Trial>() };
      groups.set(row.join(), group);
      group.trials.add(trial);
    }
  }
  const rows = [...groups.values()].map(({ row, trials: where }) => [
    ...row,
    where.size === results.length && where.size > 1 ? `all ${where.size}` : trialList([...where]),
  ]);
  const unexpressed = describeUnexpressed(run);
  const text =
    rows.length === 0
      ? '<p>Every case of this run computed the same as the reference and was timed.</p>'
      : renderTable('Cases without times', [{ head: 'System' }, { head: 'Why', sentences: true }, { head: 'Trials' }], rows);
  return `<section>
<h2 id="untimed">What was not timed</h2>
${text}
${unexpressed.length === 0 ? '' : `<p>What a system does not express, or not apart from other work, is no case of this run: ${escapeHtml(unexpressed.join('; '))}.</p>`}
</section>`;
}

/** By kind of work. */
function trialList(list: readonly Trial[]): string {
  const works = [...new Set(list.map(({ work }) => work))];
  const sizesOf = (work: Work) => list.filter((trial) => trial.work === work).map(sizes);
  return works.map((work) => `${escapeHtml(workTitles[work])} ${sizesOf(work).join('; ')}`).join('<br>');
}

function machineSection({ environment, floor, trials: results }: BenchResults): string {
  const { cpu, threads, caches, memoryBytes, platform, kernel, simdTarget, blas, node } = environment;
  const versions = new Set(results.flatMap(({ cases }) => cases.flatMap(({ version = [] }) => version)));
  const rows: [string, string][] = [
    ['Processor', `${cpu}; ${plural(threads, 'thread')} to use`],
    [
      'Caches',
      caches
        .map((one) => `L${one.level} ${one.type.toLowerCase()} ${trimZeros(formatBytes(one.bytes))} (of cores ${one.sharedBy})`)
        .join(', ') || 'not known',
    ],
    ['Memory', formatBytes(memoryBytes)],
    ['System', `${platform}, kernel ${kernel}`],
    ['Node', node],
    ['Evenkeel', `${environment.evenkeel}, SIMD target ${simdTarget}, ${blas}`],
    ['What computed', [...versions].join('; ') || 'nothing'],
  ];
  return `<section>
<h2>The machine</h2>
${renderDefinitions(rows)}
${floorTable(floor)}
</section>`;
}

function floorTable(floor: readonly MachineFloor[]): string {
  const units = [
    ['multiply-add in registers', 'GFLOP/s'],
    ['OpenBLAS at its best', 'GFLOP/s'],
    ['reading memory', 'GB/s'],
    ['copying memory', 'GB/s'],
  ];
  const columns = units.map(([name, unit]) => ({ head: `${name} <small>${unit}</small>`, numeric: true }));
  const rows = floor.map(({ threads, fmaGflops, gemmGflops, readGBs, copyGBs }) => [
    plural(threads, 'thread'),
    ...[fmaGflops, gemmGflops, readGBs, copyGBs].map(threeDigits),
  ]);
  return renderTable('What the machine can do, measured in the same run, float32', [{ head: '' }, ...columns], rows);
}

function methodSection({ date, seconds, options }: BenchResults, files: readonly string[]): string {
  const link = (file: string) => `<a href="${file}">${file}</a>`;
  const selection = [
    options.quick ? 'the short run' : 'all trials',
    ...(options.filter ? [`whose id contains “${options.filter}”`] : []),
    `${options.budgetSeconds} s of measuring per trial`,
    `first calls of up to ${options.limitSeconds} s`,
    ...(options.oneStepSeconds ? [`one step of up to ${options.oneStepSeconds} s`] : []),
  ].join(', ');
  const rows: [string, string][] = [
    [
      'Same work',
      'Every system gets the same weights and data; its loss and gradient norm must agree with a float64 reference to 1e-4 before anything is timed, in training also the norm after clipping, which acts in every trial, and both numbers after one step; of DeepBench, whose steps are long, loss and gradient norm alone. The gradient of the data is computed only where an RNN or a LayerNorm is measured alone.',
    ],
    [
      'In turns',
      'Every case is a process of its own. All of a trial take turns, round after round, so that a slow minute of the machine hits all; the warm-up is dropped. After three rounds of all, of which the slow take part in one, come rounds of the fastest alone: those of evenkeel and those of the others; where they take less than a millisecond, with three processes of each, one after another.',
    ],
    [
      'Calm rounds',
      'Of the rounds of the fastest the fifth counts in which all of them together took least, and at least three. Other work on a machine only ever adds to a time, and what uses all threads suffers most. All times together choose the rounds, so that luck of one does not.',
    ],
    ['Compared', `The median over the rounds that count of the ratio of both times. ${verdictRule}`],
    [
      'The limit',
      `A case whose first call takes more than ${options.limitSeconds} s is not timed. What compiles in it has four times as long, and every case at least four times as long as evenkeel's own first call, so that large trials allow for long steps.${
        options.oneStepSeconds
          ? ` A system that is over the limit in all its ways takes one training step all the same, of up to ${options.oneStepSeconds} s where a smaller trial does not tell that it takes longer, and all of a run together up to four times as long. It is shown as one step, not repeated, and stands in no comparison; its loss and norm are checked unless that system agreed in an earlier trial in the same way.`
          : ''
      }`,
    ],
    ['Run', `${date}, ${formatDuration(1000 * seconds)}, ${selection}; systems: ${options.systems.join(', ')}`],
  ];
  return `<section>
<h2>How it was measured</h2>
${renderDefinitions(rows)}
<p>All numbers: ${link('results.json')}</p>
${files.length === 0 ? '' : `<details>\n<summary>The charts as files</summary>\n<p class="note">${files.map(link).join(', ')}</p>\n</details>`}
</section>`;
}

async function figure(one: BenchChart | undefined, caption: string): Promise<string> {
  return one === undefined ? '' : renderRangeFigure(one.chart, layouts, escapeHtml(caption));
}

function time(one: CaseResult | undefined): string {
  return one?.timing === undefined ? '–' : formatDuration(one.timing.median);
}

const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];

/** Such as `1.23 GFLOP`. */
function amount(value: number, unit: string): string {
  const power = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(value || 1) / 3)));
  return `${threeDigits(value / 1000 ** power)} ${prefixes[power]}${unit}`;
}
