// Models whose matrices are stored in less than float32: the same bits as a float32 model that is given the numbers which are stored.
import { describe, expect, test } from 'vitest';
import { type WeightSpec, weightSpecs } from '../../src/engine/config.ts';
import { isMatrix, packWeight, storedBytes } from '../../src/engine/weights.ts';
import {
  decomposeResid,
  logitAttrs,
  Model,
  type ModelInMemory,
  type Numerics,
  precisionStudy,
  scale,
  stackNeuronResults,
  topTokens,
  type WeightFormat,
} from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture } from '../fixtures.ts';
import { firstDifference } from '../tensors.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from './tiny.ts';

type Options = { readonly weights?: WeightFormat; readonly maxBindingSizeBytes?: number };

const load = async (from: ModelInMemory | string, options: Options = {}) =>
  Model.load(from, { device: await testDevice(), ...options });

/** A float32 model with the weights that another one computes with. */
async function twinOf(model: Model, from: ModelInMemory | string): Promise<Model> {
  const twin = await load(from);
  for (const spec of weightSpecs(model.config)) {
    const weight = twin.runtime.weight(spec.name);
    if (!weight) continue;
    const { data } = await model.weight(spec.name);
    twin.runtime.writeWeight(spec.name, packWeight(spec, data as Float32Array<ArrayBuffer>, weight.layout));
  }
  return twin;
}

/** Every value of a run, those on demand too where they exist, and the logits where one head has an input of its own. */
async function allValues(model: Model, tokens: number[][], numerics: Numerics): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  const { cache } = await model.runWithCache(tokens, { numerics });
  for (const name of cache.names) values.set(name, (await cache.read(name)).data);
  cache.destroy();
  const split = await model.run(tokens, { numerics, hooks: [['blocks.0.hook_q_input', scale(2, { head: 0 })]] });
  return values.set('logits of a written head input', split.logits.data);
}

function expectSameBits(got: ReadonlyMap<string, Float32Array>, want: ReadonlyMap<string, Float32Array>) {
  expect([...got.keys()]).toEqual([...want.keys()]);
  for (const [name, data] of want) expect(firstDifference(got.get(name)!, data), name).toBe(-1);
}

/** Some blocks of every matrix so small that scales are subnormal, and some zero. */
function withSmallWeights(model: ModelInMemory): ModelInMemory {
  const sizes = [1, 1, 2 ** -18, 1, 0];
  const tensors = Object.entries(model.tensors).map(([name, { shape, data }]) => {
    const isMatrix = shape.length > 1;
    const shrunk = (data as Float32Array).map((x, i) => (isMatrix ? x * sizes[Math.floor(i / 40) % 5] + 0 : x));
    return [name, { shape, data: shrunk }];
  });
  return { config: model.config, tensors: Object.fromEntries(tensors) };
}

/**
 * A context too short for tiles of many rows, which take long to compile and read matrices in the same way; and a vocabulary large
 * enough to be cut into pieces where nothing else needs to be.
 */
const tiny = (name: string) => {
  const short = { n_positions: 5, max_position_embeddings: 5, n_ctx: 5, vocab_size: 150, d_vocab: 150 };
  const raw = TINY_CONFIGS[name];
  return { ...raw, ...Object.fromEntries(Object.entries(short).filter(([key]) => key in raw)) };
};

/** Bytes per binding that cut the vocabulary's matrices of these models, and no other. */
const LIMITS = { f16: 3000, q8: 2000, q4: 1100 } as const;

/** Formats and numerics, rows and positions of the run. */
const FORMATS = [
  ['q8', 'fast', [1, 3]],
  ['q8', 'reproducible', [2, 2]],
  ['f16', 'reproducible', [1, 3]],
  ['q4', 'reproducible', [1, 3]],
  ['q4', 'fast', [2, 2]],
  ['f16', 'fast', [1, 3]],
] as const;

describe.each(['gpt2', 'llama untied, with biases, one key head', 'hooked RMSPre, partial rotary, gated with b_in'])(
  '%s',
  (name) => {
    const checkpoint = withSmallWeights(tinyModel(tiny(name), 61));

    test.each(FORMATS)(
      '%s, %s: every value has the bits of the float32 model with these weights',
      async (weights, numerics, at) => {
        using model = await load(checkpoint, { weights, maxBindingSizeBytes: LIMITS[weights] });
        using twin = await twinOf(model, checkpoint); // in one piece
        expect(model.runtime.weight('embed.W_E')?.buffers.length).toBeGreaterThan(1);
        expect([model.weightFormat, twin.weightFormat]).toEqual([weights, 'f32']);
        const tokens = randomTokens(model.config, at[0], at[1], 7);
        expectSameBits(await allValues(model, tokens, numerics), await allValues(twin, tokens, numerics));
      },
    );
  },
);

