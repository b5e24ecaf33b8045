// Generation: prefill, then one token at a time through a key-value cache, with interventions and captures at every step. Runs and
// choices of tokens, several steps ahead: decoder.ts. What becomes of a row's text: continued_text.ts.
import type { Choice, SamplingOptions } from '../kernels/choose_token.ts';
import type { ActivationCache } from './activation_cache.ts';
import { ContinuedText, type Finished } from './continued_text.ts';
import { Decoder } from './decoder.ts';
import type { Model } from './model.ts';
import type { HookNames } from './names.ts';
import type { RunOptions } from './run_options.ts';
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
  /**
   * Steps that the GPU may have been given before the first of them is read (default 8). Changes no token. Those behind the end of a
   * row are computed for nothing. With `capture`, `returnLogits` or functions as hooks it is one.
   */
  readonly inFlight?: number;
}

/** What one step gave to one row. */
export interface GeneratedToken extends Choice {
  /** What the token adds to the text; '' while it ends inside of a character, and where the model has no tokenizer. */
  readonly text: string;
  /** Why the row ends with this token, or null. A row that has ended is not in later steps. */
  readonly finished: Finished | null;
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

/** Steps in flight where nobody says otherwise. */
const IN_FLIGHT = 8;

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
  check(model, options);
  const inputs = tokenRows(prompt, (text) => model.toTokens(text, options));
  padRows(inputs, model.config);
  const texts = inputs.map((ids) => new ContinuedText(model, Array.from(ids), options));
  const complete = { ...options, maxNewTokens, prefillChunk, inFlight: stepsInFlight(options) };
  const decoder = await Decoder.create(model, texts, complete);
  let kept: ActivationCache | undefined;
  try {
    for (let step = 0; texts.some(({ isActive }) => isActive); step++) {
      signal?.throwIfAborted();
      kept?.destroy();
      kept = undefined;
      const { choices, cache, logits, ...decoded } = await decoder.next();
      kept = cache;
      signal?.throwIfAborted();
      const firstPos = step === 0 ? decoded.firstPos : texts.map(({ ids }) => ids.length - 1);
      const rows = choices.map((choice, row): GeneratedToken | null => {
        if (!choice || !texts[row].isActive) return null;
        return { ...choice, ...texts[row].add(choice.token, step === maxNewTokens - 1) };
      });
      const leading = rows.find((row) => row !== null);
      if (!leading) return;
      yield { ...leading, rows, firstPos, ...(logits && { logits }), ...(cache && { cache }) };
    }
  } finally {
    kept?.destroy();
    decoder.destroy();
  }
}

/** One, where values of a step are given out, or a function sees them, before the next step. */
function stepsInFlight({ capture, returnLogits, hooks = [], inFlight = IN_FLIGHT }: GenerateOptions): number {
  const isSeen = capture !== undefined || returnLogits || hooks.some(([, what]) => typeof what === 'function');
  return isSeen ? 1 : inFlight;
}

function check(model: Model, options: GenerateOptions): void {
  checkSampling(options);
  const { maxNewTokens = 64, prefillChunk = 1, inFlight = 1, stopStrings } = options;
  for (const [name, value] of Object.entries({ maxNewTokens, inFlight })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new Error(`generate: ${name} must be a whole number from 1, got ${value}.`);
  }
  if (!(prefillChunk >= 1)) throw new Error(`generate: prefillChunk must be 1 or more, got ${prefillChunk}.`);
  if (stopStrings && !model.tokenizer) throw new Error('generate: stopStrings need a tokenizer; this model has none.');
  if (stopStrings?.includes('')) throw new Error('generate: an empty stop string would stop everything.');
}
