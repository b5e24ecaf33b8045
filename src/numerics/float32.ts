// float32 numbers one by one: their bits, their neighbours, how many steps two are apart, and as hexadecimal text. A number that is
// no float32 is rounded to the nearest one first, ties to even. Bounds on errors are in `error_model.ts`.

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

const SIGN = 0x80000000;
const INFINITY_BITS = 0x7f800000;
const CANONICAL_NAN = 0x7fc00000;

/**
 * The 32 bits of a float32, as an integer from 0 to 2³² − 1. JavaScript has one NaN: its bits are 0x7fc00000. What other NaN a value
 * holds is seen by `cache.read(name, { as: 'bits' })`.
 * @example
 * toBits(1).toString(16); // '3f800000'
 */
export function toBits(x: number): number {
  if (Number.isNaN(x)) return CANONICAL_NAN;
  float[0] = x;
  return word[0];
}

/**
 * The float32 that these bits are.
 * @throws Error where they are no integer from 0 to 2³² − 1
 * @example
 * fromBits(0x3f800001); // 1.0000001192092896
 */
export function fromBits(bits: number): number {
  if (!Number.isInteger(bits) || bits < 0 || bits > 0xffffffff) {
    throw new Error(`float32: expected bits from 0 to 0xffffffff, got ${bits}.`);
  }
  word[0] = bits;
  return float[0];
}

/** Where a float32 stands on the line of all of them, 0 and −0 in one place. Neighbours differ by 1. */
function place(x: number): number {
  const bits = toBits(x);
  return bits < SIGN ? bits : SIGN - bits;
}

/**
 * How many float32 steps lie between two numbers: how often `nextUp` leads from the smaller to the larger.
 *
 * +0 and −0 are 0 steps apart: IEEE 754 calls them equal (5.11), and `nextUp` passes zero once, coming from −2⁻¹⁴⁹ to −0 and going
 * from either zero to 2⁻¹⁴⁹ (5.3.1). Their bits differ all the same. Infinity is one step from the largest finite number. NaN is near
 * nothing, not even NaN: the distance is then NaN, which is within no bound.
 * @example
 * ulpDistance(1, 1 + 2 ** -23); // 1
 * ulpDistance(1, Number.NaN) <= 1e9; // false
 */
export function ulpDistance(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.NaN;
  return Math.abs(place(a) - place(b));
}

/**
 * The size of one unit in the last place at a number: 2^(exponent − 23) of its binade, and 2⁻¹⁴⁹ for subnormal numbers and zero. For
 * errors against a truth that is no float32 itself. Infinity for infinities, NaN for NaN.
 * @example
 * ulp(1); // 2 ** -23
 */
export function ulp(x: number): number {
  const magnitude = toBits(x) & ~SIGN;
  if (magnitude >= INFINITY_BITS) return fromBits(magnitude);
  return 2 ** (Math.max(magnitude >>> 23, 1) - 150);
}

/**
 * The least float32 that is larger (IEEE 754-2019, 5.3.1): 2⁻¹⁴⁹ after either zero, −0 after −2⁻¹⁴⁹, infinity after the largest finite
 * number and after infinity, NaN after NaN.
 * @example
 * nextUp(1); // 1.0000001192092896
 */
export function nextUp(x: number): number {
  const bits = toBits(x);
  if (Number.isNaN(x) || bits === INFINITY_BITS) return fromBits(bits);
  if (bits === 0 || bits === SIGN) return fromBits(1);
  return fromBits(bits < SIGN ? bits + 1 : bits - 1);
}

/** The greatest float32 that is smaller: −nextUp(−x) (IEEE 754-2019, 5.3.1). */
export function nextDown(x: number): number {
  return -nextUp(-x);
}

/**
 * A float32 exactly, as C's `printf("%a")` writes it: hexadecimal digits and a power of two, with one digit before the point and no
 * zeros at the end; `inf`, `-inf`, `nan`.
 * @example
 * toHexFloat(0.1); // '0x1.99999ap-4'
 * toHexFloat(2 ** -149); // '0x1p-149'
 */
export function toHexFloat(x: number): string {
  const bits = toBits(x);
  if (Number.isNaN(x)) return 'nan';
  const sign = bits >= SIGN ? '-' : '';
  const magnitude = bits & ~SIGN;
  if (magnitude === INFINITY_BITS) return `${sign}inf`;
  if (magnitude === 0) return `${sign}0x0p+0`;
  const exponent = magnitude >>> 23;
  const fraction = magnitude & 0x7fffff;
  // Subnormal: shifted until its leading 1 stands where a normal number's hidden one is.
  const shift = exponent === 0 ? Math.clz32(fraction) - 8 : 0;
  const digits = (((fraction << shift) & 0x7fffff) << 1).toString(16).padStart(6, '0').replace(/0+$/, '');
  const power = Math.max(exponent, 1) - 127 - shift;
  return `${sign}0x1${digits && `.${digits}`}p${power < 0 ? '' : '+'}${power}`;
}

const HEX_FLOAT = /^([+-]?)0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?\d+))?$/i;

/**
 * The float32 that a hexadecimal text names: what `toHexFloat`, C's `%a` and Python's `float.hex` write.
 * @throws Error where the text is no such number, or one that no float32 is: nothing is rounded
 * @example
 * fromHexFloat('0x1.99999ap-4'); // 0.10000000149011612
 */
export function fromHexFloat(text: string): number {
  const special = /^([+-]?)(?:(inf|infinity)|nan)$/i.exec(text);
  if (special) return special[2] ? Number(`${special[1]}Infinity`) : Number.NaN;
  const [, sign, whole = '', fraction = '', power = '0'] = HEX_FLOAT.exec(text) ?? [];
  if (whole + fraction === '') {
    throw new Error(`float32: expected a text like 0x1.8p-3, inf or nan, got ${JSON.stringify(text)}.`);
  }
  let digits = BigInt(`0x${whole}${fraction}`);
  let exponent = Number(power) - 4 * fraction.length;
  if (digits === 0n) return sign === '-' ? -0 : 0;
  for (; digits % 2n === 0n; digits /= 2n) exponent++;
  // Now odd: a float32 has room for 24 bits, the last of them at 2⁻¹⁴⁹ or above, the first below 2¹²⁸.
  const bits = digits.toString(2).length;
  if (bits > 24 || exponent < -149 || bits + exponent > 128) {
    throw new Error(`float32: ${text} is between two float32 numbers or beyond them all; nothing is rounded here.`);
  }
  return (sign === '-' ? -1 : 1) * Number(digits) * 2 ** exponent;
}
