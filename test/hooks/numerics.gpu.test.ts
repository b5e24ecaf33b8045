// Which numerics a run has, and what is computed of its values: its own, whatever the model was loaded with and ran before.
import { describe, expect, test } from 'vitest';
import {
  accumulatedResid,
  detectHead,
  logitLens,
  Model,
  meanAblate,
  type Numerics,
  type RunOptions,
  type Tensor,
} from '../../src/index.ts';
import { add } from '../../src/kernels/add.ts';
import { kernelSource } from '../../src/kernels/kernel.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const MODES: readonly Numerics[] = ['fast', 'reproducible'];
const checkpoint = tinyModel(TINY_CONFIGS.gpt2, 81);
const NAME = 'blocks.0.hook_mlp_out';

/** A line that only fast kernels have. */
const FAST = 'fn mul_add(a: f32, b: f32, c: f32) -> f32 { return fma(a, b, c); }';

const load = async (numerics: Numerics) => Model.load(checkpoint, { device: await testDevice(), numerics });

/** Zeros with a sign, which they lose in reproducible runs alone. */
const NEGATIVE_ZEROS: RunOptions['hooks'] = [[NAME, ({ data }) => data.fill(-0)]];

async function storedBits(model: Model, options: RunOptions): Promise<number[]> {
  const tokens = randomTokens(model.config, 1, 3, 82);
  const { cache } = await model.runWithCache(tokens, { names: NAME, hooks: NEGATIVE_ZEROS, ...options });
  const { data } = await cache.read(NAME, { as: 'bits' });
  cache.destroy();
  return [...new Set(data)];
}

test.each(MODES)('a run of a model that was loaded with %s has those it asks for, in any order', async (loaded) => {
  using model = await load(loaded);
  for (const numerics of [...MODES, ...MODES, undefined]) {
    const isFast = (numerics ?? loaded) === 'fast';
    const bits = await storedBits(model, { numerics });
    expect(bits, `asked for ${numerics}`).toEqual([isFast ? 0x80000000 : 0]);
  }
});

test('means, statistics, lenses, stacks and head scores of a reproducible run are reproducible too', async () => {
  expect(kernelSource(add, { dims: {}, options: {}, arithmetic: 'fast', has: () => true })).toContain(FAST);
  using model = await load('fast');
  const { pipelines } = model.runtime;
  const get = pipelines.get;
  const fast = new Set<string>();
  pipelines.get = (shader) => {
    if (shader.source.includes(FAST)) fast.add(shader.label);
    return get.call(pipelines, shader);
  };
  const useValues = async (numerics: Numerics) => {
    const tokens = randomTokens(model.config, 2, 5, 83);
    using cache = (await model.runWithCache(tokens, { numerics })).cache;
    await model.run(tokens, { numerics, hooks: [[NAME, meanAblate(cache)]] });
    await cache.get(NAME).stats();
    await logitLens(model, cache);
    await accumulatedResid(model, cache, { applyLn: true }).read();
    await detectHead(model, cache, { detectionPattern: 'previous_token_head', tokens });
  };
  try {
    await useValues('reproducible');
    expect([...fast]).toEqual([]);
    await useValues('fast');
    const tools = ['mean', 'statistics', 'top_tokens', 'residual_stack', 'pattern_match'];
    expect([...fast]).toEqual(expect.arrayContaining(tools));
  } finally {
    pipelines.get = get;
  }
});

test.each(MODES)('numbers that a user writes are stored as those of %s kernels', async (numerics) => {
  using model = await load('fast');
  const { dModel } = model.config;
  // Not quite 2⁻¹²⁶, zero with a sign, 2⁻¹²⁶, the number after it, 1.
  const bits = [0x80012345, 0x80000000, 0x00800000, 0x80800001, 0x3f800000];
  const data = new Float32Array(dModel);
  data.set(new Float32Array(Uint32Array.from(bits).buffer));
  const want = numerics === 'fast' ? bits : [0, 0, 0, ...bits.slice(3)];
  const read = async (
    options: RunOptions & { startAtLayer?: number },
    input: number[] | Pick<Tensor, 'data' | 'shape'>,
  ) => {
    const stream = 'blocks.1.hook_resid_pre';
    const { cache } = await model.run(input as number[], { numerics, capture: stream, ...options });
    return Array.from((await cache.read(stream, { as: 'bits' })).data.slice(0, bits.length));
  };
  expect(await read({ hooks: [['blocks.1.hook_resid_pre', () => data]] }, [1])).toEqual(want);
  expect(await read({ startAtLayer: 1 }, { data, shape: [1, 1, dModel] })).toEqual(want);
});

test.each(MODES)('a text is continued with %s numerics if they are asked for', async (numerics) => {
  using model = await load('fast');
  const options = { numerics, hooks: NEGATIVE_ZEROS, capture: NAME, maxNewTokens: 2 };
  for await (const { cache } of model.generate([1, 2], options)) {
    const bits = (await cache?.read(NAME, { as: 'bits' }))?.data;
    expect(bits?.includes(0x80000000)).toBe(numerics === 'fast');
  }
});

describe('a key-value cache', () => {
  test.each(MODES)('that %s runs have filled is refused to others, and so is its copy', async (first) => {
    using model = await load('fast');
    const other = first === 'fast' ? 'reproducible' : 'fast';
    using keyValueCache = model.createKeyValueCache();
    await model.run([1, 2], { keyValueCache, numerics: first });
    using copy = keyValueCache.fork();
    for (const cache of [keyValueCache, copy]) {
      await expect(model.run([3], { keyValueCache: cache, numerics: other })).rejects.toThrow(
        `key-value cache: it was filled by ${first} runs; a ${other} one cannot go on from there.`,
      );
      await model.run([3], { keyValueCache: cache, numerics: first });
      expect(cache.lengths).toEqual([3]);
    }
  });
});

test('numerics that are none are refused', async () => {
  const exact = 'exact' as Numerics;
  const message = `run: numerics is 'fast' or 'reproducible', got "exact".`;
  await expect(Model.load(checkpoint, { device: await testDevice(), numerics: exact })).rejects.toThrow(message);
  using model = await load('fast');
  await expect(model.run([1], { numerics: exact })).rejects.toThrow(message);
  expect(() => model.plan({ pos: 1, numerics: exact })).toThrow(message);
});

test('reproducible generation chooses the same tokens with several steps in flight', async () => {
  const model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 3), { device: await testDevice() });
  const generated = async (inFlight: number) => {
    const steps = [];
    const options = { temperature: 2, maxNewTokens: 6, numerics: 'reproducible', inFlight } as const;
    for await (const { rows, firstPos } of model.generate([[1, 2, 3, 4, 5], [1]], options))
      steps.push({ rows, firstPos });
    return steps;
  };
  const one = await generated(1);
  expect(await generated(8)).toEqual(one);
  expect(one.length).toBe(6);
  model.destroy();
});
