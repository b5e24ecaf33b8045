import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBits, fromHexFloat, nextDown, nextUp, toBits, toHexFloat, ulp, ulpDistance } from '../../src/index.ts';

const TINY = 2 ** -149;
const LARGEST = (2 - 2 ** -23) * 2 ** 127;
const { NaN: NAN, POSITIVE_INFINITY: INFINITE } = Number;

/** Every float32, each as probable as the others: all binades, subnormals, zeros, infinities and NaN. */
const anyFloat = fc.integer({ min: 0, max: 0xffffffff }).map(fromBits);
const anyNumber = anyFloat.filter((x) => !Number.isNaN(x));

describe('bits', () => {
  test('are those of IEEE 754', () => {
    const known: [number, number][] = [
      [0, 0],
      [-0, 0x80000000],
      [1, 0x3f800000],
      [-2, 0xc0000000],
      [TINY, 1],
      [LARGEST, 0x7f7fffff],
      [-INFINITE, 0xff800000],
      [NAN, 0x7fc00000],
    ];
    for (const [x, bits] of known) {
      expect(toBits(x)).toBe(bits);
      expect(fromBits(bits)).toBe(x);
    }
    expect(toBits(0.1)).toBe(toBits(Math.fround(0.1)));
  });

  test('of every number lead back to it, and every NaN to NaN', () => {
    fc.assert(fc.property(anyFloat, (x) => Object.is(fromBits(toBits(x)), x)));
    for (const bits of [0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff]) expect(fromBits(bits)).toBe(NAN);
  });

  test.each([-1, 2 ** 32, 0.5, NAN])('%d are no bits', (bits) => {
    expect(() => fromBits(bits)).toThrow(`float32: expected bits from 0 to 0xffffffff, got ${bits}.`);
  });
});

describe('neighbours', () => {
  test('are those of IEEE 754-2019, 5.3.1', () => {
    const ups: [number, number][] = [
      [1, 1 + 2 ** -23],
      [1 - 2 ** -24, 1],
      [-1, -(1 - 2 ** -24)],
      [0, TINY],
      [-0, TINY],
      [-TINY, -0],
      [2 ** -126 - TINY, 2 ** -126],
      [LARGEST, INFINITE],
      [INFINITE, INFINITE],
      [-INFINITE, -LARGEST],
      [NAN, NAN],
    ];
    for (const [x, up] of ups) {
      expect(nextUp(x)).toBe(up);
      expect(nextDown(-x)).toBe(-up);
    }
  });

  test('have nothing between them', () => {
    fc.assert(
      fc.property(anyNumber, (x) => {
        const up = nextUp(x);
        if (x === INFINITE || up === INFINITE || x === -INFINITE) return;
        expect(up).toBeGreaterThan(x);
        expect([x, up]).toContain(Math.fround((x + up) / 2) + 0); // the middle, exact in float64, is rounded to one of the two
        expect(nextDown(up) + 0).toBe(x + 0); // + 0: of the two zeros, steps down from 2⁻¹⁴⁹ reach +0
      }),
    );
  });

  test('of a number that is no float32 are those of the nearest one', () => {
    expect(nextUp(0.1)).toBe(nextUp(Math.fround(0.1)));
    expect(nextUp(1e39)).toBe(INFINITE);
  });
});

describe('the distance', () => {
  test('is 1 between neighbours, through subnormals, zero and the largest number', () => {
    fc.assert(
      fc.property(anyNumber, (x) => {
        expect(ulpDistance(x, nextUp(x))).toBe(x === INFINITE ? 0 : 1);
        expect(ulpDistance(x, nextDown(x))).toBe(x === -INFINITE ? 0 : 1);
      }),
    );
  });

  test('counts steps of nextUp', () => {
    fc.assert(
      fc.property(anyNumber, fc.integer({ min: 0, max: 40 }), (x, steps) => {
        let y = x;
        for (let i = 0; i < steps; i++) y = nextUp(y);
        expect(ulpDistance(x, y)).toBe(y === INFINITE ? ulpDistance(x, INFINITE) : steps);
        expect(ulpDistance(y, x)).toBe(ulpDistance(x, y));
      }),
    );
  });

  test('adds up on the way, and is 0 between equal numbers alone', () => {
    fc.assert(
      fc.property(anyNumber, anyNumber, anyNumber, (...numbers) => {
        const [a, b, c] = numbers.sort((x, y) => x - y);
        expect(ulpDistance(a, b) + ulpDistance(b, c)).toBe(ulpDistance(a, c));
        expect(ulpDistance(a, b) === 0).toBe(a === b);
      }),
    );
  });

  test('of the zeros is 0; across them it counts both sides', () => {
    expect(ulpDistance(0, -0)).toBe(0);
    expect(ulpDistance(-TINY, TINY)).toBe(2);
    expect(ulpDistance(-INFINITE, INFINITE)).toBe(2 * 0x7f800000);
  });

  test('to NaN is within no bound, not from NaN either', () => {
    fc.assert(
      fc.property(anyFloat, (x) => {
        expect(ulpDistance(x, NAN) <= INFINITE).toBe(false);
        expect(ulpDistance(NAN, x) <= INFINITE).toBe(false);
      }),
    );
  });
});

