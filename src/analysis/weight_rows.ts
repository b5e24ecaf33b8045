// Rows of a weight's matrix as float32 on the GPU, whatever it is stored in and however it is cut: directions of tokens, what neurons write.
import type { Model } from '../hooks/model.ts';
import type { Numerics } from '../kernels/prelude.ts';
import { tokenEmbedding } from '../kernels/token_embedding.ts';

/**
 * Writes rows of a matrix whose rows are d_model long to a buffer, [row, d_model]: one dispatch of `token_embedding` for each piece.
 * @param ids indices of rows
 * @throws Error where the model has no such weight
 */
export async function writeWeightRows(
  model: Model,
  weight: string,
  { ids, numerics }: { readonly ids: Uint32Array<ArrayBuffer>; readonly numerics: Numerics },
  out: GPUBuffer,
): Promise<void> {
  const { runtime, config } = model;
  const stored = runtime.weight(weight);
  if (!stored) throw new Error(`analysis: this model has no weight ${weight}.`);
  const { pieces, rowStride, format, summed } = stored.layout;
  await runtime.memory.withStorage('rows', ids, async (tokens) => {
    for (const [i, { firstRow, rowCount }] of pieces.entries()) {
      const dims = { batch: 1, pos: ids.length, d_model: config.dModel, d_vocab: rowCount, row_stride: rowStride };
      const matrices = { W_E: { format, summed } };
      const variant = { dims, options: { firstToken: firstRow }, numerics, has: () => true, matrices };
      await runtime.dispatch(tokenEmbedding, variant, { tokens, W_E: stored.buffers[i], out });
    }
  });
}
