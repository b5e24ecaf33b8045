import { expect, test } from 'vitest';
import { divergence, predictionErrors } from '../../src/numerics/prediction_errors.ts';
import { seeded } from '../random.ts';

const compare = (engine: number[], exact: number[], k = 3) =>
  predictionErrors({ engine: Float32Array.from(engine), exact: Float64Array.from(exact) }, [1, 1, exact.length], k)[0];

test('an error that does not reach the margin changes nothing', () => {
  const { divergence: nats, ...rest } = compare([4.25, 1, 2, 3], [4, 1, 2, 3]);
  expect(rest).toEqual({
    ...{ row: 0, pos: 0, exactTop: 0, engineTop: 0 },
    ...{ margin: 1, marginInErrors: 4, swaps: 0, replaced: 0 },
  });
  expect(nats).toBeGreaterThan(0);
  expect(compare([4, 1, 2, 3], [4, 1, 2, 3])).toMatchObject({ marginInErrors: null, divergence: 0 });
});

test('a changed prediction, swaps and newcomers among the first k are counted', () => {
  // True order 0 1 2 3 4, the engine's 1 0 3 2 4.
  const [exact, engine] = [
    [5, 4, 3, 2, 1],
    [4, 5, 2, 3, 1],
  ];
  expect(compare(engine, exact, 5)).toMatchObject({ exactTop: 0, engineTop: 1, swaps: 2, replaced: 0 });
  expect(compare(engine, exact, 3)).toMatchObject({ swaps: 1, replaced: 1 });
  expect(compare(engine, exact, 1)).toMatchObject({ swaps: 0, replaced: 1, margin: 1, marginInErrors: 1 });
  expect(compare([1, 2, 3, 4, 5], exact, 9)).toMatchObject({ swaps: 10, replaced: 0 });
});

test('of equal logits the smaller id comes first, in both', () => {
  expect(compare([2, 2, 1], [2, 2, 1])).toMatchObject({ exactTop: 0, engineTop: 0, margin: 0, swaps: 0 });
  expect(compare([2, 2, 1], [2, 3, 1])).toMatchObject({ exactTop: 1, engineTop: 0, swaps: 1 });
});

test('one token has no margin', () => {
  expect(compare([2], [1])).toMatchObject({ exactTop: 0, margin: null, marginInErrors: null, divergence: 0 });
});

test('a logit that is no finite number leaves nothing to say of its position, and all of the others', () => {
  const logits = { engine: Float32Array.of(1, 2, Number.NaN, 4, 5, 6), exact: Float64Array.of(1, 2, 3, 4, 6, 5) };
  const [first, second, third] = predictionErrors(logits, [1, 3, 2], 2);
  expect([first.engineTop, third.engineTop, third.exactTop]).toEqual([1, 1, 0]);
  const { row, pos, ...figures } = second;
  expect([row, pos]).toEqual([0, 1]);
  expect(new Set(Object.values(figures))).toEqual(new Set([null]));
  const rows = predictionErrors({ engine: Float32Array.of(1, 2), exact: Float64Array.of(1, 2) }, [2, 1, 1], 2);
  expect(rows.map((position) => [position.row, position.pos])).toEqual([
    [0, 0],
    [1, 0],
  ]);
});

/** Σ p·(log p − log q), as it is written. */
function plainDivergence(engine: readonly number[], exact: readonly number[]): number {
  const logProbabilities = (x: readonly number[]) => {
    const maximum = Math.max(...x);
    const logTotal = maximum + Math.log(x.reduce((sum, one) => sum + Math.exp(one - maximum), 0));
    return x.map((one) => one - logTotal);
  };
  const [p, q] = [logProbabilities(exact), logProbabilities(engine)];
  return p.reduce((sum, one, i) => sum + Math.exp(one) * (one - q[i]), 0);
}

test('the divergence is Σ p·(log p − log q), for small and for huge errors', () => {
  const random = seeded(9);
  for (const size of [0.01, 0.3, 1, 10, 100]) {
    for (let round = 0; round < 20; round++) {
      const exact = Array.from({ length: 30 }, () => 5 * random());
      const engine = exact.map((x) => x + size * (random() - 0.5));
      const want = plainDivergence(engine, exact);
      expect(Math.abs(divergence({ engine, exact }) - want)).toBeLessThanOrEqual(1e-13 * Math.max(1, want));
    }
  }
  expect(divergence({ engine: [2000, 0], exact: [0, 0] })).toBeCloseTo(1000 - Math.LN2, 9); // q = (1, e⁻²⁰⁰⁰)
  expect(divergence({ engine: [0, 2000], exact: [1000, 0] })).toBeCloseTo(2000, 9);
});

test('the divergence of tiny errors keeps its digits, and a common error is none', () => {
  // p = (½, ½), d = ±h/2: log cosh(h/2) = h²/8 − …
  for (const h of [1e-4, 1e-7, 1e-10]) {
    expect(divergence({ engine: [h, 0], exact: [0, 0] }) / ((h * h) / 8)).toBeCloseTo(1, 6);
  }
  expect(divergence({ engine: [1.5, 2.5, 3.5], exact: [1, 2, 3] })).toBeLessThan(1e-30);
});
