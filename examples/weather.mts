// Tomorrow's weather from the last thirty days: a stacked LSTM over four measurements of Seattle, against the last value and against linear
// regression on the same windows. A few seconds on two cores.
//
//   --epochs 30   --seed 1

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  AdamW,
  Dropout,
  fit,
  Generator,
  LastStep,
  Linear,
  LSTM,
  makeBatches,
  makeWindows,
  mseLoss,
  readSeries,
  Sequential,
  splitInTime,
  standardize,
  type Tensor,
} from 'evenkeel';

const window = 30;
const { epochs, seed } = readOptions();
const generator = new Generator(seed);
const file = fileURLToPath(new URL('data/seattle-weather.csv', import.meta.resolve('evenkeel/package.json')));
const series = readSeries(file, { target: 'temp_max' });
const split = splitInTime(series.rows, window);
const { series: scaled, std } = standardize(series, split.train);
const scale = std[series.target] as number;
const parts = {
  train: makeWindows(scaled, { window, range: split.train }),
  validation: makeWindows(scaled, { window, range: split.validation }),
  test: makeWindows(scaled, { window, range: split.test }),
};
console.log(
  `${series.columns.join(', ')}: ${parts.train.inputs.shape[0]} windows of ${window} days to learn from, ${parts.test.inputs.shape[0]} to test with`,
);

const errors = { 'last value': rmse(lastValues(parts.test.inputs)), 'linear regression': rmse(linearRegression()) };
for (const [name, error] of Object.entries(errors)) console.log(`${name}: ${error.toFixed(2)} °C`);

const model = new Sequential({
  first: new LSTM({ inputSize: series.columns.length, hiddenSize: 32, generator }),
  dropout: new Dropout({ p: 0.2, generator }),
  second: new LSTM({ inputSize: 32, hiddenSize: 32, generator }),
  last: new LastStep(),
  dropoutOfLast: new Dropout({ p: 0.2, generator }),
  head: new Linear({ inputSize: 32, outputSize: 1, generator }),
});
const optimizer = new AdamW(model.parameters(), { learningRate: 2e-3 });
const batches = makeBatches(parts.train.inputs, parts.train.targets, { batchSize: 32, generator });
let best = { validation: Number.POSITIVE_INFINITY, test: Number.NaN, epoch: 0 };
for (let epoch = 1; epoch <= epochs; epoch++) {
  await fit(model, batches, { loss: mseLoss, optimizer, clip: { maxNorm: 1 }, generator });
  const validation = mseLoss(model.predict(parts.validation.inputs), parts.validation.targets).value;
  if (validation < best.validation) best = { validation, test: rmse(model.predict(parts.test.inputs).data), epoch };
}
console.log(`two LSTM layers: ${best.test.toFixed(2)} °C, of the epoch that validates best (${best.epoch})`);

/** Root mean squared error on the test part, in °C. */
function rmse(forecasts: ArrayLike<number>): number {
  const { targets } = parts.test;
  const squares = Array.from(targets.data, (value, i) => (value - (forecasts[i] as number)) ** 2);
  return scale * Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

function lastValues({ data, shape }: Tensor): number[] {
  const [count, steps, columns] = shape as [number, number, number];
  return Array.from({ length: count }, (_, i) => data[(i * steps + steps - 1) * columns + series.target] as number);
}

/** Least squares over all values of a window and a constant, by its normal equations (ridge 1). */
function linearRegression(): number[] {
  const rowsOf = ({ data, shape }: Tensor): number[][] => {
    const size = (shape[1] as number) * (shape[2] as number);
    return Array.from({ length: shape[0] as number }, (_, i) => [...data.subarray(i * size, (i + 1) * size), 1]);
  };
  const rows = rowsOf(parts.train.inputs);
  const size = (rows[0] as number[]).length;
  const a = Array.from({ length: size }, (_, i) => {
    const line = Array.from({ length: size + 1 }, () => 0);
    line[i] = 1;
    return line;
  });
  for (const [k, row] of rows.entries()) {
    for (const [i, x] of row.entries()) {
      const line = a[i] as number[];
      for (const [j, y] of row.entries()) line[j] = (line[j] as number) + x * y;
      line[size] = (line[size] as number) + x * (parts.train.targets.data[k] as number);
    }
  }
  const weights = solve(a);
  return rowsOf(parts.test.inputs).map((row) => row.reduce((sum, x, i) => sum + x * (weights[i] as number), 0));
}

/** Gauss-Jordan elimination of [A | b], A symmetric and positive definite. */
function solve(a: number[][]): number[] {
  for (const [i, pivot] of a.entries()) {
    const scaleOfRow = pivot[i] as number;
    for (const [j, value] of pivot.entries()) pivot[j] = value / scaleOfRow;
    for (const [k, row] of a.entries()) {
      const factor = row[i] as number;
      if (k !== i) for (const [j, value] of pivot.entries()) row[j] = (row[j] as number) - factor * value;
    }
  }
  return a.map((row) => row.at(-1) as number);
}

function readOptions(): { epochs: number; seed: number } {
  const { values } = parseArgs({ options: { epochs: { type: 'string', default: '30' }, seed: { type: 'string', default: '1' } } });
  return { epochs: Number(values.epochs), seed: Number(values.seed) };
}
