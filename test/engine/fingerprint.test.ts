// The fingerprint without an adapter: what its probes expect against exact arithmetic, and whether every behaviour that
// it can tell is told, from simulated adapters.
import { expect, test } from 'vitest';
import {
  BUILTIN_FUNCTIONS,
  type BuiltinName,
  largestError,
  SAMPLE,
  sampleOf,
} from '../../src/engine/fingerprint/builtin_functions.ts';
import { allDiffer, behaviourOf, type Inputs, type Probe } from '../../src/engine/fingerprint/cases.ts';
import { answerOf, fingerprintOf, fnv1a, idOf, type ReadResults } from '../../src/engine/fingerprint/properties.ts';
import { QUESTIONS } from '../../src/engine/fingerprint/questions.ts';
import { createShader } from '../../src/engine/fingerprint/shader.ts';
import { subgroupAnswer, subgroupInput } from '../../src/engine/fingerprint/subgroups.ts';
import { Dyadic, type Mode } from './dyadic.ts';

type Question = keyof typeof QUESTIONS;
const PROBES = (Object.entries(QUESTIONS) as [Question, readonly Probe[]][]).flatMap(([question, probes]) =>
  probes.map((probe) => ({ question, formula: probe.formula, probe })),
);

const exact = (x: number) => Dyadic.of(x);
const add = (x: number, y: number) => exact(x).plus(exact(y)).toFloat32();
const subtract = (x: number, y: number) => exact(x).minus(exact(y)).toFloat32();
const multiply = (x: number, y: number) => exact(x).times(exact(y)).toFloat32();
const fuse = (x: number, y: number, z: number) => exact(x).times(exact(y)).plus(exact(z)).toFloat32();

/** Sums of eight terms, by hand. */
const SUM_OF_EIGHT: Record<string, (t: readonly number[]) => number> = {
  'in order': ([a, b, c, d, e, f, g, h]) => add(add(add(add(add(add(add(a, b), c), d), e), f), g), h),
  reversed: ([a, b, c, d, e, f, g, h]) => add(add(add(add(add(add(add(h, g), f), e), d), c), b), a),
  pairwise: ([a, b, c, d, e, f, g, h]) => add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h))),
  halves: ([a, b, c, d, e, f, g, h]) => add(add(add(a, e), add(c, g)), add(add(b, f), add(d, h))),
};

type Exact = (x: Inputs, behaviour: string) => number[];

const sumOfEight: Exact = (x, behaviour) => [SUM_OF_EIGHT[behaviour]([...x])];
const windows: Exact = (x, behaviour) =>
  [0, 1, 2, 3].map((lane) => SUM_OF_EIGHT[behaviour]([...x.subarray(lane, lane + 8)]));
const dotOfEight: Exact = (x, behaviour) => {
  const products = Array.from({ length: 8 }, (_, k) => multiply(x[k], x[8 + k]));
  if (behaviour !== 'fused') return [SUM_OF_EIGHT[behaviour](products)];
  let sum = products[0];
  for (let k = 1; k < 8; k++) sum = fuse(x[k], x[8 + k], sum);
  return [sum];
};

const multiplyAdd =
  (signOfProduct: number, signOfC: number): Exact =>
  ([a, b, c], behaviour) => [
    behaviour === 'one rounding'
      ? fuse(signOfProduct * a, b, signOfC * c)
      : add(signOfProduct * multiply(a, b), signOfC * c),
  ];
const multiplyAddOfVectors: Exact = (x, behaviour) =>
  [1, 2, 3, 4].map((k) => multiplyAdd(1, 1)(Float32Array.of(x[0], x[k], x[k + 4]), behaviour)[0]);
const MULTIPLY_ADD: Record<string, Exact> = {
  'a·b + c': multiplyAdd(1, 1),
  'c + a·b': multiplyAdd(1, 1),
  'a·b − c': multiplyAdd(1, -1),
  'c − a·b': multiplyAdd(-1, 1),
  'a·b + c of vectors': multiplyAddOfVectors,
};
const twoProducts: Exact = ([a, b, c], behaviour) => {
  if (behaviour === 'factored') return [multiply(a, add(b, c))];
  if (behaviour === 'second fused') return [fuse(a, c, multiply(a, b))];
  const isFused = ['fused', 'first fused', 'one rounding'].includes(behaviour);
  return [isFused ? fuse(a, b, multiply(a, c)) : add(multiply(a, b), multiply(a, c))];
};
const BARRIER: Record<string, Exact> = { ...MULTIPLY_ADD, 'a·b + a·c': twoProducts };
const keptOr =
  (kept: (x: Inputs) => number, flushed: (x: Inputs) => number): Exact =>
  (x, behaviour) => [behaviour === 'kept' ? kept(x) : flushed(x)];

