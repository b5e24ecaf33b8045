// unembed: logits[batch, pos, :] = x[batch, pos, :] · W_Uᵀ + b_U,  W_U stored as rows [d_vocab_out, d_model], as embeddings are:
// a tied embedding serves both ends from one buffer. Rows are padded to whole vec4.
// A W_U larger than one binding comes in pieces of consecutive rows; each dispatch writes the columns
// `first_column` … `first_column + d_vocab_out − 1` of `d_vocab_total`.
// With last_pos only the logits of one position of each row are computed: outputs is then 1, otherwise pos.
// Order: segments and blocks along d_model (kernel.ts), then the bias.
// Cost: 2·d_model flops per element.
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
  rows: dims.batch * dims.outputs,
  columns: dims.d_vocab_out,
  depth: dims.d_model,
  groups: 1,
  layout: 'nk',
  hasWeights: true,
});

export const unembed: Kernel = {
  name: 'unembed',
  bindings: ({ d_model }) => [
    vectorizable('x', 'input', ['batch', 'pos', 'd_model'], d_model),
    d_model % 4 === 0
      ? { name: 'W_U', role: 'weight', shape: ['d_vocab_out', 'd_model_vec4'], element: 'vec4f' }
      : { name: 'W_U', role: 'weight', shape: ['d_vocab_out', 'row_stride'], element: 'f32' },
    { name: 'b_U', role: 'weight', shape: ['d_vocab_total'], element: 'f32' },
    { name: 'last_pos', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'out', role: 'output', shape: ['batch', 'outputs', 'd_vocab_total'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ dims, options, has, matrices }) => wgsl`
const first_column = ${options.firstColumn}u;
const b_stride_n = ${dims.d_model % 4 === 0 ? 'd_model_vec4' : 'row_stride'};
const b_stride_k = 1u;
fn row_count() -> u32 { return run.batch * run.outputs; }
fn x_row(row: u32) -> u32 { return ${has('last_pos') ? 'row * run.pos + last_pos[row]' : 'row'}; }
fn column_count(group: u32) -> u32 { return d_vocab_out; }
fn depth() -> u32 { return d_model; }
fn a_base(group: u32, row: u32) -> u32 { return x_row(row) * ${dims.d_model % 4 === 0 ? 'd_model_vec4' : 'd_model'}; }
fn b_base(group: u32) -> u32 { return 0u; }
fn store(group: u32, row: u32, column: u32, value: f32) {
  #if ${has('b_U')}
  out[row * d_vocab_total + first_column + column] = stored(plus(value, b_U[first_column + column]));
  #else
  out[row * d_vocab_total + first_column + column] = stored(value);
  #endif
}
${productMain(tilingOf(options, sizes(dims)), {
  block: BLOCK,
  wholeSegments: dims.d_model % SEGMENT === 0,
  a: { name: 'x', vectors: dims.d_model % 4 === 0 },
  b: { name: 'W_U', layout: 'nk', vectors: dims.d_model % 4 === 0, format: matrices?.W_U?.format },
  wholeColumns: true,
  blocksAreValues: false,
  storeBlocks: false,
})}
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims)), sizes(dims)),
  product: sizes,
};

export const unembedTruth: KernelTruth = {
  reference: ({ x, W_U, b_U, last_pos }, dims, { firstColumn }) => {
    const { batch, pos, outputs, d_model, d_vocab_out, d_vocab_total, row_stride } = dims;
    const rows = batch * outputs;
    const out = new Float64Array(rows * d_vocab_total);
    for (let row = 0; row < rows; row++) {
      const xRow = last_pos ? row * pos + last_pos[row] : row;
      for (let n = 0; n < d_vocab_out; n++) {
        const column = Number(firstColumn) + n;
        let sum = 0;
        for (let d = 0; d < d_model; d++) sum += x[xRow * d_model + d] * W_U[n * row_stride + d];
        out[row * d_vocab_total + column] = sum + (b_U ? b_U[column] : 0);
      }
    }
    return { out };
  },
  // As matmul.
  tolerance: ({ x, W_U, b_U, last_pos }, dims, options) => {
    const absolute = {
      ...(last_pos && { last_pos }),
      x: x.map(Math.abs),
      W_U: W_U.map(Math.abs),
      ...(b_U && { b_U: b_U.map(Math.abs) }),
    };
    const g = gamma(dotRoundings(dims.d_model) + 1);
    const underflow = dotUnderflow(dims.d_model, x, W_U);
    return { out: unembedTruth.reference(absolute, dims, options).out.map((m) => g * m + U * m + underflow) };
  },
};
