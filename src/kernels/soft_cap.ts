// soft_cap: out = cap·tanh(x / cap), which keeps logits within ±cap (Gemma 2's output_logits_soft_cap).
// Source: Gemma Team 2024, arXiv:2408.00118, §2. Cost: 8 bytes, about 40 flops per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide, divideTruth } from './functions/divide.ts';
import { hyperbolicTangent, hyperbolicTangentTruth } from './functions/hyperbolic_tangent.ts';
import {
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  SMALLEST_NORMAL,
  U,
  wgslFloat,
} from './kernel.ts';

const WORKGROUP = 64;

export const softCap: Kernel = {
  name: 'soft_cap',
  bindings: () => [
    { name: 'x', role: 'input', shape: ['batch', 'outputs', 'd_vocab_out'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'outputs', 'd_vocab_out'], element: 'f32' },
  ],
  functions: () => [divide, hyperbolicTangent],
  wgsl: ({ options }) => wgsl`
const cap = ${wgslFloat(Number(options.cap))};
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * run.outputs * d_vocab_out) { return; }
  out[i] = stored(cap * hyperbolic_tangent(divide(x[i], cap)));
}
`,
  workgroups: ({ batch, outputs, d_vocab_out }) => linearWorkgroups(batch * outputs * d_vocab_out, WORKGROUP),
};

export const softCapTruth: KernelTruth = {
  reference: ({ x }, _, { cap }) => ({ out: x.map((v) => Number(cap) * Math.tanh(v / Number(cap))) }),
  // Relatively: tanh's condition is at most 1, so the division's ULPs and tanh's add up; the product and the cap's own rounding
  // (twice, it divides too) a half each. A quotient below 2⁻¹²⁶ may be 0, which the cap multiplies, and so may the product.
  tolerance: ({ x }, dims, options) => {
    const ulps = divideTruth.maxUlp + hyperbolicTangentTruth.maxUlp + 1.5;
    const { out } = softCapTruth.reference({ x }, dims, options);
    return { out: out.map((v) => 2 * U * ulps * Math.abs(v) + 2 * (1 + Number(options.cap)) * SMALLEST_NORMAL) };
  },
};
