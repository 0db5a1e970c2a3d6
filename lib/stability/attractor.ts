/**
 * The Kaplan-Yorke dimension of an attractor: j + (λ_1 + … + λ_j)/|λ_{j+1}|, with j the largest number of exponents whose sum is not negative
 * (Kaplan, Yorke 1979, doi:10.1007/BFb0064319). 0 where the largest is negative, the state's size where all add up to no less than 0.
 * @param exponents the largest ones, largest first
 * @param isWhole whether there are no others
 * @returns NaN where the exponents given are too few to say
 */
export function kaplanYorkeDimension(exponents: Float64Array, isWhole: boolean): number {
  let sum = 0;
  for (const [j, exponent] of exponents.entries()) {
    if (sum + exponent < 0) return j + sum / -exponent;
    sum += exponent;
  }
  return isWhole ? exponents.length : Number.NaN;
}

/**
 * The sum of the positive exponents, in nats per step: the rate at which the dynamics make information on the state, at most (Ruelle 1978,
 * doi:10.1007/BF02584795; equal to it by Pesin's formula where the measure is smooth along the directions that grow).
 * @returns NaN where the exponents given are too few to say
 */
export function entropyRate(exponents: Float64Array, isWhole: boolean): number {
  if (!isWhole && (exponents.at(-1) as number) > 0) return Number.NaN;
  return exponents.reduce((sum, exponent) => sum + Math.max(0, exponent), 0);
}
