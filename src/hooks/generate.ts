// Generation: prefill, then one token at a time through a key-value cache, with interventions and captures at every step.
import { type Choice, chooseToken, type SamplingOptions } from '../kernels/choose_token.ts';
import { uniformAt } from '../kernels/philox.ts';
import type { ActivationCache } from './activation_cache.ts';
import type { Model, RunOptions } from './model.ts';
import type { HookNames } from './names.ts';
import { checkSampling } from './sampling.ts';
import type { Tensor } from './tensor.ts';
import { padRows, type TokenInput, tokenRows } from './tokens.ts';

export interface GenerateOptions
  extends SamplingOptions,
    Pick<RunOptions, 'hooks' | 'numerics' | 'signal' | 'prependBos'> {
  /** Most tokens to add to each row (default 64); fewer where the context ends before. */
  readonly maxNewTokens?: number;
  /** A row ends with any of these (default: the checkpoint's end-of-text tokens). The token is part of the result, not of the text. */
  readonly stopTokens?: readonly number[];
  /** A row ends as soon as its new text holds any of these; its text ends before it. */
  readonly stopStrings?: readonly string[];
  /** Values to keep at each step, for that step's `cache`: those of the prompt at the first, of one token afterwards. */
  readonly capture?: HookNames;
  /** Gives each step's `logits`. */
  readonly returnLogits?: boolean;
  /** Runs the prompt in pieces of at most this many tokens (default: whole). Changes no bit. */
  readonly prefillChunk?: number;
}

/** What one step gave to one row. */
export interface GeneratedToken extends Choice {
  /** What the token adds to the text; '' while it ends inside of a character, and where the model has no tokenizer. */
  readonly text: string;
  /** Why the row ends with this token, or null. A row that has ended is not in later steps. */
  readonly finished: 'stop token' | 'stop string' | 'length' | 'context' | null;
}

export interface GenerationStep extends GeneratedToken {
  /** By row of the batch; null for rows that ended before. The step's own fields are those of the first row that goes on. */
  readonly rows: readonly (GeneratedToken | null)[];
  /** Positions that each row had before this step's run: index 0 of `cache`'s values along pos. */
  readonly firstPos: readonly number[];
  /** With `returnLogits`: what the tokens were chosen from, [batch, pos, d_vocab_out] (pos: the prompt's at the first step). */
  readonly logits?: Tensor;
  /** With `capture`: valid until the next step is asked for. */
  readonly cache?: ActivationCache;
}

interface Row {
  readonly ids: number[];
  readonly promptLength: number;
  emitted: string;
  isActive: boolean;
}

/**
 * Adds tokens to a prompt, one step at a time. Everything on the GPU is freed when the loop ends, whichever way: the last token,
 * `break`, an exception or an abort.
 */
export async function* generate(
  model: Model,
  prompt: TokenInput,
  options: GenerateOptions = {},
): AsyncGenerator<GenerationStep, void, undefined> {
  const { maxNewTokens = 64, signal, prefillChunk = Number.POSITIVE_INFINITY } = options;
  checkSampling(options);
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1) {
    throw new Error(`generate: maxNewTokens must be a whole number from 1, got ${maxNewTokens}.`);
  }
  if (!(prefillChunk >= 1)) throw new Error(`generate: prefillChunk must be 1 or more, got ${prefillChunk}.`);
  if (options.stopStrings && !model.tokenizer)
    throw new Error('generate: stopStrings need a tokenizer; this model has none.');
  if (options.stopStrings?.includes('')) throw new Error('generate: an empty stop string would stop everything.');
  const inputs = tokenRows(prompt, (text) => model.toTokens(text, options));
  const first = padRows(inputs, model.config);
  const rows: Row[] = inputs.map((ids) => ({
    ids: Array.from(ids),
    promptLength: ids.length,
    emitted: '',
    isActive: true,
  }));
  const { nCtx } = model.config;
  const capacity = Math.min(nCtx, first.pos + maxNewTokens);
  const keyValueCache = model.createKeyValueCache({ batch: first.batch, capacity });
  let kept: ActivationCache | undefined;
  try {
    let pieces = chunks(
      rows.map(({ ids }) => ids),
      prefillChunk,
    );
    for (let step = 0; step < maxNewTokens; step++) {
      signal?.throwIfAborted();
      kept?.destroy();
      kept = undefined;
      let logits: Tensor | undefined;
      let firstPos: readonly number[] = [];
      const last: (Float32Array | null)[] = rows.map(() => null);
      for (const piece of pieces) {
        signal?.throwIfAborted();
        kept?.destroy();
        const batch = padRows(
          piece.map((ids) => (ids.length > 0 ? ids : [0])),
          model.config,
        );
        const lengths = piece.map((ids) => ids.length);
        firstPos = keyValueCache.lengths;
        const result = await model.forward([], { ...batch, lengths }, { ...options, keyValueCache });
        if (!('logits' in result)) throw new Error('generate: a step gave no logits.');
        kept = result.cache;
        logits = result.logits;
        piece.forEach((ids, row) => {
          if (ids.length > 0) last[row] = rowLogits(result.logits, row, ids.length - 1);
        });
      }
      const results = rows.map((row, index): GeneratedToken | null => {
        const scores = last[index];
        if (!row.isActive || !scores) return null;
        const choice = chooseToken(scores, row.ids, options, uniformAt(options.seed ?? 0, { step, row: index }));
        return advance(model, row, choice, { ...options, isLast: step === maxNewTokens - 1 });
      });
      const leading = results.find((result) => result !== null);
      if (!leading) return;
      yield {
        ...leading,
        rows: results,
        firstPos,
        ...(options.returnLogits && logits && { logits }),
        ...(kept && { cache: kept }),
      };
      if (rows.every(({ isActive }) => !isActive)) return;
      pieces = [rows.map(({ ids, isActive }) => (isActive ? ids.slice(-1) : []))];
    }
  } finally {
    kept?.destroy();
    keyValueCache.destroy();
  }
}

