// attention_values: z[batch, query, head, :] = Σ_key pattern[batch, head, query, key] · v[batch, key, head', :]
//   head' = ⌊head · n_key_value_heads / n_heads⌋.
// All keys take part: a masked one has weight 0 and adds exactly nothing, and a pattern that somebody wrote counts everywhere.
// Order: segments and blocks of keys (kernel.ts), counted from the first position.
// Cost: 2·keys flops per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import {
  type Arrays,
  BLOCK,
  type Dims,
  dotRoundings,
  dotUnderflow,
  gamma,
  type Kernel,
  type KernelTruth,
  type ProductSizes,
  vectorizable,
} from './kernel.ts';
import { productMain, productWorkgroups, tilingOf } from './tiling.ts';

const sizes = (dims: Dims): ProductSizes => ({
  rows: dims.pos,
  columns: dims.d_head,
  depth: dims.keys,
  groups: dims.batch * dims.n_heads,
  layout: 'kn',
  hasWeights: false,
});

export const attentionValues: Kernel = {
  name: 'attention_values',
  bindings: ({ d_head }) => [
    { name: 'pattern', role: 'input', shape: ['batch', 'n_heads', 'pos', 'keys'], element: 'f32' },
    vectorizable('v', 'input', ['batch', 'key_stride', 'n_key_value_heads', 'd_head'], d_head),
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'n_heads', 'd_head'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ dims, options }) => wgsl`
const v_stride = ${dims.d_head % 4 === 0 ? 'd_head_vec4' : 'd_head'};
const b_stride_k = n_key_value_heads * v_stride;
const b_stride_n = 1u;
fn row_count() -> u32 { return run.pos; }
fn column_count(group: u32) -> u32 { return d_head; }
fn depth() -> u32 { return run.keys; }
fn a_base(group: u32, row: u32) -> u32 { return (group * run.pos + row) * run.keys; }
fn b_base(group: u32) -> u32 {
  let key_value_head = group % n_heads / (n_heads / n_key_value_heads);
  return (group / n_heads * run.key_stride * n_key_value_heads + key_value_head) * v_stride;
}
fn store(group: u32, row: u32, column: u32, value: f32) {
  out[((group / n_heads * run.pos + row) * n_heads + group % n_heads) * d_head + column] = stored(value);
}
${productMain(tilingOf(options, sizes(dims)), {
  block: BLOCK,
  wholeSegments: false,
  a: { name: 'pattern', vectors: false },
  b: { name: 'v', layout: 'kn', vectors: dims.d_head % 4 === 0 },
  wholeColumns: dims.d_head % 4 === 0,
  blocksAreValues: false,
  storeBlocks: false,
})}
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims)), sizes(dims)),
  product: sizes,
};

export const attentionValuesTruth: KernelTruth = {
  reference: (inputs, dims) => ({ out: weigh(inputs, dims, (v) => v) }),
  // γ over the roundings of the fixed order times Σ|pattern||v|, and underflow.
  tolerance: (inputs, dims) => {
    const g = gamma(dotRoundings(dims.keys) + 1);
    const underflow = dotUnderflow(dims.keys, inputs.pattern, inputs.v);
    return { out: weigh(inputs, dims, Math.abs).map((m) => g * m + underflow) };
  },
};

function weigh({ pattern, v }: Arrays, dims: Dims, of: (term: number) => number): Float64Array {
  const { batch, pos, keys, key_stride, n_heads, n_key_value_heads, d_head } = dims;
  const out = new Float64Array(batch * pos * n_heads * d_head);
  for (let b = 0; b < batch; b++) {
    for (let query = 0; query < pos; query++) {
      for (let h = 0; h < n_heads; h++) {
        const valueHead = Math.floor((h * n_key_value_heads) / n_heads);
        for (let i = 0; i < d_head; i++) {
          let sum = 0;
          for (let key = 0; key < keys; key++) {
            sum += of(
              pattern[((b * n_heads + h) * pos + query) * keys + key] *
                v[((b * key_stride + key) * n_key_value_heads + valueHead) * d_head + i],
            );
          }
          out[((b * pos + query) * n_heads + h) * d_head + i] = sum;
        }
      }
    }
  }
  return out;
}
