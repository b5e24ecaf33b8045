// What the painters show of which cells, by pixels worked out by hand. That both agree is tested in Chrome (`painters.chrome.test.ts`).
import { expect, test } from 'vitest';
import { colourTable, NAN_COLOUR } from '../../src/elements/colours.ts';
import { colourScale, pixelSpans } from '../../src/elements/painting.ts';
import type { Picture } from '../../src/elements/picture.ts';
import { paintPixels } from '../../src/elements/pixel_painter.ts';

const MASKED = -3.4028234663852886e38;
const viridis = colourTable('viridis');
const diverging = colourTable('diverging');

const spans = (start: number, length: number, cells: number, pixels: number) => [
  ...pixelSpans({ start, length, cells, pixels }, new Uint32Array(2 * pixels)),
];

/** Pixels as lists of r, g, b, a. */
function paint(data: readonly number[], picture: Partial<Picture> & Pick<Picture, 'cells' | 'place'>, width = 4) {
  const { rows, columns } = picture.cells;
  const pixels = new Uint8ClampedArray(4 * width * 2);
  const whole = { row: 0, column: 0, rows, columns };
  const colouring = { map: 'viridis', low: 0, high: 1 } as const;
  paintPixels(pixels, { width, height: 2 }, [
    { data: Float32Array.from(data), picture: { window: whole, colouring, ...picture } },
  ]);
  return Array.from({ length: 2 * width }, (_, i) => [...pixels.subarray(4 * i, 4 * i + 4)]);
}

const entry = (table: Uint8Array, i: number) => [...table.subarray(4 * i, 4 * i + 4)];
const NOTHING = [0, 0, 0, 0];
const NAN = [...NAN_COLOUR, 255];

test('a pixel shows the cells whose middles lie in it, or the one that it lies in', () => {
  expect(spans(0, 4, 4, 2)).toEqual([0, 2, 2, 4]);
  // 5 cells on 2 pixels of 2.5: the middle of cell 2 is at 2.5, where the second pixel begins.
  expect(spans(0, 5, 5, 2)).toEqual([0, 2, 2, 5]);
  expect(spans(0, 2, 2, 4)).toEqual([0, 1, 0, 1, 1, 2, 1, 2]);
  // From 0.75 on, pixels of 0.75: middles at 1.125 and 1.875.
  expect(spans(0.75, 1.5, 4, 2)).toEqual([1, 2, 1, 2]);
  // Outside of the cells there is nothing.
  expect(spans(-1, 4, 2, 4)).toEqual([0, 0, 0, 1, 1, 2, 2, 2]);
});

test('every cell is in exactly one pixel when there are more cells than pixels', () => {
  for (const [cells, pixels] of [
    [50257, 800],
    [801, 800],
    [7, 3],
  ]) {
    const all = spans(0, cells, cells, pixels);
    expect(all[0]).toBe(0);
    expect(all.at(-1)).toBe(cells);
    for (let i = 1; i < pixels; i++) expect(all[2 * i]).toBe(all[2 * i - 1]);
  }
});

test('numbers become entries 0 … 255 of the map, in even steps, and what is beyond its ends has their colour', () => {
  const cells = { rows: 2, columns: 4, offset: 0, rowStride: 4, columnStride: 1 };
  const place = { x: 0, y: 0, width: 4, height: 2 };
  const data = [0, 0.5, 1, 0.25, -7, 9, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  expect(paint(data, { cells, place })).toEqual([0, 128, 255, 64, 0, 255, 255, 0].map((i) => entry(viridis, i)));
});

test('NaN has a colour of its own, masked is transparent', () => {
  const cells = { rows: 1, columns: 4, offset: 1, rowStride: 4, columnStride: 1 };
  const place = { x: 0, y: 1, width: 4, height: 1 };
  const pixels = paint([9, Number.NaN, MASKED, -0, 1], { cells, place });
  expect(pixels).toEqual([NOTHING, NOTHING, NOTHING, NOTHING, NAN, NOTHING, entry(viridis, 0), entry(viridis, 255)]);
});

test('of many cells the one farthest from the middle is shown, in viridis the largest', () => {
  const cells = { rows: 2, columns: 3, offset: 0, rowStride: 3, columnStride: 1 };
  const place = { x: 0, y: 0, width: 1, height: 1 };
  const colouring = { map: 'diverging', low: -1, high: 1 } as const;
  // −0.5 is at 0.25 of the map: entry 64.
  expect(paint([0, 0.25, -0.5, 0, MASKED, 0.125], { cells, place, colouring })[0]).toEqual(entry(diverging, 64));
  expect(paint([0, 0.25, 0.5, 0, MASKED, 0.125], { cells, place })[0]).toEqual(entry(viridis, 128));
  expect(paint([0, 0.25, 0.5, 0, Number.NaN, 0.125], { cells, place })[0]).toEqual(NAN);
  expect(paint(Array(6).fill(MASKED), { cells, place })[0]).toEqual(NOTHING);
});

test('rows and columns may run along any axes', () => {
  // [2][3] transposed: the first column is 0, 1, 2 of 8.
  const cells = { rows: 3, columns: 2, offset: 0, rowStride: 1, columnStride: 3 };
  const place = { x: 1, y: 0, width: 2, height: 2 };
  const window = { row: 1, column: 0, rows: 2, columns: 2 };
  const pixels = paint(
    [0, 1, 2, 3, 4, 5].map((x) => x / 8),
    { cells, place, window },
  );
  const [b, c, e, f] = [1, 2, 4, 5].map((x) => entry(viridis, 32 * x));
  expect(pixels).toEqual([NOTHING, b, e, NOTHING, NOTHING, c, f, NOTHING]);
});

test('a range at the ends of float32 neither overflows nor vanishes', () => {
  const cells = { rows: 1, columns: 4, offset: 0, rowStride: 4, columnStride: 1 };
  const place = { x: 0, y: 0, width: 4, height: 1 };
  for (const size of [2 ** 127, 2 ** -120, 3]) {
    const colouring = { map: 'diverging', low: -size, high: size } as const;
    const pixels = paint([-size, 0, size / 2, size], { cells, place, colouring });
    expect(pixels.slice(0, 4)).toEqual([0, 128, 192, 255].map((i) => entry(diverging, i)));
  }
});

test('wrong colours, places and cells are refused', () => {
  const cells = { rows: 1, columns: 2, offset: 0, rowStride: 2, columnStride: 1 };
  const place = { x: 0, y: 0, width: 4, height: 1 };
  expect(() => colourScale({ map: 'viridis', low: 1, high: 1 })).toThrow(
    'heatmap: expected colours from a number to a larger one, got 1 … 1.',
  );
  expect(() => colourScale({ map: 'viridis', low: 0, high: Number.NaN })).toThrow('got 0 … NaN');
  expect(() => paint([0, 1], { cells, place: { ...place, x: 1 } })).toThrow(
    'heatmap: expected a place of whole pixels inside a canvas of 4 × 2, got 4 × 1 at 1, 0.',
  );
  expect(() => paint([0], { cells, place })).toThrow('heatmap: expected at least 2 numbers for these cells, got 1.');
  expect(() => paint([0, 1], { cells, place, window: { row: 0, column: 0, rows: 0, columns: 2 } })).toThrow(
    'heatmap: expected a window of some rows and columns, got 0 × 2 at 0, 0.',
  );
});
