import { fail } from '../check';
import { native } from '../native/load';
import type { Parameter } from '../parameter';
import type { TensorData } from '../tensor';

export interface GradNorms {
  /** the norm of all gradients taken as one vector */
  total: number;
  /** one norm for each parameter, in their order */
  perParameter: Float64Array;
}

/**
 * The norms of the gradients, accumulated in double: one pass over them.
 * NaN when an element is NaN, infinite when one is infinite. The 2-norm neither overflows nor underflows where the norm itself does not.
 * @param normType 1 (sum of magnitudes), 2 (Euclidean) or Infinity (largest magnitude)
 */
export function gradNorms(parameters: readonly Parameter[], normType = 2): GradNorms {
  const norm = NORMS.get(checkNormType('normType', normType)) as Norm;
  const perParameter = new Float64Array(parameters.length);
  for (let i = 0; i < parameters.length; i++) perParameter[i] = norm.ofArray((parameters[i] as Parameter).grad.data);
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
  ofArray(values: TensorData): number;
  /** the norm of a whole from the norms of its parts */
  ofNorms(norms: Float64Array): number;
}

const NORMS = new Map<unknown, Norm>([
  [1, { ofArray: (values) => native().normTerm(values, 1), ofNorms: (norms) => norms.reduce((sum, norm) => sum + norm, 0) }],
  [2, { ofArray: euclideanNorm, ofNorms: (norms) => scaledNorm(norms, largest(norms)) }],
  [Infinity, { ofArray: (values) => native().normTerm(values, 0), ofNorms: largest }],
]);

/** Checks for one of the three norms. */
export function checkNormType(argument: string, value: unknown): number {
  if (!NORMS.has(value)) fail('ERR_OPTION', argument, '1, 2 or Infinity', value);
  return value as number;
}

/** Below this, squares of elements may have underflowed, in sums that matter. */
const SMALLEST_SAFE_SQUARES = 1e-280;

/** √Σx², which neither overflows nor underflows where the norm itself does not. */
export function euclideanNorm(values: TensorData): number {
  const squares = native().normTerm(values, 2);
  const safe = Number.isNaN(squares) || (squares >= SMALLEST_SAFE_SQUARES && squares < Infinity);
  return safe ? Math.sqrt(squares) : scaledNorm(values, native().normTerm(values, 0));
}

/** √Σx² as m·√Σ(x/m)² with the largest magnitude m, whose squares cannot overflow. */
function scaledNorm(values: TensorData, max: number): number {
  if (!(max > 0 && max < Infinity)) return max;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const scaled = (values[i] as number) / max;
    sum += scaled * scaled;
  }
  return max * Math.sqrt(sum);
}

/** The largest of numbers of at least 0; NaN if one is NaN. */
function largest(norms: Float64Array): number {
  return norms.reduce((max, norm) => Math.max(max, norm), 0);
}
