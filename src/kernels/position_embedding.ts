// position_embedding: out[batch, pos, :] = W_pos[first_pos[batch] + pos, :], first_pos the positions already in a cache
// Copies, so exact. The batch axis is written out because every value has one. Cost: 8 bytes per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Kernel, type KernelTruth, LINEAR_INDEX, linearWorkgroups } from './kernel.ts';

const WORKGROUP = 64;

export const positionEmbedding: Kernel = {
  name: 'position_embedding',
  bindings: () => [
    { name: 'first_pos', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'W_pos', role: 'weight', shape: ['n_ctx', 'd_model'], element: 'f32' },
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
  let row = i / d_model;
  // Padding behind a shorter row may lie beyond the context: it reads the last position, and nobody reads it.
  let position = min(first_pos[row / run.pos] + row % run.pos, n_ctx - 1u);
  out[i] = stored(W_pos[position * d_model + i % d_model]);
}
`,
  workgroups: (dims) => linearWorkgroups(dims.batch * dims.pos * dims.d_model, WORKGROUP),
};

export const positionEmbeddingTruth: KernelTruth = {
  reference: ({ first_pos, W_pos }, { batch, pos, d_model }) => {
    const out = new Float64Array(batch * pos * d_model);
    for (let b = 0; b < batch; b++) {
      const first = first_pos[b] * d_model;
      out.set(W_pos.subarray(first, first + pos * d_model), b * pos * d_model);
    }
    return { out };
  },
  tolerance: (_, { batch, pos, d_model }) => ({ out: new Float64Array(batch * pos * d_model) }),
};
