import { expect, test } from 'vitest';
import { BINS, histogramOf } from '../../src/elements/histogram.ts';
import { statisticsOfNumbers } from '../../src/elements/value_numbers.ts';

const of = (data: readonly number[]) => histogramOf(data, statisticsOfNumbers(data));

test('numbers are counted in bins of equal width; what is not finite, and what is masked, is not', async () => {
  const lowest = -3.4028234663852886e38;
  // Bins of 1 from 0 to 40.
  const { low, high, counts } = await of([0, 0.5, 1, 39, 40, Number.NaN, Number.POSITIVE_INFINITY, lowest]);
  expect([low, high, counts.length]).toEqual([0, 40, BINS]);
  expect(counts.flatMap((count, i) => (count > 0 ? [[i, count]] : []))).toEqual([
    [0, 2],
    [1, 1],
    [39, 2],
  ]);
});

test('all the same number, and none at all', async () => {
  expect((await of([7, 7, 7])).counts[0]).toBe(3);
  expect((await of([])).counts).toEqual(Array(BINS).fill(0));
});

test('the page gets a turn while many are counted', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++);
  const { counts } = await histogramOf(new Float32Array(3 * 2 ** 20), statisticsOfNumbers([0, 1]));
  clearInterval(timer);
  expect(counts[0]).toBe(3 * 2 ** 20);
  expect(turns).toBeGreaterThan(0);
});
