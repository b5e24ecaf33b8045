// A model of the hub in a page: the second load comes from the origin's private file system. The hub is a function here, in `fetch`'s place,
// which counts; its files come from the test server.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { clearDownloads, Model } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl } from '../fixtures.ts';
import { firstDifference } from '../tensors.ts';

const COMMIT = 'c'.repeat(40);
const FOLDER = 'models/modular-addition';
const FILES = ['config.json', 'model.safetensors'];

let requests: string[] = [];
/** Sends the beginning of a file, and no more until the request is aborted. */
let isStuck = false;

beforeEach(async () => {
  requests = [];
  isStuck = false;
  const realFetch = globalThis.fetch;
  const lengthOf = async (file: string) => (await (await realFetch(`${fixtureUrl(FOLDER)}/${file}`)).blob()).size;
  const siblings = await Promise.all(FILES.map(async (rfilename) => ({ rfilename, size: await lengthOf(rfilename) })));
  vi.stubGlobal('fetch', async (url: URL, options: RequestInit) => {
    if (url.hostname !== 'huggingface.co') return realFetch(url, options);
    requests.push(url.pathname);
    if (url.pathname.startsWith('/api/')) return Response.json({ sha: COMMIT, siblings });
    const file = url.pathname.split('/').at(-1);
    if (isStuck && file === 'model.safetensors')
      return stuck(await realFetch(`${fixtureUrl(FOLDER)}/${file}`), options);
    return FILES.includes(file ?? '')
      ? realFetch(`${fixtureUrl(FOLDER)}/${file}`, options)
      : new Response('', { status: 404 });
  });
  await clearDownloads();
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await clearDownloads();
});

async function stuck(response: Response, { signal }: RequestInit): Promise<Response> {
  const beginning = (await response.blob()).slice(0, 100_000);
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(new Uint8Array(await beginning.arrayBuffer()));
      signal?.addEventListener('abort', () => controller.error(signal.reason));
    },
  });
  return new Response(body);
}

const LOOK_UP = '/api/models/own/addition/revision/main';
const download = (file: string) => `/own/addition/resolve/${COMMIT}/${file}`;

/** Loads, runs, and gives the logits with what was asked of the hub. */
async function load(cache?: boolean) {
  requests = [];
  const model = await Model.load('hf:own/addition', { device: await testDevice(), cache });
  const { logits } = await model.run([[5, 7, 113]]);
  model.destroy();
  return { logits: logits.data, requests };
}

/** The kept file of this name. */
async function keptFile(name: string): Promise<FileSystemFileHandle> {
  let folder = await navigator.storage.getDirectory();
  for (const part of ['hyaline', 'own', 'addition', COMMIT]) folder = await folder.getDirectoryHandle(part);
  return folder.getFileHandle(name);
}

test('the second load asks the hub which commit it is, and nothing else', async () => {
  const first = await load();
  expect(first.requests).toEqual([LOOK_UP, ...FILES.map(download)]);
  const second = await load();
  expect(second.requests).toEqual([LOOK_UP]);
  expect(firstDifference(second.logits, first.logits)).toBe(-1);
});

test('a kept file of another size is fetched again', async () => {
  const first = await load();
  const writable = await (await keptFile('model.safetensors')).createWritable({ keepExistingData: true });
  await writable.truncate(5000);
  await writable.close();
  const second = await load();
  expect(second.requests).toEqual([LOOK_UP, download('model.safetensors')]);
  expect(firstDifference(second.logits, first.logits)).toBe(-1);
  expect((await load()).requests).toEqual([LOOK_UP]);
});

test('an aborted download is not there the next time', async () => {
  isStuck = true;
  const controller = new AbortController();
  const loading = Model.load('hf:own/addition', {
    device: await testDevice(),
    signal: controller.signal,
    onProgress: ({ file }) => file === 'model.safetensors' && controller.abort(new Error('enough')),
  });
  await expect(loading).rejects.toThrow('enough');
  const left = await keptFile('model.safetensors').then(
    (handle) => handle.getFile(),
    () => null,
  );
  expect(left?.size ?? 0).toBe(0);
  isStuck = false;
  expect((await load()).requests).toEqual([LOOK_UP, download('model.safetensors')]);
});

test('with cache: false nothing is kept, and a folder is none of a page', async () => {
  const direct = ['config.json', 'tokenizer.json', 'model.safetensors'].map(
    (file) => `/own/addition/resolve/main/${file}`,
  );
  for (const _ of [1, 2]) expect((await load(false)).requests).toEqual(direct);
  await expect((await navigator.storage.getDirectory()).getDirectoryHandle('hyaline')).rejects.toThrow();
  await expect(Model.load('hf:own/addition', { cache: '/tmp' })).rejects.toThrow(
    'cache: expected true or false in a browser, got the folder "/tmp".',
  );
});
