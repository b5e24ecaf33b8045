// Float32 arithmetic in TypeScript, one rounded operation at a time, and the order in which kernels add: what the emulation is
// written in. Nothing here comes from the kernels: it is their specification said again (prelude.ts, kernel.ts).
//
// Products and sums of float32 numbers are exact, or rounded harmlessly, in float64 (53 bits are more than 2·24 + 1: Figueroa 1995),
// so rounding them once more, by Math.fround, gives what float32 arithmetic gives. Results below 2⁻¹²⁶ are 0.

/** Terms are added in sequence within segments, segments within blocks, and blocks. */
export const SEGMENT = 8;
export const BLOCK = 64;

/** What a masked attention score holds on the GPU. */
export const MASKED = -3.4028234663852886e38;

const SMALLEST_NORMAL = 2 ** -126;

/** The float32 number nearest to an exact result, ties to even; 0 for what would be subnormal. */
export function float32(exact: number): number {
  const x = Math.fround(exact);
  return x < SMALLEST_NORMAL && x > -SMALLEST_NORMAL ? 0 : x;
}

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

/** The bits of a float32 number. */
export function bitsOf(x: number): number {
  floats[0] = x;
  return words[0];
}

/** The float32 number with these bits. */
export function fromBits(bits: number): number {
  words[0] = bits;
  return floats[0];
}

/**
 * How results are rounded and in which order sums are added: that of the kernels, or another one to compare it with (orders.ts,
 * stochastic_rounding.ts). Scalar functions (division, roots, exp, …) are no part of it: they have the kernels' own steps.
 */
export interface Arithmetic {
  /** A float32 number next to an exact result. */
  readonly round: (exact: number) => number;
  /** The sum of terms[0 … count − 1]; `block` is what the kernel's blocks are: 64 terms, or a head. */
  readonly sum: (terms: Float32Array, count: number, block: number) => number;
  /** One that begins anew, where results depend on what was rounded before: each emulated pass takes its own. */
  readonly begin?: () => Arithmetic;
}

/** The kernels' own: round to nearest even, segments of 8 in blocks. */
export const REPRODUCIBLE: Arithmetic = { round: float32, sum: inBlocks(float32) };

/** The kernels' order of sums, with any rounding. */
export function inBlocks(round: Arithmetic['round']): Arithmetic['sum'] {
  return (terms, count, block) => {
    let total = 0;
    for (let begin = 0; begin < count; begin += block) {
      const end = Math.min(begin + block, count);
      let blockSum = 0;
      for (let start = begin; start < end; start += SEGMENT) {
        const stop = Math.min(start + SEGMENT, end);
        let segment = terms[start];
        for (let i = start + 1; i < stop; i++) segment = round(segment + terms[i]);
        blockSum = round(blockSum + segment);
      }
      total = round(total + blockSum);
    }
    return total;
  };
}

/** What is kept of a number that a kernel writes: magnitudes up to 2⁻¹²⁶ and both zeros become +0. */
export function stored(x: number): number {
  return Math.abs(x) <= SMALLEST_NORMAL ? 0 : x;
}
