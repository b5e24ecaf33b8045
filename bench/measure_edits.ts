// The part of the measurement that generates and edits: decoding through a key-value cache, with and without an intervention, and a
// sweep of edits against as many runs.
import type * as Hyaline from '../src/index.ts';
import { checkSameBits } from './checks.ts';
import { type Case, elapsedMs } from './interleave.ts';
import { ratioOfTurns } from './quartiles.ts';
import type { Check, Ratio, Timing } from './result.ts';

type Engine = typeof Hyaline;
type Model = Hyaline.Model;

/** Positions before the tokens that are decoded. */
export const CONTEXTS = [16, 128] as const;
export const SWEEP_LENGTH = 20;
export const DECODE = 'decode, per token';
export const DECODE_EDITED = 'decode, per token, one edit';
export const GENERATE = 'generate, per token';
export const SWEEP = 'sweep of 16 edits';
export const SEPARATE = '16 runs of one edit each';

/** Tokens decoded in a row for one sample, which is their mean. */
export const DECODED = 8;
const engine = 'hyaline';

export interface EditCases {
  readonly checks: readonly Check[];
  readonly cases: readonly Case[];
  /** Frees what the cases hold. */
  destroy(): void;
}

/** What to time, after each kind has run once and been checked. */
export async function editCases(
  hyaline: Engine,
  model: Model,
  input: (length: number) => number[],
): Promise<EditCases> {
  const decodes: Decoder[] = [];
  for (const context of CONTEXTS) decodes.push(await Decoder.start(hyaline, model, input(context + DECODED)));
  const sweeping = await sweepCases(hyaline, model, input(SWEEP_LENGTH));
  const checks = [...(await Promise.all(decodes.map((decoder) => decoder.check()))), sweeping.check];
  return {
    checks,
    cases: [...decodes.flatMap((decoder) => decoder.cases()), ...sweeping.cases],
    destroy: () => {
      for (const decoder of decodes) decoder.destroy();
      sweeping.destroy();
    },
  };
}

/** Decodes the last tokens of a text again and again, behind its beginning in a key-value cache. */
class Decoder {
  private readonly model: Model;
  private readonly tokens: readonly number[];
  private readonly cache: Hyaline.KeyValueCache;
  private readonly hooks: readonly Hyaline.HookEntry[];

  private constructor({ add }: Engine, model: Model, tokens: readonly number[]) {
    this.model = model;
    this.tokens = tokens;
    this.cache = model.createKeyValueCache();
    const direction = Float32Array.from({ length: model.config.dModel }, (_, i) => Math.sin(i));
    this.hooks = [['blocks.1.hook_resid_post', add(direction, { scale: 0.1 })]];
  }

  static async start(hyaline: Engine, model: Model, tokens: readonly number[]): Promise<Decoder> {
    const decoder = new Decoder(hyaline, model, tokens);
    await model.run(tokens.slice(0, -DECODED), { keyValueCache: decoder.cache });
    return decoder;
  }

  private get context(): number {
    return this.tokens.length - DECODED;
  }

  /** Milliseconds per token, and the last one's logits. */
  private async decode(hooks: readonly Hyaline.HookEntry[]): Promise<{ elapsed: number; logits: Float32Array }> {
    let logits = new Float32Array();
    this.cache.truncate(this.context);
    const elapsed = await elapsedMs(async () => {
      for (const token of this.tokens.slice(-DECODED)) {
        logits = (await this.model.run([token], { keyValueCache: this.cache, hooks })).logits.data;
      }
    });
    return { elapsed: elapsed / DECODED, logits };
  }

  async check(): Promise<Check> {
    const { logits: whole } = await this.model.run(this.tokens);
    const { logits } = await this.decode([]);
    const name = `logits of token ${this.tokens.length}, decoded against one run of all`;
    return checkSameBits(name, logits, whole.data.slice(-logits.length));
  }

  cases(): Case[] {
    const time = (hooks: readonly Hyaline.HookEntry[]) => async () => (await this.decode(hooks)).elapsed;
    const prompt = this.tokens.slice(0, this.context);
    return [
      { name: DECODE, engine, tokens: this.context, time: time([]) },
      { name: DECODE_EDITED, engine, tokens: this.context, time: time(this.hooks) },
      { name: GENERATE, engine, tokens: this.context, time: () => generateMs(this.model, prompt, DECODED) },
    ];
  }

  destroy(): void {
    this.cache.destroy();
  }
}

/** Milliseconds per token that the model adds to a prompt, after the first: choosing it is included. */
export async function generateMs(model: Model, prompt: readonly number[], count: number): Promise<number> {
  let start: number | undefined;
  for await (const _ of model.generate(prompt, { maxNewTokens: count + 1, temperature: 0, stopTokens: [] })) {
    start ??= performance.now();
  }
  return (performance.now() - (start ?? Number.NaN)) / count;
}

/** Every head's output, patched from a run of other tokens; the metric is a difference of two logits. */
async function sweepCases({ patchFrom, sweep }: Engine, model: Model, tokens: readonly number[]) {
  const { nLayers, nHeads } = model.config;
  const { cache } = await model.runWithCache([...tokens].reverse(), { names: 'blocks.*.attn.hook_z' });
  const copies = Array.from({ length: nLayers * nHeads }, (_, i): Hyaline.HookEntry[] => [
    [`blocks.${Math.floor(i / nHeads)}.attn.hook_z`, patchFrom(cache, { head: i % nHeads })],
  ]);
  const metric = { tokens: [1, 2] as const };
  const together = async () => (await sweep(model, tokens, copies, { metric })).data;
  const separately = async () => {
    const values: number[] = [];
    for (const hooks of copies) {
      const last = (await model.run(tokens, { hooks })).logits.data.slice(-model.config.dVocabOut);
      values.push(last[1] - last[2]);
    }
    return values;
  };
  const [a, b] = [Float32Array.from(await together()), Float32Array.from(await separately())];
  return {
    check: checkSameBits(`a sweep of ${copies.length} edits against single runs`, a, b),
    cases: [
      { name: SWEEP, engine, tokens: tokens.length, time: () => elapsedMs(together) },
      { name: SEPARATE, engine, tokens: tokens.length, time: () => elapsedMs(separately) },
    ],
    destroy: () => cache.destroy(),
  };
}

/** Quotients of turns in the same rounds. */
export function editRatios(timings: readonly Timing[]): Ratio[] {
  return [
    ...CONTEXTS.map((tokens) =>
      ratioOfTurns(timings, { name: EDIT_RATIO, tokens, below: DECODE, above: DECODE_EDITED }),
    ),
    ratioOfTurns(timings, { name: SWEEP_RATIO, tokens: SWEEP_LENGTH, below: SWEEP, above: SEPARATE }),
  ];
}

export const EDIT_RATIO = 'decoding with one edit against without';
export const SWEEP_RATIO = '16 runs against a sweep of 16 edits';
