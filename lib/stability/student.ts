/** Quantiles of Student's t at 97.5 % for 1, 2, … degrees of freedom. */
const TABLE = [12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814];
/** That of the normal distribution. */
const Z = 1.959964;

/**
 * How many standard errors lie between an estimate and either end of its 95 % interval, where the error is itself estimated with so many
 * degrees of freedom. Beyond the table by the expansion about the normal quantile (Abramowitz, Stegun 1964, 26.7.5), right to four digits.
 */
export function studentQuantile(degreesOfFreedom: number): number {
  const exact = TABLE[degreesOfFreedom - 1];
  if (exact !== undefined) return exact;
  const first = (Z ** 3 + Z) / 4;
  const second = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / 96;
  const third = (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / 384;
  return Z + first / degreesOfFreedom + second / degreesOfFreedom ** 2 + third / degreesOfFreedom ** 3;
}
