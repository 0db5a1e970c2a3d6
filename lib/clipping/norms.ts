import { fail } from '../check';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import { writtenPart } from '../sparse-rows';
import type { TensorData } from '../tensor';

export interface GradNorms {
  /** the norm of all gradients taken as one vector */
  total: number;
  /** one norm for each parameter, in their order */
  perParameter: readonly number[];
}

/**
 * The norms of the gradients, accumulated in double: one pass over them.
 * NaN when an element is NaN, infinite when one is infinite. The 2-norm neither overflows nor underflows where the norm itself does not.
 * @param normType 1 (sum of magnitudes), 2 (Euclidean) or Infinity (largest magnitude)
 */
export function gradNorms(parameters: readonly Parameter[], normType = 2): GradNorms {
  const norm = NORMS.get(checkNormType('normType', normType)) as Norm;
  const perParameter = norm.ofArrays(parameters.map(({ grad }) => writtenPart(grad)));
  return { total: norm.ofNorms(perParameter), perParameter };
}

/** Which gradient is not finite, in words. */
export function describeNonFinite(parameters: readonly Parameter[], { total, perParameter }: GradNorms): string {
  const index = perParameter.findIndex((norm) => !Number.isFinite(norm));
  const parameter = parameters[index];
  return parameter === undefined
    ? `the norm of all gradients together is ${total}`
    : `the norm of the gradient of "${parameter.name}" is ${perParameter[index]}`;
}

interface Norm {
  ofArrays(arrays: readonly TensorData[]): number[];
  /** the norm of a whole from the norms of its parts */
  ofNorms(norms: readonly number[]): number;
}

const NORMS = new Map<unknown, Norm>([
  [1, { ofArrays: (arrays) => normTerms(arrays, 1), ofNorms: (norms) => norms.reduce((sum, norm) => sum + norm, 0) }],
  [2, { ofArrays: euclideanNorms, ofNorms: (norms) => scaledNorm(norms, largest(norms)) }],
  [Infinity, { ofArrays: maximumNorms, ofNorms: largest }],
]);

/** Where the addon leaves its numbers: made once, since a step should allocate nothing. */
let terms = new Float64Array(64);

function normTerms(arrays: readonly TensorData[], order: 0 | 1 | 2): number[] {
  if (terms.length < arrays.length) terms = new Float64Array(2 * arrays.length);
  native().normTerms(arrays, order, terms);
  return arrays.map((_, index) => terms[index] as number);
}

/** Checks for one of the three norms. */
export function checkNormType(argument: string, value: unknown): number {
  if (!NORMS.has(value)) fail('ERR_OPTION', argument, '1, 2 or Infinity', value);
  return value as number;
}

/** Below this, squares of elements may have underflowed, in sums that matter. */
const SMALLEST_SAFE_SQUARES = 1e-280;

/** √Σx² of each array, which neither overflows nor underflows where the norm itself does not. */
function euclideanNorms(arrays: readonly TensorData[]): number[] {
  const norms = normTerms(arrays, 2);
  for (let i = 0; i < norms.length; i++) {
    const squares = norms[i] as number;
    const safe = Number.isNaN(squares) || (squares >= SMALLEST_SAFE_SQUARES && squares < Infinity);
    const values = arrays[i] as TensorData;
    norms[i] = safe ? Math.sqrt(squares) : scaledNorm(values, maximumNorms([values])[0] as number);
  }
  return norms;
}

/** √Σx² of one array */
export function euclideanNorm(values: TensorData): number {
  return euclideanNorms([values])[0] as number;
}

/** max|x| of each array; NaN if one of its elements is NaN. */
export function maximumNorms(arrays: readonly TensorData[]): number[] {
  return normTerms(arrays, 0);
}

/** √Σx² as m·√Σ(x/m)² with the largest magnitude m, whose squares cannot overflow. */
function scaledNorm(values: ArrayLike<number>, max: number): number {
  if (!(max > 0 && max < Infinity)) return max;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const scaled = (values[i] as number) / max;
    sum += scaled * scaled;
  }
  return max * Math.sqrt(sum);
}

/** The largest of numbers of at least 0; NaN if one is NaN. */
function largest(norms: readonly number[]): number {
  let max = 0;
  for (let i = 0; i < norms.length; i++) max = Math.max(max, norms[i] as number);
  return max;
}
