import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CellNormalization, type DType, loadState, type Nonlinearity, type Placement, type Tensor } from '../../lib/index';
import { type Closeness, expectClose } from './compare';
import { fill } from './fill';

const FIXTURES = join(__dirname, '..', 'fixtures');

interface RowCase {
  /** [..., size]: one row per index of the leading dimensions */
  shape: number[];
  eps?: number;
  affine?: boolean;
}

type Sizes = [n: number, t: number, i: number, h: number];

/** A case of an LSTM or a GRU. */
export interface CellCase {
  sizes: Sizes;
  bias?: boolean;
  projSize?: number;
  resetAfter?: boolean;
}

interface Cases {
  rnn: { nonlinearities: Nonlinearity[]; sizes: Sizes[] };
  /** for the nonlinearities of rnn */
  placements: { placements: Placement[]; kinds: ('layer' | 'rms')[]; eps: number; sizes: Sizes[] };
  /** normalizedSizes: those with a normalisation inside, a projection's size last; for the kinds and placements of `placements` */
  cells: {
    eps: number;
    lstm: CellCase[];
    gru: CellCase[];
    cellNormalizations: CellNormalization[];
    normalizedSizes: [...Sizes, projSize?: number][];
  };
  /** lengths: null for none */
  stacks: { cells: string[]; sizes: Sizes; layers: number[]; lengths: (number[] | null)[] };
  /** LayerNorm, tanh */
  stateGradients: { placements: Placement[]; eps: number; sizes: Sizes; limit: number };
  layerNorm: RowCase[];
  rmsNorm: RowCase[];
  linear: { shape: number[]; outputSize: number; bias?: boolean }[];
  mse: { shape: number[] }[];
  crossEntropy: { shape: [rows: number, classes: number]; offset?: number }[];
  optimizers: { optimizer: 'SGD' | 'Adam' | 'AdamW' | 'RMSprop'; options: Record<string, unknown>; groups?: Record<string, object> }[];
  clipNorm: { maxNorm: number; normType: 1 | 2 | 'inf' }[];
  clipValue: { clipValue: number }[];
  offsetRows: { shape: [rows: number, size: number]; offset: number }[];
  reference: { name: string; layerNorm?: 'before' | 'after'; maxNorm?: number }[];
}

/** The sizes and options that the goldens were made for. */
export const CASES: Cases = JSON.parse(readFileSync(join(FIXTURES, 'cases.json'), 'utf8'));

/** Title, place in the list and content of each case, for test.each. */
export function numbered<T>(cases: readonly T[]): [title: string, index: number, content: T][] {
  return cases.map((content, index) => [JSON.stringify(content), index, content]);
}

/** The largest relative errors allowed for layers and losses. */
export const PRECISIONS: { dtype: DType; within: number }[] = [
  { dtype: 'float64', within: 1e-11 },
  { dtype: 'float32', within: 1e-5 },
];

/** The stored results of one fixture file. */
export class Goldens {
  readonly #arrays: Record<string, Tensor>;

  /** @param name of the file, without its extension */
  constructor(name: string) {
    this.#arrays = loadState(join(FIXTURES, `${name}.safetensors`));
  }

  get(key: string): Tensor {
    const array = this.#arrays[key];
    if (array === undefined) throw new Error(`No golden named ${key}: run fixtures/generate.py.`);
    return array;
  }

  /** Fails unless `actual` is close to the golden `key`, whole or, where it was stored so, by its projections. */
  expect(key: string, actual: Tensor | number, closeness: Closeness): void {
    if (typeof actual === 'number' || this.#arrays[key] !== undefined) {
      expectClose(actual, this.get(key), { label: key, ...closeness });
      return;
    }
    for (const [name, { sums, scales }] of Object.entries(project(actual))) {
      expectClose(sums, this.get(`${key}#${name}`), { label: `${key}#${name}`, scales, ...closeness });
    }
  }
}

/** Weighted sums, and the root of the sum of the squares of each one's terms: what errors of the terms add up to, if the sum itself cancels. */
interface Projection {
  sums: number[];
  scales: number[];
}

/** A tensor [R, ...] seen as a matrix, times a fixed vector from the right and from the left, in double; the twin of `store` in fixtures/generate.py. */
function project(tensor: Tensor): { rows: Projection; columns: Projection } {
  const height = tensor.shape[0] ?? 1;
  const width = tensor.size / height;
  const fromRight = projection('projection/columns', width);
  const fromLeft = projection('projection/rows', height);
  const line = (length: number) => ({ sums: new Array<number>(length).fill(0), scales: new Array<number>(length).fill(0) });
  const [rows, columns] = [line(height), line(width)];
  const add = ({ sums, scales }: Projection, at: number, term: number) => {
    sums[at] = (sums[at] ?? 0) + term;
    scales[at] = Math.hypot(scales[at] ?? 0, term);
  };
  for (const [k, value] of tensor.data.entries()) {
    const [i, j] = [Math.floor(k / width), k % width];
    add(rows, i, value * (fromRight[j] ?? 0));
    add(columns, j, value * (fromLeft[i] ?? 0));
  }
  return { rows, columns };
}

/** Weights in ±(1, 2): none hides the element that it multiplies. */
function projection(name: string, count: number): number[] {
  return Array.from(fill(name, [count]).data, (u) => u + Math.sign(u));
}
