// Whole runs beside each other: the same one twice, an edited one, its float64 reference, and what lost its batch axis.
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type ActivationCache,
  add,
  compare,
  Model,
  referenceForward,
  SafetensorsFile,
  ulp,
  type WritableTensor,
  writeSafetensors,
} from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { canonicalWeights, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const TOKENS = [[1, 2, 3, 4]];
const checkpoint = tinyModel(TINY_CONFIGS.gpt2, 1);
let model: Model;
let cache: ActivationCache;

beforeAll(async () => {
  model = await Model.load(checkpoint, { device: await testDevice() });
  cache = (await model.runWithCache(TOKENS)).cache;
});

afterAll(() => model.destroy());

test('a run is the same as itself, and as the file that was written of it', async () => {
  const again = await model.runWithCache(TOKENS);
  expect(await compare(cache, again.cache)).toMatchObject({ same: true, first: null, onlyInA: [], onlyInB: [] });
  const tensors: WritableTensor[] = [];
  for (const name of cache.names.toSorted()) {
    const { shape, data } = await cache.read(name);
    tensors.push({ name, dtype: 'F32', shape, data });
  }
  const comparison = await compare(cache, await SafetensorsFile.open(writeSafetensors(tensors), 'f'));
  expect(comparison.same).toBe(true);
  expect(comparison.values.map(({ name }) => name)).toEqual(cache.names);
});

test('an edited run differs from where it was edited on', async () => {
  const where = 'blocks.1.attn.hook_z';
  const edited = await model.runWithCache(TOKENS, { hooks: [[where, add(1, { pos: 2, head: 1 })]] });
  const { first, values } = await compare(cache, edited.cache);
  expect(first?.name).toBe(where);
  expect(first?.first?.index).toEqual([0, 2, 1, 0]); // [batch, pos, head_index, d_head]
  expect(first).toMatchObject({ axes: ['batch', 'pos', 'head_index', 'd_head'], differing: 4, nanOnOneSide: 0 });
  expect(first?.maxAbs).toBeGreaterThan(0.9);
  const changed = new Set(values.filter(({ same }) => !same).map(({ name }) => name));
  expect([...changed].every((name) => cache.names.indexOf(name) >= cache.names.indexOf(where))).toBe(true);
  expect(changed.has('logits')).toBe(true);
});

test('a run parts from its float64 reference at the first operation that rounds more than once', async () => {
  const reference = referenceForward(model.config, await canonicalWeights(checkpoint), TOKENS);
  const { same, first, values, onlyInB } = await compare(cache, reference);
  expect([same, onlyInB]).toEqual([false, []]);
  // Lookups are exact, and one addition is rounded as the reference's is when it becomes float32.
  expect(values.slice(0, 3).map(({ name, dtypes, differing }) => [name, dtypes.b, differing])).toEqual([
    ['hook_embed', 'F64', 0],
    ['hook_pos_embed', 'F64', 0],
    ['blocks.0.hook_resid_pre', 'F64', 0],
  ]);
  expect(first?.name).toMatch(/^blocks\.0\.ln1\./);
  for (const { name, maxAbs, maxUlp } of values) {
    const { data, bound } = reference.get(name)!;
    const largest = data.reduce((size, x) => (Number.isFinite(x) ? Math.max(size, Math.abs(x)) : size), 0);
    // The engine's error, and the rounding of the reference to float32.
    expect(maxAbs, name).toBeLessThanOrEqual(bound.reduce((a, b) => Math.max(a, b)) + ulp(largest) / 2);
    expect(maxUlp, name).toBeLessThan(Number.POSITIVE_INFINITY);
  }
});

test('a value without its batch axis is a difference of shapes', async () => {
  const { shape, data } = await cache.read('hook_embed');
  const { first, onlyInA } = await compare(cache, [{ name: 'hook_embed', shape: shape.slice(1), data }]);
  expect(first?.problem).toBe('[1, 4, 12] is not the shape [4, 12]: b has no batch axis');
  expect(onlyInA).toEqual(cache.names.filter((name) => name !== 'hook_embed'));
});

test('a cache that was destroyed is an error', async () => {
  const gone = (await model.runWithCache(TOKENS)).cache;
  gone.destroy();
  await expect(compare(cache, gone)).rejects.toThrow('cache: it has been destroyed, its values are gone.');
});
