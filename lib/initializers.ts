import { checkNumber, checkOneOf, readOptions } from './check';
import { checkMemory } from './memory';
import type { Generator } from './random';
import { Tensor } from './tensor';

/**
 * How a weight matrix of a recurrent layer starts: W_hh [H, H] by `recurrentInitializer`, W_ih [H, I] by `inputInitializer`. The one concerns
 * no other parameter, so that initialisers can be compared with all else equal; biases are uniform in ±1/√H. C is the number of columns.
 * - `'uniform'`: uniform in ±gain/√H, PyTorch's default for both
 * - `'glorot'`: uniform in ±gain·√(6/(H + C)) (Glorot, Bengio 2010)
 * - `'kaiming'`: uniform in ±gain·√(3/C), gain √2 unless given (He et al. 2015, arXiv:1502.01852)
 * - `'orthogonal'`: a random matrix with orthonormal rows, or columns where there are fewer of these, times gain (Saxe et al. 2013,
 *   arXiv:1312.6120)
 * - `'identity'`: gain on the diagonal, else 0 (Le, Jaitly, Hinton 2015, arXiv:1504.00941, whose IRNN also starts with biases of zero and
 *   normal input weights of standard deviation 0.001: set these through `stateDict()`, as examples/adding-problem.mts does)
 */
export type Initializer = 'uniform' | 'glorot' | 'kaiming' | 'orthogonal' | 'identity';

/** An initialiser with its gain. */
export interface InitializerOptions {
  name: Initializer;
  /** a factor above 0 on the whole matrix; 1 unless said otherwise */
  gain?: number;
}

interface Rule {
  defaultGain: number;
  fill(weight: Tensor, gain: number, generator: Generator): void;
}

// Everything here is computed in float64 from + − × ÷ √ alone, which IEEE 754 rounds exactly: every machine gets the same weights.
const RULES: Record<Initializer, Rule> = {
  uniform: { defaultGain: 1, fill: (weight, gain, generator) => fillUniform(weight, gain / Math.sqrt(sizesOf(weight)[0]), generator) },
  glorot: {
    defaultGain: 1,
    fill(weight, gain, generator) {
      const [rows, columns] = sizesOf(weight);
      fillUniform(weight, gain * Math.sqrt(6 / (rows + columns)), generator);
    },
  },
  kaiming: {
    defaultGain: Math.SQRT2,
    fill: (weight, gain, generator) => fillUniform(weight, gain * Math.sqrt(3 / sizesOf(weight)[1]), generator),
  },
  orthogonal: { defaultGain: 1, fill: fillSemiOrthogonal },
  identity: { defaultGain: 1, fill: fillIdentity },
};

/** All initialisers. */
export const initializerNames = Object.keys(RULES) as Initializer[];

/** Checks an initialiser given by name or with a gain, and fills in the defaults. */
export function checkInitializer(argument: string, value: unknown): Required<InitializerOptions> {
  const options = typeof value === 'string' ? { name: value } : value;
  const given = readOptions(argument, options, ['name', 'gain']);
  const name = checkOneOf(argument, given.name, initializerNames);
  const { gain = RULES[name].defaultGain } = given;
  return { name, gain: checkNumber(`${argument}.gain`, gain, { above: 0 }) };
}

let isFilling = true;

/**
 * Runs `make` with parameters left at zero instead of their initial values, for those who fill them at once with values of their own.
 * @internal
 */
export function withoutInitialValues<Made>(make: () => Made): Made {
  const before = isFilling;
  isFilling = false;
  try {
    return make();
  } finally {
    isFilling = before;
  }
}

/** Fills a weight matrix [gates·H, columns], each gate's rows by themselves. */
export function initializeWeight(weight: Tensor, { name, gain }: Required<InitializerOptions>, generator: Generator, gates = 1): void {
  if (!isFilling) return;
  const [rows, columns] = sizesOf(weight);
  const gateRows = rows / gates;
  for (let row = 0; row < rows; row += gateRows) {
    const gate = new Tensor(weight.data.subarray(row * columns, (row + gateRows) * columns), [gateRows, columns]);
    RULES[name].fill(gate, gain, generator);
  }
}

/** Fills a tensor with uniform numbers in ±bound. */
export function fillUniform({ data }: Tensor, bound: number, generator: Generator): void {
  if (!isFilling) return;
  for (let i = 0; i < data.length; i++) data[i] = (2 * generator.uniform() - 1) * bound;
}

/** Fills a part of a tensor with one number. */
export function fillConstant({ data }: Tensor, value: number, begin = 0, end = data.length): void {
  if (isFilling) data.fill(value, begin, end);
}

/** Fills a tensor with standard normal numbers. */
export function fillNormal({ data }: Tensor, generator: Generator): void {
  if (!isFilling) return;
  for (let i = 0; i < data.length; i++) data[i] = generator.normal();
}

function sizesOf({ shape }: Tensor): [rows: number, columns: number] {
  return shape as [number, number];
}

function fillIdentity(weight: Tensor, gain: number): void {
  const [rows, columns] = sizesOf(weight);
  weight.data.fill(0);
  for (let i = 0; i < Math.min(rows, columns); i++) weight.data[i * columns + i] = gain;
}

function fillSemiOrthogonal(weight: Tensor, gain: number, generator: Generator): void {
  const [rows, columns] = sizesOf(weight);
  if (rows <= columns) {
    fillOrthogonal(weight, gain, generator);
    return;
  }
  const transposed = Tensor.zeros([columns, rows], { dtype: 'float64' });
  fillOrthogonal(transposed, gain, generator);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) weight.data[i * columns + j] = transposed.data[j * rows + i] as number;
  }
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
  checkMemory('initializer: "orthogonal"', 2 * rows * size * Float64Array.BYTES_PER_ELEMENT, 'Use a smaller hiddenSize.');
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
