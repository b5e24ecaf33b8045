// In which order sums are added, and whether algebra that holds for real numbers is applied to float32. WGSL lets
// implementations reassociate.
import { type Draw, type Inputs, type Outcome, type Outcomes, type Probe, probe, type Random } from './cases.ts';
import { bitsOfFloat, floatOfBits, multiplyAddOnce, multiplyAddTwice, ORDERS } from './float32.ts';

export type Order = keyof typeof ORDERS;

const { fround } = Math;
const LETTERS = [...'abcdefghijklmnop'];
const TERMS = 8;
const LANES = [0, 1, 2, 3];

/** Numbers of many sizes; the last of each eight all but cancels the others, so that roundings show. */
function drawTerms(random: Random, count: number): number[] {
  const terms: number[] = [];
  while (terms.length < count) {
    const sum = terms.slice(1 - TERMS).reduce((total, term) => total + term, 0);
    terms.push(terms.length % TERMS === TERMS - 1 ? fround(-sum) : random.float(-6, 0));
  }
  return terms;
}

/** Every order of what `terms` makes of the inputs: one sum, or one for each lane. */
function orders(terms: (x: Inputs) => readonly (readonly number[])[]): Outcomes<Order> {
  const outcomes = Object.entries(ORDERS).map(([name, sum]) => [name, (x: Inputs) => terms(x).map(sum)]);
  return Object.fromEntries(outcomes) as Outcomes<Order>;
}

const plain = { outcomes: orders((x) => [[...x]]), draw: (random: Random) => drawTerms(random, TERMS) };

export const SUMS: readonly Probe<Order>[] = [
  probe('a + b + … + h, in one expression', `return ${LETTERS.slice(0, TERMS).join(' + ')};`, plain),
  probe(
    'a + b + … + h, in a loop',
    `var sum = a;
  for (var k = 1u; k < ${TERMS}u; k++) { sum = sum + floats[at + k]; }
  return sum;`,
    plain,
  ),
  probe(
    'a + b + … + h of vectors, in a loop',
    `var sum = vec4f(a, b, c, d);
  for (var k = at + 1u; k < at + ${TERMS}u; k++) {
    sum = sum + vec4f(floats[k], floats[k + 1u], floats[k + 2u], floats[k + 3u]);
  }
  return sum;`,
    {
      width: 4,
      outcomes: orders((x) => LANES.map((lane) => [...x.subarray(lane, lane + TERMS)])),
      draw: (random) => drawTerms(random, TERMS + LANES.length - 1),
    },
  ),
];

/** Eight factors, then eight others; the last product all but cancels the sum of the others. */
const drawFactors: Draw = (random) => {
  const a = Array.from({ length: TERMS }, () => random.float(-3, 0));
  const b = Array.from({ length: TERMS - 1 }, () => random.float(-3, 0));
  const sum = b.reduce((total, factor, k) => total + factor * a[k], 0);
  return [...a, ...b, fround(-sum / a[TERMS - 1])];
};

const products = (x: Inputs) => Array.from({ length: TERMS }, (_, k) => fround(x[k] * x[TERMS + k]));

const SUM_OF_PRODUCTS: { outcomes: Outcomes<Order | 'fused'>; draw: Draw } = {
  outcomes: {
    ...orders((x) => [products(x)]),
    /** In order, without rounding the products. */
    fused: (x) => [products(x).reduce((sum, _, k) => multiplyAddOnce(x[k], x[TERMS + k], sum))],
  },
  draw: drawFactors,
};

const barriered = (a: string, b: string) => `bitcast<f32>(bitcast<u32>(${a} * ${b}) ^ probe.zero)`;
const BARRIERED = Array.from({ length: TERMS }, (_, k) => barriered(LETTERS[k], LETTERS[TERMS + k]));

export const SUMS_OF_PRODUCTS: readonly Probe<Order | 'fused'>[] = [
  probe('a·i + b·j + … + h·p, in one expression', `return ${BARRIERED.join('\n    + ')};`, SUM_OF_PRODUCTS),
  probe(
    'a·i + b·j + … + h·p, in a loop',
    `var sum = ${BARRIERED[0]};
  for (var k = at + 1u; k < at + ${TERMS}u; k++) { sum = sum + ${barriered('floats[k]', `floats[k + ${TERMS}u]`)}; }
  return sum;`,
    SUM_OF_PRODUCTS,
  ),
];

