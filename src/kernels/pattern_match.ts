// pattern_match: how much of each head's attention is where it is looked for. For every query of every head, over its keys:
//   matched = Σ pattern · detection,   total = Σ pattern,   difference = Σ |pattern − detection|
// detection [batch, query_pos, key_pos] says where a kind of head should look, the same for all heads; `excludeBos` leaves out
// key 0, `excludeCurrentToken` the query's own position. Whoever reads the sums adds up the queries in float64.
// Order: segments and blocks along key_pos (kernel.ts). One invocation per query.
// Source of the method: TransformerLens, head_detector.py. Cost: 8 bytes and 5 flops per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import {
  BLOCK,
  dotRoundings,
  gamma,
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  SEGMENT,
  SMALLEST_NORMAL,
  sumRoundings,
} from './kernel.ts';

const WORKGROUP = 64;

export const patternMatch: Kernel = {
  name: 'pattern_match',
  bindings: () => [
    { name: 'pattern', role: 'input', shape: ['batch', 'n_heads', 'pos', 'pos'], element: 'f32' },
    { name: 'detection', role: 'input', shape: ['batch', 'pos', 'pos'], element: 'f32' },
    { name: 'matched', role: 'output', shape: ['batch', 'n_heads', 'pos'], element: 'f32' },
    { name: 'total', role: 'output', shape: ['batch', 'n_heads', 'pos'], element: 'f32' },
    { name: 'difference', role: 'output', shape: ['batch', 'n_heads', 'pos'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ options, has }) => wgsl`
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * n_heads * run.pos) { return; }
  let query = i % run.pos;
  let batch = i / (run.pos * n_heads);
  let pattern_row = i * run.pos;
  let detection_row = (batch * run.pos + query) * run.pos;
  var sums = vec3f(0.0);
  for (var block_start = 0u; block_start < run.pos; block_start += ${BLOCK}u) {
    let block_end = min(block_start + ${BLOCK}u, run.pos);
    var block = vec3f(0.0);
    for (var start = block_start; start < block_end; start += ${SEGMENT}u) {
      var segment = vec3f(0.0);
      for (var key = start; key < min(start + ${SEGMENT}u, block_end); key++) {
        #if ${options.excludeBos}
        if (key == 0u) { continue; }
        #endif
        #if ${options.excludeCurrentToken}
        if (key == query) { continue; }
        #endif
        let attention = pattern[pattern_row + key];
        let wanted = detection[detection_row + key];
        segment.x = mul_add(attention, wanted, segment.x);
        segment.y = plus(segment.y, attention);
        segment.z = plus(segment.z, abs(plus(attention, -wanted)));
      }
      block = vec3f(plus(block.x, segment.x), plus(block.y, segment.y), plus(block.z, segment.z));
    }
    sums = vec3f(plus(sums.x, block.x), plus(sums.y, block.y), plus(sums.z, block.z));
  }
  #if ${has('matched')}
  matched[i] = stored(sums.x);
  #endif
  #if ${has('total')}
  total[i] = stored(sums.y);
  #endif
  #if ${has('difference')}
  difference[i] = stored(sums.z);
  #endif
}
`,
  workgroups: ({ batch, n_heads, pos }) => linearWorkgroups(batch * n_heads * pos, WORKGROUP),
};

export const patternMatchTruth: KernelTruth = {
  reference: ({ pattern, detection }, { batch, n_heads, pos }, { excludeBos, excludeCurrentToken }) => {
    const matched = new Float64Array(batch * n_heads * pos);
    const total = new Float64Array(batch * n_heads * pos);
    const difference = new Float64Array(batch * n_heads * pos);
    for (let b = 0; b < batch; b++) {
      for (let head = 0; head < n_heads; head++) {
        for (let query = 0; query < pos; query++) {
          const i = (b * n_heads + head) * pos + query;
          for (let key = 0; key < pos; key++) {
            if ((excludeBos && key === 0) || (excludeCurrentToken && key === query)) continue;
            const attention = pattern[i * pos + key];
            const wanted = detection[(b * pos + query) * pos + key];
            matched[i] += attention * wanted;
            total[i] += attention;
            difference[i] += Math.abs(attention - wanted);
          }
        }
      }
    }
    return { matched, total, difference };
  },
  // γ of a dot product's roundings, of a sum's, and of a sum's and a difference's, times the sums of magnitudes. Per term what
  // underflow can take: a factor (which the other one multiplies), a product, an addition.
  tolerance: ({ pattern, detection }, dims, options) => {
    const { matched, total } = patternMatchTruth.reference(
      { pattern: pattern.map(Math.abs), detection: detection.map(Math.abs) },
      dims,
      options,
    );
    const { difference } = patternMatchTruth.reference({ pattern, detection }, dims, options);
    const largest = (values: Float64Array) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const tiny = dims.pos * SMALLEST_NORMAL * (4 + largest(pattern) + largest(detection));
    return {
      matched: matched.map((m) => gamma(dotRoundings(dims.pos)) * m + tiny),
      total: total.map((m) => gamma(sumRoundings(dims.pos)) * m + tiny),
      difference: difference.map((m) => gamma(1 + sumRoundings(dims.pos)) * m + tiny),
    };
  },
};
