// How weights lie on the GPU: from TransformerLens's layout to the one that the kernels read, and in how many buffers.

import {
  ELEMENT_BITS,
  isQuantised,
  type MatrixStorage,
  matrixWords,
  SCALE_BLOCK,
  type WeightFormat,
} from '../kernels/weight_formats.ts';
import { type ModelConfig, type WeightSpec, weightSpecs } from './config.ts';

/** A run of consecutive rows of a weight that has a buffer of its own. */
export interface Piece {
  readonly firstRow: number;
  readonly rowCount: number;
}

/**
 * A weight's layout on the GPU: `rows` rows of `rowStride` elements, cut into pieces that fit one binding each. Matrices that products
 * read may be stored in another format than float32; each piece is then a matrix of its own.
 */
export interface WeightLayout extends MatrixStorage {
  readonly rows: number;
  readonly rowStride: number;
  readonly pieces: readonly Piece[];
  /** Where it lies in a buffer that it shares with others; absent where it has its own. */
  readonly shared?: SharedPlace;
}

/** A place in a buffer of several weights, which one product reads at once: bytes from the beginning, and the buffer's size. */
export interface SharedPlace {
  readonly buffer: string;
  readonly offset: number;
  readonly size: number;
}

/** The buffer that a weight shares: the projections of queries, keys and values lie one behind the other, and so do their biases. */
export function sharedBuffer(name: string): string | null {
  return /^(.*\.attn\.[Wb]_)[QKV]$/.exec(name)?.[1].concat('QKV') ?? null;
}

/** Where parts of a shared buffer may begin: no adapter asks for a coarser alignment of bindings. */
const ALIGNMENT = 256;

/**
 * The layouts of all weights of a model.
 * @param maxBindingSizeBytes what one binding, and one buffer, may hold
 * @param weights what matrices are stored in
 */
export function weightLayouts(
  config: ModelConfig,
  maxBindingSizeBytes: number,
  weights: WeightFormat = 'f32',
): Map<string, WeightLayout> {
  const layouts = new Map<string, WeightLayout>();
  const parts = new Map<string, { name: string; offset: number; end: number }[]>();
  for (const spec of [...weightSpecs(config), ...derivedSpecs(config)]) {
    const layout = weightLayout(spec, maxBindingSizeBytes, weights);
    layouts.set(spec.name, layout);
    const buffer = sharedBuffer(spec.name);
    // Scales lie behind codes: matrices that have some are read one by one.
    if (!buffer || layout.format !== 'f32') continue;
    const before = parts.get(buffer) ?? [];
    const offset = ALIGNMENT * Math.ceil((before.at(-1)?.end ?? 0) / ALIGNMENT);
    parts.set(buffer, [...before, { name: spec.name, offset, end: offset + 4 * layout.rows * layout.rowStride }]);
  }
  for (const [buffer, places] of parts) {
    const size = places.at(-1)?.end ?? 0;
    if (size > maxBindingSizeBytes) continue;
    for (const { name, offset } of places) {
      const layout = layouts.get(name);
      if (layout) layouts.set(name, { ...layout, shared: { buffer, offset, size } });
    }
  }
  return layouts;
}

const padded = (size: number) => 4 * Math.ceil(size / 4);
const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);

type Form = 'heads' | 'columns' | 'transposed' | 'rows' | 'flat';

/**
 * `heads`: W_Q, W_K, W_V [head, d_model, d_head] become one matrix [d_model, head · d_head]; `columns`: a matrix whose rows
 * are padded to whole vec4; `transposed`: W_U becomes rows of the vocabulary, as W_E is; `rows`: as it is, rows padded.
 */
function form(name: string): Form {
  if (/\.W_[QKV]$/.test(name)) return 'heads';
  if (/\.W_(O|in|gate|out)$/.test(name)) return 'columns';
  if (name === 'unembed.W_U') return 'transposed';
  return name === 'embed.W_E' ? 'rows' : 'flat';
}

/** Only the vocabulary's matrices are cut: their kernels take pieces of rows. */
const CUT: readonly Form[] = ['transposed', 'rows'];

/** Which axis products sum over; a vector or table has none, and is never stored in another format. */
const SUMMED: Readonly<Record<Exclude<Form, 'flat'>, MatrixStorage['summed']>> = {
  heads: 'rows',
  columns: 'rows',
  transposed: 'columns',
  rows: 'columns',
};

/**
 * Whether `Model.load`'s `weights` is about this weight: all matrices that products read, the embedding among them, which is often the
 * unembedding too. Biases, gains and position tables are float32 in any case: they are small, and added or multiplied as they are.
 */
export function isMatrix({ name }: WeightSpec): boolean {
  return form(name) !== 'flat';
}

/** Rows and row length of the matrix that goes to the GPU, before padding. */
function matrixShape(spec: WeightSpec): [number, number] {
  const { shape } = spec;
  switch (form(spec.name)) {
    case 'heads':
      return [shape[1], shape[0] * shape[2]];
    case 'transposed':
      return [shape[1], shape[0]];
    case 'flat':
      return [1, product(shape)];
    default:
      return [product(shape.slice(0, -1)), shape[shape.length - 1]];
  }
}

/**
 * Layout of a weight under a limit of bytes per binding (and per buffer).
 * @param weights what matrices are stored in
 * @throws Error if it does not fit and is not one of the two that can be cut
 */
