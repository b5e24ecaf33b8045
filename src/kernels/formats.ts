// Number formats smaller than float32: what a float32 number is in each of them, on the CPU in float64 and in WGSL in integers. The
// result is a float32 number again: formats are studied here, nothing is stored or multiplied in them.
//
// All round to nearest, ties to even, and keep the format's subnormal numbers. Beyond the largest finite number they saturate: that
// is OCP's saturating conversion for the two FP8 formats, and for f16, bf16 and tf32 a decision of ours. IEEE 754 makes
// infinities there, but WGSL lets implementations assume that there are none, so what a run would make of them is not
// promised. Infinities saturate too, NaN stays NaN, and −0 stays −0.
//
// bf16 and tf32 have float32's exponents: their subnormal numbers are float32's. Nothing in a reproducible run, and no weight, is one.
//
// int8 is symmetric: numbers that share a scale are multiples −127 … 127 of largest/127, where `largest` is the largest magnitude
// among them. Both the choice of the multiple and the multiple itself are rounded once from the exact quotient: no scale that has
// been rounded before. Magnitudes below 2⁻¹²⁶, in and out, are 0; there is no −0. Infinities do not count for the scale, and stay.
//
// Sources: IEEE 754-2019; OCP 8-bit Floating Point Specification (OFP8) 1.0, §5; NVIDIA A100 white paper (TF32).
import { MASKED, SMALLEST_NORMAL } from './kernel.ts';

export const NUMBER_FORMATS = ['f16', 'bf16', 'tf32', 'fp8_e4m3', 'fp8_e5m2', 'int8'] as const;

/** `f16`: IEEE binary16. `fp8_e4m3`: OCP's, which has no infinities (`e4m3fn`). `int8`: symmetric, with a scale. */
export type NumberFormat = (typeof NUMBER_FORMATS)[number];

/** The formats in which a number can be rounded by itself. */
export type FloatingFormat = Exclude<NumberFormat, 'int8'>;

interface FloatingLayout {
  /** Bits after the leading one. */
  readonly fractionBits: number;
  /** Exponent of the smallest normal number. */
  readonly minExponent: number;
  readonly largest: number;
}

const LAYOUTS: Readonly<Record<FloatingFormat, FloatingLayout>> = {
  f16: { fractionBits: 10, minExponent: -14, largest: 65504 },
  bf16: { fractionBits: 7, minExponent: -126, largest: (2 - 2 ** -7) * 2 ** 127 },
  tf32: { fractionBits: 10, minExponent: -126, largest: (2 - 2 ** -10) * 2 ** 127 },
  fp8_e4m3: { fractionBits: 3, minExponent: -6, largest: 448 },
  fp8_e5m2: { fractionBits: 2, minExponent: -14, largest: 57344 },
};

/** Codes of int8 on each side of 0. */
const LARGEST_CODE = 127;

/** @throws Error naming the formats if it is none of them */
export function checkFormat(what: string, format: unknown): NumberFormat {
  const known = NUMBER_FORMATS.find((candidate) => candidate === format);
  if (known) return known;
  throw new Error(`${what}: expected a number format (${NUMBER_FORMATS.join(', ')}), got ${JSON.stringify(format)}.`);
}

/** The largest finite number of a format; null for int8, which has none of its own. */
export function largestOf(format: NumberFormat): number | null {
  return format === 'int8' ? null : LAYOUTS[format].largest;
}

/**
 * The number of a format that is nearest to x, ties to even; beyond the largest finite one, that. For int8, with the scale that
 * it has beside a number of magnitude `largest`.
 * @example
 * roundTo('bf16', 0.1); // 0.10009765625
 * roundTo('f16', 1e6); // 65504
 * roundTo('int8', 0.3, 1); // 38/127 as a float32 number
 */
export function roundTo(format: FloatingFormat, x: number): number;
export function roundTo(format: 'int8', x: number, largest: number): number;
export function roundTo(format: NumberFormat, x: number, largest = Number.NaN): number {
  if (checkFormat('roundTo', format) !== 'int8') return roundToFloating(LAYOUTS[format as FloatingFormat], x);
  if (largest >= 0 && largest < Number.POSITIVE_INFINITY) return roundToInt8(x, largest);
  throw new Error(
    `roundTo: int8 needs the finite magnitude of the largest number that shares the scale, got ${largest}.`,
  );
}

function roundToFloating({ fractionBits, minExponent, largest }: FloatingLayout, x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  if (Math.abs(x) > largest) return Math.sign(x) * largest;
  // Dividing and multiplying by a power of two is exact.
  const spacing = 2 ** (Math.max(exponentOf(x), minExponent) - fractionBits);
  return Math.sign(x) * roundEven(Math.abs(x) / spacing) * spacing;
}

/** Quotients of numbers of 24 and 31 bits are never so close to a tie that float64's rounding of them could matter. */
function roundToInt8(x: number, largest: number): number {
  if (!Number.isFinite(x)) return x;
  if (largest < SMALLEST_NORMAL || Math.abs(x) < SMALLEST_NORMAL) return 0;
  const code = roundEven((Math.min(Math.abs(x), largest) * LARGEST_CODE) / largest);
  const magnitude = (code * largest) / LARGEST_CODE;
  return magnitude < SMALLEST_NORMAL ? 0 : Math.sign(x) * Math.fround(magnitude);
}

/** To the nearest whole number of a number from 0 on, ties to even. */
function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

const words = new Uint32Array(2);
const doubles = new Float64Array(words.buffer);

