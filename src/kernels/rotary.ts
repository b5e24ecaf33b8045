// rotary: turns pairs (i, i + half) of every head by the position's angle, half = rotary_dim / 2:
//   out[i]        = x[i]·cos − x[i + half]·sin        out[i + half] = x[i + half]·cos + x[i]·sin,  i < half
// and passes elements from rotary_dim on through. The position is first_pos[batch] + pos: counted from the start of the text.
// Tables cos, sin [n_ctx, half] come rounded from float64.
// Source: Su et al. 2021, arXiv:2104.09864, in the half-split layout of GPT-NeoX and Llama.
// Cost: 12 bytes, 3 flops per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import {
  type Arrays,
  type Dims,
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  SMALLEST_NORMAL,
  U,
} from './kernel.ts';

const WORKGROUP = 64;

export const rotary: Kernel = {
  name: 'rotary',
  bindings: () => [
    { name: 'x', role: 'input', shape: ['batch', 'pos', 'n_heads', 'd_head'], element: 'f32' },
    { name: 'first_pos', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'cos', role: 'weight', shape: ['n_ctx', 'half'], element: 'f32' },
    { name: 'sin', role: 'weight', shape: ['n_ctx', 'half'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'n_heads', 'd_head'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: () => wgsl`
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * run.pos * n_heads * d_head) { return; }
  let d = i % d_head;
  let row = i / (n_heads * d_head);
  let pos = min(first_pos[row / run.pos] + row % run.pos, n_ctx - 1u);
  if (d < half) {
    let angle = pos * half + d;
    out[i] = stored(mul_add(x[i], cos[angle], -product(x[i + half], sin[angle])));
  } else if (d < 2u * half) {
    let angle = pos * half + d - half;
    out[i] = stored(mul_add(x[i], cos[angle], product(x[i - half], sin[angle])));
  } else {
    out[i] = x[i];
  }
}
`,
  workgroups: ({ batch, pos, n_heads, d_head }) => linearWorkgroups(batch * pos * n_heads * d_head, WORKGROUP),
};

export const rotaryTruth: KernelTruth = {
  reference: (inputs, dims) => ({ out: rotate(inputs, dims, (a, b) => a + b, new Float64Array(inputs.x)) }),
  // Two products and a sum: 2u of the terms' absolute values (the tables are inputs here), 3u with the higher orders. Whatever is
  // below 2⁻¹²⁶ may be taken as 0: two inputs, as many sines and cosines, two products and the sum. What is copied is exact.
  tolerance: (inputs, dims) => ({
    out: rotate(
      inputs,
      dims,
      (a, b) => 3 * U * (Math.abs(a) + Math.abs(b)) + 7 * SMALLEST_NORMAL,
      new Float64Array(inputs.x.length),
    ),
  }),
};

/** Overwrites the rotated elements of `out` by what `combine` makes of their two terms. */
function rotate(
  { x, first_pos, cos, sin }: Arrays,
  dims: Dims,
  combine: (own: number, other: number) => number,
  out: Float64Array,
): Float64Array {
  const { batch, pos, n_heads, d_head, half } = dims;
  for (let b = 0; b < batch; b++) {
    for (let p = 0; p < pos; p++) {
      for (let h = 0; h < n_heads; h++) {
        const first = ((b * pos + p) * n_heads + h) * d_head;
        for (let i = 0; i < half; i++) {
          const [low, high] = [x[first + i], x[first + half + i]];
          out[first + i] = combine(
            low * cos[(first_pos[b] + p) * half + i],
            -high * sin[(first_pos[b] + p) * half + i],
          );
          out[first + half + i] = combine(
            high * cos[(first_pos[b] + p) * half + i],
            low * sin[(first_pos[b] + p) * half + i],
          );
        }
      }
    }
  }
  return out;
}
