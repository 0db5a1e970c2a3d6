/** What is said of the experiment in experiment.ts: a page with one chart and two tables, and the same as text. */
import { writeFiles } from '../../io/folder';
import { Figures, type LineFigure } from '../../report/figure';
import { renderDefinitions, renderPage, renderTable } from '../../report/page';
import { escapeHtml, plural, wrap } from '../../report/text';
import { formatTable } from '../../report/text-table';
import { type DrawnMean, formatRate, formatSigned } from '../draws';
import { flossingDesigns } from './experiment';
import type { FlossingDesign, FlossingResults, FlossingRun, FlossingStart } from './set-up';

const chartFile = 'flossing-steps.svg';
/** Files that the experiment may write. */
export const flossingFiles = ['results.json', 'index.html', chartFile] as const;

/** What learning and solving the task take. */
const learnedRule = 'a training loss below a quarter of that of guessing';
function solvedRule({ solvedAt }: FlossingResults): string {
  return `${100 * solvedAt} % of the bits of new sequences told right, at the end`;
}

const startNames: Record<FlossingStart, string> = { random: 'random', orthogonal: 'orthogonal' };

/**
 * Writes the page and its chart; results.json is written by whoever has the results.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writeFlossing(results: FlossingResults, folder: string): Promise<string[]> {
  const figures = await Figures.draw(
    results.runs.every((run) => medianOf(run) === undefined) ? [] : [{ ...stepsChart(results), file: chartFile }],
  );
  const page = renderPage(headline(results), 'study', bodyOf(results, figures));
  return writeFiles(folder, new Map([['index.html', page], ...figures.files()]), [chartFile]);
}

function bodyOf(results: FlossingResults, figures: Figures<typeof chartFile>): string {
  const { draws, hiddenSize, bits, batchSize, trainingSteps, learningRate, maxNorm, environment, date, seconds, seed } = results;
  const { steps, timeSteps, count } = results.flossing;
  const setUp: [string, string][] = [
    ['Task', `random bits; at each step the one of so many steps before is asked for, ${bits} of them in a sequence`],
    ['RNN', `tanh, ${hiddenSize} units; W_hh uniform with the variance 1/${hiddenSize}, or orthogonal`],
    [
      'Flossing',
      `${steps} steps of Adam at ${learningRate} before the task, each on one sequence of ${timeSteps} bits; mean λ² of ${count} exponents`,
    ],
    ['Training', `${trainingSteps} steps of Adam at ${learningRate}, ${batchSize} sequences each, norm clipped at ${maxNorm}, float32`],
    ['Draws', `${draws} of weights and data, the same for every design; intervals of 95 % by Student’s t`],
    ['Run', `${date.slice(0, 10)}, ${seconds.toFixed(0)} s, seed ${seed}, ${environment.cpu}, Evenkeel ${environment.evenkeel}`],
  ];
  const table = (caption: string, heads: readonly string[], rows: string[][]) =>
    rows.length === 0
      ? ''
      : renderTable(
          caption,
          heads.map((head, i) => ({ head: escapeHtml(head), numeric: i > 1 })),
          rows.map((row) => row.map(escapeHtml)),
        );
  return `<header>
<p class="kicker">evenkeel study, ${escapeHtml(date.slice(0, 10))}: gradient flossing</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? '<p class="warning">Stopped early: what had finished by then is here.</p>' : ''}
<p class="lead">${escapeHtml(lead(results))}</p>
${figures.show(chartFile, escapeHtml(`Medians of ${plural(draws, 'draw')}, and the first and the last of them to learn it; no point where most did not.`))}
<section>
<h2>Learned</h2>
${table(
  'Bits of new sequences told right',
  runHeads,
  results.runs.map((run) => runCells(run, results)),
)}
<p class="note">${escapeHtml(`Learned: ${learnedRule}. Solved: ${solvedRule(results)}.`)}</p>
</section>
<section>
<h2>Before the task</h2>
${table('Lyapunov exponents per step', exponentHeads(results), exponentRows(results))}
</section>
<section>
<h2>How it was measured</h2>
${renderDefinitions(setUp)}
<p class="note">Files: <a href="results.json">results.json</a>, <a href="${chartFile}">${chartFile}</a></p>
</section>`;
}

/** The same as plain text. */
export function formatFlossing(results: FlossingResults, columns = Number.POSITIVE_INFINITY): string {
  const sections = [wrap(headline(results), columns), wrap(lead(results), Math.min(96, columns))];
  if (results.exponents.length > 0) sections.push(formatTable([exponentHeads(results), ...exponentRows(results)], columns));
  if (results.runs.length > 0) {
    sections.push(formatTable([runHeads, ...results.runs.map((run) => runCells(run, results))], columns));
    sections.push(wrap(`Learned: ${learnedRule}. Solved: ${solvedRule(results)}.`, Math.min(96, columns)));
  }
  return `${sections.join('\n\n')}\n`;
}

