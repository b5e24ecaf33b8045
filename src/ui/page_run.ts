// One run as the page shows it: tokens, every value, the logits, and what has been computed from them. Either live, with its values on
// the GPU, or from a recording (`recording.ts`). No DOM here.

import type { ShownModel, ShownValue } from '../elements/index.ts';
import {
  type ActivationCache,
  type Hook,
  type HookEntry,
  type Model,
  type ModelConfig,
  type Numerics,
  type Statistics,
  type Tensor,
  type TokenProbability,
  topTokens,
} from '../index.ts';

/** What views know of a model; a recording has it without one. */
export interface PageModel extends ShownModel {
  readonly config: ModelConfig;
  readonly hooks: readonly Hook[];
}

export interface PageRun {
  readonly ids: readonly number[];
  /** The tokens as text. */
  readonly tokens: readonly string[];
  readonly numerics: Numerics;
  /** [1, pos, d_vocab_out] */
  readonly logits: Tensor;
  readonly warnings: readonly string[];
  /** The forward pass alone; null in a recording. */
  readonly elapsedMs: number | null;
  readonly cache: {
    readonly names: readonly string[];
    readonly tokens: readonly (readonly number[])[] | null;
    has(name: string): boolean;
    get(name: string): ShownValue;
  };
  /** A value that the run did not keep, by one more pass over the same tokens; freed with the run. Absent in a recording. */
  capture?(name: string): Promise<ShownValue>;
  /** Computed once, then kept. */
  statistics(name: string): Promise<Statistics>;
  /**
   * What `compute` makes of the run, as plain data (JSON changes nothing): computed once for each key, and kept in recordings.
   * @throws Error in a recording that does not hold it
   */
  analysis<T>(key: string, compute: (model: Model, cache: ActivationCache) => Promise<T>): Promise<T>;
  /** Whether `analysis` of this key needs no computation that is not there. */
  offers(key: string): boolean;
  /** What has been computed, by key: for recordings. */
  analyses(): Promise<Map<string, unknown>>;
  destroy(): void;
}

export interface LiveRunOptions {
  readonly hooks?: readonly HookEntry[];
  readonly numerics: Numerics;
  readonly signal?: AbortSignal;
}

/** A run whose values stay on the GPU until `destroy`. */
export class LiveRun implements PageRun {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly numerics: Numerics;
  readonly logits: Tensor;
  readonly warnings: readonly string[];
  readonly elapsedMs: number;
  readonly cache: ActivationCache;
  private readonly model: Model;
  private readonly hooks: readonly HookEntry[];
  private readonly kept = new Map<string, Promise<unknown>>();
  private readonly captured = new Map<string, Promise<ActivationCache>>();
  /** The statistics that were asked for last: one value after the other, so that the page stays responsive. */
  private turn: Promise<unknown> = Promise.resolve();
  private isGone = false;

  private constructor(
    model: Model,
    hooks: readonly HookEntry[],
    run: Pick<LiveRun, 'ids' | 'numerics' | 'logits' | 'warnings' | 'elapsedMs' | 'cache'>,
  ) {
    this.model = model;
    this.hooks = hooks;
    this.ids = run.ids;
    this.tokens = run.ids.map((id) => model.tokenizer?.tokenText(id) ?? String(id));
    this.numerics = run.numerics;
    this.logits = run.logits;
    this.warnings = run.warnings;
    this.elapsedMs = run.elapsedMs;
    this.cache = run.cache;
  }

  /** Runs a prompt with every value kept. On an error nothing stays allocated. */
  static async of(model: Model, prompt: string, { hooks = [], numerics, signal }: LiveRunOptions): Promise<LiveRun> {
    const ids = idsOf(model, prompt);
    const start = performance.now();
    const { logits, warnings, cache } = await model.runWithCache(ids, { hooks, numerics, signal });
    return new LiveRun(model, hooks, { ids, numerics, logits, warnings, cache, elapsedMs: performance.now() - start });
  }

  async capture(name: string): Promise<ShownValue> {
    const captured = this.captured.get(name) ?? this.runOnceMore(name);
    this.captured.set(name, captured);
    captured.catch(() => this.captured.delete(name)); // it may work the next time
    return (await captured).get(name);
  }

  private async runOnceMore(name: string): Promise<ActivationCache> {
    const { model, numerics, hooks } = this;
    const { cache } = await model.run([[...this.ids]], { capture: name, logits: 'none', numerics, hooks });
    if (!this.isGone) return cache;
    cache.destroy();
    throw new Error('This run has been replaced.');
  }

  statistics(name: string): Promise<Statistics> {
    return this.analysis(`statistics ${name}`, (_, cache) => {
      const statistics = this.turn.then(() => {
        if (this.isGone) throw new Error('This run has been replaced.');
        return cache.get(name).stats();
      });
      this.turn = statistics.catch(() => {}); // whoever asked hears of it
      return statistics;
    });
  }

  analysis<T>(key: string, compute: (model: Model, cache: ActivationCache) => Promise<T>): Promise<T> {
    const kept = this.kept.get(key) as Promise<T> | undefined;
    if (kept) return kept;
    const computed = compute(this.model, this.cache);
    this.kept.set(key, computed);
    computed.catch(() => this.kept.delete(key)); // it may work the next time
    return computed;
  }

  offers(): boolean {
    return true;
  }

  async analyses(): Promise<Map<string, unknown>> {
    const settled = await Promise.allSettled(this.kept.values());
    const entries = [...this.kept.keys()].map((key, i) => [key, settled[i]] as const);
    return new Map(entries.flatMap(([key, it]) => (it.status === 'fulfilled' ? [[key, it.value]] : [])));
  }

  destroy(): void {
    this.isGone = true;
    this.cache.destroy();
    for (const captured of this.captured.values()) {
      captured.then(
        (cache) => cache.destroy(),
        () => {}, // whoever asked hears of it
      );
    }
  }
}

/**
 * The ids of what was typed: a text's tokens, or for a model without a tokenizer the numbers themselves.
 * @throws Error where it is neither
 */
export function idsOf(model: Model, prompt: string): number[] {
  if (model.tokenizer) return model.toTokens(prompt);
  if (isPromptFor(model, prompt)) return wordsOf(prompt).map(Number);
  throw new Error(
    `tokens: this model has no tokenizer; type ids of 0–${model.config.dVocab - 1}, such as "${firstIds(model)}".`,
  );
}

/** Whether a prompt is of the model's kind: any text, or numbers for a model without a tokenizer. */
export function isPromptFor({ tokenizer }: Model, prompt: string): boolean {
  const words = wordsOf(prompt);
  return tokenizer !== null || (words.length > 0 && words.every((word) => /^\d+$/.test(word)));
}

/** A prompt for a model without a tokenizer. */
export function firstIds({ config }: Model): string {
  return Array.from({ length: Math.min(3, config.nCtx) }, (_, i) => i + 1).join(' ');
}

function wordsOf(prompt: string): string[] {
  return prompt.split(/[\s,]+/).filter(Boolean);
}

/** The most probable tokens after a position. */
export function predictions(model: PageModel, run: PageRun, k: number, pos = -1): TokenProbability[] {
  return topTokens({ tokenizer: model.tokenizer } as Pick<Model, 'tokenizer'>, run.logits, k, { pos });
}
