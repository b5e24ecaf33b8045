// What elements look into: a run with its captured values, and the model that words its tokens. What `model.runWithCache` gives is a
// run, and a `Model` is a model; a recording of both is too, without a GPU.
import { ActivationCache, Model, type Tensor } from '../index.ts';
import type { ShownValue } from './shown_value.ts';

/** The values that a run captured, by their hook names. */
export interface ShownCache {
  readonly names: readonly string[];
  /** Ids of the tokens that the run read, [batch][pos]; null where they are not known. */
  readonly tokens: readonly (readonly number[])[] | null;
  has(name: string): boolean;
  /** @throws Error if the value was not captured, or is gone */
  get(name: string): ShownValue;
}

/** A run to show. */
export interface ShownRun {
  readonly cache: ShownCache;
  /** Scores of the next token, [batch, pos, d_vocab_out]. */
  readonly logits?: Tensor;
}

/** The model of a run, as far as elements need it. */
export interface ShownModel {
  readonly config: { readonly nLayers: number; readonly nHeads: number };
  readonly tokenizer: { tokenText(id: number): string } | null;
  /** Where values with a buffer are drawn. */
  readonly device?: GPUDevice;
}

/** The model and the cache of a run that can still be computed with; null for recordings. */
export function liveRun(
  model: ShownModel | null,
  run: ShownRun | null,
): { model: Model; cache: ActivationCache } | null {
  return model instanceof Model && run?.cache instanceof ActivationCache ? { model, cache: run.cache } : null;
}

/** Says which of these values a run lacks; null where it has them all. */
export function notCaptured({ cache }: ShownRun, names: readonly string[]): string | null {
  const missing = names.filter((name) => !cache.has(name));
  if (missing.length === 0) return null;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
  return `This run did not capture ${missing[0]}${more}. Ask for it with { names: … }.`;
}
