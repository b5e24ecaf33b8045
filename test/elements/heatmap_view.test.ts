import { expect, test } from 'vitest';
import { chosenAxes, elementOfIndex, indexOfElement } from '../../src/elements/axes_shown.ts';
import { automaticColouring, heatmapView, indexText, longAxes } from '../../src/elements/heatmap_view.ts';
import { shownTensor } from '../../src/elements/shown_value.ts';
import { statisticsOfNumbers } from '../../src/elements/value_numbers.ts';

const NOTHING = { rows: '', columns: '', index: {}, zoom: null };

/** A value whose elements are 0, 1, 2, … */
function counting(lengths: Readonly<Record<string, number>>) {
  const axes = Object.keys(lengths).map((name) => name.trim()); // ' 1': JavaScript puts keys that are whole numbers first
  const shape = Object.values(lengths);
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => i);
  return shownTensor({ name: 'value', data, shape, axes });
}

test.each([
  ['a pattern', { batch: 1, head_index: 4, query_pos: 9, key_pos: 9 }, 'query_pos', 'key_pos'],
  ['a stream', { batch: 2, pos: 9, d_model: 64 }, 'pos', 'd_model'],
  ['heads', { batch: 1, pos: 9, head_index: 4, d_head: 16 }, 'pos', 'd_head'],
  ['a scale', { batch: 1, pos: 9, ' 1': 1 }, '1', 'pos'],
  ['a scale of several rows', { batch: 3, pos: 9, ' 1': 1 }, 'batch', 'pos'],
  ['one number', { batch: 1, pos: 1 }, 'batch', 'pos'],
  ['a recording', { layer: 3, component: 5 }, 'layer', 'component'],
])('%s: rows and columns that nobody asked for', (_, axes, rows, columns) => {
  expect(heatmapView(counting(axes), NOTHING)).toMatchObject({ rows, columns });
});

test('axes that are asked for are taken where they exist', () => {
  const axes = { shape: [1, 4, 9, 9], axes: ['batch', 'head_index', 'query_pos', 'key_pos'] };
  expect(chosenAxes(axes, { rows: 'head_index', columns: '' })).toEqual({ rows: 'head_index', columns: 'key_pos' });
  expect(chosenAxes(axes, { rows: '', columns: 'query_pos' })).toEqual({ rows: 'key_pos', columns: 'query_pos' });
  expect(chosenAxes(axes, { rows: 'd_model', columns: 'd_mlp' })).toEqual({ rows: 'query_pos', columns: 'key_pos' });
  expect(chosenAxes(axes, { rows: 'key_pos', columns: 'key_pos' })).toEqual({ rows: 'key_pos', columns: 'query_pos' });
});

test('a value of one axis, or of none, is a picture of one row', () => {
  const bias = heatmapView(counting({ d_model: 6 }), NOTHING);
  expect(bias?.cells).toEqual({ rows: 1, columns: 6, offset: 0, rowStride: 6, columnStride: 1 });
  expect(heatmapView(counting({}), NOTHING)?.cells).toMatchObject({ rows: 1, columns: 1 });
  expect(heatmapView(counting({ pos: 0, d_model: 6 }), NOTHING)).toBe(null);
});

test('an index is brought inside its axis, and a window among its cells', () => {
  const value = counting({ batch: 1, head_index: 4, query_pos: 9, key_pos: 9 });
  const zoom = { row: -1, column: 8, rows: 3, columns: 3 };
  const view = heatmapView(value, { ...NOTHING, index: { head_index: 7, batch: Number.NaN }, zoom });
  expect(view?.index).toEqual({ batch: 0, head_index: 3 });
  expect(view?.cells.offset).toBe(3 * 81);
  expect(view?.window).toEqual({ row: 0, column: 6, rows: 3, columns: 3 });
  expect(view && longAxes(view).map(({ name }) => name)).toEqual(['head_index', 'query_pos', 'key_pos']);
});

test('an element has an index along each axis, and back', () => {
  const axes = { shape: [2, 3, 5], axes: ['batch', 'pos', 'd_model'] };
  expect(indexOfElement(axes, 22)).toEqual({ batch: 1, pos: 1, d_model: 2 });
  expect(elementOfIndex(axes, { batch: 1, pos: 1, d_model: 2 })).toBe(22);
  expect(elementOfIndex(axes, { d_model: 4 })).toBe(4);
  expect(elementOfIndex(axes, { d_model: 5 })).toBe(null);
  expect(elementOfIndex(axes, { pos: 0.5 })).toBe(null);
});

test('an index in words has the labels of its axes, those of pos for queries and keys too', () => {
  const axes = { shape: [1, 4, 9, 9], axes: ['batch', 'head_index', 'query_pos', 'key_pos'] };
  const index = { batch: 0, head_index: 2, query_pos: 1, key_pos: 8 };
  expect(indexText(axes, index, { pos: ['The', ' cat'] })).toBe('head_index 2 · query_pos 1  cat · key_pos 8');
  expect(indexText({ shape: [1], axes: ['batch'] }, { batch: 0 }, {})).toBe('its only element');
});

test('colours begin at 0 where nothing is negative, and are even around it where something is', () => {
  const of = (...data: number[]) => automaticColouring(statisticsOfNumbers(data));
  expect(of(0, 0.25, 1)).toEqual({ map: 'viridis', low: 0, high: 1 });
  expect(of(-3, 2)).toEqual({ map: 'diverging', low: -3, high: 3 });
  expect(of(0, 0)).toEqual({ map: 'viridis', low: 0, high: 1 });
  expect(of(Number.NaN)).toEqual({ map: 'viridis', low: 0, high: 1 });
});

test('statistics of numbers on the CPU: finite ones only, the rest is counted', () => {
  const lowest = -3.4028234663852886e38;
  const data = [1, 2, 3, 6, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, lowest];
  // Mean 12/4 = 3; deviations 4 + 1 + 0 + 9 = 14; squares 1 + 4 + 9 + 36 = 50.
  expect(statisticsOfNumbers(data)).toEqual({
    count: 4,
    mean: 3,
    std: Math.sqrt(14 / 4),
    min: 1,
    max: 6,
    norm: Math.sqrt(50),
    nanCount: 1,
    infiniteCount: 2,
    maskedCount: 1,
  });
  expect(statisticsOfNumbers([])).toMatchObject({ count: 0, mean: 0, min: 0, max: 0, norm: 0 });
});
