// Direct logit attribution: what each component of the residual stream says for a token, or for one token rather than another.
import type { Model } from '../hooks/model.ts';
import type { Tensor } from '../hooks/tensor.ts';
import { applyLnToStack } from './apply_ln_to_stack.ts';
import type { ResidualStack } from './residual_stack.ts';
import { writeWeightRows } from './weight_rows.ts';

/** One token (its id or text) for all; one for each selected row; or rows of one for each selected position. */
export type AttributedTokens = number | string | readonly number[] | readonly (readonly number[])[];

export interface LogitAttrsOptions {
  readonly tokens: AttributedTokens;
  /** Attribute the difference of the logits of `tokens` and of these. */
  readonly incorrectTokens?: AttributedTokens;
  /**
   * Multiply by the final norm's gain. TransformerLens leaves it out (it folds it into W_U when it processes weights). With it the
   * attributions of a full decomposition add up to the logits, but for the final norm's bias and b_U.
   */
  readonly gain?: boolean;
}

/**
 * How much each component of a stack adds to the logit of a token (or to a difference of two) at each selected position,
 * [component, batch, pos]: components centred and divided by the scale of the final norm in the run, then projected onto the
 * token's column of W_U. All on the GPU; copies one number per component and position.
 * @param stack not normalised; its cache must hold `ln_final.hook_scale`
 * @throws Error where a token does not exist, or there are more or fewer than rows or positions
 * @example
 * const stack = decomposeResid(model, cache, { pos: -1 });
 * const { data } = await logitAttrs(stack, { tokens: ' Mary', incorrectTokens: ' John' });
 * stack.labels.forEach((label, i) => console.log(label, data[i]));
 */
export async function logitAttrs(
  stack: ResidualStack,
  { tokens, incorrectTokens, gain = false }: LogitAttrsOptions,
): Promise<Tensor> {
  if (stack.norm.kind !== 'none') {
    throw new Error('logitAttrs: this stack has been normalised already. Give it without applyLn.');
  }
  const { model } = stack;
  const [right, wrong] = [tokens, incorrectTokens].map(
    (given) => given !== undefined && tokenIds(model, given, stack.shape),
  );
  const normed = applyLnToStack(stack);
  const rows = Math.max((right || []).length, (wrong || []).length);
  const { memory } = model.runtime;
  const bytes = 4 * rows * model.config.dModel;
  const result = await memory.withStorage('direction', bytes, (direction) =>
    memory.withStorage('direction to subtract', bytes, async (minus) => {
      await writeDirections(stack, right || [], rows, direction);
      if (wrong) await writeDirections(stack, wrong, rows, minus);
      const weight = gain ? model.runtime.weight('ln_final.w') : null;
      return normed.projectOnto({
        direction,
        rows,
        ...(wrong && { minus }),
        ...(weight && { gain: weight.buffers[0] }),
      });
    }),
  );
  return { ...result, name: 'logit attributions' };
}

/** One id for all, or one for each selected row and position. */
function tokenIds(model: Model, given: AttributedTokens, [, batch, pos]: readonly number[]): number[] {
  const ids = expand(model, given, batch, pos);
  const last = model.config.dVocabOut - 1;
  const stranger = ids.find((id) => !Number.isInteger(id) || id < 0 || id > last);
  if (stranger === undefined) return ids;
  throw new Error(`logitAttrs: ${stranger} is not a token; this model predicts the integers 0–${last}.`);
}

function expand(model: Model, given: AttributedTokens, batch: number, pos: number): number[] {
  if (typeof given === 'number') return [given];
  if (typeof given === 'string') {
    const ids = model.toTokens(given, { prependBos: false });
    if (ids.length === 1) return ids;
    throw new Error(`logitAttrs: "${given}" is ${ids.length} tokens; expected a single one.`);
  }
  const rows = given.map((row) => (typeof row === 'number' ? Array.from({ length: pos }, () => row) : [...row]));
  const all = rows.length === 1 ? Array.from({ length: batch }, () => rows[0]) : rows;
  const wrong = all.findIndex((row) => row.length !== pos);
  if (all.length === batch && wrong < 0) return all.flat();
  const got = all.length === batch ? `${all[wrong].length} tokens in row ${wrong}` : `${all.length} rows`;
  throw new Error(`logitAttrs: expected tokens for ${batch} rows of ${pos} positions, got ${got}.`);
}

/** Writes the columns of W_U of these tokens, from the rows that they are on the GPU; a single one serves all rows. */
async function writeDirections(
  stack: ResidualStack,
  ids: readonly number[],
  rows: number,
  to: GPUBuffer,
): Promise<void> {
  const { model, numerics } = stack;
  const weight = model.config.tiedEmbedding ? 'embed.W_E' : 'unembed.W_U';
  const row = Uint32Array.from({ length: rows }, (_, i) => ids[ids.length === 1 ? 0 : i]);
  await writeWeightRows(model, weight, { ids: row, numerics }, to);
}
