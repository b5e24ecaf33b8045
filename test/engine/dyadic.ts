// Exact numbers n·2^e with whole n of any size, and their rounding to float32 by the definition. Shares nothing with
// the engine.

export type Mode = 'nearest even' | 'nearest away' | 'toward zero' | 'upward' | 'downward';

export class Dyadic {
  readonly n: bigint;
  readonly e: number;

  constructor(n: bigint, e: number) {
    this.n = n;
    this.e = e;
  }

  /** Any finite float64. */
  static of(x: number): Dyadic {
    const bits = new BigUint64Array(Float64Array.of(x).buffer)[0];
    const exponent = Number((bits >> 52n) & 0x7ffn);
    const fraction = bits & ((1n << 52n) - 1n);
    const magnitude = exponent === 0 ? fraction : fraction | (1n << 52n);
    return new Dyadic(x < 0 ? -magnitude : magnitude, Math.max(exponent, 1) - 1075);
  }

  plus(other: Dyadic): Dyadic {
    const e = Math.min(this.e, other.e);
    return new Dyadic((this.n << BigInt(this.e - e)) + (other.n << BigInt(other.e - e)), e);
  }

  minus(other: Dyadic): Dyadic {
    return this.plus(new Dyadic(-other.n, other.e));
  }

  times(other: Dyadic): Dyadic {
    return new Dyadic(this.n * other.n, this.e + other.e);
  }

  /**
   * The float32 that it rounds to. Below 2^-126 the grid stays that of subnormal numbers, unless `smallestExponent`
   * says otherwise. Nothing here overflows.
   */
  toFloat32(mode: Mode = 'nearest even', smallestExponent = -149): number {
    const negative = this.n < 0n;
    const magnitude = negative ? -this.n : this.n;
    const length = magnitude.toString(2).length;
    const shift = Math.max(this.e + length - 24, smallestExponent) - this.e;
    if (shift <= 0) return toNumber(this.n, this.e);
    const low = magnitude >> BigInt(shift);
    const rest = magnitude - (low << BigInt(shift));
    const twice = 2n * rest - (1n << BigInt(shift)); // below, at or above one half
    const isUp = {
      'nearest even': twice > 0n || (twice === 0n && low % 2n === 1n),
      'nearest away': twice >= 0n,
      'toward zero': false,
      upward: rest > 0n && !negative,
      downward: rest > 0n && negative,
    }[mode];
    const rounded = isUp ? low + 1n : low;
    return toNumber(negative ? -rounded : rounded, this.e + shift);
  }
}

/** n·2^e where float64 holds it. */
function toNumber(n: bigint, e: number): number {
  let [mantissa, exponent] = [n, e];
  while (mantissa !== 0n && mantissa % 2n === 0n) {
    mantissa /= 2n;
    exponent++;
  }
  return Number(mantissa) * 2 ** exponent;
}