const [POINT_SEVEN, POINT_ONE] = [Math.fround(0.7), Math.fround(0.1)];
const withConstant =
  (operation: (x: number, y: number) => number): Exact =>
  ([a, b], behaviour) => {
    if (behaviour === 'in order') return [operation(POINT_SEVEN, operation(a, b))];
    const [near, far] = behaviour === 'with the first' ? [a, b] : [b, a];
    return [operation(operation(POINT_SEVEN, near), far)];
  };
const twoConstants =
  (operation: (x: number, y: number) => number): Exact =>
  ([a], behaviour) => [
    behaviour === 'together'
      ? operation(a, operation(POINT_SEVEN, POINT_ONE))
      : operation(operation(a, POINT_SEVEN), POINT_ONE),
  ];

/** For every formula with numbers that are neither infinite nor NaN. */
const EXACT: Partial<Record<Question, Record<string, Exact>>> = {
  rounding: {
    'a + b': ([a, b], mode) => [
      exact(a)
        .plus(exact(b))
        .toFloat32(mode as Mode),
    ],
    'a - b': ([a, b], mode) => [
      exact(a)
        .minus(exact(b))
        .toFloat32(mode as Mode),
    ],
    'a * b': ([a, b], mode) => [
      exact(a)
        .times(exact(b))
        .toFloat32(mode as Mode),
    ],
  },
  multiplyAdd: MULTIPLY_ADD,
  barrierFromUniform: BARRIER,
  barrierFromStorage: BARRIER,
  fma: {
    'fma(a, b, c)': multiplyAdd(1, 1),
    'fma(−a, b, c)': multiplyAdd(-1, 1),
    'fma of vectors': multiplyAddOfVectors,
  },
  sums: {
    'a + b + … + h, in one expression': sumOfEight,
    'a + b + … + h, in a loop': sumOfEight,
    'a + b + … + h of vectors, in a loop': windows,
  },
  sumsOfProducts: {
    'a·i + b·j + … + h·p, in one expression': dotOfEight,
    'a·i + b·j + … + h·p, in a loop': dotOfEight,
  },
  barrierOfBrackets: {
    '0.7 + (a + b)': withConstant(add),
    '0.7·(a·b)': withConstant(multiply),
    '(a + 0.7) + 0.1': twoConstants(add),
    '(a·0.7)·0.1': twoConstants(multiply),
    '(a + b) − a': ([a, b], behaviour) => [behaviour === 'folded' ? b : subtract(add(a, b), a)],
  },
  sumsWithConstant: { '0.7 + (a + b)': withConstant(add), '(a + b) + 0.7': withConstant(add) },
  productsWithConstant: { '0.7·(a·b)': withConstant(multiply), '(a·b)·0.7': withConstant(multiply) },
  twoConstants: { '(a + 0.7) + 0.1': twoConstants(add), '(a·0.7)·0.1': twoConstants(multiply) },
  divisionByConstant: {
    'a / 0.7': ([a], behaviour) => [
      // Rounding the quotient of two float32 twice, to float64 and to float32, rounds it correctly (Figueroa 1995).
      behaviour === 'divided' ? Math.fround(a / POINT_SEVEN) : multiply(a, Math.fround(1 / POINT_SEVEN)),
    ],
  },
  commonFactor: { 'a·b + a·c': twoProducts, '0.7·b + 0.7·c': twoProducts },
  commonFactorOfFma: {
    'fma(a, b, a·c)': twoProducts,
    'fma(a, c, fma(a, b, d))': ([a, b, c, d], behaviour) => {
      if (behaviour === 'factored') return [add(multiply(a, add(b, c)), d)];
      return [behaviour === 'fused' ? fuse(a, c, fuse(a, b, d)) : add(multiply(a, c), add(multiply(a, b), d))];
    },
  },
  cancellation: {
    '(a + b) − a': ([a, b], behaviour) => [behaviour === 'folded' ? b : subtract(add(a, b), a)],
  },
  constantCancellation: {
    '(a + 2^24) − 2^24': ([a], behaviour) => [behaviour === 'folded' ? a : subtract(add(a, 16777216), 16777216)],
  },
  twoSum: {
    'the rounding error of a + b': ([a, b], behaviour) => {
      const sum = add(a, b);
      const added = subtract(sum, a);
      const error = add(subtract(a, subtract(sum, added)), subtract(b, added)); // Knuth's own steps
      return [behaviour === 'folded' ? 0 : error];
    },
  },
  split: {
    'a − its upper 12 bits': ([a], behaviour) => {
      const spacing = 2 ** (Math.floor(Math.log2(Math.abs(a))) - 11); // 12 bits, the first among them
      return [behaviour === 'folded' ? 0 : subtract(a, Math.trunc(a / spacing) * spacing)];
    },
  },
  subnormalCopies: {
    a: keptOr(
      ([a]) => a,
      () => 0,
    ),
  },
  subnormalInputs: {
    'a·2^40': keptOr(
      ([a, b]) => multiply(a, b),
      () => 0,
    ),
    'a + 2^-126': keptOr(
      ([a, b]) => add(a, b),
      ([, b]) => b,
    ),
    'a > 0': keptOr(
      () => 1,
      () => 0,
    ),
  },
  subnormalSums: {
    'a − b': keptOr(
      ([a, b]) => subtract(a, b),
      () => 0,
    ),
  },
  subnormalProducts: {
    a·b: keptOr(
      ([a, b]) => multiply(a, b),
      () => 0,
    ),
  },
  productsJustBelowNormal: {
    'a·b, at most half a step below 2^-126': ([a, b], behaviour) => {
      const product = exact(a).times(exact(b));
      const withoutLimit = product.toFloat32('nearest even', Number.NEGATIVE_INFINITY);
      if (behaviour === 'flushed after rounding') return [withoutLimit < 2 ** -126 ? 0 : withoutLimit];
      return [behaviour === 'flushed' ? 0 : product.toFloat32()];
    },
  },
};

