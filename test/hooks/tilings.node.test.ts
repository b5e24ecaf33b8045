// Tilings of a whole model: whichever it has, every value has the same bits; and who chooses them. In Node alone: what differs in Chrome is
// in kernels/tilings.gpu.test.ts and tune.gpu.test.ts.

import fc from 'fast-check';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { nodeModule } from '../../src/engine/node.ts';
import { rememberTilings } from '../../src/engine/tiling_store.ts';
import { describeAdapter, Model, type Product, type TilingName, type TilingRequest } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const models: Model[] = [];
afterAll(() => {
  for (const model of models) model.destroy();
});

async function load(config: string, tilings?: TilingRequest): Promise<Model> {
  const model = await Model.load(tinyModel(TINY_CONFIGS[config], 7), { device: await testDevice(), tilings });
  models.push(model);
  return model;
}

/** Every value of a run, and the logits of one that keeps nothing else, as bits. */
async function valuesOf(model: Model, numerics: 'fast' | 'reproducible', length: number) {
  const tokens = randomTokens(model.config, 1, length, 5);
  const { logits } = await model.run(tokens, { numerics });
  const { cache } = await model.runWithCache(tokens, { numerics });
  try {
    const values = new Map([['logits of a run alone', new Uint32Array(logits.data.buffer)]]);
    for (const name of cache.names) values.set(name, new Uint32Array((await cache.read(name)).data.buffer));
    return values;
  } finally {
    cache.destroy();
  }
}

/** Those whose text is short: a pipeline of another one takes a software adapter seconds. All: test/kernels/tilings.gpu.test.ts. */
const DRAWN: readonly TilingName[] = [
  'register 4x4',
  'workgroup 16x64',
  'shared 1x64 by blocks',
  'shared 1x32 by segments',
];

/** A choice for each product by a number that is drawn. */
const chooseBy =
  (seed: number) =>
  ({ kernel, sizes }: Product): TilingName => {
    const words = `${kernel} ${sizes.depth} ${sizes.columns}`;
    const hash = [...words].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, seed);
    return DRAWN[hash % DRAWN.length];
  };

test.each(['gpt2', 'llama'])(
  '%s: whichever tilings are drawn, every value has the same bits, captured or fused',
  async (config) => {
    const draw = fc.record({ numerics: fc.constantFrom('fast' as const, 'reproducible' as const), seed: fc.nat() });
    const usual = await load(config, 'register 1x4');
    await fc.assert(
      fc.asyncProperty(draw, async ({ numerics, seed }) => {
        const drawn = await load(config, chooseBy(seed));
        expect(await valuesOf(drawn, numerics, 4)).toEqual(await valuesOf(usual, numerics, 4));
      }),
      { numRuns: 1, seed: config.length },
    );
  },
);

/** The tilings of a run's products, each with the product's name. */
function tilingsOf(model: Model, pos: number) {
  return model.plan({ pos }).steps.flatMap((step) => {
    return step.kind === 'dispatch' && step.product && step.tiling ? [{ kernel: step.kernel, ...step.tiling }] : [];
  });
}

test('a tiling that is asked for by name is in every product of the plan', async () => {
  const tilings = tilingsOf(await load('gpt2', 'register 4x4'), 3);
  expect(tilings.length).toBeGreaterThan(5);
  for (const tiling of tilings) expect(tiling).toMatchObject({ tiling: 'register 4x4', origin: 'given' });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

test('HYALINE_TILINGS says it where the caller says nothing', async () => {
  vi.stubEnv('HYALINE_TILINGS', 'register 4x4');
  const [given] = tilingsOf(await load('gpt2'), 3);
  expect(given).toMatchObject({ tiling: 'register 4x4', origin: 'given' });
  expect(tilingsOf(await load('gpt2', 'default'), 3)[0].origin).toBe('default');
});

test('a model begins with what was remembered of this adapter, and of no other', async () => {
  const fs = nodeModule('node:fs');
  const folder = fs.mkdtempSync(`${nodeModule('node:os').tmpdir()}/hyaline-tilings-`);
  vi.stubEnv('XDG_CACHE_HOME', folder);
  vi.stubEnv('HYALINE_TILINGS', '');
  const remembered = new Map<string, TilingName>([['unembed 12x37, 2 to 5 rows, fast', 'register 4x4']]);
  rememberTilings('another adapter', new Map([['unembed 12x37, 1 row, fast', 'register 4x4']]));
  rememberTilings(describeAdapter(await testDevice()).text, remembered);
  const model = await load('gpt2');
  fs.rmSync(folder, { recursive: true });
  const unembed = (pos: number) => tilingsOf(model, pos).find(({ kernel }) => kernel === 'unembed');
  expect(unembed(3)).toMatchObject({ tiling: 'register 4x4', origin: 'remembered' });
  expect(unembed(1)?.origin).toBe('default');
});

test('a request for tilings that is none is an error', async () => {
  await expect(load('gpt2', 'register 3x3' as TilingName)).rejects.toThrow(
    /^load: tilings is 'remembered', 'default', a function, or one of register 1x4, .*; got "register 3x3"\.$/,
  );
});
