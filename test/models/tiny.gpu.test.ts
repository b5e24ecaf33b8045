import { describe, expect, test } from 'vitest';
import { Model } from '../../src/index.ts';
import { referenceForward } from '../../src/numerics/reference.ts';
import { testDevice } from '../device.ts';
import { compare } from '../kernels/compare.ts';
import { DEFAULT_IN_CHROME, inChromeEvery } from '../sample.ts';
import { firstDifference } from '../tensors.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from './tiny.ts';

/** Rows and positions of the runs; the last position count is n_ctx. */
const shapes = (nCtx: number) => [
  [1, 1],
  [3, Math.min(5, nCtx)],
  [1, nCtx],
];

const finite = (data: ArrayLike<number>) => Array.from(data, (v) => (v === Number.NEGATIVE_INFINITY ? 0 : v));

/** All values of a run on the CPU, by name. */
async function readAll(model: Model, tokens: number[][]): Promise<Map<string, Float32Array>> {
  const { cache } = await model.runWithCache(tokens);
  const values = new Map<string, Float32Array>();
  for (const name of cache.names) values.set(name, (await cache.read(name)).data);
  cache.destroy();
  return values;
}

describe.each(inChromeEvery(8, Object.entries(TINY_CONFIGS)))('%s', (_, raw) => {
  const checkpoint = tinyModel(raw, 1);
  const load = async () => Model.load(checkpoint, { device: await testDevice(), tilings: DEFAULT_IN_CHROME });

  test.each(shapes(checkpoint.parsed.nCtx))(
    '%i × %i tokens: every value is what its operation makes of the values before it',
    async (batch, pos) => {
      const model = await load();
      const tokens = randomTokens(model.config, batch, pos, 2);
      const values = await readAll(model, tokens);
      // Given the engine's own inputs, the reference's bound is that of one operation: tight, and no error can hide behind another.
      const given = new Map([...values].map(([name, data]) => [name, data]));
      const local = referenceForward(model.config, await canonicalWeights(checkpoint), tokens, given);
      expect([...values.keys()]).toEqual([...local.keys()]);
      for (const [name, want] of local) {
        const got = values.get(name) ?? new Float32Array();
        const axes = want.axes.map((axis, i) => ({ name: axis, size: want.shape[i] }));
        expect(
          want.data
            .map((v, i) => Number(v === Number.NEGATIVE_INFINITY) - Number(got[i] === Number.NEGATIVE_INFINITY))
            .every((d) => d === 0),
          name,
        ).toBe(true);
        compare({ what: name, axes, got: finite(got), want: finite(want.data), bound: want.bound });
      }
      // And end to end, with the errors of all operations before added up. Behind a norm such worst cases are larger than the values
      // themselves after a block or two, and say nothing: models without norms only, where every bound is finite.
      if (model.config.normalizationType === null) {
        for (const [name, want] of referenceForward(model.config, await canonicalWeights(checkpoint), tokens)) {
          const axes = want.axes.map((axis, i) => ({ name: axis, size: want.shape[i] }));
          const got = finite(values.get(name) ?? []);
          compare({ what: `${name}, end to end`, axes, got, want: finite(want.data), bound: want.bound });
        }
      }
      model.destroy();
    },
  );

  test('capturing nothing, one value or everything gives the same bits, and so does running twice', async () => {
    const model = await load();
    const tokens = randomTokens(model.config, 2, Math.min(7, model.config.nCtx), 3);
    const all = await readAll(model, tokens);
    const plain = await model.run(tokens);
    expect(firstDifference(plain.logits.data, all.get('logits') ?? new Float32Array())).toBe(-1);
    expect(firstDifference((await model.run(tokens)).logits.data, plain.logits.data)).toBe(-1);
    for (const { name, onDemand } of model.hooks) {
      if (onDemand) continue;
      const { logits, cache } = await model.runWithCache(tokens, { names: name });
      const { data } = await cache.read(name);
      expect(firstDifference(data, all.get(name) ?? new Float32Array()), name).toBe(-1);
      expect(firstDifference(logits.data, plain.logits.data), `logits with ${name}`).toBe(-1);
      cache.destroy();
    }
    model.destroy();
  });

  test('a row has the same bits alone and in any batch, and a position whatever follows it', async () => {
    const model = await load();
    const pos = Math.min(9, model.config.nCtx);
    const tokens = randomTokens(model.config, 4, pos, 4);
    const { logits } = await model.run(tokens);
    const size = pos * model.config.dVocabOut;
    for (const [row, ids] of tokens.entries()) {
      const alone = (await model.run(ids)).logits.data;
      expect(firstDifference(alone, logits.data.subarray(row * size, (row + 1) * size)), `row ${row}`).toBe(-1);
    }
    for (let length = 1; length < pos; length++) {
      const prefix = (await model.run(tokens[0].slice(0, length))).logits.data;
      expect(firstDifference(prefix, logits.data.subarray(0, prefix.length)), `${length} tokens`).toBe(-1);
    }
    model.destroy();
  });
});