test('every formula with finite numbers is checked against exact arithmetic', () => {
  for (const { question, formula, probe } of PROBES) {
    const areFinite = probe.cases.every((x) => x.every(Number.isFinite));
    const results = Object.values(probe.outcomes).flatMap((outcome) => probe.cases.flatMap((x) => [...outcome(x)]));
    const isLeftOut = !areFinite || !results.every(Number.isFinite) || /^sign|^tanh/.test(question);
    expect([question, formula, EXACT[question]?.[formula] === undefined]).toEqual([question, formula, isLeftOut]);
  }
});

test.each(PROBES.filter(({ question }) => EXACT[question]))(
  '$question, $formula: what is expected is exact',
  (item) => {
    const { question, formula, probe } = item;
    for (const [behaviour, outcome] of Object.entries(probe.outcomes)) {
      for (const x of probe.cases) {
        const got = outcome(x).map((y) => y + 0); // of two zeros the sign does not count
        expect([behaviour, ...x, ...got]).toEqual([
          behaviour,
          ...x,
          ...EXACT[question]![formula](x, behaviour).map((y) => y + 0),
        ]);
      }
    }
  },
);

test('the exact arithmetic is right where it can be seen', () => {
  expect(
    Dyadic.of(1)
      .plus(Dyadic.of(2 ** -24))
      .toFloat32(),
  ).toBe(1); // a tie, to even
  expect(
    Dyadic.of(1 + 2 ** -23)
      .plus(Dyadic.of(2 ** -24))
      .toFloat32(),
  ).toBe(1 + 2 ** -22);
  expect(
    Dyadic.of(1)
      .plus(Dyadic.of(2 ** -24))
      .toFloat32('nearest away'),
  ).toBe(1 + 2 ** -23);
  expect(
    Dyadic.of(-1)
      .minus(Dyadic.of(2 ** -60))
      .toFloat32('downward'),
  ).toBe(-1 - 2 ** -23);
  expect(
    Dyadic.of(-1)
      .minus(Dyadic.of(2 ** -60))
      .toFloat32('upward'),
  ).toBe(-1);
  expect(
    Dyadic.of(2 ** -100)
      .times(Dyadic.of(3 * 2 ** -50))
      .toFloat32(),
  ).toBe(2 ** -149 * 2); // 1.5 units: to even
  for (const x of [0.1, -3e-40, 1e-45, 123456789, -7]) expect(Dyadic.of(x).toFloat32()).toBe(Math.fround(x));
});

const four = (numbers: readonly number[]) => Float32Array.from({ length: 4 }, (_, lane) => numbers[lane] ?? 0);

/** Every result of a probe as one behaviour has it. */
const resultsOf = (probe: Probe, behaviour: string) => probe.cases.map((x) => four(probe.outcomes[behaviour](x)));

