// The plots of a result: us against other engines, kernels under the adapter's roofline, time by kernel, growth, copies. Each is a
// static picture, whose marks have titles. Not for tables: those are the terminal's (format.ts).
import { kernelRates } from '../kernels.ts';
import { copyBandwidth } from '../limits.ts';
import { RUN } from '../measure.ts';
import { DECODE, GENERATE } from '../measure_edits.ts';
import type { Growth, Limits, RuntimeResult, Timing } from '../result.ts';
import type { PlotLibrary } from './plot_library.ts';

export interface Figure {
  readonly title: string;
  /** What is seen, and on which side to be. */
  readonly caption: string;
  readonly picture: HTMLElement | SVGSVGElement;
}

/** Tableau's ten, and four more: there are more kernels. */
const KERNEL_COLORS = [
  ...['#4e79a7', '#f28e2c', '#e15759', '#76b7b2', '#59a14f', '#edc949', '#af7aa1', '#ff9da7', '#9c755f', '#bab0ab'],
  ...['#2f4b6e', '#1b9e77', '#a6761d', '#666666'],
];

const WIDTH = 880;
const STYLE = { fontSize: '12px', background: 'transparent' };

/** Every figure that there are numbers for. */
export function drawPlots(plot: PlotLibrary, result: RuntimeResult): Figure[] {
  const { limits } = result;
  const { timings } = result;
  const models = [RUN, DECODE, GENERATE];
  const engines = 'Medians and quartiles in milliseconds of wall time, in turns. Left is better.';
  const isPeers = ({ engine }: Timing) => engine !== 'hyaline';
  const operations = new Set(
    timings.filter((timing) => isPeers(timing) && !models.includes(timing.name)).map(({ name }) => name),
  );
  return [
    ...timesByEngine(plot, timings, {
      title: 'Time of a run and of a token',
      caption: `A run of so many tokens, a token behind so many others. ${engines}`,
      isShown: ({ name }) => models.includes(name),
    }),
    ...timesByEngine(plot, timings, {
      title: 'Single operations',
      caption: `Of so many rows, with the result on the CPU. ${engines}`,
      isShown: ({ name }) => operations.has(name),
    }),
    ...(limits && result.kernels?.length ? [roofline(plot, result, limits), shares(plot, result, limits)] : []),
    ...(result.profiles.length > 0 ? [byKernel(plot, result)] : []),
    ...growthFigures(plot, result),
    ...(limits ? [copies(plot, limits)] : []),
  ];
}

const ms = (value: number) => `${value.toPrecision(3)} ms`;

/** Medians and quartiles by engine: those rows that `isShown`. */
function timesByEngine(
  plot: PlotLibrary,
  timings: readonly Timing[],
  { title, caption, isShown }: Omit<Figure, 'picture'> & { isShown: (timing: Timing) => boolean },
): Figure[] {
  const domain = [...new Set(timings.map(({ engine }) => engine))]; // an engine has one colour in every figure
  const rows = timings.filter(isShown).map((timing) => ({ ...timing, what: `${timing.name}, ${timing.tokens}` }));
  if (rows.length === 0) return [];
  const whats = [...new Set(rows.map(({ what }) => what))];
  const figure = {
    title,
    caption,
    picture: plot.plot({
      width: WIDTH,
      height: 60 + 34 * whats.length,
      marginLeft: 230,
      style: STYLE,
      x: { type: 'log', grid: true, label: 'ms' },
      y: { domain: whats, label: null },
      color: { legend: true, domain },
      marks: [
        plot.link(rows, { x1: 'lower', x2: 'upper', y: 'what', stroke: 'engine', strokeWidth: 2 }),
        plot.dot(rows, {
          x: 'median',
          y: 'what',
          fill: 'engine',
          r: 5,
          title: (row: (typeof rows)[number]) => `${row.engine}: ${row.what}: ${ms(row.median)}`,
        }),
      ],
    }),
  };
  return [figure];
}

