import { expect, test } from 'vitest';
import { cellAt, cellByKey, inside, isWhole, labelled, revealing, zoomed } from '../../src/elements/zoom.ts';

const cells = { rows: 10, columns: 1000, offset: 0, rowStride: 1000, columnStride: 1 };
const whole = { row: 0, column: 0, rows: 10, columns: 1000 };
const size = { width: 500, height: 200 };
const centre = { x: 0.5, y: 0.5 };

test('zooming keeps what is under the pointer, and begins along the axis with the smaller cells', () => {
  // Cells are 0.5 wide and 20 high: columns first, until they are about square.
  const first = zoomed(whole, cells, { factor: 4, at: { x: 0.2, y: 0.9 }, size });
  expect(first).toEqual({ row: 0, column: 150, rows: 10, columns: 250 });
  expect(cellAt(first, cells, { x: 0.2, y: 0.9 })).toEqual(cellAt(whole, cells, { x: 0.2, y: 0.9 }));
  const square = { row: 0, column: 100, rows: 10, columns: 25 };
  expect(zoomed(square, cells, { factor: 2, at: centre, size })).toEqual({
    row: 2.5,
    column: 106.25,
    rows: 5,
    columns: 12.5,
  });
});

test('zooming out ends at the whole, and zooming in at two cells', () => {
  let window = whole;
  for (let i = 0; i < 60; i++) window = zoomed(window, cells, { factor: 1.5, at: centre, size });
  expect([window.rows, window.columns]).toEqual([2, 2]);
  for (let i = 0; i < 60; i++) window = zoomed(window, cells, { factor: 1 / 1.5, at: centre, size });
  expect(window).toEqual(whole);
  expect(isWhole(window, cells)).toBe(true);
});

test('a single row or column stays as it is', () => {
  const row = { rows: 1, columns: 8, offset: 0, rowStride: 8, columnStride: 1 };
  const all = { row: 0, column: 0, rows: 1, columns: 8 };
  const near = zoomed(all, row, { factor: 2, at: { x: 0, y: 0 }, size });
  expect(near).toEqual({ row: 0, column: 0, rows: 1, columns: 4 });
});

test('a window moves to where there are cells', () => {
  expect(inside({ row: -3, column: 995, rows: 4, columns: 20 }, cells)).toEqual({
    row: 0,
    column: 980,
    rows: 4,
    columns: 20,
  });
  const window = { row: 2, column: 100, rows: 4, columns: 20 };
  expect(revealing(window, cells, { row: 7, column: 99 })).toEqual({ row: 4, column: 99, rows: 4, columns: 20 });
  expect(revealing(window, cells, { row: 3, column: 110 })).toEqual(window);
});

test('places at the edges belong to the cells there', () => {
  expect(cellAt(whole, cells, { x: 0, y: 0 })).toEqual({ row: 0, column: 0 });
  expect(cellAt(whole, cells, { x: 1, y: 1 })).toEqual({ row: 9, column: 999 });
  expect(cellAt({ row: 2.5, column: 7.25, rows: 2, columns: 2 }, cells, { x: 0.4, y: 0.2 })).toEqual({
    row: 2,
    column: 8,
  });
});

test('keys go from cell to cell and stop at the edges', () => {
  const from = { row: 1, column: 5 };
  const key = (name: string, shiftKey = false) => cellByKey({ key: name, shiftKey }, from, cells);
  expect(key('ArrowRight')).toEqual({ row: 1, column: 6 });
  expect(key('ArrowLeft', true)).toEqual({ row: 1, column: 0 });
  expect(key('ArrowDown', true)).toEqual({ row: 9, column: 5 });
  expect([key('Home'), key('End')]).toEqual([
    { row: 1, column: 0 },
    { row: 1, column: 999 },
  ]);
  expect(key('a')).toBe(null);
});

test('labels are at round numbers, as many as there is room for', () => {
  expect(labelled({ start: 0, length: 15, pixels: 300, apart: 30 })).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
  expect(labelled({ start: 0, length: 5, pixels: 300, apart: 30 })).toEqual([0, 1, 2, 3, 4]);
  expect(labelled({ start: 30.6, length: 4, pixels: 300, apart: 30 })).toEqual([31, 32, 33, 34]);
  expect(labelled({ start: 0, length: 50257, pixels: 300, apart: 60 })).toEqual([0, 20000, 40000]);
});
