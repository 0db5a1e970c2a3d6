/** How far forecasts are from what came. */
import type { ScaledSeries, StepValues } from './scaled-series';

/** In the target's own unit. */
export interface ForecastErrors {
  /** root mean squared error over all windows and steps */
  rmse: number;
  /** mean absolute error */
  mae: number;
  /** root mean squared error at each step ahead */
  rmseBySteps: number[];
}

export function errorsOf(series: ScaledSeries, rows: Uint32Array, forecast: StepValues): ForecastErrors {
  const { count, horizon } = forecast;
  const squares = new Float64Array(horizon);
  let absolute = 0;
  for (const [i, row] of rows.entries()) {
    for (let step = 0; step < horizon; step++) {
      const error = ((forecast.values[i * horizon + step] as number) - series.value(row + step)) * series.stdAt(row);
      squares[step] = (squares[step] as number) + error ** 2;
      absolute += Math.abs(error);
    }
  }
  return {
    rmse: Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / (count * horizon)),
    mae: absolute / (count * horizon),
    rmseBySteps: Array.from(squares, (square) => Math.sqrt(square / count)),
  };
}
