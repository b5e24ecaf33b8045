// The fingerprint of the adapter under test: found once per device, with nothing left behind, and on SwiftShader, which
// is known, what it has to be.
import { expect, test } from 'vitest';
import { describeAdapter, requestDevice } from '../../src/engine/device.ts';
import { behaviourOf, type Inputs, type Outcomes, probe, type Random } from '../../src/engine/fingerprint/cases.ts';
import { ORDERS } from '../../src/engine/fingerprint/float32.ts';
import { adapterFingerprint, evaluateProbes } from '../../src/engine/fingerprint.ts';
import { GpuMemory } from '../../src/engine/memory.ts';
import { testDevice, withErrorScopes } from '../device.ts';
import { countGpuCalls } from '../gpu_calls.ts';

test('an adapter has a fingerprint, and a known one what is known of it', async () => {
  const device = await testDevice();
  const fingerprint = await withErrorScopes(device, () => adapterFingerprint(device));
  console.log(`fingerprint ${fingerprint.id}: ${fingerprint.summary}`);
  expect(JSON.parse(JSON.stringify(fingerprint))).toEqual(fingerprint);
  // What every kernel relies on, wherever it runs.
  expect(fingerprint).toMatchObject({ rounding: 'nearest even', nanByBits: true, split: true });
  if (describeAdapter(device).architecture !== 'swiftshader') return;
  expect(fingerprint).toMatchObject({
    multiplyAdd: 'two roundings',
    fma: 'two roundings',
    barrierFromUniform: true,
    barrierFromStorage: true,
    barrierOfBrackets: true,
    sums: 'in order',
    sumsOfProducts: 'in order',
    subnormalCopies: 'kept',
    subnormalInputs: 'flushed',
    subnormalSums: 'flushed',
    subnormalProducts: 'flushed',
    tanhOfLarge: 'NaN',
    builtinErrors: { sqrt: 0, divide: 0, inverseSqrt: 1 },
    subgroupSize: 4,
  });
  const { exp, log, tanhNearZero } = fingerprint.builtinErrors;
  expect(exp).toBeGreaterThan(4);
  expect(log).toBeGreaterThan(50);
  expect(tanhNearZero).toBeGreaterThan(100_000);
});

test('a device is asked once, and no buffer is left', async () => {
  const device = await requestDevice();
  const cold = await countGpuCalls(device, async () => void (await adapterFingerprint(device)));
  const dispatches = device.features.has('subgroups') ? 2 : 1;
  expect([cold.pipelines, cold.shaderModules, cold.liveBuffers]).toEqual([dispatches, dispatches, 0]);
  const first = await adapterFingerprint(device);
  const warm = await countGpuCalls(device, async () => {
    expect(await adapterFingerprint(device)).toBe(first);
  });
  expect([warm.created, warm.submits]).toEqual([0, 0]);
  expect(first).toEqual(await adapterFingerprint(await testDevice())); // another device of the same adapter
  device.destroy();
});

test('without the feature there is nothing about subgroups, and the rest is the same', async () => {
  const device = await requestDevice({ features: [] });
  const whole = await adapterFingerprint(await testDevice());
  const fingerprint = await adapterFingerprint(device);
  expect(fingerprint).toEqual({ ...whole, id: fingerprint.id, subgroupSize: null, subgroupAdd: null });
  expect(fingerprint.id === whole.id).toBe(whole.subgroupSize === null && whole.subgroupAdd === null);
  device.destroy();
});

// Control case: formulas that do add in another order are told from each other on the adapter itself.
test.each([
  ['in order', '((((((a + b) + c) + d) + e) + f) + g) + h'],
  ['pairwise', '((a + b) + (c + d)) + ((e + f) + (g + h))'],
  ['halves', '((a + e) + (c + g)) + ((b + f) + (d + h))'],
  ['reversed', 'a + (b + (c + (d + (e + (f + (g + h))))))'],
  ['other', '((a + b) + c) + (d + ((e + f) + (g + h)))'],
])('a sum that is written %s is found to be that', async (order, expression) => {
  const memory = new GpuMemory(await testDevice());
  const outcomes: Outcomes = Object.fromEntries(
    Object.entries(ORDERS).map(([name, sum]) => [name, (x: Inputs) => [sum([...x])]]),
  );
  const draw = (random: Random) => Array.from({ length: 8 }, () => random.float(-8, 0));
  const written = probe(order, `return ${expression};`, { outcomes, draw });
  const read = await evaluateProbes(memory, [written]);
  expect(behaviourOf(written, read(written))).toBe(order);
  expect(memory.use.buffers).toBe(1); // the one through which results are read
  memory.destroyAll();
});

test('a lost device is an error, and is asked again', async () => {
  const device = await requestDevice();
  device.destroy();
  await device.lost;
  await expect(adapterFingerprint(device)).rejects.toThrow();
  await expect(adapterFingerprint(device)).rejects.toThrow();
});
