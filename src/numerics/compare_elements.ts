// Two values of one shape, element by element: bits first, then how far the numbers are apart. Which values those are is decided in
// `compare.ts`.
import { DTYPE_SIZE_BYTES, type Dtype, decodeFloat32, decodeFloat64, FLOAT_DTYPES } from '../engine/dtypes.ts';
import { ulpDistance } from './float32.ts';

/** A value's elements as they are stored: row-major, little-endian. */
export interface StoredElements {
  readonly dtype: Dtype;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** An element that differs. */
export interface ElementDifference {
  readonly a: number;
  readonly b: number;
  /** The bits in hexadecimal, `0x3f800000`: as stored, or of the float32 numbers where the dtypes differ. */
  readonly aBits: string;
  readonly bBits: string;
  /** `ulpDistance(a, b)`; NaN for integers. */
  readonly ulp: number;
}

/** How the elements of two values differ. */
export interface ElementStatistics {
  readonly elements: number;
  /** Elements whose bits differ: 0 and −0 do, and so do two NaN with different payloads. */
  readonly differing: number;
  /** Elements that are NaN on one side and a number on the other. */
  readonly nanOnOneSide: number;
  /** Largest and middle distance of all elements, in float32 steps; equal bits are 0 apart. NaN where one of them is NaN. */
  readonly maxUlp: number;
  readonly medianUlp: number;
  /** Largest |a − b|; equal bits are 0 apart, infinities too. NaN where one of the differences is NaN. */
  readonly maxAbs: number;
}

const isFloat = (dtype: Dtype) => FLOAT_DTYPES.includes(dtype);

/** Why elements of these dtypes cannot be compared, or null if they can. */
export function dtypeProblem(a: Dtype, b: Dtype): string | null {
  const unreadable = [a, b].find((dtype) => dtype.startsWith('F8'));
  if (unreadable) return `${unreadable} is not read`;
  return a === b || (isFloat(a) && isFloat(b)) ? null : `${a} cannot be compared with ${b}`;
}

/**
 * Compares elements of two dtypes that `dtypeProblem` lets pass: as they are stored where the dtypes are the same, otherwise as
 * float32 (float64 rounded).
 */
export function compareElements(
  a: StoredElements,
  b: StoredElements,
): ElementStatistics & { readonly first: (ElementDifference & { readonly at: number }) | null } {
  const dtype = a.dtype === b.dtype ? a.dtype : 'F32';
  const [x, y] = [readable(a, dtype), readable(b, dtype)];
  const elements = x.words.length;
  const distances = new Uint32Array(elements);
  const ulpOf = (i: number) => (isFloat(dtype) ? ulpDistance(x.numbers[i], y.numbers[i]) : Number.NaN);
  let [differing, nanOnOneSide, maxUlp, maxAbs, first] = [0, 0, 0, 0, -1];
  for (let i = 0; i < elements; i++) {
    if (x.words[i] === y.words[i]) continue;
    if (differing === 0) first = i;
    differing++;
    const [p, q] = [x.numbers[i], y.numbers[i]];
    if (Number.isNaN(p) !== Number.isNaN(q)) nanOnOneSide++;
    const ulp = ulpOf(i);
    distances[i] = Number.isNaN(ulp) ? FARTHEST : ulp;
    maxUlp = Math.max(maxUlp, ulp); // of NaN and anything it is NaN
    maxAbs = Math.max(maxAbs, Math.abs(p - q));
  }
  const medianUlp = 2 * differing < elements ? 0 : median(distances);
  const statistics = { elements, differing, nanOnOneSide, maxUlp, medianUlp, maxAbs };
  if (first < 0) return { ...statistics, first: null };
  const hex = ({ words }: Readable) => `0x${words[first].toString(16).padStart(2 * DTYPE_SIZE_BYTES[dtype], '0')}`;
  const difference = { a: x.numbers[first], b: y.numbers[first], aBits: hex(x), bBits: hex(y), ulp: ulpOf(first) };
  return { ...statistics, first: { at: first, ...difference } };
}

/** Stands for NaN among distances, of which none is as large. */
const FARTHEST = 0xffffffff;

function median(distances: Uint32Array): number {
  if (distances.length === 0) return 0;
  const sorted = distances.sort();
  const middle = (sorted.length - 1) / 2;
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return high === FARTHEST ? Number.NaN : (low + high) / 2;
}

/** Elements as numbers, and as the integers that their bits are. */
interface Readable {
  readonly numbers: Float32Array | Float64Array;
  readonly words: Uint8Array | Uint16Array | Uint32Array | BigUint64Array;
}

function readable({ dtype, bytes }: StoredElements, as: Dtype): Readable {
  const isWide = dtype === 'F64' || !isFloat(dtype);
  if (as === dtype) {
    return {
      numbers: isWide ? decodeFloat64(dtype, bytes) : decodeFloat32(dtype, bytes),
      words: wordsOf(dtype, bytes),
    };
  }
  const numbers = decodeFloat32(dtype, bytes);
  return { numbers, words: new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length) };
}

function wordsOf(dtype: Dtype, bytes: Uint8Array<ArrayBuffer>): Readable['words'] {
  const size = DTYPE_SIZE_BYTES[dtype];
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const words = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[size];
  return new words(buffer, byteOffset, bytes.byteLength / size);
}
