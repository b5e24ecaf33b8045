// Precision studies on tiny models: that each case measures what it says, and that nothing of it stays behind.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  emulateForward,
  errorFigures,
  Model,
  type PrecisionCase,
  type PrecisionStudy,
  precisionStudy,
  referenceForward,
  round,
  segments,
  sequential,
  stochasticRounding,
} from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl } from '../fixtures.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { firstDifference } from '../tensors.ts';

const checkpoint = tinyModel(TINY_CONFIGS.gpt2, 91);
const POST = 'blocks.1.mlp.hook_post';
const CASES: readonly PrecisionCase[] = [
  { name: 'bf16 weights', weights: [['*', 'bf16']] },
  { name: 'fp8 in one place', values: [[POST, 'fp8_e4m3']] },
  {
    name: 'both',
    weights: [
      ['blocks.*', 'f16'],
      ['blocks.0.attn.W_V', 'fp8_e5m2'],
    ],
    values: [['blocks.*.hook_resid_post', 'tf32']],
  },
  { name: 'segments of 3', arithmetic: segments(3) },
  { name: 'chance', arithmetic: stochasticRounding },
];

let model: Model;
let tokens: number[][];
let study: PrecisionStudy;
let progress: [number, number, string][];

beforeAll(async () => {
  model = await Model.load(checkpoint, { device: await testDevice() });
  tokens = randomTokens(model.config, 2, 6, 92);
  progress = [];
  study = await precisionStudy(model, tokens, CASES, {
    seeds: 4,
    token: [3, 5],
    pos: 2,
    onProgress: ({ done, total, name }) => progress.push([done, total, name]),
  });
});

afterAll(() => model.destroy());

const resultOf = (name: string) => {
  const result = study.cases.find((which) => which.name === name);
  if (!result) throw new Error(`no case ${name}`);
  return result;
};

/** Errors of all values of a run, as a study has them. */
function figuresOf(values: ReadonlyMap<string, ArrayLike<number>>, weights: ReadonlyMap<string, Float32Array>) {
  const exact = referenceForward(model.config, weights, tokens);
  return [...exact].map(([name, { data }]) => ({ name, ...errorFigures(values.get(name) ?? [], data) }));
}

const withoutLayers = (name: string) => resultOf(name).values.map(({ layer: _, ...rest }) => rest);

test('every case has the errors of its own run against float64 with the original weights', async () => {
  const weights = await canonicalWeights(checkpoint);
  const run = async (options: Parameters<Model['runWithCache']>[1]) => {
    using cache = (await model.runWithCache(tokens, options)).cache;
    const values = new Map<string, Float32Array>();
    for (const name of cache.names) values.set(name, (await cache.read(name)).data);
    return values;
  };
  expect(withoutLayers('unrounded')).toEqual(figuresOf(await run({}), weights));
  const rounded = await run({ hooks: [[POST, round('fp8_e4m3')]] });
  expect(withoutLayers('fp8 in one place')).toEqual(figuresOf(rounded, weights));
  {
    using _ = await model.roundWeights('*', 'bf16');
    expect(withoutLayers('bf16 weights')).toEqual(figuresOf(await run({}), weights));
  }
  const emulated = emulateForward(model.config, weights, tokens, { arithmetic: segments(3) });
  const values = new Map([...emulated].map(([name, { data }]) => [name, data]));
  expect(withoutLayers('segments of 3')).toEqual(figuresOf(values, weights));
});

test('what comes before a rounded value has the errors of the unrounded run, and what follows has larger ones', () => {
  const [before, after] = [resultOf('unrounded').values, resultOf('fp8 in one place').values];
  const at = before.findIndex(({ name }) => name === POST);
  expect(after.slice(0, at)).toEqual(before.slice(0, at));
  for (let i = at; i < before.length; i++) {
    expect(after[i].rmsRelative, before[i].name).toBeGreaterThan(10 * (before[i].rmsRelative as number));
  }
  // Three bits behind the leading one: at most 2⁻⁴ of each normal number.
  expect(after[at].rmsRelative).toBeLessThan(2 ** -4);
  expect(after[at].rmsRelative).toBeGreaterThan(2 ** -8);
});

