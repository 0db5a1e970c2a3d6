/** Tables of the published study, as the documents show them. */
import { formatNumber, plural } from '../report/text';
import { causesOf, describeSizes } from './claims';
import { trialOptimizers, trialRules, trialTargets } from './clip-trials';
import { formatRate, formatSigned } from './draws';
import { clipPairs, describeLast, findingsOf, formatFactor, percent, regimeTitle, verdictText } from './findings';
import { grows } from './grid';
import { placeOf } from './placements';
import type { ClipTrial, GridCell, GridPart, RegimeRun, StudyResults } from './results';
import { leadSentences, silentGrowth } from './summary';

/** What a published study keeps: all that the documents say, without the courses of single runs. */
export type PublishedStudy = Pick<
  StudyResults,
  'schema' | 'schemaVersion' | 'date' | 'environment' | 'options' | 'reference' | 'grid' | 'regimes' | 'clipTrials' | 'findings'
>;

/** What PyTorch alone gives, of scripts/study_pytorch.py. */
export interface PyTorchStudy {
  environment: { pytorch: string };
  growth: Pick<GridCell, 'placement' | 'initializer' | 'hiddenSize' | 'growth'>[];
  clipping: Pick<ClipTrial, 'target' | 'optimizer' | 'rule' | 'lnLast' | 'diverged'>[];
  regimes: Omit<RegimeRun, 'trainingSteps' | 'lnRatio' | 'rising'>[];
}

/** JSON has no infinity: a rate that is null is −∞, a last loss +∞. */
export function reviveStudy(text: string): unknown {
  return JSON.parse(text, (key, value) => {
    if (typeof value !== 'object' || value === null || value.mean !== null || !('interval' in value)) return value;
    const mean = key === 'lnLast' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    return { ...value, mean, interval: [mean, mean] };
  });
}

/** What of a study's results is published: numbers to five digits. */
export function publishedOf(results: StudyResults): PublishedStudy {
  const { schema, schemaVersion, date, environment, options, reference, grid, regimes, clipTrials } = results;
  const systems = reference.systems.filter(({ system }) => system === 'after' || system === 'after-clipped');
  const slim = { ...reference, systems: systems.map((run) => ({ ...run, gradNorms: {} })) };
  const kept = { schema, schemaVersion, date, environment, options, reference: slim, grid, regimes, clipTrials };
  const rounded = reviveStudy(
    JSON.stringify(kept, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value)),
  ) as typeof kept;
  return { ...rounded, findings: findingsOf(rounded) };
}

/** The grid by place of the LayerNorm: for README. */
export function formatStudyBrief(study: PublishedStudy): string {
  const { cells, draws } = study.grid;
  const rows = causesOf(cells).map(({ placement, count, of, fastest }) => [
    placeOf(placement),
    `${count} of ${of}`,
    fastest === undefined ? '' : `${formatRate(fastest.growth)} (${describeSizes(fastest)})`,
  ]);
  const head = ['LayerNorm', 'designs whose gradients grow with it and not without it', 'fastest, per step back'];
  return `${markdownTable(head, rows)}\n\n${plural(draws, 'draw')} of weights and data each. ${sourceOf(study, fullStudy)}`;
}

/** The findings in a few sentences, and each claim of the text with its verdict: for docs/stability.md. */
export function formatStudySummary(study: PublishedStudy): string {
  const [, ...measured] = leadSentences(study);
  const rows = study.findings.map((finding) => [`“${shortened(finding.words)}”`, verdictText(finding), finding.measured]);
  return `${measured.map((sentence) => `- ${sentence}`).join('\n')}\n\n${markdownTable(['what the text says', 'verdict', 'measured'], rows)}\n\n${sourceOf(study, fullStudy)}`;
}

/** The first words of a sentence, and its last. */
function shortened(words: string): string {
  const list = words.split(' ');
  return list.length <= 16 ? words : `${list.slice(0, 14).join(' ')} …`;
}

