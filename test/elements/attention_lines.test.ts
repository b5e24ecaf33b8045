import { expect, test } from 'vitest';
import { linesOf, weightAt } from '../../src/elements/attention_lines.ts';

const pattern = { weights: Float32Array.of(1, 0, 0, 0.5, 0.5, 0, 0.25, 0.009, 0.741), queries: 3, keys: 3 };
const ends = (lines: ReturnType<typeof linesOf>) => lines.map(({ query, key }) => [query, key]);

test('lines are drawn from weak to strong, those that cannot be seen not at all', () => {
  const all = [
    [2, 0],
    [1, 0],
    [1, 1],
    [2, 2],
    [0, 0],
  ];
  expect(ends(linesOf(pattern, null))).toEqual(all);
  expect(ends(linesOf(pattern, { side: 'query', pos: 2 }))).toEqual([all[0], all[3]]);
  expect(ends(linesOf(pattern, { side: 'key', pos: 0 }))).toEqual([all[0], all[1], all[4]]);
});

test('of many lines the strongest 2,000 are drawn, and none for NaN', () => {
  const weights = Float32Array.from({ length: 2500 }, (_, i) => (i === 7 ? Number.NaN : 0.1 + i / 10000));
  const lines = linesOf({ weights, queries: 50, keys: 50 }, null);
  expect(lines.length).toBe(2000);
  expect(lines[0].weight).toBe(weights[500]);
  expect(lines.at(-1)?.weight).toBe(weights[2499]);
});

test('tokens opposite to an end have its weights', () => {
  expect(weightAt(pattern, { side: 'query', pos: 2 }, { side: 'key', pos: 0 })).toBe(0.25);
  expect(weightAt(pattern, { side: 'key', pos: 0 }, { side: 'query', pos: 1 })).toBe(0.5);
  expect(weightAt(pattern, { side: 'key', pos: 0 }, { side: 'key', pos: 1 })).toBe(null);
  expect(weightAt(pattern, null, { side: 'key', pos: 1 })).toBe(null);
});
