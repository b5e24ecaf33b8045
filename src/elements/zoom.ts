// Which part of the cells is looked at: zooming, moving, which cell is where, and which cells get a label. Pure functions of windows.

import type { Size } from './painting.ts';
import type { Cells, Window } from './picture.ts';

/** A place in a picture, 0 … 1 from its left and top. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** Cells that are left of a window, at most: beyond them nothing is gained. */
const FEWEST = 2;

/**
 * The window with cells `factor` times as large, around a place that stays where it is. Cells grow along the axis where they are smaller,
 * until they are about square, then along both; shrinking goes the same way back.
 * @param size of the picture, in any unit
 */
export function zoomed(window: Window, cells: Cells, { factor, at, size }: { factor: number; at: Place; size: Size }) {
  const [width, height] = [size.width / window.columns, size.height / window.rows];
  let [alongColumns, alongRows] = [factor, factor];
  if (factor > 1 ? width * factor <= height : height * factor >= width && width > height) alongRows = 1;
  else if (factor > 1 ? height * factor <= width : width * factor >= height && height > width) alongColumns = 1;
  // Where an axis has come to its end, the other goes on.
  if (alongColumns === 1 && isAtEnd(window.rows, cells.rows, factor)) alongColumns = factor;
  if (alongRows === 1 && isAtEnd(window.columns, cells.columns, factor)) alongRows = factor;
  const columns = limited(window.columns / alongColumns, cells.columns);
  const rows = limited(window.rows / alongRows, cells.rows);
  return inside(
    {
      row: window.row + at.y * (window.rows - rows),
      column: window.column + at.x * (window.columns - columns),
      rows,
      columns,
    },
    cells,
  );
}

function isAtEnd(length: number, cells: number, factor: number): boolean {
  return factor > 1 ? length <= Math.min(FEWEST, cells) : length >= cells;
}

function limited(length: number, cells: number): number {
  return Math.min(Math.max(length, Math.min(FEWEST, cells)), cells);
}

/** The nearest window of this size that has only cells in it. */
export function inside({ row, column, rows, columns }: Window, cells: Cells): Window {
  const [height, width] = [Math.min(rows, cells.rows), Math.min(columns, cells.columns)];
  return {
    row: Math.min(Math.max(row, 0), cells.rows - height),
    column: Math.min(Math.max(column, 0), cells.columns - width),
    rows: height,
    columns: width,
  };
}

export function isWhole({ rows, columns }: Window, cells: Cells): boolean {
  return rows >= cells.rows && columns >= cells.columns;
}

/** The cell at a place. */
export function cellAt({ row, column, rows, columns }: Window, cells: Cells, { x, y }: Place): Cell {
  const within = (at: number, count: number) => Math.min(Math.max(Math.floor(at), 0), count - 1);
  return { row: within(row + y * rows, cells.rows), column: within(column + x * columns, cells.columns) };
}

/** The window moved as little as possible for all of a cell to be in it. */
export function revealing(window: Window, cells: Cells, cell: Cell): Window {
  const near = (start: number, length: number, at: number) => Math.max(Math.min(start, at), at + 1 - length);
  return inside(
    {
      ...window,
      row: near(window.row, window.rows, cell.row),
      column: near(window.column, window.columns, cell.column),
    },
    cells,
  );
}

/**
 * Cells along an axis that get a label: every 1, 2, 5, 10, 20, …, so that labels are at least `apart` from each other.
 * @param pixels that the window takes up
 * @example
 * labelled({ start: 0, length: 15, pixels: 300, apart: 30 }); // 0, 2, 4, … 14
 */
export function labelled(axis: { start: number; length: number; pixels: number; apart: number }): number[] {
  const { start, length, pixels, apart } = axis;
  const least = (apart * length) / Math.max(pixels, 1);
  let step = 1;
  for (let i = 0; step < least; i++) step = [2, 5, 10][i % 3] * 10 ** Math.floor(i / 3);
  const cells: number[] = [];
  // A cell whose middle is in the window.
  for (let cell = step * Math.max(Math.ceil((start - 0.5) / step), 0); cell + 0.5 <= start + length; cell += step)
    cells.push(cell);
  return cells;
}

/** Where a key leads from a cell; null where it is none that moves. */
export function cellByKey(
  { key, shiftKey }: { key: string; shiftKey: boolean },
  { row, column }: Cell,
  cells: Cells,
): Cell | null {
  const step = shiftKey ? 10 : 1;
  const to: Readonly<Record<string, Cell>> = {
    ArrowLeft: { row, column: column - step },
    ArrowRight: { row, column: column + step },
    ArrowUp: { row: row - step, column },
    ArrowDown: { row: row + step, column },
    Home: { row, column: 0 },
    End: { row, column: cells.columns - 1 },
  };
  if (!Object.hasOwn(to, key)) return null;
  const within = (at: number, count: number) => Math.min(Math.max(at, 0), count - 1);
  return { row: within(to[key].row, cells.rows), column: within(to[key].column, cells.columns) };
}
