// top_tokens: the k largest logits of every row with their ids, largest first, equal ones by their id; and what softmax divides by,
// relative to the largest: total = Σ exp(logit − maximum).
// top [batch, pos, k, 2] holds pairs (id, logit): ids are whole numbers below 2²⁴, exact in float32. k is at most d_vocab_out.
// Order of the sum: segments and blocks along d_vocab_out (kernel.ts), one invocation per block. One workgroup per row, which goes
// through its logits once for each of the k and once for the total; the choice itself compares and has no rounding.
// Cost: 4·(k + 1) bytes (cached after the first pass) and about 2·k + 30 flops per logit.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { exponential, exponentialTruth } from './functions/exponential.ts';
import {
  BLOCK,
  gamma,
  type Kernel,
  type KernelTruth,
  linearWorkgroups,
  SEGMENT,
  SMALLEST_NORMAL,
  sumRoundings,
  U,
} from './kernel.ts';

const WORKGROUP = 64;

export const topTokensKernel: Kernel = {
  name: 'top_tokens',
  bindings: () => [
    { name: 'logits', role: 'input', shape: ['batch', 'pos', 'd_vocab_out'], element: 'f32' },
    { name: 'top', role: 'output', shape: ['batch', 'pos', 'k', 'fields'], element: 'f32' },
    { name: 'total', role: 'output', shape: ['batch', 'pos'], element: 'f32' },
  ],
  functions: () => [exponential],
  wgsl: ({ has }) => wgsl`
const nobody = d_vocab_out;
var<workgroup> best_logits: array<f32, ${WORKGROUP}>;
var<workgroup> best_ids: array<u32, ${WORKGROUP}>;

#if ${has('total')}
fn weight_block(begin: u32, end: u32, maximum: f32) -> f32 {
  var block = 0.0;
  for (var start = begin; start < end; start += ${SEGMENT}u) {
    var segment = exponential(plus(logits[start], -maximum));
    for (var i = start + 1u; i < min(start + ${SEGMENT}u, end); i++) {
      segment = plus(segment, exponential(plus(logits[i], -maximum)));
    }
    block = plus(block, segment);
  }
  return block;
}
#endif

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = workgroup.y * workgroups.x + workgroup.x;
  // Workgroups beyond the last row repeat it and store nothing: barriers stay in uniform control flow.
  let is_stored = row < run.batch * run.pos;
  let first = min(row, run.batch * run.pos - 1u) * d_vocab_out;
  var logit = 0.0;
  var id = nobody;
  var maximum = 0.0;
  for (var rank = 0u; rank < k; rank++) {
    // The best of this invocation's that come after the one chosen last.
    var best = 0.0;
    var best_id = nobody;
    for (var i = local; i < d_vocab_out; i += ${WORKGROUP}u) {
      let candidate = logits[first + i];
      let is_left = id == nobody || candidate < logit || (candidate == logit && i > id);
      if (is_left && (best_id == nobody || candidate > best)) {
        best = candidate;
        best_id = i;
      }
    }
    best_logits[local] = best;
    best_ids[local] = best_id;
    workgroupBarrier();
    logit = best_logits[0];
    id = best_ids[0];
    for (var i = 1u; i < ${WORKGROUP}u; i++) {
      if (best_ids[i] == nobody) { continue; }
      if (id == nobody || best_logits[i] > logit || (best_logits[i] == logit && best_ids[i] < id)) {
        logit = best_logits[i];
        id = best_ids[i];
      }
    }
    if (rank == 0u) { maximum = logit; }
    #if ${has('top')}
    if (is_stored && local == 0u) {
      top[(row * k + rank) * fields] = f32(id);
      top[(row * k + rank) * fields + 1u] = logit;
    }
    #endif
    workgroupBarrier();
  }
  #if ${has('total')}
  var sum = 0.0;
  // More blocks than invocations are added in rounds: the order stays the same.
  for (var round = 0u; round < d_vocab_out; round += ${WORKGROUP * BLOCK}u) {
    let begin = round + local * ${BLOCK}u;
    best_logits[local] = weight_block(first + begin, first + min(begin + ${BLOCK}u, d_vocab_out), maximum);
    workgroupBarrier();
    for (var i = 0u; i < ${WORKGROUP}u; i++) { sum = plus(sum, best_logits[i]); }
    workgroupBarrier();
  }
  if (is_stored && local == 0u) { total[row] = stored(sum); }
  #endif
}
`,
  workgroups: ({ batch, pos }) => linearWorkgroups(batch * pos, 1),
};

export const topTokensTruth: KernelTruth = {
  reference: ({ logits }, { d_vocab_out, k }) => {
    const rows = logits.length / d_vocab_out;
    const top = new Float64Array(rows * k * 2);
    const total = new Float64Array(rows);
    for (let row = 0; row < rows; row++) {
      const values = logits.subarray(row * d_vocab_out, (row + 1) * d_vocab_out);
      const ids = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
      ids.slice(0, k).forEach((id, rank) => {
        top.set([id, values[id]], (row * k + rank) * 2);
      });
      for (const value of values) total[row] += Math.exp(value - values[ids[0]]);
    }
    return { top, total };
  },
  // Choosing is exact, but that an adapter may take what is below 2⁻¹²⁶ as 0. Each exponential has the rounding of its
  // argument (u·|logit − maximum|, relative), its own ULPs, γ of the additions; below 2⁻¹²⁶ it is 0.
  tolerance: ({ logits }, dims) => {
    const { d_vocab_out } = dims;
    const { top, total } = topTokensTruth.reference({ logits }, dims, {});
    const bound = total.map((_, row) => {
      const values = logits.subarray(row * d_vocab_out, (row + 1) * d_vocab_out);
      const maximum = values.reduce((most, v) => Math.max(most, v), Number.NEGATIVE_INFINITY);
      let error = 0;
      for (const value of values) {
        const relative = U * Math.min(maximum - value, 200) + 2 * U * exponentialTruth.maxUlp;
        error += Math.exp(value - maximum) * relative * 1.001 + SMALLEST_NORMAL;
      }
      return error + gamma(sumRoundings(d_vocab_out)) * total[row] * 1.001;
    });
    return { top: top.map((v) => (v !== 0 && Math.abs(v) < SMALLEST_NORMAL ? SMALLEST_NORMAL : 0)), total: bound };
  },
};
