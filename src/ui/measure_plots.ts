// The plots of a benchmark, as SVG that can be saved: operations under the roofline, time by length, time by operation.
import { barX, dot, line, link, ruleX, ruleY, text } from '@observablehq/plot';
import { formatMs } from '../elements/index.ts';
import { type BenchmarkResult, passMs, RUN, type Timing } from './benchmark.ts';
import { drawChart } from './chart.ts';
import { type RatedOperation, ratedOperations } from './operations.ts';

export interface Figure {
  /** The name of its file. */
  readonly name: string;
  readonly title: string;
  readonly caption: string;
  readonly picture: SVGSVGElement | HTMLElement;
}

const STYLE = { background: 'transparent', fontSize: '11px', overflow: 'visible' };
const ACCENT = 'var(--hyaline-accent, #14726d)';
const MUTED = 'var(--hyaline-muted, #5b6167)';

export function drawFigures(result: BenchmarkResult, width: number): Figure[] {
  const figures = [roofline(result, width), byLength(result, width / 2), byOperation(result, width / 2)];
  // Plot names groups of marks, which have no role that could have a name. The figure as a whole has one.
  for (const { picture } of figures) {
    for (const group of picture.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label');
  }
  return figures;
}

function roofline(result: BenchmarkResult, width: number): Figure {
  const { limits, passTokens } = result;
  const points = ratedOperations(result.operations).filter(({ flops }) => flops > 0);
  const flops = points.reduce((sum, operation) => sum + operation.flops * operation.count, 0);
  const bytes = result.operations.reduce((sum, operation) => sum + operation.bytes * operation.count, 0);
  const whole = { intensity: flops / bytes, rate: flops / (1e6 * passMs(result)) };
  const ridge = limits.gigaflops / limits.bandwidth;
  const all = [...points.map(({ intensity }) => intensity), whole.intensity, ridge];
  const ends = [Math.min(...all) / 2, ridge, Math.max(...all) * 2];
  const roof = ends.map((x) => ({ x, y: Math.min(limits.gigaflops, limits.bandwidth * x) }));
  const rates = [...points.map(({ rate }) => rate), whole.rate];
  const heights = [Math.min(...rates) / 2, limits.gigaflops * 1.5];
  const names = labels([...points, { ...whole, name: 'whole run' }], heights);
  return {
    name: 'roofline',
    title: 'Products under the roofline',
    caption:
      `A run of ${passTokens} tokens. The line is the best that this adapter did: ${limits.bandwidth.toPrecision(3)} GB/s copied, ` +
      `${limits.gigaflops.toPrecision(3)} GFLOP/s of multiply-adds. A disc is one kind of operation, as large as its share of the time; ` +
      'the diamond is the whole run by the wall clock, with everything between operations.',
    picture: drawChart({
      width,
      height: ROOFLINE_HEIGHT,
      marginLeft: 54,
      marginRight: 170,
      style: STYLE,
      x: { type: 'log', grid: true, label: 'operations per byte', tickFormat: '~g', domain: [ends[0], ends[2]] },
      y: { type: 'log', grid: true, label: 'GFLOP/s', tickFormat: '~g', domain: heights },
      r: { type: 'identity' },
      marks: [
        line(roof, { x: 'x', y: 'y', stroke: 'currentColor', strokeWidth: 2 }),
        link(names, { x1: 'intensity', x2: ends[2], y1: 'rate', y2: 'at', stroke: MUTED, strokeOpacity: 0.5 }),
        dot(points, {
          x: 'intensity',
          y: 'rate',
          r: ({ share }: RatedOperation) => 3 + 14 * Math.sqrt(share),
          fill: ACCENT,
          fillOpacity: 0.45,
          stroke: ACCENT,
          title: ({ name, rate, share }: RatedOperation) =>
            `${name}: ${rate.toPrecision(3)} GFLOP/s, ${percent(share)} of the time`,
        }),
        dot([whole], { x: 'intensity', y: 'rate', symbol: 'diamond', r: 6, stroke: 'currentColor', strokeWidth: 2 }),
        text(names, { x: ends[2], y: 'at', text: 'name', dx: 5, textAnchor: 'start' }),
      ],
    }),
  };
}

const ROOFLINE_HEIGHT = 330;
const LABEL_HEIGHT = 14;

/** Where names stand at the right: at the height of their points, or above the one below where that would be on top of it. */
function labels<Point extends { readonly rate: number }>(points: readonly Point[], [low, high]: readonly number[]) {
  const step = (high / low) ** (LABEL_HEIGHT / (ROOFLINE_HEIGHT - 50));
  let below = 0;
  return [...points]
    .sort((a, b) => a.rate - b.rate)
    .map((point) => {
      below = Math.max(point.rate, below * step);
      return { ...point, at: below };
    });
}

function byLength({ timings }: BenchmarkResult, width: number): Figure {
  const runs = timings.filter(({ name }) => name === RUN);
  return {
    name: 'time-by-length',
    title: 'Time of a run by length',
    caption: 'Median and quartiles of wall time, from the call to the logits on the CPU.',
    picture: drawChart({
      width,
      height: 260,
      marginLeft: 54,
      style: STYLE,
      x: { type: 'log', base: 2, label: 'tokens', ticks: runs.map(({ tokens }) => tokens), tickFormat: 'd' },
      y: { zero: true, grid: true, label: 'ms' },
      marks: [
        ruleY([0]),
        link(runs, { x: 'tokens', y1: 'lower', y2: 'upper', stroke: ACCENT, strokeWidth: 6, strokeOpacity: 0.35 }),
        line(runs, { x: 'tokens', y: 'median', stroke: ACCENT }),
        dot(runs, {
          x: 'tokens',
          y: 'median',
          fill: ACCENT,
          title: ({ tokens, median }: Timing) => `${tokens} tokens: ${formatMs(median)}`,
        }),
      ],
    }),
  };
}

function byOperation(result: BenchmarkResult, width: number): Figure {
  const operations = ratedOperations(result.operations);
  return {
    name: 'time-by-operation',
    title: 'Time by operation',
    caption:
      'Shares of the sum of all operations, each timed alone and again and again, so that its values are in caches.',
    picture: drawChart({
      width,
      height: 40 + 20 * operations.length,
      marginLeft: 175,
      marginRight: 50,
      style: STYLE,
      x: { grid: true, label: '% of the time' },
      y: { domain: operations.map(({ name }) => name), label: null },
      marks: [
        barX(operations, {
          x: ({ share }: RatedOperation) => 100 * share,
          y: 'name',
          fill: ACCENT,
          title: ({ name, count, ms, share }: RatedOperation) =>
            `${name}: ${count} × ${formatMs(ms)}, ${percent(share)}`,
        }),
        text(operations, {
          x: ({ share }: RatedOperation) => 100 * share,
          y: 'name',
          text: ({ share }: RatedOperation) => percent(share),
          textAnchor: 'start',
          dx: 4,
        }),
        ruleX([0]),
      ],
    }),
  };
}

const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

/** A figure as a file of its own: with the page's colours, on its ground. */
export function svgText(picture: Element, page: Element): string {
  const copy = picture.cloneNode(true) as SVGElement;
  const styles = getComputedStyle(page);
  const colour = (name: string) => styles.getPropertyValue(name);
  for (const name of ['--hyaline-accent', '--hyaline-muted']) copy.style.setProperty(name, colour(name));
  copy.style.colorScheme = styles.colorScheme;
  copy.style.color = styles.color;
  copy.style.background = colour('--hyaline-ground');
  return new XMLSerializer().serializeToString(copy);
}
