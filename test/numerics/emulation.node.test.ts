// Reproducible runs against the emulation of the whole forward pass: every value of every model has the emulated bits.
import { describe, expect, test } from 'vitest';
import { weightSpecs } from '../../src/engine/config.ts';
import { emulateForward, Model } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, sharedExists } from '../fixtures.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { firstDifference } from '../tensors.ts';

/** Compares every value of a run with the emulated one. */
async function expectEmulatedBits(
  model: Model,
  weights: ReadonlyMap<string, Float32Array>,
  tokens: number[][],
): Promise<void> {
  const emulated = emulateForward(model.config, weights, tokens);
  const { cache } = await model.runWithCache(tokens, { numerics: 'reproducible' });
  expect(cache.names).toEqual([...emulated.keys()]);
  for (const [name, want] of emulated) {
    const { data, shape } = await cache.read(name);
    expect(shape, name).toEqual(want.shape);
    const at = firstDifference(data, want.data);
    expect(at, `${name}[${at}]: ${want.data[at]} emulated, ${data[at]} computed`).toBe(-1);
  }
  cache.destroy();
}

/** What a checkpoint holds, as the GPU has it. */
async function weightsOf(model: Model): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const weights = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name } of weightSpecs(model.config)) {
    if (model.runtime.weight(name)) weights.set(name, (await model.weight(name)).data);
  }
  return weights;
}

test.each(Object.entries(TINY_CONFIGS))('%s: every value has the emulated bits', async (_, raw) => {
  const checkpoint = tinyModel(raw, 5);
  const model = await Model.load(checkpoint, { device: await testDevice() });
  const { nCtx } = model.config;
  const weights = await canonicalWeights(checkpoint);
  for (const [batch, pos] of [
    [1, 1],
    [3, Math.min(5, nCtx)],
    [1, nCtx],
  ]) {
    await expectEmulatedBits(model, weights, randomTokens(model.config, batch, pos, pos));
  }
  model.destroy();
});

describe('real models: every value has the emulated bits', () => {
  const models: [string, string | number[][]][] = [
    ['models/circuit-zoo', 'When Mary and John went to the store, John gave a drink to'],
    [
      'models/modular-addition',
      [
        [3, 110, 113],
        [0, 0, 113],
        [56, 57, 113],
      ],
    ],
    ['../shared/models/stories260K', 'Once upon a time, there was a little girl named Lily.'],
    ['../shared/models/capp-gpt2', [[0, 5, 17, 3, 42, 1]]],
  ];
  test.each(models.filter(([path]) => sharedExists || !path.startsWith('..')))('%s', async (path, input) => {
    const model = await Model.load(fixtureUrl(path), { device: await testDevice() });
    const tokens = typeof input === 'string' ? [model.toTokens(input)] : input;
    await expectEmulatedBits(model, await weightsOf(model), tokens);
    model.destroy();
  });
});
