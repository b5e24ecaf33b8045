// head_projection: out[batch, pos, head_index, :] = x[batch, pos, head_index, :] · W[:, head_index, :] + b[head_index, :]
// What matmul does for queries, keys and values, where every head has an input of its own (somebody wrote it). W is matmul's.
// Order: segments and blocks along d_in (kernel.ts), then the bias: the bits are matmul's if all inputs are the same.
// Cost: 2·d_in flops per element; W is read once per tile of rows.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import {
  BLOCK,
  type Dims,
  dotRoundings,
  dotUnderflow,
  gamma,
  type Kernel,
  type KernelTruth,
  type ProductSizes,
  SEGMENT,
  U,
  vectorizable,
} from './kernel.ts';
import { productMain, productWorkgroups, tilingOf } from './tiling.ts';

const sizes = (dims: Dims): ProductSizes => ({
  rows: dims.batch * dims.pos,
  columns: dims.d_head,
  depth: dims.d_in,
  groups: dims.n_heads,
  layout: 'kn',
  hasWeights: true,
});

export const headProjection: Kernel = {
  name: 'head_projection',
  bindings: ({ d_in, d_head }) => [
    vectorizable('x', 'input', ['batch', 'pos', 'n_heads', 'd_in'], d_in),
    d_head % 4 === 0
      ? { name: 'W', role: 'weight', shape: ['d_in', 'd_out_vec4'], element: 'vec4f' }
      : { name: 'W', role: 'weight', shape: ['d_in', 'row_stride'], element: 'f32' },
    { name: 'b', role: 'weight', shape: ['n_heads', 'd_head'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'n_heads', 'd_head'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ dims, options, has, matrices }) => wgsl`
const b_stride_k = ${dims.d_head % 4 === 0 ? 'd_out_vec4' : 'row_stride'};
const b_stride_n = 1u;
fn row_count() -> u32 { return run.batch * run.pos; }
fn column_count(group: u32) -> u32 { return d_head; }
fn depth() -> u32 { return d_in; }
fn a_base(group: u32, row: u32) -> u32 { return (row * n_heads + group) * ${dims.d_in % 4 === 0 ? 'd_in / 4u' : 'd_in'}; }
fn b_base(group: u32) -> u32 { return group * ${dims.d_head % 4 === 0 ? 'd_head / 4u' : 'd_head'}; }
fn store(group: u32, row: u32, column: u32, value: f32) {
  #if ${has('b')}
  out[(row * n_heads + group) * d_head + column] = stored(plus(value, b[group * d_head + column]));
  #else
  out[(row * n_heads + group) * d_head + column] = stored(value);
  #endif
}
${productMain(tilingOf(options, sizes(dims)), {
  block: BLOCK,
  wholeSegments: dims.d_in % SEGMENT === 0,
  a: { name: 'x', vectors: dims.d_in % 4 === 0 },
  b: { name: 'W', layout: 'kn', vectors: dims.d_head % 4 === 0, format: matrices?.W?.format },
  wholeColumns: dims.d_head % 4 === 0,
  blocksAreValues: false,
  storeBlocks: false,
})}
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims)), sizes(dims)),
  product: sizes,
};

export const headProjectionTruth: KernelTruth = {
  reference: ({ x, W, b }, { n_heads, d_in, d_head, row_stride }) => {
    const rows = x.length / (n_heads * d_in);
    const out = new Float64Array(rows * n_heads * d_head);
    for (let row = 0; row < rows; row++) {
      for (let h = 0; h < n_heads; h++) {
        for (let i = 0; i < d_head; i++) {
          let sum = b ? b[h * d_head + i] : 0;
          for (let d = 0; d < d_in; d++) sum += x[(row * n_heads + h) * d_in + d] * W[d * row_stride + h * d_head + i];
          out[(row * n_heads + h) * d_head + i] = sum;
        }
      }
    }
    return { out };
  },
  // As matmul: γ over the roundings of the fixed order times Σ|x||W|, one rounding for the bias; and underflow.
  tolerance: ({ x, W, b }, dims) => {
    const absolute = { x: x.map(Math.abs), W: W.map(Math.abs), ...(b && { b: b.map(Math.abs) }) };
    const g = gamma(dotRoundings(dims.d_in) + 1);
    const underflow = dotUnderflow(dims.d_in, x, W);
    return { out: headProjectionTruth.reference(absolute, dims, {}).out.map((m) => g * m + U * m + underflow) };
  },
};
