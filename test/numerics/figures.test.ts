// Figures of errors, predictions and repeated measurements, by hand.
import { describe, expect, test } from 'vitest';
import { errorFigures, predictionFigures } from '../../src/index.ts';
import { confidenceInterval, studentQuantile } from '../../src/numerics/confidence.ts';
import { ulpOf } from '../../src/numerics/error_figures.ts';
import type { CaseResult } from '../../src/numerics/precision_study.ts';
import { summarize } from '../../src/numerics/precision_summary.ts';
import { normal, seeded } from '../random.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe('errorFigures', () => {
  test('by hand', () => {
    // Errors 1, 0, −2 of 3, 4, 0: √(5 / 25).
    expect(errorFigures([4, 4, -2], [3, 4, 0])).toEqual({
      rmsRelative: Math.sqrt(0.2),
      maxRelative: 1 / 3,
      maxUlp: 2 ** 22, // 1 in units of 2⁻²²
      notFinite: 0,
    });
    expect(errorFigures([], [])).toEqual({ rmsRelative: 0, maxRelative: 0, maxUlp: 0, notFinite: 0 });
    expect(errorFigures([0, -inf], [0, -inf])).toEqual({ rmsRelative: 0, maxRelative: 0, maxUlp: 0, notFinite: 0 });
    expect(errorFigures([1e-9], [0])).toEqual({ rmsRelative: null, maxRelative: 0, maxUlp: 0, notFinite: 0 });
  });

  test.each([
    [nan, 1],
    [inf, 1],
    [1, -inf],
    [inf, -inf],
    [1, nan],
  ])('%f for %f is not finite, and no figure hides it', (got, want) => {
    const none = { rmsRelative: null, maxRelative: null, maxUlp: null };
    expect(errorFigures([got, 2], [want, 2])).toEqual({ ...none, notFinite: 1 });
  });

  test('a unit in the last place is the distance to the next float32 number', () => {
    const next = (x: number) =>
      new Float32Array(new Uint32Array([new Uint32Array(Float32Array.of(x).buffer)[0] + 1]).buffer)[0];
    for (const x of [1, 1.9, 2, 3e38, 2 ** -126, 1.7e-38, 2 ** -149, 0]) {
      expect(ulpOf(Math.fround(x))).toBe(next(x) - Math.fround(x));
    }
    expect(ulpOf(-3)).toBe(2 ** -22);
  });

  test('different lengths are refused', () => {
    expect(() => errorFigures([1], [1, 2])).toThrow('errorFigures: 1 numbers cannot be compared with 2.');
  });
});

describe('predictionFigures', () => {
  const ln = Math.log;
  test('by hand: two rows of one position', () => {
    // ½, ½ and ⅓, ⅔ against ¾, ¼ and ⅓, ⅔ (shifted logits are the same).
    const want = [ln(0.5), ln(0.5), 1, 1 + ln(2)];
    const got = [ln(0.75), ln(0.25), ln(1), ln(2)];
    const followed = [
      { row: 0, pos: 0, token: 1 },
      { row: 1, pos: 0, token: 0 },
    ];
    const divergence = 0.5 * ln(0.5 / 0.75) + 0.5 * ln(0.5 / 0.25);
    const figures = predictionFigures(got, want, { pos: 1, width: 2 }, followed);
    expect(figures).toEqual({
      meanKl: expect.closeTo(divergence / 2, 14),
      maxKl: expect.closeTo(divergence, 14),
      topAgreement: 1,
      tokens: [
        { row: 0, pos: 0, token: 1, want: expect.closeTo(0.5, 14), got: expect.closeTo(0.25, 14) },
        { row: 1, pos: 0, token: 0, want: expect.closeTo(1 / 3, 14), got: expect.closeTo(1 / 3, 14) },
      ],
    });
    expect(predictionFigures([0, 1, 0, 1], want, { pos: 2, width: 2 }, []).topAgreement).toBe(0.5);
  });

  test('NaN agrees with nothing and has no divergence', () => {
    const { meanKl, maxKl, topAgreement, tokens } = predictionFigures(
      [nan, 1, 0, 1],
      [0, 1, 0, 1],
      { pos: 2, width: 2 },
      [{ row: 0, pos: 0, token: 1 }],
    );
    expect([meanKl, maxKl, topAgreement, tokens[0].got]).toEqual([null, null, 0.5, null]);
  });
});