test('the unit in the last place is the distance to the next number away from zero', () => {
  fc.assert(
    fc.property(
      anyNumber.filter((x) => Math.abs(x) < LARGEST),
      (x) => ulp(x) === nextUp(Math.abs(x)) - Math.abs(x),
    ),
  );
  expect([LARGEST, 1 - 2 ** -24, 1 - 2 ** -26, -1, 0, TINY].map(ulp)).toEqual([
    ...[2 ** 104, 2 ** -24, 2 ** -23, 2 ** -23, TINY, TINY],
  ]);
  expect([NAN, INFINITE, -INFINITE].map(ulp)).toEqual([NAN, INFINITE, INFINITE]);
});

describe('hexadecimal text', () => {
  test('is what printf("%a") of glibc writes', () => {
    const printed: [number, string][] = [
      [0x00000000, '0x0p+0'],
      [0x80000000, '-0x0p+0'],
      [0x00000001, '0x1p-149'],
      [0x80000001, '-0x1p-149'],
      [0x00000003, '0x1.8p-148'],
      [0x00400000, '0x1p-127'],
      [0x007fffff, '0x1.fffffcp-127'],
      [0x00800000, '0x1p-126'],
      [0x3f800000, '0x1p+0'],
      [0x3f800001, '0x1.000002p+0'],
      [0xbf800000, '-0x1p+0'],
      [0x3dcccccd, '0x1.99999ap-4'],
      [0x40490fdb, '0x1.921fb6p+1'],
      [0x7f7fffff, '0x1.fffffep+127'],
      [0xff7fffff, '-0x1.fffffep+127'],
      [0x7f800000, 'inf'],
      [0xff800000, '-inf'],
      [0x7fc00000, 'nan'],
      [0x3e200000, '0x1.4p-3'],
      [0x12345678, '0x1.68acfp-91'],
    ];
    for (const [bits, text] of printed) expect(toHexFloat(fromBits(bits))).toBe(text);
  });

  test('leads back to every float32, zeros, subnormals, infinities and NaN included', () => {
    fc.assert(fc.property(anyFloat, (x) => Object.is(fromHexFloat(toHexFloat(x)), x)));
    for (const x of [0, -0, TINY, -TINY, LARGEST, INFINITE, -INFINITE, NAN])
      expect(fromHexFloat(toHexFloat(x))).toBe(x);
  });

  test('is read as others write it', () => {
    expect(fromHexFloat('0x1.99999a0000000p-4')).toBe(Math.fround(0.1)); // Python's float.hex
    expect(fromHexFloat('+0X.8P1')).toBe(1);
    expect(fromHexFloat('0x10')).toBe(16);
    expect(fromHexFloat('0x0.000001p-125')).toBe(TINY);
    expect(fromHexFloat('-0x0.p-9999')).toBe(-0);
    expect(fromHexFloat('-Infinity')).toBe(-INFINITE);
    expect(fromHexFloat('-NaN')).toBe(NAN);
  });

  test.each(['', '1.5', '0x', '0x.p1', '0x1p', '0x1.8p0.5', ' 0x1', '0xg', '1e3'])('%j is none', (text) => {
    expect(() => fromHexFloat(text)).toThrow(
      `float32: expected a text like 0x1.8p-3, inf or nan, got ${JSON.stringify(text)}.`,
    );
  });

  test.each(['0x1.999999999999ap-4', '0x1.000001p+0', '0x1p-150', '0x1p+128', '0x1.ffffffp127', '0x1p+99999'])(
    '%s is not rounded but refused',
    (text) => {
      expect(() => fromHexFloat(text)).toThrow(
        `float32: ${text} is between two float32 numbers or beyond them all; nothing is rounded here.`,
      );
    },
  );
});
