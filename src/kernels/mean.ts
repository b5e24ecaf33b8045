// mean: the mean of x over rows, out = Σ x / rows, for x [outer, rows, columns]; one division at the end.
// Summed over the rows in segments of 8 inside blocks of 64 (kernel.ts). Cost: 4 bytes and 1 flop per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide } from './functions/divide.ts';
import {
  BLOCK,
  gamma,
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  SEGMENT,
  SMALLEST_NORMAL,
  sumRoundings,
} from './kernel.ts';

const WORKGROUP = 64;

/** Runs with batch `outer` and pos `rows`: neither is part of the shader. */
export const mean: Kernel = {
  name: 'mean',
  bindings: () => [
    { name: 'x', role: 'input', shape: ['batch', 'pos', 'columns'], element: 'f32' },
    { name: 'out', role: 'output', shape: ['batch', 'columns'], element: 'f32' },
  ],
  functions: () => [divide],
  wgsl: () => wgsl`
${LINEAR_INDEX}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (i >= run.batch * columns) { return; }
  let first = (i / columns) * run.pos * columns + i % columns;
  var total = 0.0;
  for (var start = 0u; start < run.pos; start += ${BLOCK}u) {
    var block = 0.0;
    for (var k = start; k < min(start + ${BLOCK}u, run.pos); k += ${SEGMENT}u) {
      var segment = x[first + k * columns];
      for (var row = k + 1u; row < min(k + ${SEGMENT}u, run.pos); row++) {
        segment = plus(segment, x[first + row * columns]);
      }
      block = plus(block, segment);
    }
    total = plus(total, block);
  }
  out[i] = stored(divide(total, f32(run.pos)));
}
`,
  workgroups: ({ batch, columns }) => linearWorkgroups(batch * columns, WORKGROUP),
};

export const meanTruth: KernelTruth = {
  reference: ({ x }, { batch, pos, columns }) => {
    const out = new Float64Array(batch * columns);
    for (let outer = 0; outer < batch; outer++) {
      for (let column = 0; column < columns; column++) {
        let total = 0;
        for (let row = 0; row < pos; row++) total += x[(outer * pos + row) * columns + column];
        out[outer * columns + column] = total / pos;
      }
    }
    return { out };
  },
  // γ of the additions, and 3 roundings of the division. What is below 2⁻¹²⁶ may be taken as 0: inputs, sums, the quotient.
  tolerance: ({ x }, { batch, pos, columns }) => {
    const magnitudes = meanTruth.reference({ x: x.map(Math.abs) }, { batch, pos, columns }, {}).out;
    return { out: magnitudes.map((magnitude) => gamma(sumRoundings(pos) + 3) * magnitude + 4 * SMALLEST_NORMAL) };
  },
};
