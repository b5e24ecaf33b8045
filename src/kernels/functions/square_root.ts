// square_root(x) = √x, without the adapter's sqrt, whose error WGSL inherits from its inverseSqrt. √0 is 0, √∞ is ∞, and NaN
// stays NaN, as does the root of a negative number: found in integers (prelude.ts).
//
// Method: of x = r·4ⁿ, s = r · (1/√r), corrected by its residual: s + (r − s²)/(2√r) (Markstein 1990), times 2ⁿ. s is split into
// 12 bits and the rest, so that the residual is exact whether or not mul_add is fused. What is below 2⁻¹²⁶ counts as 0.
// Measured worst error, every mantissa at both parities of the exponent and 10⁷ random arguments: 0.50 ULP, with mul_add fused
// and without.
import type { FunctionTruth, ScalarFunction } from '../prelude.ts';
import { reciprocalSquareRoot } from './reciprocal_square_root.ts';

/** `square_root(x) = √x`; NaN for x < 0. */
export const squareRoot: ScalarFunction = {
  name: 'square_root',
  wgsl: /* wgsl */ `
fn square_root(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  // x = r · 4^half with r in [1, 4): no square over- or underflows.
  let half = (i32(bits >> 23u) - 127) >> 1u;
  let r = bitcast<f32>(bitcast<i32>(x) - (half << 24u));
  let y = reciprocal_square_root(r);
  let s = mul_add(r, y, 0.0); // rounded here, and only here
  let s_high = bitcast<f32>(bitcast<u32>(s) & 0xfffff000u);
  let s_low = plus(s, -s_high);
  let residual = mul_add(-s_low, s_low, mul_add(-2.0 * s_high, s_low, mul_add(-s_high, s_high, r)));
  let root = select(bitcast<i32>(mul_add(0.5 * y, residual, s)) + (half << 23u), 0, bits < 0x00800000u);
  // From infinity on, as integers: infinity, NaN, -0, which are their own roots, and the negative numbers, which have none.
  let own_or_none = bits | select(0u, 0x7fc00000u, bits > 0x80000000u);
  return bitcast<f32>(select(bitcast<u32>(root), own_or_none, bits >= 0x7f800000u));
}`,
  requires: [reciprocalSquareRoot],
};

export const squareRootTruth: FunctionTruth = {
  reference: Math.sqrt,
  maxUlp: 1,
  domain: [[0, 3.4028234663852886e38]],
};
