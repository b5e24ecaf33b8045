// The rules that both painters follow, so that they give the same pixels: which cells a pixel shows, and which colour a number has. All
// arithmetic that decides is either done here, once, or written as float32 operations in an order that GPUs keep. Not for drawing.
import { COLOURS, type ColourMap, colourTable, NAN_COLOUR } from './colours.ts';
import type { Cells, Colouring, Picture } from './picture.ts';

/** Bits of the lowest float32: a masked attention score. It is left transparent. */
export const MASKED_BITS = 0xff7fffff;

const MAPS: readonly ColourMap[] = ['viridis', 'diverging'];

/** Where the colour of NaN is in `allColours`. */
export const NAN_ENTRY = MAPS.length * COLOURS;

/** [513] colours as bytes r, g, b, a: viridis, diverging, and the colour of NaN. */
export function allColours(): Uint8Array<ArrayBuffer> {
  const colours = new Uint8Array(4 * (NAN_ENTRY + 1));
  MAPS.forEach((map, i) => {
    colours.set(colourTable(map), 4 * COLOURS * i);
  });
  colours.set([...NAN_COLOUR, 255], 4 * NAN_ENTRY);
  return colours;
}

/**
 * The cells that each pixel along an axis shows: those whose middles lie in it or, where it has none, the one that its own middle lies in.
 * So every cell is in exactly one pixel when there are more cells than pixels, and has sharp edges when there are fewer.
 * @param out [pixels][2]: first cell, and the one after the last; the same twice where there is none
 * @example
 * pixelSpans({ start: 0, length: 4, cells: 4, pixels: 2 }, new Uint32Array(4)); // 0, 2, 2, 4
 */
export function pixelSpans(
  { start, length, cells, pixels }: { start: number; length: number; cells: number; pixels: number },
  out: Uint32Array,
): Uint32Array {
  const inside = (cell: number) => Math.min(Math.max(cell, 0), cells);
  for (let pixel = 0; pixel < pixels; pixel++) {
    let first = Math.ceil(start + (pixel * length) / pixels - 0.5);
    let end = Math.ceil(start + ((pixel + 1) * length) / pixels - 0.5);
    if (end <= first) {
      first = Math.floor(start + ((pixel + 0.5) * length) / pixels);
      end = first + 1;
    }
    out[2 * pixel] = inside(first);
    out[2 * pixel + 1] = inside(end);
  }
  return out;
}

/**
 * How a number becomes an entry of a map, in float32: with `t = min(max(x, low), high) · unit − lowUnits`, entry
 * `min(floor(t · steps), 255)`. `unit` is the power of two that makes the range 1 … 2, so that nothing overflows and no division is needed
 * (WGSL's is not rounded correctly).
 */
export interface ColourScale {
  readonly low: number;
  readonly high: number;
  readonly unit: number;
  readonly lowUnits: number;
  /** The t that has least to say: the middle of a diverging map, the beginning of viridis. A pixel of many cells shows the one farthest from it. */
  readonly quiet: number;
  readonly steps: number;
  /** Where the map begins in `allColours`. */
  readonly table: number;
}

/** @throws Error where `low` and `high` are not finite float32 numbers, the first below the second */
export function colourScale({ map, low, high }: Colouring): ColourScale {
  const [from, to] = [Math.fround(low), Math.fround(high)];
  if (!(from < to) || !Number.isFinite(to - from) || !Number.isFinite(from)) {
    throw new Error(`heatmap: expected colours from a number to a larger one, got ${low} … ${high}.`);
  }
  const unit = 2 ** Math.min(Math.max(-Math.floor(Math.log2(to - from)), -126), 126);
  const range = Math.fround((to - from) * unit);
  return {
    low: from,
    high: to,
    unit,
    lowUnits: Math.fround(from * unit),
    quiet: map === 'diverging' ? Math.fround(range / 2) : 0,
    steps: Math.fround(COLOURS / range),
    table: COLOURS * MAPS.indexOf(map),
  };
}

/** @throws Error where a picture reaches outside of its canvas or its numbers */
export function checkPicture({ cells, place, window }: Picture, canvas: Size, elementCount: number): void {
  const { x, y, width, height } = place;
  const isInside =
    x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= canvas.width && y + height <= canvas.height;
  if (!isInside || ![x, y, width, height].every(Number.isInteger)) {
    throw new Error(
      `heatmap: expected a place of whole pixels inside a canvas of ${canvas.width} × ${canvas.height}, got ${width} × ${height} at ${x}, ${y}.`,
    );
  }
  if (!(window.rows > 0) || !(window.columns > 0) || !Number.isFinite(window.row + window.column)) {
    throw new Error(
      `heatmap: expected a window of some rows and columns, got ${window.rows} × ${window.columns} at ${window.row}, ${window.column}.`,
    );
  }
  if (lastElement(cells) >= elementCount) {
    throw new Error(
      `heatmap: expected at least ${lastElement(cells) + 1} numbers for these cells, got ${elementCount}.`,
    );
  }
}

/** Of a canvas, in its pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

function lastElement({ rows, columns, offset, rowStride, columnStride }: Cells): number {
  return offset + (rows - 1) * rowStride + (columns - 1) * columnStride;
}
