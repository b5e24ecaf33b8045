// A numerics report as data for a picture: kinds of value by layer, with one figure in each cell.

import type { NumericsValue } from './report.ts';

const FIGURES = {
  /** RMS of the error in units of the RMS of the true value. */
  relativeRms: ({ error }) => error.relativeRms,
  /** The same of the error that the operation made, and of the one that its inputs brought. */
  localRms: ({ local }) => local.relativeRms,
  inheritedRms: ({ inherited }) => inherited.relativeRms,
  /** What the operation's own error has of the whole. */
  localShare: ({ local }) => local.share,
  /** Relative inherited error over the largest relative error of the inputs. */
  amplification: ({ amplification }) => amplification,
  medianUlp: ({ ulps }) => ulps.median,
  maxUlp: ({ ulps }) => ulps.max,
  cosineDistance: ({ cosineDistance }) => cosineDistance,
  /** Largest error of the operation as a part of its bound. */
  boundRatio: ({ localBound }) => localBound.ratio,
} satisfies Record<string, (value: NumericsValue) => number | null>;

/** What a cell of a map can show. */
export type NumericsFigure = keyof typeof FIGURES;

export const NUMERICS_FIGURES = Object.keys(FIGURES) as readonly NumericsFigure[];

/** One figure of every value. Null where a block has no such value, or the value no such figure. */
export interface NumericsMap {
  readonly figure: NumericsFigure;
  /** The columns: block numbers. */
  readonly layers: readonly number[];
  /** Values of the blocks in firing order, named without the block: `attn.hook_pattern`. */
  readonly rows: readonly { readonly name: string; readonly cells: readonly (number | null)[] }[];
  /** Values outside of the blocks, in firing order. */
  readonly outside: readonly { readonly name: string; readonly cell: number | null }[];
}

/**
 * The map of a report for any figure.
 * @throws Error where there is no such figure, with those that there are
 * @example
 * const { layers, rows } = numericsMap(report.values, 'localShare');
 */
export function numericsMap(values: readonly NumericsValue[], figure: NumericsFigure): NumericsMap {
  checkFigure(figure);
  const figureOf: (value: NumericsValue) => number | null = FIGURES[figure];
  const layers = [...new Set(values.flatMap(({ layer }) => layer ?? []))].sort((a, b) => a - b);
  const rows = new Map<string, (number | null)[]>();
  for (const value of values) {
    if (value.layer === null) continue;
    const name = value.name.replace(/^blocks\.\d+\./, '');
    const cells = rows.get(name) ?? layers.map(() => null);
    cells[layers.indexOf(value.layer)] = figureOf(value);
    rows.set(name, cells);
  }
  return {
    figure,
    layers,
    rows: [...rows].map(([name, cells]) => ({ name, cells })),
    outside: values.filter(({ layer }) => layer === null).map((value) => ({ name: value.name, cell: figureOf(value) })),
  };
}

export function checkFigure(figure: string): void {
  if (Object.hasOwn(FIGURES, figure)) return;
  throw new Error(`numerics: no figure "${figure}". There are ${NUMERICS_FIGURES.join(', ')}.`);
}
