// matmul: out[batch, pos, :] = x[batch, pos, :] · W + b,  W [d_in, d_out] with columns side by side, padded to whole vec4.
// With a residual, out is residual + (x · W + b): the sum is rounded by itself, as if it had been stored before the addition.
// Used for queries, keys, values and both MLP matrices. One kernel for many rows and for few: only the tile differs.
// Order: segments and blocks along d_in (kernel.ts), then the bias.
// Cost: 2·d_in flops per element; W is read once per tile of rows.
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
  SEGMENT,
  SMALLEST_NORMAL,
  U,
  vectorizable,
} from './kernel.ts';
import { productMain, productWorkgroups, tilingOf } from './tiling.ts';

const sizes = (dims: Dims): ProductSizes => ({
  rows: dims.batch * dims.pos,
  columns: dims.d_out,
  depth: dims.d_in,
  groups: 1,
  layout: 'kn',
  hasWeights: true,
});

export const matmul: Kernel = {
  name: 'matmul',
  bindings: ({ d_in }) => [
    vectorizable('x', 'input', ['batch', 'pos', 'd_in'], d_in),
    { name: 'W', role: 'weight', shape: ['d_in', 'd_out_vec4'], element: 'vec4f' },
    { name: 'b', role: 'weight', shape: ['d_out'], element: 'f32' },
    { name: 'residual', role: 'input', shape: ['batch', 'pos', 'd_out'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'd_out'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ dims, options, has, matrices }) => wgsl`
const b_stride_k = d_out_vec4;
fn row_count() -> u32 { return run.batch * run.pos; }
fn column_count(group: u32) -> u32 { return d_out; }
fn depth() -> u32 { return d_in; }
fn a_base(group: u32, row: u32) -> u32 { return row * ${dims.d_in % 4 === 0 ? 'd_in / 4u' : 'd_in'}; }
fn b_base(group: u32) -> u32 { return 0u; }
fn store(group: u32, row: u32, column: u32, value: f32) {
  #if ${has('b')}
  let sum = plus(value, b[column]);
  #else
  let sum = value;
  #endif
  let i = row * d_out + column;
  #if ${has('residual')}
  out[i] = stored(plus(residual[i], materialised(sum)));
  #else
  out[i] = stored(sum);
  #endif
}
${productMain(tilingOf(options, sizes(dims)), {
  block: BLOCK,
  wholeSegments: dims.d_in % SEGMENT === 0,
  a: { name: 'x', vectors: dims.d_in % 4 === 0 },
  b: { name: 'W', layout: 'kn', vectors: true, format: matrices?.W?.format },
  wholeColumns: dims.d_out % 4 === 0,
  blocksAreValues: false,
  storeBlocks: false,
})}
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims)), sizes(dims)),
  product: sizes,
};

export const matmulTruth: KernelTruth = {
  reference: ({ x, W, b, residual }, dims) => ({
    out: multiply({ x, W, b }, dims, (v) => v).map((sum, i) => sum + (residual ? residual[i] : 0)),
  }),
  // γ over the roundings of the fixed order times Σ|x||W|, one rounding for the bias, and underflow; with a residual one rounding more,
  // and what is below 2⁻¹²⁶ may be taken as 0.
  tolerance: ({ x, W, b, residual }, dims) => {
    const bound = productBound({ x, W, b }, dims);
    if (!residual) return { out: bound };
    const { out } = matmulTruth.reference({ x, W, b, residual }, dims, {});
    return { out: bound.map((error, i) => error + U * (Math.abs(out[i]) + error) + 2 * SMALLEST_NORMAL) };
  },
};

/** Bound on the error of x·W + b in the fixed order. */
export function productBound({ x, W, b }: Arrays, dims: Dims): Float64Array {
  const g = gamma(dotRoundings(dims.d_in) + 1);
  const underflow = dotUnderflow(dims.d_in, x, W);
  return multiply({ x, W, b }, dims, Math.abs).map((m) => g * m + U * m + underflow);
}

/** x·W + b in float64, of each term and of the bias what `of` makes of it. */
export function multiply({ x, W, b }: Arrays, dims: Dims, of: (v: number) => number): Float64Array {
  const { d_in, d_out, d_out_vec4 } = dims;
  const rows = x.length / d_in;
  const out = new Float64Array(rows * d_out);
  for (let m = 0; m < rows; m++) {
    for (let n = 0; n < d_out; n++) {
      let sum = 0;
      for (let k = 0; k < d_in; k++) sum += of(x[m * d_in + k] * W[k * d_out_vec4 * 4 + n]);
      out[m * d_out + n] = sum + (b ? of(b[n]) : 0);
    }
  }
  return out;
}
