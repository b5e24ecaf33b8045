// What the study adds to the engine's own figures, by hand: errors through softmax, what keys have in common, intervals of seeds, and
// changes between two runs of the tasks.
import { describe, expect, test } from 'vitest';
import { changeOf, type Measured } from '../../scripts/study/number_formats.ts';
import { commonPart, errorsOfRun, predictPatternErrors } from '../../scripts/study/precision_loss.ts';
import { signTest } from '../../scripts/study/statistics.ts';
import { coverage, measureChance, measureOrders, SEEDS } from '../../scripts/study/sum_orders.ts';
import type { ScoreKind } from '../../scripts/study/tasks.ts';
import { emulateForward, nextUp } from '../../src/index.ts';
import { reportOnRun } from '../../src/numerics/report.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

describe('errors of a pattern', () => {
  const predict = (errors: number[]) => predictPatternErrors([1, 0, 0.75, 0.25], { seen: [0, 2, 3], errors, keys: 2 }); // the first query sees one key

  test('a probability changes by p·(δ − Σpδ)', () => {
    // δ = 8, 0 in the second row: 0.75·(8 − 6) and 0.25·(0 − 6), of a pattern with Σp² = 1 + 0.625.
    expect(predict([0, 8, 0]).predicted).toBeCloseTo(1.5 * Math.sqrt(2 / 1.625), 14);
  });

  test('what all keys of a query have in common does not count, nor what a query with one key has', () => {
    expect(predict([5, 3, 3]).predicted).toBe(0);
  });

  test('independent errors of one size: p²·(1 − 2p + Σp²), summed', () => {
    // (0.75² · 0.125 + 0.25² · 1.125) σ² with σ² = 64/3, of Σp² = 1.625; the first row gives 1·(1 − 2 + 1) = 0.
    expect(predict([0, 8, 0]).predictedFromSize).toBeCloseTo(Math.sqrt(((64 / 3) * 0.140625) / 1.625), 14);
  });

  test('the mean key has all of equal keys and nothing of opposite ones', () => {
    const keys = (...data: number[]) => commonPart({ data: Float64Array.from(data), shape: [1, 2, 1, 2] });
    expect(keys(1, 2, 1, 2)).toBe(1);
    expect(keys(1, 2, -1, -2)).toBe(0);
    expect(keys(3, 1, 3, -1)).toBe(0.9); // the mean is (3, 0): 2·9 of 20
  });
});

test('a sign test counts the tails of fair coins', () => {
  expect([signTest(6, 0), signTest(0, 6), signTest(5, 0)]).toEqual([0.03125, 0.03125, 0.0625]);
  expect([signTest(9, 1), signTest(3, 3), signTest(0, 0)]).toEqual([22 / 1024, 1, 1]);
});

test('coverage counts numbers within the interval of one more sample', () => {
  const samples = [
    [1, 0, 0],
    [3, 0, 0],
  ]; // mean 2 and deviation √2: 2.093 · √1.5 · √2 = 3.63 to either side; the others have no spread
  expect(coverage(samples, [5.6, 0, 1])).toBe(2 / 3);
  expect(coverage(samples, [5.7, Number.NaN, 1])).toBe(0);
});

