// copy_heads: out[batch, pos, head_index, :] = x[batch, pos, :]: the residual stream, once for each head, so that each copy can be
// written. Copies, so exact. Cost: 8 bytes per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Kernel, type KernelTruth, LINEAR_INDEX, linearWorkgroups } from './kernel.ts';

const WORKGROUP = 64;

export const copyHeads: Kernel = {
  name: 'copy_heads',
  bindings: () => [
    { name: 'x', role: 'input', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'n_heads', 'd_model'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: () => wgsl`
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * run.pos * n_heads * d_model) { return; }
  out[i] = x[i / (n_heads * d_model) * d_model + i % d_model];
}
`,
  workgroups: ({ batch, pos, n_heads, d_model }) => linearWorkgroups(batch * pos * n_heads * d_model, WORKGROUP),
};

export const copyHeadsTruth: KernelTruth = {
  reference: ({ x }, { n_heads, d_model }) => {
    const out = new Float64Array(x.length * n_heads);
    for (let row = 0; row < x.length / d_model; row++) {
      for (let h = 0; h < n_heads; h++) {
        out.set(x.subarray(row * d_model, (row + 1) * d_model), (row * n_heads + h) * d_model);
      }
    }
    return { out };
  },
  tolerance: ({ x }, { n_heads }) => ({ out: new Float64Array(x.length * n_heads) }),
};
