// A picture of a value: two of its axes as rows and columns, one index for each of the others, the part of it that is looked at, and how
// numbers become colours. Pure description; `gpu_painter.ts` and `pixel_painter.ts` draw it.
import type { ColourMap } from './colours.ts';

/** Which elements of a value are the cells: element (row, column) is at `offset + row·rowStride + column·columnStride`. */
export interface Cells {
  readonly rows: number;
  readonly columns: number;
  readonly offset: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** The part of the cells that fills the picture, in cells; fractions are allowed. */
export interface Window {
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

/** Numbers from `low` to `high` run through the map; beyond them, its ends. */
export interface Colouring {
  readonly map: ColourMap;
  readonly low: number;
  readonly high: number;
}

/** A rectangle of the canvas, in its pixels. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One picture; a canvas may hold several (all heads of a layer). */
export interface Picture {
  readonly cells: Cells;
  readonly window: Window;
  readonly colouring: Colouring;
  readonly place: Rectangle;
}

/** What a value shows along which axes. */
export interface AxisChoice {
  /** Names of axes. */
  readonly rows: string;
  readonly columns: string;
  /** The index along every other axis, by name: 0 where absent. */
  readonly index: Readonly<Record<string, number>>;
}

/**
 * The cells of a value.
 * @throws Error where an axis does not exist, both are the same, or an index is outside
 * @example
 * cellsOf({ shape: [1, 4, 15, 15], axes: ['batch', 'head_index', 'query_pos', 'key_pos'] },
 *   { rows: 'query_pos', columns: 'key_pos', index: { head_index: 2 } }); // offset 450, rowStride 15, columnStride 1
 */
export function cellsOf(
  { shape, axes }: { readonly shape: readonly number[]; readonly axes: readonly string[] },
  { rows, columns, index }: AxisChoice,
): Cells {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const [row, column] = [axes.indexOf(rows), axes.indexOf(columns)];
  if (row < 0 || column < 0 || row === column) {
    throw new Error(
      `heatmap: expected two of the axes ${axes.join(', ')} as rows and columns, got ${rows}, ${columns}.`,
    );
  }
  let offset = 0;
  axes.forEach((name, axis) => {
    if (axis === row || axis === column) return;
    const at = index[name] ?? 0;
    if (!Number.isInteger(at) || at < 0 || at >= shape[axis]) {
      throw new Error(`heatmap: expected an index of 0 … ${shape[axis] - 1} along ${name}, got ${at}.`);
    }
    offset += at * strides[axis];
  });
  return {
    rows: shape[row],
    columns: shape[column],
    offset,
    rowStride: strides[row],
    columnStride: strides[column],
  };
}

/** All of the cells. */
export function wholeWindow({ rows, columns }: Cells): Window {
  return { row: 0, column: 0, rows, columns };
}
