// The safetensors file format (https://github.com/huggingface/safetensors#format): a strict reader of headers. What
// the tensors' bytes mean is in `dtypes.ts`, the writer in `safetensors_writer.ts`; files and networks are not known here.
//
// A file is 8 bytes of header length n (little-endian u64), n bytes of JSON, then the tensors' bytes without holes.

import { DTYPE_SIZE_BYTES, type Dtype, elementCount, isDtype } from './dtypes.ts';

export { decodeFloat32, decodeFloat64 } from './dtypes.ts';
export { type WritableTensor, writeSafetensors } from './safetensors_writer.ts';

/** One tensor of a header. `begin` and `end` are offsets in bytes from the start of the file. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of the header. */
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** The reference implementation's limit; real headers are a few hundred kilobytes at most. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_PROBLEMS_LISTED = 20;

/**
 * Bytes to read before `parseSafetensorsHeader` can run: 8 + header length. Throws on an impossible length.
 * @example
 * headerSizeBytes(bytesOfFile.subarray(0, 8), fileSizeBytes, 'model.safetensors'); // 5072
 */
export function headerSizeBytes(bytes: Uint8Array, fileSizeBytes: number, file: string): number {
  if (fileSizeBytes < 8 || bytes.byteLength < 8) {
    const size = Math.min(fileSizeBytes, bytes.byteLength);
    throw new Error(`safetensors: ${file}: expected at least 8 bytes, got ${size}. Is the download complete?`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new Error(
      `safetensors: ${file}: expected a header of at most ${MAX_HEADER_BYTES} bytes, got length ${length}. ` +
        'Is this a safetensors file?',
    );
  }
  const size = 8 + Number(length);
  if (size > fileSizeBytes) {
    throw new Error(
      `safetensors: ${file}: expected a header of ${length} bytes, got a file of ${fileSizeBytes} bytes. ` +
        'Is the download complete?',
    );
  }
  return size;
}

/**
 * Reads and checks the header of a safetensors file: afterwards every entry lies inside the file, has the size that its
 * dtype and shape say, and shares no byte with another. `bytes` is the start of the file (at least the whole header); without the file's
 * size, that its tensors are all there is left to whoever reads them.
 * Throws one error that lists everything wrong. Cost: the header's text, no tensor data is looked at.
 * @example
 * const { entries } = parseSafetensorsHeader(bytes, bytes.length, 'model.safetensors');
 * entries[0]; // { name: 'transformer.wte.weight', dtype: 'F32', shape: [2048, 128], begin: 5072, end: 1053648 }
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileSizeBytes: number | null,
  file: string,
): SafetensorsHeader {
  const dataStart = headerSizeBytes(bytes, fileSizeBytes ?? Number.MAX_SAFE_INTEGER, file);
  if (bytes.byteLength < dataStart) {
    throw new Error(`safetensors: ${file}: expected the ${dataStart} bytes of the header, got ${bytes.byteLength}.`);
  }
  const { header, duplicates } = parseJson(bytes.subarray(8, dataStart), file);
  const problems = duplicates.map((key) => `duplicate key ${quote(key)}`);
  const entries: SafetensorsEntry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') {
      if (isObject(value) && Object.values(value).every((v) => typeof v === 'string')) {
        metadata = value as Record<string, string>;
      } else if (value !== null) problems.push('__metadata__: expected an object of strings');
      continue;
    }
    const entry = parseEntry(name, value, dataStart, fileSizeBytes ?? Number.MAX_SAFE_INTEGER);
    if (typeof entry === 'string') problems.push(`tensor ${quote(name)}: ${entry}`);
    else entries.push(entry);
  }
  if (problems.length === 0) problems.push(...layoutProblems(entries, dataStart, fileSizeBytes));
  if (problems.length > 0) throw headerError(file, problems);
  return { entries, metadata };
}

function headerError(file: string, problems: readonly string[]): Error {
  if (problems.length === 1) return new Error(`safetensors: ${file}: ${problems[0]}`);
  const listed = problems.slice(0, MAX_PROBLEMS_LISTED);
  if (listed.length < problems.length) listed.push(`… and ${problems.length - listed.length} more`);
  return new Error(`safetensors: ${file}: ${problems.length} problems in the header:\n- ${listed.join('\n- ')}`);
}

function parseJson(bytes: Uint8Array, file: string): { header: Record<string, unknown>; duplicates: string[] } {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw new Error(`safetensors: ${file}: expected a header in JSON, got ${preview(bytes)}`, { cause });
  }
  if (!isObject(header)) {
    throw new Error(`safetensors: ${file}: expected a JSON object as header, got ${preview(bytes)}`);
  }
  return { header, duplicates: duplicateKeys(text) };
}

/** Keys that stand twice in one object of this (valid) JSON text; JSON.parse keeps the last and says nothing. */
function duplicateKeys(json: string): string[] {
  const duplicates: string[] = [];
  const open: (Set<string> | null)[] = []; // one per unclosed bracket: the keys so far, or null in an array
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const start = i;
      i++;
      while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
      const keys = open.at(-1);
      if (!keys || !isKey(json, i + 1)) continue;
      const key: string = JSON.parse(json.slice(start, i + 1));
      if (keys.has(key)) duplicates.push(key);
      keys.add(key);
    }
  }
  return duplicates;
}

