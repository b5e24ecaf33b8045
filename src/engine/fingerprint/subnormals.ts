// What becomes of numbers below 2^-126. WGSL lets adapters take them as 0, be they inputs or results.
import { type Probe, probe, type Random } from './cases.ts';
import { SMALLEST_NORMAL } from './float32.ts';

export type Subnormals = 'kept' | 'flushed';

const { fround } = Math;

/** Positive, of at most 12 bits, so that what is made of it is exact. */
const subnormal = (random: Random) => (1 + random.below(2 ** 12)) * 2 ** -140;
const flushed = () => [0];

export const SUBNORMAL_COPIES: readonly Probe<Subnormals>[] = [
  probe('a', 'return a;', {
    outcomes: { kept: ([a]) => [a], flushed },
    draw: (random) => [random.sign() * subnormal(random)],
  }),
];

export const SUBNORMAL_INPUTS: readonly Probe<Subnormals>[] = [
  probe('a·2^40', 'return a * b;', {
    outcomes: { kept: ([a, b]) => [a * b], flushed },
    draw: (random) => [random.sign() * subnormal(random), 2 ** 40],
  }),
  probe('a + 2^-126', 'return a + b;', {
    outcomes: { kept: ([a, b]) => [a + b], flushed: ([, b]) => [b] },
    draw: (random) => [subnormal(random), SMALLEST_NORMAL],
  }),
  probe('a > 0', 'return select(0.0, 1.0, a > b);', {
    outcomes: { kept: () => [1], flushed },
    draw: (random) => [subnormal(random), 0],
  }),
];

export const SUBNORMAL_SUMS: readonly Probe<Subnormals>[] = [
  probe('a − b', 'return a - b;', {
    outcomes: { kept: ([a, b]) => [a - b], flushed },
    draw: (random) => [SMALLEST_NORMAL + subnormal(random), SMALLEST_NORMAL],
  }),
];

export const SUBNORMAL_PRODUCTS: readonly Probe<Subnormals>[] = [
  probe('a·b', 'return a * b;', {
    outcomes: { kept: ([a, b]) => [a * b], flushed },
    draw: (random) => [random.sign() * subnormal(random) * 2 ** 100, 2 ** -100],
  }),
];

/**
 * (1 − j·2^-23)·(1 + j·2^-23)·2^-126 = (1 − j²·2^-46)·2^-126. Up to j = 1448 it is 2^-126 already when it is rounded to
 * 24 bits; from there to 2048 only on the grid of subnormal numbers, which is coarser.
 */
const belowNormal = (j: number) => [1 - j * 2 ** -23, (1 + j * 2 ** -23) * SMALLEST_NORMAL];

export const PRODUCTS_JUST_BELOW_NORMAL: readonly Probe<'rounded up' | 'flushed after rounding' | 'flushed'>[] = [
  {
    formula: 'a·b, at most half a step below 2^-126',
    wgsl: 'return a * b;',
    cases: [
      ...[1, 10, 100, 500, 1000, 1300, 1440, 1447].map(belowNormal),
      ...[1449, 1460, 1500, 1700, 1900, 2000, 2040].map(belowNormal),
      [1 - 2 ** -24, SMALLEST_NORMAL], // just half a step: 2^-126 is the even one
    ].map((list) => Float32Array.from(list)),
    outcomes: {
      'rounded up': () => [SMALLEST_NORMAL],
      'flushed after rounding': ([a, b]) => [fround(a * (b / SMALLEST_NORMAL)) < 1 ? 0 : SMALLEST_NORMAL],
      flushed,
    },
  },
];
