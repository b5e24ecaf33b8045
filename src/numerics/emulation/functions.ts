// The scalar functions of the kernels (src/kernels/functions) in float32 arithmetic: the same operations in the same order, written
// again. Each equals its WGSL in reproducible mode bit for bit, whatever its argument; where they are accurate, and how, is said there.
import { bitsOf, float32 as f, fromBits } from './arithmetic.ts';

const mulAdd = (a: number, b: number, c: number): number => f(f(a * b) + c);
const isNaN32 = Number.isNaN;
const NAN_BITS = 0x7fc00000;
const INFINITY_BITS = 0x7f800000;
const SIGN = 0x80000000;

/** The first 12 bits of the significand. */
const high = (x: number): number => fromBits(bitsOf(x) & 0xfffff000);
const withSignOf = (magnitude: number, x: number): number => fromBits(bitsOf(magnitude) | (bitsOf(x) & SIGN));
/** Σ cᵢ·xⁱ by Horner's rule, highest coefficient first; each is rounded to float32 as WGSL rounds it. */
function polynomial(x: number, coefficients: readonly number[]): number {
  let p = f(coefficients[0]);
  for (let i = 1; i < coefficients.length; i++) p = mulAdd(p, x, f(coefficients[i]));
  return p;
}

/** 1/x of a positive normal x. */
export function reciprocal(x: number): number {
  const guess = fromBits(0x7ef311c0 - bitsOf(x));
  const e = mulAdd(-x, guess, f(0.999999));
  const close = mulAdd(f(guess * e), mulAdd(e, e, f(1 + e)), guess);
  return mulAdd(close, mulAdd(-x, close, 1), close);
}

/** 1/√x of a positive normal x. */
export function reciprocalSquareRoot(x: number): number {
  const guess = fromBits(0x5f374780 - (bitsOf(x) >>> 1));
  const guessError = mulAdd(-x, f(guess * guess), 1);
  const close = mulAdd(f(guess * guessError), mulAdd(0.375, guessError, 0.5), guess);
  const y = high(close);
  const square = f(y * y);
  const squareHigh = high(square);
  const xHigh = high(x);
  const squareLow = f(square - squareHigh);
  const xLow = f(x - xHigh);
  const error = mulAdd(
    -xLow,
    squareLow,
    mulAdd(-xLow, squareHigh, mulAdd(-xHigh, squareLow, mulAdd(-xHigh, squareHigh, 1))),
  );
  return mulAdd(f(y * error), mulAdd(0.375, error, 0.5), y);
}

/** √x; NaN for x < 0. */
export function squareRoot(x: number): number {
  const bits = bitsOf(x);
  if (bits >= INFINITY_BITS) return fromBits(bits > SIGN ? (bits | NAN_BITS) >>> 0 : bits);
  if (bits < 0x00800000) return 0;
  const half = ((bits >>> 23) - 127) >> 1;
  const r = fromBits(bits - (half << 24));
  const y = reciprocalSquareRoot(r);
  const s = mulAdd(r, y, 0);
  const sHigh = high(s);
  const sLow = f(s - sHigh);
  const residual = mulAdd(-sLow, sLow, mulAdd(f(-2 * sHigh), sLow, mulAdd(-sHigh, sHigh, r)));
  return fromBits(bitsOf(mulAdd(f(0.5 * y), residual, s)) + (half << 23));
}

/** a/b. */
export function divide(a: number, b: number): number {
  const aBits = bitsOf(a);
  const bBits = bitsOf(b);
  const sign = ((aBits ^ bBits) & SIGN) >>> 0;
  const aExponent = (aBits >>> 23) & 0xff;
  const bExponent = (bBits >>> 23) & 0xff;
  if (aExponent === 255 || bExponent === 255 || bExponent === 0) {
    return fromBits(divideExtremes(aBits & 0x7fffffff, bBits & 0x7fffffff) | sign);
  }
  const n = fromBits((aBits & 0x007fffff) | 0x3f800000);
  const d = fromBits((bBits & 0x007fffff) | 0x3f800000);
  const y = reciprocal(d);
  const q = mulAdd(n, y, 0);
  const qHigh = high(q);
  const dHigh = high(d);
  const qLow = f(q - qHigh);
  const dLow = f(d - dHigh);
  const residual = mulAdd(-qLow, dLow, mulAdd(-qLow, dHigh, mulAdd(-qHigh, dLow, mulAdd(-qHigh, dHigh, n))));
  const quotient = bitsOf(mulAdd(residual, y, q));
  const exponent = aExponent - bExponent;
  const biased = (quotient >>> 23) + exponent;
  if (biased < 1 || aExponent === 0) return fromBits(sign);
  if (biased > 254) return fromBits(0x7f7fffff | sign);
  return fromBits((quotient + (exponent << 23)) | sign);
}