describe('what is stored', () => {
  const checkpoint = tinyModel(tiny('gpt2'), 62);

  test('every matrix is near the original, every other weight is the original', async () => {
    using original = await load(checkpoint);
    using model = await load(checkpoint, { weights: 'q8', maxBindingSizeBytes: 1000 });
    expect(model.runtime.weight('embed.W_E')!.buffers.length).toBeGreaterThan(1);
    for (const spec of weightSpecs(model.config)) {
      const [got, want] = [await model.weight(spec.name), await original.weight(spec.name)];
      const difference = got.data.map((x, i) => Math.abs(x - want.data[i]));
      if (!isMatrix(spec)) expect(Math.max(...difference), spec.name).toBe(0);
      else {
        // Half a step of the largest block: largest/127/2, and 2⁻¹⁰ for the scale's rounding.
        const largest = Math.max(...want.data.map(Math.abs));
        expect(Math.max(...difference), spec.name).toBeLessThanOrEqual((largest / 254) * (1 + 2 ** -10));
        expect(Math.max(...difference), spec.name).toBeGreaterThan(0);
      }
    }
    expect(isMatrix({ name: 'pos_embed.W_pos' } as WeightSpec)).toBe(false);
  });

  test('memory is what the words take, and at most a third in q8 and a fifth in q4 of a larger model', async () => {
    const wide = tinyModel({ ...TINY_CONFIGS.gpt2, vocab_size: 600, n_embd: 96, n_layer: 1, n_positions: 4 }, 63);
    const bytes: Partial<Record<WeightFormat, number>> = {};
    for (const weights of ['f32', 'f16', 'q8', 'q4'] as const) {
      using model = await load(wide, { weights });
      // Projections of queries, keys and values in float32 share a buffer, and so do their biases.
      const stored = new Map<string, number>();
      for (const { name } of weightSpecs(model.config)) {
        const layout = model.runtime.weight(name)?.layout;
        if (layout) stored.set(layout.shared?.buffer ?? name, layout.shared?.size ?? Math.max(16, storedBytes(layout)));
      }
      const sum = [...stored.values()].reduce((total, size) => total + size, 0);
      expect(model.memory).toEqual({ buffers: stored.size, bytes: sum });
      bytes[weights] = sum;
    }
    const { f32 = 0, f16 = 0, q8 = 0, q4 = 0 } = bytes;
    // 16, 8.5 and 4.5 bits of 32, and a few vectors and positions in float32.
    expect([f16 / f32 < 0.52, q8 / f32 < 0.29, q4 / f32 < 0.17]).toEqual([true, true, true]);
    expect([f16 / f32 > 0.5, q8 / f32 > 8.5 / 32, q4 / f32 > 4.5 / 32]).toEqual([true, true, true]);
  });

  test('numbers that a format has none for are refused by name', async () => {
    const spoilt = (value: number) => {
      const name = 'transformer.h.1.mlp.c_fc.weight';
      const tensors = { ...checkpoint.tensors };
      const found = Object.keys(tensors).find((tensor) => tensor.endsWith('h.1.mlp.c_fc.weight')) ?? name;
      const data = Float32Array.from(tensors[found].data);
      data[5] = value;
      return { config: checkpoint.config, tensors: { ...tensors, [found]: { ...tensors[found], data } } };
    };
    const refused = (format: string, largest: number) =>
      `weights: blocks.1.mlp.W_in holds 1 values that are NaN, infinite or beyond ${largest}, which ${format} has no numbers for. ` +
      "Load the model with weights 'f32'.";
    await expect(load(spoilt(Number.NaN), { weights: 'q8' })).rejects.toThrow(refused('q8', 127 * 65504));
    await expect(load(spoilt(Number.NEGATIVE_INFINITY), { weights: 'q4' })).rejects.toThrow(refused('q4', 7 * 65504));
    await expect(load(spoilt(65505), { weights: 'f16' })).rejects.toThrow(refused('f16', 65504));
    await expect(load(checkpoint, { weights: 'q5' as 'q4' })).rejects.toThrow(
      'weights: expected a format (f32, f16, q8, q4), got "q5".',
    );
  });
});

describe('analyses of a model in q8', () => {
  const checkpoint = tinyModel(tiny('llama untied, with biases, one key head'), 64);

  test('attributions and neurons have the bits of the float32 model with these weights', async () => {
    using model = await load(checkpoint, { weights: 'q8', maxBindingSizeBytes: LIMITS.q8 });
    using twin = await twinOf(model, checkpoint);
    const results: Float32Array[][] = [];
    for (const each of [model, twin]) {
      const { cache } = await each.runWithCache([[1, 2, 3]]);
      const attributions = await logitAttrs(decomposeResid(each, cache), { tokens: 149, incorrectTokens: 3 });
      const neurons = stackNeuronResults(each, cache, { pos: -1 });
      results.push([attributions.data, (await neurons.read()).data, (await logitAttrs(neurons, { tokens: 5 })).data]);
      cache.destroy();
    }
    results[1].forEach((want, i) => {
      expect(firstDifference(results[0][i], want)).toBe(-1);
    });
  });

  test('rounding stored matrices is refused, rounding the rest is not', async () => {
    using model = await load(checkpoint, { weights: 'q8' });
    const refused =
      "weights: blocks.0.attn.W_Q is stored as q8, so it cannot be rounded to bf16. Load the model with weights 'f32'.";
    await expect(model.roundWeights('blocks.*.attn.W_Q', 'bf16')).rejects.toThrow(refused);
    const study = precisionStudy(model, [[1, 2]], [{ name: 'bf16', weights: [['blocks.*.attn.W_Q', 'bf16']] }]);
    await expect(study).rejects.toThrow(refused);
    using rounded = await model.roundWeights('*.ln*', 'bf16');
    expect(rounded.weights.length).toBe(4);
  });
});

test.each([
  ['q8', 'fast'],
  ['q4', 'reproducible'],
] as const)(
  'circuit-zoo in %s, %s, has the bits of its twin, and in q8 its recorded predictions',
  async (weights, numerics) => {
    const from = fixtureUrl('models/circuit-zoo');
    const { prompts } = await readJsonFixture<{ prompts: { ids: number[]; top5: { id: number }[] }[] }>(
      'models/circuit-zoo/golden.json',
    );
    using model = await load(from, { weights });
    using twin = await twinOf(model, from);
    const { ids } = prompts[0];
    expectSameBits(await allValues(model, [ids], numerics), await allValues(twin, [ids], numerics));
    if (weights !== 'q8') return;
    for (const { ids, top5 } of prompts) {
      const { logits } = await model.run(ids, { numerics });
      expect(topTokens(model, logits, 1)[0].id).toBe(top5[0].id);
    }
  },
);
