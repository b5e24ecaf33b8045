// Philox4x32-10, random numbers by counter: what a draw gives depends on nothing but seed, step and row, on the CPU and on the GPU.
// Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". Not a kernel.

/**
 * A uniform number in [0, 1) that depends on nothing but its arguments: counter (step, row), key seed.
 * @example
 * uniformAt(7, { step: 0, row: 0 }); // always the same number
 */
export function uniformAt(seed: number, { step, row }: { step: number; row: number }): number {
  return uniformOf(keyOf(seed), { step, row });
}

/** The same by the key. */
export function uniformOf(key: readonly number[], { step, row }: { step: number; row: number }): number {
  const [first, second] = philox([step >>> 0, row >>> 0, 0, 0], key);
  return (first * 2 ** 21 + (second >>> 11)) / 2 ** 53;
}

/** The key that a seed is. */
export function keyOf(seed: number): [number, number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/** Ten rounds of Philox4x32. */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(0xd2511f53, a);
    const [high1, low1] = multiply(0xcd9e8d57, c);
    [a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}

/** High and low 32 bits of a product of two u32, by their halves of 16 bits. */
function multiply(a: number, b: number): [number, number] {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const first = aHigh * bLow + ((aLow * bLow) >>> 16);
  const second = aLow * bHigh + (first & 0xffff);
  return [aHigh * bHigh + (first >>> 16) + (second >>> 16), Math.imul(a, b) >>> 0];
}

/** The same in WGSL, with WHOLE_NUMBERS before it: `uniform_at` gives the number times 2⁶⁴, exactly. */
export const PHILOX = /* wgsl */ `
fn uniform_at(key: vec2u, step: u32, row: u32) -> vec2u {
  var counter = vec4u(step, row, 0u, 0u);
  var round_key = key;
  for (var round = 0u; round < 10u; round++) {
    let first = multiply(0xd2511f53u, counter.x);
    let second = multiply(0xcd9e8d57u, counter.z);
    counter = vec4u(second.y ^ counter.y ^ round_key.x, second.x, first.y ^ counter.w ^ round_key.y, first.x);
    round_key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return vec2u(counter.y & 0xfffff800u, counter.x);
}
`;
