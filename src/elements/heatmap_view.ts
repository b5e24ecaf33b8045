// What a heatmap shows: from what was asked for and a value's axes to cells, a window and texts. Pure data; `heatmap.ts` is the element.
import type { Statistics } from '../index.ts';
import { chosenAxes, withTwoAxes } from './axes_shown.ts';
import { type Cells, type Colouring, cellsOf, type Window, wholeWindow } from './picture.ts';
import type { ShownValue } from './shown_value.ts';
import { inside } from './zoom.ts';

/** Texts for the indices of axes, by the axis's name; `pos` also serves `query_pos` and `key_pos`. */
export type AxisLabels = Readonly<Record<string, readonly string[]>>;

/** What is shown of a value, as far as somebody asked; '' and null leave it to the heatmap. */
export interface Asked {
  readonly rows: string;
  readonly columns: string;
  readonly index: Readonly<Record<string, number>>;
  readonly zoom: Window | null;
}

/** What is shown of a value. */
export interface HeatmapView {
  readonly value: ShownValue;
  /** At least two. */
  readonly shape: readonly number[];
  readonly axes: readonly string[];
  readonly rows: string;
  readonly columns: string;
  /** Along every axis that is neither. */
  readonly index: Readonly<Record<string, number>>;
  readonly cells: Cells;
  readonly window: Window;
}

/** Null where there is no value, or none of its axes has an element. */
export function heatmapView(value: ShownValue | null, asked: Asked): HeatmapView | null {
  if (!value || value.shape.includes(0)) return null;
  const array = withTwoAxes(value);
  const { rows, columns } = chosenAxes(array, asked);
  const index: Record<string, number> = {};
  array.axes.forEach((name, axis) => {
    if (name === rows || name === columns) return;
    index[name] = Math.min(Math.max(Math.trunc(asked.index[name]) || 0, 0), array.shape[axis] - 1);
  });
  const cells = cellsOf(array, { rows, columns, index });
  const window = asked.zoom ? inside(asked.zoom, cells) : wholeWindow(cells);
  return { value, ...array, rows, columns, index, cells, window };
}

/** Axes that there is something to choose along, with their lengths. */
export function longAxes({ axes, shape }: HeatmapView): { name: string; length: number }[] {
  return axes.map((name, i) => ({ name, length: shape[i] })).filter(({ length }) => length > 1);
}

/** The label of an index along an axis; null where there is none. */
export function labelOf(labels: AxisLabels, axis: string, i: number): string | null {
  return labelsOf(labels, axis)?.[i] ?? null;
}

export function labelsOf(labels: AxisLabels, axis: string): readonly string[] | undefined {
  return labels[axis] ?? (axis.endsWith('_pos') ? labels.pos : undefined);
}

/** An index in words: axes of length 1 are left out. */
export function indexText(
  { axes, shape }: Pick<HeatmapView, 'axes' | 'shape'>,
  index: Readonly<Record<string, number>>,
  labels: AxisLabels,
): string {
  const parts = axes.flatMap((name, i) => {
    if (shape[i] === 1) return [];
    const label = labelOf(labels, name, index[name]);
    return [`${name} ${index[name]}${label === null ? '' : ` ${label}`}`];
  });
  return parts.join(' · ') || 'its only element';
}

/** Viridis from 0 where nothing is negative (patterns, scales, probabilities), else the diverging map, even on both sides of 0. */
export function automaticColouring({ min, max }: Statistics): Colouring {
  if (min >= 0) return { map: 'viridis', low: 0, high: rangeTo(max) };
  const high = rangeTo(Math.max(-min, max));
  return { map: 'diverging', low: -high, high };
}

/** A range has to have a length. */
function rangeTo(size: number): number {
  return size > 0 ? size : 1;
}

/** For a screen reader. */
export function describeView({ value, rows, columns, cells }: HeatmapView): string {
  return `${value.name}: ${cells.rows} × ${cells.columns}, ${rows} by ${columns}. Arrow keys move from cell to cell, Enter selects, plus and minus zoom, Escape shows all.`;
}
