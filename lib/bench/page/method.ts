/** The machine and the method. */
import { renderDefinitions, renderTable } from '../../report/page';
import { formatBytes, formatDuration, plural, threeDigits, trimZeros } from '../../report/text';
import type { MachineFloor } from '../floor';
import type { BenchResults } from '../results';
import { verdictRule } from '../summary';

export function machineSection({ environment, floor, trials: results }: BenchResults): string {
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

export function methodSection({ date, seconds, options }: BenchResults, files: readonly string[]): string {
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
