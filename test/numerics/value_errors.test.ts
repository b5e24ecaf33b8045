// The figures of one value, by arrays: every expected number is computed by hand.
import { expect, test } from 'vitest';
import {
  type ComparedValue,
  cosineDistance,
  splitError,
  ULP_BINS,
  valueErrors,
} from '../../src/numerics/value_errors.ts';
import { seeded } from '../random.ts';

interface Lists {
  engine: number[];
  exact: number[];
  /** As `exact` when absent: then nothing is inherited. */
  local?: number[];
  /** 1 everywhere when absent. */
  bound?: number[];
  localBound?: number[];
  original?: number[];
  shape?: number[];
  axes?: string[];
}

function value({ engine, exact, local = exact, bound, localBound, original, shape, axes }: Lists): ComparedValue {
  const ones = exact.map(() => 1);
  return {
    shape: shape ?? [1, 1, exact.length],
    axes: axes ?? ['batch', 'pos', 'd_model'],
    engine: Float32Array.from(engine),
    exact: { data: Float64Array.from(exact), bound: Float64Array.from(bound ?? ones) },
    local: { data: Float64Array.from(local), bound: Float64Array.from(localBound ?? ones) },
    ...(original && { original: { data: Float64Array.from(original) } }),
  };
}

const errorsOf = (lists: Lists) => valueErrors(value(lists));

test('sizes of an error are those computed by hand', () => {
  const { rms, error, elementwise, counts } = errorsOf({ engine: [3.5, 4], exact: [3, 4] });
  expect(rms).toBeCloseTo(5 / Math.SQRT2, 15); // √((9 + 16) / 2)
  expect(error.max).toBe(0.5);
  expect(error.rms).toBeCloseTo(0.5 / Math.SQRT2, 15);
  expect(error.relativeRms).toBeCloseTo(0.1, 15); // 0.5 / 5
  expect(error.relativeMax).toBeCloseTo(0.1 * Math.SQRT2, 15);
  expect(elementwise).toEqual({ max: 0.5 / 3, rms: expect.closeTo(0.5 / 3 / Math.SQRT2, 15) });
  expect(counts).toEqual({ total: 2, compared: 2, masked: 0, nan: 0, infinite: 0, unreferenced: 0, notFiniteMade: 0 });
});

test('the two parts have the error between them, also where one undoes some of the other', () => {
  const half = errorsOf({ engine: [3.5, 4], local: [3.25, 4], exact: [3, 4] });
  expect([half.local.max, half.inherited.max, half.local.share, half.inherited.share]).toEqual([0.25, 0.25, 0.5, 0.5]);
  // Brought −0.5, made +1: the error is 0.5, of which the part made is twice as much.
  const undone = errorsOf({ engine: [3.5], local: [2.5], exact: [3] });
  expect([undone.local.share, undone.inherited.share]).toEqual([2, -1]);
  expect([undone.local.rms, undone.inherited.rms, undone.error.rms]).toEqual([1, 0.5, 0.5]);
  // At right angles to the error there is no share: brought (0.5, −0.5), made (0, 0.5), error (0.5, 0).
  const across = errorsOf({ engine: [1.5, 1], local: [1.5, 0.5], exact: [1, 1] });
  expect([across.local.share, across.inherited.share]).toEqual([0, 1]);
});

test('with original weights they are the truth, and what smaller weights do is a third part', () => {
  // Made 0.25, brought 0.25, weights 0.5: the error is 1, of which each has its share.
  const three = errorsOf({ engine: [4, 4], local: [3.75, 4], exact: [3.5, 4], original: [3, 4], bound: [0.5, 0.5] });
  expect([three.error.max, three.local.max, three.inherited.max, three.weights?.max]).toEqual([1, 0.25, 0.25, 0.5]);
  expect([three.local.share, three.inherited.share, three.weights?.share]).toEqual([0.25, 0.25, 0.5]);
  expect(three.rms).toBeCloseTo(5 / Math.SQRT2, 15); // of the original
  expect(three.worstElement).toEqual({ index: [0, 0, 0], engine: 4, exact: 3 });
  // The bound is of what float32 does: 0.5 of these 1.
  expect(three.bound).toMatchObject({ within: true, ratio: 1 });
  const spoilt = errorsOf({ engine: [4, 4], exact: [3.5, 4], original: [Number.NaN, 4] });
  expect(spoilt.counts).toMatchObject({ compared: 1, unreferenced: 1 });
  expect(errorsOf({ engine: [4], exact: [3] }).weights).toBe(null);
});

test('no error has no shares, though its parts may be there and cancel', () => {
  const none = errorsOf({ engine: [1, 2], exact: [1, 2] });
  expect([none.local.share, none.inherited.share, none.error.relativeRms, none.worstElement]).toEqual([
    null,
    null,
    0,
    null,
  ]);
  expect(none.worstPositions).toEqual([]);
  const cancelled = errorsOf({ engine: [1], local: [1.5], exact: [1] });
  expect([cancelled.local.share, cancelled.inherited.share]).toEqual([null, null]);
  expect([cancelled.local.rms, cancelled.inherited.rms, cancelled.error.rms]).toEqual([0.5, 0.5, 0]);
});

