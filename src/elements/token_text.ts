// A token as a label: its text with visible spaces, and its bytes. As text only; nothing here makes HTML of it.
import type { ShownModel } from './shown_run.ts';
import { quoteToken } from './text.ts';

/** What a token adds to a text; its id where the model has no tokenizer, or one that does not know it. */
export function textOfToken(model: ShownModel | null, id: number): string {
  try {
    return model?.tokenizer?.tokenText(id) ?? String(id);
  } catch {
    return String(id); // vocabularies are padded beyond what their tokenizers know
  }
}

/**
 * A token without quotes: spaces as middle dots, control characters escaped.
 * @example
 * visibleToken(' Mary\n'); // '·Mary\\n'
 */
export function visibleToken(text: string): string {
  return text === '' ? '""' : quoteToken(text).slice(1, -1).replaceAll('\\"', '"').replaceAll(' ', '·');
}

/**
 * UTF-8 in hex; null for a part of a character, whose bytes the text does not tell.
 * @example
 * tokenBytes(' é'); // '20 c3 a9'
 */
export function tokenBytes(text: string): string | null {
  if (text.includes('\ufffd')) return null;
  return Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