/** Everything, for docs/stability.md. */
export function formatStudyTables(study: PublishedStudy, pytorch: PyTorchStudy): string {
  return [
    sizesTable(study, pytorch),
    theoryTable(study, pytorch),
    lengthTable(study),
    regimesTable(study, pytorch),
    ...trialTables(study),
    clippingBeside(study, pytorch),
    sourceOf(study, fullStudy),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** How many designs grow, by number of units: what one size hides. */
function sizesTable({ grid }: PublishedStudy, { growth, environment }: PyTorchStudy): string {
  const { head, rows } = growingBySize(grid, (sized) => {
    const peers = growth.filter(({ hiddenSize }) => hiddenSize === sized[0]?.hiddenSize);
    const same = sized.filter(
      (cell) =>
        cell.inputScale === 1 &&
        peers.some(({ placement, initializer }) => placement === cell.placement && initializer === cell.initializer),
    );
    return [countGrowing(same), countGrowing(peers)];
  });
  return `**Designs whose gradients grow, by number of units**: each place of a LayerNorm and none, from each start of W_hh; tanh, T = ${grid.timeSteps}, ${grid.draws} draws; PyTorch ${environment.pytorch}.\n\n${markdownTable([...head, 'those that PyTorch has too', 'PyTorch'], rows)}`;
}

/** A row per number of units, with a column per size of the input, of the usual length, and whatever `more` says of its cells. */
export function growingBySize(
  { cells, timeSteps }: GridPart,
  more: (sized: readonly GridCell[]) => string[] = () => [],
): { head: string[]; rows: string[][] } {
  const own = cells.filter((cell) => cell.nonlinearity === 'tanh' && cell.timeSteps === timeSteps);
  const valuesOf = (key: 'hiddenSize' | 'inputScale') => [...new Set(own.map((cell) => cell[key]))];
  const rows = valuesOf('hiddenSize').map((size) => {
    const sized = own.filter(({ hiddenSize }) => hiddenSize === size);
    const counts = valuesOf('inputScale').map((scale) => countGrowing(sized.filter(({ inputScale }) => inputScale === scale)));
    return [String(size), ...counts, ...more(sized)];
  });
  return { head: ['H', ...valuesOf('inputScale').map((scale) => `input ×${scale}`)], rows };
}

/** "3 of 24", nothing of none. */
function countGrowing(cells: readonly Pick<GridCell, 'growth'>[]): string {
  return cells.length === 0 ? '' : `${cells.filter(grows).length} of ${cells.length}`;
}

/** Measurement, theory and PyTorch by number of units, of PyTorch's own start and of orthogonal ones, with standard normal input. */
function theoryTable({ grid }: PublishedStudy, { growth, environment }: PyTorchStudy): string {
  const cells = grid.cells.filter(
    ({ nonlinearity, inputScale, timeSteps, meanField }) =>
      nonlinearity === 'tanh' && inputScale === 1 && timeSteps === grid.timeSteps && meanField !== null,
  );
  const rows = cells
    .filter(({ placement, hiddenSize }) => growth.some((other) => other.placement === placement && other.hiddenSize === hiddenSize))
    .map((cell) => {
      const peer = growth.find(
        (other) => other.placement === cell.placement && other.hiddenSize === cell.hiddenSize && other.initializer === cell.initializer,
      );
      return [
        String(cell.hiddenSize),
        cell.initializer,
        cell.placement,
        formatRate(cell.growth),
        formatSigned(cell.meanField as number, 3),
        peer === undefined ? '' : formatRate(peer.growth),
      ];
    });
  return `**Growth of ln‖∂L/∂h_t‖ per step back**, ${grid.draws} draws, T = ${grid.timeSteps}, standard normal input, tanh; PyTorch ${environment.pytorch} with weights and data of its own.\n\n${markdownTable(['H', 'W_hh', 'LayerNorm', 'measured', '½ ln χ', 'PyTorch'], rows)}`;
}

/** The same over ten times the length. */
function lengthTable({ grid }: PublishedStudy): string {
  const long = grid.cells.filter(({ timeSteps }) => timeSteps > grid.timeSteps);
  if (long.length === 0) return '';
  const rows = long.map((cell) => [describeSizes(cell), cell.placement, formatRate(cell.growth)]);
  return `**Over ${long[0]?.timeSteps} steps**\n\n${markdownTable(['design', 'LayerNorm', 'measured'], rows)}`;
}

function regimesTable({ regimes }: PublishedStudy, pytorch: PyTorchStudy): string {
  const rows = regimes.runs.map((run) => {
    const peer = pytorch.regimes.find(({ regime, system }) => regime === run.regime && system === run.system);
    return [regimeTitle(run), run.system, ...courseCells(run), ...(peer === undefined ? ['', '', '', ''] : courseCells(peer))];
  });
  const numbers = ['first norm', 'largest, × the first', 'largest state', 'not finite in'];
  const head = ['Example 1', 'LayerNorm', ...numbers, ...numbers.map((name) => `PyTorch: ${name}`)];
  const silent = [silentGrowth(regimes.runs), silentGrowth(pytorch.regimes)].map((words) => words ?? 'no state grew');
  return `**Example 1 in other settings**, ${regimes.draws} draws; PyTorch ${pytorch.environment.pytorch} with weights and data of its own.\n\n${markdownTable(head, rows)}\n\nAfter the RNN, ${silent[0]}. PyTorch: ${silent[1]}.${widestSpread(regimes.runs, pytorch.regimes)}`;
}

/** Of the setting whose draws differ most, how far: there ten of them say little of their mean. */
function widestSpread(own: readonly RegimeRun[], peers: PyTorchStudy['regimes']): string {
  const spread = ({ largestNorms }: Pick<RegimeRun, 'largestNorms'>) => Math.max(...largestNorms) / Math.min(...largestNorms);
  const [widest] = own.filter(({ system }) => system === 'none').toSorted((a, b) => spread(b) - spread(a));
  const peer = peers.find(({ regime, system }) => regime === widest?.regime && system === widest.system);
  if (widest === undefined || peer === undefined) return '';
  const range = ({ largestNorms }: Pick<RegimeRun, 'largestNorms'>) =>
    `from ${formatNumber(Math.min(...largestNorms), 1)} to ${formatNumber(Math.max(...largestNorms), 1)}`;
  return ` With ${regimeTitle(widest)} and no LayerNorm the largest norm of a draw goes ${range(widest)}, in PyTorch ${range(peer)}: ten draws say little of its mean.`;
}

function courseCells({ lnFirst, lnPeak, largestStates, notFinite }: PyTorchStudy['regimes'][number]): string[] {
  return [formatFactor(lnFirst), formatFactor(lnPeak), formatNumber(Math.max(...largestStates), 2), `${notFinite} of ${lnPeak.draws}`];
}

function trialTables({ clipTrials }: PublishedStudy): string[] {
  return (['exploding', 'as-in-the-text'] as const).flatMap((design) => {
    const trials = clipTrials.trials.filter((trial) => trial.design === design);
    if (trials.length === 0) return [];
    const rules = trialRules.filter(({ name }) => trials.some(({ rule }) => rule === name));
    const rows = trialTargets.flatMap((target) =>
      trialOptimizers.flatMap(({ name }) => {
        const own = trials.filter((trial) => trial.target === target && trial.optimizer === name);
        return own.length === 0
          ? []
          : [[`${name}, ${target}`, ...rules.map((rule) => cellOf(own.find((trial) => trial.rule === rule.name)))]];
      }),
    );
    const title =
      design === 'exploding' ? 'where gradients explode (LayerNorm on the state, W_hh orthogonal ×1.5)' : 'in the text’s Example 1';
    return [
      `**Mean of the last ten losses ${title}**, ${plural(clipTrials.draws, 'draw')}; how many end worse than they began, and in which part of the steps the rule acts.\n\n${markdownTable(['', ...rules.map(({ name }) => name)], rows)}`,
    ];
  });
}

function cellOf(trial: ClipTrial | undefined): string {
  if (trial === undefined) return '';
  return trial.rule === trialRules[0]?.name ? describeLast(trial) : `${describeLast(trial)}, ${percent(trial.clippedShare)}`;
}

/** Without a clip and with the one at 1.0, here and in PyTorch. */
function clippingBeside({ clipTrials }: PublishedStudy, { clipping, environment }: PyTorchStudy): string {
  const rows = clipPairs(clipTrials.trials, 'exploding').map(({ free, clipped }) => [
    `${free.optimizer}, ${free.target}`,
    ...[free, clipped].map(describeLast),
    ...[free, clipped].map(({ target, optimizer, rule }) => {
      const peer = clipping.find((other) => other.target === target && other.optimizer === optimizer && other.rule === rule);
      return peer === undefined ? '' : describeLast(peer);
    }),
  ]);
  const head = ['', 'no clip', 'norm 1', 'PyTorch: no clip', 'PyTorch: norm 1'];
  return `**The same beside PyTorch ${environment.pytorch}**, where gradients explode, with weights and data of its own.\n\n${markdownTable(head, rows)}`;
}

const fullStudy = 'npx evenkeel study --full';

/** Which machine, when, by which command. */
export function sourceOf({ environment, date }: Pick<PublishedStudy, 'environment' | 'date'>, command: string): string {
  return `evenkeel ${environment.evenkeel}, Node ${environment.node.replace(/^v/, '')}, ${environment.cpu}, SIMD target ${environment.simdTarget}, ${date.slice(0, 10)}; \`${command}\`.`;
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