/** Three factors, and a term that all but cancels a·b, so that it matters which roundings there are. */
const drawCommonFactor: Draw = (random) => {
  const [a, b, c] = Array.from({ length: 3 }, () => random.float(-2, 2));
  return [a, b, c, fround(-a * b)];
};

const computed: Outcome = ([a, b, c]) => [multiplyAddTwice(a, b, fround(a * c))];
const factored: Outcome = ([a, b, c]) => [fround(a * fround(b + c))];
const firstFused: Outcome = ([a, b, c]) => [multiplyAddOnce(a, b, fround(a * c))];
const secondFused: Outcome = ([a, b, c]) => [multiplyAddOnce(a, c, fround(a * b))];

const PLAIN_OUTCOMES = { computed, factored, 'first fused': firstFused, 'second fused': secondFused };

export const COMMON_FACTOR: readonly Probe<keyof typeof PLAIN_OUTCOMES>[] = [
  probe('a·b + a·c', 'return a * b + a * c;', { outcomes: PLAIN_OUTCOMES, draw: drawCommonFactor }),
  probe('0.7·b + 0.7·c', 'return 0.7 * b + 0.7 * c;', {
    outcomes: PLAIN_OUTCOMES,
    draw: (random) => [fround(0.7), random.float(-2, 2), random.float(-2, 2)], // a is that constant
  }),
];

export const COMMON_FACTOR_OF_FMA: readonly Probe<'computed' | 'factored' | 'fused'>[] = [
  probe('fma(a, b, a·c)', 'return fma(a, b, a * c);', {
    outcomes: { computed, factored, fused: firstFused },
    draw: drawCommonFactor,
  }),
  probe('fma(a, c, fma(a, b, d))', 'return fma(a, c, fma(a, b, d));', {
    outcomes: {
      computed: ([a, b, c, d]) => [multiplyAddTwice(a, c, multiplyAddTwice(a, b, d))],
      factored: ([a, b, c, d]) => [multiplyAddTwice(a, fround(b + c), d)],
      fused: ([a, b, c, d]) => [multiplyAddOnce(a, c, multiplyAddOnce(a, b, d))],
    },
    draw: drawCommonFactor,
  }),
];

const drawPair: Draw = (random) => [random.float(0, 4), random.float(-6, -2)];
const POWER = 2 ** 24;

export const CANCELLATION: readonly Probe<'computed' | 'folded'>[] = [
  probe('(a + b) − a', 'return (a + b) - a;', {
    outcomes: { computed: ([a, b]) => [fround(fround(a + b) - a)], folded: ([, b]) => [b] },
    draw: drawPair,
  }),
];

export const CONSTANT_CANCELLATION: readonly Probe<'computed' | 'folded'>[] = [
  probe('(a + 2^24) − 2^24', `return (a + ${POWER}.0) - ${POWER}.0;`, {
    outcomes: { computed: ([a]) => [fround(fround(a + POWER) - POWER)], folded: ([a]) => [a] },
    draw: (random) => [random.float(0, 4)],
  }),
];

export const TWO_SUM: readonly Probe<'exact' | 'folded'>[] = [
  probe(
    'the rounding error of a + b',
    `let sum = a + b;
  let added = sum - a;
  return (a - (sum - added)) + (b - added);`,
    { outcomes: { exact: ([a, b]) => [a + b - fround(a + b)], folded: () => [0] }, draw: drawPair },
  ),
];

const upperHalf = (x: number) => floatOfBits(bitsOfFloat(x) & 0xfffff000);

export const SPLIT: readonly Probe<'exact' | 'folded'>[] = [
  probe('a − its upper 12 bits', 'return a - bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);', {
    outcomes: { exact: ([a]) => [a - upperHalf(a)], folded: () => [0] },
    draw: (random) => [random.float(-20, 20)],
  }),
];
