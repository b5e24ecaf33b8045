// attention_pattern: softmax over keys, pattern[batch, head, query, key] = exp(s[key] − m) / Σ_key exp(s[key] − m), m = max s.
// The maximum is subtracted so that no exponential overflows; it is exact and free of order. A masked score weighs exactly
// 0, wherever it stands; a row that is masked everywhere is all zeros, as in TransformerLens. A row with a NaN is all NaN, as in
// PyTorch: max may or may not pass it on, its weight and the total do.
// Order of the sum: segments and blocks of keys (kernel.ts). Many short rows have an invocation each; otherwise a row has a workgroup,
// with an invocation for each segment. The bits are the same. Weights wait in `out` until the total is known.
// Source: Goodfellow et al. 2016, §4.1. Cost: 16 bytes, about 40 flops per element (an exponential and a division of ours).
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide, divideTruth } from './functions/divide.ts';
import { exponential, exponentialTruth } from './functions/exponential.ts';
import {
  BLOCK,
  type Dims,
  gamma,
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  MASKED,
  SEGMENT,
  sumRoundings,
  U,
  wgslFloat,
} from './kernel.ts';

/** Invocations in a workgroup: of one row, or with a row each. */
const WORKGROUP = 32;

/** From so many rows on, of at most so many keys, each row has one invocation: nobody waits for others at barriers. */
const MANY_ROWS = 64;
const SHORT_ROW = 1024;

const hasInvocationPerRow = ({ batch, n_heads, pos, keys }: Dims) =>
  batch * n_heads * pos >= MANY_ROWS && keys <= SHORT_ROW;

/** WGSL of a score's weight and of its share of the total, rounded as the pattern is stored. */
export const SOFTMAX_TERMS = wgsl`
const masked = ${wgslFloat(MASKED)};
fn weight(score: f32, maximum: f32) -> f32 {
  if (is_nan(score)) { return score; }
  if (score <= masked) { return 0.0; }
  return exponential(plus(score, -maximum));
}
fn share(weight: f32, total: f32) -> f32 {
  if (bitcast<u32>(total) == 0u) { return 0.0; } // not a comparison of floats: it may be NaN
  return materialised(divide(weight, total));
}`;

export const attentionPattern: Kernel = {
  name: 'attention_pattern',
  bindings: () => [
    { name: 'scores', role: 'input', shape: ['batch', 'n_heads', 'pos', 'keys'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'n_heads', 'pos', 'keys'], element: 'f32' },
  ],
  functions: () => [divide, exponential],
  wgsl: ({ dims }) => wgsl`
${LINEAR_INDEX}
fn row_count() -> u32 { return run.batch * n_heads * run.pos; }

${SOFTMAX_TERMS}

#if ${hasInvocationPerRow(dims)}
${invocationPerRow()}
#else
${workgroupPerRow()}
#endif
`,
  workgroups: (dims) =>
    linearWorkgroups(dims.batch * dims.n_heads * dims.pos, hasInvocationPerRow(dims) ? WORKGROUP : 1),
};

export const attentionPatternTruth: KernelTruth = {
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
    const { out } = attentionPatternTruth.reference({ scores }, dims, {});
    const bound = new Float64Array(scores.length);
    const { keys } = dims;
    for (let first = 0; first < scores.length; first += keys) {
      const row = scores.subarray(first, first + keys);
      const maximum = Math.max(...row);
      const relative = row.map((score) =>
        score <= MASKED ? 0 : U * Math.min(maximum - score, 200) + 2 * U * exponentialTruth.maxUlp,
      );
      let mean = 0;
      for (let key = 0; key < keys; key++) mean += relative[key] * out[first + key];
      for (let key = 0; key < keys; key++) {
        if (row[key] <= MASKED) continue;
        bound[first + key] =
          out[first + key] * (relative[key] + mean + gamma(sumRoundings(keys)) + 2 * U * divideTruth.maxUlp) * 1.001 +
          2 ** -125;
      }
    }
    return { out: bound };
  },
};

function invocationPerRow(): string {
  return wgsl`
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (row >= row_count()) { return; }
  let first = row * run.keys;
  let end = first + run.keys;
  var maximum = masked;
  for (var i = first; i < end; i++) { maximum = max(maximum, scores[i]); }
  var total = 0.0;
  for (var begin = first; begin < end; begin += ${BLOCK}u) {
    var block = 0.0;
    for (var start = begin; start < min(begin + ${BLOCK}u, end); start += ${SEGMENT}u) {
      var segment = 0.0;
      for (var i = start; i < min(start + ${SEGMENT}u, end); i++) {
        let term = weight(scores[i], maximum);
        segment = plus(segment, term);
        out[i] = term;
      }
      block = plus(block, segment);
    }
    total = plus(total, block);
  }
  for (var i = first; i < end; i++) { out[i] = share(out[i], total); }
}
`;
}

function workgroupPerRow(): string {
  return wgsl`
var<workgroup> partial: array<f32, ${WORKGROUP}>;
var<workgroup> row_maximum: f32;
var<workgroup> row_total: f32;
// One invocation adds what all have found: on adapters that run them one after another that is less work than each for itself.
// More segments than invocations are added in rounds of ${WORKGROUP}: the order stays the same.

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = linear_index(workgroup, workgroups, 0u, 1u);
  // Workgroups beyond the last row repeat it and store nothing: barriers stay in uniform control flow.
  let is_stored = row < row_count();
  let first = min(row, row_count() - 1u) * run.keys;

  var maximum = masked;
  for (var key = local; key < run.keys; key += ${WORKGROUP}u) { maximum = max(maximum, scores[first + key]); }
  partial[local] = maximum;
  workgroupBarrier();
  if (local == 0u) {
    for (var i = 1u; i < min(run.keys, ${WORKGROUP}u); i++) { maximum = max(maximum, partial[i]); }
    row_maximum = maximum;
  }
  workgroupBarrier();
  maximum = row_maximum;

  for (var round = 0u; round < run.keys; round += ${WORKGROUP * SEGMENT}u) {
    let begin = round + local * ${SEGMENT}u;
    let end = min(begin + ${SEGMENT}u, run.keys);
    var segment = 0.0;
    for (var key = begin; key < end; key++) {
      let term = weight(scores[first + key], maximum);
      segment = plus(segment, term);
      if (is_stored) { out[first + key] = term; }
    }
    partial[local] = segment;
    workgroupBarrier();
    if (local == 0u) {
      var sum = select(0.0, row_total, round > 0u);
      let count = min((run.keys - round + ${SEGMENT - 1}u) / ${SEGMENT}u, ${WORKGROUP}u);
      for (var start = 0u; start < count; start += ${BLOCK / SEGMENT}u) {
        var block = 0.0;
        for (var i = start; i < min(start + ${BLOCK / SEGMENT}u, count); i++) { block = plus(block, partial[i]); }
        sum = plus(sum, block);
      }
      row_total = sum;
    }
    workgroupBarrier();
  }
  let total = row_total;

  if (!is_stored) { return; }
  for (var round = 0u; round < run.keys; round += ${WORKGROUP * SEGMENT}u) {
    let begin = round + local * ${SEGMENT}u;
    for (var key = begin; key < min(begin + ${SEGMENT}u, run.keys); key++) {
      out[first + key] = share(out[first + key], total);
    }
  }
}
`;
}
