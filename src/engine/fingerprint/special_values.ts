// The signs of zeros, infinities and NaN. WGSL lets implementations ignore the first and assume that there are none of
// the others.
import type { Inputs, Outcome, Probe } from './cases.ts';
import { LARGEST_FINITE } from './float32.ts';

const { NaN: NAN, POSITIVE_INFINITY: INFINITE } = Number;

const cases = (...lists: readonly (readonly number[])[]): Inputs[] => lists.map((list) => Float32Array.from(list));

/** The sign bit comes back as a number, so that no later step can lose it. `ieee` is the same formula in JavaScript. */
function signProbe(formula: string, ieee: (x: Inputs) => number, lists: readonly (readonly number[])[]) {
  const sign: Outcome = (x) => [Object.is(ieee(x), -0) || ieee(x) < 0 ? 1 : 0];
  return {
    formula,
    wgsl: `return f32(bitcast<u32>(${formula}) >> 31u);`,
    cases: cases(...lists),
    outcomes: { kept: sign },
  } satisfies Probe<'kept'>;
}

const NUMBERS = [[1], [-1], [0.1], [-3e5], [7e-20], [-0.7], [1e30], [-1e-30]];

/** By the name of what is computed; the literal `0.0` is what compilers fold. */
export const ZERO_SIGNS = {
  copy: [signProbe('a', ([a]) => a, [[-0], [0]])],
  sum: [
    signProbe('a + b', ([a, b]) => a + b, [
      [-0, -0],
      [-0, 0],
      [0, -0],
      [0, 0],
    ]),
  ],
  product: [
    signProbe('a * b', ([a, b]) => a * b, [
      [0, -1],
      [-0, 1],
      [-0, -1],
      [0, 2],
      [3, -0],
    ]),
  ],
  timesZero: [signProbe('a * 0.0', ([a]) => a * 0, [...NUMBERS, [-0]])],
  plusZero: [signProbe('a + 0.0', ([a]) => a + 0, [[-0], [0]])],
  minusItself: [signProbe('a - a', ([a]) => a - a, NUMBERS)],
} as const satisfies Record<string, readonly Probe<'kept'>[]>;

const overflow = {
  infinity: ([a]: Inputs) => [Math.sign(a) * INFINITE],
  'largest finite': ([a]: Inputs) => [Math.sign(a) * LARGEST_FINITE],
};

export const OVERFLOW: readonly Probe<'infinity' | 'largest finite'>[] = [
  {
    formula: 'a + b',
    wgsl: 'return a + b;',
    cases: cases([3e38, 2e38], [-3e38, -2e38], [2e38, 3e38]),
    outcomes: overflow,
  },
  { formula: 'a·b', wgsl: 'return a * b;', cases: cases([1e30, 1e30], [-1e30, 1e10], [3e38, 2]), outcomes: overflow },
];

/** Quiet and signalling, of either sign, with the least and the largest payload. */
const NANS = [0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff].map(
  (bits) => new Float32Array(Uint32Array.of(bits).buffer),
);
const NUMBERS_OF_ALL_KINDS = cases(...NUMBERS, [0], [-0], [1e-40], [INFINITE], [-INFINITE], [LARGEST_FINITE]);

/** 1 for a NaN and 0 for every number. */
function nanTest(formula: string, condition: string): Probe<'right'> {
  const outcomes = { right: ([a]: Inputs) => [Number.isNaN(a) ? 1 : 0] };
  return {
    formula,
    wgsl: `return select(0.0, 1.0, ${condition});`,
    cases: [...NANS, ...NUMBERS_OF_ALL_KINDS],
    outcomes,
  };
}

export const NAN_BY_COMPARISON = [nanTest('a ≠ a', 'a != a')];
export const NAN_BY_BITS = [nanTest('by the bits of a', '(bitcast<u32>(a) & 0x7fffffffu) > 0x7f800000u')];

const isNan = { kept: () => [NAN] };

export const NAN_MADE: readonly Probe<'kept'>[] = [
  {
    formula: 'a − b',
    wgsl: 'return a - b;',
    cases: cases([INFINITE, INFINITE], [-INFINITE, -INFINITE]),
    outcomes: isNan,
  },
  {
    formula: 'a·b',
    wgsl: 'return a * b;',
    cases: cases([0, INFINITE], [-INFINITE, 0], [-0, INFINITE]),
    outcomes: isNan,
  },
];

export const NAN_PASSED: readonly Probe<'kept'>[] = [
  { formula: 'a + b', wgsl: 'return a + b;', cases: cases([NAN, 1], [-1, NAN], [NAN, INFINITE]), outcomes: isNan },
  { formula: 'a·b', wgsl: 'return a * b;', cases: cases([NAN, 2], [0, NAN], [INFINITE, NAN]), outcomes: isNan },
];

/** What is 0 for every number is NaN for these. */
const NO_NUMBERS = [...cases([INFINITE], [-INFINITE]), ...NANS];
const zeroOrNan = { computed: () => [NAN], folded: () => [0] };

export const SELF_DIFFERENCE: readonly Probe<'computed' | 'folded'>[] = [
  { formula: 'a − a', wgsl: 'return a - a;', cases: NO_NUMBERS, outcomes: zeroOrNan },
];

export const TIMES_ZERO: readonly Probe<'computed' | 'folded'>[] = [
  { formula: 'a·0', wgsl: 'return a * 0.0;', cases: NO_NUMBERS, outcomes: zeroOrNan },
];

/** All four differ on two such cases. */
const ofTwo = {
  number: ([a, b]: Inputs) => [Number.isNaN(a) ? b : a],
  NaN: () => [NAN],
  first: ([a]: Inputs) => [a],
  second: ([, b]: Inputs) => [b],
};
const NAN_AND_NUMBER = cases([NAN, 1], [1, NAN], [NAN, -2], [-2, NAN], [NAN, INFINITE], [INFINITE, NAN]);

export const MIN_MAX_OF_NAN: readonly Probe<keyof typeof ofTwo>[] = [
  { formula: 'min(a, b)', wgsl: 'return min(a, b);', cases: NAN_AND_NUMBER, outcomes: ofTwo },
  { formula: 'max(a, b)', wgsl: 'return max(a, b);', cases: NAN_AND_NUMBER, outcomes: ofTwo },
];

export const TANH_OF_LARGE: readonly Probe<'±1' | 'NaN'>[] = [
  {
    formula: 'tanh a',
    wgsl: 'return tanh(a);',
    cases: cases([100], [-100], [-1000], [1e10], [-LARGEST_FINITE]),
    outcomes: { '±1': ([a]) => [Math.sign(a)], NaN: () => [NAN] },
  },
];
