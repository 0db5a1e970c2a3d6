/** Ridge regression from all values of a window to the target's change, one for all steps of the horizon. */
import { Linear } from '../layers/linear';
import { Tensor } from '../tensor';
import type { ScaledSeries, StepValues } from './scaled-series';

/** Values of a window that it uses at most: of a longer one the latest rows. */
const MOST_FEATURES = 512;
/** Windows that are multiplied at a time. */
const PIECE = 4096;
/** Of which that is taken which validates best, in units of a window. */
const PENALTIES = [0.01, 0.1, 1, 10, 100, 1000, 10_000];

/** What is learned, in plain numbers, as JSON takes them. */
export interface LinearState {
  /** latest rows of a window that it uses */
  steps: number;
  penalty: number;
  /** [horizon][steps · C + 1], the constant last */
  weights: number[][];
}

export class LinearForecast {
  readonly state: LinearState;

  constructor(state: LinearState) {
    this.state = state;
  }

  /** The penalty is the one that validates best. */
  static fit(series: ScaledSeries, train: Uint32Array, validation: Uint32Array): LinearForecast {
    const width = series.scaled.columns.length;
    const steps = Math.max(1, Math.min(series.size.window, Math.floor(MOST_FEATURES / width)));
    const { gram, moments } = normalEquations(series, train, steps);
    const truth = series.truth(validation);
    const size = steps * width + 1;
    let best: { error: number; forecast: LinearForecast } | undefined;
    for (const penalty of PENALTIES) {
      const weights = solveRidge(gram, moments, size, penalty);
      if (weights === undefined) continue;
      const forecast = new LinearForecast({ steps, penalty, weights });
      const error = squaredError(forecast.forecast(series, validation), truth);
      if (best === undefined || error < best.error) best = { error, forecast };
    }
    // Where nothing can be solved, nothing is added to the last value.
    const nothing = { steps, penalty: Number.POSITIVE_INFINITY, weights: moments.map(() => Array.from({ length: size }, () => 0)) };
    return best?.forecast ?? new LinearForecast(nothing);
  }

  forecast(series: ScaledSeries, rows: Uint32Array): StepValues {
    const { values, columns } = series.scaled;
    const { steps, weights } = this.state;
    const size = steps * columns.length;
    let features = values.subarray(0, 0);
    return series.forecastEach(rows, (row, step) => {
      if (step === 0) features = values.subarray(row * columns.length - size, row * columns.length);
      const own = weights[step] as number[];
      let change = own[size] as number;
      for (let i = 0; i < size; i++) change += (features[i] as number) * (own[i] as number);
      return series.lastValue(row) + change;
    });
  }
}

function squaredError(forecast: StepValues, truth: StepValues): number {
  return forecast.values.reduce((sum, value, i) => sum + (value - (truth.values[i] as number)) ** 2, 0);
}

/** XᵀX [p, p] and, for each step of the horizon, Xᵀy [p], X with a column of ones at its end. */
function normalEquations(series: ScaledSeries, rows: Uint32Array, steps: number): { gram: Float64Array; moments: Float64Array[] } {
  const { values, columns } = series.scaled;
  const { horizon } = series.size;
  const size = steps * columns.length;
  // A layer's gradient ∂L/∂W = dYᵀX is a product by BLAS: with [X, Y] for dY it has both XᵀX and YᵀX.
  const product = new Linear({ inputSize: size + 1, outputSize: size + 1 + horizon, bias: false, dtype: 'float64' });
  for (let start = 0; start < rows.length; start += PIECE) {
    const piece = rows.subarray(start, start + PIECE);
    const x = new Float64Array(piece.length * (size + 1));
    const xy = new Float64Array(piece.length * (size + 1 + horizon));
    for (const [i, row] of piece.entries()) {
      const features = values.subarray(row * columns.length - size, row * columns.length);
      x.set(features, i * (size + 1));
      x[i * (size + 1) + size] = 1;
      xy.set(features, i * (size + 1 + horizon));
      xy[i * (size + 1 + horizon) + size] = 1;
      for (let step = 0; step < horizon; step++) {
        xy[i * (size + 1 + horizon) + size + 1 + step] = series.value(row + step) - series.lastValue(row);
      }
    }
    product.forward(new Tensor(x, [piece.length, size + 1]));
    product.backward(new Tensor(xy, [piece.length, size + 1 + horizon]), { inputGradient: false });
  }
  const sums = product.parameters()[0]?.grad.data as Float64Array;
  const line = (index: number) => sums.subarray(index * (size + 1), (index + 1) * (size + 1));
  return {
    gram: sums.subarray(0, (size + 1) * (size + 1)),
    moments: Array.from({ length: horizon }, (_, step) => line(size + 1 + step)),
  };
}

/**
 * (XᵀX + λI) w = Xᵀy for several y by Cholesky's decomposition; the constant is not shrunk. Undefined where rounding leaves no positive definite
 * matrix.
 */
export function solveRidge(gram: Float64Array, moments: readonly Float64Array[], size: number, penalty: number): number[][] | undefined {
  const lower = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = (gram[i * size + j] as number) + (i === j && i < size - 1 ? penalty : 0);
      for (let k = 0; k < j; k++) sum -= (lower[i * size + k] as number) * (lower[j * size + k] as number);
      if (i === j && !(sum > 0)) return undefined;
      lower[i * size + j] = i === j ? Math.sqrt(sum) : sum / (lower[j * size + j] as number);
    }
  }
  return moments.map((right) => substitute(lower, size, right));
}

/** L Lᵀ w = b, forwards and then backwards. */
function substitute(lower: Float64Array, size: number, right: Float64Array): number[] {
  const solution = Array.from(right);
  for (let i = 0; i < size; i++) {
    let sum = solution[i] as number;
    for (let k = 0; k < i; k++) sum -= (lower[i * size + k] as number) * (solution[k] as number);
    solution[i] = sum / (lower[i * size + i] as number);
  }
  for (let i = size - 1; i >= 0; i--) {
    let sum = solution[i] as number;
    for (let k = i + 1; k < size; k++) sum -= (lower[k * size + i] as number) * (solution[k] as number);
    solution[i] = sum / (lower[i * size + i] as number);
  }
  return solution;
}
