// Identities: what decompositions give adds up to what they decompose, in every kind of model; and what they refuse.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ActivationCache,
  accumulatedResid,
  applyLnToStack,
  decomposeResid,
  getFullResidDecomposition,
  getNeuronResults,
  logitAttrs,
  lossPerToken,
  Model,
  type ResidualStack,
  stackHeadResults,
  stackNeuronResults,
} from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { compare } from '../kernels/compare.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { firstDifference } from '../tensors.ts';

/** Sums of components and of their magnitudes, over the first axis. */
async function sums(stack: ResidualStack): Promise<{ sum: Float64Array; magnitude: Float64Array; count: number }> {
  const { data, shape } = await stack.read();
  const size = data.length / shape[0];
  const sum = new Float64Array(size);
  const magnitude = new Float64Array(size);
  data.forEach((v, i) => {
    sum[i % size] += v;
    magnitude[i % size] += Math.abs(v);
  });
  return { sum, magnitude, count: shape[0] };
}

/**
 * Contributions that each have `roundings` units of error, and a stream that is their float32 sum in another grouping: with n terms,
 * γ_(n + roundings) of Σ|terms|, twice. 40 covers the kernels' own: sums of up to 33 neurons and 5 elements of a head in blocks,
 * a mean, a division.
 */
const boundOf = ({ magnitude, count }: { magnitude: Float64Array; count: number }) =>
  magnitude.map((m) => 2 ** -24 * 2 * (count + 40) * m);

const CONFIGS = ['gpt2', 'llama', 'hooked LNPre, 19 in and 7 out', 'hooked without norms or MLP'];

describe.each(CONFIGS)('%s', (name) => {
  let model: Model;
  let cache: ActivationCache;
  const raw = TINY_CONFIGS[name];
  beforeAll(async () => {
    model = await Model.load(tinyModel(raw, 5), { device: await testDevice() });
    ({ cache } = await model.runWithCache(randomTokens(model.config, 2, 5, 6)));
  });
  afterAll(() => {
    cache.destroy();
    model.destroy();
  });

  async function expectSum(stack: ResidualStack, value: string): Promise<void> {
    const got = await sums(stack);
    const { data: want, shape } = await cache.read(value);
    const axes = shape.map((size, i) => ({ name: ['batch', 'pos', 'd_model'][i], size }));
    compare({ what: `${stack.labels.length} components of ${value}`, axes, got: got.sum, want, bound: boundOf(got) });
  }

  test('contributions add up to the residual stream before every layer', async () => {
    const { nLayers, attnOnly } = model.config;
    for (let layer = 0; layer <= nLayers; layer++) {
      const value = layer === nLayers ? `blocks.${nLayers - 1}.hook_resid_post` : `blocks.${layer}.hook_resid_pre`;
      await expectSum(decomposeResid(model, cache, { layer }), value);
      await expectSum(getFullResidDecomposition(model, cache, { layer }), value);
      await expectSum(getFullResidDecomposition(model, cache, { layer, expandNeurons: false }), value);
      await expectSum(stackHeadResults(model, cache, { layer, inclRemainder: true }), value);
      if (!attnOnly)
        await expectSum(stackNeuronResults(model, cache, { layer, neuron: 2, inclRemainder: true }), value);
      if (attnOnly || layer === nLayers) continue;
      await expectSum(decomposeResid(model, cache, { layer, mlpInput: true }), `blocks.${layer}.hook_resid_mid`);
      await expectSum(
        getFullResidDecomposition(model, cache, { layer, mlpInput: true }),
        `blocks.${layer}.hook_resid_mid`,
      );
    }
  });

  test('normalised contributions add up to what the norm gave before its gain', async () => {
    const { nLayers, normalizationType } = model.config;
    const stack = getFullResidDecomposition(model, cache, { expandNeurons: false });
    if (normalizationType === null) {
      expect(applyLnToStack(stack)).toBe(stack);
      return;
    }
    await expectSum(applyLnToStack(stack), 'ln_final.hook_normalized');
    await expectSum(decomposeResid(model, cache, { layer: 1, applyLn: true }), 'blocks.1.ln1.hook_normalized');
    await expectSum(
      decomposeResid(model, cache, { layer: 1, mlpInput: true, applyLn: true }),
      'blocks.1.ln2.hook_normalized',
    );
    // Up to the end, accumulatedResid applies the whole final norm: the last stream is what the unembedding read, bit for bit.
    const accumulated = await accumulatedResid(model, cache, { applyLn: true }).read();
    const { data: unembedded } = await cache.read('unembed.hook_in');
    expect(firstDifference(accumulated.data.subarray(nLayers * unembedded.length), unembedded)).toBe(-1);
  });

  test('projections are dot products with the vectors that are read', async () => {
    const { dModel } = model.config;
    const direction = Float32Array.from({ length: dModel }, (_, d) => Math.sin(d + 1));
    for (const stack of [
      getFullResidDecomposition(model, cache, { pos: [1, -1], batch: 1 }),
      stackHeadResults(model, cache, { head: [-1, 0], inclRemainder: true, applyLn: true }),
      accumulatedResid(model, cache, { applyLn: true, pos: { from: 2 } }),
    ]) {
      const { data: vectors } = await stack.read();
      const { data: got, shape } = await stack.project(direction);
      expect(shape).toEqual(stack.shape.slice(0, 3));
      const terms = (f: (v: number, d: number) => number) =>
        Float64Array.from(got, (_, i) => {
          let sum = 0;
          for (let d = 0; d < dModel; d++) sum += f(vectors[i * dModel + d], direction[d]);
          return sum;
        });
      // A remainder is a difference: as exact as the components that it leaves out, not as itself.
      const largest = vectors.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const bound = terms((v, d) => 2 ** -24 * 100 * (Math.abs(v) + largest) * Math.abs(d));
      const axes = [{ name: 'component, batch and pos', size: got.length }];
      compare({ what: 'projection', axes, got, want: terms((v, d) => v * d), bound });
    }
  });

  test('what has begun to be read is right, though its cache is destroyed and its memory used again meanwhile', async () => {
    const tokens = randomTokens(model.config, 2, 5, 6);
    const run = await model.runWithCache(tokens);
    const stack = getFullResidDecomposition(model, run.cache, { applyLn: true });
    const want = await stack.read();
    const reading = stack.read();
    run.cache.destroy();
    const again = await model.runWithCache(randomTokens(model.config, 2, 5, 7));
    expect(firstDifference((await reading).data, want.data)).toBe(-1);
    again.cache.destroy();
    await expect(stack.read()).rejects.toThrow('cache: it has been destroyed, its values are gone.');
  });

  test('nothing is left allocated', async () => {
    const use = async () => {
      await decomposeResid(model, cache, { pos: -1 }).read();
      await accumulatedResid(model, cache, { applyLn: true, pos: -1 }).project(new Float32Array(model.config.dModel));
      await logitAttrs(getFullResidDecomposition(model, cache), { tokens: 1, incorrectTokens: [[2, 3, 4, 5, 6]] });
    };
    await use();
    const { bytes, buffers } = model.memory;
    await use();
    expect(model.memory).toEqual({ bytes, buffers });
  });
});

