// Lines from tokens to the tokens that they look at: which are drawn, and where. Their opacity is the weight.
import { html, nothing, svg, type TemplateResult } from 'lit';
import { styleMap } from 'lit/directives/style-map.js';
import { formatProbability } from './text.ts';

/** Whose lines are shown: those of one query, or those to one key. */
export interface LineEnd {
  readonly side: 'query' | 'key';
  readonly pos: number;
}

export interface AttentionLine {
  readonly query: number;
  readonly key: number;
  readonly weight: number;
}

/** The pattern of one head, [query_pos, key_pos]. */
export interface HeadPattern {
  readonly weights: Float32Array;
  readonly queries: number;
  readonly keys: number;
}

/** Weaker lines could not be seen. */
const WEAKEST = 0.01;
/** More lines would be a grey area that takes long to draw. */
const MOST = 2000;

/** Height of a token, and the distance between queries and keys, in CSS pixels. */
const ROW_PX = 18;
const WIDTH_PX = 120;

/**
 * The lines to draw, strongest last: those that can be seen, at most 2,000.
 * @param end whose; null for all
 */
export function linesOf({ weights, queries, keys }: HeadPattern, end: LineEnd | null): AttentionLine[] {
  const lines: AttentionLine[] = [];
  for (let query = 0; query < queries; query++) {
    if (end?.side === 'query' && end.pos !== query) continue;
    for (let key = 0; key < keys; key++) {
      if (end?.side === 'key' && end.pos !== key) continue;
      const weight = weights[query * keys + key];
      if (weight >= WEAKEST) lines.push({ query, key, weight });
    }
  }
  return lines.sort((a, b) => a.weight - b.weight).slice(-MOST);
}

/** What one token gives to, or gets from, the end whose lines are shown; null where there is none, or the token is on its side. */
export function weightAt({ weights, keys }: HeadPattern, end: LineEnd | null, { side, pos }: LineEnd): number | null {
  if (!end || end.side === side) return null;
  return end.side === 'query' ? weights[end.pos * keys + pos] : weights[pos * keys + end.pos];
}

/** The lines between two columns of tokens, the longer one of so many rows. */
export function drawLines(lines: readonly AttentionLine[], rows: number): TemplateResult {
  const y = (pos: number) => (pos + 0.5) * ROW_PX;
  return html`<svg width=${WIDTH_PX} height=${ROW_PX * rows} aria-hidden="true">${lines.map(
    ({ query, key, weight }) =>
      svg`<line x1="0" y1=${y(query)} x2=${WIDTH_PX} y2=${y(key)} stroke-opacity=${Math.min(weight, 1).toFixed(3)}></line>`,
  )}</svg>`;
}

/** A column of tokens, of which `focusable` is reached by the keyboard. */
export function tokenColumn(
  side: LineEnd['side'],
  labels: readonly string[],
  {
    focusable,
    chosen,
    weightOf,
  }: {
    readonly focusable: number;
    readonly chosen: number | null;
    readonly weightOf: (pos: number) => number | null;
  },
): TemplateResult {
  const option = (label: string, pos: number) => {
    const weight = weightOf(pos);
    return html`<div role="option" data-side=${side} data-pos=${pos} tabindex=${pos === focusable ? 0 : -1}
      aria-selected=${pos === chosen} style=${styleMap({ '--share': String(weight ?? 0), height: `${ROW_PX}px` })}
      ><small>${pos}</small><span>${label}</span><span class="unseen">${
        weight === null ? nothing : `, weight ${formatProbability(weight)}`
      }</span></div>`;
  };
  const name = side === 'query' ? 'Queries: tokens that look' : 'Keys: tokens that are looked at';
  return html`<div role="listbox" class=${side} aria-label=${name}>${labels.map(option)}</div>`;
}
