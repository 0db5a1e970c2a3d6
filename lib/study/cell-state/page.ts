/** What is said of the experiment in experiment.ts: a page with one heat map and two tables, and the same as text. */
import { writeFiles } from '../../io/folder';
import { Figures, type HeatFigure } from '../../report/figure';
import { renderDefinitions, renderPage, renderTable } from '../../report/page';
import { escapeHtml, formatNumber, plural, wrap } from '../../report/text';
import { formatTable } from '../../text-table';
import { type DrawnMean, formatSigned } from '../draws';
import type { CellStateDesign, CellStateGrowth, CellStateResults, CellStateTask, CellStateTraining } from './set-up';

export const names = { none: 'no norm on c', output: 'raw c carried', carried: 'LN(c) carried' } as const;
const taskNames: Record<CellStateTask, string> = { adding: 'adding', copy: 'copy', series: 'weather' };

const mapFile = 'cell-state-growth.svg';
/** Files that the experiment may write. */
export const cellStateFiles = ['results.json', 'index.html', mapFile] as const;

/**
 * Writes the page and its chart; results.json is written by whoever has the results.
 * @returns the paths, the page first
 * @throws EvenkeelError ERR_FILE with the reason
 */
export async function writeCellState(results: CellStateResults, folder: string): Promise<string[]> {
  const map = growthMap(results);
  const figures = await Figures.draw(map === undefined ? [] : [{ ...map, file: mapFile }]);
  const page = renderPage(headline(results), 'study', bodyOf(results, figures));
  return writeFiles(folder, new Map([['index.html', page], ...figures.files()]), [mapFile]);
}

function bodyOf(results: CellStateResults, figures: Figures<typeof mapFile>): string {
  const { draws, growths, exponents, training, environment, date, seconds, seed } = results;
  const sizes = growths.map(({ hiddenSize, timeSteps }) => `${hiddenSize} units over ${timeSteps} steps`).join(', ');
  const setUp: [string, string][] = [
    ['Cell', 'LSTM, LayerNorm over each product before the activations (split-preactivation); γ of both as said, that of the cell state 1'],
    ['Growth', `${sizes}; random normal input, loss on the last step, float64, before training`],
    ['Exponents', `of the whole state (h, c), ${exponents.hiddenSize} units over ${exponents.timeSteps} steps`],
    [
      'Training',
      `${training.hiddenSize} units, ${training.batchSize} sequences a step, Adam at ${training.learningRate} (weather: 0.001), norm clipped at ${training.maxNorm}; ${training.tasks.map(describeTask).join('; ')}`,
    ],
    ['Draws', `${draws} of weights and data, the same for every design; intervals of 95 % by Student’s t`],
    ['Run', `${date.slice(0, 10)}, ${seconds.toFixed(0)} s, seed ${seed}, ${environment.cpu}, Evenkeel ${environment.evenkeel}`],
  ];
  const growthRows = results.growth.map((each) => growthCells(each).map(escapeHtml));
  const trainedRows = results.trained.map((each) => trainingCells(each, draws).map(escapeHtml));
  return `<header>
<p class="kicker">evenkeel study, ${escapeHtml(date.slice(0, 10))}: which cell state to carry</p>
<h1>${escapeHtml(headline(results))}</h1>
</header>
${results.interrupted ? '<p class="warning">Stopped early: what had finished by then is here.</p>' : ''}
<p class="lead">${escapeHtml(lead(results))}</p>
${figures.show(mapFile, escapeHtml(`Means over ${plural(draws, 'draw')}; no colour where 0 lies within the interval; bold where the whole interval is above 0.`))}
<section>
<h2>Trained</h2>
${trainedRows.length === 0 ? '' : renderTable('Errors over the baseline’s: that of an answer without looking at the input; of the weather, that of the last value again', columnsOf(trainingHeads), trainedRows)}
</section>
<section>
<h2>Before training</h2>
${growthRows.length === 0 ? '' : renderTable('Growth per step back in time', columnsOf(growthHeads), growthRows)}
${results.spectra.length === 0 ? '' : renderTable('Lyapunov exponents', columnsOf(spectrumHeads), spectrumRows(results))}
</section>
<section>
<h2>How it was measured</h2>
${renderDefinitions(setUp)}
<p class="note">Files: <a href="results.json">results.json</a>, <a href="${mapFile}">${mapFile}</a></p>
</section>`;
}

/** The same as plain text. */
export function formatCellState(results: CellStateResults, columns = Number.POSITIVE_INFINITY): string {
  const width = Math.min(96, columns);
  const sections = [wrap(headline(results), columns), wrap(lead(results), width)];
  if (results.growth.length > 0) sections.push(formatTable([growthHeads, ...results.growth.map(growthCells)], columns));
  if (results.trained.length > 0) {
    sections.push(formatTable([trainingHeads, ...results.trained.map((each) => trainingCells(each, results.draws))], columns));
  }
  return `${sections.join('\n\n')}\n`;
}

function describeTask({ task, steps, batches }: CellStateResults['training']['tasks'][number]): string {
  if (task === 'series') return `weather in windows of ${steps} days, ${plural(batches, 'epoch')}`;
  return `${task} over ${task === 'copy' ? 'a delay of ' : ''}${steps} steps, ${batches} training steps`;
}

