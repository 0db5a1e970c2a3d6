/** The QR decomposition of k vectors of H elements, and its backward pass. Vectors are rows of an array [k, H]: column i of a matrix is row i here. */

/**
 * Makes rows orthonormal, from the first on, by Gram and Schmidt. Each is freed twice from those before it: once leaves what rounding does to rows
 * that hardly differ, twice is enough (Giraud, Langou, Rozložník, van den Eshof 2005, doi:10.1007/s00211-005-0615-4).
 * @param rows [k, H]: V as it comes, Q as it goes
 * @param r [k, k], written: R with V = Q R, row by row, its diagonal not below 0; Q is not finite from the first 0 on
 */
export function orthonormalize(rows: Float64Array, r: Float64Array, k: number, size: number): void {
  r.fill(0);
  for (let i = 0; i < k; i++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const share = dot(rows, j * size, rows, i * size, size);
        addTimes(rows, i * size, -share, rows, j * size, size);
        r[j * k + i] = (r[j * k + i] as number) + share;
      }
    }
    const norm = Math.sqrt(dot(rows, i * size, rows, i * size, size));
    r[i * k + i] = norm;
    for (let a = i * size; a < (i + 1) * size; a++) rows[a] = (rows[a] as number) / norm;
  }
}

/** Directions that a step makes so much shorter than the longest one hold nothing but rounding. */
const NOTHING = 1e-13;

/** ln R_ii into `logs`, from `at` on; −Infinity from the first direction on that is lost. */
export function logDiagonal(r: Float64Array, k: number, logs: Float64Array, at: number): void {
  let longest = 0;
  for (let i = 0; i < k; i++) longest = Math.max(longest, r[i * k + i] as number);
  let isLost = false;
  for (let i = 0; i < k; i++) {
    isLost ||= !((r[i * k + i] as number) > NOTHING * longest);
    logs[at + i] = isLost ? Number.NEGATIVE_INFINITY : Math.log(r[i * k + i] as number);
  }
}

/**
 * ∂L/∂V from ∂L/∂Q, where of R only ln of its diagonal counts: V̄ = (Q̄ + Q S) R⁻ᵀ, with S symmetric and its lower triangle that of
 * diag(c) − Q̄ᵀ Q (Walter, Lehmann 2012, arXiv:1001.1654; Liao, Liu, Wang, Xiang 2019, arXiv:1903.09650).
 * @param q [k, H]
 * @param r [k, k]
 * @param gradient [k, H]: ∂L/∂Q as it comes, ∂L/∂V as it goes
 * @param gradLogDiagonal c [k], c_i = ∂L/∂ ln R_ii
 */
export function orthonormalizeBackward(
  q: Float64Array,
  r: Float64Array,
  gradient: Float64Array,
  gradLogDiagonal: Float64Array,
  k: number,
  size: number,
): void {
  const s = new Float64Array(k * k);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j <= i; j++) {
      const below = (i === j ? (gradLogDiagonal[i] as number) : 0) - dot(gradient, i * size, q, j * size, size);
      s[i * k + j] = below;
      s[j * k + i] = below;
    }
  }
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < k; j++) addTimes(gradient, i * size, s[i * k + j] as number, q, j * size, size);
  }
  for (let i = k - 1; i >= 0; i--) {
    for (let j = i + 1; j < k; j++) addTimes(gradient, i * size, -(r[i * k + j] as number), gradient, j * size, size);
    for (let a = i * size; a < (i + 1) * size; a++) gradient[a] = (gradient[a] as number) / (r[i * k + i] as number);
  }
}

export function dot(a: Float64Array, fromA: number, b: Float64Array, fromB: number, size: number): number {
  let [even, odd] = [0, 0];
  let j = 0;
  for (; j + 1 < size; j += 2) {
    even += (a[fromA + j] as number) * (b[fromB + j] as number);
    odd += (a[fromA + j + 1] as number) * (b[fromB + j + 1] as number);
  }
  if (j < size) even += (a[fromA + j] as number) * (b[fromB + j] as number);
  return even + odd;
}

/** target += factor · source */
export function addTimes(target: Float64Array, to: number, factor: number, source: Float64Array, from: number, size: number): void {
  for (let j = 0; j < size; j++) target[to + j] = (target[to + j] as number) + factor * (source[from + j] as number);
}
