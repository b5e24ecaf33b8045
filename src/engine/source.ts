// Where a model's files come from: a folder's URL, a path in Node, files that a user picked, or the Hugging Face hub.
// A source opens files by name and streams them; what is in them is `checkpoint.ts`'s business.

import type { CacheOption } from './file_store.ts';
import { type HubName, hubFiles, parseHubName } from './hub_name.ts';
import { canReadPaths, openPath, pathOfFileUrl } from './node_files.ts';
import { urlSource } from './url_source.ts';

/** How far loading is. `total` is 0 while nobody knows it (a compressed download); at the end `loaded` equals it. */
export interface LoadProgress {
  readonly phase: 'download' | 'upload' | 'compile';
  readonly file?: string;
  /** Bytes for `download` and `upload`, pipelines for `compile`. Never decreases within one phase and file. */
  readonly loaded: number;
  readonly total: number;
}

export type OnProgress = (progress: LoadProgress) => void;

/** A file that exists. Nothing is read before `chunks` is iterated, once; ending the iteration closes the file. */
export interface OpenedFile {
  /** For messages: URL or path. */
  readonly description: string;
  /** null where it is not known beforehand. */
  readonly sizeBytes: number | null;
  /** The content, in pieces. A piece may be overwritten when the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface Source {
  /** For messages, e.g. `https://example.org/models/circuit-zoo/`. */
  readonly description: string;
  /** The file of this name, or null if there is none. Throws when that cannot be found out, saying why. */
  open(file: string, signal?: AbortSignal): Promise<OpenedFile | null>;
}

/** A folder's URL or path, `hf:owner/name@revision`, or the files of a model (a FileList will do). */
export type SourceLocation = string | URL | ArrayLike<File>;

export interface SourceOptions {
  /**
   * Where files from the hub are kept for the next time. In a browser (if absent, or `true`) the origin's private file system; `false`:
   * nowhere. In Node nowhere if absent; otherwise `hyaline` in a folder that is given by its path, or for `true` in HF_HOME, which is
   * ~/.cache/huggingface if not set.
   */
  readonly cache?: CacheOption;
}

/**
 * The source at a location. A string without a scheme is a path in Node, and a URL relative to the page in a browser.
 * @example
 * createSource('models/circuit-zoo').description; // 'models/circuit-zoo'
 * createSource('hf:openai-community/gpt2').description; // 'https://huggingface.co/openai-community/gpt2/resolve/main/'
 */
export function createSource(location: SourceLocation, { cache }: SourceOptions = {}): Source {
  if (location instanceof URL) return createSource(location.href, { cache });
  if (typeof location !== 'string') return filesSource(Array.from(location));
  if (location.trim() === '') throw new Error('source: expected a URL or path of a folder, got an empty string');
  if (location.startsWith('hf:')) return hubSource(parseHubName(location), cache);
  if (location.startsWith('file:') && canReadPaths()) return pathSource(pathOfFileUrl(location));
  if (/^[a-z][a-z0-9+.-]+:/i.test(location)) return urlSource(new URL(location));
  if (canReadPaths()) return pathSource(location);
  return urlSource(new URL(location, globalThis.document?.baseURI ?? globalThis.location?.href));
}

/** Files from the hub. What looks them up and keeps them is imported with the first one. */
function hubSource(name: HubName, cache: CacheOption | undefined): Source {
  let source: Promise<Source> | null = null;
  return {
    description: hubFiles(name).description,
    async open(file, signal) {
      source ??= import('./hub.ts').then((hub) => hub.hubSource(name, cache));
      return (await source).open(file, signal);
    },
  };
}

function pathSource(folder: string): Source {
  return {
    description: folder,
    async open(file, signal) {
      signal?.throwIfAborted();
      const path = `${folder.replace(/[/\\]+$/, '')}/${file}`;
      const opened = await openPath(path);
      return opened && { description: path, ...opened };
    },
  };
}

/** Files from a picker or a drop. With folders, the model's folder is the one nearest the top that has a config.json. */
function filesSource(files: readonly File[]): Source {
  const pathOf = (file: File) => file.webkitRelativePath || file.name;
  const folderOf = (path: string) => path.slice(0, path.lastIndexOf('/') + 1);
  const depthOf = (path: string) => path.split('/').length;
  const configs = files
    .map(pathOf)
    .filter((path) => path === 'config.json' || path.endsWith('/config.json'))
    .sort((a, b) => depthOf(a) - depthOf(b));
  if (configs.length > 1 && depthOf(configs[0]) === depthOf(configs[1])) {
    throw new Error(`source: expected the files of one model, got several: ${configs.join(', ')}`);
  }
  const folder = folderOf(configs[0] ?? '');
  return {
    description: folder || `${files.length} picked files`,
    async open(name, signal) {
      signal?.throwIfAborted();
      const file = files.find((candidate) => pathOf(candidate) === folder + name);
      if (!file) return null;
      return { description: folder + name, sizeBytes: file.size, chunks: fileChunks(file) };
    },
  };
}

async function* fileChunks(file: File): AsyncGenerator<Uint8Array> {
  const reader = file.stream().getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {}); // the file may be gone from the disk by now
  }
}

/**
 * A whole file, or null if the source has none of this name. Progress is told per piece, the last time with
 * `loaded === total`. Throws `signal.reason` as soon as the signal aborts. Holds the file once, when its size is known.
 */
export async function readBytes(
  source: Source,
  file: string,
  { onProgress, signal }: { onProgress?: OnProgress; signal?: AbortSignal } = {},
): Promise<Uint8Array<ArrayBuffer> | null> {
  signal?.throwIfAborted();
  const opened = await source.open(file, signal);
  if (!opened) return null;
  let total = opened.sizeBytes ?? 0;
  let bytes = new Uint8Array(0);
  let loaded = 0;
  // whatever is thrown inside this loop closes the file; outside of it nothing would
  for await (const chunk of opened.chunks) {
    signal?.throwIfAborted();
    if (loaded === 0) onProgress?.({ phase: 'download', file, loaded, total });
    const needed = loaded + chunk.byteLength;
    if (needed > bytes.byteLength) {
      if (needed > total) total = 0; // the declared size was that of a compressed body, or the file has grown
      const grown = allocate(Math.max(total, needed, 2 * bytes.byteLength), opened);
      grown.set(bytes.subarray(0, loaded));
      bytes = grown;
    }
    bytes.set(chunk, loaded);
    loaded += chunk.byteLength;
    if (loaded !== total) onProgress?.({ phase: 'download', file, loaded, total });
  }
  signal?.throwIfAborted();
  onProgress?.({ phase: 'download', file, loaded, total: loaded });
  return loaded === bytes.byteLength ? bytes : bytes.slice(0, loaded);
}

function allocate(sizeBytes: number, { description }: OpenedFile): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(sizeBytes);
  } catch (cause) {
    throw new Error(
      `source: ${description}: expected a file that fits into memory, got ${sizeBytes} bytes. ` +
        'Use a checkpoint in smaller shards, or in F16.',
      { cause },
    );
  }
}
