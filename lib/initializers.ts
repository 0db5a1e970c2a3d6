import { checkNumber, checkOneOf, readOptions } from './check';
import type { Generator } from './random';
import type { Tensor } from './tensor';

/**
 * How the recurrent weights W_hh [H, H] start. It concerns no other parameter: W_ih and the biases are uniform in ±1/√H whatever stands here,
 * so that initialisers can be compared with all else equal.
 * - `'uniform'`: uniform in ±gain/√H, PyTorch's default
 * - `'glorot'`: uniform in ±gain·√(6/(H + H)) (Glorot, Bengio 2010)
 * - `'kaiming'`: uniform in ±gain·√(3/H), gain √2 unless given (He et al. 2015, arXiv:1502.01852)
 * - `'orthogonal'`: a random orthogonal matrix times gain (Saxe et al. 2013, arXiv:1312.6120)
 * - `'identity'`: the identity times gain (Le, Jaitly, Hinton 2015, arXiv:1504.00941, whose IRNN also starts with biases of zero and
 *   normal input weights of standard deviation 0.001: set these through `stateDict()`, as examples/adding-problem.mts does)
 */
export type Initializer = 'uniform' | 'glorot' | 'kaiming' | 'orthogonal' | 'identity';

/** An initialiser with its gain. */
export interface InitializerOptions {
  initializer: Initializer;
  /** a factor above 0 on the whole matrix; 1 unless said otherwise */
  gain?: number;
}

interface Rule {
  defaultGain: number;
  fill(weight: Tensor, gain: number, generator: Generator): void;
}

// Everything here is computed in float64 from + − × ÷ √ alone, which IEEE 754 rounds exactly: every machine gets the same weights.
const RULES: Record<Initializer, Rule> = {
  uniform: { defaultGain: 1, fill: (weight, gain, generator) => fillUniform(weight, gain / Math.sqrt(sizeOf(weight)), generator) },
  glorot: { defaultGain: 1, fill: (weight, gain, generator) => fillUniform(weight, gain * Math.sqrt(6 / (2 * sizeOf(weight))), generator) },
  kaiming: {
    defaultGain: Math.SQRT2,
    fill: (weight, gain, generator) => fillUniform(weight, gain * Math.sqrt(3 / sizeOf(weight)), generator),
  },
  orthogonal: { defaultGain: 1, fill: fillOrthogonal },
  identity: { defaultGain: 1, fill: fillIdentity },
};

const NAMES = Object.keys(RULES) as Initializer[];

/** Checks an initialiser given by name or with a gain, and fills in the defaults. */
export function checkInitializer(argument: string, value: unknown): Required<InitializerOptions> {
  const options = typeof value === 'string' ? { initializer: value } : value;
  const given = readOptions(argument, options, ['initializer', 'gain']);
  const initializer = checkOneOf(argument, given.initializer, NAMES);
  const { gain = RULES[initializer].defaultGain } = given;
  return { initializer, gain: checkNumber(`${argument}.gain`, gain, { above: 0 }) };
}

/** Fills a square matrix [H, H]. */
export function initializeRecurrent(weight: Tensor, { initializer, gain }: Required<InitializerOptions>, generator: Generator): void {
  RULES[initializer].fill(weight, gain, generator);
}

/** Fills a tensor with uniform numbers in ±bound. */
export function fillUniform({ data }: Tensor, bound: number, generator: Generator): void {
  for (let i = 0; i < data.length; i++) data[i] = (2 * generator.uniform() - 1) * bound;
}

function sizeOf(weight: Tensor): number {
  return weight.shape[0] ?? 0;
}

function fillIdentity(weight: Tensor, gain: number): void {
  const size = sizeOf(weight);
  weight.data.fill(0);
  for (let i = 0; i < size; i++) weight.data[i * size + i] = gain;
}

/**
 * Fills a matrix [R, H] of at most H rows with orthogonal rows: the first R of those that a square one gets from the same generator.
 *
 * The orthogonal factor of a Gaussian matrix G = L W, drawn row by row, with L lower triangular and its diagonal above 0: the QR decomposition
 * of Gᵀ by Householder reflections, with the sign convention of torch.nn.init.orthogonal_. So W is unique, and uniformly distributed over the
 * orthogonal group (Mezzadri 2007, arXiv:math-ph/0609050).
 */
export function fillOrthogonal({ data, shape }: Tensor, gain: number, generator: Generator): void {
  const [rows, size] = shape as [number, number];
  // Row k holds the k-th column of the matrix to decompose, so that each reflection runs over contiguous memory.
  const columns = Array.from({ length: rows }, () => Float64Array.from({ length: size }, () => generator.normal()));
  const signs = columns.map((column, k) => reflectBelow(columns, column, k));
  const q = columns.map((_, i) => Float64Array.from({ length: size }, (_, j) => (i === j ? (signs[i] ?? 1) : 0)));
  for (let k = rows - 1; k >= 0; k--) {
    for (let i = k; i < rows; i++) reflect(q[i] as Float64Array, columns[k] as Float64Array, k);
  }
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < size; j++) data[i * size + j] = gain * (q[i]?.[j] ?? 0);
  }
}

/**
 * Makes the reflection that clears `column` below its k-th element, applies it to the columns after it, and leaves in `column` its
 * vector v, scaled so that the reflection is I − v vᵀ. Returns the sign of R's k-th diagonal element.
 */
function reflectBelow(columns: readonly Float64Array[], column: Float64Array, k: number): number {
  const pivot = column[k] ?? 0;
  const norm = Math.sqrt(dot(column, column, k));
  const sign = pivot > 0 ? -1 : 1;
  column[k] = pivot - sign * norm;
  const scale = Math.sqrt(norm * (norm + Math.abs(pivot)));
  for (let j = k; j < column.length; j++) column[j] = (column[j] ?? 0) / scale;
  for (let i = k + 1; i < columns.length; i++) reflect(columns[i] as Float64Array, column, k);
  return sign;
}

/** x ← (I − v vᵀ) x over the elements from k on */
function reflect(x: Float64Array, v: Float64Array, k: number): void {
  const projection = dot(x, v, k);
  for (let j = k; j < x.length; j++) x[j] = (x[j] as number) - projection * (v[j] as number);
}

function dot(a: Float64Array, b: Float64Array, k: number): number {
  let sum = 0;
  for (let j = k; j < a.length; j++) sum += (a[j] as number) * (b[j] as number);
  return sum;
}
