// The floating-point formats written out, from their bits: every number, and what lies around the middle between two neighbours. Shares
// nothing with the sources.
import type { FloatingFormat } from '../../src/kernels/formats.ts';

interface Bits {
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** Whether the largest exponent is one of infinities and NaN; otherwise only the pattern of ones is NaN. */
  readonly hasInfinities: boolean;
}

export const FORMAT_BITS: Readonly<Record<FloatingFormat, Bits>> = {
  f16: { exponentBits: 5, fractionBits: 10, bias: 15, hasInfinities: true },
  bf16: { exponentBits: 8, fractionBits: 7, bias: 127, hasInfinities: true },
  tf32: { exponentBits: 8, fractionBits: 10, bias: 127, hasInfinities: true },
  fp8_e4m3: { exponentBits: 4, fractionBits: 3, bias: 7, hasInfinities: false },
  fp8_e5m2: { exponentBits: 5, fractionBits: 2, bias: 15, hasInfinities: true },
};

/** Every finite number from 0 on, ascending: index i is the pattern of bits. */
export function numbersOf(format: FloatingFormat): number[] {
  const { exponentBits, fractionBits, bias, hasInfinities } = FORMAT_BITS[format];
  const perExponent = 2 ** fractionBits;
  const count = 2 ** exponentBits * perExponent - (hasInfinities ? perExponent : 1);
  return Array.from({ length: count }, (_, pattern) => {
    const exponent = Math.floor(pattern / perExponent);
    const fraction = pattern % perExponent;
    return exponent === 0
      ? fraction * 2 ** (1 - bias - fractionBits)
      : (perExponent + fraction) * 2 ** (exponent - bias - fractionBits);
  });
}

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

/** The float32 number so many steps further from 0. */
function step(x: number, steps: number): number {
  floats[0] = x;
  words[0] += steps;
  return floats[0];
}

/** A float32 number, and what it is in the format. */
export interface Probe {
  readonly x: number;
  readonly want: number;
}

/**
 * Every number of the format, every midpoint of neighbours, which goes to the one whose last bit is 0, and the float32 numbers
 * beside that, of both signs.
 */
export function probesOf(format: FloatingFormat): Probe[] {
  const numbers = numbersOf(format);
  const positive = numbers.flatMap((x, pattern): Probe[] => {
    const next = numbers[pattern + 1];
    if (next === undefined) return [{ x, want: x }];
    const middle = (x + next) / 2;
    return [
      { x, want: x },
      { x: step(middle, -1), want: x },
      { x: middle, want: pattern % 2 === 0 ? x : next },
      { x: step(middle, 1), want: next },
    ];
  });
  return [...positive, ...positive.map(({ x, want }) => ({ x: -x, want: -want }))];
}
