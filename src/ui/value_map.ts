// A map of values: kinds of value by layer, one cell (or a few side by side) for each, coloured and clickable. What the colours mean is its
// user's business. Values outside of the blocks stand where they are computed: above and below.
import { html, nothing, type TemplateResult } from 'lit';
import { styleMap } from 'lit/directives/style-map.js';
import { COLOURS, colourTable } from '../elements/index.ts';

export interface MapCell {
  readonly text: string;
  /** What is said on hover: everything that is known. */
  readonly title: string;
  /** From 0 to 1 through viridis; null: no colour. */
  readonly shade: number | null;
}

export interface MapValue {
  readonly name: string;
  /** Block number, or null outside of the blocks. */
  readonly layer: number | null;
  /** As many as there are parts. */
  readonly cells: readonly MapCell[];
}

export interface ValueMapOptions {
  readonly label: string;
  /** What stands side by side in each layer; nothing is said where there is one. */
  readonly parts?: readonly string[];
  /** The value that is selected. */
  readonly selected: string;
  readonly choose: (name: string) => void;
}

/** @param values in firing order */
export function valueMap(values: readonly MapValue[], options: ValueMapOptions): TemplateResult {
  const layers = [...new Set(values.flatMap(({ layer }) => layer ?? []))].sort((a, b) => a - b);
  const parts = options.parts ?? [''];
  const kinds = new Map<string, Map<number, MapValue>>();
  for (const value of values) {
    if (value.layer === null) continue;
    const kind = value.name.replace(/^blocks\.\d+\./, '');
    kinds.set(kind, (kinds.get(kind) ?? new Map()).set(value.layer, value));
  }
  const firstBlock = values.findIndex(({ layer }) => layer !== null);
  const outside = (isBefore: boolean) =>
    values.flatMap((value, i) =>
      value.layer === null && i < firstBlock === isBefore
        ? html`<tr><th scope="row">${value.name}</th>
            ${value.cells.map((cell) => mapCell(value.name, cell, options, Math.max(layers.length, 1)))}</tr>`
        : [],
    );
  const inBlocks = [...kinds].map(
    ([kind, byLayer]) =>
      html`<tr><th scope="row">${kind}</th>${layers.map((layer) => {
        const value = byLayer.get(layer);
        if (!value) return html`<td colspan=${parts.length}></td>`;
        return value.cells.map((cell) => mapCell(value.name, cell, options));
      })}</tr>`,
  );
  return html`<div class="value-map" tabindex="0" role="region" aria-label=${options.label}><table>
    <thead>
      <tr><th scope="col">value</th>${layers.map((layer) => html`<th scope="col" colspan=${parts.length}>block ${layer}</th>`)}</tr>
      ${parts.length > 1 ? html`<tr><th></th>${layers.map(() => parts.map((part) => html`<th>${part}</th>`))}</tr>` : nothing}
    </thead>
    <tbody>${outside(true)}${inBlocks}${outside(false)}</tbody>
  </table></div>`;
}

function mapCell(name: string, { text, title, shade }: MapCell, options: ValueMapOptions, span = 1): TemplateResult {
  const colours = shade === null ? {} : shadeColours(shade);
  return html`<td colspan=${span}><button data-value=${name} title=${title} aria-label="${name}: ${text}"
    aria-current=${name === options.selected ? 'true' : nothing}
    style=${styleMap(colours)} @click=${() => options.choose(name)}>${text}</button></td>`;
}

const VIRIDIS = colourTable('viridis');

/** A colour of the map, and black or white to write on it, whichever stands out more. */
function shadeColours(shade: number): Record<string, string> {
  const i = 4 * Math.min(Math.max(Math.floor(shade * COLOURS), 0), COLOURS - 1);
  const [r, g, b] = VIRIDIS.subarray(i, i + 3);
  const linear = (byte: number) => (byte / 255) ** 2.2;
  const luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return { background: `rgb(${r} ${g} ${b})`, color: luminance > 0.18 ? '#000' : '#fff' };
}

/** From numbers to shades. */
export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly shade: (x: number | null) => number | null;
}

/** Over what is there: zeros are the low end. At least a factor of ten is shown, so that small differences look small. */
export function logScale(numbers: readonly (number | null)[]): Scale {
  const positive = numbers.filter((x) => x !== null && x > 0) as number[];
  const high = positive.reduce((most, x) => Math.max(most, x), 0) || 1;
  const low = Math.min(
    positive.reduce((least, x) => Math.min(least, x), high),
    high / 10,
  );
  const shade = (x: number | null) => {
    if (x === null) return null;
    return x <= low ? 0 : Math.min(Math.log(x / low) / Math.log(high / low), 1);
  };
  return { low, high, shade };
}

/** From 0 to 1. */
export const SHARE_SCALE: Scale = {
  low: 0,
  high: 1,
  shade: (x) => (x === null ? null : Math.min(Math.max(x, 0), 1)),
};

/** What the colours of a scale mean. */
export function legend({ low, high }: Scale, format: (x: number) => string): TemplateResult {
  return html`<span class="legend"><span class="number">${format(low)}</span><span class="ramp" aria-hidden="true"></span>
    <span class="number">${format(high)}</span></span>`;
}
