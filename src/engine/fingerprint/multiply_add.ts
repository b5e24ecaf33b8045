// Whether a·b + c is rounded once or twice: as plain WGSL, as fma(), and with a product that no compiler can see
// through.
import { type Draw, type Outcomes, type Probe, probe, type Random } from './cases.ts';
import { multiplyAddOnce, multiplyAddTwice } from './float32.ts';

export type Roundings = 'two roundings' | 'one rounding';

const { fround } = Math;

/** c all but cancels the product, or is any number of its size. */
function drawC(random: Random, product: number): number {
  return random.below(2) ? fround(-fround(product) * (1 + random.below(64) * 2 ** -23)) : random.float(-3, 3);
}

const drawScalars: Draw = (random) => {
  const [a, b] = [random.float(-2, 2), random.float(-2, 2)];
  return [a, b, drawC(random, a * b)];
};

/** One a, four b, four c. */
const drawVectors: Draw = (random) => {
  const [a, ...b] = Array.from({ length: 5 }, () => random.float(-2, 2));
  return [a, ...b, ...b.map((factor) => drawC(random, a * factor))];
};

/** ±a·b ± c. */
function outcomes(signOfProduct: 1 | -1, signOfC: 1 | -1): Outcomes<Roundings> {
  return {
    'two roundings': ([a, b, c]) => [multiplyAddTwice(signOfProduct * a, b, signOfC * c)],
    'one rounding': ([a, b, c]) => [multiplyAddOnce(signOfProduct * a, b, signOfC * c)],
  };
}

const LANES = [0, 1, 2, 3];

const VECTOR_OUTCOMES: Outcomes<Roundings> = {
  'two roundings': (x) => LANES.map((lane) => multiplyAddTwice(x[0], x[1 + lane], x[5 + lane])),
  'one rounding': (x) => LANES.map((lane) => multiplyAddOnce(x[0], x[1 + lane], x[5 + lane])),
};

const VECTOR_PRODUCT = 'a * vec4f(b, c, d, e)';
const VECTOR_C = 'vec4f(f, g, h, i)';

/** a·b + c wherever a compiler may look for it; `product` and `vectorProduct` are WGSL for the product. */
function multiplyAddProbes(product: string, vectorProduct: string): readonly Probe<Roundings>[] {
  const scalars = (signOfProduct: 1 | -1, signOfC: 1 | -1) => {
    return { draw: drawScalars, outcomes: outcomes(signOfProduct, signOfC) };
  };
  const vectors = { width: 4, draw: drawVectors, outcomes: VECTOR_OUTCOMES } as const;
  return [
    probe('a·b + c', `return ${product} + c;`, scalars(1, 1)),
    probe('c + a·b', `return c + ${product};`, scalars(1, 1)),
    probe('a·b − c', `return ${product} - c;`, scalars(1, -1)),
    probe('c − a·b', `return c - ${product};`, scalars(-1, 1)),
    probe('a·b + c of vectors', `return ${vectorProduct} + ${VECTOR_C};`, vectors),
  ];
}

/** a·b + a·c; where a compiler sees the products, it may take out a. */
const TWO_PRODUCTS: { draw: Draw; outcomes: Outcomes<Roundings> } = {
  draw: (random) => Array.from({ length: 3 }, () => random.float(-2, 2)),
  outcomes: {
    'two roundings': ([a, b, c]) => [multiplyAddTwice(a, b, fround(a * c))],
    'one rounding': ([a, b, c]) => [multiplyAddOnce(a, b, fround(a * c))],
  },
};

/** The bits of the product, exclusive or a zero that was loaded. */
function barrieredProbes(zero: string): readonly Probe<Roundings>[] {
  const product = (a: string, b: string) => `bitcast<f32>(bitcast<u32>(${a} * ${b}) ^ ${zero})`;
  const vectorProduct = `bitcast<vec4f>(bitcast<vec4u>(${VECTOR_PRODUCT}) ^ vec4u(${zero}))`;
  return [
    ...multiplyAddProbes(product('a', 'b'), vectorProduct),
    probe('a·b + a·c', `return ${product('a', 'b')} + ${product('a', 'c')};`, TWO_PRODUCTS),
  ];
}

export const MULTIPLY_ADD = multiplyAddProbes('a * b', VECTOR_PRODUCT);
export const BARRIER_FROM_UNIFORM = barrieredProbes('probe.zero');
export const BARRIER_FROM_STORAGE = barrieredProbes('stored_zero()');

export const FMA: readonly Probe<Roundings>[] = [
  probe('fma(a, b, c)', 'return fma(a, b, c);', { draw: drawScalars, outcomes: outcomes(1, 1) }),
  probe('fma(−a, b, c)', 'return fma(-a, b, c);', { draw: drawScalars, outcomes: outcomes(-1, 1) }),
  probe('fma of vectors', `return fma(vec4f(a), vec4f(b, c, d, e), ${VECTOR_C});`, {
    width: 4,
    draw: drawVectors,
    outcomes: VECTOR_OUTCOMES,
  }),
];
