// The little statistics of the study: intervals for shares and for means, and sizes of errors. Arrays in, numbers out.

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** 97.5 % of a normal distribution lies below. */
const Z = 1.959963985;

/**
 * 95 % interval of a share of which `right` of n were seen.
 * Source: Wilson 1927; it keeps to [0, 1] and has a width where all are right.
 */
export function shareInterval(right: number, n: number): Interval {
  const share = right / n;
  const centre = share + (Z * Z) / (2 * n);
  const spread = Z * Math.sqrt((share * (1 - share)) / n + (Z * Z) / (4 * n * n));
  const scale = 1 + (Z * Z) / n;
  return { low: Math.max(0, (centre - spread) / scale), high: Math.min(1, (centre + spread) / scale) };
}

/** 95 % interval of a mean, from a sample. `t`: Student's quantile for its size; the normal one if absent. */
export function meanInterval(sample: readonly number[], t = Z): Interval {
  const centre = mean(sample);
  const spread = (t * standardDeviation(sample)) / Math.sqrt(sample.length);
  return { low: centre - spread, high: centre + spread };
}

export function mean(sample: ArrayLike<number>): number {
  return sumOf(sample.length, (i) => sample[i]) / sample.length;
}

/** Of the distribution that the sample is from. */
export function standardDeviation(sample: ArrayLike<number>): number {
  const centre = mean(sample);
  return Math.sqrt(sumOf(sample.length, (i) => (sample[i] - centre) ** 2) / (sample.length - 1));
}

/** Root mean square of a − b in units of b's. */
export function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const difference = sumOf(b.length, (i) => (a[i] - b[i]) ** 2);
  return Math.sqrt(difference / sumOf(b.length, (i) => b[i] ** 2));
}

/** The largest |a − b|; NaN where there is one. */
export function largestDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < b.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

export function rootMeanSquare(x: ArrayLike<number>): number {
  return Math.sqrt(sumOf(x.length, (i) => x[i] ** 2) / x.length);
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return sumOf(a.length, (i) => a[i] * b[i]);
}

function sumOf(count: number, term: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += term(i);
  return sum;
}

/** Probability that as uneven a split of lost + gained, or a more uneven one, comes of fair coins. Source: Dixon and Mood 1946. */
export function signTest(lost: number, gained: number): number {
  const n = lost + gained;
  let [tail, ways] = [0, 1]; // C(n, k), from k = 0
  for (let k = 0; k <= Math.min(lost, gained); k++) {
    tail += ways;
    ways = (ways * (n - k)) / (k + 1);
  }
  return Math.min(1, (2 * tail) / 2 ** n);
}