/** ⌊log₂|x|⌋ of a number that is not 0; −1023 below float64's normal numbers. */
function exponentOf(x: number): number {
  doubles[0] = x;
  return ((words[1] >>> 20) & 0x7ff) - 1023;
}

/** Numbers rounded to a format. Those of one group, by index, share a scale, which only int8 looks at. */
export function roundGroups(
  format: NumberFormat,
  data: Float32Array,
  groupOf: (index: number) => number,
): Float32Array<ArrayBuffer> {
  if (format !== 'int8') return Float32Array.from(data, (x) => roundToFloating(LAYOUTS[format], x));
  const largest: number[] = [];
  data.forEach((x, i) => {
    const group = groupOf(i);
    largest[group] = Math.max(largest[group] ?? 0, Number.isFinite(x) ? Math.abs(x) : 0);
  });
  return Float32Array.from(data, (x, i) => roundToInt8(x, largest[groupOf(i)]));
}

const bits = (x: number) => `0x${new Uint32Array(Float32Array.of(x).buffer)[0].toString(16).padStart(8, '0')}u`;

const HALF_EVEN = /* wgsl */ `
// n / 2^drop to the nearest whole number, ties to even; drop is at least 1.
fn half_even(n: u32, drop: u32) -> u32 { return (n + (1u << (drop - 1u)) - 1u + ((n >> drop) & 1u)) >> drop; }
`;

/** WGSL of `round_to(x: f32) -> f32`. */
function floatingWgsl({ fractionBits, minExponent, largest }: FloatingLayout): string {
  const drop = 23 - fractionBits;
  // Below the format's normal numbers, multiples of one spacing are left, and a number of them is a whole one.
  const subnormal = /* wgsl */ `
  if (magnitude < ${bits(2 ** minExponent)}) {
    let significand = (magnitude & 0x007fffffu) | 0x00800000u;
    let count = half_even(significand, min(${drop + minExponent + 127}u - (magnitude >> 23u), 25u));
    rounded_magnitude = select(bitcast<u32>(f32(count)) - ${(fractionBits - minExponent) << 23}u, 0u, count == 0u);
  }`;
  return /* wgsl */ `${HALF_EVEN}
fn round_to(x: f32) -> f32 {
  let sign = bitcast<u32>(x) & 0x80000000u;
  let magnitude = bitcast<u32>(x) & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return x; }
  var rounded_magnitude = half_even(magnitude, ${drop}u) << ${drop}u;${minExponent > -126 ? subnormal : ''}
  return bitcast<f32>(sign | min(rounded_magnitude, ${bits(largest)}));
}`;
}

/** WGSL of `round_to(x: f32, largest: u32) -> f32`, with the bits of the largest magnitude that shares x's scale. */
const INT8 = /* wgsl */ `${HALF_EVEN}
fn round_to(x: f32, largest: u32) -> f32 {
  let sign = bitcast<u32>(x) & 0x80000000u;
  let magnitude = bitcast<u32>(x) & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) { return x; }
  let exponent = largest >> 23u;
  // From nine binary places on, 127·x is less than half of the largest.
  let distance = exponent - (magnitude >> 23u);
  if (magnitude < 0x00800000u || largest < 0x00800000u || distance > 8u) { return 0.0; }
  let significand = (largest & 0x007fffffu) | 0x00800000u;
  let divisor: u32 = significand << distance;
  let dividend = ${LARGEST_CODE}u * ((magnitude & 0x007fffffu) | 0x00800000u);
  let rest = dividend % divisor;
  var code = dividend / divisor;
  code += u32(rest > divisor - rest || (rest == divisor - rest && (code & 1u) == 1u));
  if (code == 0u) { return 0.0; }
  // code·largest/127: a quotient of 25 or 26 bits, and whether anything is left of it, to 24 bits.
  let shift = countLeadingZeros(code * significand);
  let shifted = (code * significand) << shift;
  let quotient = shifted / ${LARGEST_CODE}u;
  let drop = 1u + (quotient >> 25u);
  if (exponent + drop <= shift) { return 0.0; }
  let kept = half_even((quotient << 1u) | u32(shifted % ${LARGEST_CODE}u != 0u), drop + 1u);
  return bitcast<f32>(sign | (((exponent + drop - shift) << 23u) + kept - 0x00800000u));
}`;

/** WGSL of `largest_of(first: u32) -> u32`: the bits of the largest finite magnitude of `width` values from first on. */
const largestWgsl = (width: string, masked: boolean) => /* wgsl */ `
fn largest_of(first: u32) -> u32 {
  var largest = 0u;
  for (var i = 0u; i < ${width}; i++) {
    let word = bitcast<u32>(values[first + i]);
    let magnitude = word & 0x7fffffffu;
    let counts = magnitude < 0x7f800000u${masked ? ` && word != ${bits(MASKED)}` : ''};
    largest = max(largest, select(0u, magnitude, counts));
  }
  return largest;
}`;

/**
 * WGSL that rounds to a format, in integers alone: no adapter's treatment of subnormal numbers, NaN or infinity enters. `round_to`
 * and, for int8, `largest_of` over rows of the array `values`.
 * @param width elements of a row, as WGSL
 * @param masked whether the array holds masked scores, which do not count for a scale
 */
export function formatWgsl(format: NumberFormat, width: string, masked: boolean): string {
  return format === 'int8' ? `${INT8}\n${largestWgsl(width, masked)}` : floatingWgsl(LAYOUTS[format]);
}
