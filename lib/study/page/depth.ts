/** How gradients grow on their way back through time, of every design. */
import type { Figures } from '../../report/figure';
import { renderSampled, renderTable } from '../../report/page';
import { escapeHtml, plural } from '../../report/text';
import { placementLooks } from '../../report/theme';
import type { ChartFile } from '../charts';
import { growthOf } from '../depth';
import { formatRate } from '../draws';
import type { DepthPart } from '../results';
import { describeGrowth, formatLargestExponent, meanSpectrum, medianHorizon } from '../summary';

export function depthSection(depth: DepthPart, figures: Figures<ChartFile>): string {
  if (depth.designs.length === 0) return '';
  const { sequences, timeSteps, inputSize, hiddenSize, seeds, dtype } = depth;
  return `<section>
<h2>One size in detail</h2>
<p>${sequences} sequences of ${timeSteps} time steps, ${inputSize} inputs, ${hiddenSize} hidden units (tanh), random normal inputs and targets, mean squared error on the last step alone, before any training, ${dtype}. For each of ${plural(seeds, 'seed')}, all designs that start alike have the same weights, and all have the same data.</p>
${figures.show('gradients-through-time.svg', 'A line that falls to the lower edge goes on falling. A gradient that explodes rises.')}
${figures.show('lyapunov-spectra.svg', `All Lyapunov exponents: the mean growth per step, over all sequences, of a small change of the state in each of ${hiddenSize} directions. A line that falls to the lower edge goes on below it${lostDirections(depth)}.`)}
${depthTable(depth)}
<p class="note">The largest Lyapunov exponent λ<sub>1</sub> is where a gradient’s growth rate tends to over long times${rateGap(depth)}. The curves are the norm over all sequences together, which follows those whose gradients are largest; the rates are means over sequences. The first steps, which begin at a state of zeros, are left out of both.</p>
</section>`;
}

/** Where a LayerNorm takes a direction to nothing. */
function lostDirections({ designs }: DepthPart): string {
  const lost = designs.filter(({ spectra }) => spectra.some(({ exponents }) => exponents.includes(Number.NEGATIVE_INFINITY)));
  const places = [...new Set(lost.map(({ placement }) => placement))];
  return lost.length === 0
    ? ''
    : `; in ${lost.length} of ${plural(designs.length, 'design')} (${places.join(', ')}) the last exponent is −∞: a direction is lost altogether`;
}

/** How far the rates and the exponents lie apart. */
function rateGap({ designs, timeSteps }: DepthPart): string {
  const gaps = designs.map((design) => Math.abs(growthOf(design).mean - (meanSpectrum(design)[0]?.mean ?? Number.NaN)));
  return `: over these ${timeSteps} steps the two differ by at most ${Math.max(...gaps).toFixed(3)}`;
}

/** All designs, what grows fastest first. */
function depthTable({ designs }: DepthPart): string {
  const columns = [
    { head: 'Design' },
    { head: 'gradient' },
    { head: 'growth rate', numeric: true },
    { head: 'Lyapunov λ<sub>1</sub>', numeric: true },
    { head: 'steps within float32', numeric: true },
  ];
  const rows = [...designs]
    .sort((a, b) => growthOf(b).mean - growthOf(a).mean)
    .map((design) => {
      const growth = growthOf(design);
      const word = describeGrowth(growth);
      return [
        renderSampled(placementLooks[design.placement], escapeHtml(`${design.placement}, ${design.initializer}`)),
        `<strong class="${{ grows: 'bad', open: 'good', shrinks: 'part' }[word]}">${word}</strong>`,
        formatRate(growth),
        formatLargestExponent(design),
        word === 'open' ? '–' : String(medianHorizon(design)),
      ];
    });
  return renderTable('Every design, the fastest growth first', columns, rows);
}
