// Path patching: what one part of a model does to the output through another one, and through nothing else.
// Source: Wang et al. 2022, "Interpretability in the Wild", arXiv:2211.00593, §3.1; Goldowsky-Dill et al. 2023, arXiv:2304.05969.
import type { ActivationCache } from '../hooks/activation_cache.ts';
import { type HookEntry, patchFrom } from '../hooks/interventions.ts';
import type { Model } from '../hooks/model.ts';
import type { HookNames } from '../hooks/names.ts';
import type { RunOptions } from '../hooks/run_options.ts';
import type { Selection } from '../hooks/selection.ts';
import type { Tensor } from '../hooks/tensor.ts';
import type { TokenInput } from '../hooks/tokens.ts';

/** Values, or the selected parts of them: e.g. `['blocks.0.attn.hook_z', { head: 3 }]`. */
export type PathEnd = readonly [where: HookNames, selection?: Selection];

export interface PathPatchOptions extends Pick<RunOptions, 'signal' | 'prependBos'> {
  /** Senders: they have what they have on `source`. */
  readonly from: readonly PathEnd[];
  /** Receivers: the values through which the senders' change reaches the output, e.g. `['blocks.2.hook_q_input', { head: 1 }]`. */
  readonly to: readonly PathEnd[];
  /** Another prompt of the same shape. */
  readonly source: TokenInput;
  /** What else keeps what it has on `tokens` while the change travels: attention and MLPs (direct paths), or attention only. */
  readonly freeze?: 'attention and MLPs' | 'attention';
}

/**
 * Logits [batch, pos, d_vocab_out] of `tokens` when the receivers see what the senders would have given them on `source`, along direct
 * paths alone. Four passes: both prompts; `tokens` with senders from `source` and everything else frozen, which gives the
 * receivers' values; `tokens` with those. Values stay on the GPU; all of them are freed.
 * @example
 * const { logits } = await pathPatch(model, clean, {
 *   from: [['blocks.0.attn.hook_z', { head: 3 }]],
 *   to: [['blocks.1.hook_k_input', { head: 2 }]],
 *   source: corrupted,
 * });
 */
export async function pathPatch(
  model: Model,
  tokens: TokenInput,
  options: PathPatchOptions,
): Promise<{ logits: Tensor }> {
  const { from, to, source, freeze = 'attention and MLPs', ...rest } = options;
  const isFrozen = (name: string) =>
    name.endsWith('.attn.hook_z') || (freeze === 'attention and MLPs' && name.endsWith('.hook_mlp_out'));
  const caches: ActivationCache[] = [];
  const run = async (input: TokenInput, hooks: readonly HookEntry[], capture: readonly PathEnd[] | HookNames) => {
    const names = isEnds(capture) ? namesOf(model, capture) : capture;
    const { cache } = await model.run(input, { ...rest, hooks, capture: names });
    caches.push(cache);
    return cache;
  };
  try {
    const clean = await run(tokens, [], isFrozen);
    const other = await run(source, [], from);
    const frozen = clean.names.map((name): HookEntry => [name, patchFrom(clean)]);
    const travelled = await run(tokens, [...frozen, ...patches(from, other)], to);
    const { logits } = await model.run(tokens, { ...rest, hooks: patches(to, travelled) });
    return { logits };
  } finally {
    for (const cache of caches) cache.destroy();
  }
}

const isEnds = (capture: readonly PathEnd[] | HookNames): capture is readonly PathEnd[] =>
  Array.isArray(capture) && capture.every(Array.isArray);

/** Later entries apply after earlier ones: what the senders have replaces what was frozen. */
function patches(ends: readonly PathEnd[], cache: ActivationCache): HookEntry[] {
  return ends.map(([where, selection = {}]) => [where, patchFrom(cache, selection)]);
}

function namesOf(model: Model, ends: readonly PathEnd[]): string[] {
  return [...new Set(ends.flatMap(([where]) => model.hookNames(where)))];
}