test('several seeds give a mean with its interval, and the largest errors of all', async () => {
  const weights = await canonicalWeights(checkpoint);
  const passes = [0, 1, 2, 3].map((seed) => {
    const values = emulateForward(model.config, weights, tokens, { arithmetic: stochasticRounding(seed) });
    return figuresOf(new Map([...values].map(([name, { data }]) => [name, data])), weights);
  });
  const { runs, values, prediction, runsOn } = resultOf('chance');
  expect([runs, runsOn]).toEqual([4, 'emulation']);
  for (const [i, value] of values.entries()) {
    const own = passes.map((pass) => pass[i]);
    const mean = own.reduce((sum, { rmsRelative }) => sum + (rmsRelative as number), 0) / 4;
    expect(value.rmsRelative, value.name).toBe(mean);
    expect(value.maxUlp, value.name).toBe(Math.max(...own.map(({ maxUlp }) => maxUlp as number)));
    const { low, high } = value.interval ?? { low: 1, high: 0 };
    expect(low <= mean && mean <= high, value.name).toBe(true);
  }
  expect(prediction.interval?.meanKl?.mean).toBe(prediction.meanKl);
  expect(prediction.interval?.tokens.map((interval) => interval?.mean)).toEqual(
    prediction.tokens.map(({ got }) => got),
  );
});

test('followed tokens have their probabilities, and the rest is in order', async () => {
  const { logits } = await model.run(tokens);
  const width = model.config.dVocabOut;
  const { prediction } = resultOf('unrounded');
  prediction.tokens.forEach(({ row, pos, token, want, got }, i) => {
    expect([row, pos, token]).toEqual([i, 2, [3, 5][i]]);
    const own = Array.from(logits.data.slice((row * 6 + pos) * width, (row * 6 + pos + 1) * width), Math.exp);
    expect(got).toBeCloseTo(own[token] / own.reduce((a, b) => a + b), 10);
    expect(want).toBeCloseTo(got as number, 5);
  });
  expect(prediction.topAgreement).toBe(1);
  expect(resultOf('bf16 weights').prediction.meanKl).toBeGreaterThan(1e3 * (prediction.meanKl as number));
  const names = study.summary.cases.map(({ name }) => name);
  expect([...names].sort()).toEqual(study.cases.map(({ name }) => name).sort());
  expect(study.summary.cases.at(-1)?.firstBroken).toBe(null);
  expect(study.summary.cases.find(({ name }) => name === 'fp8 in one place')?.firstBroken?.name).toBe(POST);
});

test('it is plain data, and says how far it is', () => {
  expect(JSON.parse(JSON.stringify(study))).toEqual(study);
  expect(progress.map(([done]) => done)).toEqual(progress.map((_, i) => i + 1));
  expect(progress.every(([, total]) => total === progress.length)).toBe(true);
  expect(progress.map(([, , name]) => name).slice(0, 3)).toEqual(['float64', 'unrounded', 'bf16 weights']);
});

describe('what saturates', () => {
  test('is counted, of weights and of values', async () => {
    const { cases } = await precisionStudy(model, tokens, [
      { name: 'f16', weights: [['*', 'f16']], values: [['hook_embed', 'f16']] },
      { name: 'fp8', values: [['hook_embed', 'fp8_e4m3']] },
    ]);
    expect(cases.map(({ saturated }) => saturated)).toEqual([[], [], []]);
    const large = tinyModel(TINY_CONFIGS.gpt2, 91);
    const [name] = Object.keys(large.tensors).filter((tensor) => tensor.endsWith('wte.weight'));
    const data = Float32Array.from(large.tensors[name].data as Float32Array);
    data.fill(500, 0, 12 * 3); // tokens 0, 1 and 2
    using other = await Model.load(
      { config: large.config, tensors: { ...large.tensors, [name]: { ...large.tensors[name], data } } },
      { device: await testDevice() },
    );
    const result = await precisionStudy(
      other,
      [0, 5, 2],
      [
        { name: 'fp8', weights: [['embed.W_E', 'fp8_e4m3']] },
        { name: 'values', values: [['hook_embed', 'fp8_e4m3']] },
      ],
    );
    expect(result.cases.map(({ saturated }) => saturated)).toEqual([
      [],
      [{ name: 'embed.W_E', count: 36 }],
      [{ name: 'hook_embed', count: 24 }],
    ]);
  });
});

