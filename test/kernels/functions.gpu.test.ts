// Every scalar function on the GPU against its float64 reference: swept over its domain, and at the arguments where such
// functions go wrong.

import { describe, expect, test } from 'vitest';
import { measureGuarding } from '../../src/engine/guarding.ts';
import { divide } from '../../src/kernels/functions/divide.ts';
import { errorFunction } from '../../src/kernels/functions/error_function.ts';
import { exponential } from '../../src/kernels/functions/exponential.ts';
import { hyperbolicTangent } from '../../src/kernels/functions/hyperbolic_tangent.ts';
import { normalCumulative } from '../../src/kernels/functions/normal_cumulative.ts';
import { reciprocal } from '../../src/kernels/functions/reciprocal.ts';
import { reciprocalSquareRoot } from '../../src/kernels/functions/reciprocal_square_root.ts';
import { sigmoid } from '../../src/kernels/functions/sigmoid.ts';
import { squareRoot } from '../../src/kernels/functions/square_root.ts';
import type { Arithmetic, Guarding, ScalarFunction } from '../../src/kernels/prelude.ts';
import { ulp } from '../../src/numerics/float32.ts';
import { testDevice, withErrorScopes } from '../device.ts';
import { inChromeEvery } from '../sample.ts';
import { CHECKED_FUNCTIONS, type CheckedFunction, evaluatePairs } from './scalar_functions.ts';

const FLOAT_MAX = 3.4028234663852886e38;
const SMALLEST_ARGUMENT = 1e-30;
const ARGUMENTS = 100_000;
const { NaN: NAN, POSITIVE_INFINITY: INFINITE } = Number;

/** Arguments of the function and the value that must come out, bit for bit. */
const EXACT: readonly (readonly [ScalarFunction, readonly number[], number])[] = [
  [reciprocal, [1], 1],
  [reciprocal, [0.25], 4],
  [divide, [0, 5], 0],
  [divide, [-6, 3], -2],
  [divide, [1, 3], Math.fround(1 / 3)],
  [divide, [-1e-30, -1e-30], 1],
  [divide, [1e30, 1e-30], FLOAT_MAX],
  [divide, [1e-30, -1e30], -0],
  [divide, [INFINITE, 3], INFINITE],
  [divide, [INFINITE, -3], -INFINITE],
  [divide, [-INFINITE, 1e-30], -INFINITE],
  [divide, [3, INFINITE], 0],
  [divide, [-FLOAT_MAX, INFINITE], -0],
  [divide, [0, INFINITE], 0],
  [divide, [INFINITE, INFINITE], NAN],
  [divide, [INFINITE, -INFINITE], NAN],
  [divide, [1, 0], INFINITE],
  [divide, [-1e-30, 0], -INFINITE],
  [divide, [INFINITE, 0], INFINITE],
  [divide, [0, 0], NAN],
  [reciprocalSquareRoot, [1], 1],
  [reciprocalSquareRoot, [4], 0.5],
  [squareRoot, [0], 0],
  [squareRoot, [1], 1],
  [squareRoot, [4], 2],
  [squareRoot, [1e-30], Math.fround(Math.sqrt(Math.fround(1e-30)))],
  [squareRoot, [2 ** 126], 2 ** 63],
  [squareRoot, [INFINITE], INFINITE],
  [squareRoot, [-INFINITE], NAN],
  [squareRoot, [-1], NAN],
  [squareRoot, [-0], -0],
  [exponential, [0], 1],
  [exponential, [-INFINITE], 0],
  [exponential, [INFINITE], INFINITE],
  [exponential, [-87.4], 0],
  [exponential, [-1000], 0],
  [exponential, [-FLOAT_MAX], 0],
  [exponential, [88.8], FLOAT_MAX],
  [exponential, [1000], FLOAT_MAX],
  [exponential, [FLOAT_MAX], FLOAT_MAX],
  [sigmoid, [0], 0.5],
  [sigmoid, [-100], 0],
  [sigmoid, [100], 1],
  [sigmoid, [-FLOAT_MAX], 0],
  [sigmoid, [FLOAT_MAX], 1],
  [sigmoid, [-INFINITE], 0],
  [sigmoid, [INFINITE], 1],
  [hyperbolicTangent, [-INFINITE], -1],
  [hyperbolicTangent, [INFINITE], 1],
  [hyperbolicTangent, [0], 0],
  [hyperbolicTangent, [1e-30], Math.fround(1e-30)],
  [hyperbolicTangent, [100], 1],
  [hyperbolicTangent, [-100], -1],
  [hyperbolicTangent, [FLOAT_MAX], 1],
  [hyperbolicTangent, [-FLOAT_MAX], -1],
  [errorFunction, [-INFINITE], -1],
  [errorFunction, [INFINITE], 1],
  [normalCumulative, [-INFINITE], 0],
  [normalCumulative, [INFINITE], 1],
  [errorFunction, [0], 0],
  [errorFunction, [10], 1],
  [errorFunction, [-10], -1],
  [errorFunction, [-FLOAT_MAX], -1],
  [normalCumulative, [0], 0.5],
  [normalCumulative, [-13], 0],
  [normalCumulative, [-FLOAT_MAX], 0],
  [normalCumulative, [13], 1],
  [normalCumulative, [FLOAT_MAX], 1],
];

