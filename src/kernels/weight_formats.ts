// The formats that a model's matrices may be stored in, and how they lie in a buffer. To and from float32 on the CPU they are brought by
// `weight_codec.ts`. How kernels read them is in `weight_access.ts`; numbers that are rounded and stay float32 are `formats.ts`'s.
//
// A matrix has `rows` rows of `rowStride` elements, a whole number of vec4; element e = row · rowStride + column. Words are u32, and
// what shares one fills it from its lowest bits on.
//   f32   word e.
//   f16   IEEE binary16, rounded to nearest, ties to even: half e % 2 of word ⌊e / 2⌋.
//   q8    codes −127 … 127 in two's complement: byte e % 4 of word ⌊e / 4⌋. Behind the codes, from the next word on, the scales.
//   q4    codes −7 … 7 in two's complement: nibble e % 8 of word ⌊e / 8⌋. Then the scales.
// A scale belongs to a block of 32 elements that follow one another along the axis that products sum over, counted from its start; the
// last block may be shorter. `summed` says which axis that is:
//   rows      [d_in, d_out], x · W:   scale number ⌊row / 32⌋ · rowStride + column
//   columns   [d_out, d_in], x · Wᵀ:  scale number row · ⌈rowStride / 32⌉ + ⌊column / 32⌋
// Scales are f16, never negative: half s % 2 of word ⌊s / 2⌋ behind the codes. What a product reads is code · scale. Eleven bits times
// seven are exact in float32, so a quantised matrix is a matrix of float32 numbers in less memory: the bits of a run are those of
// a model that is given these numbers.
//
// The scale is the f16 that is nearest to largest/127 (largest/7), where `largest` is the largest magnitude of the block; the next one if
// that leaves `largest` more than half a step beyond the last code (below f16's normal numbers it can). The code is the
// nearest to x/scale, ties to even. So no element is off by more than half a scale, and a block is of scale 0 only if it is all 0.

export const WEIGHT_FORMATS = ['f32', 'f16', 'q8', 'q4'] as const;

/** How the matrices of a model are stored: `f32` as they are, `f16` rounded, `q8` and `q4` as whole numbers with a scale for each 32. */
export type WeightFormat = (typeof WEIGHT_FORMATS)[number];

/** Elements that share a scale. */
export const SCALE_BLOCK = 32;

/** A matrix as it is stored. */
export interface MatrixStorage {
  readonly format: WeightFormat;
  /** The axis that products sum over. */
  readonly summed: 'rows' | 'columns';
}

export interface StoredMatrix extends MatrixStorage {
  readonly rows: number;
  /** A multiple of 4. */
  readonly rowStride: number;
}

/** Bits of an element, without its share of a scale. */
export const ELEMENT_BITS: Readonly<Record<WeightFormat, number>> = { f32: 32, f16: 16, q8: 8, q4: 4 };

/** The largest code on each side of 0. */
export const LARGEST_CODE = { q8: 127, q4: 7 } as const;
/** The largest binary16. */
export const LARGEST_HALF = 65504;

/** @throws Error naming the formats if it is none of them */
export function checkWeightFormat(format: unknown): WeightFormat {
  const known = WEIGHT_FORMATS.find((candidate) => candidate === format);
  if (known) return known;
  throw new Error(`weights: expected a format (${WEIGHT_FORMATS.join(', ')}), got ${JSON.stringify(format)}.`);
}

/** Whether a format has scales. */
export function isQuantised(format: WeightFormat): format is 'q8' | 'q4' {
  return format === 'q8' || format === 'q4';
}

/** The largest magnitude that a format holds. */
export function largestWeight(format: WeightFormat): number {
  if (format === 'f32') return (2 - 2 ** -23) * 2 ** 127;
  return isQuantised(format) ? LARGEST_CODE[format] * LARGEST_HALF : LARGEST_HALF;
}

/** Words of the elements: the index of the word where scales begin. */
export function elementWords({ rows, rowStride, format }: StoredMatrix): number {
  return Math.ceil((rows * rowStride * ELEMENT_BITS[format]) / 32);
}

function scaleCount({ rows, rowStride, summed, format }: StoredMatrix): number {
  if (!isQuantised(format)) return 0;
  const blocks = (length: number) => Math.ceil(length / SCALE_BLOCK);
  return summed === 'rows' ? blocks(rows) * rowStride : rows * blocks(rowStride);
}

/** Words of the whole matrix. */
export function matrixWords(matrix: StoredMatrix): number {
  return elementWords(matrix) + Math.ceil(scaleCount(matrix) / 2);
}