test('an error where the truth is 0 has no relative size, and an element of 0 no relative error', () => {
  const zero = errorsOf({ engine: [0.5], exact: [0] });
  expect([zero.error.relativeMax, zero.error.relativeRms, zero.cosineDistance]).toEqual([null, null, null]);
  expect(zero.elementwise).toEqual({ max: null, rms: null });
  expect(zero.worstPositions).toEqual([{ row: 0, pos: 0, rms: 0.5, relativeRms: null }]);
  expect(errorsOf({ engine: [0.5, 3], exact: [0, 2] }).elementwise).toEqual({ max: 0.5, rms: 0.5 });
});

test('parts add up to the error, element by element and in their shares', () => {
  const random = seeded(5);
  const numbers = (size: number, f: (i: number) => number) => Array.from({ length: size }, (_, i) => f(i));
  for (let round = 0; round < 50; round++) {
    const exact = numbers(100, () => (random() - 0.5) * 10 ** (8 * random() - 4));
    const local = exact.map((x) => x * (1 + 1e-7 * (random() - 0.5)));
    const engine = local.map((x) => x * (1 + 1e-7 * (random() - 0.5)));
    const compared = value({ engine, exact, local });
    const { error, made, brought } = splitError(compared);
    error.forEach((e, i) => {
      // Three differences of numbers of this size are rounded, and a sum.
      expect(Math.abs(made[i] + brought[i] - e)).toBeLessThanOrEqual(4 * 2 ** -53 * Math.abs(1.1 * exact[i]));
    });
    const { local: own, inherited } = valueErrors(compared);
    expect(Number(own.share) + Number(inherited.share)).toBe(1);
  }
});

test('elements are counted by their steps from the rounded truth, 0 being the correctly rounded ones', () => {
  const step = 2 ** -23;
  const steps = [0, 0, 1, 2, 3, 4, 5, 65536, 65537];
  // Less than half a step from the truth is rounded away.
  const exact = steps.map(() => 1 + 0.4 * step);
  const { ulps } = errorsOf({ engine: steps.map((count) => 1 + count * step), exact });
  expect([ulps.median, ulps.max]).toEqual([3, 65537]);
  const bins = [...ULP_BINS.map((end) => `≤ ${end}`), 'beyond'];
  const filled = ulps.histogram.flatMap((count, bin) => (count > 0 ? [[bins[bin], count]] : []));
  expect(filled).toEqual([
    ['≤ 0', 2],
    ['≤ 1', 1],
    ['≤ 2', 1],
    ['≤ 4', 2],
    ['≤ 8', 1],
    ['≤ 65536', 1],
    ['beyond', 1],
  ]);
  expect(errorsOf({ engine: [1, 1 + 3 * step], exact: [1, 1] }).ulps.median).toBe(1.5);
});

test('the cosine distance keeps its digits where 1 − cos has none', () => {
  const distance = (e: number[], x: number[]) => cosineDistance(Float64Array.from(e), Float64Array.from(x));
  // tan θ = 10⁻⁷: 1 − cos θ = θ²/2 − … = 5·10⁻¹⁵ − 3.75·10⁻²⁹; as 1 − dot / lengths it is 4.996·10⁻¹⁵.
  expect(Number(distance([0, 1e-7], [1, 0])) / 5e-15).toBeCloseTo(1, 12);
  expect(Number(distance([3e-9, 1e-9], [1, 3])) / (0.5 * 0.8e-9 ** 2)).toBeCloseTo(1, 8); // upright part 8/√10, length √10
  expect(distance([1, 2], [1, 2])).toBe(0); // twice as long
  expect(Number(distance([-1, 1], [1, 0]))).toBeCloseTo(1, 15); // (0, 1)
  expect(distance([-2, 0], [1, 0])).toBe(2); // (−1, 0)
  expect([distance([1], [0]), distance([-1], [1]), distance([], [])]).toEqual([null, null, null]);
});

test('NaN and infinities are counted and left out; those from finite inputs are made here', () => {
  const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
  const errors = errorsOf({
    engine: [1.5, nan, nan, infinity, -infinity, 7],
    local: [1, 2, nan, 4, 5, nan],
    exact: [1, 2, 3, 4, 5, 6],
  });
  expect(errors.counts).toEqual({
    total: 6,
    compared: 1,
    masked: 0,
    nan: 2,
    infinite: 2,
    unreferenced: 1,
    notFiniteMade: 3,
  });
  expect([errors.error.max, errors.error.rms, errors.rms]).toEqual([0.5, 0.5, 1]);
  expect([errors.localBound.within, errors.localBound.outside]).toEqual([false, 0]);
  expect(errors.worstElement).toEqual({ index: [0, 0, 0], engine: 1.5, exact: 1 });
});

