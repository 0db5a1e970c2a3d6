/** Tables of the published study, as the documents show them. */
import { formatNumber, plural } from '../report/text';
import { causesOf, describeSizes } from './claims';
import { trialOptimizers, trialRules, trialTargets } from './clip-trials';
import { formatRate, formatSigned } from './draws';
import { describeLast, findingsOf, formatFactor, percent, regimeTitle, verdictText } from './findings';
import { grows } from './grid';
import { placeOf } from './placements';
import type { ClipTrial, GridCell, StudyResults } from './results';
import { leadSentences } from './summary';

/** What a published study keeps: all that the documents say, without the courses of single runs. */
export type PublishedStudy = Pick<
  StudyResults,
  'schema' | 'schemaVersion' | 'date' | 'environment' | 'options' | 'reference' | 'grid' | 'regimes' | 'clipTrials' | 'findings'
>;

/** What PyTorch alone gives, of scripts/study_pytorch.py. */
export interface PyTorchStudy {
  environment: { pytorch: string };
  growth: Pick<GridCell, 'placement' | 'initializer' | 'hiddenSize' | 'growth'>[];
  clipping: Pick<ClipTrial, 'optimizer' | 'rule' | 'lnLast' | 'diverged'>[];
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
    regimesTable(study),
    ...trialTables(study),
    pytorchClipping(pytorch),
    sourceOf(study, fullStudy),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** How many designs grow, by number of units: what one size hides. */
function sizesTable({ grid }: PublishedStudy, { growth, environment }: PyTorchStudy): string {
  const own = grid.cells.filter(({ nonlinearity, timeSteps }) => nonlinearity === 'tanh' && timeSteps === grid.timeSteps);
  const valuesOf = (key: 'hiddenSize' | 'inputScale') => [...new Set(own.map((cell) => cell[key]))];
  const count = (cells: readonly Pick<GridCell, 'growth'>[]) =>
    cells.length === 0 ? '' : `${cells.filter(grows).length} of ${cells.length}`;
  const rows = valuesOf('hiddenSize').map((size) => {
    const sized = own.filter(({ hiddenSize }) => hiddenSize === size);
    const peers = growth.filter(({ hiddenSize }) => hiddenSize === size);
    const same = sized.filter(
      (cell) =>
        cell.inputScale === 1 &&
        peers.some(({ placement, initializer }) => placement === cell.placement && initializer === cell.initializer),
    );
    return [
      String(size),
      ...valuesOf('inputScale').map((scale) => count(sized.filter(({ inputScale }) => inputScale === scale))),
      count(same),
      count(peers),
    ];
  });
  const head = ['H', ...valuesOf('inputScale').map((scale) => `input ×${scale}`), 'those that PyTorch has too', 'PyTorch'];
  return `**Designs whose gradients grow, by number of units**: each place of a LayerNorm and none, from each start of W_hh; tanh, T = ${grid.timeSteps}, ${grid.draws} draws; PyTorch ${environment.pytorch}.\n\n${markdownTable(head, rows)}`;
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

function regimesTable({ regimes }: PublishedStudy): string {
  const rows = regimes.runs.map((run) => [
    regimeTitle(run),
    run.system,
    formatFactor(run.lnFirst),
    formatFactor(run.lnPeak),
    formatNumber(Math.max(...run.largestStates), 2),
    `${run.notFinite} of ${run.lnPeak.draws}`,
  ]);
  const head = ['Example 1', 'LayerNorm', 'first norm', 'largest, × the first', 'largest state', 'not finite in'];
  return `**Example 1 in other settings**, ${regimes.draws} draws.\n\n${markdownTable(head, rows)}`;
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

function pytorchClipping({ clipping, environment }: PyTorchStudy): string {
  if (clipping.length === 0) return '';
  const rows = clipping.map((trial) => [
    trial.optimizer,
    trial.rule,
    Number.isFinite(trial.lnLast.mean) ? formatNumber(Math.exp(trial.lnLast.mean), 2) : 'not finite',
    `${trial.diverged} of ${trial.lnLast.draws}`,
  ]);
  return `**The same in PyTorch ${environment.pytorch}**, on noise.\n\n${markdownTable(['optimiser', 'rule', 'last losses', 'worse than at the start'], rows)}`;
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