/** The behaviours of an adapter that follows IEEE 754 and does what is written. */
const usual = (probe: Probe) => Object.keys(probe.outcomes)[0];

/** An adapter that behaves as usual but for these questions; its functions are right to the last bit. */
function simulate(behaviours: Partial<Record<Question, string>> = {}): ReadResults {
  return (what) => {
    if (typeof what === 'string') return exactResults(what);
    const question = PROBES.find(({ probe }) => probe === what)!.question;
    return resultsOf(what, behaviours[question] ?? usual(what));
  };
}

const exactResultsOf = new Map<BuiltinName, Float32Array[]>();

function exactResults(name: BuiltinName): Float32Array[] {
  const known = exactResultsOf.get(name);
  if (known) return known;
  const builtin = BUILTIN_FUNCTIONS[name];
  const reference: (x: number, y: number) => number = builtin.reference;
  const results = sampleOf(builtin).map((x) => four([0, 1, 2, 3].map((lane) => reference(x[lane], x[4 + lane]))));
  exactResultsOf.set(name, results);
  return results;
}

test.each(PROBES)('$question, $formula: every behaviour is told from the others and from nonsense', ({ probe }) => {
  const names = Object.keys(probe.outcomes);
  for (const name of names) {
    const results = resultsOf(probe, name);
    expect(behaviourOf(probe, results)).toBe(name);
    for (let i = 0; i < results.length; i++) {
      for (const lane of probe.width === 4 ? [0, 1, 2, 3] : [0]) {
        const spoiled = results.map((result) => result.slice());
        spoiled[i][lane] = Number.isNaN(spoiled[i][lane]) ? 1 : Number.NaN;
        expect(names.filter((other) => other !== name).includes(behaviourOf(probe, spoiled))).toBe(false);
        expect([i, lane, behaviourOf(probe, spoiled)]).toEqual([i, lane, 'other']);
      }
    }
  }
});

test('chance cannot answer: every two behaviours differ on several cases, mostly on all', () => {
  for (const { question, formula, probe } of PROBES) {
    const outcomes = Object.values(probe.outcomes);
    const casesApart = outcomes.flatMap((first, i) =>
      outcomes.slice(0, i).map((second) => probe.cases.filter((x) => allDiffer([first(x), second(x)])).length),
    );
    // Two ways of rounding agree on most numbers, `number` and `first` on half of them.
    const least = ['rounding', 'minMaxOfNan', 'productsJustBelowNormal'].includes(question) ? 3 : probe.cases.length;
    expect([question, formula, casesApart.every((count) => count >= least)]).toEqual([question, formula, true]);
  }
});

test('a question is answered by all of its formulas together', () => {
  const [first, ...others] = QUESTIONS.multiplyAdd;
  const read =
    (ofFirst: string, ofOthers: string): ReadResults =>
    (what) =>
      resultsOf(what as Probe, what === first ? ofFirst : ofOthers);
  expect(others.length).toBeGreaterThan(2);
  expect(answerOf(QUESTIONS.multiplyAdd, read('two roundings', 'two roundings'))).toBe('two roundings');
  expect(answerOf(QUESTIONS.multiplyAdd, read('one rounding', 'one rounding'))).toBe('one rounding');
  expect(answerOf(QUESTIONS.multiplyAdd, read('two roundings', 'one rounding'))).toBe('mixed');
  const nonsense: ReadResults = (what) =>
    what === first ? first.cases.map(() => four([7])) : resultsOf(what as Probe, 'one rounding');
  expect(answerOf(QUESTIONS.multiplyAdd, nonsense)).toBe('other');
});

const PLAIN = fingerprintOf(simulate(), null);

