// `hyaline diff`: two files of values beside each other: which differ, by how much, and with which of them it begins.
import { type FileHandle, open } from 'node:fs/promises';
import { type Comparison, compare, SafetensorsFile } from '../index.ts';
import { formatDiff } from './diff_text.ts';
import { abortable } from './stop.ts';

/** Options as they stand on the command line. */
export interface DiffOptions {
  readonly hooks?: readonly string[];
  readonly json?: boolean;
}

interface DiffInvocation extends DiffOptions {
  readonly a: string;
  readonly b: string;
}

/** What the files have: with `--json` this as one JSON object, in which numbers that JSON has no word for are "NaN", "Infinity", … */
export interface DiffReport extends Comparison {
  readonly files: { readonly a: string; readonly b: string };
}

/** Runs the command; prints on stdout. False where the files are not the same. */
export async function diff({ a, b, hooks, json }: DiffInvocation, signal: AbortSignal): Promise<boolean> {
  const comparing = withFile(a, (left) => withFile(b, (right) => compare(left, right, { names: hooks })));
  const report: DiffReport = { files: { a, b }, ...(await abortable(comparing, signal)) };
  console.log(json ? JSON.stringify(report, nameNonFinite, 2) : formatDiff(report));
  return report.same;
}

/** JSON would make them null, which many languages take for 0. */
function nameNonFinite(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

/** The most bytes that Node reads at once is less than 2 GiB. */
const MOST_AT_ONCE = 1 << 30;

/** Opens a file for as long as `f` takes. */
async function withFile<T>(path: string, f: (file: SafetensorsFile) => Promise<T>): Promise<T> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'there is no such file' : `cannot be read: ${error.message}`;
    throw new Error(`diff: ${path}: ${why}.`, { cause: error });
  });
  try {
    const found = await handle.stat();
    if (found.isDirectory()) throw new Error(`diff: ${path}: expected a safetensors file, got a folder.`);
    const read = (begin: number, end: number) => readRange(handle, begin, end);
    return await f(await SafetensorsFile.open({ sizeBytes: found.size, read }, path));
  } finally {
    await handle.close();
  }
}

/** Fewer bytes where the file ends before. */
async function readRange(handle: FileHandle, begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - begin);
  let filled = 0;
  while (filled < bytes.length) {
    const length = Math.min(bytes.length - filled, MOST_AT_ONCE);
    const { bytesRead } = await handle.read(bytes, filled, length, begin + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
