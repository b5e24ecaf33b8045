// attention_scores: scores[batch, head, query, key] = q[batch, query, head, :] · k[batch, key, head', :] · scale
//   then cap·tanh(scores / cap) where the model has a soft cap, then the causal mask: key > first_pos[batch] + query holds MASKED.
//   Keys are counted from the start of the text; with a key-value cache k_rows is the cache, with rows of key_stride positions.
//   head' = ⌊head · n_key_value_heads / n_heads⌋ (grouped-query attention).
// The mask is a finite sentinel because WGSL may assume that there are no infinities; readers turn it into −Infinity.
// Order: segments and blocks along d_head (kernel.ts), then the scale.
// Cost: 2·d_head flops per element; q and k are read once per tile.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide, divideTruth } from './functions/divide.ts';
import { hyperbolicTangent, hyperbolicTangentTruth } from './functions/hyperbolic_tangent.ts';
import {
  type Arrays,
  BLOCK,
  type Dims,
  dotRoundings,
  dotUnderflow,
  gamma,
  type Kernel,
  type KernelTruth,
  MASKED,
  type ProductSizes,
  SEGMENT,
  SMALLEST_NORMAL,
  U,
  vectorizable,
  wgslFloat,
} from './kernel.ts';
import { productMain, productWorkgroups, tilingOf } from './tiling.ts';

const sizes = (dims: Dims): ProductSizes => ({
  rows: dims.pos,
  columns: dims.keys,
  depth: dims.d_head,
  groups: dims.batch * dims.n_heads,
  layout: 'nk',
  hasWeights: false,
});

export const attentionScores: Kernel = {
  name: 'attention_scores',
  bindings: ({ d_head }) => [
    vectorizable('q', 'input', ['batch', 'pos', 'n_heads', 'd_head'], d_head),
    vectorizable('k_rows', 'input', ['batch', 'key_stride', 'n_key_value_heads', 'd_head'], d_head),
    { name: 'first_pos', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'out', role: 'output', shape: ['batch', 'n_heads', 'pos', 'keys'], element: 'f32' },
  ],
  functions: ({ softCap }) => (softCap ? [divide, hyperbolicTangent] : []),
  wgsl: ({ dims, options }) => wgsl`
const k_stride = ${dims.d_head % 4 === 0 ? 'd_head_vec4' : 'd_head'};
const b_stride_n = n_key_value_heads * k_stride;
const b_stride_k = 1u;
fn row_count() -> u32 { return run.pos; }
fn column_count(group: u32) -> u32 { return run.keys; }
fn depth() -> u32 { return d_head; }
fn a_base(group: u32, row: u32) -> u32 { return ((group / n_heads * run.pos + row) * n_heads + group % n_heads) * k_stride; }
fn b_base(group: u32) -> u32 {
  let key_value_head = group % n_heads / (n_heads / n_key_value_heads);
  return (group / n_heads * run.key_stride * n_key_value_heads + key_value_head) * k_stride;
}
fn store(group: u32, row: u32, column: u32, value: f32) {
  var score = product(value, ${wgslFloat(Number(options.scale))});
  #if ${options.softCap}
  score = ${wgslFloat(Number(options.softCap))} * hyperbolic_tangent(divide(score, ${wgslFloat(Number(options.softCap))}));
  #endif
  let position = first_pos[group / n_heads] + row;
  out[(group * run.pos + row) * run.keys + column] = select(stored(score), ${wgslFloat(MASKED)}, column > position);
}
${productMain(tilingOf(options, sizes(dims)), {
  block: BLOCK,
  wholeSegments: dims.d_head % SEGMENT === 0,
  a: { name: 'q', vectors: dims.d_head % 4 === 0 },
  b: { name: 'k_rows', layout: 'nk', vectors: dims.d_head % 4 === 0 },
  wholeColumns: true,
  blocksAreValues: false,
  storeBlocks: false,
})}
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims)), sizes(dims)),
  product: sizes,
};

export const attentionScoresTruth: KernelTruth = {
  reference: (inputs, dims, { scale, softCap }) => ({
    out: forEachScore(
      inputs,
      dims,
      (dot) => {
        const score = dot * Math.fround(Number(scale));
        return softCap ? Number(softCap) * Math.tanh(score / Number(softCap)) : score;
      },
      MASKED,
    ),
  }),
  // γ over the dot product and its scaling, and their underflow. The soft cap adds what soft_cap.ts does; it passes on at most
  // what it is given, as tanh's slope is at most 1.
  tolerance: (inputs, dims, { scale, softCap }) => {
    const g = gamma(dotRoundings(dims.d_head) + 1);
    const underflow = dotUnderflow(dims.d_head, inputs.q, inputs.k_rows);
    const cap = Number(softCap);
    const ulps = divideTruth.maxUlp + hyperbolicTangentTruth.maxUlp + 1.5;
    const bound = (dot: number, magnitude: number) => {
      const linear = (g * magnitude + underflow) * Math.abs(Number(scale)) + SMALLEST_NORMAL;
      if (!softCap) return linear;
      const capped = Math.abs(cap * Math.tanh((dot * Number(scale)) / cap)) + linear;
      return linear + 2 * U * ulps * capped + 2 * (1 + cap) * SMALLEST_NORMAL;
    };
    return { out: forEachScore(inputs, dims, bound, 0) };
  },
};

function forEachScore(
  { q, k_rows, first_pos }: Arrays,
  { batch, pos, keys, key_stride, n_heads, n_key_value_heads, d_head }: Dims,
  score: (dot: number, magnitude: number) => number,
  masked: number,
): Float64Array {
  const out = new Float64Array(batch * n_heads * pos * keys).fill(masked);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < n_heads; h++) {
      const keyHead = Math.floor((h * n_key_value_heads) / n_heads);
      for (let query = 0; query < pos; query++) {
        for (let key = 0; key < keys && key <= first_pos[b] + query; key++) {
          let dot = 0;
          let magnitude = 0;
          for (let i = 0; i < d_head; i++) {
            const term =
              q[((b * pos + query) * n_heads + h) * d_head + i] *
              k_rows[((b * key_stride + key) * n_key_value_heads + keyHead) * d_head + i];
            dot += term;
            magnitude += Math.abs(term);
          }
          out[((b * n_heads + h) * pos + query) * keys + key] = score(dot, magnitude);
        }
      }
    }
  }
  return out;
}