/** Rows cut into consecutive pieces of at most `size` tokens; a shorter row has empty pieces at its end. */
function chunks(rows: readonly (readonly number[])[], size: number): (readonly number[])[][] {
  const longest = Math.max(...rows.map(({ length }) => length));
  const pieces: (readonly number[])[][] = [];
  for (let from = 0; from < longest; from += size) pieces.push(rows.map((row) => row.slice(from, from + size)));
  return pieces;
}

function rowLogits({ data, shape }: Tensor, row: number, pos: number): Float32Array {
  const [, positions, width] = shape;
  const at = (row * positions + pos) * width;
  return data.subarray(at, at + width);
}

/** Adds the token to its row and says what that does to the text and whether the row ends. */
function advance(
  model: Model,
  row: Row,
  choice: Choice,
  options: GenerateOptions & { isLast: boolean },
): GeneratedToken {
  const { stopTokens = model.eosTokenIds, stopStrings = [] } = options;
  row.ids.push(choice.token);
  const isStopToken = stopTokens.includes(choice.token);
  const isContextFull = row.ids.length >= model.config.nCtx + 1;
  const whole = newText(model, isStopToken ? { ...row, ids: row.ids.slice(0, -1) } : row);
  const stop = stopStrings.map((text) => whole.indexOf(text)).filter((at) => at >= 0);
  const finished = isStopToken
    ? 'stop token'
    : stop.length > 0
      ? 'stop string'
      : options.isLast
        ? 'length'
        : isContextFull
          ? 'context'
          : null;
  // Bytes of a character that is not complete yet decode as U+FFFD at the end: they wait for the next token. So does what may be
  // the beginning of a stop string.
  let complete = whole;
  if (stop.length > 0) complete = whole.slice(0, Math.min(...stop));
  else if (finished === null) complete = withoutBeginning(whole.replace(/\uFFFD+$/, ''), stopStrings);
  const text = complete.slice(row.emitted.length);
  if (complete.length > row.emitted.length) row.emitted = complete;
  row.isActive = finished === null;
  return { ...choice, text, finished };
}

/** The text without a beginning of a stop string at its end. */
function withoutBeginning(text: string, stopStrings: readonly string[]): string {
  let held = 0;
  for (const stop of stopStrings) {
    for (let length = Math.min(stop.length, text.length); length > held; length--) {
      if (text.endsWith(stop.slice(0, length))) held = length;
    }
  }
  return text.slice(0, text.length - held);
}

/** The text of the tokens added so far. Decoded behind the prompt, whose last token decides about the first space. */
function newText(model: Model, { ids, promptLength }: Row): string {
  if (!model.tokenizer) return '';
  return model.tokenizer.decode(ids).slice(model.tokenizer.decode(ids.slice(0, promptLength)).length);
}
