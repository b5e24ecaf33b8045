// The digest of a cache: the same as that of its values once they are read, run after run.
import { expect, test } from 'vitest';
import { add, digestValues, Model, type Tensor } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

test('a run has the digests of its values as read, the same run the same ones, and an edit shows where it is', async () => {
  const model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 1), { device: await testDevice() });
  const tokens = [[1, 2, 3]];
  const { cache } = await model.runWithCache(tokens);
  const digests = await digestValues(cache);
  expect(digests.values.map(({ name }) => name)).toEqual(cache.names);
  const tensors: Tensor[] = [];
  for (const name of cache.names.toReversed()) tensors.push(await cache.read(name));
  expect(await digestValues(tensors)).toEqual(digests);
  const again = await model.runWithCache(tokens);
  expect(await digestValues(again.cache)).toEqual(digests);

  const edited = await model.runWithCache(tokens, { hooks: [['blocks.1.attn.hook_z', add(2 ** -10, { pos: -1 })]] });
  const changed = (await digestValues(edited.cache)).values.filter(
    ({ sha256 }, i) => sha256 !== digests.values[i].sha256,
  );
  expect(changed[0].name).toBe('blocks.1.attn.hook_z');
  expect(changed.at(-1)?.name).toBe('logits');
  model.destroy();
});
