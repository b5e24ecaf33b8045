// What a model predicts: the most probable next tokens of logits, on the CPU in float64, or on the GPU.
import type { Model } from '../hooks/model.ts';
import type { Tensor } from '../hooks/tensor.ts';
import type { Numerics } from '../kernels/prelude.ts';
import { topTokensKernel } from '../kernels/top_tokens.ts';

export interface TokenProbability {
  readonly id: number;
  /** The token as text, or its id where the model has no tokenizer. */
  readonly text: string;
  /** softmax of the logits. */
  readonly probability: number;
  readonly logit: number;
}

/**
 * The k most probable next tokens after one position, most probable first; equal ones by their id.
 * @param logits [batch, pos, d_vocab_out]
 * @param at `pos` counts from the end when negative; the last position of the first row when absent
 * @example
 * const { logits } = await model.run('The capital of France is');
 * topTokens(model, logits, 1); // [{ id: 1387, text: ' Paris', probability: 0.9991…, logit: … }]
 */
export function topTokens(
  model: Pick<Model, 'tokenizer'>,
  logits: Tensor,
  k: number,
  { batch = 0, pos = -1 }: { batch?: number; pos?: number } = {},
): TokenProbability[] {
  const [rows, positions, dVocab] = logits.shape;
  const position = pos < 0 ? positions + pos : pos;
  if (batch < 0 || batch >= rows || position < 0 || position >= positions) {
    throw new Error(`topTokens: expected batch < ${rows} and pos < ${positions}, got batch ${batch}, pos ${pos}.`);
  }
  const first = (batch * positions + position) * dVocab;
  const row = logits.data.subarray(first, first + dVocab);
  const maximum = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let total = 0;
  for (const logit of row) total += Math.exp(logit - maximum);
  const ids = Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
  return ids.slice(0, k).map((id) => ({
    id,
    text: model.tokenizer ? model.tokenizer.tokenText(id) : String(id),
    probability: Math.exp(row[id] - maximum) / total,
    logit: row[id],
  }));
}

/**
 * The same for every row of logits that lie on the GPU: the same tokens and logits, probabilities to within float32. Copies
 * 8·k + 4 bytes per row. Of logits that are NaN fewer than k come: nothing is less probable than they.
 * @param logits `buffer` of `rows` rows of d_vocab_out, and the numerics of their run
 */
export async function topTokensOnGpu(
  model: Model,
  { buffer, rows, numerics }: { readonly buffer: GPUBuffer; readonly rows: number; readonly numerics: Numerics },
  k: number,
): Promise<TokenProbability[][]> {
  const { runtime, config, tokenizer } = model;
  const { memory } = runtime;
  const count = Math.min(k, config.dVocabOut);
  const dims = { batch: 1, pos: rows, d_vocab_out: config.dVocabOut, k: count, fields: 2 };
  return memory.withStorage('top tokens', 8 * rows * count, (top) =>
    memory.withStorage('softmax totals', 4 * rows, async (total) => {
      const variant = { numerics, dims, options: {}, has: () => true };
      await runtime.dispatch(topTokensKernel, variant, { logits: buffer, top, total });
      const [pairs, totals] = await Promise.all([memory.read(top, 8 * rows * count), memory.read(total, 4 * rows)]);
      const [chosen, sums] = [new Float32Array(pairs), new Float32Array(totals)];
      return Array.from(sums, (sum, row) => {
        const at = 2 * row * count;
        const maximum = chosen[at + 1];
        return Array.from({ length: count }, (_, rank) => at + 2 * rank).flatMap((pair) => {
          const [id, logit] = chosen.subarray(pair, pair + 2);
          if (id >= config.dVocabOut) return []; // the kernel found no more
          const text = tokenizer ? tokenizer.tokenText(id) : String(id);
          return [{ id, text, probability: Math.exp(logit - maximum) / sum, logit }];
        });
      });
    }),
  );
}
