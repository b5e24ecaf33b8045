// The formats that a model's matrices may be stored in, and how they lie in a buffer: to and from float32 on the CPU, in integers and
// float64. How kernels read them is in `weight_access.ts`; numbers that are rounded and stay float32 are `formats.ts`'s.
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

const LARGEST_CODE = { q8: 127, q4: 7 } as const;
const LARGEST_HALF = 65504;

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

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The bits of the binary16 that is nearest to x, ties to even. x is no NaN, and is at most 65504 in magnitude. */
export function toHalf(x: number): number {
  float[0] = x;
  const sign = (word[0] >>> 16) & 0x8000;
  const magnitude = word[0] & 0x7fffffff;
  if (magnitude < 0x38800000) return sign | toEven(Math.abs(float[0]) * 2 ** 24); // multiples of 2⁻²⁴; 1024 of them are 2⁻¹⁴
  return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
}

/** The number that binary16's bits are; not for infinities and NaN. */
export function fromHalf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >>> 10) & 0x1f, bits & 0x3ff];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** To the nearest whole number, ties to even, of magnitudes below 2⁵¹: float64 has no more places. */
function toEven(x: number): number {
  return x + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
}

/** Bits of the scale of a block with this largest magnitude. */
function scaleBits(largest: number, lastCode: number): number {
  const bits = toHalf(Math.min(largest / lastCode, LARGEST_HALF));
  return largest > (lastCode + 0.5) * fromHalf(bits) ? bits + 1 : bits;
}

/** Calls `f` for each block: its number, and its elements as a start, a step and a count. */
function forBlocks(
  { rows, rowStride, summed }: StoredMatrix,
  f: (scale: number, first: number, step: number, count: number) => void,
): void {
  const [lines, length, lineStep, step] =
    summed === 'rows' ? [rowStride, rows, 1, rowStride] : [rows, rowStride, rowStride, 1];
  const blocks = Math.ceil(length / SCALE_BLOCK);
  for (let block = 0; block < blocks; block++) {
    const start = block * SCALE_BLOCK;
    const count = Math.min(SCALE_BLOCK, length - start);
    for (let line = 0; line < lines; line++) {
      f(
        summed === 'rows' ? block * rowStride + line : line * blocks + block,
        line * lineStep + start * step,
        step,
        count,
      );
    }
  }
}

/**
 * The words of a matrix: `matrixWords` of them.
 * @param data finite numbers, at most `largestWeight` in magnitude
 */
export function encodeMatrix(data: Float32Array<ArrayBuffer>, matrix: StoredMatrix): Uint32Array<ArrayBuffer> {
  const { format } = matrix;
  if (format === 'f32') return new Uint32Array(data.buffer, data.byteOffset, data.length);
  const words = new Uint32Array(matrixWords(matrix));
  if (!isQuantised(format)) {
    const halves = new Uint16Array(words.buffer);
    for (let i = 0; i < data.length; i++) halves[i] = toHalf(data[i]);
    return words;
  }
  const scales = new Uint16Array(words.buffer, 4 * elementWords(matrix));
  const bytes = new Uint8Array(words.buffer);
  const lastCode = LARGEST_CODE[format];
  forBlocks(matrix, (block, first, step, count) => {
    let largest = 0;
    for (let i = 0, e = first; i < count; i++, e += step) largest = Math.max(largest, Math.abs(data[e]));
    scales[block] = scaleBits(largest, lastCode);
    if (largest === 0) return;
    const scale = fromHalf(scales[block]);
    for (let i = 0, e = first; i < count; i++, e += step) {
      const code = Math.max(-lastCode, Math.min(lastCode, toEven(data[e] / scale)));
      if (format === 'q8') bytes[e] = code;
      else bytes[e >>> 1] |= (code & 15) << (4 * (e & 1));
    }
  });
  return words;
}

/** The float32 numbers that the words are: what kernels read. */
export function decodeMatrix(words: Uint32Array<ArrayBuffer>, matrix: StoredMatrix): Float32Array<ArrayBuffer> {
  const { format, rows, rowStride } = matrix;
  if (format === 'f32') return new Float32Array(words.buffer, words.byteOffset, words.length);
  const data = new Float32Array(rows * rowStride);
  if (!isQuantised(format)) {
    const halves = new Uint16Array(words.buffer, words.byteOffset);
    for (let i = 0; i < data.length; i++) data[i] = fromHalf(halves[i]);
    return data;
  }
  const scales = new Uint16Array(words.buffer, words.byteOffset + 4 * elementWords(matrix));
  const codes = new Int8Array(words.buffer, words.byteOffset);
  forBlocks(matrix, (block, first, step, count) => {
    const scale = fromHalf(scales[block]);
    for (let i = 0, e = first; i < count; i++, e += step) {
      data[e] = scale * (format === 'q8' ? codes[e] : (codes[e >>> 1] << (28 - 4 * (e & 1))) >> 28);
    }
  });
  return data;
}
