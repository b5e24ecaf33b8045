// mark_token: seen[batch, token[batch]] = 1: the text of each row has its new token, for the repetition penalty of the next `sample`.
// Exact; everything else keeps what it held. A row whose `at` is NOBODY was not given a token. Cost: 12 bytes per row.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { type Kernel, type KernelTruth, LINEAR_INDEX, linearWorkgroups } from './kernel.ts';
import { NOBODY, SAMPLE_PARAMETERS } from './sample_parameters.ts';

const WORKGROUP = 64;

export const markToken: Kernel = {
  name: 'mark_token',
  bindings: () => [
    { name: 'token', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'parameters', role: 'input', shape: ['batch', 'parameter_fields'], element: 'u32' },
    { name: 'seen', role: 'output', shape: ['batch', 'd_vocab_out'], element: 'u32' },
  ],
  functions: () => [],
  wgsl: () => wgsl`
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (row >= run.batch || parameters[row * parameter_fields] == ${NOBODY}u) { return; }
  seen[row * d_vocab_out + token[row]] = 1u;
}
`,
  workgroups: ({ batch }) => linearWorkgroups(batch, WORKGROUP),
};

export const markTokenTruth: KernelTruth = {
  // Of a row that had no token.
  reference: ({ token, parameters }, { batch, d_vocab_out }) => {
    const seen = new Float64Array(batch * d_vocab_out);
    token.forEach((id, row) => {
      if (parameters[row * SAMPLE_PARAMETERS] !== NOBODY) seen[row * d_vocab_out + id] = 1;
    });
    return { seen };
  },
  tolerance: (_, { batch, d_vocab_out }) => ({ seen: new Float64Array(batch * d_vocab_out) }),
};
