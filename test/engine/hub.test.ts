// Files of the hub, from a server that answers as it does, kept in a folder. In a browser: hub.chrome.test.ts.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readBytes } from '../../src/engine/source.ts';
import { clearDownloads, createSource } from '../../src/index.ts';

const FIRST = 'a'.repeat(40);
const SECOND = 'b'.repeat(40);

/** What the hub has: a commit for each branch, and files for each commit. */
interface Hub {
  branches: Record<string, string>;
  commits: Record<string, Record<string, Uint8Array>>;
  /** Says no sizes. */
  isSilent: boolean;
  /** Closes the connection in the middle of this file. */
  breaks: string;
}

const bytes = (length: number, factor: number) => Uint8Array.from({ length }, (_, i) => (i * factor) % 251);

let hub: Hub;
let server: Server;
let requests: string[];
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyaline-'));
  requests = [];
  hub = {
    branches: { main: FIRST },
    commits: {
      [FIRST]: { 'config.json': bytes(50, 3), 'model.safetensors': bytes(300_000, 7) },
      [SECOND]: { 'config.json': bytes(50, 3), 'model.safetensors': bytes(300_000, 11) },
    },
    isSilent: false,
    breaks: '',
  };
  server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    requests.push(path);
    const api = /^\/api\/models\/own\/model\/revision\/(.+)\?blobs=true$/.exec(path);
    const resolve = /^\/own\/model\/resolve\/([^/]+)\/(.+)$/.exec(path);
    const commit = (revision: string) => hub.branches[revision] ?? revision;
    if (api && hub.commits[commit(api[1])]) {
      const files = Object.entries(hub.commits[commit(api[1])]);
      const siblings = files.map(([rfilename, { length }]) => ({ rfilename, ...(!hub.isSilent && { size: length }) }));
      return void response.end(JSON.stringify({ sha: commit(api[1]), siblings }));
    }
    const content = resolve && hub.commits[commit(resolve[1])]?.[resolve[2]];
    if (!content) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': content.length });
    if (resolve[2] !== hub.breaks) return void response.end(content);
    response.write(content.subarray(0, content.length >> 1), () => setTimeout(() => response.destroy(), 20));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

/** Reads files as one load does: all from one source. Gives what has been asked of the server meanwhile. */
async function load(
  name = 'hf:own/model',
  cache: string | false = folder,
  files = ['config.json', 'model.safetensors'],
) {
  requests = [];
  const source = createSource(name, { cache });
  const contents = [];
  for (const file of files) contents.push(await readBytes(source, file));
  return { requests, contents };
}

const LOOK_UP = '/api/models/own/model/revision/main?blobs=true';
const download = (commit: string, file: string) => `/own/model/resolve/${commit}/${file}`;
const isSame = (got: Uint8Array | null, want: Uint8Array) => got !== null && Buffer.compare(got, want) === 0;

/** Every file below a folder, by its path. */
function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(path, name)).isFile());
}

