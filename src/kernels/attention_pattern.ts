// attention_pattern: softmax over keys, pattern[batch, head, query, key] = exp(s[key] − m) / Σ_key exp(s[key] − m), m = max s.
// The maximum is subtracted so that no exponential overflows; it is exact and free of order. A masked score weighs exactly
// 0, wherever it stands; a row that is masked everywhere is all zeros, as in TransformerLens. A row with a NaN is all NaN, as in
// PyTorch: max may or may not pass it on, its weight and the total do.
// Order of the sum: segments and blocks of keys (kernel.ts), one invocation per block. One workgroup per row; exponentials
// are computed twice (sum, then result) instead of being kept.
// Source: Goodfellow et al. 2016, §4.1. Cost: 8 bytes, about 60 flops per element (two exponentials and a division of ours).
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide } from './functions/divide.ts';
import { exponential } from './functions/exponential.ts';
import {
  BLOCK,
  gamma,
  type Kernel,
  LINEAR_INDEX,
  linearWorkgroups,
  MASKED,
  SEGMENT,
  sumRoundings,
  U,
  wgslFloat,
} from './kernel.ts';

const WORKGROUP = 32;

export const attentionPattern: Kernel = {
  name: 'attention_pattern',
  bindings: () => [
    { name: 'scores', role: 'input', shape: ['batch', 'n_heads', 'pos', 'keys'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'n_heads', 'pos', 'keys'], element: 'f32' },
  ],
  functions: () => [divide, exponential],
  wgsl: () => wgsl`
${LINEAR_INDEX}
const masked = ${wgslFloat(MASKED)};
var<workgroup> partial: array<f32, ${WORKGROUP}>;
// More blocks than invocations are added in rounds of ${WORKGROUP}: the order stays the same.

fn weight(score: f32, maximum: f32) -> f32 {
  if (is_nan(score)) { return score; }
  if (score <= masked) { return 0.0; }
  return exponential(score - maximum);
}

fn weight_block(begin: u32, end: u32, maximum: f32) -> f32 {
  var block = 0.0;
  for (var start = begin; start < end; start += ${SEGMENT}u) {
    var segment = weight(scores[start], maximum);
    for (var i = start + 1u; i < min(start + ${SEGMENT}u, end); i++) {
      segment = plus(segment, weight(scores[i], maximum));
    }
    block = plus(block, segment);
  }
  return block;
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = linear_index(workgroup, workgroups, 0u, 1u);
  let rows = run.batch * n_heads * run.pos;
  let is_stored = row < rows;
  let first = min(row, rows - 1u) * run.keys;

  var maximum = masked;
  for (var key = local; key < run.keys; key += ${WORKGROUP}u) { maximum = max(maximum, scores[first + key]); }
  partial[local] = maximum;
  workgroupBarrier();
  for (var i = 0u; i < ${WORKGROUP}u; i++) { maximum = max(maximum, partial[i]); }

  var total = 0.0;
  for (var round = 0u; round < run.keys; round += ${WORKGROUP * BLOCK}u) {
    workgroupBarrier();
    let begin = round + local * ${BLOCK}u;
    partial[local] = weight_block(first + begin, first + min(begin + ${BLOCK}u, run.keys), maximum);
    workgroupBarrier();
    for (var i = 0u; i < ${WORKGROUP}u; i++) { total = plus(total, partial[i]); }
  }

  if (!is_stored) { return; }
  for (var key = local; key < run.keys; key += ${WORKGROUP}u) {
    if (bitcast<u32>(total) != 0u) { // not a comparison of floats: it may be NaN
      out[first + key] = stored(divide(weight(scores[first + key], maximum), total));
    } else {
      out[first + key] = 0.0;
    }
  }
}
`,
  workgroups: ({ batch, n_heads, pos }) => linearWorkgroups(batch * n_heads * pos, 1),
  reference: ({ scores }, { keys }) => {
    const out = new Float64Array(scores.length);
    for (let first = 0; first < scores.length; first += keys) {
      const row = scores.subarray(first, first + keys);
      const maximum = Math.max(...row);
      const weights = row.map((score) => (score <= MASKED ? 0 : Math.exp(score - maximum)));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let key = 0; key < keys; key++) out[first + key] = total === 0 ? 0 : weights[key] / total;
    }
    return { out };
  },
  // s − m is rounded once: |δ| ≤ u·|s − m|, which exp turns into a relative error; exp and the division add
  // their ULPs (of 2u each). The total has the weighted mean of those plus γ of its additions. A weight below 2⁻¹²⁶ is 0, and so
  // may the quotient be.
  tolerance: ({ scores }, dims) => {
    const { out } = attentionPattern.reference({ scores }, dims, {});
    const bound = new Float64Array(scores.length);
    const { keys } = dims;
    for (let first = 0; first < scores.length; first += keys) {
      const row = scores.subarray(first, first + keys);
      const maximum = Math.max(...row);
      const relative = row.map((score) =>
        score <= MASKED ? 0 : U * Math.min(maximum - score, 200) + 2 * U * exponential.maxUlp,
      );
      let mean = 0;
      for (let key = 0; key < keys; key++) mean += relative[key] * out[first + key];
      for (let key = 0; key < keys; key++) {
        if (row[key] <= MASKED) continue;
        bound[first + key] =
          out[first + key] * (relative[key] + mean + gamma(sumRoundings(keys)) + 2 * U * divide.maxUlp) * 1.001 +
          2 ** -125;
      }
    }
    return { out: bound };
  },
};