describe('confidence intervals', () => {
  test('by hand, with the quantiles of a table', () => {
    expect(confidenceInterval([1, 2, 3])).toEqual({
      mean: 2,
      low: expect.closeTo(2 - 4.30265 / Math.sqrt(3), 10),
      high: expect.closeTo(2 + 4.30265 / Math.sqrt(3), 10),
    });
    expect(confidenceInterval([7, 7])).toEqual({ mean: 7, low: 7, high: 7 });
    // Student's t, 97.5 %: 10, 12, 30 and 100 degrees of freedom.
    expect(
      [10, 12, 30, 100]
        .map((n) => Math.abs(studentQuantile(n) - { 10: 2.22814, 12: 2.17881, 30: 2.04227, 100: 1.98397 }[n]!))
        .every((x) => x < 2e-4),
    ).toBe(true);
    expect(() => confidenceInterval([1])).toThrow('confidenceInterval: expected at least 2 measurements, got 1.');
  });

  test.each([3, 12])('of %i normal numbers, 95 %% hold the mean', (count) => {
    const random = seeded(81);
    const trials = 4000;
    let inside = 0;
    for (let trial = 0; trial < trials; trial++) {
      const { low, high } = confidenceInterval(Array.from({ length: count }, () => 3 + normal(random)));
      if (low <= 3 && 3 <= high) inside++;
    }
    // The standard deviation is √(4000·0.95·0.05) = 13.8; `normal` is not quite normal.
    expect(Math.abs(inside - 0.95 * trials)).toBeLessThan(70);
  });
});

test('a summary has the worst case, kind and block first, and NaN before all', () => {
  const value = (name: string, layer: number | null, rmsRelative: number | null) => ({
    ...{ name, layer, rmsRelative, maxRelative: 0, maxUlp: 0, notFinite: 0 },
  });
  const result = (name: string, meanKl: number | null, errors: (number | null)[]): CaseResult => ({
    ...{ name, runsOn: 'GPU', runs: 1, saturated: [] },
    values: [
      value('hook_embed', null, errors[0]),
      value('blocks.0.attn.hook_z', 0, errors[1]),
      value('blocks.1.attn.hook_z', 1, errors[2]),
    ],
    prediction: { meanKl, maxKl: meanKl, topAgreement: 1, tokens: [] },
  });
  const { threshold, cases } = summarize(
    [
      result('tame', 0, [0, 0, 0.009]),
      result('bad', 0.5, [0.001, 0.01, 0.3]),
      result('broken', null, [0, null, 9]),
      result('worse', 0.6, [2, 1, 1]),
    ],
    0.01,
  );
  expect(threshold).toBe(0.01);
  expect(cases.map(({ name }) => name)).toEqual(['broken', 'worse', 'bad', 'tame']);
  expect(cases.map(({ firstBroken }) => firstBroken?.name)).toEqual([
    'blocks.0.attn.hook_z',
    'hook_embed',
    'blocks.0.attn.hook_z',
    undefined,
  ]);
  expect(cases[2].kinds).toEqual([
    { kind: 'attn.hook_z', name: 'blocks.1.attn.hook_z', layer: 1, rmsRelative: 0.3 },
    { kind: 'hook_embed', name: 'hook_embed', layer: null, rmsRelative: 0.001 },
  ]);
  expect(cases[0].kinds[0]).toEqual({ kind: 'attn.hook_z', name: 'blocks.0.attn.hook_z', layer: 0, rmsRelative: null });
});
