// What a run is asked for and what it gives: the options and results of `Model.run`, and the checks of what they say together.

import type { ModelConfig } from '../engine/config.ts';
import { LOGITS } from '../engine/graph.ts';
import type { KeyValueCache } from '../engine/key_value_cache.ts';
import type { TokenizeOptions } from '../engine/tokenizer.ts';
import type { Numerics } from '../kernels/prelude.ts';
import type { ActivationCache } from './activation_cache.ts';
import type { HookEntry } from './interventions.ts';
import type { HookNames } from './names.ts';
import type { Tensor } from './tensor.ts';
import type { TokenBatch } from './tokens.ts';

export interface RunResult {
  /** What a reader of the numbers should know, one sentence each: NaN that an intervention wrote. */
  readonly warnings: readonly string[];
  /** Scores of the next token after every position, [batch, pos, d_vocab_out]; with `logits: 'last'` pos is 1. */
  readonly logits: Tensor;
}

export interface RunWithCacheResult extends RunResult {
  /** The captured values, on the GPU until `cache.destroy()`. */
  readonly cache: ActivationCache;
}

export interface RunOptions extends TokenizeOptions {
  /** How results are rounded; as `Model.load` was told if absent. */
  readonly numerics?: Numerics;
  /** Interventions: where and what. Those of one value apply in the order given. */
  readonly hooks?: readonly HookEntry[];
  /** Where keys and values of the positions before these are: the run goes on from there and appends its own. */
  readonly keyValueCache?: KeyValueCache;
  /** Values to keep on the GPU; the result then has a `cache`. */
  readonly capture?: HookNames;
  /**
   * Of which positions logits are computed and copied: `'all'` (if absent), the `'last'` of each row, or `'none'`: then nothing behind
   * the last value that is captured, written or kept in a key-value cache runs. No bit of what there is changes.
   */
  readonly logits?: 'all' | 'last' | 'none';
  /** Begin with this block (negative: from the end). The input is then the residual stream before it, not tokens. */
  readonly startAtLayer?: number;
  readonly stopAtLayer?: undefined;
  /** Checked before the run begins and before its results are read; work that the GPU has begun it also ends. */
  readonly signal?: AbortSignal;
}

export interface StopOptions extends Omit<RunOptions, 'stopAtLayer' | 'logits'> {
  /** End before this block (negative: from the end; `n_layers`: before the final norm). There are no logits then. */
  readonly stopAtLayer: number;
}

/** Options of a run that is for its captures, its hooks or its key-value cache alone. */
export type RunWithoutLogitsOptions = RunOptions & { readonly logits: 'none' };

/** What a run gives that ends before a block. */
export interface StoppedResult extends Omit<RunResult, 'logits'> {
  /** The residual stream before that block, [batch, pos, d_model]. */
  readonly residual: Tensor;
}

export interface RunWithCacheOptions extends Omit<RunOptions, 'capture'> {
  /** Which values to keep; when absent every value but those that are computed only on demand. */
  readonly names?: HookNames;
}

/** What `run` gives, whatever was asked for. */
export type AnyResult = Pick<RunResult, 'warnings'> & { logits?: Tensor; residual?: Tensor; cache?: ActivationCache };

/** What has been submitted: the caller's cache, the value that the run ends with (null: none), and what there is to say. */
export interface Submitted {
  readonly cache: ActivationCache;
  readonly result: string | null;
  readonly warnings: ReadonlySet<string>;
}

/** Values that hold logits. */
export const OF_LOGITS = [LOGITS, 'unembed.hook_out'];

/** The logits that were asked for: of the last position of each row where all had to be computed. */
export function wantedLogits(logits: Tensor, { lengths }: TokenBatch, options: RunOptions | StopOptions): Tensor {
  const [batch, pos, width] = logits.shape;
  if (!('logits' in options) || options.logits !== 'last' || pos === 1) return logits;
  const data = new Float32Array(batch * width);
  lengths.forEach((length, row) => {
    const from = (row * pos + Math.max(length - 1, 0)) * width;
    data.set(logits.data.subarray(from, from + width), row * width);
  });
  return { ...logits, data, shape: [batch, 1, width] };
}

/** @throws Error for logits that there are not, or a run that would compute nothing */
export function checkLogits(options: RunOptions | StopOptions): void {
  const { logits, capture, hooks = [], keyValueCache } = options as RunOptions;
  if (logits === undefined) return;
  if (!['all', 'last', 'none'].includes(logits)) {
    throw new Error(`run: logits is 'all', 'last' or 'none', got ${JSON.stringify(logits)}.`);
  }
  if ('stopAtLayer' in options && options.stopAtLayer !== undefined) {
    throw new Error('run: with stopAtLayer there are no logits; leave the option logits out.');
  }
  if (logits === 'none' && capture === undefined && hooks.length === 0 && !keyValueCache) {
    throw new Error("run: with logits 'none' and no capture, hook or key-value cache nothing would be computed.");
  }
}

/** Plans are made for key counts in steps of 64, so that a growing text needs a new plan only now and then. */
export const keysStep = (keys: number) => 64 * Math.ceil(keys / 64);

/** Positions that a run looks at: those of its longest row. Throws if its tokens do not fit behind what the cache has. */
export function checkCache(cache: KeyValueCache, { batch, lengths }: TokenBatch, { nCtx }: ModelConfig): number {
  if (batch !== cache.batch) {
    throw new Error(`tokens: ${batch} rows do not fit a key-value cache of ${cache.batch}.`);
  }
  const ends = lengths.map((length, row) => (length > 0 ? cache.lengths[row] + length : 0));
  const keys = Math.max(...ends);
  const row = ends.indexOf(keys);
  const both = `${cache.lengths[row]} positions in the key-value cache and ${lengths[row]} new ones`;
  if (keys > nCtx) throw new Error(`tokens: ${both} are longer than this model's context of ${nCtx} (n_ctx).`);
  if (keys > cache.capacity) throw new Error(`tokens: ${both} are more than its capacity of ${cache.capacity}.`);
  return keys;
}
