// Interventions and patching sweeps as TransformerLens computes them: recorded values of its operations.
import { describe, expect, test } from 'vitest';
import {
  activationPatching,
  add,
  type HookEntry,
  type Intervention,
  Model,
  meanAblate,
  type PatchKind,
  scale,
  zeroAblate,
} from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, sharedExists } from '../fixtures.ts';
import { GOLDEN_TOKENS } from '../models/goldens.ts';
import { type Float64Tensor, readTensors } from '../tensors.ts';

/** Clean tokens with (token + 7) mod 29 at position 3. */
const corrupt = (rows: number[][]) => rows.map((row) => row.map((id, pos) => (pos === 3 ? (id + 7) % 29 : id)));

const METRIC = { tokens: [4, 11] } as const;

interface Goldens {
  readonly f64: Map<string, Float64Tensor>;
  readonly f32: Map<string, Float64Tensor>;
}

/**
 * Fails unless `got` is at most three times as far from their float64 as their own float32 is.
 * @param rounding what their float64 file is off itself: patching results are float32 in both files
 */
function expectAsGood(goldens: Goldens, name: string, got: ArrayLike<number>, rounding = 0): void {
  const want = goldens.f64.get(name)?.data ?? new Float64Array();
  const theirs = goldens.f32.get(name)?.data ?? new Float64Array();
  const distance = (values: ArrayLike<number>) => Array.from(want, (v, i) => Math.abs(v - values[i]));
  const [ours, allowed] = [distance(got), 3 * Math.max(...distance(theirs))];
  expect(got.length, name).toBe(want.length);
  expect(Math.max(...ours), name).toBeLessThanOrEqual(allowed + rounding);
}

describe.skipIf(!sharedExists).each(['gpt2', 'llama_gqa'])('%s', (name) => {
  let prepared: Promise<{ model: Model; goldens: Goldens }> | undefined;
  const prepare = () => {
    prepared ??= (async () => {
      const path = `../shared/goldens/${name}/golden.ops`;
      const [f64, f32] = await Promise.all(['f64', 'f32'].map((type) => readTensors(`${path}.${type}.safetensors`)));
      const model = await Model.load(fixtureUrl(`test/goldens/${name}`), { device: await testDevice() });
      return { model, goldens: { f64, f32 } };
    })();
    return prepared;
  };
  const tokens = GOLDEN_TOKENS[name];
  const logits = async (model: Model, hooks: HookEntry[]) => (await model.run(tokens, { hooks })).logits.data;
  const rowsOf = (key: string, golden: Goldens) =>
    [...golden.f64.keys()].filter((other) => other.startsWith(`${key}/`));

  test('zero ablation', async () => {
    const { model, goldens } = await prepare();
    const names = rowsOf('ablate0', goldens);
    expect(names.length).toBeGreaterThan(0);
    for (const key of names) {
      const hook = `blocks.0.${key.slice('ablate0/'.length)}`;
      expectAsGood(goldens, key, await logits(model, [[hook, zeroAblate({ head: 1 })]]));
    }
  });

  const values: [string, (cache: Awaited<ReturnType<Model['runWithCache']>>['cache']) => Intervention][] = [
    ['add0.25', () => add(0.25)],
    ['posmean', (cache) => meanAblate(cache, {}, { over: ['pos'] })],
  ];
  test.each(values)('%s', async (operation, what) => {
    const { model, goldens } = await prepare();
    const { cache } = await model.runWithCache(tokens);
    const names = rowsOf(operation, goldens);
    expect(names.length).toBeGreaterThan(0);
    for (const key of names) {
      const hook = key.slice(operation.length + 1);
      expectAsGood(goldens, key, await logits(model, [[hook, what(cache)]]));
    }
    cache.destroy();
  });

  test('scores and patterns', async () => {
    const { model, goldens } = await prepare();
    expectAsGood(goldens, 'uniform_scores', await logits(model, [['blocks.1.attn.hook_attn_scores', scale(0)]]));
    const zero = await logits(model, [['blocks.1.attn.hook_pattern', zeroAblate({ head: 1 })]]);
    expectAsGood(goldens, 'zero_pattern_head1', zero);
  });

  test('activation patching', async () => {
    const { model, goldens } = await prepare();
    const { cache } = await model.runWithCache(tokens);
    const kinds = rowsOf('patch', goldens);
    expect(kinds.length).toBe(18);
    for (const key of kinds) {
      const kind = key.slice('patch/get_act_patch_'.length) as PatchKind;
      const { data, shape } = await activationPatching(model, {
        clean: cache,
        corrupted: corrupt(tokens),
        kind,
        metric: METRIC,
      });
      expect(shape).toEqual(goldens.f64.get(key)?.shape);
      // Theirs has zeros for key heads that there are not.
      const got = data.map((value) => (Number.isNaN(value) ? 0 : value));
      expectAsGood(goldens, key, got, 2 ** -24 * Math.max(...got.map(Math.abs)));
    }
    cache.destroy();
  });
});
