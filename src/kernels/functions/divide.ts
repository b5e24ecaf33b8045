// divide(a, b) = a/b, without the division of the adapter, which WGSL allows to be 2.5 ULP off.
//
// Method: the mantissas of a and b are divided, in [1, 2), where nothing overflows; the exponents are subtracted as integers.
// The quotient q of the mantissas is corrected by its exact residual a − q·b (Markstein 1990). Without a fused multiply-add the
// residual is exact because q and b are split into a high part of 12 bits and the rest, by a mask, which no compiler can fold:
// each of the four products then fits into 24 bits, and so does each difference.
// Where the quotient would be below 2⁻¹²⁶ it is 0, where it would overflow the largest finite number. What is below 2⁻¹²⁶ counts
// as 0. Of 0, infinity and NaN the result is what IEEE 754 says, found in integers (prelude.ts).
// Measured worst error, 2·10⁷ random pairs: 0.50 ULP (correctly rounded), with mul_add fused and without. In fast mode a compiler may
// regroup the residual: 1.48 ULP on lavapipe.
import type { FunctionTruth, ScalarFunction } from '../prelude.ts';
import { reciprocal } from './reciprocal.ts';

/** `divide(a, b) = a/b`. */
export const divide: ScalarFunction = {
  name: 'divide',
  wgsl: /* wgsl */ `
// The magnitude of a/b, in bits as a and b are, where one of them is infinite or NaN, or b is 0.
fn divide_extremes(a: u32, b: u32) -> u32 {
  let is_infinite = a >= 0x7f800000u || b < 0x00800000u;
  let is_zero = a < 0x00800000u || b >= 0x7f800000u;
  let undefined_or_infinite = select(0x7f800000u, 0x7fc00000u, is_zero); // both: 0/0 or infinity by infinity
  return select(select(0u, undefined_or_infinite, is_infinite), 0x7fc00000u, max(a, b) > 0x7f800000u);
}

fn divide(a: f32, b: f32) -> f32 {
  let a_bits = bitcast<u32>(a);
  let b_bits = bitcast<u32>(b);
  let n = bitcast<f32>((a_bits & 0x007fffffu) | 0x3f800000u);
  let d = bitcast<f32>((b_bits & 0x007fffffu) | 0x3f800000u);
  let y = reciprocal(d);
  let q = mul_add(n, y, 0.0); // rounded here, and only here
  let q_high = bitcast<f32>(bitcast<u32>(q) & 0xfffff000u);
  let d_high = bitcast<f32>(bitcast<u32>(d) & 0xfffff000u);
  let q_low = plus(q, -q_high);
  let d_low = plus(d, -d_high);
  let residual = mul_add(-q_low, d_low, mul_add(-q_low, d_high, mul_add(-q_high, d_low, mul_add(-q_high, d_high, n))));
  let quotient = bitcast<i32>(mul_add(residual, y, q));
  let a_exponent = i32((a_bits >> 23u) & 0xffu);
  let b_exponent = i32((b_bits >> 23u) & 0xffu);
  let exponent = a_exponent - b_exponent;
  let biased_exponent = (quotient >> 23u) + exponent;
  var bits = bitcast<u32>(quotient + (exponent << 23u));
  bits = select(bits, 0x7f7fffffu, biased_exponent > 254);
  bits = select(bits, 0u, biased_exponent < 1 || a_exponent == 0);
  if (max(a_exponent, b_exponent) == 255 || b_exponent == 0) {
    bits = divide_extremes(a_bits & 0x7fffffffu, b_bits & 0x7fffffffu);
  }
  return bitcast<f32>(bits | ((a_bits ^ b_bits) & 0x80000000u));
}`,
  requires: [reciprocal],
};

export const divideTruth: FunctionTruth = {
  reference: (a, b) => a / b,
  maxUlp: 2,
  domain: [
    [-1e30, 1e30],
    [-1e30, 1e30],
  ],
};
