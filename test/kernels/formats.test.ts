// roundTo against formats that are written out: every number of a format, decoded from its bits as the standard says, and what lies
// halfway between two neighbours, and one float32 step to either side of it.
import { describe, expect, test } from 'vitest';
import { type FloatingFormat, NUMBER_FORMATS, roundGroups, roundTo } from '../../src/kernels/formats.ts';
import { normal, seeded } from '../random.ts';
import { FORMAT_BITS, numbersOf, probesOf } from './formats.ts';

const FLOATING = Object.keys(FORMAT_BITS) as FloatingFormat[];

describe.each(FLOATING)('%s', (format) => {
  test('every number of it, every midpoint and what is beside it, of both signs', () => {
    const probes = probesOf(format);
    const { exponentBits, fractionBits } = FORMAT_BITS[format];
    // At least the number itself and three around the midpoint behind it, twice, for nearly every pattern of bits.
    expect(probes.length).toBeGreaterThan(7 * 2 ** (exponentBits + fractionBits) * 0.87);
    const wrong = probes.filter(({ x, want }) => !Object.is(roundTo(format, x), want));
    expect(wrong.slice(0, 3)).toEqual([]);
  });

  test('beyond the largest finite number, that; NaN stays NaN', () => {
    const largest = Math.max(...numbersOf(format).slice(-1));
    for (const x of [largest * (1 + 2 ** -20), 1.5 * largest, 1e300, Number.POSITIVE_INFINITY]) {
      expect(roundTo(format, x)).toBe(largest);
      expect(roundTo(format, -x)).toBe(-largest);
    }
    expect(roundTo(format, Number.NaN)).toBeNaN();
  });
});

test('the formats are those of their standards', () => {
  const ends = FLOATING.map((format) => {
    const numbers = numbersOf(format);
    return [format, numbers[1], numbers[numbers.length - 1]];
  });
  expect(ends).toEqual([
    ['f16', 2 ** -24, 65504],
    ['bf16', 2 ** -133, 3.3895313892515355e38],
    ['tf32', 2 ** -136, 3.4011621342146535e38],
    ['fp8_e4m3', 2 ** -9, 448],
    ['fp8_e5m2', 2 ** -16, 57344],
  ]);
});

describe('recorded', () => {
  /** What torch 2.13 gives for `torch.tensor(x).to(dtype)`: float16, bfloat16, float8_e4m3fn, float8_e5m2. */
  const TORCH: readonly (readonly [number, number, number, number, number])[] = [
    [0.1, 0.0999755859375, 0.10009765625, 0.1015625, 0.09375],
    [-3.14159274, -3.140625, -3.140625, -3.25, -3],
    [1.00390625, 1.00390625, 1, 1, 1],
    [447.5, 447.5, 448, 448, 448],
    [1e-5, 1.0013580322265625e-5, 1.0013580322265625e-5, 0, 1.52587890625e-5],
    [6.1035e-5, 6.103515625e-5, 6.103515625e-5, 0, 6.103515625e-5],
    [0.0029296875, 0.0029296875, 0.0029296875, 0.00390625, 0.0029296875],
    [-0.0009765625, -0.0009765625, -0.0009765625, -0, -0.0009765625],
  ];
  test.each(TORCH)('%f', (x, ...want) => {
    const formats = ['f16', 'bf16', 'fp8_e4m3', 'fp8_e5m2'] as const;
    expect(formats.map((format) => roundTo(format, Math.fround(x)))).toEqual(want);
  });
});

