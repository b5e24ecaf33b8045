// Tuning: it measures, in Chrome as in Node, and changes which tilings later runs have and none of their bits.

import { expect, test } from 'vitest';
import { Model } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

/** Too short a context for the classes of many rows, whose pipelines take a software adapter seconds. */
const GPT2 = { ...TINY_CONFIGS.gpt2, n_positions: 4 };

async function logitsOf(model: Model) {
  const { logits } = await model.run(randomTokens(model.config, 1, 4, 5));
  return new Uint32Array(logits.data.buffer);
}

test('tuning measures each product once, and changes what later runs take and none of their bits', async () => {
  const device = await testDevice();
  const model = await Model.load(tinyModel(GPT2, 7), { device, tilings: 'default' });
  const before = await logitsOf(model);
  const bytes = model.memory.bytes;
  const said: string[] = [];
  const tuned = await model.tune({ remember: false, onProgress: ({ product }) => said.push(product) });
  expect(tuned.map(({ name }) => name)).toEqual(said);
  expect(new Set(said).size).toBe(said.length);
  expect(said).toContain('unembed 12x37, 2 to 5 rows, fast');
  for (const { best, medianMs } of tuned) {
    expect(Object.keys(medianMs).length).toBeGreaterThan(1);
    expect(Object.keys(medianMs)).toContain(best);
    for (const ms of Object.values(medianMs)) expect(ms).toBeGreaterThan(0);
  }
  const { steps } = model.plan({ pos: 4 });
  const inPlan = steps.flatMap((step) => (step.kind === 'dispatch' && step.tiling?.origin === 'tuned' ? [step] : []));
  const unembed = inPlan.find(({ kernel }) => kernel === 'unembed');
  expect(unembed?.tiling?.tiling).toBe(tuned.find(({ name }) => name.startsWith('unembed'))?.best);
  expect(model.memory.bytes).toBeLessThanOrEqual(bytes);
  expect(await logitsOf(model)).toEqual(before);
  model.destroy();
});

test('tuning ends when its signal says so', async () => {
  const model = await Model.load(tinyModel(GPT2, 7), { device: await testDevice(), tilings: 'default' });
  const controller = new AbortController();
  const tuning = model.tune({ signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) });
  await expect(tuning).rejects.toThrow('enough');
  model.destroy();
});
