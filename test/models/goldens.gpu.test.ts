import { describe, expect, test } from 'vitest';
import { Model } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture, sharedExists } from '../fixtures.ts';
import { readTensors } from '../tensors.ts';
import { errorSummary, GOLDEN_TOKENS } from './goldens.ts';

interface TorchErrors {
  /** [max abs error, median ULP, max ULP, max |value|, dtype] of PyTorch's float32 against its float64. */
  f32_vs_f64: Record<string, [number, number, number, number, string]>;
}

describe.each(Object.keys(GOLDEN_TOKENS))('%s as TransformerLens runs it', (name) => {
  const folder = `test/goldens/${name}`;
  const load = async () => Model.load(fixtureUrl(folder), { device: await testDevice() });

  test('has the same hooks in the same order with the same shapes, and names of ours marked as such', async () => {
    const model = await load();
    const [[batch, pos]] = [[GOLDEN_TOKENS[name].length, GOLDEN_TOKENS[name][0].length]];
    const sizes = { batch, pos, keys: pos, outputs: pos };
    const ours = model.hooks
      .filter((hook) => !hook.ours && !hook.onDemand)
      .map((hook) => [hook.name, hook.shape.map((size) => (typeof size === 'number' ? size : sizes[size]))]);
    const theirs = Object.entries(await readJsonFixture<Record<string, number[]>>(`${folder}/hooks.json`));
    expect(ours).toEqual(theirs.filter(([hook]) => hook !== 'loss'));
    model.destroy();
  });

  test.each(['fast', 'reproducible'] as const)(
    '%s: is as close to float64 as PyTorch is, in every value',
    async (numerics) => {
      const model = await load();
      const { cache } = await model.runWithCache(GOLDEN_TOKENS[name], { numerics });
      const golden = await readTensors(`${folder}/golden.f64.safetensors`);
      const { f32_vs_f64: torch } = await readJsonFixture<TorchErrors>(`${folder}/torch-f32-error.json`);
      const failures: string[] = [];
      let compared = 0;
      for (const hook of model.hooks.filter(({ ours, onDemand }) => !ours && !onDemand)) {
        const want = golden.get(hook.name);
        const { data, shape } = await cache.read(hook.name);
        expect(shape).toEqual(want?.shape);
        const { maxAbs, medianUlp } = errorSummary(data, want?.data ?? new Float64Array());
        const [theirMaxAbs, theirMedianUlp] = torch[hook.name];
        const passes = maxAbs <= 2 * theirMaxAbs && medianUlp <= theirMedianUlp + 0.5;
        if (!passes) failures.push(`${hook.name}: ${maxAbs} | ${theirMaxAbs}, ${medianUlp} | ${theirMedianUlp} ULP`);
        compared++;
      }
      expect(failures).toEqual([]);
      expect(compared).toBe(Object.keys(torch).filter((hook) => hook !== 'loss').length);
      cache.destroy();
      model.destroy();
    },
  );
});

describe.skipIf(!sharedExists).each(Object.keys(GOLDEN_TOKENS))('%s with an input for each head', (name) => {
  test('has the inputs of queries, keys and values that TransformerLens has, before ln1', async () => {
    const model = await Model.load(fixtureUrl(`test/goldens/${name}`), { device: await testDevice() });
    const golden = await readTensors(`../shared/goldens/${name}/golden.split.f64.safetensors`);
    const { cache } = await model.runWithCache(GOLDEN_TOKENS[name], { names: 'blocks.*.hook_?_input' });
    expect(cache.names.length).toBe(6);
    const single = await readTensors(`../shared/goldens/${name}/golden.split.f32.safetensors`);
    for (const hook of cache.names) {
      const { data, shape } = await cache.read(hook);
      expect(shape).toEqual(golden.get(hook)?.shape);
      const want = golden.get(hook)?.data ?? new Float64Array();
      const [ours, theirs] = [data, Float32Array.from(single.get(hook)?.data ?? [])].map((got) =>
        errorSummary(got, want),
      );
      expect(ours.maxAbs, hook).toBeLessThanOrEqual(2 * theirs.maxAbs);
      expect(ours.medianUlp, hook).toBeLessThanOrEqual(theirs.medianUlp + 0.5);
    }
    model.destroy();
  });
});