const ARITHMETICS: readonly Arithmetic[] = ['fast', 'reproducible', 'guarded'];

/** The function on the test device, at each list of one or two arguments; as float32 they keep the bits of a NaN. */
async function evaluate(
  f: CheckedFunction,
  argumentLists: readonly (readonly number[] | Float32Array)[],
  arithmetic: Arithmetic,
): Promise<Float32Array> {
  const pairs = new Float32Array(2 * argumentLists.length);
  argumentLists.forEach((list, i) => {
    pairs.set(list, 2 * i);
  });
  const device = await testDevice();
  return withErrorScopes(device, () => evaluatePairs(device, f, pairs, arithmetic));
}

/** Uniform in [0, 1): mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The float32 number at a place of [0, 1): on the interval itself, or on its magnitudes, spaced by ratio, of either sign. */
function argumentAt([low, high]: readonly [number, number], place: number, isLogarithmic: boolean): number {
  if (!isLogarithmic) return Math.fround(low + (high - low) * place);
  const isNegative = low < 0 && place < 0.5;
  const [smallest, largest] = [Math.max(SMALLEST_ARGUMENT, low), isNegative ? -low : high];
  const within = low < 0 ? (2 * place) % 1 : place;
  return Math.fround((isNegative ? -1 : 1) * smallest * (largest / smallest) ** within);
}

/** A quarter each: evenly spaced, spaced by ratio, random and even, random by ratio; a second argument is always random. */
function sweepArguments(domain: readonly (readonly [number, number])[], seed: number): number[][] {
  const random = randomNumbers(seed);
  const quarter = ARGUMENTS / 4;
  return Array.from({ length: ARGUMENTS }, (_, i) =>
    domain.map((interval, position) => {
      const place = i < ARGUMENTS / 2 && position === 0 ? (i % quarter) / (quarter - 1) : random();
      // Evenly spaced arguments of a quotient would all be near 1e30: there the ratio is what matters.
      return argumentAt(interval, Math.min(place, 1 - 2 ** -24), i % (2 * quarter) >= quarter || domain.length > 1);
    }),
  ).filter((list) => list.every((x, k) => x >= Math.fround(domain[k][0]) && x <= Math.fround(domain[k][1])));
}

/** Error in units in the last place of the binade of the correctly rounded result; 0 where both are 0. */
function ulpError(got: number, want: number): number {
  return Math.abs(got - want) / ulp(want);
}

const isNormal = (x: number) => x === 0 || (Math.abs(x) >= 2 ** -126 && Math.abs(x) <= FLOAT_MAX);

const SAMPLED = inChromeEvery(3, CHECKED_FUNCTIONS);

