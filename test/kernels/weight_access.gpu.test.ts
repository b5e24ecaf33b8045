// Kernels that read a stored matrix give the bits that they give for the float32 numbers which that matrix is, in every arithmetic.
import { expect, test } from 'vitest';
import type { Variant } from '../../src/kernels/kernel.ts';
import { decodeMatrix, encodeMatrix } from '../../src/kernels/weight_codec.ts';
import type { MatrixStorage, StoredMatrix } from '../../src/kernels/weight_formats.ts';
import { createInputs, findCase, type KernelCase } from './cases.ts';
import { GARBAGE, type Inputs, runKernel } from './harness.ts';

/**
 * Depths and widths with and without whole segments, blocks of scales and vec4. On two rows: how a matrix is read does not depend on the tile, and large ones
 * take long to compile.
 */
const PLACES: readonly (readonly [kernel: string, words: string, matrix: string, MatrixStorage['summed']])[] = [
  ['matmul', 'batch 3, pos 2, d_in 64, d_out 64; without b', 'W', 'rows'],
  ['matmul', 'pos 1, d_in 65, d_out 31', 'W', 'rows'],
  ['head_projection', 'n_heads 2, d_in 65', 'W', 'rows'],
  ['output_projection', 'd_head 68, d_model 63', 'W_O', 'rows'],
  ['unembed', 'pos 2, d_model 63', 'W_U', 'columns'],
  ['unembed', 'pos 2, d_model 192', 'W_U', 'columns'],
  ['token_embedding', 'd_model 65', 'W_E', 'columns'],
];

test.each(PLACES)('%s (%s) of a stored %s', async (file, words, name, summed) => {
  const found = onTwoRows(findCase(file, words));
  const { kernel } = found;
  const binding = kernel.bindings(found.variant.dims).find((candidate) => candidate.name === name)!;
  const [columns, ...rows] = binding.shape.map((axis) => found.variant.dims[axis]).reverse();
  const rowStride = columns * (binding.element === 'vec4f' ? 4 : 1);
  const inputs = createInputs(found);
  const shrunk = withSmallBlocks(inputs[name] as Float32Array<ArrayBuffer>);
  for (const format of ['f16', 'q8', 'q4'] as const) {
    const matrix: StoredMatrix = { format, summed, rows: rows.reduce((a, b) => a * b, 1), rowStride };
    const stored = encodeMatrix(shrunk, matrix);
    const numbers: Inputs = { ...inputs, [name]: decodeMatrix(stored, matrix) };
    for (const arithmetic of ['fast', 'guarded'] as const) {
      const variant: Variant = { ...found.variant, arithmetic };
      const want = await runKernel(kernel, variant, numbers, GARBAGE[0]);
      const got = await runKernel(
        kernel,
        { ...variant, matrices: { [name]: { format, summed } } },
        { ...inputs, [name]: stored },
        GARBAGE[0],
      );
      for (const [output, bits] of Object.entries(want)) {
        expect(
          got[output].findIndex((word, i) => word !== bits[i]),
          `${output}, ${format}, ${arithmetic}`,
        ).toBe(-1);
      }
    }
  }
});

function onTwoRows(found: KernelCase): KernelCase {
  return { ...found, variant: { ...found.variant, dims: { ...found.variant.dims, batch: 1, pos: 2 } } };
}

/** Every third run of 96 elements at 2⁻²⁰ of its size, where f16 and scales are subnormal, and some of it 0. */
function withSmallBlocks(data: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const sizes = [1, 2 ** -20, 1, 2 ** -14, 1, 0];
  return data.map((x, i) => Math.max(-1e3, Math.min(1e3, x)) * sizes[Math.floor(i / 96) % sizes.length] + 0);
}
