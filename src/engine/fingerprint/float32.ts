// Float32 arithmetic on the CPU, exactly: what an adapter is compared with. Float64 holds every product of two float32
// exactly, and rounding a float64 sum, product, quotient or root of float32 to float32 rounds it correctly (53 ≥ 2·24 +
// 2 bits: Figueroa 1995). Not for kernels.

export const SMALLEST_NORMAL = 2 ** -126;
export const LARGEST_FINITE = 3.4028234663852886e38;

const float32 = new Float32Array(1);
const bits32 = new Uint32Array(float32.buffer);
const float64 = new Float64Array(1);
const bits64 = new BigUint64Array(float64.buffer);

export function bitsOfFloat(x: number): number {
  float32[0] = x;
  return bits32[0];
}

/** The float32 with these bits. A NaN comes back without its payload: keep those in a Float32Array. */
export function floatOfBits(bits: number): number {
  bits32[0] = bits;
  return float32[0];
}

/** Float32 numbers from −infinity to infinity as consecutive whole numbers; both zeros are 0. */
function ordinal(x: number): number {
  float32[0] = x;
  const magnitude = bits32[0] & 0x7fffffff;
  return bits32[0] >>> 31 ? -magnitude : magnitude;
}

/** Steps from one float32 to the other: 0 where they are equal, 1 for neighbours. Not for NaN. */
export function stepsBetween(x: number, y: number): number {
  return Math.abs(ordinal(x) - ordinal(y));
}

/** The float32 `steps` further away from 0. */
function awayFromZero(x: number, steps: number): number {
  float32[0] = x;
  return floatOfBits(bits32[0] + steps);
}

/** Ways of rounding a number that float32 does not hold. */
export const ROUNDINGS = {
  /** IEEE 754's default: the nearest, and of two as near the one whose last bit is 0. */
  'nearest even': (exact: number) => Math.fround(exact),
  'nearest away': (exact: number) => {
    const low = truncate(exact);
    const high = awayFromZero(low, 1);
    return Math.abs(exact - low) < Math.abs(high - exact) ? low : high;
  },
  'toward zero': truncate,
  upward: (exact: number) =>
    exact > 0 && truncate(exact) !== exact ? awayFromZero(truncate(exact), 1) : truncate(exact),
  downward: (exact: number) =>
    exact < 0 && truncate(exact) !== exact ? awayFromZero(truncate(exact), 1) : truncate(exact),
} as const satisfies Record<string, (exact: number) => number>;

function truncate(exact: number): number {
  const nearest = Math.fround(exact);
  return Math.abs(nearest) > Math.abs(exact) ? awayFromZero(nearest, -1) : nearest;
}

/**
 * a·b + c with one rounding. Float64 holds the product; the sum is rounded to odd there, which loses nothing that the
 * rounding to float32 needs (Boldo, Melquiond 2008). For finite numbers whose result is no subnormal.
 */
export function multiplyAddOnce(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const added = sum - product;
  const error = product - (sum - added) + (c - added); // exact (Knuth's two-sum)
  float64[0] = sum;
  if (error !== 0 && (bits64[0] & 1n) === 0n) bits64[0] += error > 0 === sum > 0 ? 1n : -1n;
  return Math.fround(float64[0]);
}

/** a·b + c with the product rounded first. */
export function multiplyAddTwice(a: number, b: number, c: number): number {
  return Math.fround(Math.fround(a * b) + c);
}

/** Sums of float32 numbers, each addition rounded, in one order or another. */
export const ORDERS = {
  'in order': (terms: readonly number[]) => terms.reduce(add),
  reversed: (terms: readonly number[]) => terms.reduceRight(add),
  /** Neighbours, then neighbouring pairs, and so on. */
  pairwise: (terms: readonly number[]) => halve(terms, (half) => [2 * half, 2 * half + 1]),
  /** The first half to the second, and so on. */
  halves: (terms: readonly number[]) => halve(terms, (half, count) => [half, half + count]),
} as const satisfies Record<string, (terms: readonly number[]) => number>;

const add = (x: number, y: number) => Math.fround(x + y);

/** Adds pairs until one number is left: `pair` gives the places of those that become element `index` of `count`. */
function halve(terms: readonly number[], pair: (index: number, count: number) => [number, number]): number {
  let rest = terms;
  while (rest.length > 1) {
    const count = rest.length / 2;
    const from = rest;
    rest = Array.from({ length: count }, (_, index) => {
      const [first, second] = pair(index, count);
      return add(from[first], from[second]);
    });
  }
  return rest[0];
}
