// A field in which a token is named, by its text or its id.
import { html, type TemplateResult } from 'lit';
import { quoteToken, type ShownModel } from '../elements/index.ts';
import type { Model } from '../index.ts';

/** A token in quotes, or its id with # where the model has no text for it. */
export function nameOfToken(model: ShownModel | null, id: number): string {
  try {
    if (model?.tokenizer) return quoteToken(model.tokenizer.tokenText(id));
  } catch {
    // vocabularies are padded beyond what their tokenizers know
  }
  return `#${id}`;
}

/**
 * The token that is meant: `#747` by its id, `" Mary"` exactly, and what has no quotes with a space in front if that is one token, as
 * within a sentence, else as it stands.
 * @throws Error where it is no token, with what it would be
 * @example
 * tokenNamed(model, 'Mary'); // 747, which is " Mary"
 */
function tokenNamed(model: Pick<Model, 'tokenizer' | 'config'>, text: string): number {
  const { tokenizer, config } = model;
  const typed = text.trim();
  if (/^#?\d+$/.test(typed) && (typed.startsWith('#') || !tokenizer)) {
    const id = Number(typed.replace('#', ''));
    if (id < config.dVocabOut) return id;
    throw new Error(`There is no token ${typed}; ids are 0–${config.dVocabOut - 1}.`);
  }
  if (!tokenizer) throw new Error(`This model has no tokenizer; type an id of 0–${config.dVocabOut - 1}.`);
  const spellings = typed.startsWith('"') ? [unquote(typed)] : [` ${typed}`, text];
  const readings = spellings.map((spelling) => tokenizer.textToTokens(spelling, { prependBos: false }));
  const single = readings.find((ids) => ids.length === 1);
  if (single) return single[0];
  const parts = readings[readings.length - 1].map((id) => nameOfToken({ tokenizer, config }, id));
  throw new Error(`${JSON.stringify(typed)} is not one token but ${parts.length}: ${parts.join(', ')}. #id names any.`);
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    throw new Error(`${text} has quotes that do not match.`);
  }
}

export interface TokenInputOptions {
  readonly label: string;
  readonly id?: string;
  readonly model: Model | null;
  readonly shown: ShownModel | null;
  /** Null: none is chosen, and the field says `placeholder`. */
  readonly token: number | null;
  readonly placeholder?: string;
  /** Given null where the field was emptied. */
  readonly choose: (token: number | null) => void;
}

/** The id of the list of likely tokens, which `<page-predictions>` keeps. */
export const LIKELY_TOKENS = 'likely-tokens';

/** What is typed is looked up when the field is left or Enter is pressed; what is no token is said at the field. */
export function tokenInput(options: TokenInputOptions): TemplateResult {
  const { label, id, model, shown, token, placeholder = '', choose } = options;
  const named = token === null ? '' : nameOfToken(shown, token);
  const onChange = ({ target }: Event) => {
    const input = target as HTMLInputElement;
    input.setCustomValidity('');
    try {
      const chosen = input.value.trim() === '' || !model ? null : tokenNamed(model, input.value);
      input.value = chosen === null ? '' : nameOfToken(shown, chosen);
      choose(chosen);
    } catch (error) {
      input.setCustomValidity(error instanceof Error ? error.message : String(error));
      input.reportValidity();
    }
  };
  const onInput = ({ target }: Event) => (target as HTMLInputElement).setCustomValidity('');
  return html`<input class="token-input" id=${id ?? ''} type="text" list=${LIKELY_TOKENS} autocomplete="off" spellcheck="false"
    aria-label=${label} title=${label} placeholder=${placeholder} .value=${named} ?disabled=${!model}
    @input=${onInput} @change=${onChange}>`;
}
