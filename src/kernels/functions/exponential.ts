// exponential(x) = eˣ. Results below 2⁻¹²⁶ are 0; above the largest finite float32 it stays there: of a number never a subnormal,
// never an infinity. NaN and +∞ are their own results, told by their bits (prelude.ts).
//
// Method (Cody & Waite 1980, chapter 6): eˣ = 2ⁿ·eʳ, n = round(x / ln 2), r = x − n·ln 2 in [−0.3468, 0.3468] with ln 2 as a
// constant of 15 bits, whose product with n is exact, and the rest. eʳ = 1 + r + r²·P(r), P minimax of degree 4 with error
// 3.1e-9 relative to eʳ (scripts/fit_polynomials.py). The exact part of r is added last but one, so that the rounding of the
// rest does not matter, and 2ⁿ is added to the bits of the exponent.
// Measured worst error, every float32 argument from 2⁻¹⁴ up and random ones below: 0.88 ULP with mul_add fused, 0.90 without. In fast mode a
// compiler may regroup the last sum: 1.03 ULP on lavapipe.
import type { FunctionTruth, ScalarFunction } from '../prelude.ts';

/** `exponential(x) = eˣ`; also defines `exponential_of_sum(high, low)`, e^(high + low), for an exponent known to more than 24 bits. */
export const exponential: ScalarFunction = {
  name: 'exponential',
  wgsl: /* wgsl */ `
// high + low in [-87.33654, 88.72283], low small beside high
fn exponential_of_sum(high: f32, low: f32) -> f32 {
  let n = round(plus(high, low) * 1.442695);
  let r_high = mul_add(n, -0.693145751953125, high);
  let r_low = mul_add(n, -1.4286068e-6, low);
  let r = plus(r_high, r_low);
  let p = mul_add(mul_add(mul_add(mul_add(0.001382061, r, 0.008368675), r, 0.041668266), r, 0.16666521), r, 0.49999994);
  let power = plus(1.0, plus(r_high, mul_add(product(r, r), p, r_low)));
  return bitcast<f32>(bitcast<i32>(power) + (i32(n) << 23u));
}

fn exponential(x: f32) -> f32 {
  let power = exponential_of_sum(clamp(x, -87.33654, 88.72283), 0.0);
  let bounded = select(select(power, 3.4028234663852886e38, x > 88.72283), 0.0, x < -87.33654);
  return select(bounded, x, is_nan(x) || bitcast<u32>(x) == 0x7f800000u);
}`,
  requires: [],
};

export const exponentialTruth: FunctionTruth = {
  reference: Math.exp,
  maxUlp: 2,
  domain: [[-87.3, 88.7]],
};
