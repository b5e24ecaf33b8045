// Tensors of a safetensors file: one of a whole file in memory, as float32; or any, one at a time, of a file that is read in parts, as
// the bytes that it holds. Checkpoints are read by `checkpoint.ts`.
import { type Dtype, decodeFloat32, FLOAT_DTYPES } from './dtypes.ts';
import {
  headerSizeBytes,
  parseSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './safetensors.ts';

/** A tensor of a file, row-major. */
export interface SafetensorsTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/**
 * One tensor of a file's bytes: what `writeSafetensors` or Python wrote. F32 shares the bytes' memory where it can: do not write to it.
 * @throws Error where the file is none, or has no such tensor of floats
 * @example
 * const { shape, data } = readSafetensors(bytes, 'blocks.0.hook_mlp_out', 'values.safetensors');
 */
export function readSafetensors(bytes: Uint8Array, name: string, file: string): SafetensorsTensor {
  const { entries } = parseSafetensorsHeader(bytes, bytes.byteLength, file);
  const { dtype, shape, begin, end } = entryOf(entries, name, file);
  if (!FLOAT_DTYPES.includes(dtype)) {
    throw new Error(`safetensors: ${file}: ${name}: expected one of ${FLOAT_DTYPES.join(', ')}, got ${dtype}.`);
  }
  return { shape, data: decodeFloat32(dtype, bytes.subarray(begin, end)) };
}

/** A file whose bytes can be read in parts: on a disk, picked by a user, in memory. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** The bytes from `begin` up to but without `end`. */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A tensor that lies in a file, row-major, little-endian. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readBytes(): Promise<Uint8Array<ArrayBuffer>>;
}

/** A safetensors file of which no more is held than its header. */
export class SafetensorsFile {
  /** In the order of the header; Python sorts them. */
  readonly names: readonly string[];
  /** What `__metadata__` says. */
  readonly metadata: Readonly<Record<string, string>>;
  private readonly file: string;
  private readonly read: ByteSource['read'];
  private readonly entries: readonly SafetensorsEntry[];

  private constructor(file: string, read: ByteSource['read'], { entries, metadata }: SafetensorsHeader) {
    this.names = entries.map(({ name }) => name);
    this.metadata = metadata;
    this.file = file;
    this.read = read;
    this.entries = entries;
  }

  /**
   * Reads and checks the header.
   * @param file its name, for messages
   * @throws Error where the file is none, listing everything that is wrong
   * @example
   * const read = async (begin, end) => new Uint8Array(await picked.slice(begin, end).arrayBuffer()); // a File
   * const values = await SafetensorsFile.open({ sizeBytes: picked.size, read }, picked.name);
   */
  static async open(from: Uint8Array<ArrayBuffer> | ByteSource, file: string): Promise<SafetensorsFile> {
    const source = from instanceof Uint8Array ? inMemory(from) : from;
    const { sizeBytes } = source;
    const read = async (begin: number, end: number) => {
      const bytes = await source.read(begin, end);
      if (bytes.byteLength === end - begin) return bytes;
      const got = `expected ${end - begin} bytes from byte ${begin} on, got ${bytes.byteLength}`;
      throw new Error(`safetensors: ${file}: ${got}. Has the file changed?`);
    };
    const headerBytes = headerSizeBytes(await read(0, Math.min(8, sizeBytes)), sizeBytes, file);
    return new SafetensorsFile(file, read, parseSafetensorsHeader(await read(0, headerBytes), sizeBytes, file));
  }

  /** @throws Error where there is no such tensor */
  get(name: string): StoredTensor {
    const { dtype, shape, begin, end } = entryOf(this.entries, name, this.file);
    return { name, dtype, shape, readBytes: () => this.read(begin, end) };
  }
}

function inMemory(bytes: Uint8Array<ArrayBuffer>): ByteSource {
  return { sizeBytes: bytes.byteLength, read: async (begin, end) => bytes.subarray(begin, end) };
}

function entryOf(entries: readonly SafetensorsEntry[], name: string, file: string): SafetensorsEntry {
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry) return entry;
  const names = entries.map((candidate) => candidate.name);
  const list = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
  throw new Error(`safetensors: ${file}: no tensor "${name}". It has ${list || 'none at all'}.`);
}
