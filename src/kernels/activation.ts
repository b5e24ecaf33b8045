// activation: post = act(pre), or in a gated MLP  gate = act(pre), post = gate · pre_linear + b_in.
//   relu(x) = max(x, 0)                         silu(x) = x·σ(x)
//   gelu(x) = x·Φ(x)                            gelu_new(x) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³)
// gelu_new is ½x(1 + tanh u) rewritten: 1 + tanh u cancels for negative x, σ(2u) does not.
// `gate` is stored only if somebody wants it. The bias after the product is TransformerLens's (b_in of its gated MLP).
// Source: Hendrycks, Gimpel 2016, arXiv:1606.08415; Shazeer 2020, arXiv:2002.05202.
// Cost: 8 (gated 12) bytes, up to about 60 flops per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { normalCumulative, normalCumulativeTruth } from './functions/normal_cumulative.ts';
import { sigmoid, sigmoidTruth } from './functions/sigmoid.ts';
import {
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  type Options,
  SMALLEST_NORMAL,
  U,
} from './kernel.ts';
import type { ScalarFunction } from './prelude.ts';

const WORKGROUP = 64;
const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

interface Activation {
  readonly functions: readonly ScalarFunction[];
  /** WGSL body of `fn act(x: f32) -> f32`. */
  readonly wgsl: string;
}

/** By the names that TransformerLens gives them. */
export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  // Zero from -0 to -infinity, as integers: a NaN of either sign stays.
  relu: {
    functions: [],
    wgsl: 'return select(x, 0.0, bitcast<u32>(x) - 0x80000000u <= 0x7f800000u);',
  },
  silu: {
    functions: [sigmoid],
    wgsl: 'return product(x, sigmoid(x));',
  },
  gelu: {
    functions: [normalCumulative],
    wgsl: 'return product(x, normal_cumulative(x));',
  },
  gelu_new: {
    functions: [sigmoid],
    wgsl: `let factor = mul_add(product(x, x), ${Math.fround(2 * SQRT_2_OVER_PI * 0.044715)}f, ${Math.fround(2 * SQRT_2_OVER_PI)}f);
  return product(x, sigmoid(product(x, factor)));`,
  },
};

function activation_(options: Options): Activation {
  return ACTIVATIONS[String(options.actFn)];
}

export const activation: Kernel = {
  name: 'activation',
  bindings: () => [
    { name: 'pre', role: 'input', shape: ['batch', 'pos', 'd_mlp'], element: 'f32' },
    { name: 'pre_linear', role: 'input', shape: ['batch', 'pos', 'd_mlp'], element: 'f32' },
    { name: 'b_in', role: 'weight', shape: ['d_mlp'], element: 'f32' },
    { name: 'given_gate', role: 'input', shape: ['batch', 'pos', 'd_mlp'], element: 'f32' },
    { name: 'gate', role: 'output', shape: ['batch', 'pos', 'd_mlp'], element: 'f32' },
    { name: 'post', role: 'output', shape: ['batch', 'pos', 'd_mlp'], element: 'f32' },
  ],
  functions: (options) => activation_(options).functions,
  wgsl: ({ options, has }) => wgsl`
${LINEAR_INDEX}
fn act(x: f32) -> f32 {
  ${activation_(options).wgsl}
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * run.pos * d_mlp) { return; }
  #if ${has('given_gate')}
  let activated = given_gate[i];
  #else
  let activated = stored(act(pre[i]));
  #endif
  #if ${has('gate')}
  gate[i] = activated;
  #endif
  #if ${has('post') && has('pre_linear') && has('b_in')}
  post[i] = stored(mul_add(activated, pre_linear[i], b_in[i % d_mlp]));
  #elif ${has('post') && has('pre_linear')}
  post[i] = stored(activated * pre_linear[i]);
  #elif ${has('post')}
  post[i] = activated;
  #endif
}
`,
  workgroups: ({ batch, pos, d_mlp }) => linearWorkgroups(batch * pos * d_mlp, WORKGROUP),
};

interface ActivationTruth {
  readonly reference: (x: number) => number;
  /** Bound on the float32 function's error for an exact argument. */
  readonly error: (x: number) => number;
}

/** `ulps` of a result; σ and Φ are 0 where they would be below 2⁻¹²⁶, which x multiplies, and so may the product be. */
const relative = (result: number, x: number, ulps: number) =>
  2 * U * ulps * Math.abs(result) + (1 + Math.abs(x)) * SMALLEST_NORMAL;
const silu = (x: number) => x * sigmoidTruth.reference(x);
const gelu = (x: number) => x * normalCumulativeTruth.reference(x);
const twoU = (x: number) => 2 * SQRT_2_OVER_PI * (x + 0.044715 * x ** 3);
const geluNew = (x: number) => x * sigmoidTruth.reference(twoU(x));

const ACTIVATION_TRUTHS: Readonly<Record<string, ActivationTruth>> = {
  // Exact, but that a subnormal number may be taken as 0.
  relu: { reference: (x) => Math.max(x, 0), error: (x) => (Math.abs(x) < SMALLEST_NORMAL ? Math.abs(x) : 0) },
  silu: { reference: silu, error: (x) => relative(silu(x), x, sigmoidTruth.maxUlp + 1) },
  gelu: { reference: gelu, error: (x) => relative(gelu(x), x, normalCumulativeTruth.maxUlp + 1) },
  gelu_new: {
    reference: geluNew,
    // Five roundings (two constants, three operations) in 2u, which σ turns into a relative error of |2u| times that.
    error: (x) => relative(geluNew(x), x, sigmoidTruth.maxUlp + 1 + 3 * Math.min(Math.abs(twoU(x)), 200)),
  },
};

function truthOf(options: Options): ActivationTruth {
  return ACTIVATION_TRUTHS[String(options.actFn)];
}

export const activationTruth: KernelTruth = {
  reference: ({ pre, pre_linear, b_in, given_gate }, { d_mlp }, options) => {
    const gate = given_gate ?? pre.map(truthOf(options).reference);
    const post = gate.map((g, i) => g * (pre_linear ? pre_linear[i] : 1) + (b_in ? b_in[i % d_mlp] : 0));
    return { gate, post };
  },
  // The function's own error times |pre_linear|; the product's and the sum's rounding; their underflow and that of their terms.
  tolerance: (inputs, dims, options) => {
    const { gate, post } = activationTruth.reference(inputs, dims, options);
    const { pre, pre_linear } = inputs;
    const gateBound = pre.map(truthOf(options).error);
    const factor = (i: number) => (pre_linear ? Math.abs(pre_linear[i]) : 1);
    const rounding = (i: number) =>
      pre_linear ? 2 * U * (Math.abs(gate[i]) * factor(i) + Math.abs(post[i])) + 4 * SMALLEST_NORMAL : 0;
    return { gate: gateBound, post: gateBound.map((bound, i) => bound * factor(i) * 1.001 + rounding(i)) };
  },
};
