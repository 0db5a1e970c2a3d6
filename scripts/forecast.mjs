// How `evenkeel train` forecasts three real series, beside PyTorch training the same model on the same windows: the table in docs/forecasting.md.
//
//   node scripts/forecast.mjs --python path/to/python     --seeds 3 for fewer, --series co2 for one, --write puts the table into the document
// Errors differ from seed to seed, so means are compared, with intervals.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));
const internal = (path) => require(join(root, 'dist', path));
const { runtimeInfo, saveState, setNumThreads, Tensor } = internal('index.js');
const { readForecastOptions } = internal('forecast/options.js');
const { prepareTraining, runTraining } = internal('forecast/train.js');
const { meanOfDraws } = internal('study/draws.js');

const series = {
  seattle: {
    title: 'Seattle, highest temperature of the day, one day ahead',
    file: 'data/seattle-weather.csv',
    given: { target: 'temp_max', time: 'date' },
  },
  co2: {
    title: 'CO₂ at Mauna Loa, twelve months ahead',
    file: 'examples/data/co2-concentration.csv',
    given: { columns: ['CO2'], target: 'CO2', time: 'Date', window: 36, horizon: 12, patience: 30, epochs: 300 },
  },
  cities: {
    title: 'Seattle and New York, highest temperature, seven days ahead',
    file: 'examples/data/weather.csv',
    given: { target: 'temp_max', time: 'date', sequenceId: 'location', horizon: 7, cell: 'gru' },
  },
};

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    seeds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
    series: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i + 1);
const threads = Number(values.threads);
setNumThreads(threads);
const silent = { begin() {}, advance() {}, end() {} };
const work = mkdtempSync(join(tmpdir(), 'evenkeel-forecast-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

/** Half of a 95 % interval. */
const half = ({ interval: [low, high] }) => (high - low) / 2;

/** evenkeel's mean error over PyTorch's, whose errors are independent, with its 95 % interval: that of a quotient of means, to first order. */
function ratioOf(own, theirs) {
  const ratio = own.mean / theirs.mean;
  const error = ratio * Math.hypot(half(own) / own.mean, half(theirs) / theirs.mean);
  return `${ratio.toFixed(3)} (${(ratio - error).toFixed(3)} to ${(ratio + error).toFixed(3)})`;
}

/** What both train on, in one file. */
function writeWindows({ prepared }, path) {
  const { series: scaled, rows, changeScale } = prepared;
  const parts = Object.entries(rows).flatMap(([name, own]) => [
    [`${name}_inputs`, scaled.inputs(own)],
    [`${name}_targets`, scaled.changes(own, changeScale)],
  ]);
  const units = Float64Array.from(rows.test, (row) => changeScale * scaled.stdAt(row));
  saveState(path, { ...Object.fromEntries(parts), test_units: new Tensor(units, [units.length]) });
}

async function compare(name, { title, file, given }) {
  const runs = [];
  let job;
  for (const seed of seeds) {
    const folder = mkdtempSync(join(work, `${name}-`));
    job = await prepareTraining(join(root, file), readForecastOptions({ ...given, seed }), folder);
    runs.push(await runTraining(job, silent, new AbortController().signal));
  }
  const windows = join(work, `${name}.safetensors`);
  writeWindows(job, windows);
  const order = JSON.stringify({ ...job.options, seeds, threads });
  const output = execFileSync(values.python, [join(root, 'scripts/forecast_pytorch.py'), windows, order], { encoding: 'utf8' });
  const peer = JSON.parse(output);
  const [own, theirs] = [runs.map(({ test }) => test.model.rmse), peer.runs.map(({ rmse }) => rmse)];
  const list = (errors) => errors.map((error) => error.toFixed(3)).join(' ');
  process.stderr.write(`${name}: evenkeel ${list(own)}; PyTorch ${list(theirs)}\n`);
  return {
    title: `${title} (${job.options.cell.toUpperCase()})`,
    baselines: runs[0].test.baselines,
    own: meanOfDraws(own),
    theirs: meanOfDraws(theirs),
    coverage: [0, 1].map((level) => meanOfDraws(runs.map(({ test }) => test.coverage[level].covered)).mean),
    torch: peer.torch,
  };
}

const chosen = Object.entries(series).filter(([name]) => values.series === undefined || name === values.series);
const rows = [];
for (const [name, one] of chosen) rows.push(await compare(name, one));

const { version, node, simdTarget } = runtimeInfo();
const error = (errors) => errors?.rmse.toFixed(3) ?? '';
const mean = (errors) => `${errors.mean.toFixed(3)} ± ${half(errors).toFixed(3)}`;
const percent = (part) => `${(100 * part).toFixed(0)} %`;
const table = [
  '| series | last value | seasonal | linear | evenkeel | PyTorch | evenkeel / PyTorch | in the 80 %, 95 % intervals |',
  '| --- | --- | --- | --- | --- | --- | --- | --- |',
  ...rows.map(({ title, baselines: { lastValue, seasonal, linear }, own, theirs, coverage }) => {
    const cells = [title, error(lastValue), error(seasonal), error(linear), mean(own), mean(theirs), ratioOf(own, theirs)];
    return `| ${[...cells, coverage.map(percent).join(', ')].join(' | ')} |`;
  }),
  '',
  `Root mean squared errors on the test part, means of ${seeds.length} seeds with 95 % intervals by Student’s t.`,
  `evenkeel ${version}, Node ${node}, ${cpus()[0].model.trim()}, SIMD target ${simdTarget}; PyTorch ${rows[0].torch}; ${new Date().toISOString().slice(0, 10)}; \`node scripts/forecast.mjs --seeds ${seeds.length}\`.`,
].join('\n');
process.stdout.write(`${table}\n`);

if (values.write) {
  const path = join(root, 'docs/forecasting.md');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/(<!-- forecast -->\n)[\s\S]*?(\n<!-- \/forecast -->)/, `$1\n${table}\n$2`));
}