/** The magnitude of a/b, as bits, where one of them is infinite or NaN or b is 0. */
function divideExtremes(a: number, b: number): number {
  if (Math.max(a, b) > INFINITY_BITS) return NAN_BITS;
  const isInfinite = a >= INFINITY_BITS || b < 0x00800000;
  const isZero = a < 0x00800000 || b >= INFINITY_BITS;
  if (!isInfinite) return 0;
  return isZero ? NAN_BITS : INFINITY_BITS;
}

/** To the nearest whole number, ties to even, as WGSL's round. */
function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

const EXPONENTIAL = [0.001382061, 0.008368675, 0.041668266, 0.16666521, 0.49999994];

/** e^(high + low), low small beside high. */
export function exponentialOfSum(high: number, low: number): number {
  const n = roundEven(f(f(high + low) * f(Math.LOG2E)));
  const rHigh = mulAdd(n, f(-0.693145751953125), high);
  const rLow = mulAdd(n, f(-1.4286068e-6), low);
  const r = f(rHigh + rLow);
  const p = polynomial(r, EXPONENTIAL);
  const power = f(1 + f(rHigh + mulAdd(f(r * r), p, rLow)));
  return fromBits(bitsOf(power) + (n << 23));
}

const LEAST_EXPONENT = f(-87.33654);
const LARGEST_EXPONENT = f(88.72283);

/** eˣ. */
export function exponential(x: number): number {
  if (isNaN32(x) || x === Number.POSITIVE_INFINITY) return x;
  if (x < LEAST_EXPONENT) return 0;
  if (x > LARGEST_EXPONENT) return f(3.4028234663852886e38);
  return exponentialOfSum(x, 0);
}

/** 1/(1 + e⁻ˣ). */
export function sigmoid(x: number): number {
  if (isNaN32(x)) return x;
  const e = exponential(-Math.abs(x));
  const rounded = reciprocal(f(1 + e));
  const y = mulAdd(rounded, mulAdd(-rounded, e, f(1 - rounded)), rounded);
  return x < 0 ? f(e * y) : y;
}

const TANH = [-0.0058979667, 0.020798625, -0.053784717, 0.13331936, -0.333333];

/** tanh x. */
export function hyperbolicTangent(x: number): number {
  if (isNaN32(x)) return x;
  const a = Math.min(Math.abs(x), 10);
  if (a < f(0.6)) {
    const z = f(a * a);
    return withSignOf(mulAdd(f(a * z), polynomial(z, TANH), a), x);
  }
  const e = exponentialOfSum(f(-2 * a), 0);
  return withSignOf(mulAdd(f(-2 * e), reciprocal(f(1 + e)), 1), x);
}

const ERF_NEAR = [7.236069e-5, -0.00078247394, 0.005167731, -0.026843518, 0.11283364, -0.3761261, 0.12837917];
const ERFC_ROOT = [
  -0.00017562689, 0.00010679288, 0.002754814, -0.006503195, -0.01232666, 0.0936301, -0.19006124, 0.14203279,
];

/** erf x. */
export function errorFunction(x: number): number {
  if (isNaN32(x)) return x;
  const a = Math.min(Math.abs(x), 4);
  if (a < f(1e-30)) return withSignOf(f(a * f(1.1283792)), x);
  if (a < f(1.1)) return withSignOf(mulAdd(a, polynomial(f(a * a), ERF_NEAR), a), x);
  const w = polynomial(f(a - 2.5), ERFC_ROOT);
  const squared = f(w * w);
  return withSignOf(mulAdd(-squared, squared, 1), x);
}

const PHI_NEAR = [-8.170039e-6, 0.000115019415, -0.0011880201, 0.009974163, -0.06649054, 0.3989423];
const PHI_TAIL = [0.20925269, -0.21145952, -0.12665902, 0.020150973, 0.28541505, 0.1111133, -0.76095444, 0.7752908];

/** Φ(x). */
export function normalCumulative(x: number): number {
  if (isNaN32(x)) return x;
  const a = Math.min(Math.abs(x), f(13.2));
  if (a < 1) return mulAdd(x, polynomial(f(a * a), PHI_NEAR), 0.5);
  const h = high(a);
  const e = exponentialOfSum(f(f(-0.5 * h) * h), mulAdd(f(-0.5 * f(a - h)), f(a + h), 0));
  const t = reciprocal(f(a + 2.125));
  const u = mulAdd(a, t, -0.375);
  const p = polynomial(u, PHI_TAIL);
  const density = f(e * t);
  if (x > 0) return mulAdd(-density, p, 1);
  const tail = f(density * p);
  return tail <= 2 ** -126 ? 0 : tail;
}