describe('a model on the hub', () => {
  test('comes from the folder the second time: one question, and none for a commit', async () => {
    const first = await load();
    expect(first.requests).toEqual([LOOK_UP, download(FIRST, 'config.json'), download(FIRST, 'model.safetensors')]);
    const second = await load();
    expect(second.requests).toEqual([LOOK_UP]);
    const pinned = await load(`hf:own/model@${FIRST}`);
    expect(pinned.requests).toEqual([]);
    for (const { contents } of [first, second, pinned]) {
      expect(isSame(contents[0], hub.commits[FIRST]['config.json'])).toBe(true);
      expect(isSame(contents[1], hub.commits[FIRST]['model.safetensors'])).toBe(true);
    }
  });

  test('is a new one where the branch has moved on', async () => {
    await load();
    hub.branches.main = SECOND;
    const moved = await load();
    expect(moved.requests).toEqual([LOOK_UP, download(SECOND, 'config.json'), download(SECOND, 'model.safetensors')]);
    expect(isSame(moved.contents[1], hub.commits[SECOND]['model.safetensors'])).toBe(true);
    const before = await load(`hf:own/model@${FIRST}`);
    expect(isSame(before.contents[1], hub.commits[FIRST]['model.safetensors'])).toBe(true);
  });

  test('asks for no file that the commit does not have', async () => {
    const { requests, contents } = await load('hf:own/model', folder, ['tokenizer.json']);
    expect([requests, contents]).toEqual([[LOOK_UP], [null]]);
  });

  test('is not kept where nobody said so, nor where the hub does not say how large its files are', async () => {
    const without = await load('hf:own/model', false);
    expect(without.requests).toEqual([download('main', 'config.json'), download('main', 'model.safetensors')]);
    hub.isSilent = true;
    for (const _ of [1, 2]) expect((await load()).requests.length).toBe(3);
    expect(filesBelow(folder)).toEqual([join('hyaline', 'own', 'model', FIRST, 'files.json')]);
  });

  test('comes anew where a kept file has another size, or what is known of a commit is broken', async () => {
    await load();
    const kept = join(folder, 'hyaline', 'own', 'model', FIRST);
    truncateSync(join(kept, 'model.safetensors'), 1000);
    const again = await load();
    expect(again.requests).toEqual([LOOK_UP, download(FIRST, 'model.safetensors')]);
    expect(isSame(again.contents[1], hub.commits[FIRST]['model.safetensors'])).toBe(true);
    expect((await load()).requests).toEqual([LOOK_UP]);
    for (const broken of ['{"commit":', '{"commit": "other", "sizes": {}}', '{"commit": "a", "sizes": 5}']) {
      writeFileSync(join(kept, 'files.json'), broken);
      expect((await load(`hf:own/model@${FIRST}`)).requests).toEqual([LOOK_UP.replace('main', FIRST)]);
      expect(JSON.parse(readFileSync(join(kept, 'files.json'), 'utf8')).commit).toBe(FIRST);
    }
  });

  test('leaves nothing of a file whose connection breaks, or that nobody reads to its end', async () => {
    hub.breaks = 'model.safetensors';
    await expect(load()).rejects.toThrow('before the connection broke');
    hub.breaks = '';
    const opened = await createSource('hf:own/model', { cache: folder }).open('model.safetensors');
    for await (const _ of opened?.chunks ?? []) break;
    const controller = new AbortController();
    const reading = readBytes(createSource('hf:own/model', { cache: folder }), 'model.safetensors', {
      signal: controller.signal,
      onProgress: () => controller.abort('enough'),
    });
    await expect(reading).rejects.toBe('enough');
    expect(
      filesBelow(folder)
        .map((path) => path.split(/[/\\]/).at(-1))
        .toSorted(),
    ).toEqual(['config.json', 'files.json']);
    expect((await load()).requests).toEqual([LOOK_UP, download(FIRST, 'model.safetensors')]);
  });

  test('that nobody has, or an answer of another kind, is an error', async () => {
    await expect(load('hf:own/model@v9')).rejects.toThrow(
      'source: hf:own/model@v9: the hub has no such model or revision.',
    );
    hub.branches.main = 'not a commit';
    hub.commits['not a commit'] = {};
    await expect(load()).rejects.toThrow(
      /revision\/main\?blobs=true: expected a commit and its files, got another answer\.$/,
    );
  });

  test('is read, though it cannot be kept', async () => {
    const file = join(folder, 'no folder');
    writeFileSync(file, '');
    const { contents } = await load('hf:own/model', file);
    expect(isSame(contents[1], hub.commits[FIRST]['model.safetensors'])).toBe(true);
  });

  test('is forgotten when downloads are cleared', async () => {
    await load();
    writeFileSync(join(folder, 'not ours'), '');
    await clearDownloads(folder);
    expect(filesBelow(folder)).toEqual(['not ours']);
    expect((await load()).requests.length).toBe(3);
  });
});
