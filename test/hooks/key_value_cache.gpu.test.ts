import { describe, expect, test } from 'vitest';
import { add, type HookEntry, Model, set, type Tensor, zeroAblate } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { inChromeEvery } from '../sample.ts';
import { firstDifference } from '../tensors.ts';

const CONFIGS = [
  'gpt2',
  'llama',
  'hooked RMSPre, partial rotary, gated with b_in',
  'wide: more than one block in every sum',
];

/** The part of a value that belongs to positions [from, to) of one row, along pos or query_pos; and to the first `keys` keys. */
function cut(
  { data, shape, axes }: Tensor,
  row: number,
  { from, to, keys = to }: { from: number; to: number; keys?: number },
): number[] {
  const out: number[] = [];
  const walk = (axis: number, offset: number) => {
    if (axis === shape.length) {
      out.push(data[offset]);
      return;
    }
    const name = axes[axis];
    const isPosition = name === 'pos' || name === 'query_pos';
    const [first, last] =
      name === 'batch' ? [row, row + 1] : isPosition ? [from, to] : name === 'key_pos' ? [0, keys] : [0, shape[axis]];
    const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    for (let i = first; i < last; i++) walk(axis + 1, offset + i * stride);
  };
  walk(0, 0);
  return out;
}

const bits = (values: number[]) => Array.from(new Uint32Array(Float32Array.from(values).buffer));

async function readAll(
  model: Model,
  tokens: number[][],
  options: Parameters<Model['runWithCache']>[1],
): Promise<Map<string, Tensor>> {
  const { cache } = await model.runWithCache(tokens, options);
  const values = await Promise.all(cache.names.map((name) => cache.read(name)));
  cache.destroy();
  return new Map(values.map((value) => [value.name, value]));
}

describe.each(inChromeEvery(2, CONFIGS))('%s', (config) => {
  const checkpoint = tinyModel(TINY_CONFIGS[config], 21);
  const load = async () => Model.load(checkpoint, { device: await testDevice() });
  const length = Math.min(checkpoint.parsed.nCtx, 67);

  test.each([
    ['token by token', Array(length).fill(1)],
    ['whole', [length]],
    ['in chunks of 1, 3 and the rest', [1, 3, length - 4]],
    ['all but one, then one', [length - 1, 1]],
  ])('a text run %s has the bits of one pass, in every value', async (_, chunks) => {
    const model = await load();
    const tokens = randomTokens(model.config, 2, length, 22);
    const whole = await readAll(model, tokens, {});
    const cache = model.createKeyValueCache({ batch: 2 });
    let first = 0;
    for (const count of chunks) {
      const part = await readAll(
        model,
        tokens.map((row) => row.slice(first, first + count)),
        { keyValueCache: cache },
      );
      // Every value for short texts; for long ones those at the end, which depend on all others.
      const names =
        length > 20 ? ['logits', `blocks.${model.config.nLayers - 1}.attn.hook_pattern`] : [...whole.keys()];
      for (const name of names) {
        for (const row of [0, 1]) {
          const keys = first + count;
          const got = bits(cut(part.get(name) as Tensor, row, { from: 0, to: count, keys }));
          const want = bits(cut(whole.get(name) as Tensor, row, { from: first, to: keys, keys }));
          expect(got, `${name}, row ${row}, from ${first}`).toEqual(want);
        }
      }
      first += count;
    }
    expect(cache.lengths).toEqual([length, length]);
    cache.destroy();
    model.destroy();
  });

  test('a fork goes its own way, and a cut cache forgets', async () => {
    const model = await load();
    const [row] = randomTokens(model.config, 1, Math.min(length, 8), 23);
    const cache = model.createKeyValueCache();
    await model.run(row.slice(0, 4), { keyValueCache: cache });
    const fork = cache.fork();
    const one = (await model.run(row.slice(4), { keyValueCache: cache })).logits;
    const other = (await model.run([row[0]], { keyValueCache: fork })).logits;
    expect(fork.lengths).toEqual([5]);
    cache.truncate(4);
    expect(firstDifference((await model.run(row.slice(4), { keyValueCache: cache })).logits.data, one.data)).toBe(-1);
    fork.truncate(4);
    expect(firstDifference((await model.run([row[0]], { keyValueCache: fork })).logits.data, other.data)).toBe(-1);
    const held = model.memory.buffers;
    fork.destroy();
    expect(model.memory.buffers).toBe(held - 2 * model.config.nLayers);
    await expect(model.run([1], { keyValueCache: fork })).rejects.toThrow('key-value cache: it has been destroyed');
    cache.destroy();
    model.destroy();
  });

  test('interventions count positions from the start of the text: an edited text in pieces has the bits of the whole', async () => {
    const model = await load();
    const count = Math.min(length, 8);
    const tokens = randomTokens(model.config, 2, count, 24);
    const { dModel } = model.config;
    const vector = Array.from({ length: dModel }, (_, i) => Math.sin(i));
    const hooks: HookEntry[] = [
      ['blocks.0.hook_resid_post', add(vector, { scale: 0.5, pos: [2, 5] })],
      ['blocks.0.attn.hook_v', zeroAblate({ pos: 1, head: 0 })],
      ['blocks.0.attn.hook_pattern', set(0.25, { query: { from: 3 }, key: 0, head: -1 })],
      ['blocks.1.hook_resid_pre', add(0.125, { pos: { from: 4 }, batch: 1 })],
    ];
    const whole = (await model.run(tokens, { hooks })).logits;
    for (const chunks of [
      [1, 1, 1, 1, 1, 1, 1, 1],
      [3, 2, 3],
      [5, 3],
    ]) {
      const cache = model.createKeyValueCache({ batch: 2 });
      let first = 0;
      for (const size of chunks) {
        const { logits } = await model.run(
          tokens.map((row) => row.slice(first, first + size)),
          { hooks, keyValueCache: cache },
        );
        for (const row of [0, 1]) {
          expect(bits(cut(logits, row, { from: 0, to: size })), `from ${first}`).toEqual(
            bits(cut(whole, row, { from: first, to: first + size })),
          );
        }
        first += size;
      }
      cache.destroy();
    }
    model.destroy();
  });
});

test('what does not fit a key-value cache is refused before any GPU call', async () => {
  const model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 1), { device: await testDevice() });
  const cache = model.createKeyValueCache({ capacity: 6 });
  await model.run([1, 2, 3, 4], { keyValueCache: cache });
  await expect(model.run([1, 2, 3], { keyValueCache: cache })).rejects.toThrow(
    'tokens: 4 positions in the key-value cache and 3 new ones are more than its capacity of 6.',
  );
  const large = model.createKeyValueCache({ capacity: 100 });
  await model.run([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], { keyValueCache: large });
  await expect(model.run([1, 2], { keyValueCache: large })).rejects.toThrow(
    "tokens: 10 positions in the key-value cache and 2 new ones are longer than this model's context of 11 (n_ctx).",
  );
  await expect(model.run([[1], [2]], { keyValueCache: cache })).rejects.toThrow(
    'tokens: 2 rows do not fit a key-value cache of 1.',
  );
  const both = [model.run([1], { keyValueCache: cache }), model.run([2], { keyValueCache: cache })];
  await expect(Promise.all(both)).rejects.toThrow('key-value cache: a run is using it.');
  await Promise.allSettled(both);
  expect(cache.lengths).toEqual([5]);
  expect(() => cache.truncate(9)).toThrow('key-value cache: row 0 has 5 positions; it cannot be cut to 9.');
  expect(() => model.createKeyValueCache({ capacity: 0 })).toThrow('expected whole numbers');
  model.destroy();
});
