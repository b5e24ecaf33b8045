// A float32 as people compare it: the shortest decimal text that is read back as the same number, and its bits in their three parts.

/**
 * The shortest decimal text that names a float32: reading it and rounding gives the same number.
 * @example
 * shortestDecimal(Math.fround(0.1)); // '0.1', where JavaScript says 0.10000000149011612
 */
export function shortestDecimal(x: number): string {
  if (Object.is(x, -0)) return '-0';
  // Nine digits tell all float32 numbers apart.
  for (let digits = 1; digits <= 9; digits++) {
    const decimal = Number(x.toPrecision(digits));
    if (Math.fround(decimal) === x) return String(decimal);
  }
  return String(x);
}

/**
 * Sign, exponent and fraction of a float32, as binary digits: 1, 8 and 23.
 * @example
 * bitParts(0x3f800000); // ['0', '01111111', '00000000000000000000000']
 */
export function bitParts(bits: number): readonly [sign: string, exponent: string, fraction: string] {
  const digits = (bits >>> 0).toString(2).padStart(32, '0');
  return [digits.slice(0, 1), digits.slice(1, 9), digits.slice(9)];
}

/** `0x` and eight digits. */
export function bitsText(bits: number): string {
  return `0x${(bits >>> 0).toString(16).padStart(8, '0')}`;
}

/** The bits of element `at`: exactly what was read, also of NaN. */
export function bitsAt(data: Float32Array, at: number): number {
  return new Uint32Array(data.buffer, data.byteOffset, data.length)[at];
}
