// Weights rounded on the GPU: what the model is then, and that the original bits come back.
import { describe, expect, test } from 'vitest';
import { Model, type ModelInMemory, type NumberFormat, roundTo } from '../../src/index.ts';
import { NUMBER_FORMATS } from '../../src/kernels/formats.ts';
import { testDevice } from '../device.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { firstDifference } from '../tensors.ts';

const load = async (checkpoint: ModelInMemory, maxBindingSizeBytes?: number) =>
  Model.load(checkpoint, { device: await testDevice(), maxBindingSizeBytes });

/** As large as the largest weight that cannot be cut, and less than the vocabulary's matrices, which are. */
const PIECE_BYTES = 6144;
const VOCABULARY = 150;

const logitsOf = async (model: Model) => (await model.run(randomTokens(model.config, 2, 5, 3))).logits.data;

describe.each(['gpt2', 'llama untied, with biases, one key head'])('%s', (name) => {
  const checkpoint = tinyModel({ ...TINY_CONFIGS[name], vocab_size: VOCABULARY }, 51);

  test('with all weights in bf16 it is the model that is loaded with such weights, and restored it is the first one', async () => {
    const rounded = Object.entries(checkpoint.tensors).map(([tensor, { shape, data }]) => {
      return [tensor, { shape, data: Float32Array.from(data as Float32Array, (x) => roundTo('bf16', x)) }];
    });
    using model = await load(checkpoint, PIECE_BYTES);
    using other = await load({ config: checkpoint.config, tensors: Object.fromEntries(rounded) });
    expect(model.runtime.weight('embed.W_E')?.buffers.length).toBeGreaterThan(1);
    const before = await logitsOf(model);
    const want = await logitsOf(other);
    expect(firstDifference(before, want)).not.toBe(-1);
    const weights = await model.roundWeights('*', 'bf16');
    expect(firstDifference(await logitsOf(model), want)).toBe(-1);
    for (const weight of model.weightNames()) {
      const [a, b] = [await model.weight(weight), await other.weight(weight)];
      expect(firstDifference(a.data, b.data), weight).toBe(-1);
    }
    weights.restore();
    expect(firstDifference(await logitsOf(model), before)).toBe(-1);
  });

  test.each(NUMBER_FORMATS)(
    '%s: every weight is what its numbers are in the format, and comes back',
    async (format) => {
      using model = await load(checkpoint, PIECE_BYTES);
      const weights = await canonicalWeights(checkpoint);
      {
        using rounded = await model.roundWeights(['*.W_*', '*.ln*', '*.b_*'], format);
        const counts = new Map(rounded.weights.map((weight) => [weight.name, weight]));
        for (const weight of model.weightNames(['*.W_*', '*.ln*', '*.b_*'])) {
          const before = weights.get(weight) as Float32Array;
          const { data, shape } = await model.weight(weight);
          const want = inFormat(before, shape, format, weight);
          expect(firstDifference(data, want), weight).toBe(-1);
          const changed = before.filter((x, i) => x !== want[i]).length;
          // A bias that the checkpoint leaves out is zero, and not on the GPU.
          const isAbsent = model.runtime.weight(weight) === null;
          const report = isAbsent ? undefined : { name: weight, elements: data.length, changed, saturated: 0 };
          expect(counts.get(weight)).toEqual(report);
        }
      }
      for (const [weight, want] of weights) {
        expect(firstDifference((await model.weight(weight)).data, want), weight).toBe(-1);
      }
    },
  );
});

/** A weight in a format, with a scale for each output channel in int8, by loops over its axes. */
function inFormat(data: Float32Array, shape: readonly number[], format: NumberFormat, name: string): Float32Array {
  if (format !== 'int8') return data.map((x) => roundTo(format, x));
  const isPerHead = /W_[QKV]$/.test(name);
  const isPerRow = /W_(E|pos)$/.test(name);
  const isVector = !/W_/.test(name);
  const last = shape[shape.length - 1];
  const channels = new Map<string, number[]>();
  data.forEach((_, i) => {
    const [head, row, column] = [Math.floor(i / last / shape[1]), Math.floor(i / last), i % last];
    const key = isVector ? 'one' : isPerRow ? `row ${row}` : isPerHead ? `head ${head}, ${column}` : `column ${column}`;
    channels.set(key, [...(channels.get(key) ?? []), i]);
  });
  const out = new Float32Array(data.length);
  for (const indices of channels.values()) {
    const largest = Math.max(...indices.map((i) => Math.abs(data[i])));
    for (const i of indices) out[i] = roundTo('int8', data[i], largest);
  }
  return out;
}