/** Kernels with what each reaches; `name` says which it is. */
function rated({ kernels = [] }: RuntimeResult, limits: Limits) {
  return kernels.map((timing) => {
    const rates = kernelRates(timing, limits);
    const at = timing.context > 0 ? `behind ${timing.context}` : `${timing.rows} ${timing.rows === 1 ? 'row' : 'rows'}`;
    const name = `${timing.shape}, ${timing.kernel} ${timing.value.replace(/^blocks\.\d+\./, '')}, ${at}`;
    return { ...timing, ...rates, name, intensity: timing.flops / timing.bytes };
  });
}

function roofline(plot: PlotLibrary, result: RuntimeResult, limits: Limits): Figure {
  const points = rated(result, limits).filter(({ flops }) => flops > 0);
  const [bandwidth, peak] = [copyBandwidth(limits), limits.fma.median];
  const ridge = peak / bandwidth;
  const intensities = [...points.map(({ intensity }) => intensity), ridge];
  const [first, last] = [Math.min(...intensities) / 2, Math.max(...intensities) * 2];
  const roof = [first, ridge, last].map((x) => ({ x, y: Math.min(peak, bandwidth * x) }));
  return {
    title: 'Products under the roofline',
    caption:
      `The line is what this adapter can do: ${bandwidth.toPrecision(3)} GB/s copied, ${peak.toPrecision(3)} GFLOP/s of multiply-adds. ` +
      'A point is one product of a block; on the line is as fast as it can be.',
    picture: plot.plot({
      width: WIDTH,
      height: 420,
      style: STYLE,
      x: { type: 'log', grid: true, label: 'operations per byte', tickFormat: '~g' },
      y: { type: 'log', grid: true, label: 'GFLOP/s', tickFormat: '~g' },
      color: { legend: true },
      marks: [
        plot.line(roof, { x: 'x', y: 'y', strokeWidth: 2 }),
        plot.dot(points, {
          x: 'intensity',
          y: 'gigaflops',
          stroke: 'shape',
          symbol: (point: (typeof points)[number]) => (point.matrixBytes > 0 ? 'circle' : 'square'),
          title: ({ name, gigaflops, share }: (typeof points)[number]) =>
            `${name}: ${gigaflops.toPrecision(3)} GFLOP/s, ${(100 * share).toFixed(0)} % of the line`,
        }),
      ],
    }),
  };
}

function shares(plot: PlotLibrary, result: RuntimeResult, limits: Limits): Figure {
  const points = rated(result, limits).map((point) => ({ ...point, percent: 100 * point.share }));
  const kernels = [...new Set(points.map(({ kernel }) => kernel))];
  return {
    title: 'Every kernel, as a share of the limit that it meets first',
    caption:
      'Of the bandwidth of a copy beyond the caches, or of the multiply-add peak. What caches hold can exceed it. Right is better.',
    picture: plot.plot({
      width: WIDTH,
      height: 60 + 26 * kernels.length,
      marginLeft: 170,
      style: STYLE,
      x: { grid: true, label: '% of the limit', domain: [0, Math.max(100, ...points.map(({ percent }) => percent))] },
      y: { label: null },
      color: { legend: true },
      marks: [
        plot.ruleX([0, 100]),
        plot.dot(points, {
          x: 'percent',
          y: 'kernel',
          stroke: 'shape',
          symbol: ({ limitedBy }: (typeof points)[number]) => (limitedBy === 'memory' ? 'square' : 'circle'),
          title: ({ name, percent, ms: time }: (typeof points)[number]) =>
            `${name}: ${percent.toFixed(0)} %, ${ms(time)}`,
        }),
      ],
    }),
  };
}

