// add: out = a + b, element by element: the residual stream's only operation.
// One correctly rounded addition per element. Cost: 12 bytes, 1 flop.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Kernel, type KernelTruth, LINEAR_INDEX, linearWorkgroups, SMALLEST_NORMAL, U } from './kernel.ts';

const WORKGROUP = 64;

export const add: Kernel = {
  name: 'add',
  bindings: () => [
    { name: 'a', role: 'input', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
    { name: 'b', role: 'input', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: () => wgsl`
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * run.pos * d_model) { return; }
  out[i] = stored(a[i] + b[i]);
}
`,
  workgroups: (dims) => linearWorkgroups(dims.batch * dims.pos * dims.d_model, WORKGROUP),
};

export const addTruth: KernelTruth = {
  reference: ({ a, b }) => ({ out: a.map((x, i) => x + b[i]) }),
  // One rounding: u·|a + b|. Whatever is below 2⁻¹²⁶ may be taken as 0: a, b and the sum.
  tolerance: ({ a, b }) => ({ out: a.map((x, i) => U * Math.abs(x + b[i]) + tiny(x) + tiny(b[i]) + tiny(x + b[i])) }),
};

/** What is lost where x is taken as 0 because it is below 2⁻¹²⁶. */
function tiny(x: number): number {
  return Math.abs(x) < SMALLEST_NORMAL ? Math.abs(x) : 0;
}
