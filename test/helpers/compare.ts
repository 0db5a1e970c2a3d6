import { Tensor } from '../../lib/index';

/** Numbers in any of the forms that results come in. */
export type Values = Tensor | ArrayLike<number> | number;

export interface Closeness {
  /** the largest error allowed, relative to the expected array's norm and, element by element, to its largest element */
  within: number;
  /** exact arithmetic gives zeros: nothing to be relative to, so every element of both sides must be within `within` of 0 */
  zero?: boolean;
  /** for sums whose terms may cancel: the size of each, from its terms; errors are relative to it where that is larger than what was expected */
  scales?: ArrayLike<number>;
  /** what is compared, for the message */
  label?: string;
}

/** ‖actual − expected‖ / ‖expected‖, in double; NaN as soon as either holds a NaN. With scales, over their norm where that is larger. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, scales: ArrayLike<number> = expected): number {
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference += (at(actual, i) - at(expected, i)) ** 2;
  return Math.sqrt(difference) / Math.max(norm(expected), norm(scales));
}

function norm(values: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += at(values, i) ** 2;
  return Math.sqrt(squares);
}

/**
 * Fails unless `actual` is as near to `expected` as asked, as a whole and in every element, so that one wrong element of many cannot hide.
 * Also fails on another shape or length, on nothing to compare, on a NaN or infinity on either side, and on an expected array of zeros
 * unless `zero` says so.
 */
export function expectClose(actual: Values, expected: Values, { within, zero = false, scales, label = 'values' }: Closeness): void {
  const [a, e] = [elements(actual), elements(expected)];
  const refuse = (reason: string): never => {
    throw new Error(`${label}: ${reason}; ${worst(a, e)}.`);
  };
  if (actual instanceof Tensor && expected instanceof Tensor) {
    expect({ label, shape: actual.shape }).toEqual({ label, shape: expected.shape });
  }
  if (e.length === 0 || a.length !== e.length) refuse(`expected ${e.length || 'some'} elements, got ${a.length}`);
  if (!allFinite(a) || !allFinite(e)) refuse('not finite');
  const largest = largestMagnitude(e);
  if (zero) {
    if (Math.max(largest, largestMagnitude(a)) > within) refuse(`not zero within ${within}`);
    return;
  }
  if (largest === 0) refuse('the expected array is all zeros: say zero: true if it is meant');
  const error = relativeError(a, e, scales);
  if (!(error <= within)) refuse(`relative error ${error} is above ${within}`);
  const elementError = Math.abs(at(a, worstIndex(a, e)) - at(e, worstIndex(a, e))) / Math.max(largest, largestMagnitude(scales ?? e));
  if (!(elementError <= within)) refuse(`an element is off by ${elementError} of the largest, above ${within}`);
}

function elements(values: Values): ArrayLike<number> {
  if (values instanceof Tensor) return values.data;
  return typeof values === 'number' ? [values] : values;
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? Number.NaN;
}

function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(at(values, i)));
  return largest;
}

function allFinite(values: ArrayLike<number>): boolean {
  return Array.from(values).every(Number.isFinite);
}

/** Where the two differ most; a NaN counts as the largest difference. */
function worstIndex(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [index, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(at(actual, i) - at(expected, i));
    if (Number.isNaN(difference)) return i;
    if (difference > largest) [index, largest] = [i, difference];
  }
  return index;
}

function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): string {
  const index = worstIndex(actual, expected);
  return `at ${index} got ${actual[index]}, expected ${expected[index]}`;
}
