// Colours behind text: the background, the ink that can be read on it, and the legend that says what they mean.
import { css, html, type TemplateResult } from 'lit';
import { styleMap } from 'lit/directives/style-map.js';
import { COLOURS, type ColourMap, colourTable, NAN_COLOUR } from './colours.ts';
import type { Colouring } from './picture.ts';
import { formatNumber } from './text.ts';

const tables: Partial<Record<ColourMap, Uint8Array>> = {};

function tableOf(map: ColourMap): Uint8Array {
  tables[map] ??= colourTable(map);
  return tables[map];
}

/** CSS for a number: its colour, and black or white on it, whichever contrasts more (WCAG: at least 4.5 : 1). */
export function shade({ map, low, high }: Colouring, x: number): { 'background-color': string; color: string } {
  const share = high > low ? (x - low) / (high - low) : 0;
  const i = 4 * Math.min(Math.max(Math.floor(share * COLOURS), 0), COLOURS - 1);
  const rgb = Number.isNaN(x) ? NAN_COLOUR : [...tableOf(map).subarray(i, i + 3)];
  return { 'background-color': `rgb(${rgb.join(' ')})`, color: luminance(rgb) > 0.179 ? '#000' : '#fff' };
}

/** Relative luminance of sRGB, 0 … 1; at 0.179 black and white contrast alike (WCAG 2.2). */
function luminance(rgb: readonly number[]): number {
  const [r, g, b] = rgb.map((byte) => {
    const c = byte / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** How numbers are coloured where nobody says: from 0 in viridis, or around 0 where some are negative. NaN and infinities do not count. */
export function colouringOf(numbers: readonly number[]): Colouring {
  const finite = numbers.filter(Number.isFinite);
  const [lowest, highest] = finite.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [0, 0]);
  if (lowest >= 0) return { map: 'viridis', low: 0, high: highest };
  const high = Math.max(-lowest, highest);
  return { map: 'diverging', low: -high, high };
}

export const legendStyles = css`
  .legend {
    display: flex;
    align-items: center;
    gap: 6px;
    color: var(--_muted);
    font-size: 11px;
    font-variant-numeric: tabular-nums;
  }
  .legend i {
    width: 72px;
    height: 8px;
    border-radius: 2px;
  }
`;

/** `name low ▬▬▬ high` */
export function legend(name: string, colouring: Colouring): TemplateResult {
  const { low, high } = colouring;
  const stops = Array.from({ length: 9 }, (_, i) => shade(colouring, low + (i / 8) * (high - low))['background-color']);
  const bar = { 'background-image': `linear-gradient(to right, ${stops.join(', ')})` };
  return html`<div class="legend">
    ${name} ${formatNumber(low)}<i style=${styleMap(bar)}></i>${formatNumber(high)}
  </div>`;
}
