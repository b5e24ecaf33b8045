// Numbers of directions that are taken from the runs: the difference of two prompts, and positions that one of them lacks.
import { expect, test } from 'vitest';
import type { ActivationCache } from '../../src/index.ts';
import { directionOf, wordOfAxis } from '../../src/ui/edits.ts';

/** A run that holds one value, [1, pos, 2]. */
function cacheOf(...data: number[]): ActivationCache {
  const value = { data: Float32Array.from(data), shape: [1, data.length / 2, 2], axes: ['batch', 'pos', 'd_model'] };
  return { read: async () => value } as unknown as ActivationCache;
}

const SOURCES = { model: null as never, before: cacheOf(1, 2, 3, 4), second: cacheOf(10, 20, 30, 40, 50, 60) };
const difference = (pos: number | null) => directionOf({ from: 'difference', pos }, 'x', SOURCES);

test('a difference is of one position of both prompts, or of their means', async () => {
  expect(await difference(1)).toEqual(Float32Array.of(27, 36));
  expect(await difference(-2)).toEqual(Float32Array.of(29, 38));
  expect(await difference(null)).toEqual(Float32Array.of(28, 37)); // 30 − 2, 40 − 3
});

test.each([2, -3, Number.MAX_SAFE_INTEGER])(
  'a position that one of the prompts lacks is no numbers: %s',
  async (pos) => {
    await expect(difference(pos)).rejects.toThrow(`there is no position ${pos} in one of the prompts.`);
  },
);

test('axes have the words of selections', () => {
  expect(['head_index', 'pos', 'constructor'].map(wordOfAxis)).toEqual(['head', 'pos', 'constructor']);
});
