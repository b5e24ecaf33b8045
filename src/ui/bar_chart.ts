// A chart of signed bars, drawn by Observable Plot; its bars are buttons. Loaded when it is first shown.
import { axisX, barX, ruleX, tickX } from '@observablehq/plot';
import { formatNumber } from '../elements/index.ts';
import { drawChart } from './chart.ts';

export interface ChartBar {
  readonly label: string;
  readonly value: number;
}

export interface BarChartOptions {
  readonly bars: readonly ChartBar[];
  /** Values to compare with, by label: a line across the bar. */
  readonly before: readonly ChartBar[] | null;
  readonly select: (bar: ChartBar) => void;
}

const ROW_PX = 17;
const MARGIN_PX = 76;

/** Each bar is a button with its label in `data-label`; whoever shows the chart says which one is pressed. */
export function barChart({ bars, before, select }: BarChartOptions): Element {
  const labels = bars.map(({ label }) => label);
  const finite = bars.filter(({ value }) => Number.isFinite(value));
  const lines = (before ?? []).filter(({ label, value }) => labels.includes(label) && Number.isFinite(value));
  const chart = drawChart({
    width: 400,
    height: ROW_PX * bars.length + 44,
    marginLeft: MARGIN_PX,
    marginTop: 4,
    x: { label: null, grid: true },
    y: { label: null, domain: labels, padding: 0.2, tickSize: 0 },
    style: { background: 'none', color: 'inherit', fontFamily: 'inherit', fontSize: '11px', overflow: 'visible' },
    marks: [
      axisX({ anchor: 'bottom', ticks: 6 }),
      ruleX([0], { stroke: 'var(--hyaline-muted)' }),
      barX(finite, { x: 'value', y: 'label', className: 'bar' }),
      tickX(lines, { x: 'value', y: 'label', stroke: 'var(--hyaline-ink)', strokeWidth: 2 }),
    ],
  });
  // Plot names its groups, which have no role that could be named.
  for (const group of chart.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label');
  chart.querySelectorAll<SVGElement>('.bar rect').forEach((rect, i) => {
    const bar = finite[i];
    const text = `${bar.label}: ${formatNumber(bar.value)}`;
    rect.classList.add(bar.value < 0 ? 'negative' : 'positive');
    rect.setAttribute('role', 'button');
    rect.setAttribute('tabindex', '0');
    rect.setAttribute('aria-label', text);
    rect.dataset.label = bar.label;
    rect.append(Object.assign(document.createElementNS(rect.namespaceURI, 'title'), { textContent: text }));
    rect.addEventListener('click', () => select(bar));
    rect.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      select(bar);
    });
  });
  return chart;
}
