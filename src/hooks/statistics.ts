// Statistics of a value from the summaries that the GPU makes of its parts. Loaded when they are asked for.
import type { Runtime } from '../engine/runtime.ts';
import type { Numerics } from '../kernels/prelude.ts';
import { CHUNK, SUMMARY, statistics } from '../kernels/statistics.ts';

/** Over the finite elements; `std` is the population's (divided by the count). All 0 where there is no finite element. */
export interface Statistics {
  /** Finite elements, masked ones left out. */
  readonly count: number;
  readonly mean: number;
  readonly std: number;
  readonly min: number;
  readonly max: number;
  /** Euclidean norm. */
  readonly norm: number;
  readonly nanCount: number;
  readonly infiniteCount: number;
  /** Masked attention scores. */
  readonly maskedCount: number;
}

interface OnGpu {
  readonly buffer: GPUBuffer;
  readonly elementCount: number;
  readonly numerics: Numerics;
}

/** Summarizes a buffer of float32 on the GPU; what it allocates it frees. The buffer has to be held meanwhile. */
export async function computeStatistics(
  runtime: Runtime,
  { buffer, elementCount, numerics }: OnGpu,
): Promise<Statistics> {
  const { memory } = runtime;
  const chunks = Math.ceil(elementCount / CHUNK);
  const dims = { batch: 1, pos: elementCount, chunks, fields: SUMMARY.length };
  const out = memory.createStorage('statistics', 4 * chunks * SUMMARY.length);
  try {
    await runtime.dispatch(statistics, { numerics, dims, options: {}, has: () => true }, { x: buffer, out });
    return mergeSummaries(new Float32Array(await memory.read(out, 4 * chunks * SUMMARY.length)));
  } finally {
    memory.destroy(out);
  }
}

/** Merges summaries of consecutive parts, in float64 (Chan, Golub, LeVeque 1983: no cancellation). */
function mergeSummaries(summaries: Float32Array): Statistics {
  let [count, mean, squares, nanCount, infiniteCount, maskedCount] = [0, 0, 0, 0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let o = 0; o < summaries.length; o += SUMMARY.length) {
    const [n, scaledMean, scaledSquares, exponent, partMin, partMax, nan, infinite, masked] = summaries.subarray(
      o,
      o + SUMMARY.length,
    );
    nanCount += nan;
    infiniteCount += infinite;
    maskedCount += masked;
    if (n === 0) continue;
    const [partMean, partSquares] = [scaledMean * 2 ** exponent, scaledSquares * 4 ** exponent];
    const difference = partMean - mean;
    squares += partSquares + (difference ** 2 * count * n) / (count + n);
    mean += (difference * n) / (count + n);
    count += n;
    min = Math.min(min, partMin);
    max = Math.max(max, partMax);
  }
  if (count === 0) [min, max] = [0, 0];
  return {
    count,
    mean,
    std: count > 0 ? Math.sqrt(squares / count) : 0,
    min,
    max,
    norm: Math.sqrt(squares + count * mean ** 2),
    nanCount,
    infiniteCount,
    maskedCount,
  };
}