test('where nothing can be compared there is no figure', () => {
  const { error, local, inherited, ulps, localBound, worstElement, worstPositions, rms } = errorsOf({
    engine: [Number.NaN],
    exact: [1],
  });
  const none = { max: null, rms: null, relativeMax: null, relativeRms: null };
  expect([error, local, inherited]).toEqual([none, { ...none, share: null }, { ...none, share: null }]);
  expect([ulps.median, ulps.max, rms, worstElement, worstPositions]).toEqual([null, null, null, null, []]);
  expect(localBound).toEqual({ within: false, max: 0, ratio: null, outside: 0, unbounded: 0 });
});

const square = { shape: [1, 1, 2, 2], axes: ['batch', 'head_index', 'query_pos', 'key_pos'] };

test('keys after the query are masked where everybody says so, and compared or counted where not', () => {
  const masked = Number.NEGATIVE_INFINITY;
  const scores = errorsOf({ engine: [1, masked, 2, 3], exact: [1, masked, 2, 3], ...square });
  expect(scores.counts).toMatchObject({ compared: 3, masked: 1, infinite: 0 });
  expect(scores.localBound.within).toBe(true);
  const pattern = errorsOf({ engine: [1, 0, 0.5, 0.5], exact: [1, 0, 0.5, 0.5], ...square });
  expect(pattern.counts).toMatchObject({ compared: 3, masked: 1 });
  expect(pattern.ulps.histogram[0]).toBe(3);
  // A score that should have been masked, one that should not, and a pattern that looks ahead.
  const unmasked = errorsOf({ engine: [1, 5, masked, 3], exact: [1, masked, 2, 3], ...square });
  expect(unmasked.counts).toMatchObject({ compared: 2, masked: 0, infinite: 1, unreferenced: 1, notFiniteMade: 1 });
  expect(unmasked.localBound.within).toBe(false);
  const ahead = errorsOf({ engine: [1, 0.25, 0.5, 0.5], exact: [1, 0, 0.5, 0.5], localBound: [0, 0, 0, 0], ...square });
  expect(ahead.counts).toMatchObject({ compared: 4, masked: 0 });
  expect(ahead.localBound).toEqual({ within: false, max: 0, ratio: null, outside: 1, unbounded: 0 });
});

test('errors stand beside their bounds; an error above one and an infinite bound are not within', () => {
  const check = (bound: number[]) =>
    errorsOf({ engine: [1.5, 2], exact: [1, 2], local: [1, 2], localBound: bound }).localBound;
  expect(check([0.5, 0])).toEqual({ within: true, max: 0.5, ratio: 1, outside: 0, unbounded: 0 });
  expect(check([0.25, 8])).toEqual({ within: false, max: 8, ratio: 2, outside: 1, unbounded: 0 });
  expect(check([0, 1])).toEqual({ within: false, max: 1, ratio: null, outside: 1, unbounded: 0 });
  const { POSITIVE_INFINITY: infinity } = Number;
  expect(check([1, infinity])).toEqual({ within: false, max: null, ratio: 0.5, outside: 0, unbounded: 1 });
  expect(check([infinity, infinity])).toEqual({ within: false, max: null, ratio: null, outside: 0, unbounded: 2 });
  // A bound that is no number holds nothing.
  expect(check([0.5, Number.NaN])).toMatchObject({ within: false, outside: 1 });
  // The bound of one operation is held against the part that the operation made, the other against all of the error.
  const parts = { engine: [1.5], local: [1.25], exact: [1], localBound: [0.25], bound: [2] };
  const { localBound, bound } = errorsOf(parts);
  expect([localBound.ratio, bound.ratio]).toEqual([1, 0.25]);
});

test('the worst positions are those with the largest error in units of their own size', () => {
  const shape = [2, 2, 1, 2];
  const axes = ['batch', 'pos', 'head_index', 'd_head'];
  const exact = [100, 0, 1, 0, 10, 0, 1, 1];
  const engine = [101, 0, 1.5, 0, 11, 0, 1, 1];
  const { worstPositions, worstElement } = errorsOf({ engine, exact, shape, axes });
  expect(worstPositions).toEqual([
    { row: 0, pos: 1, rms: expect.closeTo(0.5 / Math.SQRT2, 15), relativeRms: 0.5 },
    { row: 1, pos: 0, rms: expect.closeTo(1 / Math.SQRT2, 15), relativeRms: expect.closeTo(0.1, 15) },
    { row: 0, pos: 0, rms: expect.closeTo(1 / Math.SQRT2, 15), relativeRms: expect.closeTo(0.01, 15) },
  ]);
  expect(worstElement).toEqual({ index: [0, 0, 0, 0], engine: 101, exact: 100 });
  // Scores and patterns: the position that looks.
  const pattern = errorsOf({ engine: [1, 0, 0.25, 0.5], exact: [1, 0, 0.5, 0.5], ...square });
  expect(pattern.worstPositions).toMatchObject([{ row: 0, pos: 1 }]);
  expect(pattern.worstElement?.index).toEqual([0, 0, 1, 0]);
});
