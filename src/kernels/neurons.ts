// neurons: the MLP's first half in one dispatch, post = act(x·W + b); in a gated MLP post = act(x·W + b) · (x·W_linear) + b_in.
// Where nobody asks for `hook_pre`, `hook_pre_linear` or `hook_gate`, it stands for `matmul` and `activation`, with their bits: what
// they would store is rounded as if it had been.
// W and W_linear are [d_in, d_out] with columns side by side, padded to whole vec4. Gated, an invocation has the same columns of both.
// Order: segments and blocks along d_in (kernel.ts), then the bias.
// Cost: 2·d_in flops per element (gated twice that), and the activation's.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { ACTIVATIONS, activationTruth } from './activation.ts';
import {
  type Arrays,
  BLOCK,
  type Dims,
  type Kernel,
  type KernelTruth,
  type Options,
  type ProductSizes,
  SEGMENT,
  U,
  vectorizable,
} from './kernel.ts';
import { multiply, productBound } from './matmul.ts';
import { productMain, productWorkgroups, tilingOf } from './tiling.ts';

const sizes = (dims: Dims, { gated }: Options): ProductSizes => ({
  rows: dims.batch * dims.pos,
  columns: gated ? 8 * dims.d_out_vec4 : dims.d_out,
  depth: dims.d_in,
  groups: 1,
  layout: 'kn',
  hasWeights: true,
  hasPairs: Boolean(gated),
});

export const neurons: Kernel = {
  name: 'neurons',
  bindings: ({ d_in }) => [
    vectorizable('x', 'input', ['batch', 'pos', 'd_in'], d_in),
    { name: 'W', role: 'weight', shape: ['d_in', 'd_out_vec4'], element: 'vec4f' },
    { name: 'b', role: 'weight', shape: ['d_out'], element: 'f32' },
    { name: 'W_linear', role: 'weight', shape: ['d_in', 'd_out_vec4'], element: 'vec4f' },
    { name: 'b_in', role: 'weight', shape: ['d_out'], element: 'f32' },
    { name: 'post', role: 'output', shape: ['batch', 'pos', 'd_out'], element: 'f32' },
  ],
  functions: (options) => ACTIVATIONS[String(options.actFn)].functions,
  wgsl: ({ dims, options, has, matrices }) => wgsl`
const b_stride_k = d_out_vec4;
fn row_count() -> u32 { return run.batch * run.pos; }
fn column_count(group: u32) -> u32 { return d_out; }
fn depth() -> u32 { return d_in; }
fn a_base(group: u32, row: u32) -> u32 { return row * ${dims.d_in % 4 === 0 ? 'd_in / 4u' : 'd_in'}; }
fn b_base(group: u32) -> u32 { return 0u; }
fn act(x: f32) -> f32 {
  ${ACTIVATIONS[String(options.actFn)].wgsl}
}
fn neuron(column: u32, value: f32) -> f32 {
  #if ${has('b')}
  let pre = materialised(plus(value, b[column]));
  #else
  let pre = materialised(value);
  #endif
  return stored(act(pre));
}
#if ${has('W_linear')}
fn store_pair(group: u32, row: u32, column: u32, partner_column: u32, value: f32, linear: f32) {
  let gate = materialised(neuron(column, value));
  #if ${has('b_in')}
  post[row * d_out + column] = stored(mul_add(gate, materialised(linear), b_in[column]));
  #else
  post[row * d_out + column] = stored(product(gate, materialised(linear)));
  #endif
}
#else
fn store(group: u32, row: u32, column: u32, value: f32) {
  post[row * d_out + column] = neuron(column, value);
}
#endif
${productMain(tilingOf(options, sizes(dims, options)), {
  block: BLOCK,
  wholeSegments: dims.d_in % SEGMENT === 0,
  a: { name: 'x', vectors: dims.d_in % 4 === 0 },
  b: { name: 'W', layout: 'kn', vectors: true, format: matrices?.W?.format },
  ...(has('W_linear') && {
    pairs: { count: 'd_out_vec4', first: (pair) => `${pair} * 4u`, partner: 'W_linear' },
  }),
  wholeColumns: dims.d_out % 4 === 0,
  blocksAreValues: false,
  storeBlocks: false,
})}
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims, options)), sizes(dims, options)),
  product: sizes,
};

export const neuronsTruth: KernelTruth = {
  reference: (inputs, dims, options) => ({ post: activated(inputs, dims, options).post }),
  // An error of the products goes through the activation, whose slope is at most 1.13 (gelu's; relu 1, silu 1.1), and the gate's through
  // its product; the activation adds its own bound, taken of the exact argument and, with its ULPs, of the error.
  tolerance: (inputs, dims, options) => {
    const { pre, linear, gate } = activated(inputs, dims, options);
    const ofPre = productBound(inputs, dims);
    const own = activationTruth.tolerance(ofActivation(inputs, pre, linear), { ...dims, d_mlp: dims.d_out }, options);
    const slope = 1.13 * (1 + 2048 * U);
    const ofGate = ofPre.map((error, i) => slope * error + own.gate[i]);
    if (!linear) return { post: ofGate };
    const ofLinear = productBound({ x: inputs.x, W: inputs.W_linear }, dims);
    return {
      post: ofGate.map((error, i) => {
        const inherited = slope * ofPre[i] * (Math.abs(linear[i]) + ofLinear[i]) + Math.abs(gate[i]) * ofLinear[i];
        return own.post[i] + (inherited + error * ofLinear[i]) * (1 + 4 * U);
      }),
    };
  },
};

const ofActivation = ({ b_in }: Arrays, pre: Float64Array, linear: Float64Array | null): Arrays => ({
  ...{ pre, ...(linear && { pre_linear: linear }), ...(linear && b_in && { b_in }) },
});

function activated(inputs: Arrays, dims: Dims, options: Options) {
  const exactly = (v: number) => v;
  const pre = multiply(inputs, dims, exactly);
  const linear = inputs.W_linear ? multiply({ x: inputs.x, W: inputs.W_linear }, dims, exactly) : null;
  const { gate, post } = activationTruth.reference(ofActivation(inputs, pre, linear), { d_mlp: dims.d_out }, options);
  return { pre, linear, gate, post };
}