describe('what cannot be decomposed is refused', () => {
  let model: Model;
  let cache: ActivationCache;
  beforeAll(async () => {
    model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 5), { device: await testDevice() });
    ({ cache } = await model.runWithCache(randomTokens(model.config, 2, 5, 6), { names: 'hook_*' }));
  });
  afterAll(() => {
    cache.destroy();
    model.destroy();
  });
  const logits = { name: 'logits', data: new Float32Array(74), shape: [1, 2, 37], axes: [] };
  const wrong: [string, () => unknown, string][] = [
    [
      'a layer that does not exist',
      () => decomposeResid(model, cache, { layer: 3 }),
      'analysis: expected layer to be an integer of 0 … 2, or -1 for 2, got 3.',
    ],
    [
      'the MLP of the unembedding',
      () => accumulatedResid(model, cache, { mlpInput: true }),
      'analysis: mlpInput needs a layer with an MLP; layer 2 is the unembedding.',
    ],
    [
      'a value that was not captured',
      () => decomposeResid(model, cache),
      'cache: "blocks.0.hook_attn_out" was not captured in this run. Captured: hook_embed, hook_pos_embed.',
    ],
    [
      'a position that does not exist',
      () => decomposeResid(model, cache, { layer: 0, pos: 5 }),
      'hooks: the residual stream has 5 elements along pos; index 5 is outside of -5 … 4.',
    ],
    ['no position', () => decomposeResid(model, cache, { layer: 0, pos: [] }), 'analysis: no position is selected.'],
    [
      'a direction of another length',
      () => decomposeResid(model, cache, { layer: 0 }).project([1, 2]),
      'project: expected a direction of 12 elements (d_model), got 2.',
    ],
    [
      'a token that does not exist',
      () => logitAttrs(decomposeResid(model, cache, { layer: 0 }), { tokens: 37 }),
      'logitAttrs: 37 is not a token; this model predicts the integers 0–36.',
    ],
    [
      'tokens for other rows',
      () => logitAttrs(decomposeResid(model, cache, { layer: 0 }), { tokens: [1, 2, 3] }),
      'logitAttrs: expected tokens for 2 rows of 5 positions, got 3 rows.',
    ],
    [
      'logits of other tokens',
      () => lossPerToken(logits, [1, 2, 3]),
      'lossPerToken: the logits are of 1 rows of 2 tokens, got 1 rows of 3.',
    ],
    [
      'a mode that does not exist',
      () => decomposeResid(model, cache, { mode: 'heads' as never }),
      'decomposeResid: expected mode to be all, attn or mlp, got heads.',
    ],
  ];
  test.each(wrong)('%s', async (_, decompose, message) => {
    await expect((async () => decompose())()).rejects.toThrow(message);
  });

  test('a stack that has been normalised, a cache of another model, neurons of a model without', async () => {
    const other = await Model.load(tinyModel(TINY_CONFIGS['hooked without norms or MLP'], 5), {
      device: await testDevice(),
    });
    expect(() => decomposeResid(other, cache, { layer: 0, inclEmbeds: true })).toThrow(
      'analysis: this cache belongs to another model. Give the model that it is a cache of.',
    );
    const run = await other.runWithCache([1, 2]);
    expect(() => stackNeuronResults(other, run.cache)).toThrow('stackNeuronResults: this model has no MLP.');
    await expect(getNeuronResults(other, run.cache, { layer: 0 })).rejects.toThrow(
      'getNeuronResults: this model has no MLP.',
    );
    other.destroy();
    const whole = await model.runWithCache([1, 2]);
    const normed = decomposeResid(model, whole.cache, { applyLn: true });
    expect(() => applyLnToStack(normed)).toThrow('applyLnToStack: this stack has been normalised already.');
    await expect(logitAttrs(normed, { tokens: 1 })).rejects.toThrow(
      'logitAttrs: this stack has been normalised already. Give it without applyLn.',
    );
    whole.cache.destroy();
    await expect(decomposeResid(model, cache, { layer: 0 }).read()).resolves.toBeDefined();
  });
});
