// The text of a row that generation continues: what each token adds to it, and when it ends.
import type { Model } from './model.ts';

/** Why a row ends. */
export type Finished = 'stop token' | 'stop string' | 'length' | 'context';

interface StopOptions {
  readonly stopTokens?: readonly number[];
  readonly stopStrings?: readonly string[];
}

export class ContinuedText {
  /** Ids of the prompt. */
  readonly prompt: readonly number[];
  /** Those and what was added. */
  readonly ids: number[];
  isActive = true;
  private readonly model: Model;
  private readonly stopTokens: readonly number[];
  private readonly stopStrings: readonly string[];
  private readonly promptText: string;
  private emitted = '';

  constructor(model: Model, prompt: readonly number[], { stopTokens, stopStrings }: StopOptions) {
    this.model = model;
    this.prompt = prompt;
    this.ids = [...prompt];
    this.stopTokens = stopTokens ?? model.eosTokenIds;
    this.stopStrings = stopStrings ?? [];
    this.promptText = model.tokenizer?.decode(prompt) ?? '';
  }

  /** Adds a token; says what it adds to the text and whether the row ends. */
  add(token: number, isLast: boolean): { readonly text: string; readonly finished: Finished | null } {
    this.ids.push(token);
    const isStopToken = this.stopTokens.includes(token);
    const isContextFull = this.ids.length >= this.model.config.nCtx + 1;
    const whole = this.newText(isStopToken ? this.ids.slice(0, -1) : this.ids);
    const stop = this.stopStrings.map((text) => whole.indexOf(text)).filter((at) => at >= 0);
    const finished = isStopToken
      ? 'stop token'
      : stop.length > 0
        ? 'stop string'
        : isLast
          ? 'length'
          : isContextFull
            ? 'context'
            : null;
    // Bytes of a character that is not complete yet decode as U+FFFD at the end: they wait for the next token. So does what may be
    // the beginning of a stop string.
    let complete = whole;
    if (stop.length > 0) complete = whole.slice(0, Math.min(...stop));
    else if (finished === null) complete = withoutBeginning(whole.replace(/\uFFFD+$/, ''), this.stopStrings);
    const text = complete.slice(this.emitted.length);
    if (complete.length > this.emitted.length) this.emitted = complete;
    this.isActive = finished === null;
    return { text, finished };
  }

  /** The text of the tokens added so far. Decoded behind the prompt, whose last token decides about the first space. */
  private newText(ids: readonly number[]): string {
    return this.model.tokenizer?.decode(ids).slice(this.promptText.length) ?? '';
  }
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
