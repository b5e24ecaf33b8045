// Who chooses the tilings of a model in a page: what stands in localStorage. In Node: tilings.node.test.ts.
import { afterEach, expect, inject, test } from 'vitest';
import { Model, type TilingRequest } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const KEY = 'HYALINE_TILINGS';
afterEach(() => localStorage.setItem(KEY, inject('tilings')));

/** The tiling of a model's first product, and who chose it. */
async function firstTiling(tilings?: TilingRequest) {
  const checkpoint = tinyModel({ ...TINY_CONFIGS.gpt2, n_positions: 3 }, 7);
  using model = await Model.load(checkpoint, { device: await testDevice(), tilings });
  const chosen = model.plan({ pos: 3 }).steps.flatMap((step) => ('tiling' in step && step.tiling) || []);
  return chosen[0];
}

test('HYALINE_TILINGS says it where the caller says nothing; a wrong one is an error', async () => {
  localStorage.setItem(KEY, 'register 4x4');
  expect(await firstTiling()).toEqual({ tiling: 'register 4x4', origin: 'given' });
  expect((await firstTiling('default')).origin).toBe('default');
  localStorage.removeItem(KEY);
  expect((await firstTiling()).origin).toBe('default');
  localStorage.setItem(KEY, 'register 3x3');
  await expect(firstTiling()).rejects.toThrow(/^load: tilings is .*; got "register 3x3"\.$/);
});
