/** Domains and tick values of chart axes. */

/** The range of a logarithmic axis: the values with a little air, at least a factor of two wide, so that noise does not look like growth. */
export function logDomain(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0.1, 10];
  const [low, high] = extent(values);
  const air = Math.max(Math.sqrt(2 / (high / low)), 1.12);
  return [low / air, high * air];
}

/** The range of a linear axis: the values with a little air. */
export function linearDomain(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0, 1];
  const [low, high] = extent(values);
  const air = (high - low) * 0.06 || Math.max(Math.abs(high) * 0.06, 1e-6);
  return [low - air, high + air];
}

/** Tick values for a logarithmic axis: powers of ten, joined by 2 and 5 or by every digit where these are too few. At most about nine. */
export function logTicks([low, high]: readonly [number, number]): number[] {
  const decades = Math.log10(high) - Math.log10(low);
  const digits = decades > 4 ? [1] : decades > 2 ? [1, 3] : decades > 0.9 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const stride = Math.max(1, Math.ceil(decades / 8));
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    if (power % stride !== 0) continue;
    // Parsed from text: 10 ** -3 times 3 is not the number that 0.003 is.
    for (const digit of digits) ticks.push(Number(`${digit}e${power}`));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}

/** Tick values for a linear axis: multiples of 1, 2 or 5 times a power of ten, about `count` of them. */
export function linearTicks([low, high]: readonly [number, number], count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
}

/** Tick values for an axis of steps, epochs or rows: a tick between two of them would mean nothing. About `count` of them. */
export function countTicks(values: readonly number[], count: number): number[] {
  const [low, high] = extent(values);
  return low < high ? linearTicks([low, high], count).filter(Number.isInteger) : values.slice(0, 1);
}

/** Labels for the ticks of a linear axis: the decimals that tell them apart, with an exponent where numbers are very large or small. */
export function linearLabels(ticks: readonly number[]): string[] {
  const step = Math.abs((ticks[1] ?? 1) - (ticks[0] ?? 0));
  const largest = Math.max(...ticks.map(Math.abs), Number.MIN_VALUE);
  // A step of 2 from rounding may be 1.9999999: its power is that of 2.
  const power = Math.floor(Math.log10(step * 1.0001));
  if (largest < 1e6 && power >= -5) return ticks.map((tick) => tick.toFixed(Math.max(0, -power)));
  const digits = Math.min(12, Math.max(0, Math.floor(Math.log10(largest)) - power));
  return ticks.map((tick) => tick.toExponential(digits).replace('e+', 'e'));
}

/** Labels for the ticks of a logarithmic axis. */
export function logLabels(ticks: readonly number[]): string[] {
  return ticks.map((tick) => (tick < 1e-3 || tick >= 1e4 ? tick.toExponential().replace('e+', 'e') : String(tick)));
}

function extent(values: readonly number[]): [number, number] {
  // Not Math.min(...values): a long series has more values than a call may have arguments.
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
