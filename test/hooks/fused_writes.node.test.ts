// Runs with interventions: whatever is written, captured and kept in a cache, fused and separate operations give the same bits. In Node
// alone: without interventions it is a property of models/invariants.gpu.test.ts. Few positions and a tiling that compiles fast.
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type HookEntry, Model, scale } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const CONFIGS = ['gpt2', 'llama', 'hooked with soft caps'];
const MOST_POSITIONS = 4;
const CASES = 60;

const models = new Map<string, Promise<Model>>();
afterAll(async () => {
  for (const model of models.values()) (await model).destroy();
});

function modelOf(config: string): Promise<Model> {
  const loading =
    models.get(config) ??
    testDevice().then((device) => Model.load(tinyModel(TINY_CONFIGS[config], 7), { device, tilings: 'register 1x4' }));
  models.set(config, loading);
  return loading;
}

type Options = { readonly hooks: readonly HookEntry[]; readonly capture: readonly string[] };

/** Logits and captured values of a text in one piece, or in two through a key-value cache, as bits. */
async function valuesOf(model: Model, pieces: readonly number[][][], options: Options) {
  using keyValueCache = model.createKeyValueCache({ batch: 2, capacity: MOST_POSITIONS });
  const values = new Map<string, Uint32Array>();
  for (const [i, tokens] of pieces.entries()) {
    const { logits, cache } = await model.run(tokens, { ...options, ...(pieces.length > 1 && { keyValueCache }) });
    const read = await Promise.all(options.capture.map((name) => cache.read(name)));
    cache.destroy();
    for (const { name, data } of [...read, logits]) values.set(`${name} of piece ${i}`, new Uint32Array(data.buffer));
  }
  return values;
}

test(`${CASES} drawn runs with interventions: what is captured changes no bit`, async () => {
  const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const draw = fc.record({
    config: fc.constantFrom(...CONFIGS),
    pos: fc.integer({ min: 1, max: MOST_POSITIONS }),
    isCut: fc.boolean(),
    written: fc.array(share, { minLength: 1, maxLength: 3 }),
    captured: fc.array(share, { maxLength: 3 }),
  });
  let changed = 0;
  const property = fc.asyncProperty(draw, async ({ config, pos, isCut, written, captured }) => {
    const model = await modelOf(config);
    const all = model.hooks.map(({ name }) => name);
    const pick = (places: readonly number[]) => places.map((place) => all[Math.floor(place * all.length)]);
    const hooks = pick(written).map((name): HookEntry => [name, scale(1.25)]);
    const tokens = randomTokens(model.config, 2, pos, 5);
    const cut = Math.ceil(pos / 2);
    const halves = [tokens.map((row) => row.slice(0, cut)), tokens.map((row) => row.slice(cut))];
    const pieces = isCut && pos > 1 ? halves : [tokens];
    const some = await valuesOf(model, pieces, { hooks, capture: pick(captured) });
    const every = await valuesOf(model, pieces, { hooks, capture: all });
    for (const [name, bits] of some) expect(every.get(name), name).toEqual(bits);
    const untouched = await valuesOf(model, pieces, { hooks: [], capture: [] });
    changed += Number(
      untouched
        .values()
        .next()
        .value?.some((bits, i) => bits !== some.get('logits of piece 0')?.[i]),
    );
  });
  await fc.assert(property, { numRuns: CASES, seed: 3, endOnFailure: true });
  // A constant factor changes most values, and none that a norm undoes.
  expect(changed).toBeGreaterThan(CASES / 2);
});
