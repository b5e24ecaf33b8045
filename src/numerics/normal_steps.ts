// How many normal float32 numbers lie between two, 0 among them: steps as the engine knows them, for which subnormal numbers are 0.
// `ulpDistance` in float32.ts counts those too.

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Bits of the smallest normal number. Everything below it counts as 0, as in the engine. */
const SMALLEST_NORMAL_BITS = 0x0080_0000;

/**
 * Steps from one float32 number to another; infinity is the number after the largest, subnormals are 0. Not for NaN.
 * @example
 * normalSteps(1, Math.fround(1 + 2 ** -22)); // 2
 * normalSteps(-(2 ** -126), 2 ** -126); // 2: over 0
 */
export function normalSteps(a: number, b: number): number {
  return Math.abs(ordinal(a) - ordinal(b));
}

/** The place of a number among all: 0 for 0, 1 for the smallest normal, negative for negative ones. */
function ordinal(x: number): number {
  float[0] = Math.abs(x);
  const magnitude = bits[0] < SMALLEST_NORMAL_BITS ? 0 : bits[0] - SMALLEST_NORMAL_BITS + 1;
  return x < 0 ? -magnitude : magnitude;
}
