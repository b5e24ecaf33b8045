// Intervals and distances against values worked out by hand.
import { expect, test } from 'vitest';
import {
  dot,
  largestDistance,
  mean,
  meanInterval,
  relativeDistance,
  rootMeanSquare,
  shareInterval,
  standardDeviation,
} from '../../scripts/study/statistics.ts';

test("Wilson's interval of a share: 81 of 263, as Newcombe 1998 has it, and all or none of n", () => {
  const { low, high } = shareInterval(81, 263);
  expect([low.toFixed(4), high.toFixed(4)]).toEqual(['0.2553', '0.3662']);
  // Where all are right the interval ends at n/(n + z²) = 40/43.8415.
  const all = shareInterval(40, 40);
  expect([all.low.toFixed(4), all.high]).toEqual(['0.9124', 1]);
  const none = shareInterval(0, 40);
  expect([none.low, none.high.toFixed(4)]).toEqual([0, '0.0876']);
});

test("the interval of a mean is Student's quantile times the standard error", () => {
  const sample = [1, 2, 3, 4]; // mean 2.5, variance 5/3
  expect([mean(sample), standardDeviation(sample)]).toEqual([2.5, Math.sqrt(5 / 3)]);
  const { low, high } = meanInterval(sample, 3.182);
  expect([low, high].map((x) => x.toFixed(3))).toEqual(['0.446', '4.554']); // 2.5 ± 3.182 · 0.6455
});

test('distances, lengths and products', () => {
  expect(relativeDistance([3, 4], [3, 0])).toBe(4 / 3);
  expect(largestDistance([3, 4], [3, 7])).toBe(3);
  expect(largestDistance([1, Number.NaN, 1], [1, 1, 1])).toBe(Number.NaN);
  expect(relativeDistance([Number.NaN], [1])).toBe(Number.NaN);
  expect(rootMeanSquare([3, 4])).toBe(Math.sqrt(12.5));
  expect(dot([1, 2], [3, 4])).toBe(11);
});
