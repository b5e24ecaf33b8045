// The tensors of a safetensors file as its bytes come, one after another: of the file no more is held than its header and the piece that is
// being read, so a model needs no more memory on the CPU than its largest tensor. Which tensors a model wants is `checkpoint.ts`'s business.
import { DTYPE_SIZE_BYTES, decodeFloat32, elementCount } from './dtypes.ts';
import { headerSizeBytes, parseSafetensorsHeader, type SafetensorsEntry } from './safetensors.ts';
import type { OnProgress, OpenedFile } from './source.ts';

/** A tensor of a file, row-major, as float32. Nobody else has its memory. */
export interface StreamedTensor {
  readonly name: string;
  readonly data: Float32Array<ArrayBuffer>;
}

export interface StreamOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Bytes that are decoded at once where the file does not hold float32: a multiple of every element's size. */
const SLAB_BYTES = 1 << 20;

/** A file that is read once, from its start to its end. */
export class TensorStream {
  /** In the order of the header. */
  readonly entries: readonly SafetensorsEntry[];
  private readonly file: string;
  private readonly bytes: ByteStream;
  private readonly sizeBytes: number;

  private constructor(file: string, bytes: ByteStream, entries: readonly SafetensorsEntry[], headerBytes: number) {
    this.file = file;
    this.bytes = bytes;
    this.entries = entries;
    this.sizeBytes = entries.reduce((end, entry) => Math.max(end, entry.end), headerBytes);
  }

  /**
   * Reads the header, and no more than the piece of the file that it ends in.
   * @param file its name, for messages and progress
   * @throws Error where the header is none, listing everything that is wrong; the file is closed then
   */
  static async open(opened: OpenedFile, file: string, options: StreamOptions): Promise<TensorStream> {
    const bytes = new ByteStream(opened, file, options);
    try {
      const length = await bytes.take(8);
      // A size that a server tells may be that of a compressed body: whether all has come is checked at the end.
      const size = length.byteLength < 8 ? length.byteLength : Number.MAX_SAFE_INTEGER;
      const headerBytes = headerSizeBytes(length, size, file);
      const rest = await bytes.take(headerBytes - 8);
      const header = new Uint8Array(8 + rest.byteLength);
      header.set(length);
      header.set(rest, 8);
      if (header.byteLength < headerBytes) headerSizeBytes(header, header.byteLength, file);
      const { entries } = parseSafetensorsHeader(header, null, file);
      return new TensorStream(file, bytes, entries, headerBytes);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  }

  /**
   * The wanted tensors, in the order in which the file holds them; the others are passed over. Reads to the end and closes the file.
   * @throws Error where a tensor is not of floats, or the file ends early or late; `signal.reason` after an abort
   */
  async *tensors(isWanted: (name: string) => boolean): AsyncGenerator<StreamedTensor, void, undefined> {
    const { bytes, entries, sizeBytes, file } = this;
    try {
      for (const entry of [...entries].sort((a, b) => a.begin - b.begin)) {
        if (!isWanted(entry.name)) continue;
        await bytes.skip(entry.begin - bytes.position);
        const data = await this.decode(entry);
        if (data) yield { name: entry.name, data };
      }
      await bytes.skip(Number.POSITIVE_INFINITY);
      if (bytes.position !== sizeBytes) {
        throw new Error(
          `safetensors: ${file}: expected ${sizeBytes} bytes, got ${bytes.position}. Is the download complete?`,
        );
      }
    } finally {
      await bytes.close();
    }
  }

  /** Null where the file ends before the tensor does. */
  private async decode({ dtype, shape, begin, end }: SafetensorsEntry): Promise<Float32Array<ArrayBuffer> | null> {
    const data = allocate(elementCount(shape), this.file);
    if (dtype === 'F32') return (await this.bytes.fill(new Uint8Array(data.buffer))) ? data : null;
    decodeFloat32(dtype, new Uint8Array(0)); // refuses what are no floats before their bytes are read
    const slab = new Uint8Array(Math.min(SLAB_BYTES, end - begin));
    for (let at = begin; at < end; at += slab.byteLength) {
      const part = slab.subarray(0, Math.min(slab.byteLength, end - at));
      if (!(await this.bytes.fill(part))) return null;
      data.set(decodeFloat32(dtype, part), (at - begin) / DTYPE_SIZE_BYTES[dtype]);
    }
    return data;
  }

  /** Closes the file before its end. */
  async close(): Promise<void> {
    await this.bytes.close();
  }
}

function allocate(elements: number, file: string): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(elements);
  } catch (cause) {
    throw new Error(`safetensors: ${file}: expected tensors that fit into memory, got one of ${elements} numbers.`, {
      cause,
    });
  }
}

/** The bytes of a file one after another, with progress. */
class ByteStream {
  /** How many have been taken or skipped. */
  position = 0;
  private readonly file: string;
  private readonly total: number;
  private readonly options: StreamOptions;
  private readonly chunks: AsyncIterator<Uint8Array>;
  /** What is left of the last piece. */
  private rest: Uint8Array = new Uint8Array(0);
  private loaded = 0;
  private isEnded = false;

  constructor({ chunks, sizeBytes }: OpenedFile, file: string, options: StreamOptions) {
    this.file = file;
    this.total = sizeBytes ?? 0;
    this.options = options;
    this.chunks = chunks[Symbol.asyncIterator]();
  }

  /** Whether there is more: the next piece is in `rest` then. */
  private async more(): Promise<boolean> {
    const { signal } = this.options;
    while (this.rest.byteLength === 0 && !this.isEnded) {
      signal?.throwIfAborted();
      const { done, value } = await this.chunks.next();
      signal?.throwIfAborted();
      if (done) this.isEnded = true;
      else this.rest = value;
      this.loaded += done ? 0 : value.byteLength;
      this.tell(done === true);
    }
    return this.rest.byteLength > 0;
  }

  /** The last time `loaded` equals `total`, and not before. */
  private tell(isEnd: boolean): void {
    const { loaded, file } = this;
    const total = isEnd ? loaded : loaded < this.total ? this.total : 0;
    if (isEnd || loaded !== this.total) this.options.onProgress?.({ phase: 'download', file, loaded, total });
  }

  private advance(count: number): Uint8Array {
    const piece = this.rest.subarray(0, count);
    this.rest = this.rest.subarray(count);
    this.position += piece.byteLength;
    return piece;
  }

  /** Fills the target; false where the file ends before. */
  async fill(target: Uint8Array): Promise<boolean> {
    let filled = 0;
    while (filled < target.byteLength && (await this.more())) {
      const piece = this.advance(target.byteLength - filled);
      target.set(piece, filled);
      filled += piece.byteLength;
    }
    return filled === target.byteLength;
  }

  /** The next bytes, copied; fewer where the file ends before. Nothing is reserved for what a header only claims. */
  async take(count: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    const end = this.position + count;
    while (this.position < end && (await this.more())) pieces.push(this.advance(end - this.position).slice());
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.byteLength;
    }
    return bytes;
  }

  async skip(count: number): Promise<void> {
    const end = this.position + count;
    while (this.position < end && (await this.more())) this.advance(end - this.position);
  }

  /** Ends the iteration, which closes the file; what it says then is no news. */
  async close(): Promise<void> {
    this.isEnded = true;
    this.rest = new Uint8Array(0);
    await this.chunks.return?.().catch(() => {});
  }
}
