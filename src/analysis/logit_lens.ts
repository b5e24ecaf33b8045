// The logit lens: what the model would predict if it stopped after each block.
// Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
import { LOGITS } from '../engine/graph.ts';
import type { ActivationCache } from '../hooks/activation_cache.ts';
import type { Model } from '../hooks/model.ts';
import { selectNames } from '../hooks/names.ts';
import { type AxisSelection, selectedIndices } from '../hooks/selection.ts';
import { runUnembedding } from '../hooks/unembed.ts';
import { type TokenProbability, topTokensOnGpu } from './top_tokens.ts';

export interface LensRow {
  /** The value that was unembedded. */
  readonly name: string;
  /** Its block; null outside of the blocks. */
  readonly layer: number | null;
  readonly batch: number;
  readonly pos: number;
  readonly top: readonly TokenProbability[];
}

export interface LogitLensOptions {
  /** Tokens for each row. Default 1. */
  readonly k?: number;
  /** Names or globs of captured values of the residual stream; `blocks.*.hook_resid_post` when absent. */
  readonly names?: string | readonly string[];
  /** Rows of the run; the first when absent. */
  readonly batch?: AxisSelection;
  /** Positions; the last when absent, all for `{}`. */
  readonly pos?: AxisSelection;
}

/**
 * The k most probable next tokens read off the residual stream after every block (or any values of it that you name), one row for
 * each value, batch row and position, in firing order.
 * Runs the final norm, the unembedding and the choice of tokens on the GPU, for the selected positions only; the logits of the last
 * block are the model's own, bit for bit. Copies 8·k + 4 bytes per row.
 * @param cache must hold `blocks.*.hook_resid_post`, or what is named
 * @throws Error where a value was not captured, is none of the residual stream, or there is no such row or position
 * @example
 * const { cache } = await model.runWithCache(text, { names: 'blocks.*.hook_resid_post' });
 * for (const { layer, top } of await logitLens(model, cache)) console.log(layer, top[0].text);
 */
export async function logitLens(
  model: Model,
  cache: ActivationCache,
  { k = 1, names, batch = 0, pos = -1 }: LogitLensOptions = {},
): Promise<LensRow[]> {
  const rows: LensRow[] = [];
  for (const name of lensNames(model, cache, names)) {
    const value = cache.get(name);
    const [batchRows, positions] = selectedIndices(value, { batch, pos });
    const frame = await runUnembedding(model.runtime, model.config, value, { batch, pos });
    try {
      const logits = {
        buffer: frame.buffer(LOGITS),
        rows: batchRows.length * positions.length,
        numerics: frame.plan.numerics,
      };
      const tops = await topTokensOnGpu(model, logits, k);
      const match = /^blocks\.(\d+)\./.exec(name);
      const layer = match ? Number(match[1]) : null;
      batchRows.forEach((row, b) => {
        positions.forEach((position, p) => {
          rows.push({ name, layer, batch: row, pos: position, top: tops[b * positions.length + p] });
        });
      });
    } finally {
      model.runtime.release(frame);
    }
  }
  return rows;
}

function lensNames(model: Model, cache: ActivationCache, names: LogitLensOptions['names']): readonly string[] {
  if (names === undefined) {
    return Array.from({ length: model.config.nLayers }, (_, layer) => `blocks.${layer}.hook_resid_post`);
  }
  const missing = (name: string) => `logitLens: no captured value matches ${name}. Capture it, or name another.`;
  return selectNames(cache.names, names, { missing });
}
