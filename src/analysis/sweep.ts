// Sweeps: many copies of one prompt, each edited in its own way, run as batches, of which only a number each comes back.

import { type CopyCost, CopyRunner, type Start } from '../hooks/copies.ts';
import type { HookEntry } from '../hooks/interventions.ts';
import type { Model } from '../hooks/model.ts';
import type { TokenInput } from '../hooks/tokens.ts';

/** What is measured on the logits of one position (the last, unless told otherwise), and averaged over the rows of the prompt. */
export type SweepMetric =
  /** logit of the first token − logit of the second; only these are copied from the GPU. */
  | { readonly tokens: readonly [number, number]; readonly pos?: number }
  /** Any number that comes from the logits [d_vocab_out] of a row. */
  | { readonly of: (logits: Float32Array, row: number) => number; readonly pos?: number };

export interface SweepProgress {
  /** Edited copies that are done, of how many. */
  readonly done: number;
  readonly total: number;
}

export interface SweepOptions {
  readonly metric: SweepMetric;
  /** Bytes on the GPU that one pass may need: 256 MiB when absent. What the adapter allows for one buffer is kept in any case. */
  readonly budgetBytes?: number;
  /** At most this many copies in one pass: 64 when absent. */
  readonly maxCopies?: number;
  readonly onProgress?: (progress: SweepProgress) => void;
  /** Checked before every pass. */
  readonly signal?: AbortSignal;
}

export interface SweepResult {
  /** The metric of every copy, in the order in which they were given. */
  readonly data: Float64Array<ArrayBuffer>;
  /** As of a run. */
  readonly warnings: readonly string[];
}

const DEFAULT_BUDGET_BYTES = 256 * 2 ** 20;
const DEFAULT_MAX_COPIES = 64;

/**
 * Runs edited copies of a prompt, many in one pass, and measures each: what single runs with the same hooks would give, bit for bit.
 * What lies before the first edit is computed once. Frees all that it allocates.
 * @param tokens a prompt, or several rows that every copy has; interventions see these rows as the whole batch
 * @param interventions one list of hooks per copy
 * @example
 * const copies = [0, 1, 2, 3].map((head): HookEntry[] => [['blocks.2.attn.hook_z', zeroAblate({ head })]]);
 * const { data } = await sweep(model, text, copies, { metric: { tokens: [mary, john] } });
 */
export async function sweep(
  model: Model,
  tokens: TokenInput,
  interventions: readonly (readonly HookEntry[])[],
  { metric, signal, onProgress, ...limits }: SweepOptions,
): Promise<SweepResult> {
  signal?.throwIfAborted();
  const prompt = model.tokenBatch(tokens);
  const at = position(metric.pos ?? -1, prompt.pos);
  const wanted = 'tokens' in metric ? checkIds(metric.tokens, model.config.dVocabOut) : null;
  const data = new Float64Array(interventions.length);
  const warnings = new Set<string>();
  const runner = new CopyRunner(model.graph, model.runtime, { ...prompt, at, tokens: wanted });
  try {
    let done = 0;
    const planned = passes(model, runner, interventions, limits);
    await runner.share(planned.map(({ start }) => start));
    for (const { start, indices } of planned) {
      signal?.throwIfAborted();
      const result = await runner.run(
        indices.map((index) => interventions[index]),
        start,
      );
      for (const warning of result.warnings) warnings.add(warning);
      const size = result.data.length / indices.length;
      indices.forEach((index, i) => {
        data[index] = measure(metric, result.data.subarray(i * size, (i + 1) * size), prompt.batch);
      });
      done += indices.length;
      onProgress?.({ done, total: interventions.length });
    }
  } finally {
    runner.destroy();
  }
  return { data, warnings: [...warnings] };
}

/** The mean over rows of a metric, given the wanted logits [row, token]. */
function measure(metric: SweepMetric, logits: Float32Array<ArrayBuffer>, rows: number): number {
  const size = logits.length / rows;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const own = logits.subarray(row * size, (row + 1) * size);
    total += 'tokens' in metric ? own[0] - own[1] : metric.of(own, row);
  }
  return total / rows;
}

function position(pos: number, length: number): number {
  const positive = pos < 0 ? pos + length : pos;
  if (Number.isInteger(pos) && positive >= 0 && positive < length) return positive;
  throw new Error(`sweep: expected metric.pos to be an integer of ${-length} … ${length - 1}, got ${pos}.`);
}

function checkIds(tokens: readonly [number, number], dVocab: number): readonly [number, number] {
  const stranger = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= dVocab);
  if (tokens.length === 2 && stranger === undefined) return tokens;
  throw new Error(`sweep: expected metric.tokens to be two ids of 0–${dVocab - 1}, got ${tokens.join(', ')}.`);
}

interface Pass {
  readonly start: Start;
  readonly indices: readonly number[];
}

/** Copies by where their edits begin, as many at a time as fit. */
function passes(
  model: Model,
  runner: CopyRunner,
  interventions: readonly (readonly HookEntry[])[],
  {
    budgetBytes = DEFAULT_BUDGET_BYTES,
    maxCopies = DEFAULT_MAX_COPIES,
  }: Pick<SweepOptions, 'budgetBytes' | 'maxCopies'>,
): Pass[] {
  const byStart = new Map<number, number[]>();
  interventions.forEach((hooks, index) => {
    const start = runner.startOf(hooks);
    byStart.set(start, [...(byStart.get(start) ?? []), index]);
  });
  const { maxStorageBufferBindingSize, maxBufferSize } = model.device.limits;
  const allowed = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const copiesThatFit = (costs: readonly CopyCost[]) =>
    Math.min(
      Math.floor(budgetBytes / Math.max(...costs.map(({ bytes }) => bytes))),
      Math.floor(allowed / Math.max(...costs.map(({ largest }) => largest))),
    );
  const bounds = interventions.map((hooks) => runner.bound(hooks));
  return [...byStart].flatMap(([start, indices]) => {
    let fits = copiesThatFit(indices.map((index) => bounds[index]));
    // The bound is far above the truth, which takes some time to know.
    if (fits < Math.min(indices.length, maxCopies)) {
      fits = copiesThatFit(indices.map((index) => runner.cost(interventions[index], start)));
    }
    const size = Math.max(1, Math.min(fits, maxCopies));
    // Passes of about equal size: 17 copies are 9 and 8, not 16 and 1.
    const count = Math.ceil(indices.length / size);
    const begin = (pass: number) => Math.floor((pass * indices.length) / count);
    return Array.from({ length: count }, (_, pass) => ({
      start,
      indices: indices.slice(begin(pass), begin(pass + 1)),
    }));
  });
}
