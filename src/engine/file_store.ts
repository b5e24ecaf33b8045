// Files that have been downloaded, kept for the next time: in a browser in the origin's private file system, in Node in a folder. A file is
// there whole or not at all: it appears under its name when all of it has been written. What they mean is `hub.ts`'s business.
import { isNode, nodeModule } from './node.ts';
import { openPath } from './node_files.ts';

/** Whether and where downloads are kept: see `SourceOptions`. */
export type CacheOption = boolean | string;

/** Names of folders and, last, a file. None is empty or holds a slash. */
export type StorePath = readonly string[];

/** A file that is being written. */
export interface StoreWriter {
  write(chunk: Uint8Array): Promise<void>;
  /** The file appears, in place of one of that name. */
  commit(): Promise<void>;
  /** Nothing of its content is left. */
  discard(): Promise<void>;
}

export interface FileStore {
  /** The file, or null where there is none. */
  open(path: StorePath): Promise<{ readonly sizeBytes: number; readonly chunks: AsyncIterable<Uint8Array> } | null>;
  create(path: StorePath): Promise<StoreWriter>;
  /** Removes a file, or a folder with all that is in it; without a path everything. Does nothing where there is none. */
  remove(path: StorePath): Promise<void>;
}

/** Gives the store, when a file is first asked for; null where nothing is kept. */
export type OpenStore = () => Promise<FileStore | null>;

/** Ours alone, wherever it lies: it can be removed with all that is in it. */
const FOLDER = 'hyaline';

/** @throws Error where the option means nothing here */
export function downloadStore(cache: CacheOption | undefined): OpenStore {
  if (cache === false || (cache === undefined && isNode())) return async () => null;
  if (isNode()) {
    const store = folderStore(nodeModule('node:path').join(typeof cache === 'string' ? cache : hubHome(), FOLDER));
    return async () => store;
  }
  if (typeof cache !== 'string') return originStore;
  throw new Error(`cache: expected true or false in a browser, got the folder ${JSON.stringify(cache)}.`);
}

/**
 * Removes all downloads that have been kept.
 * @param cache as `Model.load` was told
 * @example
 * await clearDownloads(); // in a browser
 */
export async function clearDownloads(cache: CacheOption = true): Promise<void> {
  const store = await downloadStore(cache)();
  await store?.remove([]);
}

/** Where Hugging Face's own tools keep their files. */
function hubHome(): string {
  return process.env.HF_HOME || nodeModule('node:path').join(nodeModule('node:os').homedir(), '.cache', 'huggingface');
}

/** Of this page's origin; null where the browser has none, or does not let the page use it. */
async function originStore(): Promise<FileStore | null> {
  const root = await navigator.storage?.getDirectory?.().catch(() => null);
  if (!root) return null;
  const folderOf = async (path: StorePath, create: boolean) => {
    let folder = await root.getDirectoryHandle(FOLDER, { create });
    for (const name of path.slice(0, -1)) folder = await folder.getDirectoryHandle(name, { create });
    return folder;
  };
  const nameOf = (path: StorePath) => path[path.length - 1];
  return {
    async open(path) {
      const file = await ifFound(async () => {
        const handle = await (await folderOf(path, false)).getFileHandle(nameOf(path));
        return handle.getFile();
      });
      return file && { sizeBytes: file.size, chunks: streamChunks(file) };
    },
    async create(path) {
      const handle = await (await folderOf(path, true)).getFileHandle(nameOf(path), { create: true });
      const writable = await handle.createWritable(); // a file of its own until it is closed
      return {
        write: (chunk) => writable.write(chunk.slice()),
        commit: () => writable.close(),
        async discard() {
          await writable.abort();
          // What stood there before stays. Where nothing did, an empty file may remain, as long as the browser has it locked.
          if ((await handle.getFile()).size === 0) await (await folderOf(path, false)).removeEntry(nameOf(path));
        },
      };
    },
    async remove(path) {
      await ifFound(async () => {
        if (path.length === 0) await root.removeEntry(FOLDER, { recursive: true });
        else await (await folderOf(path, false)).removeEntry(nameOf(path), { recursive: true });
      });
    },
  };
}

/** Null where a file or a folder on the way is not there, or is something else. */
async function ifFound<T>(f: () => Promise<T>): Promise<T | null> {
  try {
    return await f();
  } catch (error) {
    const { name } = error as DOMException;
    if (name === 'NotFoundError' || name === 'TypeMismatchError') return null;
    throw error;
  }
}

async function* streamChunks(file: File): AsyncGenerator<Uint8Array> {
  const reader = file.stream().getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {}); // removed meanwhile: nothing is left to close
  }
}

/** A folder on the disk; made when something is first kept. */
function folderStore(root: string): FileStore {
  const fs = nodeModule('node:fs/promises');
  const { join, dirname } = nodeModule('node:path');
  const at = (path: StorePath) => join(root, ...path);
  return {
    open: (path) => openPath(at(path)),
    async create(path) {
      await fs.mkdir(dirname(at(path)), { recursive: true });
      const partial = `${at(path)}.${process.pid}-${nextNumber++}.part`;
      const handle = await fs.open(partial, 'wx');
      return {
        async write(chunk) {
          await handle.writeFile(chunk); // where the last one ended
        },
        async commit() {
          await handle.close();
          await fs.rename(partial, at(path));
        },
        async discard() {
          await handle.close().catch(() => {}); // it may be closed already
          await fs.rm(partial, { force: true });
        },
      };
    },
    remove: (path) => fs.rm(at(path), { recursive: true, force: true }),
  };
}

/** Of the next file that is written, so that two writers of one file do not meet. */
let nextNumber = 0;
