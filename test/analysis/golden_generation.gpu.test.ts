// Continuing a text as TransformerLens does with its key-value cache: recorded logits, and greedy tokens.
import { describe, expect, test } from 'vitest';
import { decodeFloat64, parseSafetensorsHeader } from '../../src/engine/safetensors.ts';
import { Model } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readFixture, sharedExists } from '../fixtures.ts';
import { GOLDEN_TOKENS } from '../models/goldens.ts';
import { readTensors } from '../tensors.ts';

/** Integers of a golden file, exact in float64. */
async function readIntegers(path: string, name: string): Promise<{ shape: readonly number[]; data: number[] }> {
  const bytes = await readFixture(path);
  const entry = parseSafetensorsHeader(bytes, bytes.length, path).entries.find((candidate) => candidate.name === name);
  if (!entry) throw new Error(`${path} has no ${name}`);
  return { shape: entry.shape, data: [...decodeFloat64(entry.dtype, bytes.subarray(entry.begin, entry.end))] };
}

describe.skipIf(!sharedExists).each(['gpt2', 'llama_gqa'])('%s', (name) => {
  const path = `../shared/goldens/${name}/golden.ops`;
  const tokens = GOLDEN_TOKENS[name];
  const load = async () => Model.load(fixtureUrl(`test/goldens/${name}`), { device: await testDevice() });

  test('logits of positions 5 to 8 behind a cache of the first five, one by one and all at once', async () => {
    const model = await load();
    const want = (await readTensors(`${path}.f64.safetensors`)).get('kv_incremental_5_8');
    const theirs = (await readTensors(`${path}.f32.safetensors`)).get('kv_incremental_5_8')?.data ?? new Float64Array();
    const truth = want?.data ?? new Float64Array();
    expect(want?.shape).toEqual([2, 4, 29]);
    const allowed = 3 * truth.reduce((most, v, i) => Math.max(most, Math.abs(v - theirs[i])), 0);
    expect(allowed).toBeGreaterThan(0);
    for (const chunks of [[1, 1, 1, 1], [4]]) {
      using cache = model.createKeyValueCache({ batch: 2 });
      await model.run(
        tokens.map((row) => row.slice(0, 5)),
        { keyValueCache: cache },
      );
      let first = 5;
      for (const count of chunks) {
        const { logits } = await model.run(
          tokens.map((row) => row.slice(first, first + count)),
          { keyValueCache: cache },
        );
        logits.data.forEach((got, i) => {
          const [row, pos, id] = [Math.floor(i / 29 / count), Math.floor(i / 29) % count, i % 29];
          const at = (row * 4 + first - 5 + pos) * 29 + id;
          expect(Math.abs(got - truth[at]), `row ${row}, position ${first + pos}`).toBeLessThanOrEqual(allowed);
        });
        first += count;
      }
    }
    model.destroy();
  });

  test('six greedy tokens of both rows', async () => {
    const model = await load();
    const { shape, data } = await readIntegers(`${path}.f64.safetensors`, 'generate_greedy6');
    expect(shape).toEqual([2, 15]);
    const rows = tokens.map((row) => [...row]);
    for await (const step of model.generate(tokens, { maxNewTokens: 6, stopTokens: [] })) {
      step.rows.forEach((row, b) => {
        if (row) rows[b].push(row.token);
      });
    }
    expect(rows.flat()).toEqual(data);
    model.destroy();
  });
});