describe('roundWeights', () => {
  const checkpoint = tinyModel(TINY_CONFIGS.gpt2, 52);

  test('takes names, globs, lists and predicates', async () => {
    using model = await load(checkpoint);
    const roundedNames = async (where: Parameters<Model['roundWeights']>[0]) => {
      using rounded = await model.roundWeights(where, 'tf32');
      return rounded.weights.map(({ name }) => name);
    };
    expect(await roundedNames('pos_embed.W_pos')).toEqual(['pos_embed.W_pos']);
    expect(await roundedNames('blocks.*.attn.W_K')).toEqual(['blocks.0.attn.W_K', 'blocks.1.attn.W_K']);
    expect(await roundedNames(['blocks.1.mlp.W_out', 'embed.*', 'embed.W_E'])).toEqual([
      'embed.W_E',
      'blocks.1.mlp.W_out',
    ]);
    expect(await roundedNames((name) => name.endsWith('ln_final.w'))).toEqual(['ln_final.w']);
    expect(model.weightNames('blocks.0.ln1.*')).toEqual(['blocks.0.ln1.w', 'blocks.0.ln1.b']);
  });

  test('a tied embedding is one matrix: both ends change', async () => {
    using model = await load(checkpoint);
    using _ = await model.roundWeights('embed.W_E', 'fp8_e4m3');
    const [embedding, unembedding] = [await model.weight('embed.W_E'), await model.weight('unembed.W_U')];
    expect(embedding.data.every((x) => roundTo('fp8_e4m3', x) === x)).toBe(true);
    expect(unembedding.data.every((x) => roundTo('fp8_e4m3', x) === x)).toBe(true);
  });

  test('what saturates is counted', async () => {
    const tensors = { ...checkpoint.tensors };
    const name = Object.keys(tensors).find((tensor) => tensor.endsWith('mlp.c_fc.weight')) as string;
    const data = Float32Array.from(tensors[name].data as Float32Array);
    data.set([1e5, -70000, 65505, 65504]);
    using model = await load({
      config: checkpoint.config,
      tensors: { ...tensors, [name]: { ...tensors[name], data } },
    });
    using rounded = await model.roundWeights('blocks.0.mlp.W_in', 'f16');
    expect(rounded.weights[0].saturated).toBe(3);
    expect(Array.from((await model.weight('blocks.0.mlp.W_in')).data.slice(0, 4))).toEqual([
      65504, -65504, 65504, 65504,
    ]);
  });

  test('inside one another: restored in order, or refused', async () => {
    using model = await load(checkpoint);
    const before = await logitsOf(model);
    const outer = await model.roundWeights('*.W_*', 'bf16');
    const inBf16 = await logitsOf(model);
    const inner = await model.roundWeights('blocks.0.attn.W_Q', 'fp8_e5m2');
    const elsewhere = await model.roundWeights('ln_final.w', 'fp8_e5m2');
    expect(() => outer.restore()).toThrow(
      'weights: blocks.0.attn.W_Q has been rounded to fp8_e5m2 since. Restore that first.',
    );
    inner.restore();
    inner.restore(); // nothing left to do
    outer.restore(); // shares nothing with what is still there
    elsewhere.restore();
    expect(firstDifference(await logitsOf(model), before)).toBe(-1);
    {
      using _outer = await model.roundWeights('*.W_*', 'bf16');
      expect(firstDifference(await logitsOf(model), inBf16)).toBe(-1);
      using _inner = await model.roundWeights('*', 'fp8_e4m3');
    }
    expect(firstDifference(await logitsOf(model), before)).toBe(-1);
  });

  test('an abort or a mistake leaves the model as it was', async () => {
    using model = await load(checkpoint);
    const before = await logitsOf(model);
    const controller = new AbortController();
    const rounding = model.roundWeights('*', 'fp8_e4m3', { signal: controller.signal });
    await expect(model.roundWeights('*', 'bf16')).rejects.toThrow('weights: they are being rounded already.');
    controller.abort(new Error('enough'));
    await expect(rounding).rejects.toThrow('enough');
    const mistakes: [Parameters<Model['roundWeights']>, string][] = [
      [['blocks.0.attn.W_q', 'bf16'], 'weights: no weight "blocks.0.attn.W_q". Did you mean "blocks.0.attn.W_Q"?'],
      [
        ['blocks.*.attn.w_O', 'bf16'],
        'weights: no weight matches "blocks.*.attn.w_O". Did you mean "blocks.0.attn.W_O"?',
      ],
      [['unembed.W_U', 'bf16'], 'it is the transpose of embed.W_E, which serves both ends.'],
      [[() => false, 'bf16'], 'weights: the predicate matched no weight, so nothing would be rounded.'],
      [['', 'bf16'], 'weights: expected a name or a glob, got an empty one.'],
      [
        [7 as unknown as string, 'bf16'],
        'weights: expected a name, a glob, a list of them or a predicate, got number.',
      ],
      [
        ['*', 'half' as 'f16'],
        'weights: expected a number format (f16, bf16, tf32, fp8_e4m3, fp8_e5m2, int8), got "half".',
      ],
    ];
    for (const [args, message] of mistakes) await expect(model.roundWeights(...args)).rejects.toThrow(message);
    expect(firstDifference(await logitsOf(model), before)).toBe(-1);
  });

  test('after the model is gone there is nothing to restore', async () => {
    const model = await load(checkpoint);
    const rounded = await model.roundWeights('*', 'bf16');
    model.destroy();
    expect(() => rounded.restore()).not.toThrow();
  });
});
