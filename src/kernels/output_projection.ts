// output_projection: what attention writes to the residual stream.
//   result[batch, pos, head_index, :] = z[batch, pos, head_index, :] · W_O[head_index, :, :]
//   out[batch, pos, :] = Σ_head result[batch, pos, head_index, :] + b_O
// With a residual, out is residual + that sum, which is rounded by itself, as if it had been stored before the addition.
// Order: the blocks of this product are the heads (segments of 8 inside, as everywhere), and heads are added in order: `result`
// is therefore exactly what `out` adds up, and storing it costs its memory and no second product. If somebody edited it, it is
// given and only added up.
// Cost: 2·n_heads·d_head flops per element of out.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import {
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
import { productMain, productWorkgroups, type Tiling, tileOfWorkgroup, tilingOf, workgroupSize } from './tiling.ts';

const sizes = (dims: Dims): ProductSizes => ({
  rows: dims.batch * dims.pos,
  columns: dims.d_model,
  depth: dims.n_heads * dims.d_head,
  groups: 1,
  layout: 'kn',
  hasWeights: true,
});

export const outputProjection: Kernel = {
  name: 'output_projection',
  bindings: ({ d_head }) => [
    vectorizable('z', 'input', ['batch', 'pos', 'n_heads', 'd_head'], d_head),
    { name: 'W_O', role: 'weight', shape: ['n_heads', 'd_head', 'd_model_vec4'], element: 'vec4f' },
    { name: 'b_O', role: 'weight', shape: ['d_model'], element: 'f32' },
    { name: 'given_result', role: 'input', shape: ['batch', 'pos', 'n_heads', 'd_model'], element: 'f32' },
    { name: 'residual', role: 'input', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
    { name: 'result', role: 'output', shape: ['batch', 'pos', 'n_heads', 'd_model'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ dims, options, has, matrices }) => wgsl`
const b_stride_k = d_model_vec4;
fn row_count() -> u32 { return run.batch * run.pos; }
fn column_count(group: u32) -> u32 { return d_model; }
fn depth() -> u32 { return n_heads * d_head; }
fn a_base(group: u32, row: u32) -> u32 { return row * n_heads * ${dims.d_head % 4 === 0 ? 'd_head / 4u' : 'd_head'}; }
fn b_base(group: u32) -> u32 { return 0u; }
#if ${has('result')}
fn store_block(group: u32, row: u32, head: u32, column: u32, value: f32) {
  result[(row * n_heads + head) * d_model + column] = value;
}
#endif
fn store(group: u32, row: u32, column: u32, value: f32) {
  #if ${has('b_O')}
  let sum = plus(value, b_O[column]);
  #else
  let sum = value;
  #endif
  let i = row * d_model + column;
  #if ${has('out') && has('residual')}
  out[i] = stored(plus(residual[i], materialised(sum)));
  #elif ${has('out')}
  out[i] = stored(sum);
  #endif
}
#if ${has('given_result')}
${sumOfHeads(tilingOf(options, sizes(dims)))}
#else
${productMain(tilingOf(options, sizes(dims)), {
  block: dims.d_head,
  wholeSegments: dims.d_head % SEGMENT === 0,
  a: { name: 'z', vectors: dims.d_head % 4 === 0 },
  b: { name: 'W_O', layout: 'kn', vectors: true, format: matrices?.W_O?.format },
  wholeColumns: dims.d_model % 4 === 0,
  blocksAreValues: true,
  storeBlocks: has('result'),
})}
#endif
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims)), sizes(dims)),
  product: sizes,
};

export const outputProjectionTruth: KernelTruth = {
  reference: ({ z, W_O, b_O, given_result, residual }, { n_heads, d_head, d_model, d_model_vec4 }) => {
    const rows = z.length / (n_heads * d_head);
    const result = new Float64Array(rows * n_heads * d_model);
    const out = new Float64Array(rows * d_model);
    for (let row = 0; row < rows; row++) {
      for (let n = 0; n < d_model; n++) {
        let total = b_O ? b_O[n] : 0;
        for (let head = 0; head < n_heads; head++) {
          let sum = 0;
          for (let i = 0; i < d_head; i++) {
            sum += z[(row * n_heads + head) * d_head + i] * W_O[(head * d_head + i) * d_model_vec4 * 4 + n];
          }
          result[(row * n_heads + head) * d_model + n] = sum;
          total += given_result ? given_result[(row * n_heads + head) * d_model + n] : sum;
        }
        out[row * d_model + n] = total + (residual ? residual[row * d_model + n] : 0);
      }
    }
    return { result, out };
  },
  // γ over a head's product and additions; n_heads additions and the bias more for the sum. And underflow. With a residual one
  // rounding more, and what is below 2⁻¹²⁶ may be taken as 0.
  tolerance: (inputs, dims) => {
    const { z, W_O, b_O, residual } = inputs;
    const magnitude = outputProjectionTruth.reference(
      { z: z.map(Math.abs), W_O: W_O.map(Math.abs), ...(b_O && { b_O: b_O.map(Math.abs) }) },
      dims,
      {},
    );
    const depth = dims.d_head * dims.n_heads;
    const ofResult = gamma(dotRoundings(dims.d_head, dims.d_head));
    const ofOut = gamma(dotRoundings(depth, dims.d_head) + 1) + U;
    const underflow = dotUnderflow(depth, z, W_O);
    const result = magnitude.result.map((m) => ofResult * m + underflow);
    const bound = magnitude.out.map((m) => ofOut * m + underflow);
    if (!residual) return { result, out: bound };
    const { out } = outputProjectionTruth.reference(inputs, dims, {});
    return {
      result,
      out: bound.map((error, i) => error + U * (Math.abs(out[i]) + error) + 2 * SMALLEST_NORMAL),
    };
  },
};

/** `main` where the heads' results are given: the same sum over heads, on the same grid of tiles. */
function sumOfHeads(tiling: Tiling): string {
  const { rows, columns } = tileOfWorkgroup(tiling);
  const size = workgroupSize(tiling);
  return wgsl`
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  for (var i = local; i < ${rows * columns}u; i += ${size}u) {
    let row = workgroup.y * ${rows}u + i / ${columns}u;
    let column = workgroup.x * ${columns}u + i % ${columns}u;
    if (row >= row_count() || column >= d_model) { continue; }
    var total = 0.0;
    for (var head = 0u; head < n_heads; head++) {
      total = plus(total, given_result[(row * n_heads + head) * d_model + column]);
    }
    store(0u, row, column, total);
  }
}
`;
}
