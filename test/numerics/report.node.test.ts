// The report on the engine's own runs: what it must say of every model, and that every value of the real checkpoints is within the
// error bound of its operation. Its figures are tested in report.test.ts and value_errors.test.ts.
import { afterEach, describe, expect, test } from 'vitest';
import { Model, type NumericsReport, numericsReport, scale, type TokenInput } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, sharedExists } from '../fixtures.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const loaded: Model[] = [];
afterEach(() => {
  for (const model of loaded.splice(0)) model.destroy();
});

async function load(from: Parameters<typeof Model.load>[0]): Promise<Model> {
  const model = await Model.load(from, { device: await testDevice() });
  loaded.push(model);
  return model;
}

/** What holds for a good run of any model. */
function expectSound(report: NumericsReport, model: Model): void {
  expect(report.values.map(({ name }) => name)).toEqual(
    model.hooks.filter(({ onDemand }) => !onDemand).map(({ name }) => name),
  );
  for (const { name, counts, localBound, error, local, inherited, aliasOf } of report.values) {
    expect(localBound, `${name} against the bound of its operation`).toMatchObject({ within: true, outside: 0 });
    expect(counts.compared + counts.masked, name).toBe(counts.total);
    expect(counts.compared, name).toBeGreaterThan(0);
    if (error.max !== 0) expect(Number(local.share) + Number(inherited.share), name).toBeCloseTo(1, 14);
    if (aliasOf !== null) expect([name, local.max]).toEqual([name, 0]);
  }
  expect(report.findings).toMatchObject({ notFinite: [], outsideBound: [] });
  expect(report.predictions).toMatchObject({ notFinite: 0, changed: 0 });
  expect(JSON.parse(JSON.stringify(report))).toStrictEqual(report);
}

// The bounds themselves are checked on all tiny models in test/models/tiny.gpu.test.ts.
test.each(['gpt2', 'llama', 'hooked without norms or MLP'])('%s, rows of ids', async (name) => {
  const model = await load(tinyModel(TINY_CONFIGS[name], 1));
  const tokens = randomTokens(model.config, 2, 5, 2);
  const report = await numericsReport(model, tokens);
  expectSound(report, model);
  expect([report.tokens, report.tokenTexts]).toEqual([tokens, null]);
  expect(report.predictions.positions.length).toBe(10);
  const scores = report.values.find((value) => value.name === 'blocks.0.attn.hook_attn_scores');
  expect(scores?.counts.masked).toBe(2 * model.config.nHeads * 10); // of 5 × 5 pairs 4 + 3 + 2 + 1 are masked
  // Without norms the bounds of errors since the embedding are finite; tiny.gpu.test.ts checks them too.
  if (model.config.normalizationType === null) for (const { bound } of report.values) expect(bound.within).toBe(true);
});

const REAL: readonly { path: string; tokens: TokenInput }[] = [
  { path: 'models/circuit-zoo', tokens: 'When Mary and John went to the store, John gave a drink to' },
  {
    path: 'models/modular-addition',
    tokens: [
      [5, 7, 113],
      [112, 112, 113],
    ],
  },
  { path: '../shared/models/stories260K', tokens: 'Once upon a time, there was a little girl named Lily.' },
  { path: '../shared/models/capp-gpt2', tokens: [0, 8, 15, 17, 21, 25, 48] },
];

describe.each(REAL)('$path', ({ path, tokens }) => {
  test.skipIf(path.startsWith('..') && !sharedExists)(
    'every value is within the error bound of its operation, and float64 predicts the same tokens',
    async () => {
      const model = await load(fixtureUrl(path));
      const report = await numericsReport(model, tokens);
      expectSound(report, model);
      if (typeof tokens === 'string') {
        expect(report.tokens).toEqual([model.toTokens(tokens)]);
        expect(report.tokenTexts?.[0].slice(1).join('').trim()).toBe(tokens);
      }
    },
  );
});

test('options of the run and a list of names are kept to; memory is given back', async () => {
  const model = await load(fixtureUrl('models/circuit-zoo'));
  const options = { names: 'blocks.*.hook_resid_post', figure: 'medianUlp', run: { prependBos: false } } as const;
  const { tokens, values, map } = await numericsReport(model, 'The capital of France is', options);
  expect(tokens).toEqual([model.toTokens('The capital of France is', { prependBos: false })]);
  expect(values.map(({ name }) => name)).toEqual([0, 1, 2, 3].map((layer) => `blocks.${layer}.hook_resid_post`));
  expect(map.rows.map(({ name, cells }) => [name, cells.length])).toEqual([['hook_resid_post', 4]]);
  const { bytes } = model.memory;
  await numericsReport(model, 'The capital of France is', options);
  expect(model.memory.bytes).toBe(bytes);
});

test('others get their turn while a report is made, and can end it', async () => {
  const model = await load(tinyModel(TINY_CONFIGS.gpt2, 1));
  await numericsReport(model, [1, 2, 3]);
  const { bytes } = model.memory;
  const controller = new AbortController();
  const seen: string[] = [];
  const aborted = numericsReport(model, [1, 2, 3], {
    signal: controller.signal,
    onProgress: ({ phase, done, total }) => {
      if (done === total) seen.push(phase);
      if (phase === 'values' && done === 1) setTimeout(() => controller.abort(new Error('enough')));
    },
  });
  await expect(aborted).rejects.toThrow('enough');
  expect(seen).toEqual(['weights']);
  await numericsReport(model, [1, 2, 3]); // buffers for reading at rest are those of a whole report again
  expect(model.memory.bytes).toBe(bytes);
});

test('what cannot be reported is refused before anything runs', async () => {
  const model = await load(tinyModel(TINY_CONFIGS.gpt2, 1));
  const refusal = (options: object) => numericsReport(model, [1, 2], options).catch((error: Error) => error.message);
  const hooks = [['hook_embed', scale(2)]];
  const message = 'numerics: there is no report with "hooks": interventions are not supported.';
  expect(await refusal({ hooks })).toBe(message);
  expect(await refusal({ run: { hooks } })).toBe(message);
  expect(await refusal({ run: { stopAtLayer: 1 } })).toMatch('"stopAtLayer": the model is run whole.');
  expect(await refusal({ k: 0 })).toBe('numerics: expected k to be a whole number from 1 on, got 0.');
  expect(await refusal({ figure: 'size' })).toMatch('numerics: no figure "size". There are relativeRms,');
  expect(await refusal({ names: 'blocks.0.hook_q_input' })).toBe(
    'numerics: there is nothing to report: blocks.0.hook_q_input is computed on demand only, a copy.',
  );
  expect(await refusal({ names: 'hook_embd' })).toMatch('hooks: no value "hook_embd".');
  await expect(numericsReport(model, [1, 999])).rejects.toThrow('tokens: token 1 of row 0 is 999');
});
