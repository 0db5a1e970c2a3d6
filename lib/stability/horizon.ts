/** The distance at which gradients or states leave the range of float32: where it is seen, and where it is foretold. */
import { type Estimate, excludesZero } from './growth-rate';

/** The norms of one sequence, from where its way begins. */
export interface Course {
  /** ln of the norm at the distances 0, 1, …, up to the first zero */
  values: Float64Array;
  endsInZero: boolean;
}

interface Horizon {
  horizon: number;
  horizonInterval: [low: number, high: number];
}

/** What is left out of a course, at its start. */
const TRANSIENT = 1 / 4;

/** ln of float32's largest and smallest normal numbers. */
export const LARGEST = Math.log(2 ** 128 - 2 ** 104);
export const SMALLEST = Math.log(2 ** -126);

/** Without the transient. */
export function settled(values: Float64Array): Float64Array {
  return values.subarray(Math.floor(values.length * TRANSIENT));
}

/** The norms of the courses that are long enough for a rate. */
export function measurable(courses: readonly Course[]): Float64Array[] {
  return courses.map(({ values }) => values).filter(({ length }) => length >= 3);
}

/** @param steps of the sequences: where it was not seen, it lies beyond them */
export function horizonOf(courses: readonly Course[], rate: Estimate, { steps, vanishes }: { steps: number; vanishes: boolean }): Horizon {
  const seen = leavesRange(courses);
  if (seen === undefined && vanishes) {
    const zero = middleZero(courses);
    return { horizon: zero, horizonInterval: [zero, zero] };
  }
  const never = Number.POSITIVE_INFINITY;
  if (!(Number.isFinite(rate.mean) && Number.isFinite(rate.error))) {
    return { horizon: seen ?? never, horizonInterval: [seen ?? steps, seen ?? never] };
  }
  const line = lineThrough(courses, rate);
  const horizon = seen ?? (excludesZero(rate) ? Math.max(steps, Math.ceil(lineReaches(line))) : never);
  const [up, down] = [bandReaches(line, LARGEST), bandReaches(line, SMALLEST)];
  // Other inputs of the same kind may leave the range within the steps that these came through.
  return {
    horizon,
    horizonInterval: [Math.min(horizon, Math.ceil(Math.min(up[0], down[0]))), Math.max(horizon, Math.ceil(Math.min(up[1], down[1])))],
  };
}

/** The first distance at which the mean of the sequences that come so far is out of range, if there is one. */
function leavesRange(courses: readonly Course[]): number | undefined {
  const longest = Math.max(...courses.map(({ values }) => values.length));
  for (let distance = 0; distance < longest; distance++) {
    let [sum, count] = [0, 0];
    for (const { values } of courses) {
      if (distance >= values.length) continue;
      sum += values[distance] as number;
      count++;
    }
    if (sum > LARGEST * count || sum < SMALLEST * count) return distance;
  }
  return undefined;
}

/** The distance of the first zero in the middle sequence, where most have one. */
function middleZero(courses: readonly Course[]): number {
  const distances = courses.map(({ values, endsInZero }) => (endsInZero ? values.length : Number.POSITIVE_INFINITY)).sort((a, b) => a - b);
  return distances[Math.floor(distances.length / 2)] as number;
}

/** A line through the middle of the courses, and how far it may be off. */
interface Line {
  /** the middle of what is settled of a course, and its mean there */
  distance: number;
  level: number;
  rate: number;
  /** half of the rate's interval */
  reach: number;
  /**
   * The variance about the line's true course at the distance d + `distance`, times the square of Student's t, is noise·(start + d) + reach²·d².
   * A mean of courses is a random walk of variance σ² per step (see {@link slopeOf}). Least squares over τ steps, from the distance a on, leave
   * σ²·(a + τ/3) in the level, 6σ²/(5τ) in the slope, and σ²/2 between the two.
   */
  noise: number;
  start: number;
}

function lineThrough(courses: readonly Course[], { mean: rate, interval }: Estimate): Line {
  const measured = measurable(courses);
  let [transient, steps, level] = [0, 0, 0];
  for (const values of measured) {
    const rest = settled(values);
    transient += (values.length - rest.length) / measured.length;
    steps += (rest.length - 1) / measured.length;
    level += rest.reduce((sum, value) => sum + value, 0) / (rest.length * measured.length);
  }
  const reach = (interval[1] - interval[0]) / 2;
  return { distance: transient + steps / 2, level, rate, reach, noise: (reach ** 2 * 5 * steps) / 6, start: transient + steps / 3 };
}

function lineReaches({ distance, level, rate }: Line): number {
  return distance + ((rate > 0 ? LARGEST : SMALLEST) - level) / rate;
}

/** The first and the last distance at which an edge of the line's band is at the upper or the lower bound; Infinity where it never is. */
function bandReaches(
  { distance, level, rate, reach, noise, start }: Line,
  bound: typeof LARGEST | typeof SMALLEST,
): [first: number, last: number] {
  const sign = Math.sign(bound);
  const [way, speed] = [sign * (bound - level), sign * rate];
  const never = Number.POSITIVE_INFINITY;
  if (speed <= -reach) return [never, never];
  // (way − speed·d)² = noise·(start + d) + reach²·d²
  const [a, b, c] = [speed ** 2 - reach ** 2, 2 * speed * way + noise, way ** 2 - noise * start];
  if (speed <= reach && (way <= 0 || c <= 0)) return [0, never];
  const root = Math.sqrt(Math.max(0, b ** 2 - 4 * a * c));
  const first = b > 0 ? (2 * c) / (b + root) : (b - root) / (2 * a);
  return [Math.max(0, distance + first), speed > reach ? distance + (b + root) / (2 * a) : never];
}
