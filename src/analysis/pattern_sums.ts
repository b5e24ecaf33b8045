// Sums over attention patterns, per head and query, from the GPU: what head scores are made of.
import type { ActivationCache } from '../hooks/activation_cache.ts';
import type { Model } from '../hooks/model.ts';
import { patternMatch } from '../kernels/pattern_match.ts';

export type PatternSum = 'matched' | 'total' | 'difference';

export interface Detection {
  /** Where heads should look, [batch, query_pos, key_pos] of the run. */
  readonly weights: Float32Array<ArrayBuffer>;
  readonly excludeBos?: boolean;
  readonly excludeCurrentToken?: boolean;
}

/** Batch and positions of the patterns that a cache holds. */
export function patternShape(model: Model, cache: ActivationCache): { batch: number; pos: number } {
  if (cache.runtime !== model.runtime) {
    throw new Error('analysis: this cache belongs to another model. Give the model that it is a cache of.');
  }
  const name = cache.names.find((captured) => captured.endsWith('.attn.hook_pattern')) ?? 'blocks.0.attn.hook_pattern';
  const [batch, , queries, keys] = cache.get(name).shape;
  if (queries === keys) return { batch, pos: keys };
  throw new Error(`analysis: ${name} has ${queries} queries and ${keys} keys; expected a run of the whole text.`);
}

/**
 * One kind of sum of every head of these blocks, [layer][batch, head_index, query_pos]. Copies these sums only.
 * @param cache must hold `blocks.*.attn.hook_pattern`
 */
export async function patternSums(
  model: Model,
  cache: ActivationCache,
  layers: readonly number[],
  { weights, excludeBos = false, excludeCurrentToken = false }: Detection,
  outputs: readonly PatternSum[],
): Promise<Record<PatternSum, Float32Array>[]> {
  const { runtime, config } = model;
  const { memory } = runtime;
  const { batch, pos } = patternShape(model, cache);
  const values = layers.map((layer) => cache.get(`blocks.${layer}.attn.hook_pattern`));
  const patterns = values.map(({ buffer, numerics }) => ({ buffer, numerics }));
  // They stay until all is computed, even if the cache is destroyed meanwhile.
  const releases = values.map((value) => value.hold());
  const count = batch * config.nHeads * pos;
  const dims = { batch, pos, n_heads: config.nHeads };
  const computed = memory.withStorage('detection', weights, (detection) =>
    Promise.all(
      patterns.map(async ({ buffer: pattern, numerics }) => {
        const sums = { matched: NOTHING, total: NOTHING, difference: NOTHING };
        for (const output of outputs) {
          sums[output] = await memory.withStorage(output, 4 * count, async (out) => {
            const has = (binding: string) => binding === 'pattern' || binding === 'detection' || binding === output;
            const variant = { numerics, dims, options: { excludeBos, excludeCurrentToken }, has };
            await runtime.dispatch(patternMatch, variant, { pattern, detection, [output]: out });
            return new Float32Array(await memory.read(out, 4 * count));
          });
        }
        return sums;
      }),
    ),
  );
  return computed.finally(() => {
    for (const release of releases) release();
  });
}

const NOTHING = new Float32Array();
