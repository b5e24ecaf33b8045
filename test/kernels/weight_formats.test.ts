// How matrices are stored, against plain references: binary16 by the other implementation of it here, blocks by loops over rows and columns.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roundTo } from '../../src/kernels/formats.ts';
import { decodeMatrix, encodeMatrix, fromHalf, toHalf } from '../../src/kernels/weight_codec.ts';
import { largestWeight, matrixWords, type StoredMatrix } from '../../src/kernels/weight_formats.ts';
import { firstDifference } from '../tensors.ts';

const HALF_STEPS = Array.from({ length: 0x7c00 }, (_, bits) => bits);

describe('binary16', () => {
  test('every finite number is what its exponent and fraction say, there and back', () => {
    for (const bits of HALF_STEPS) {
      const [exponent, fraction] = [bits >> 10, bits & 0x3ff];
      const value = exponent === 0 ? fraction / 2 ** 24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
      expect(fromHalf(bits)).toBe(value);
      expect(toHalf(value)).toBe(bits);
      expect(toHalf(-value)).toBe(bits | 0x8000);
    }
  });

  test('what lies between two is rounded as roundTo does it: to the nearest, ties to even', () => {
    for (const bits of HALF_STEPS.slice(0, -1)) {
      const middle = (fromHalf(bits) + fromHalf(bits + 1)) / 2; // exact in float32: twelve bits
      expect(fromHalf(toHalf(middle))).toBe(roundTo('f16', middle));
      expect(toHalf(middle) % 2).toBe(0);
    }
    const anything = fc.float({ min: -65504, max: 65504, noNaN: true });
    fc.assert(
      fc.property(anything, (x) => {
        expect(fromHalf(toHalf(x))).toBe(roundTo('f16', x));
      }),
    );
  });
});

test('q8 and q4 in words: codes from the lowest bits on, then scales', () => {
  // One row of 4, one block along the columns: largest 127, scale 1 (0x3c00).
  const matrix = { rows: 1, rowStride: 4, summed: 'columns' } as const;
  const bytes = Float32Array.of(127, -127, 1, -2.5); // −2.5 is a tie: −2
  expect([...encodeMatrix(bytes, { ...matrix, format: 'q8' })]).toEqual([0xfe01817f, 0x3c00]);
  const nibbles = Float32Array.of(7, -7, 1.5, -0.5); // ties: 2 and 0
  expect([...encodeMatrix(nibbles, { ...matrix, format: 'q4' })]).toEqual([0x0297, 0x3c00]);
  // Two rows, summed along the rows: a scale for each column, 1 and 2 in turn (0x3c00, 0x4000).
  const columns = Float32Array.of(127, 254, 0, 254, 1, 2, 0, -4);
  expect([...encodeMatrix(columns, { rows: 2, rowStride: 4, summed: 'rows', format: 'q8' })]).toEqual([
    0x7f007f7f, 0xfe000101, 0x40003c00, 0x40000000,
  ]);
});

/** Row and column ranges of every block, by loops. */
function blocks({ rows, rowStride, summed }: StoredMatrix): number[][] {
  const all: number[][] = [];
  const length = summed === 'rows' ? rows : rowStride;
  for (let line = 0; line < (summed === 'rows' ? rowStride : rows); line++) {
    for (let start = 0; start < length; start += 32) {
      const along = Array.from({ length: Math.min(32, length - start) }, (_, i) => start + i);
      all.push(along.map((i) => (summed === 'rows' ? i * rowStride + line : line * rowStride + i)));
    }
  }
  return all;
}

const SHAPES = [
  [1, 4],
  [5, 4],
  [31, 8],
  [33, 12],
  [64, 4],
  [3, 36],
  [2, 68],
] as const;

/** Magnitudes from below f16's smallest scale to its largest, zeros, and whole blocks of each. */
function hardMatrix(count: number, random: () => number, largest: number): Float32Array<ArrayBuffer> {
  const magnitudes = [0, 1e-30, 2 ** -26, 1e-6, 2e-5, 1e-3, 0.1, 1, 300, largest];
  return Float32Array.from({ length: count }, (_, i) => {
    const size = magnitudes[Math.floor(i / 7) % magnitudes.length] * (i % 3 === 0 ? 1 : random());
    return random() < 0.5 ? -size : size;
  });
}

const cases = (['q8', 'q4'] as const).flatMap((format) =>
  (['rows', 'columns'] as const).flatMap((summed) =>
    SHAPES.map(([rows, rowStride]) => ({ format, summed, rows, rowStride })),
  ),
);

test.each(cases)(
  '$format of [$rows, $rowStride], scales along $summed: within half a step, whatever the numbers',
  (matrix) => {
    const last = matrix.format === 'q8' ? 127 : 7;
    const seed = matrix.rows * 100 + matrix.rowStride;
    let state = seed;
    const random = () => {
      state = (state * 16807) % 2147483647;
      return state / 2147483647;
    };
    const data = hardMatrix(matrix.rows * matrix.rowStride, random, largestWeight(matrix.format));
    const words = encodeMatrix(data, matrix);
    expect(words.length).toBe(matrixWords(matrix));
    const decoded = decodeMatrix(words, matrix);
    let found = 0;
    for (const block of blocks(matrix)) {
      const largest = Math.max(...block.map((e) => Math.abs(data[e])));
      const scale = scaleOf(largest, last);
      for (const e of block) {
        found++;
        const code = scale === 0 ? 0 : decoded[e] / scale;
        expect(Number.isInteger(code) && Math.abs(code) <= last, `element ${e}: code ${code}`).toBe(true);
        expect(Math.abs(data[e] - decoded[e]), `element ${e}`).toBeLessThanOrEqual(scale / 2);
        expect(Object.is(decoded[e], -0)).toBe(false);
      }
      expect(scale === 0).toBe(largest === 0);
    }
    expect(found).toBe(data.length);
  },
);

/** By the definition, in numbers: the nearest of f16, or the next one if the largest would lie more than half a step beyond. */
function scaleOf(largest: number, last: number): number {
  const nearest = roundTo('f16', largest / last);
  if (largest <= (last + 0.5) * nearest) return nearest;
  const spacing = 2 ** (Math.max(Math.floor(Math.log2(nearest || 2 ** -24)), -14) - 10);
  return nearest + spacing;
}

test('f16 is every element rounded by itself, of either sign of zero', () => {
  const matrix = { rows: 3, rowStride: 4, summed: 'rows', format: 'f16' } as const;
  const data = Float32Array.of(1, -0, 0, 0.1, 65504, -65504, 1e-8, -3e-8, 6.1e-5, 6.0e-5, 1 / 3, -2.000001);
  const decoded = decodeMatrix(encodeMatrix(data, matrix), matrix);
  expect(
    firstDifference(
      decoded,
      data.map((x) => roundTo('f16', x)),
    ),
  ).toBe(-1);
});
