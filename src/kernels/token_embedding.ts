// token_embedding: out[batch, pos, :] = W_E[tokens[batch, pos], :]
// Copies, so exact. A W_E larger than one binding comes in pieces of consecutive rows: one dispatch per piece writes the
// positions whose token lies in it (`first_token` … `first_token + d_vocab − 1`) and leaves the others alone.
// Cost: 8 bytes and no flops per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Kernel, type KernelTruth, LINEAR_INDEX, linearWorkgroups } from './kernel.ts';

const WORKGROUP = 64;

export const tokenEmbedding: Kernel = {
  name: 'token_embedding',
  bindings: () => [
    { name: 'tokens', role: 'input', shape: ['batch', 'pos'], element: 'u32' },
    { name: 'W_E', role: 'weight', shape: ['d_vocab', 'row_stride'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ options }) => wgsl`
const first_token = ${options.firstToken}u;
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  let row = i / d_model;
  if (row >= run.batch * run.pos) { return; }
  let token = tokens[row];
  if (token < first_token || token - first_token >= d_vocab) { return; }
  out[i] = stored(load_W_E((token - first_token) * row_stride + i % d_model));
}
`,
  workgroups: (dims) => linearWorkgroups(dims.batch * dims.pos * dims.d_model, WORKGROUP),
};

export const tokenEmbeddingTruth: KernelTruth = {
  reference: ({ tokens, W_E }, { d_model, d_vocab, row_stride }, { firstToken }) => {
    const out = new Float64Array(tokens.length * d_model);
    for (let row = 0; row < tokens.length; row++) {
      const piece = tokens[row] - Number(firstToken);
      if (piece < 0 || piece >= d_vocab) continue;
      for (let d = 0; d < d_model; d++) out[row * d_model + d] = W_E[piece * row_stride + d];
    }
    return { out };
  },
  tolerance: ({ tokens }, { d_model }) => ({ out: new Float64Array(tokens.length * d_model) }),
};