function byKernel(plot: PlotLibrary, { profiles }: RuntimeResult): Figure {
  const rows = profiles.flatMap(({ name, kernels }) => kernels.map((kernel) => ({ ...kernel, run: name })));
  return {
    title: 'Time by kernel',
    caption: 'Shares of the time between timestamps around each dispatch.',
    picture: plot.plot({
      width: WIDTH,
      height: 60 + 44 * profiles.length,
      marginLeft: 110,
      style: STYLE,
      x: { percent: true, label: '%' },
      y: { label: null },
      color: { legend: true, range: KERNEL_COLORS },
      marks: [
        plot.barX(
          rows,
          plot.stackX({
            x: 'share',
            y: 'run',
            fill: 'kernel',
            title: ({ kernel, share, median }: (typeof rows)[number]) =>
              `${kernel}: ${(100 * share).toFixed(1)} %, ${ms(median)}`,
          }),
        ),
        plot.ruleX([0]),
      ],
    }),
  };
}

const GROWTH: Readonly<
  Record<Exclude<Growth['kind'], 'generate'>, { title: string; x: string; y: string; per: (at: number) => number }>
> = {
  prefill: { title: 'Growth with the length of a prompt', x: 'tokens', y: 'ms per token', per: (at) => at },
  decode: {
    title: 'Growth with the context behind a token',
    x: 'positions before it',
    y: 'ms per token',
    per: () => 1,
  },
  batch: { title: 'Growth with rows of 64 tokens', x: 'rows', y: 'ms per row', per: (at) => at },
  layers: { title: 'Growth with layers', x: 'layers', y: 'ms per layer, 64 tokens', per: (at) => at },
};

function growthFigures(plot: PlotLibrary, { growth = [] }: RuntimeResult): Figure[] {
  const kinds = Object.entries(GROWTH).filter(([kind]) => growth.some((one) => one.kind === kind));
  const caption = 'Medians and quartiles. Level is as it should be, falling is better.';
  return kinds.map(([kind, { title, x, y, per }]) => {
    const points = growth
      .filter((one) => one.kind === kind)
      .map(({ model, at, median, lower, upper }) => {
        return { model, at, median: median / per(at), lower: lower / per(at), upper: upper / per(at) };
      });
    return {
      title,
      caption: caption,
      picture: plot.plot({
        width: WIDTH / 2,
        height: 260,
        style: STYLE,
        x: { type: 'log', base: 2, grid: true, label: x, ticks: points.map(({ at }) => at), tickFormat: 'd' },
        y: { zero: true, grid: true, label: y },
        color: { legend: true },
        marks: [
          plot.ruleY([0]),
          plot.link(points, { x: 'at', y1: 'lower', y2: 'upper', stroke: 'model', strokeWidth: 4, strokeOpacity: 0.4 }),
          plot.line(points, { x: 'at', y: 'median', stroke: 'model' }),
          plot.dot(points, {
            x: 'at',
            y: 'median',
            fill: 'model',
            title: (point: (typeof points)[number]) => `${point.model}, ${point.at}: ${ms(point.median)}`,
          }),
        ],
      }),
    };
  });
}

function copies(plot: PlotLibrary, { copy }: Limits): Figure {
  const points = copy.map(({ bytes, ...rate }) => ({ ...rate, megabytes: bytes / 2 ** 20 }));
  return {
    title: 'Copies',
    caption:
      'GB/s read and written, by the size of what is read. The last one, beyond the caches, is the limit of the other figures.',
    picture: plot.plot({
      width: WIDTH / 2,
      height: 260,
      style: STYLE,
      x: { type: 'log', base: 2, grid: true, label: 'MiB' },
      y: { zero: true, grid: true, label: 'GB/s' },
      marks: [
        plot.ruleY([0]),
        plot.link(points, { x: 'megabytes', y1: 'lower', y2: 'upper', strokeWidth: 4, strokeOpacity: 0.4 }),
        plot.line(points, { x: 'megabytes', y: 'median' }),
        plot.dot(points, { x: 'megabytes', y: 'median', fill: 'currentColor' }),
      ],
    }),
  };
}
