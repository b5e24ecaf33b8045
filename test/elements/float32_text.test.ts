import { expect, test } from 'vitest';
import { bitParts, bitsAt, bitsText, shortestDecimal } from '../../src/elements/float32_text.ts';
import { fromBits } from '../../src/numerics/float32.ts';
import { seeded } from '../random.ts';

test('the shortest decimal that names a float32', () => {
  const numbers = [0, -0, 1, 0.1, -1 / 3, 16777216, 2 ** -149, 1 + 2 ** -23, Number.NaN, -Infinity].map(Math.fround);
  expect(numbers.map(shortestDecimal)).toEqual([
    '0',
    '-0',
    '1',
    '0.1',
    '-0.33333334',
    '16777216',
    '1e-45',
    '1.0000001',
    'NaN',
    '-Infinity',
  ]);
});

test('it is read back as the same number, whatever the bits', () => {
  const random = seeded(3);
  const numbers = Array.from({ length: 2000 }, () => fromBits(Math.floor(random() * 2 ** 32)));
  expect(numbers.filter((x) => !Object.is(Math.fround(Number(shortestDecimal(x))), x))).toEqual([]);
});

test('bits: all of them, in parts, also those of a NaN', () => {
  expect(bitsText(0xff)).toBe('0x000000ff');
  // 1.5 = 2⁰ · 1.1₂
  expect(bitParts(0xbfc00000)).toEqual(['1', '01111111', `1${'0'.repeat(22)}`]);
  const data = new Float32Array(new Uint32Array([0, 0x7fc12345, 0x80000000]).buffer).subarray(1);
  expect([bitsAt(data, 0), bitsAt(data, 1)]).toEqual([0x7fc12345, 0x80000000]);
});