describe('an abort or a mistake', () => {
  test('leaves the weights as they were', async () => {
    const before = (await model.run(tokens)).logits.data;
    const controller = new AbortController();
    const aborted = precisionStudy(model, tokens, CASES, {
      signal: controller.signal,
      onProgress: ({ name }) => name === 'unrounded' && controller.abort(new Error('enough')),
    });
    await expect(aborted).rejects.toThrow('enough');
    // Fails in the middle of a case, with weights rounded: the predicate matches while it is checked, and never again.
    let asked = 0;
    const where = () => asked++ < model.hooks.length;
    const cases: PrecisionCase[] = [{ name: 'broken', weights: [['*', 'bf16']], values: [[where, 'bf16']] }];
    await expect(precisionStudy(model, tokens, cases)).rejects.toThrow('hooks: a predicate matched no value');
    expect(firstDifference((await model.run(tokens)).logits.data, before)).toBe(-1);
    for (const [name, want] of await canonicalWeights(checkpoint)) {
      expect(firstDifference((await model.weight(name)).data, want), name).toBe(-1);
    }
  });

  test('is told before anything runs', async () => {
    const value = (where: string, format = 'bf16') => ({ name: 'a', values: [[where, format]] }) as PrecisionCase;
    const weight = (where: string) => ({ name: 'a', weights: [[where, 'bf16']] }) as PrecisionCase;
    const mistakes: [PrecisionCase[], Parameters<typeof precisionStudy>[3], string][] = [
      [[value('blocks.0.mlp.hook_pst')], {}, 'did you mean "blocks.0.mlp.hook_post"?'],
      [[value(POST, 'fp8')], {}, 'precisionStudy: expected a number format (f16,'],
      [[weight('blocks.7.*')], {}, 'weights: no weight matches "blocks.7.*"'],
      [[{ name: 'a' } as PrecisionCase], {}, 'precisionStudy: the case "a" rounds nothing.'],
      [
        [{ name: 'a', values: [[() => false, 'f16']] }],
        {},
        'precisionStudy: a predicate of the case "a" matches nothing.',
      ],
      [[weight('*'), value(POST)], {}, 'precisionStudy: there are two cases "a"; each needs a name of its own.'],
      [[{ name: 'unrounded', arithmetic: sequential }], {}, 'precisionStudy: there are two cases "unrounded"'],
      [[], { seeds: 1 }, 'precisionStudy: expected 2 seeds or more, got 1.'],
      [[], { threshold: 0 }, 'precisionStudy: expected a threshold above 0, got 0.'],
      [[], { pos: 6 }, 'precisionStudy: expected pos to be a whole number of -6 … 5, got 6.'],
      [[], { token: [1, 2, 3] }, 'precisionStudy: expected one token, or one for each of 2 rows, got 3.'],
      [[], { token: 37 }, 'precisionStudy: expected tokens of 0 … 36, got 37.'],
      [[], { names: 'blocks.0.hook_q_input' }, 'blocks.0.hook_q_input is computed on demand only, and not in float64.'],
      ['bf16' as never, {}, 'precisionStudy: expected a list of cases, got string.'],
      [
        [{ name: 'a', arithmetic: undefined as never }],
        {},
        'the case "a" needs an arithmetic or a function of a seed, got undefined.',
      ],
      [
        [{ name: 'a', arithmetic: sequential, weights: [['*', 'bf16']] }],
        {},
        'the case "a" has an arithmetic and rounds; make two cases of it.',
      ],
      [[], { numerics: 'exact' as 'fast' }, "run: numerics is 'fast' or 'reproducible', got \"exact\"."],
    ];
    for (const [cases, options, message] of mistakes) {
      const onProgress = () => expect.unreachable('nothing runs');
      await expect(precisionStudy(model, tokens, cases, { ...options, onProgress })).rejects.toThrow(message);
    }
  });
});

test('circuit-zoo: three bits less of significand make errors eight times as large, and another order of sums next to none', async () => {
  using zoo = await Model.load(fixtureUrl('models/circuit-zoo'), { device: await testDevice() });
  const { cases, summary } = await precisionStudy(
    zoo,
    'The capital of France is',
    [
      { name: 'one chain', arithmetic: sequential },
      ...(['f16', 'bf16', 'fp8_e5m2'] as const).map((format) => ({ name: format, weights: [['*', format]] as const })),
    ],
    { names: ['blocks.*', 'logits'], token: zoo.toTokens(' Paris', { prependBos: false }) },
  );
  const logits = cases.map(({ values }) => values.find(({ name }) => name === 'logits')?.rmsRelative as number);
  const [unrounded, chain, f16, bf16, fp8] = logits;
  // 11, 8 and 3 bits: factors of 8 and 32, of errors that add up as chance has it.
  expect(bf16 / f16).toBeGreaterThan(4);
  expect(bf16 / f16).toBeLessThan(16);
  expect(fp8 / bf16).toBeGreaterThan(16);
  expect(fp8 / bf16).toBeLessThan(64);
  expect(chain).toBeGreaterThan(unrounded);
  expect(chain).toBeLessThan(f16 / 100);
  expect(summary.cases.map(({ name }) => name)).toEqual(['fp8_e5m2', 'bf16', 'f16', 'one chain', 'unrounded']);
  // It still knows the capital.
  for (const { prediction } of cases) {
    expect(prediction.tokens[0].want).toBeGreaterThan(0.99);
    expect(prediction.tokens[0].got).toBeGreaterThan(0.99);
  }
  const first = summary.cases.map(({ firstBroken }) => firstBroken?.name);
  // More than 1 %: from the first embedding on in FP8, nowhere else.
  expect(first).toEqual(['blocks.0.hook_resid_pre', undefined, undefined, undefined, undefined]);
});