export function weightLayout(
  spec: WeightSpec,
  maxBindingSizeBytes: number,
  weights: WeightFormat = 'f32',
): WeightLayout {
  const [rows, width] = matrixShape(spec);
  const kind = form(spec.name);
  const rowStride = kind === 'flat' ? width : padded(width);
  const storage: MatrixStorage =
    kind === 'flat' ? { format: 'f32', summed: 'columns' } : { format: weights, summed: SUMMED[kind] };
  const bytesOf = (rowCount: number) => 4 * matrixWords({ ...storage, rows: rowCount, rowStride });
  const whole = { ...storage, rows, rowStride, pieces: [{ firstRow: 0, rowCount: rows }] };
  if (bytesOf(rows) <= maxBindingSizeBytes) return whole;
  if (!CUT.includes(kind) || bytesOf(1) > maxBindingSizeBytes) {
    throw new Error(
      `device: ${spec.name} needs a ${megabytes(bytesOf(rows))} binding, this adapter allows ${megabytes(maxBindingSizeBytes)}. ` +
        'Request a device with a larger maxStorageBufferBindingSize, or use a smaller model.',
    );
  }
  const scaleBits = isQuantised(storage.format) ? 16 * Math.ceil(rowStride / SCALE_BLOCK) : 0;
  let step = Math.floor((8 * maxBindingSizeBytes) / (rowStride * ELEMENT_BITS[storage.format] + scaleBits));
  while (bytesOf(step) > maxBindingSizeBytes) step--; // codes and scales end on whole words
  const pieces: Piece[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += step) {
    pieces.push({ firstRow, rowCount: Math.min(step, rows - firstRow) });
  }
  return { ...whole, pieces };
}

/** Bytes of a weight in GPU memory, all pieces together. */
export function storedBytes(layout: WeightLayout): number {
  const { rowStride, format, summed, pieces } = layout;
  return pieces.reduce((sum, { rowCount }) => sum + 4 * matrixWords({ format, summed, rows: rowCount, rowStride }), 0);
}

/** Sizes in the words of an error message. */
export function megabytes(bytes: number): string {
  if (bytes < 1e5) return `${bytes} bytes`;
  const [size, unit] = bytes < 1e9 ? [bytes / 1e6, 'MB'] : [bytes / 1e9, 'GB'];
  return `${size < 100 ? size.toPrecision(3) : Math.round(size)} ${unit}`;
}

/**
 * The weight's elements in GPU order, padded with zeros. The input is left alone, and given back where it is in order already.
 * @param isTransposed `data` is the transpose of a matrix
 */
export function packWeight(
  spec: WeightSpec,
  data: Float32Array<ArrayBuffer>,
  layout: WeightLayout,
  isTransposed = false,
): Float32Array<ArrayBuffer> {
  const { rows, rowStride } = layout;
  const [, width] = matrixShape(spec);
  const isInOrder = (form(spec.name) === 'transposed') === isTransposed && form(spec.name) !== 'heads';
  if (isInOrder && width === rowStride) return data;
  const packed = new Float32Array(rows * rowStride);
  const index = isTransposed ? transposedIndex(spec) : indexOf(spec);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) packed[row * rowStride + column] = data[index(row, column)];
  }
  return packed;
}

/** The way back: a weight's elements in TransformerLens's layout from those in GPU order. Copies. */
export function unpackWeight(
  spec: WeightSpec,
  packed: Float32Array<ArrayBuffer>,
  { rows, rowStride }: WeightLayout,
): Float32Array<ArrayBuffer> {
  const [, width] = matrixShape(spec);
  const index = indexOf(spec);
  const data = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) data[index(row, column)] = packed[row * rowStride + column];
  }
  return data;
}

/** Where an element of the matrix on the GPU stands in the transpose of TransformerLens's; there is none of heads. */
function transposedIndex(spec: WeightSpec): (row: number, column: number) => number {
  const [rows, width] = matrixShape(spec);
  if (form(spec.name) === 'transposed') return (row, column) => row * width + column;
  return (row, column) => column * rows + row;
}

/** Where an element of the matrix on the GPU stands in TransformerLens's layout. */
function indexOf(spec: WeightSpec): (row: number, column: number) => number {
  const [rows, width] = matrixShape(spec);
  const dHead = spec.shape[2];
  switch (form(spec.name)) {
    case 'transposed':
      return (row, column) => column * rows + row;
    case 'heads':
      return (row, column) => (Math.floor(column / dHead) * rows + row) * dHead + (column % dHead);
    default:
      return (row, column) => row * width + column;
  }
}

/** The weights that no checkpoint holds: rotary tables [n_ctx, rotaryDim / 2]. */
export function derivedSpecs({ positionalEmbeddingType, nCtx, rotaryDim }: ModelConfig): WeightSpec[] {
  if (positionalEmbeddingType !== 'rotary') return [];
  const shape = [nCtx, rotaryDim / 2];
  return ['rotary_cos', 'rotary_sin'].map((name) => ({ name, axes: ['n_ctx', 'half'], shape, optional: false }));
}

/** Their elements, computed in float64 and rounded once. Check first that they fit: there may be very many. */
export function derivedWeight({ name, shape }: WeightSpec, config: ModelConfig): Float32Array<ArrayBuffer> {
  const [nCtx, half] = shape;
  const of = name === 'rotary_cos' ? Math.cos : Math.sin;
  const data = new Float32Array(nCtx * half);
  for (let i = 0; i < half; i++) {
    const frequency = config.rotaryBase ** ((-2 * i) / config.rotaryDim);
    for (let pos = 0; pos < nCtx; pos++) data[pos * half + i] = of(pos * frequency);
  }
  return data;
}
