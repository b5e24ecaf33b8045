// reciprocal(x) = 1/x of a positive normal x (NaN stays NaN; infinity is not allowed), without the division of the adapter: what `divide`, `sigmoid`,
// `hyperbolic_tangent` and `normal_cumulative` divide with.
//
// Method: the bits of x subtracted from a constant are a guess within 5.05 % (the constant: scripts/fit_polynomials.py), one
// step of fourth order y(1 + e + e² + e³) with e = 1 − x·y leaves 6.5e-6, one Newton step y + y·e leaves 6e-11 and rounding.
// The 0.999999 instead of 1 keeps x·y below 1 before the last step, where its spacing is half of that above 1.
// Measured worst error, every mantissa and 10⁷ random arguments: 0.51 ULP with mul_add fused, 1.00 without.
import type { FunctionTruth, ScalarFunction } from '../prelude.ts';

/** `reciprocal(x) = 1/x`, x > 0. */
export const reciprocal: ScalarFunction = {
  name: 'reciprocal',
  wgsl: /* wgsl */ `
fn reciprocal(x: f32) -> f32 {
  let guess = bitcast<f32>(0x7ef311c0u - bitcast<u32>(x));
  let e = mul_add(-x, guess, 0.999999);
  let close = mul_add(product(guess, e), mul_add(e, e, plus(1.0, e)), guess);
  return mul_add(close, mul_add(-x, close, 1.0), close);
}`,
  requires: [],
};

export const reciprocalTruth: FunctionTruth = {
  reference: (x) => 1 / x,
  maxUlp: 1,
  domain: [[1e-30, 1e30]],
};
