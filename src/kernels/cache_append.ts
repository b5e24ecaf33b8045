// cache_append: cache[batch, first_pos[batch] + pos, head_index, :] = x[batch, pos, head_index, :]
// Puts new keys or values behind those of earlier runs. Copies, so exact; other places of the cache keep what they hold.
// Padding behind a shorter row may lie beyond the capacity: it is dropped. Cost: 8 bytes per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Kernel, type KernelTruth, LINEAR_INDEX, linearWorkgroups } from './kernel.ts';

const WORKGROUP = 64;

export const cacheAppend: Kernel = {
  name: 'cache_append',
  bindings: () => [
    { name: 'x', role: 'input', shape: ['batch', 'pos', 'n_key_value_heads', 'd_head'], element: 'f32' },
    { name: 'first_pos', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'cache', role: 'output', shape: ['batch', 'key_stride', 'n_key_value_heads', 'd_head'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: () => wgsl`
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * run.pos * n_key_value_heads * d_head) { return; }
  let row = i / (n_key_value_heads * d_head);
  let batch = row / run.pos;
  let position = first_pos[batch] + row % run.pos;
  if (position >= run.key_stride) { return; }
  let within = i % (n_key_value_heads * d_head);
  cache[(batch * run.key_stride + position) * n_key_value_heads * d_head + within] = x[i];
}
`,
  workgroups: ({ batch, pos, n_key_value_heads, d_head }) =>
    linearWorkgroups(batch * pos * n_key_value_heads * d_head, WORKGROUP),
};

export const cacheAppendTruth: KernelTruth = {
  // Of an empty cache; what it held stays elsewhere.
  reference: ({ x, first_pos }, { batch, pos, key_stride, n_key_value_heads, d_head }) => {
    const width = n_key_value_heads * d_head;
    const cache = new Float64Array(batch * key_stride * width);
    for (let b = 0; b < batch; b++) {
      for (let p = 0; p < pos && first_pos[b] + p < key_stride; p++) {
        const from = (b * pos + p) * width;
        cache.set(x.subarray(from, from + width), (b * key_stride + first_pos[b] + p) * width);
      }
    }
    return { cache };
  },
  tolerance: (_, { batch, key_stride, n_key_value_heads, d_head }) => ({
    cache: new Float64Array(batch * key_stride * n_key_value_heads * d_head),
  }),
};