// Emulated passes in the engine's place.
describe.each(['gpt2', 'llama'])('errors of a run of %s', async (name) => {
  const tiny = tinyModel(TINY_CONFIGS[name], 1);
  const config = tiny.parsed;
  const weights = await canonicalWeights(tiny);
  const [tokens] = randomTokens(config, 1, 6, 2);
  const emulated = emulateForward(config, weights, [tokens]);

  test("the budget adds up to the logits' error, and softmax's errors are those of the report", async () => {
    const engine = new Map([...emulated].map(([value, { data }]) => [value, data]));
    const read = (value: string) => engine.get(value)!;
    const report = await reportOnRun({ config, weights, tokens: [tokens], read, tokenText: null }, {});
    const names = report.values.filter(({ aliasOf }) => aliasOf === null).map((value) => value.name);
    const { budget, softmax, scores } = errorsOfRun({ config, weights }, tokens, { names, engine });
    const errors = (of: string) => report.values.find((value) => value.name === of)!;

    expect(budget.map((entry) => entry.name)).toEqual(names);
    expect(budget.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 10);
    expect(budget[0]).toMatchObject({ name: 'hook_embed', relativeRms: 0, share: 0 }); // looked up, not computed
    // The last change is what the unembedding itself makes.
    expect(budget.at(-1)!.relativeRms / errors('unembed.hook_out').local.relativeRms!).toBeCloseTo(1, 8);
    for (const { layer, scores: size, scoresError, measured, predicted } of softmax) {
      const attn = `blocks.${layer}.attn`;
      expect(scoresError / size / errors(`${attn}.hook_attn_scores`).error.relativeRms!).toBeCloseTo(1, 8);
      expect(measured / errors(`${attn}.hook_pattern`).inherited.relativeRms!).toBeCloseTo(1, 8);
      expect(predicted / measured).toBeCloseTo(1, 4); // what is left is of the size of the scores' errors
    }
    expect([softmax.length, scores.length]).toEqual([config.nLayers, config.nLayers]);
    for (const { queries, keys, commonKey } of scores) {
      for (const { change, common, pattern } of [queries, keys]) {
        expect([change > 0, pattern > 0, common > 0, common < 1]).toEqual([true, true, true, true]);
      }
      expect(commonKey > 0 && commonKey < 1).toBe(true);
    }
  });

  test("the kernels' order is told from the engine's bits, and other orders and chance err as float32 does", () => {
    const engine = emulated.get('logits')!.data;
    const { isEngine, orders } = measureOrders({ config, weights }, tokens, engine);
    expect(isEngine).toBe(true);
    const otherBits = engine.map((x, i) => (i === 5 ? nextUp(x) : x));
    expect(measureOrders({ config, weights }, tokens, otherBits).isEngine).toBe(false);
    const [[, kernels], ...others] = orders;
    expect([kernels.distance, kernels.largest, kernels.otherFirst]).toEqual([0, 0, 0]);
    for (const [order, { error, distance }] of others) {
      expect(distance, order).toBeGreaterThan(0);
      expect(error, order).toBeLessThan(2 ** -18);
    }
    const chance = measureChance({ config, weights }, tokens);
    expect(chance.nearest).toEqual(kernels);
    expect(new Set(chance.seeds.map(({ error }) => error)).size).toBe(SEEDS);
    expect(chance.coversExact).toBeGreaterThan(0.9); // right on average: float64 is within what seeds give
  });
});

describe('a change between runs', () => {
  const measured = (score: ScoreKind, scores: number[], logits: number[][], pattern: number[]): Measured => ({
    tasks: [
      {
        task: { name: 'indirect object', score, published: 1, n: 2, prompts: [] },
        results: scores.map((one, i) => ({
          prompt: { tokens: [0], right: [0], wrong: [1] },
          logits: Float32Array.from(logits[i]),
          score: one,
        })),
        score: 0.5,
      },
    ],
    blocks: { loss: 1, attention: new Map([['1.1', 0.5]]), patterns: new Map([['1.1', Float32Array.from(pattern)]]) },
  });
  const even = [0, 0];
  const before = measured('preferred', [1, 0], [[1, 0], even], [0.5, 0.5]);

  test('none is none', () => {
    const change = changeOf(before, before);
    expect(change).toMatchObject({
      otherFirst: 0,
      prompts: 2,
      meanDivergence: 0,
      maxDivergence: 0,
      logitDifference: 0.5,
    });
    expect(change.tasks).toEqual([
      { name: 'indirect object', kind: 'preferred', score: 0.5, lost: 0, gained: 0, divergence: 0 },
    ]);
    expect(change.largestPatternChange.get('1.1')).toBe(0);
  });

  test('prompts lost and won, divergence of the next token, the largest entry', () => {
    const change = changeOf(before, measured('preferred', [0, 1], [[0, 1], even], [0.25, 0.75]));
    expect(change.tasks[0]).toMatchObject({ lost: 1, gained: 1 });
    expect(change.otherFirst).toBe(1);
    // p = σ(±1): Σ p log(p/q) = (2σ(1) − 1) · 1 for the first prompt, nothing for the second.
    expect(change.maxDivergence).toBeCloseTo(2 / (1 + Math.exp(-1)) - 1, 12);
    expect(change.meanDivergence).toBeCloseTo(change.maxDivergence / 2, 12);
    expect([change.logitDifference, change.largestPatternChange.get('1.1')]).toEqual([-0.5, 0.25]);
  });

  test('a score that is NaN is lost', () => {
    expect(changeOf(before, measured('share', [Number.NaN, 0], [[1, 0], even], [0, 0])).tasks[0].lost).toBe(1);
  });
});
