import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HookEntry, Model, set, type Tensor } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl } from '../fixtures.ts';
import { TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { firstDifference, readTensors } from '../tensors.ts';

let model: Model;

beforeAll(async () => {
  model = await Model.load(fixtureUrl('models/circuit-zoo'), { device: await testDevice() });
});

afterAll(() => model.destroy());

test('masked attention scores read as −Infinity exactly where the key comes after the query', async () => {
  const { cache } = await model.runWithCache([5, 6, 7, 8], { names: 'blocks.1.attn.*' });
  const { data, shape, axes } = await cache.read('blocks.1.attn.hook_attn_scores');
  expect(axes).toEqual(['batch', 'head_index', 'query_pos', 'key_pos']);
  expect(shape).toEqual([1, 4, 4, 4]);
  data.forEach((score, i) => {
    const [query, key] = [Math.floor(i / 4) % 4, i % 4];
    expect(score === Number.NEGATIVE_INFINITY, `query ${query}, key ${key}`).toBe(key > query);
  });
  // A pattern's rows are probabilities, 0 where the score is masked.
  const pattern = (await cache.read('blocks.1.attn.hook_pattern')).data;
  pattern.forEach((p, i) => {
    if (data[i] === Number.NEGATIVE_INFINITY) expect(p).toBe(0);
  });
  for (let row = 0; row < 16; row++) {
    const sum = pattern.subarray(row * 4, row * 4 + 4).reduce((a, b) => a + b, 0);
    // Four float32 terms, each within 2⁻²⁴ relative of its share, and their sum in float32.
    expect(Math.abs(sum - 1)).toBeLessThanOrEqual(8 * 2 ** -24);
  }
  cache.destroy();
});

test('every value reads as numbers, as bits and in float64, and all three are the same', async () => {
  const { cache } = await model.runWithCache([5, 6, 7, 8]);
  let masked = 0;
  for (const name of cache.names) {
    const plain: Tensor = await cache.read(name);
    const bits: Tensor<Uint32Array> = await cache.read(name, { as: 'bits' });
    const double: Tensor<Float64Array> = await cache.get(name).read({ as: 'f64' });
    expect([bits.data.constructor, double.data.constructor]).toEqual([Uint32Array, Float64Array]);
    for (const { shape, axes } of [bits, double])
      expect({ shape, axes }).toEqual({ shape: plain.shape, axes: plain.axes });
    expect(bits.data.length).toBe(plain.data.length);
    expect(firstDifference(new Float32Array(bits.data.buffer), plain.data), name).toBe(-1);
    expect(
      double.data.findIndex((x, i) => !Object.is(x, plain.data[i])),
      name,
    ).toBe(-1);
    masked += bits.data.filter((word) => word === 0xff800000).length;
  }
  expect(masked).toBe(4 * 4 * 6); // 4 blocks of 4 heads; 4 queries miss 3 + 2 + 1 keys: the bits of −Infinity
  cache.destroy();
});

test('bits tell 0 from −0, and the lowest float32 is itself where nothing is masked', async () => {
  const words = Uint32Array.of(0, 0x80000000, 0x3f800000, 0x3f800001, 0x7f7fffff, 0xff7fffff);
  const data = new Float32Array(model.config.dModel);
  data.set(new Float32Array(words.buffer));
  const { cache } = await model.run([3], { hooks: [['hook_embed', set(data)]], capture: 'hook_embed' });
  expect((await cache.read('hook_embed', { as: 'bits' })).data.subarray(0, words.length)).toEqual(words);
  cache.destroy();
});

test('what a value cannot be read as is refused', async () => {
  const { cache } = await model.runWithCache([1], { names: 'hook_embed' });
  await expect(cache.read('hook_embed', { as: 'hex' as 'bits' })).rejects.toThrow(
    "cache: expected as: 'f32', 'bits' or 'f64', got 'hex'.",
  );
  cache.destroy();
});

test('statistics on the GPU agree with those of the values read', async () => {
  const tokens = Array.from({ length: 70 }, (_, i) => (i * 37) % 2048);
  const { cache } = await model.runWithCache(tokens);
  const statistics = await Promise.all(cache.names.map((name) => cache.get(name).stats()));
  for (const [i, name] of cache.names.entries()) {
    const { data } = await cache.read(name);
    const finite = Array.from(data).filter(Number.isFinite);
    const mean = finite.reduce((sum, v) => sum + v, 0) / finite.length;
    const squares = finite.reduce((sum, v) => sum + v * v, 0);
    const size = finite.reduce((sum, v) => sum + Math.abs(v), 0) / finite.length;
    const got = statistics[i];
    expect([got.count, got.maskedCount, got.nanCount, got.infiniteCount], name).toEqual([
      finite.length,
      data.length - finite.length,
      0,
      0,
    ]);
    expect([got.min, got.max], name).toEqual([
      finite.reduce((a, b) => Math.min(a, b)),
      finite.reduce((a, b) => Math.max(a, b)),
    ]);
    // Sums of 256 float32 values on the GPU (260 roundings at most), merged in float64.
    expect(Math.abs(got.mean - mean), name).toBeLessThanOrEqual(260 * 2 ** -24 * size);
    expect(Math.abs(got.norm / Math.sqrt(squares) - 1), name).toBeLessThanOrEqual(520 * 2 ** -24);
    const std = Math.sqrt(squares / finite.length - mean * mean);
    expect(Math.abs(got.std - std), name).toBeLessThanOrEqual(1e-4 * (std + size));
  }
  cache.destroy();
});

test.each([3e19, 3e38, 1e-30])('statistics of values near %d do not overflow or vanish', async (size) => {
  // 2 · 3 · 128 elements: ±size in turns of three, so that no chunk of 256 has a mean of 0.
  const data = Float32Array.from({ length: 6 * model.config.dModel }, (_, i) => (i % 3 === 0 ? -size : size));
  const hooks: HookEntry[] = [['hook_embed', set(data)]];
  const { cache } = await model.run([[1, 2, 3], [1, 2, 3]], { hooks, capture: 'hook_embed' }); // biome-ignore format: rows
  const got = await cache.get('hook_embed').stats();
  const float = Math.fround(size);
  const [mean, n] = [float / 3, data.length];
  expect([got.count, got.min, got.max]).toEqual([n, -float, float]);
  // 260 roundings at most on the GPU, relatively; the mean is a third of the size.
  expect(Math.abs(got.mean / mean - 1)).toBeLessThanOrEqual(3 * 260 * 2 ** -24);
  expect(Math.abs(got.std / (float * Math.sqrt(8 / 9)) - 1)).toBeLessThanOrEqual(520 * 2 ** -24);
  expect(Math.abs(got.norm / (float * Math.sqrt(n)) - 1)).toBeLessThanOrEqual(520 * 2 ** -24);
  cache.destroy();
});

test('a value under two names is one buffer', async () => {
  const { cache } = await model.runWithCache([1, 2, 3], {
    names: ['blocks.0.hook_resid_post', 'blocks.1.hook_resid_pre'],
  });
  expect(cache.get('blocks.1.hook_resid_pre').buffer).toBe(cache.get('blocks.0.hook_resid_post').buffer);
  cache.destroy();
});

test('the heads add up to what attention writes: result in order, then the bias, bit for bit', async () => {
  const { cache } = await model.runWithCache([1, 2, 3, 4, 5], { names: 'blocks.2.*' });
  const result = (await cache.read('blocks.2.attn.hook_result')).data;
  const mid = (await cache.read('blocks.2.hook_resid_mid')).data;
  const pre = (await cache.read('blocks.2.hook_resid_pre')).data;
  const out = (await cache.read('blocks.2.hook_attn_out')).data;
  const weights = await readTensors('models/circuit-zoo/model.safetensors');
  const bias = weights.get('transformer.h.2.attn.c_proj.bias')?.data ?? new Float64Array();
  const { nHeads, dModel } = model.config;
  out.forEach((value, i) => {
    const [pos, d] = [Math.floor(i / dModel), i % dModel];
    let sum = 0;
    for (let head = 0; head < nHeads; head++) sum = Math.fround(sum + result[(pos * nHeads + head) * dModel + d]);
    expect(value).toBe(Math.fround(sum + bias[d]));
    expect(mid[i]).toBe(Math.fround(pre[i] + value));
  });
  cache.destroy();
});

test('weights that are not finite are named when the model is loaded', async () => {
  const checkpoint = tinyModel(TINY_CONFIGS.hooked_transformer, 1);
  const data = checkpoint.tensors['blocks.1.mlp.W_out'].data.slice();
  data[3] = Number.NaN;
  data[9] = Number.POSITIVE_INFINITY;
  const tensors = {
    ...checkpoint.tensors,
    'blocks.1.mlp.W_out': { ...checkpoint.tensors['blocks.1.mlp.W_out'], data },
  };
  const strange = await Model.load({ config: checkpoint.config, tensors }, { device: model.device });
  expect(strange.warnings).toEqual(['weights: blocks.1.mlp.W_out holds 2 values that are NaN or infinite']);
  // Dead ends of NaN are counted, not averaged.
  const { cache } = await strange.runWithCache([1, 2], { names: 'blocks.1.hook_mlp_out' });
  const { nanCount, infiniteCount } = await cache.get('blocks.1.hook_mlp_out').stats();
  expect(nanCount + infiniteCount).toBeGreaterThan(0);
  strange.destroy();
  const fine = await Model.load(checkpoint, { device: model.device });
  expect(fine.warnings).toEqual([]);
  fine.destroy();
});

test('reading twice at once gives the same bits', async () => {
  const { cache } = await model.runWithCache([1, 2, 3], { names: 'hook_embed' });
  const [a, b] = await Promise.all([cache.read('hook_embed'), cache.read('hook_embed')]);
  expect(firstDifference(a.data, b.data)).toBe(-1);
  cache.destroy();
});
