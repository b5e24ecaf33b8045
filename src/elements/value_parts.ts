// The parts of `<hyaline-value>`: one number down to its bits, the statistics of all, and the histogram. Templates without state.
import { html, nothing, svg, type TemplateResult } from 'lit';
import { type Statistics, toHexFloat, ulp, ulpDistance } from '../index.ts';
import { bitParts, bitsText, shortestDecimal } from './float32_text.ts';
import type { Histogram } from './histogram.ts';
import { formatNumber } from './text.ts';

/** A float32 number and its bits. */
export interface ExactNumber {
  readonly value: number;
  readonly bits: number;
}

/** One element: the number itself, and what it is held against. */
export interface Inspected {
  /** Where it stands, in words. */
  readonly where: string;
  readonly number: ExactNumber;
  /** In the value that is compared. */
  readonly compared: ExactNumber | null;
  /** In float64. */
  readonly reference: number | null;
}

/** Which rows there are, so that they are there before there is a number. */
export interface Rows {
  readonly compared: boolean;
  readonly reference: boolean;
}

const NONE = html`<span class="muted">–</span>`;

/** One number, exactly. */
export function renderNumber(inspected: Inspected | null, rows: Rows): TemplateResult {
  const number = inspected?.number;
  return html`
    <dl class="number" part="number">
      <dt>element</dt>
      <dd>${inspected?.where ?? html`<span class="muted">point at a cell</span>`}</dd>
      <dt>decimal</dt>
      <dd class="exact decimal">${number ? shortestDecimal(number.value) : NONE}</dd>
      <dt>hex</dt>
      <dd class="exact">${number ? toHexFloat(number.value) : NONE}</dd>
      <dt>bits</dt>
      <dd class="exact">${number ? bitsText(number.bits) : NONE}</dd>
      <dt>parts</dt>
      <dd class="exact parts">${number ? renderParts(number.bits) : NONE}</dd>
      <dt>1 ULP</dt>
      <dd>${number ? renderUlp(number.value) : NONE}</dd>
      ${rows.reference ? renderReference(inspected) : nothing}${rows.compared ? renderCompared(inspected) : nothing}
    </dl>`;
}

/** Sign, exponent, fraction. */
function renderParts(bits: number): TemplateResult {
  const [sign, exponent, fraction] = bitParts(bits);
  return html`<span class="sign" title="sign">${sign}</span>
    <span class="exponent" title="exponent: ${Number.parseInt(exponent, 2)} − 127">${exponent}</span>
    <span class="fraction" title="fraction">${fraction}</span>`;
}

function renderUlp(x: number): TemplateResult {
  const size = ulp(x);
  if (!Number.isFinite(size)) return NONE;
  return html`2<sup>${String(Math.log2(size)).replace('-', '−')}</sup> = ${formatNumber(size)}`;
}

function renderReference(inspected: Inspected | null): TemplateResult {
  const truth = inspected?.reference ?? null;
  const number = inspected?.number;
  return html`
    <dt>float64</dt>
    <dd class="exact">${truth === null ? NONE : String(truth)}</dd>
    <dt>error</dt>
    <dd>${truth === null || !number ? NONE : errorText(number.value, truth)}</dd>`;
}

/** How far a number is from the truth: in units of the last place that the truth has in float32, and relative to the truth. */
function errorText(x: number, truth: number): string {
  if (x === truth) return 'none';
  const error = Math.abs(x - truth);
  const relative = truth === 0 ? '' : ` · relative ${formatNumber(error / Math.abs(truth))}`;
  return `${formatNumber(error / ulp(truth))} ULP${relative}`;
}

function renderCompared(inspected: Inspected | null): TemplateResult {
  const { number, compared } = inspected ?? {};
  return html`
    <dt>compared</dt>
    <dd class="exact">
      ${compared ? html`${shortestDecimal(compared.value)} <span class="muted">${bitsText(compared.bits)}</span>` : NONE}
    </dd>
    <dt>difference</dt>
    <dd>${number && compared ? differenceText(number, compared) : NONE}</dd>`;
}

/** From the compared number to this one. */
function differenceText(number: ExactNumber, compared: ExactNumber): string {
  if (number.bits === compared.bits) return 'none: the same bits';
  const difference = number.value - compared.value;
  const sign = difference > 0 ? '+' : '';
  return `${sign}${formatNumber(difference)} · ${ulpDistance(number.value, compared.value).toLocaleString('en')} ULP`;
}

/** Statistics of all elements. What should not be there at all stands out. */
export function renderStatistics(statistics: Statistics | null): TemplateResult {
  const number = (x: number | undefined) => (x === undefined ? NONE : html`<span title=${x}>${formatNumber(x)}</span>`);
  const count = (x: number | undefined) => (x === undefined ? NONE : x.toLocaleString('en'));
  const problem = (x: number | undefined) => html`<dd class=${x ? 'wrong' : ''}>${count(x)}</dd>`;
  const { mean, std, min, max, norm, count: finite, nanCount, infiniteCount, maskedCount } = statistics ?? {};
  return html`
    <dl class="statistics" part="statistics">
      <dt>mean</dt>
      <dd>${number(mean)}</dd>
      <dt>finite</dt>
      <dd>${count(finite)}</dd>
      <dt>std</dt>
      <dd>${number(std)}</dd>
      <dt>masked</dt>
      <dd>${count(maskedCount)}</dd>
      <dt>min</dt>
      <dd>${number(min)}</dd>
      <dt>NaN</dt>
      ${problem(nanCount)}
      <dt>max</dt>
      <dd>${number(max)}</dd>
      <dt>infinite</dt>
      ${problem(infiniteCount)}
      <dt>norm</dt>
      <dd>${number(norm)}</dd>
    </dl>`;
}

/** Of the histogram, in the units of its picture; a bin is 1 wide. */
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
    <svg class="histogram" viewBox="0 0 ${counts.length} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${describeHistogram({ low, high, counts })}>
      ${bars}
    </svg>
    <div class="ends" aria-hidden="true"><span>${formatNumber(low)}</span><span>${formatNumber(high)}</span></div>`;
}

function describeHistogram({ low, high, counts }: Histogram): string {
  const total = counts.reduce((a, b) => a + b, 0);
  const most = counts.indexOf(Math.max(...counts));
  const width = (high - low) / counts.length;
  const [from, to] = [low + most * width, low + (most + 1) * width].map(formatNumber);
  return `Histogram of ${total} numbers from ${formatNumber(low)} to ${formatNumber(high)}: most, ${counts[most]}, are from ${from} to ${to}.`;
}
