// reciprocal_square_root(x) = 1/√x of a positive normal x (NaN stays NaN; infinity is not allowed), without the adapter's inverseSqrt (2 ULP by WGSL, and more than
// that where a driver is generous).
//
// Method: half the bits of x subtracted from a constant are a guess (Lomont 2003; the constant is the one for which
// |1 − x·y²| is least, 0.068: scripts/fit_polynomials.py); two cubic steps y(1 + e/2 + 3e²/8) with e = 1 − x·y². In the second
// step y is cut to 12 bits, so that y² is exact, and x and y² are split into 12 bits and the rest, so that e is exact whether
// or not mul_add is fused.
// Measured worst error, every mantissa at both parities of the exponent and 10⁷ random arguments: 0.51 ULP, with mul_add fused
// and without.
import type { FunctionTruth, ScalarFunction } from '../prelude.ts';

/** `reciprocal_square_root(x) = 1/√x`, x > 0. */
export const reciprocalSquareRoot: ScalarFunction = {
  name: 'reciprocal_square_root',
  wgsl: /* wgsl */ `
fn reciprocal_square_root(x: f32) -> f32 {
  let guess = bitcast<f32>(0x5f374780u - (bitcast<u32>(x) >> 1u));
  let guess_error = mul_add(-x, product(guess, guess), 1.0);
  let close = mul_add(product(guess, guess_error), mul_add(0.375, guess_error, 0.5), guess);
  let y = bitcast<f32>(bitcast<u32>(close) & 0xfffff000u);
  let square = product(y, y);
  let square_high = bitcast<f32>(bitcast<u32>(square) & 0xfffff000u);
  let x_high = bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
  let square_low = plus(square, -square_high);
  let x_low = plus(x, -x_high);
  let error = mul_add(-x_low, square_low,
    mul_add(-x_low, square_high, mul_add(-x_high, square_low, mul_add(-x_high, square_high, 1.0))));
  return mul_add(product(y, error), mul_add(0.375, error, 0.5), y);
}`,
  requires: [],
};

export const reciprocalSquareRootTruth: FunctionTruth = {
  reference: (x) => 1 / Math.sqrt(x),
  maxUlp: 1,
  domain: [[1e-30, 1e30]],
};
