// Which axes of a value are rows and columns where nobody has said so, and where an element stands along each axis.
import type { Cells } from './picture.ts';

/** Names of axes and their lengths. */
interface Axes {
  readonly shape: readonly number[];
  readonly axes: readonly string[];
}

/** An axis of length 1 for values that have fewer than two. */
const MISSING = ['—', '– '];

/** The value with at least two axes: what it lacks is put in front, of length 1. */
export function withTwoAxes({ shape, axes }: Axes): Axes {
  const missing = Math.max(2 - axes.length, 0);
  return { shape: [...Array(missing).fill(1), ...shape], axes: [...MISSING.slice(0, missing), ...axes] };
}

/**
 * The axes of a picture: those asked for where they exist; else queries or positions as rows, and as columns the last axis that is longer
 * than 1.
 * @param asked names; '' where nothing is asked for
 * @example
 * chosenAxes({ shape: [1, 15, 64], axes: ['batch', 'pos', 'd_model'] }, { rows: '', columns: '' }); // rows pos, columns d_model
 */
export function chosenAxes({ shape, axes }: Axes, asked: { rows: string; columns: string }) {
  const isLong = (name: string) => shape[axes.indexOf(name)] > 1;
  const free = (taken: string) => axes.filter((name) => name !== taken).reverse();
  let [rows, columns] = [asked.rows, asked.columns].map((name) => (axes.includes(name) ? name : ''));
  if (columns === '' || columns === rows) {
    const others = free(rows);
    columns = others.find(isLong) ?? (others.includes('pos') ? 'pos' : others[0]);
  }
  if (rows === '') {
    const others = free(columns);
    rows = ['query_pos', 'pos'].find((name) => others.includes(name)) ?? others.find(isLong) ?? others[0];
  }
  return { rows, columns };
}

/** Where element `at` of the cells stands along each axis. */
export function indexOfElement({ shape, axes }: Axes, at: number): Record<string, number> {
  const index: Record<string, number> = {};
  let rest = at;
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    index[axes[axis]] = rest % shape[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  return index;
}

/** The element at an index along each axis, 0 where absent; null where it is outside. */
export function elementOfIndex({ shape, axes }: Axes, index: Readonly<Record<string, number>>): number | null {
  let at = 0;
  for (const [axis, length] of shape.entries()) {
    const along = index[axes[axis]] ?? 0;
    if (!Number.isInteger(along) || along < 0 || along >= length) return null;
    at = at * length + along;
  }
  return at;
}

/** The element of a cell. */
export function elementAt({ offset, rowStride, columnStride }: Cells, cell: { row: number; column: number }): number {
  return offset + cell.row * rowStride + cell.column * columnStride;
}
