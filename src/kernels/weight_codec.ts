// Matrices to and from the formats that they may be stored in (weight_formats.ts), on the CPU, in integers and float64. A model whose
// matrices are stored in float32 never imports it.
import {
  elementWords,
  isQuantised,
  LARGEST_CODE,
  LARGEST_HALF,
  matrixWords,
  SCALE_BLOCK,
  type StoredMatrix,
} from './weight_formats.ts';

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
