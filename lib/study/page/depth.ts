/** How gradients grow on their way back through time, of every design. */
import type { Figures } from '../../report/figure';
import { renderSampled, renderTable } from '../../report/page';
import { escapeHtml, formatNumber, plural } from '../../report/text';
import { placementLooks } from '../../report/theme';
import type { ChartFile } from '../charts';
import { commonVerdict, formatRate, meanRate, medianHorizon } from '../claims';
import type { DepthPart } from '../results';
import { formatLargestExponent } from '../summary';

/** ε of a LayerNorm that is not told otherwise. */
const normEps = 1e-5;

export function depthSection(depth: DepthPart, figures: Figures<ChartFile>): string {
  if (depth.designs.length === 0) return '';
  const { sequences, timeSteps, inputSize, hiddenSize, seeds, dtype } = depth;
  return `<section>
<h2>Depth in time</h2>
<p>${sequences} sequences of ${timeSteps} time steps, ${inputSize} inputs, ${hiddenSize} hidden units (tanh), random normal inputs and targets, mean squared error on the last step alone, before any training, ${dtype}. For each of ${plural(seeds, 'seed')}, all designs that start alike have the same weights, and all have the same data.</p>
${figures.show('gradients-through-time.svg', 'A line that falls to the lower edge goes on falling. A gradient that explodes rises.')}
${figures.show('lyapunov-spectra.svg', `All Lyapunov exponents: the mean growth per step, over all sequences, of a small change of the state in each of ${hiddenSize} directions. A line that falls to the lower edge goes on below it; a LayerNorm in the recurrence loses some directions altogether.`)}
${depthTable(depth)}
<p class="note">The largest Lyapunov exponent λ<sub>1</sub> is where a gradient’s growth rate tends to over long times, as a mean over sequences; the norm of the gradient follows the sequences whose gradients are largest. It counts the first step as well, from a state of zeros, which the LayerNorm of recurrent-input multiplies by 1/√ε: over ${timeSteps} steps, ${formatNumber(-Math.log(normEps) / 2 / timeSteps, 3)} of its λ<sub>1</sub>.</p>
</section>`;
}

/** All designs, what grows fastest first. */
function depthTable({ designs }: DepthPart): string {
  const columns = [
    { head: 'Design' },
    { head: 'verdict' },
    { head: 'growth rate', numeric: true },
    { head: 'Lyapunov λ<sub>1</sub>', numeric: true },
    { head: 'steps within float32', numeric: true },
  ];
  const rows = [...designs]
    .sort((a, b) => meanRate(b).rate - meanRate(a).rate)
    .map((design) => [
      renderSampled(placementLooks[design.placement], escapeHtml(`${design.placement}, ${design.initializer}`)),
      `<strong class="${{ exploding: 'bad', stable: 'good', vanishing: 'part' }[commonVerdict(design)]}">${commonVerdict(design)}</strong>`,
      formatRate(meanRate(design)),
      formatLargestExponent(design),
      commonVerdict(design) === 'stable' ? '–' : String(medianHorizon(design)),
    ]);
  return renderTable('Every design, the fastest growth first', columns, rows);
}