describe('int8', () => {
  test('by hand: the scale is the largest magnitude / 127', () => {
    expect(roundTo('int8', 254, 254)).toBe(254);
    expect(roundTo('int8', -254, 254)).toBe(-254);
    expect(roundTo('int8', 101, 254)).toBe(100); // 50.5 scales: a tie, to the even 50
    expect(roundTo('int8', 103, 254)).toBe(104); // 51.5: to 52
    expect(roundTo('int8', -0.99, 254)).toBe(0); // and no −0
    expect(Object.is(roundTo('int8', -0, 254), 0)).toBe(true);
    expect(roundTo('int8', 1, 1)).toBe(1);
    expect(roundTo('int8', 0.5, 1)).toBe(Math.fround(64 / 127)); // 63.5: to 64
    expect(roundTo('int8', 0, 0)).toBe(0);
    expect(roundTo('int8', Number.NaN, 1)).toBeNaN();
    expect(roundTo('int8', Number.NEGATIVE_INFINITY, 1)).toBe(Number.NEGATIVE_INFINITY);
    expect(roundTo('int8', 2 ** -120, 2 ** -120)).toBe(2 ** -120);
    expect(roundTo('int8', 2 ** -126, 2 ** -120)).toBe(2 ** -120 * Math.fround(2 / 127));
    expect(roundTo('int8', 2 ** -126, 2 ** -119)).toBe(Math.fround(2 ** -119 / 127)); // 0.99 scales, 1.008·2⁻¹²⁶
    expect(roundTo('int8', 2 ** -126, 1.9 * 2 ** -120)).toBe(0); // one scale is 0.96·2⁻¹²⁶
  });

  test('in whole numbers without bounds: both quotients are rounded once', () => {
    const random = seeded(7);
    for (let i = 0; i < 20_000; i++) {
      const largest = Math.fround((1 + random()) * 2 ** Math.floor(40 * random()));
      const x = Math.fround((2 * random() - 1) * largest * (i % 3 === 0 ? 0.02 : 1));
      // Both times 2⁶⁴: whole numbers.
      const [a, b] = [BigInt(Math.abs(x) * 2 ** 64), BigInt(largest * 2 ** 64)];
      const code = (2n * a * 127n + b) / (2n * b);
      const isTie = (2n * a * 127n + b) % (2n * b) === 0n;
      const even = isTie && code % 2n === 1n ? code - 1n : code;
      const got = roundTo('int8', x, largest);
      const product = even * b;
      // The nearest float32 number: no neighbour is nearer.
      const distance = (y: number) => {
        const difference = BigInt(Math.abs(y) * 2 ** 64) * 127n - product;
        return difference < 0n ? -difference : difference;
      };
      expect(Number(even) === 0 ? got : Math.sign(got)).toBe(Number(even) === 0 ? 0 : Math.sign(x));
      const step = Math.abs(got) * 2 ** -24;
      for (const neighbour of [Math.fround(Math.abs(got) - step), Math.fround(Math.abs(got) + 2 * step)]) {
        expect(distance(got) <= distance(neighbour)).toBe(true);
      }
    }
  });

  test('each group has a scale of its own, for which NaN and infinities do not count', () => {
    const rows = [3, -254, 1, Number.NaN, 1, 0.3, 0, Number.POSITIVE_INFINITY, -0, 0];
    const want = [4, -254, 0, Number.NaN, 1, 38 / 127, 0, Number.POSITIVE_INFINITY, 0, 0].map(Math.fround);
    const groups = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2];
    expect(Array.from(roundGroups('int8', Float32Array.from(rows), (i) => groups[i]))).toEqual(want);
  });
});

test.each(NUMBER_FORMATS)('%s: rounding twice is rounding once, and the order is kept', (format) => {
  const random = seeded(8);
  const x = Float32Array.from({ length: 3000 }, () => normal(random) * 2 ** Math.floor(40 * random() - 20)).sort();
  const once = roundGroups(format, x, () => 0);
  expect(roundGroups(format, once, () => 0)).toEqual(once);
  expect(Float32Array.from(once).sort()).toEqual(once);
});

test('what is no format is refused', () => {
  expect(() => roundTo('fp16' as 'f16', 1)).toThrow(
    'roundTo: expected a number format (f16, bf16, tf32, fp8_e4m3, fp8_e5m2, int8), got "fp16".',
  );
  expect(() => (roundTo as (format: string, x: number) => number)('int8', 1)).toThrow(
    'roundTo: int8 needs the finite magnitude of the largest number that shares the scale, got NaN.',
  );
});