test('an adapter that does what is written has the plainest fingerprint', () => {
  const { id, summary, ...properties } = PLAIN;
  expect(summary).toBe(
    'a·b+c not fused, fma not fused, rounding barrier holds, subnormals kept, sums in order, two-sum intact, ' +
      'NaN told by x != x, built-in exp up to 0 ULP off',
  );
  expect(id).toMatch(/^[0-9a-f]{8}$/);
  expect(id).toBe(idOf(properties));
  expect(JSON.parse(JSON.stringify(PLAIN))).toEqual(PLAIN);
  const expected: typeof properties = {
    version: 1,
    rounding: 'nearest even',
    multiplyAdd: 'two roundings',
    fma: 'two roundings',
    barrierFromUniform: true,
    barrierFromStorage: true,
    barrierOfBrackets: true,
    sums: 'in order',
    sumsOfProducts: 'in order',
    sumsWithConstant: 'in order',
    productsWithConstant: 'in order',
    twoConstants: 'in order',
    divisionByConstant: 'divided',
    commonFactor: 'computed',
    commonFactorOfFma: 'computed',
    cancellation: 'computed',
    constantCancellation: 'computed',
    twoSum: true,
    split: true,
    subnormalCopies: 'kept',
    subnormalInputs: 'kept',
    subnormalSums: 'kept',
    subnormalProducts: 'kept',
    productsJustBelowNormal: 'rounded up',
    zeroSigns: { copy: true, sum: true, product: true, timesZero: true, plusZero: true, minusItself: true },
    selfDifference: 'computed',
    timesZero: 'computed',
    overflow: 'infinity',
    nanByComparison: true,
    nanByBits: true,
    nanMade: true,
    nanPassed: true,
    minMaxOfNan: 'number',
    tanhOfLarge: '±1',
    builtinErrors: { exp: 0, log: 0, tanh: 0, tanhNearZero: 0, sin: 0, cos: 0, sqrt: 0, inverseSqrt: 0, divide: 0 },
    subgroupSize: null,
    subgroupAdd: null,
  };
  expect(properties).toEqual(expected);
  expect(Object.keys(PLAIN)).toEqual(['id', 'summary', ...Object.keys(expected)]);
});

test('an adapter that contracts everything, through the barrier too, is told', () => {
  const fused = fingerprintOf(
    simulate({
      multiplyAdd: 'one rounding',
      fma: 'one rounding',
      barrierFromUniform: 'one rounding',
      barrierFromStorage: 'one rounding',
      sumsOfProducts: 'fused',
    }),
    null,
  );
  expect(fused).toMatchObject({
    multiplyAdd: 'one rounding',
    fma: 'one rounding',
    barrierFromUniform: false,
    barrierFromStorage: false,
    sums: 'in order',
    sumsOfProducts: 'fused',
  });
  expect(fused.summary).toMatch(
    /^a·b\+c fused, fma fused, rounding barrier FAILS, subnormals kept, sums NOT in order, /,
  );
});

test('an adapter that flushes, folds and cannot tell NaN is told', () => {
  const flushed = Object.fromEntries(
    ['subnormalInputs', 'subnormalSums', 'subnormalProducts', 'productsJustBelowNormal'].map((name) => [
      name,
      'flushed',
    ]),
  );
  const folded = {
    twoConstants: 'together',
    commonFactor: 'factored',
    commonFactorOfFma: 'factored',
    cancellation: 'folded',
    twoSum: 'folded',
    selfDifference: 'folded',
    overflow: 'largest finite',
  };
  const nonsense = simulate({ ...flushed, ...folded });
  const [unable] = QUESTIONS.nanByComparison;
  const fingerprint = fingerprintOf((what) => (what === unable ? unable.cases.map(() => four([0])) : nonsense(what)), {
    size: 32,
    order: 'halves',
  });
  expect(fingerprint).toMatchObject({
    ...flushed,
    ...folded,
    twoSum: false,
    nanByComparison: false,
    subgroupSize: 32,
    subgroupAdd: 'halves',
  });
  expect(fingerprint.summary).toBe(
    'a·b+c not fused, fma not fused, rounding barrier holds, subnormals flushed (copies kept), sums in order, two-sum folded, ' +
      'constants regrouped, common factors taken out, of fma too, no infinities, NaN told by its bits alone, built-in exp up to 0 ULP off',
  );
});

test('every question changes the id', () => {
  const ids = new Set([PLAIN.id]);
  for (const [first] of Object.values(QUESTIONS) as (readonly Probe[])[]) {
    const read: ReadResults = (what) => (what === first ? first.cases.map(() => four([7])) : simulate()(what));
    ids.add(fingerprintOf(read, null).id);
  }
  ids.add(fingerprintOf(simulate(), { size: 4, order: 'pairwise' }).id);
  expect(ids.size).toBe(Object.keys(QUESTIONS).length + 2);
});

test('the id is FNV-1a', () => {
  // Test vectors of its authors.
  expect(['', 'a', 'foobar'].map(fnv1a)).toEqual(['811c9dc5', 'e40c292c', 'bf9cf968']);
});

