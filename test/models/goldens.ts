// The tiny models whose every value TransformerLens computed (test/goldens, made by TransformerLens 3.x in PyTorch 2.13).
import { ulp } from '../../src/numerics/float32.ts';

/** What they were run on; the small files do not hold it. */
export const GOLDEN_TOKENS: Readonly<Record<string, number[][]>> = {
  gpt2: [
    [22, 8, 27, 12, 5, 10, 0, 17, 24],
    [0, 25, 18, 2, 5, 7, 3, 8, 7],
  ],
  llama_gqa: [
    [12, 0, 25, 1, 11, 25, 21, 8, 6],
    [28, 10, 18, 0, 18, 7, 7, 27, 16],
  ],
  relu_nonorm: [
    [14, 24, 24, 6, 26, 22, 19, 5, 16],
    [15, 24, 25, 14, 7, 10, 6, 23, 23],
  ],
};

/** Error of float32 values against float64 ones, over the finite elements. */
export interface ErrorSummary {
  /** Largest absolute error. */
  readonly maxAbs: number;
  /** Median error in units of the last place of the true value's float32. */
  readonly medianUlp: number;
}

/** NaN anywhere, or an infinity that the truth does not have, gives NaN, which passes no bound. */
export function errorSummary(got: Float32Array, want: Float64Array): ErrorSummary {
  let maxAbs = 0;
  const ulps: number[] = [];
  for (let i = 0; i < want.length; i++) {
    if (want[i] === Number.NEGATIVE_INFINITY && got[i] === Number.NEGATIVE_INFINITY) continue;
    const error = Math.abs(got[i] - want[i]);
    maxAbs = error <= maxAbs ? maxAbs : error;
    ulps.push(error / ulp(want[i]));
  }
  ulps.sort((a, b) => a - b);
  const middle = ulps.length / 2;
  const medianUlp = (ulps[Math.ceil(middle) - 1] + ulps[Math.floor(middle)]) / 2;
  return { maxAbs, medianUlp: Number.isNaN(maxAbs) ? Number.NaN : medianUlp };
}
