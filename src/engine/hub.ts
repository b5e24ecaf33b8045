// Models on the Hugging Face hub, whose files are kept from one load to the next. Not their addresses (hub_name.ts). A revision is looked
// up first: the hub says which commit it is, and how large its files are. A commit never changes, so what is kept under it needs no
// asking whether it is new; a kept file of another size than the hub's is broken, and comes anew.
//
// The second load of a model asks the hub one question, and none if the revision is a commit.
import { type CacheOption, downloadStore, type FileStore, type StorePath, type StoreWriter } from './file_store.ts';
import { type HubName, hubEndpoint, hubFiles } from './hub_name.ts';
import type { OpenedFile, Source } from './source.ts';
import { openUrl } from './url_source.ts';

/** What the hub says of a revision. */
interface Commit {
  readonly commit: string;
  /** By file, in bytes; null where it does not say. */
  readonly sizes: Readonly<Record<string, number | null>>;
}

const COMMIT = /^[0-9a-f]{40}$/;
const FILES = 'files.json';

/**
 * The files of a model, from the store where they are whole there; what is read to its end is kept.
 * @throws Error where the cache means nothing here
 */
export function hubSource(name: HubName, cache: CacheOption | undefined): Source {
  const openStore = downloadStore(cache);
  const direct = hubFiles(name);
  let looking: Promise<Commit> | null = null;
  return {
    description: direct.description,
    async open(file, signal) {
      const store = await openStore();
      if (!store) return direct.open(file, signal);
      looking ??= lookUp(name, store, signal);
      looking.catch(() => {
        looking = null; // another file may have more luck
      });
      const { commit, sizes } = await looking;
      if (!Object.hasOwn(sizes, file)) return null;
      const path = [...name.repository.split('/'), commit, ...file.split('/')];
      const at = hubFiles({ ...name, revision: commit });
      return openKept(store, path, sizes[file], () => at.open(file, signal));
    },
  };
}

/** A file of known size from the store, or else from where it comes from, to be kept. */
async function openKept(
  store: FileStore,
  path: StorePath,
  sizeBytes: number | null,
  download: () => Promise<OpenedFile | null>,
): Promise<OpenedFile | null> {
  if (sizeBytes === null) return download();
  const kept = await store.open(path);
  if (kept?.sizeBytes === sizeBytes) return { description: path.join('/'), ...kept };
  if (kept) await store.remove(path);
  const opened = await download();
  if (!opened) return null;
  return { ...opened, sizeBytes, chunks: keep(opened.chunks, { store, path, sizeBytes }) };
}

/** Passes pieces on and writes them; the file is kept if all of it has come. One that cannot be written is still read. */
async function* keep(
  chunks: AsyncIterable<Uint8Array>,
  { store, path, sizeBytes }: { readonly store: FileStore; readonly path: StorePath; readonly sizeBytes: number },
): AsyncGenerator<Uint8Array> {
  let writer: StoreWriter | null = await store.create(path).catch(() => null);
  const stopWriting = async () => {
    await writer?.discard().catch(() => {}); // no more is lost than what there was no room for
    writer = null;
  };
  let written = 0;
  try {
    for await (const chunk of chunks) {
      await writer?.write(chunk).catch(stopWriting);
      written += chunk.byteLength;
      yield chunk;
    }
    if (written === sizeBytes) {
      await writer?.commit().then(() => {
        writer = null;
      }, stopWriting);
    }
  } finally {
    await stopWriting();
  }
}

/** A commit that is asked for by itself is known from the last time. */
async function lookUp(name: HubName, store: FileStore, signal?: AbortSignal): Promise<Commit> {
  const place = (commit: string) => [...name.repository.split('/'), commit, FILES];
  if (COMMIT.test(name.revision)) {
    const kept = await store.open(place(name.revision));
    const known = kept && parseKept(await text(kept.chunks), name.revision);
    if (known) return known;
  }
  const found = await askHub(name, signal);
  const content = new TextEncoder().encode(JSON.stringify(found));
  const pieces = async function* () {
    yield content;
  };
  for await (const _ of keep(pieces(), { store, path: place(found.commit), sizeBytes: content.length }));
  return found;
}

async function askHub({ repository, revision }: HubName, signal?: AbortSignal): Promise<Commit> {
  const url = new URL(`${hubEndpoint()}/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`);
  const opened = await openUrl(url, signal);
  if (!opened) throw new Error(`source: hf:${repository}@${revision}: the hub has no such model or revision.`);
  const commit = parseAnswer(await text(opened.chunks));
  if (commit) return commit;
  throw new Error(`source: ${url.href}: expected a commit and its files, got another answer.`);
}

async function text(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let all = '';
  for await (const chunk of chunks) all += decoder.decode(chunk, { stream: true });
  return all + decoder.decode();
}

function parse(json: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(json));
  } catch {
    return {};
  }
}

const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && Number(size) >= 0;

function parseAnswer(json: string): Commit | null {
  const { sha, siblings } = parse(json);
  if (typeof sha !== 'string' || !COMMIT.test(sha) || !Array.isArray(siblings)) return null;
  const sizes: [string, number | null][] = [];
  for (const { rfilename, size } of siblings.map(Object)) {
    if (typeof rfilename === 'string') sizes.push([rfilename, isSize(size) ? size : null]);
  }
  return { commit: sha, sizes: Object.fromEntries(sizes) };
}

/** What has been kept, unless it is broken. */
function parseKept(json: string, revision: string): Commit | null {
  const { commit, sizes } = parse(json);
  if (commit !== revision || typeof sizes !== 'object' || sizes === null) return null;
  const isWhole = Object.values(sizes).every((size) => size === null || isSize(size));
  return isWhole ? { commit: revision, sizes: sizes as Commit['sizes'] } : null;
}
