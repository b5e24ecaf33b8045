// Other orders of sums, to see what the order alone changes: an emulated pass (forward.ts) with one of these instead of the kernels'.
// Every addition is rounded to nearest even, as theirs are. All terms of a sum count, whatever the kernel's blocks: the terms of one
// dot product; in the output projection those of one head, and then the heads.
import { type Arithmetic, float32 } from './arithmetic.ts';

/** One after another, from the first: the worst usual order, whose error grows as the number of terms. */
export const sequential: Arithmetic = { round: float32, sum: (terms, count) => chain(terms, 0, count) };

/** One after another, from the last. */
export const reversed: Arithmetic = {
  round: float32,
  sum: (terms, count) => {
    let total = terms[count - 1];
    for (let i = count - 2; i >= 0; i--) total = float32(total + terms[i]);
    return total;
  },
};

/** A tree: neighbours are added in pairs, then neighbouring pairs, and so on; what has no partner goes on to the next level. */
export const pairwise: Arithmetic = {
  round: float32,
  sum: (terms, count) => {
    const level = terms.slice(0, count);
    for (let length = count; length > 1; length = Math.ceil(length / 2)) {
      for (let i = 0; 2 * i < length; i++) {
        level[i] = 2 * i + 1 < length ? float32(level[2 * i] + level[2 * i + 1]) : level[2 * i];
      }
    }
    return level[0];
  },
};

/**
 * One level of segments: terms one after another within segments of this length, and the segments' sums one after another. (The
 * kernels have two: segments of 8 in blocks of 64.)
 * @throws Error if the length is not a whole number from 1
 * @example
 * emulateForward(model.config, weights, tokens, { arithmetic: segments(32) });
 */
export function segments(length: number): Arithmetic {
  if (!Number.isInteger(length) || length < 1) {
    throw new Error(`segments: expected a length that is a whole number from 1, got ${length}.`);
  }
  const sum: Arithmetic['sum'] = (terms, count) => {
    let total = chain(terms, 0, Math.min(length, count));
    for (let start = length; start < count; start += length) {
      total = float32(total + chain(terms, start, Math.min(start + length, count)));
    }
    return total;
  };
  return { round: float32, sum };
}

function chain(terms: Float32Array, begin: number, end: number): number {
  let total = terms[begin];
  for (let i = begin + 1; i < end; i++) total = float32(total + terms[i]);
  return total;
}
