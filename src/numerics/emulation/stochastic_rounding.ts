// Stochastic rounding: every product and sum goes up or down by chance, so that it is right on average. Repeated with other seeds, a pass
// shows how far rounding errors can carry each value, without assuming how they add up.
// Source: Croci, Fasi, Higham, Mary, Mikaitis 2022, "Stochastic rounding: implementation, error analysis and applications".
import { philox } from '../../kernels/philox.ts';
import { type Arithmetic, bitsOf, fromBits, inBlocks } from './arithmetic.ts';

const SMALLEST_NORMAL = 2 ** -126;

/** Tells these numbers from those that choose tokens (kernels/sample.ts), which are drawn from the same generator. */
const STREAM = 1;

/**
 * Rounds each product and each sum to one of the two float32 numbers around it, the nearer the more probably: the probability of
 * going up is the distance from the lower one, in units of theirs (to 2⁻³²). Exact results stay. Below 2⁻¹²⁶ the two are 0
 * and ±2⁻¹²⁶. Sums have the kernels' order; scalar functions (division, exp, …) are rounded as theirs.
 * @param seed same seed, same bits: of each emulated pass, however often the same object serves
 * @throws Error if the seed is not a whole number
 * @example
 * emulateForward(model.config, weights, tokens, { arithmetic: stochasticRounding(7) });
 */
export function stochasticRounding(seed: number): Arithmetic {
  if (!Number.isSafeInteger(seed)) {
    throw new Error(`stochasticRounding: expected a seed that is a whole number, got ${seed}.`);
  }
  const next = words(seed);
  const round = (exact: number): number => {
    const magnitude = Math.abs(exact);
    if (magnitude < SMALLEST_NORMAL) {
      return magnitude > 0 && next() < magnitude * 2 ** (126 + 32) ? Math.sign(exact) * SMALLEST_NORMAL : 0;
    }
    const nearest = Math.fround(magnitude);
    if (nearest === magnitude || !Number.isFinite(nearest)) return Math.fround(exact);
    const low = nearest < magnitude ? nearest : fromBits(bitsOf(nearest) - 1);
    const high = fromBits(bitsOf(low) + 1);
    const rounded = next() < ((magnitude - low) / (high - low)) * 2 ** 32 ? high : low;
    return Math.sign(exact) * rounded;
  };
  return { round, sum: inBlocks(round), begin: () => stochasticRounding(seed) };
}

/** Whole numbers of 32 random bits, one after another. */
function words(seed: number): () => number {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
  let drawn: number[] = [];
  let count = 0;
  return () => {
    const index = count % 4;
    if (index === 0) {
      const block = count / 4;
      drawn = philox([block >>> 0, Math.floor(block / 2 ** 32), STREAM, 0], key);
    }
    count++;
    return drawn[index];
  };
}