function headline({ runs, delays }: FlossingResults): string {
  const longest = delays.filter((delay) => runs.some((run) => run.delay === delay && run.flossed)).at(-1);
  const of = (flossed: boolean) => runs.find((run) => run.delay === longest && run.start === 'random' && run.flossed === flossed);
  const [plain, flossed] = [of(false), of(true)];
  if (plain === undefined || flossed === undefined) return 'Gradient flossing before a task';
  const learned = ({ learnedAt }: FlossingRun) => learnedAt.filter((step) => step !== null).length;
  const [before, after] = [medianOf(plain), medianOf(flossed)];
  if (learned(plain) === learned(flossed) && before !== undefined && after !== undefined)
    return `From a random start RNNs learn a delay of ${longest} by step ${before}, after gradient flossing by step ${after} (medians)`;
  return `From a random start ${learned(plain)} of ${plain.learnedAt.length} RNNs learn a delay of ${longest}, after gradient flossing ${learned(flossed)}`;
}

/** When each delay is learned. */
export function lead({ runs, delays, trainingSteps }: FlossingResults): string {
  const sentences = delays.map((delay) => {
    const own = runs.filter((run) => run.delay === delay);
    const parts = (['random', 'orthogonal'] as const).flatMap((start) => {
      const [plain, flossed] = [false, true].map((isFlossed) => own.find((run) => run.start === start && run.flossed === isFlossed));
      if (plain === undefined || flossed === undefined) return [];
      return [`from ${start === 'random' ? 'a random' : 'an orthogonal'} start ${inWords(plain)}, after flossing ${inWords(flossed)}`];
    });
    return parts.length === 0 ? '' : `A delay of ${delay} is learned ${parts.join('; ')}.`;
  });
  const said = sentences.filter((sentence) => sentence !== '').join(' ');
  return said === '' ? '' : `Medians over the draws, of ${trainingSteps} steps: ${said}`;
}

/** "at step 177" */
function inWords(run: FlossingRun): string {
  const step = medianOf(run);
  return step === undefined ? 'not by most' : `at step ${step}`;
}

/** Undefined where most do not learn it. */
function medianOf({ learnedAt }: FlossingRun): number | undefined {
  const sorted = learnedAt.map((step) => step ?? Number.POSITIVE_INFINITY).toSorted((x, y) => x - y);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]] as [number, number];
  return Number.isFinite(high) ? Math.round((low + high) / 2) : undefined;
}

function stepsChart({ runs, draws, trainingSteps }: FlossingResults): LineFigure {
  const looks = { random: ['slate', 'red'], orthogonal: ['blue', 'violet'] } as const;
  return {
    chart: {
      description: `Line chart, logarithmic: the training step at which a delay is learned by delay, medians of ${plural(draws, 'draw')}, from a random and an orthogonal start, with flossing and without.`,
      xLabel: 'delay, in steps',
      yLabel: 'learned at training step',
      yScale: 'log',
      panels: [
        {
          lines: flossingDesigns.map(({ start, flossed }) => ({
            name: nameOf({ start, flossed }),
            look: looks[start][flossed ? 1 : 0],
            points: runs
              .filter((run) => run.start === start && run.flossed === flossed)
              .flatMap((run) => {
                const steps = run.learnedAt.map((step) => step ?? trainingSteps);
                const median = medianOf(run);
                return median === undefined ? [] : [{ x: run.delay, y: median, low: Math.min(...steps), high: Math.max(...steps) }];
              }),
          })),
        },
      ],
    },
    wide: { width: 728, panelHeight: 260, columns: 1 },
    narrow: { width: 350, panelHeight: 240, columns: 1 },
  };
}

function nameOf({ start, flossed }: FlossingDesign): string {
  return `${startNames[start]}${flossed ? ', flossed' : ''}`;
}

export const runHeads = ['Start', 'Flossed', 'delay', 'bits told right', 'solved', 'learned', 'at step, median'];

export function runCells(run: FlossingRun, { draws }: FlossingResults): string[] {
  const { start, flossed, delay, accuracy, solved, learnedAt } = run;
  return [
    startNames[start],
    flossed ? 'yes' : 'no',
    String(delay),
    intervalOf(accuracy),
    `${solved} of ${draws}`,
    `${learnedAt.filter((step) => step !== null).length} of ${draws}`,
    String(medianOf(run) ?? '–'),
  ];
}

export function exponentHeads({ flossing: { count } }: FlossingResults): string[] {
  return ['Start', 'Flossed', 'λ_1', `λ_${count}`];
}

export function exponentRows({ exponents }: FlossingResults): string[][] {
  return exponents.map(({ start, flossed, largest, last }) => [
    startNames[start],
    flossed ? 'yes' : 'no',
    formatRate(largest),
    formatRate(last),
  ]);
}

function intervalOf({ mean, interval: [low, high] }: DrawnMean): string {
  return `${mean.toFixed(3)} ± ${formatSigned((high - low) / 2, 3).slice(1)}`;
}
