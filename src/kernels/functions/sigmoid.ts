// sigmoid(x) = 1/(1 + e⁻ˣ), with its relative accuracy kept on the negative tail: silu(x) = x·sigmoid(x).
//
// Method: with e = e^−|x| in [0, 1] nothing overflows, and 1/(1 + e) for x ≥ 0, e/(1 + e) for x < 0 subtract nothing. The
// reciprocal y of the rounded 1 + e is corrected by (1 − y) − y·e, which knows the exact 1 + e. NaN stays NaN.
// Measured worst error, every float32 argument from 2⁻¹⁴ up and random ones below: 1.96 ULP with mul_add fused, 1.96 without.
import type { FunctionTruth, ScalarFunction } from '../prelude.ts';
import { exponential } from './exponential.ts';
import { reciprocal } from './reciprocal.ts';

/** `sigmoid(x) = 1/(1 + e⁻ˣ)`. */
export const sigmoid: ScalarFunction = {
  name: 'sigmoid',
  wgsl: /* wgsl */ `
fn sigmoid(x: f32) -> f32 {
  let e = exponential(-abs(x));
  let close = reciprocal(plus(1.0, e));
  let y = mul_add(close, mul_add(-close, e, plus(1.0, -close)), close);
  return select(select(y, product(e, y), x < 0.0), x, is_nan(x));
}`,
  requires: [exponential, reciprocal],
};

export const sigmoidTruth: FunctionTruth = {
  reference: (x) => 1 / (1 + Math.exp(-x)),
  maxUlp: 2,
  domain: [[-87, 87]],
};
