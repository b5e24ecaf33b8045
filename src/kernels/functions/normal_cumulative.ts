// normal_cumulative(x) = Φ(x) = erfc(−x/√2)/2, with its relative accuracy kept on the negative tail: exact gelu(x) = x·Φ(x).
// Where it would be 2⁻¹²⁶ or less (x < −12.95) it is 0.
//
// Method: for |x| < 1, 1/2 + x·P(x²), P minimax of degree 5, error 2.9e-9 relative to Φ(−|x|). Elsewhere, with a = |x|,
// Φ(−a) = e^(−a²/2) · t·P(a·t − 3/8), t = 1/(a + 2.125), P minimax of degree 7 on a in [1, 13] with relative error 1.2e-8: a
// variable like Shepherd & Laframboise's (1981), with the two constants of those tried at which the error of the whole is least.
// Coefficients: scripts/fit_polynomials.py.
// a²/2 needs more than 24 bits: a is cut to 12 bits, h, and a² = h² + (a − h)(a + h), the first term exact.
// Measured worst error, every float32 argument from 2⁻¹⁴ up and random ones below: 3.64 ULP with mul_add fused, 3.90 without.
import type { FunctionTruth, ScalarFunction } from '../prelude.ts';
import { normalCumulativeReference } from './error_function_reference.ts';
import { exponential } from './exponential.ts';
import { reciprocal } from './reciprocal.ts';

/** `normal_cumulative(x) = Φ(x)`, the probability that a standard normal variable is at most x. */
export const normalCumulative: ScalarFunction = {
  name: 'normal_cumulative',
  wgsl: /* wgsl */ `
fn normal_cumulative(x: f32) -> f32 {
  let a = min(abs(x), 13.2); // Φ(-13.2) is below 2^-126, e^(-13.2²/2) is not
  let z = product(a, a);
  var p = mul_add(mul_add(mul_add(-8.170039e-6, z, 0.000115019415), z, -0.0011880201), z, 0.009974163);
  p = mul_add(mul_add(p, z, -0.06649054), z, 0.3989423);
  let near = mul_add(clamp(x, -1.0, 1.0), p, 0.5);

  let h = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
  let e = exponential_of_sum(-0.5 * product(h, h), mul_add(-0.5 * plus(a, -h), plus(a, h), 0.0));
  let t = reciprocal(plus(a, 2.125));
  let u = mul_add(a, t, -0.375);
  p = mul_add(mul_add(mul_add(mul_add(0.20925269, u, -0.21145952), u, -0.12665902), u, 0.020150973), u, 0.28541505);
  p = mul_add(mul_add(mul_add(p, u, 0.1111133), u, -0.76095444), u, 0.7752908);
  let density = product(e, t);
  let tail = product(density, p);
  let far = select(mul_add(-density, p, 1.0), select(tail, 0.0, tail <= 1.1754944e-38), x < 0.0);
  return select(select(far, near, a < 1.0), x, is_nan(x));
}`,
  requires: [exponential, reciprocal],
};

export const normalCumulativeTruth: FunctionTruth = {
  reference: normalCumulativeReference,
  maxUlp: 4,
  domain: [[-12.9, 12.9]],
};
