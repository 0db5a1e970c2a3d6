/** The recurrent model of a forecast, its batches and what it says of windows. */
import { setImmediate } from 'node:timers/promises';
import { GRU } from '../layers/gru';
import { Linear } from '../layers/linear';
import { LSTM } from '../layers/lstm';
import { RNN } from '../layers/rnn';
import { Sequential } from '../layers/sequential';
import type { Generator } from '../random';
import type { Batch } from '../training/options';
import type { ForecastOptions } from './options';
import type { ScaledSeries, StepValues } from './scaled-series';

const cells = { rnn: RNN, lstm: LSTM, gru: GRU };

/**
 * [N, window, C] to [N, horizon], how far the target goes from its last value: the recurrent layer's last output and a linear layer. What it adds
 * to the last value is small where little changes, so that it need not learn to copy that.
 */
export function buildNetwork(options: ForecastOptions, inputSize: number, generator: Generator): Sequential {
  const { cell, layers, hidden, normalization, dropout, horizon } = options;
  const recurrent = new cells[cell]({
    inputSize,
    hiddenSize: hidden,
    numLayers: layers,
    normalization,
    dropout,
    returnSequences: false,
    generator,
  });
  return new Sequential({ recurrent, head: new Linear({ inputSize: hidden, outputSize: horizon, generator }) });
}

/**
 * Batches of windows, which are cut from the series as they are needed, since together they would be many times as large.
 * @param generator for a new random order each time
 */
export function windowBatches(
  series: ScaledSeries,
  rows: Uint32Array,
  { batchSize, scale, generator }: { batchSize: number; scale: number; generator?: Generator },
): Iterable<Batch> {
  return {
    *[Symbol.iterator]() {
      const order = generator === undefined ? rows : shuffled(rows, generator);
      for (let start = 0; start < order.length; start += batchSize) {
        const piece = order.subarray(start, start + batchSize);
        yield { input: series.inputs(piece), target: series.changes(piece, scale) };
      }
    },
  };
}

/** A copy in random order (Durstenfeld 1964, Algorithm 235). */
function shuffled(rows: Uint32Array, generator: Generator): Uint32Array {
  const order = rows.slice();
  for (let i = order.length - 1; i > 0; i--) {
    const j = generator.integer(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

/** Windows that are forecast at a time. */
export const PIECE = 256;

/** What a network forecasts for windows, in standard deviations, in pieces between which the event loop runs. */
export async function networkForecast(model: Sequential, series: ScaledSeries, rows: Uint32Array, scale: number): Promise<StepValues> {
  const { horizon } = series.size;
  const values = new Float64Array(rows.length * horizon);
  for (let start = 0; start < rows.length; start += PIECE) {
    const piece = rows.subarray(start, start + PIECE);
    const { data } = model.predict(series.inputs(piece));
    for (const [i, row] of piece.entries()) {
      const last = series.lastValue(row);
      for (let step = 0; step < horizon; step++) values[(start + i) * horizon + step] = last + scale * (data[i * horizon + step] as number);
    }
    await setImmediate();
  }
  return { count: rows.length, horizon, values };
}
