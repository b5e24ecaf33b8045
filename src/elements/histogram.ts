// How often which numbers occur in a value. Not for drawing it.
import type { Statistics } from '../index.ts';

/** Counts of finite numbers in bins of equal width from `low` to `high`; the last includes `high`. */
export interface Histogram {
  readonly low: number;
  readonly high: number;
  readonly counts: readonly number[];
}

export const BINS = 40;

/** Numbers that are counted before the page gets a turn. */
const AT_ONCE = 2 ** 20;

const MASKED = -3.4028234663852886e38;

/**
 * Counts without keeping the page busy for long.
 * @param data with the lowest float32 where it is masked: that is left out, as NaN and infinities are
 */
export async function histogramOf(data: ArrayLike<number>, { min, max }: Statistics): Promise<Histogram> {
  const counts: number[] = Array(BINS).fill(0);
  const perUnit = max > min ? BINS / (max - min) : 0;
  for (let i = 0; i < data.length; i++) {
    const x = data[i];
    if (Number.isFinite(x) && x !== MASKED) counts[Math.min(Math.floor((x - min) * perUnit), BINS - 1)]++;
    if (i % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setTimeout(resolve));
  }
  return { low: min, high: max, counts };
}
