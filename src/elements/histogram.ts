// How often which numbers occur in a value, and the picture of it.
import { html, svg, type TemplateResult } from 'lit';
import type { Statistics } from '../index.ts';
import { formatNumber } from './text.ts';

/** Counts of finite numbers in bins of equal width from `low` to `high`; the last includes `high`. */
export interface Histogram {
  readonly low: number;
  readonly high: number;
  readonly counts: readonly number[];
}

export const BINS = 40;

/** Numbers that are counted before the page gets a turn. */
const AT_ONCE = 2 ** 20;

const MASKED = -3.4028234663852886e38;

/**
 * Counts without keeping the page busy for long.
 * @param data with the lowest float32 where it is masked: that is left out, as NaN and infinities are
 */
export async function histogramOf(data: ArrayLike<number>, { min, max }: Statistics): Promise<Histogram> {
  const counts: number[] = Array(BINS).fill(0);
  const perUnit = max > min ? BINS / (max - min) : 0;
  for (let i = 0; i < data.length; i++) {
    const x = data[i];
    if (Number.isFinite(x) && x !== MASKED) counts[Math.min(Math.floor((x - min) * perUnit), BINS - 1)]++;
    if (i % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setTimeout(resolve));
  }
  return { low: min, high: max, counts };
}

const HEIGHT = 60;

/** Bars, with what they say as text. A bin that is not empty can be seen, however few there are in it. */
export function renderHistogram({ low, high, counts }: Histogram): TemplateResult {
  const most = Math.max(...counts, 1);
  const width = (high - low) / counts.length;
  const bars = counts.map((count, i) => {
    const height = count === 0 ? 0 : Math.max((HEIGHT * count) / most, 1);
    const range = `${formatNumber(low + i * width)} … ${formatNumber(low + (i + 1) * width)}`;
    return svg`
      <g>
        <title>${count} of ${range}</title>
        <rect class="reach" x=${i} y="0" width="1" height=${HEIGHT}></rect>
        <rect class="count" x=${i + 0.05} y=${HEIGHT - height} width="0.9" height=${height}></rect>
      </g>`;
  });
  return html`
    <svg class="histogram" viewBox="0 0 ${counts.length} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${describe({ low, high, counts })}>
      ${bars}
    </svg>
    <div class="ends" aria-hidden="true"><span>${formatNumber(low)}</span><span>${formatNumber(high)}</span></div>`;
}

function describe({ low, high, counts }: Histogram): string {
  const total = counts.reduce((a, b) => a + b, 0);
  const most = counts.indexOf(Math.max(...counts));
  const width = (high - low) / counts.length;
  const [from, to] = [low + most * width, low + (most + 1) * width].map(formatNumber);
  return `Histogram of ${total} numbers from ${formatNumber(low)} to ${formatNumber(high)}: most, ${counts[most]}, are from ${from} to ${to}.`;
}
