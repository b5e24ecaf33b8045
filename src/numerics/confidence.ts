// The mean of repeated measurements, and how well they determine it.

/** A mean and the ends of its 95 % confidence interval. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Student's interval: mean ± t·s/√n, with the sample's standard deviation s and the 97.5 % quantile t of n − 1 degrees of freedom.
 * It is right for normally distributed measurements, and nearly so for a dozen or more that are not.
 * @throws Error for fewer than two measurements
 * @example
 * confidenceInterval([1, 2, 3]); // { mean: 2, low: -0.484, high: 4.484 }: 2 ± 4.303·1/√3
 */
export function confidenceInterval(measurements: readonly number[]): Interval {
  const n = measurements.length;
  if (n < 2) throw new Error(`confidenceInterval: expected at least 2 measurements, got ${n}.`);
  const mean = measurements.reduce((sum, x) => sum + x, 0) / n;
  const variance = measurements.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1);
  const half = studentQuantile(n - 1) * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}

/** 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom. */
const FEW = [12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216];
/** That of the normal distribution. */
const Z = 1.959964;

/** From 10 degrees of freedom on by an expansion in their reciprocal (Abramowitz and Stegun 26.7.5), to 2·10⁻⁴. */
export function studentQuantile(degrees: number): number {
  if (degrees <= FEW.length) return FEW[degrees - 1];
  const first = (Z ** 3 + Z) / 4;
  const second = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / 96;
  const third = (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / 384;
  return Z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
}
