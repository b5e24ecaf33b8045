import { expect, test } from 'vitest';
import { Model } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

test("weights below 2⁻¹²⁶ load as 0, in both modes, with a warning that counts them; the caller's numbers stay", async () => {
  const checkpoint = tinyModel(TINY_CONFIGS.hooked_transformer, 3);
  const name = 'blocks.0.mlp.b_in';
  const data = checkpoint.tensors[name].data as Float32Array;
  data.set([1e-40, -1e-45, 2 ** -126, 0], 0);
  const given = Float32Array.from(data);
  const model = await Model.load(checkpoint, { device: await testDevice() });
  expect(model.warnings).toEqual([`weights: ${name} holds 2 values below 2⁻¹²⁶; they count as 0`]);
  expect([...(await model.weight(name)).data.subarray(0, 4)]).toEqual([0, 0, 2 ** -126, 0]);
  expect(data).toEqual(given);
  model.destroy();
});
