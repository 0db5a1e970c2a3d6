/** What clipping costs and what it saves. */
import type { Figures } from '../../report/figure';
import { renderTable } from '../../report/page';
import { escapeHtml, formatNumber } from '../../report/text';
import type { ChartFile } from '../charts';
import { trialDesigns, trialOptimizers, trialRules, trialTargets } from '../clip-trials';
import { formatLast, percent } from '../findings';
import type { ClippingPart, ClipTrial, ClipTrialsPart } from '../results';
import { describeClipCounts } from '../summary';

export function clippingSection(trials: ClipTrialsPart, clipping: ClippingPart, figures: Figures<ChartFile>): string {
  const chart = clippingChartText(clipping, figures);
  if (trials.trials.length === 0 && chart === '') return '';
  const { sequences, timeSteps, trainingSteps, draws, dtype } = trials;
  const saved = describeClipCounts(trials.trials);
  return `<section>
<h2>What clipping costs, and what it saves</h2>
<p>${sequences} sequences of ${timeSteps} steps, the loss on the last, ${trainingSteps} training steps, ${dtype}, ${draws} draws. Noise is one batch of random targets, as in the text; what can be learnt is the sum of the last step’s inputs, with new data at each step. A step of SGD is as long as the gradient, while Adam divides each gradient by its own running size: gradients that are all made smaller by one factor make the same steps.${saved === undefined ? '' : ` Where gradients explode, ${saved}.`}</p>
${trialDesigns
  .map(({ name, title }) =>
    trialTable(
      title,
      trials.trials.filter(({ design }) => design === name),
    ),
  )
  .join('\n')}
${chart}
</section>`;
}

/** A row per target and optimiser, a column per rule. */
function trialTable(title: string, trials: readonly ClipTrial[]): string {
  if (trials.length === 0) return '';
  const rules = trialRules.filter(({ name }) => trials.some(({ rule }) => rule === name));
  const columns = [
    { head: 'Training' },
    { head: 'first loss', numeric: true },
    ...rules.map(({ name }) => ({ head: name, numeric: true })),
  ];
  const rows = trialTargets.flatMap((target) =>
    trialOptimizers.flatMap(({ name: optimizer }) => {
      const own = trials.filter((trial) => trial.target === target && trial.optimizer === optimizer);
      const [first] = own;
      if (first === undefined) return [];
      const cells = rules.map(({ name }) => cellOf(own.find(({ rule }) => rule === name)));
      return [[`${escapeHtml(optimizer)}<small>${target}</small>`, formatNumber(Math.exp(first.lnFirst.mean), 2), ...cells]];
    }),
  );
  return renderTable(
    `${title}: mean of the last ten losses (in brackets how many draws end worse than they began, and how often the clip acts)`,
    columns,
    rows,
  );
}

function cellOf(trial: ClipTrial | undefined): string {
  if (trial === undefined) return '';
  const { lnLast, diverged, clippedShare, rule } = trial;
  const value = formatLast({ lnLast });
  const lost = diverged > 0 ? `${diverged} of ${lnLast.draws} worse` : '';
  const acted = rule === trialRules[0]?.name ? '' : `acts in ${percent(clippedShare)}`;
  const notes = [lost, acted].filter((note) => note !== '').map((note) => `<small>${note}</small>`);
  return `${diverged > lnLast.draws / 2 ? `<strong class="bad">${value}</strong>` : value}${notes.join('')}`;
}

function clippingChartText({ rules, learningRate, timeSteps }: ClippingPart, figures: Figures<ChartFile>): string {
  if (rules.length === 0) return '';
  return figures.show(
    'clip-threshold.svg',
    `One draw of the design that explodes, over ${timeSteps} steps by Adam at ${learningRate}: the gradient norm before clipping, and the threshold above which the rule acts. ZClip has none while it warms up.`,
  );
}