/** Whether a colon follows, after white space. */
function isKey(json: string, from: number): boolean {
  let i = from;
  while (' \t\n\r'.includes(json[i])) i++;
  return json[i] === ':';
}

/** The entry, or what is wrong with it. */
function parseEntry(name: string, value: unknown, dataStart: number, fileSize: number): SafetensorsEntry | string {
  if (!isObject(value)) return `expected {dtype, shape, data_offsets}, got ${show(value)}`;
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) {
    return `expected a dtype of ${Object.keys(DTYPE_SIZE_BYTES).join(', ')}, got ${show(dtype)}`;
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    return `expected a shape of non-negative integers, got ${show(shape)}`;
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return `expected data_offsets [begin, end], got ${show(offsets)}`;
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) return `expected data_offsets [begin, end] with begin ≤ end, got [${begin}, ${end}]`;
  const dataSize = fileSize - dataStart;
  if (end > dataSize) {
    return (
      `expected data inside the ${dataSize} bytes that follow the header, got data_offsets [${begin}, ${end}]. ` +
      'Is the download complete?'
    );
  }
  const sizeBytes = elementCount(shape) * DTYPE_SIZE_BYTES[dtype];
  if (end - begin !== sizeBytes) {
    const expected = `expected ${sizeBytes} bytes for ${dtype} [${shorten(shape.join(', '))}]`;
    return `${expected}, got ${end - begin} (data_offsets [${begin}, ${end}])`;
  }
  return { name, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** Overlaps, and bytes that belong to no tensor: the format allows neither. */
function layoutProblems(entries: readonly SafetensorsEntry[], dataStart: number, fileSize: number | null): string[] {
  const problems: string[] = [];
  const inFileOrder = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = dataStart;
  let previous = '';
  for (const { name, begin, end } of inFileOrder) {
    if (begin < covered) problems.push(`tensors ${quote(previous)} and ${quote(name)} overlap`);
    if (begin > covered) problems.push(`${begin - covered} bytes before tensor ${quote(name)} belong to no tensor`);
    if (end >= covered) previous = name;
    covered = Math.max(covered, end);
  }
  if (fileSize !== null && covered < fileSize)
    problems.push(`${fileSize - covered} bytes at the end of the file belong to no tensor`);
  return problems;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function quote(name: string): string {
  return shorten(JSON.stringify(name));
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  try {
    return shorten(JSON.stringify(value));
  } catch {
    return 'a value that is nested too deeply'; // JSON.stringify recurses, JSON.parse does not
  }
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function preview(bytes: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(bytes.subarray(0, 40)));
}