describe.each(SAMPLED.flatMap((f) => ARITHMETICS.map((arithmetic) => [f.name, arithmetic, f] as const)))(
  '%s, %s',
  (_, arithmetic, f) => {
    test(`is within ${f.maxUlp} ULP of float64 over its domain (seed 1)`, async () => {
      const lists = sweepArguments(f.domain, 1).filter((list) => isNormal(f.reference(...list)));
      expect(lists.length).toBeGreaterThan(0.6 * ARGUMENTS);
      const got = await evaluate(f, lists, arithmetic);
      let count = 0;
      let worst = { error: -1, message: '' };
      lists.forEach((list, i) => {
        const want = f.reference(...list);
        const error = ulpError(got[i], want);
        if (!(error <= f.maxUlp)) count++;
        if (worst.error <= error || Number.isNaN(error)) {
          const message = `${f.name}(${list.join(', ')}) is ${want}, got ${got[i]}: ${error} ULP, bound ${f.maxUlp}`;
          worst = { error: Number.isNaN(error) ? Number.POSITIVE_INFINITY : error, message };
        }
      });
      expect(count, `${count} of ${lists.length} outside the bound; worst: ${worst.message}`).toBe(0);
    });

    test('is exact where it has to be', async () => {
      const cases = EXACT.filter(([{ name }]) => name === f.name);
      const got = await evaluate(
        f,
        cases.map(([, list]) => list),
        arithmetic,
      );
      const calls = cases.map(([, list]) => `${f.name}(${list.join(', ')})`);
      expect([...got].map((value, i) => [calls[i], value])).toEqual(cases.map(([, , want], i) => [calls[i], want]));
    });
  },
);

/** What this adapter needs for the bits of the emulation, and what any does with. */
const GUARDINGS = [...new Set<Guarding>([await measureGuarding(await testDevice()), 'guarded'])];

test.each(SAMPLED.flatMap((f) => GUARDINGS.map((guarding) => [f.name, guarding, f] as const)))(
  '%s, %s, equals its emulation bit for bit, within its domain and far outside (seeds 2, 3)',
  async (_, guarding, f) => {
    const everywhere = f.domain.map(() => [-FLOAT_MAX, FLOAT_MAX] as const);
    // 1/x and 1/√x are called with positive normal numbers.
    const isPositive = f.name === reciprocal.name || f.name === reciprocalSquareRoot.name;
    const lists = [...sweepArguments(f.domain, 2), ...(isPositive ? [] : sweepArguments(everywhere, 3))];
    const got = await evaluate(f, lists, guarding);
    const want = Float32Array.from(lists, (list) => f.emulate(...list));
    const different = lists.findIndex((_, i) => !Object.is(got[i], want[i]));
    expect(different, `${f.name}(${lists[different]?.join(', ')}) is ${want[different]}, got ${got[different]}`).toBe(
      -1,
    );
  },
);

/** Quiet and signalling, of either sign, with the least and the largest payload. */
const NANS = [0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff].map((bits) =>
  Float32Array.from(new Float32Array(Uint32Array.of(bits).buffer)),
);

test.each(SAMPLED.flatMap((f) => ARITHMETICS.map((arithmetic) => [f.name, arithmetic, f] as const)))(
  '%s, %s, of NaN is NaN, whatever its sign and payload',
  async (_, arithmetic, f) => {
    const others = f.domain.length > 1 ? [1, -3e30, 0, INFINITE, -INFINITE, NAN] : [0];
    const lists = NANS.flatMap((nan) =>
      others.flatMap((other) =>
        f.domain.map((_, at) => {
          const list = Float32Array.of(other, other);
          list.set(nan, at);
          return list.subarray(0, f.domain.length);
        }),
      ),
    );
    expect([...(await evaluate(f, lists, arithmetic))].map((value, i) => [[...lists[i]], value])).toEqual(
      lists.map((list) => [[...list], NAN]),
    );
  },
);

test('the comparison of the sweep sees a NaN, an infinity and a last place', () => {
  expect(ulpError(Number.NaN, 1) <= 4).toBe(false);
  expect(ulpError(Number.POSITIVE_INFINITY, 1) <= 4).toBe(false);
  expect(ulpError(1 + 2 ** -23, 1)).toBe(1);
  expect(ulpError(1, 1 - 2 ** -24)).toBe(1);
  expect(ulpError(0, 2 ** -126)).toBe(2 ** 23);
});
