// The recorded digests of the embedded models: what every adapter has to give in reproducible mode, and what the emulation gives
// without one. They were printed by `hyaline trace --digest`.
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../src/engine/checkpoint.ts';
import { digestValues, emulateForward, Model, type ValueDigests } from '../../src/index.ts';
import { loadWeights, parseConfig } from '../architectures.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture } from '../fixtures.ts';

interface Recorded {
  readonly tokens: number[][];
  readonly total: string;
  readonly values: Readonly<Record<string, string>>;
}

const asRecorded = ({ values, total }: ValueDigests) => ({
  total,
  values: Object.fromEntries(values.map(({ name, sha256 }) => [name, sha256])),
});

/** The weights of a checkpoint that are not absent, without a GPU. */
async function weightsOf(path: string) {
  const checkpoint = await openCheckpoint(fixtureUrl(path), {});
  const config = parseConfig(checkpoint.config);
  const weights = new Map<string, Float32Array>();
  for await (const { name, data, absent } of loadWeights(config, checkpoint).weights()) {
    if (!absent) weights.set(name, data);
  }
  return { config, weights };
}

const MODELS = ['models/circuit-zoo', 'models/modular-addition'];

test.each(MODELS)('%s: this adapter gives the recorded digests', async (path) => {
  const { tokens, total, values } = await readJsonFixture<Recorded>(`${path}/digests.json`);
  const model = await Model.load(fixtureUrl(path), { device: await testDevice(), numerics: 'reproducible' });
  const { cache } = await model.runWithCache(tokens);
  expect(asRecorded(await digestValues(cache))).toEqual({ total, values });
  cache.destroy();
  model.destroy();
});

test.each(MODELS)('%s: float32 arithmetic on the CPU gives the recorded digests', async (path) => {
  const { tokens, total, values } = await readJsonFixture<Recorded>(`${path}/digests.json`);
  const { config, weights } = await weightsOf(path);
  expect(asRecorded(await digestValues([...emulateForward(config, weights, tokens).values()]))).toEqual({
    total,
    values,
  });
});