/** What training says, which is what a user chooses by. */
function headline({ trained, draws }: CellStateResults): string {
  const solved = (name: CellStateDesign['cellNormalization']) =>
    trained
      .filter(({ cellNormalization, task }) => cellNormalization === name && task !== 'series')
      .reduce((sum, each) => sum + each.solved, 0);
  const [raw, carried] = [solved('output'), solved('carried')];
  const runs = trained.filter(({ cellNormalization, task }) => cellNormalization === 'output' && task !== 'series').length * draws;
  if (runs === 0) return 'A LayerNorm LSTM: which cell state to carry';
  return `A LayerNorm LSTM that carries its raw cell state solved ${raw} of ${runs} runs, one that carries the normalised state ${carried}`;
}

function lead({ trained, growth }: CellStateResults): string {
  const tasks = [...new Set(trained.map(({ task }) => task))];
  const byTask = tasks.map((task) => {
    const of = (name: CellStateDesign['cellNormalization']) =>
      trained.filter((each) => each.task === task && each.cellNormalization === name);
    const best = (name: CellStateDesign['cellNormalization']) => Number(Math.min(...of(name).map(({ median }) => median)).toPrecision(2));
    return `${taskNames[task]}: ${best('output')} with the raw state, ${best('carried')} with the normalised one, ${best('none')} without a norm on it`;
  });
  const exploding = (name: CellStateDesign['cellNormalization']) =>
    growth.filter(({ cellNormalization, growthRate }) => cellNormalization === name && growthRate.interval[0] > 0).length;
  const each = growth.filter(({ cellNormalization }) => cellNormalization === 'output').length;
  const growthSentence =
    each === 0
      ? ''
      : `Before training gradients grow in ${exploding('output')} of ${each} designs that carry the raw state, in ${exploding('carried')} that carry the normalised one, and in ${exploding('none')} without a norm on it.`;
  return `${byTask.length === 0 ? '' : `Median error over the baseline’s, at the best γ and forget bias of each: ${byTask.join('; ')}. `}${growthSentence}`;
}

/** Growth at the longest length, one row per cell state and forget bias. */
function growthMap({ growth, gammas }: CellStateResults): HeatFigure | undefined {
  const longest = growth.toSorted((a, b) => b.timeSteps - a.timeSteps)[0];
  if (longest === undefined) return undefined;
  const { hiddenSize, timeSteps } = longest;
  const rows = new Map<string, CellStateGrowth[]>();
  for (const each of growth) {
    if (each.hiddenSize !== hiddenSize || each.timeSteps !== timeSteps) continue;
    const label = `${names[each.cellNormalization]}, forget bias ${each.forgetBias}`;
    rows.set(label, [...(rows.get(label) ?? []), each]);
  }
  return {
    map: {
      description: `Heat map: growth rate of the gradient per step back in time of LayerNorm LSTMs with ${hiddenSize} units over ${timeSteps} steps, by which cell state is carried, the forget bias and γ.`,
      heading: `Growth of ln‖∂L/∂(h_t, c_t)‖ per step back in time, ${hiddenSize} units, ${timeSteps} steps`,
      columns: gammas.map((gamma) => `γ ${gamma}`),
      rows: [...rows].map(([label, designs]) => ({
        label,
        cells: designs.map(({ growthRate }) => ({
          value: isZeroWithin(growthRate) ? 0 : growthRate.mean,
          lines: [formatSigned(growthRate.mean, 3)],
          strong: growthRate.interval[0] > 0,
        })),
      })),
      limit: 0.1,
      key: { negative: 'vanishes', positive: 'explodes', limit: '0.1' },
    },
    wide: { width: 728, labels: 'beside' },
    narrow: { width: 350, labels: 'above' },
  };
}

const designHeads = ['Cell state', 'γ', 'forget bias'];
const growthHeads = [...designHeads, 'units', 'steps', 'growth per step', '95 % interval'];
const spectrumHeads = [...designHeads, 'λ₁ per step', '95 % interval', 'Kaplan-Yorke dimension'];
export const trainingHeads = [...designHeads, 'task', 'median error', 'below half', 'largest norm, median'];

function columnsOf(heads: readonly string[]) {
  return heads.map((head, i) => ({ head: escapeHtml(head), numeric: i > 0 && head !== 'task' }));
}

function designCells({ cellNormalization, gamma, forgetBias }: CellStateDesign): string[] {
  return [names[cellNormalization], String(gamma), String(forgetBias)];
}

function growthCells(each: CellStateGrowth): string[] {
  return [
    ...designCells(each),
    String(each.hiddenSize),
    String(each.timeSteps),
    formatSigned(each.growthRate.mean, 3),
    intervalOf(each.growthRate),
  ];
}

function spectrumRows({ spectra }: CellStateResults): string[][] {
  return spectra.map((each) =>
    [...designCells(each), formatSigned(each.largest.mean, 3), intervalOf(each.largest), each.dimension.mean.toFixed(1)].map(escapeHtml),
  );
}

export function trainingCells(each: CellStateTraining, draws: number): string[] {
  const { task, median, solved, largestNorm } = each;
  return [
    ...designCells(each),
    taskNames[task],
    formatNumber(median, 3),
    task === 'series' ? '–' : `${solved} of ${draws}`,
    formatNumber(largestNorm, 2),
  ];
}

function intervalOf({ interval: [low, high] }: DrawnMean): string {
  return `${formatSigned(low, 3)} to ${formatSigned(high, 3)}`;
}

function isZeroWithin({ interval: [low, high] }: DrawnMean): boolean {
  return low <= 0 && high >= 0;
}