test.each(Object.keys(BUILTIN_FUNCTIONS) as BuiltinName[])('the error of %s is counted in float32 steps', (name) => {
  const builtin = BUILTIN_FUNCTIONS[name];
  const sample = sampleOf(builtin);
  expect(4 * sample.length).toBe(SAMPLE);
  const { interval, signed } = builtin;
  const isInside = (x: number) =>
    Math.abs(x) >= Math.fround(interval[0]) && Math.abs(x) <= Math.fround(interval[1]) && (signed || x > 0);
  expect(sample.every((x) => x.every(isInside))).toBe(true);
  const right = exactResults(name);
  expect(
    right.every((result) => result.every((y) => Number.isFinite(y) && (y === 0 || Math.abs(y) >= 2 ** -126))),
  ).toBe(true);
  const spoiled = (change: (bits: number) => number, at = 100) => {
    const results = right.map((result) => result.slice());
    const bits = new Uint32Array(results[at].buffer);
    bits[3] = change(bits[3]);
    return largestError(builtin, sample, results);
  };
  expect(spoiled((bits) => bits)).toBe(0);
  expect(spoiled((bits) => bits + 1)).toBe(1);
  expect(spoiled((bits) => bits - 5, 511)).toBe(5);
  expect(spoiled(() => 0x7fc00000)).toBe('not finite');
  expect(spoiled(() => 0xff800000)).toBe('not finite');
});

test('results come back to the probe that they belong to', () => {
  const probes = PROBES.map(({ probe }) => probe);
  const { input, workgroups, resultBytes, read } = createShader(probes);
  expect(input.length).toBe(16 * 64 * workgroups + 1);
  expect(input.at(-1)).toBe(0);
  // An adapter that gives the first four inputs of each case.
  const results = new Float32Array(resultBytes / 4);
  for (let i = 0; i < 64 * workgroups; i++) results.set(input.subarray(16 * i, 16 * i + 4), 4 * i);
  for (const probe of probes) {
    expect(read(probe, results)).toEqual(probe.cases.map((x) => four([...x])));
  }
  for (const name of Object.keys(BUILTIN_FUNCTIONS) as BuiltinName[]) {
    expect(read(name, results)).toEqual(sampleOf(BUILTIN_FUNCTIONS[name]).map((x) => four([...x])));
  }
});

/** What a workgroup of 128 gives whose subgroups have this size and add this way. */
function subgroupResults(size: number, sum: (terms: number[]) => number): Float32Array {
  const input = subgroupInput();
  const sets = Array.from({ length: 8 }, (_, i) => {
    const begin = 128 * (8 * (Math.log2(size) - 2) + i);
    return [...input.subarray(begin, begin + size)];
  });
  const row = [size, ...sets.map(sum)];
  return Float32Array.from(Array.from({ length: 128 }, () => row).flat());
}

const inOrder = (terms: number[]) => terms.reduce(add);
const byHalves = (terms: number[]): number => {
  const half = terms.length / 2;
  return half < 1 ? terms[0] : byHalves(terms.slice(0, half).map((term, i) => add(term, terms[half + i])));
};
const byNeighbours = (terms: number[]): number =>
  terms.length === 1
    ? terms[0]
    : byNeighbours(terms.filter((_, i) => i % 2 === 0).map((term, i) => add(term, terms[2 * i + 1])));

test.each([4, 8, 16, 32, 64, 128])('the order of subgroupAdd is told for subgroups of %i', (size) => {
  const told = (sum: (terms: number[]) => number) => subgroupAnswer(subgroupResults(size, sum));
  expect(told(inOrder)).toEqual({ size, order: 'in order' });
  expect(told((terms) => inOrder(terms.reverse()))).toEqual({ size, order: 'reversed' });
  expect(told(byNeighbours)).toEqual({ size, order: 'pairwise' });
  expect(told(byHalves)).toEqual({ size, order: 'halves' });
  expect(told((terms) => inOrder(terms) + 1)).toEqual({ size, order: 'other' });
  expect(told(() => Number.NaN)).toEqual({ size, order: 'other' });
  const uneven = subgroupResults(size, inOrder);
  uneven[9 * 70 + 3] += 1; // one invocation got another sum
  expect(subgroupAnswer(uneven)).toEqual({ size, order: 'other' });
});

test('subgroups of no one size, or of none that WebGPU has, have no order', () => {
  const uneven = subgroupResults(8, inOrder);
  uneven[9 * 64] = 16;
  for (const results of [uneven, new Float32Array(9 * 128), new Float32Array(9 * 128).fill(Number.NaN)]) {
    expect(subgroupAnswer(results)).toEqual({ size: null, order: 'other' });
  }
});
