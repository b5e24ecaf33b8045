// Logits of the last position of each row, or none: what is computed, and that no bit depends on it.
import { describe, expect, test } from 'vitest';
import { add, Model, type Tensor } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const CONFIGS = ['gpt2', 'llama'];

const bitsOf = ({ data }: Pick<Tensor, 'data'>) =>
  Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length));

/** The bits of one position of every row. */
function positionBits({ data, shape }: Tensor, at: number): number[] {
  const [batch, pos, width] = shape;
  const rows = Array.from({ length: batch }, (_, row) =>
    data.slice((row * pos + at) * width, (row * pos + at + 1) * width),
  );
  return rows.flatMap((row) => bitsOf({ data: row }));
}

const steps = (model: Model, request: { pos: number; logits?: 'last' }) =>
  model.plan(request).steps.flatMap((step) => (step.kind === 'dispatch' ? [step] : []));

describe.each(CONFIGS)('%s', (name) => {
  const load = async () => Model.load(tinyModel(TINY_CONFIGS[name], 7), { device: await testDevice() });

  test('the last logits are those of all logits, whatever else is asked for', async () => {
    using model = await load();
    for (const [batch, pos] of [
      [1, 1],
      [3, 2],
      [2, 9],
    ]) {
      const tokens = randomTokens(model.config, batch, pos, pos);
      const { logits: all } = await model.run(tokens);
      const { logits: last } = await model.run(tokens, { logits: 'last' });
      expect(last.shape).toEqual([batch, 1, model.config.dVocabOut]);
      expect(bitsOf(last)).toEqual(positionBits(all, pos - 1));
      const captured = await model.run(tokens, { logits: 'last', capture: ['logits', 'blocks.0.attn.hook_pattern'] });
      expect(bitsOf(captured.logits)).toEqual(bitsOf(last));
      expect(bitsOf(await captured.cache.read('logits'))).toEqual(bitsOf(all));
      captured.cache.destroy();
      const edit = [['logits', add(1, { pos: -1 })]] as const;
      const edited = await model.run(tokens, { hooks: edit });
      const editedLast = await model.run(tokens, { hooks: edit, logits: 'last' });
      expect(bitsOf(editedLast.logits)).toEqual(positionBits(edited.logits, pos - 1));
      expect(bitsOf(editedLast.logits)).not.toEqual(bitsOf(last));
    }
  });

  test('the last logits take one row of the unembedding, and nothing else changes', async () => {
    using model = await load();
    const [all, last] = [steps(model, { pos: 40 }), steps(model, { pos: 40, logits: 'last' })];
    expect(last.map(({ label }) => label)).toEqual(all.map(({ label }) => label));
    const changed = last.filter(({ source }, i) => source !== all[i].source);
    expect(new Set(changed.map(({ kernel }) => kernel))).toEqual(new Set(['unembed']));
    expect(changed[0].product?.sizes.rows).toBe(1);
  });

  test('without logits a run fills its cache and its captures, and computes nothing behind them', async () => {
    using model = await load();
    const [tokens] = randomTokens(model.config, 1, 9, 3);
    const { logits: whole } = await model.run(tokens);
    using cache = model.createKeyValueCache();
    const first = await model.run(tokens.slice(0, 8), { keyValueCache: cache, logits: 'none' });
    expect(first).toEqual({ warnings: [] });
    const { logits } = await model.run(tokens.slice(8), { keyValueCache: cache });
    expect(bitsOf(logits)).toEqual(positionBits(whole, 8));

    const capture = ['blocks.0.hook_resid_post'];
    const usual = await model.run(tokens, { capture });
    const without = await model.run(tokens, { capture, logits: 'none' });
    expect(bitsOf(await without.cache.read(capture[0]))).toEqual(bitsOf(await usual.cache.read(capture[0])));
    expect(without.cache.frame.plan.steps.length).toBeLessThan(usual.cache.frame.plan.steps.length / 1.5);
    usual.cache.destroy();
    without.cache.destroy();

    const seen: number[] = [];
    const look = async ({ data }: { data: Float32Array }) => void seen.push(data.length);
    await model.run(tokens, { logits: 'none', hooks: [[capture[0], look]] });
    expect(seen).toEqual([9 * model.config.dModel]);
  });
});

test('logits that there are not are refused, and runs that would compute nothing', async () => {
  using model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 7), { device: await testDevice() });
  await expect(model.run([1, 2], { logits: 'first' as never })).rejects.toThrow(
    "run: logits is 'all', 'last' or 'none', got \"first\".",
  );
  await expect(model.run([1, 2], { logits: 'none' })).rejects.toThrow('nothing would be computed');
  await expect(model.run([1, 2], { logits: 'last', stopAtLayer: 1 } as never)).rejects.toThrow(
    'with stopAtLayer there are no logits',
  );
});
