// A model of the hub on the command line, from a server that answers as the hub does.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fixtureUrl } from '../fixtures.ts';
import { hyaline } from './spawn.ts';

const COMMIT = 'd'.repeat(40);
const FOLDER = fixtureUrl('models/modular-addition');
const FILES = ['config.json', 'model.safetensors'];

test('--cache: the second command asks the hub which commit it is, and nothing else', async () => {
  let requests: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://here');
    requests.push(pathname);
    if (pathname === '/api/models/own/addition/revision/main') {
      const siblings = FILES.map((rfilename) => ({ rfilename, size: statSync(join(FOLDER, rfilename)).size }));
      return void response.end(JSON.stringify({ sha: COMMIT, siblings }));
    }
    const file = FILES.find((name) => pathname === `/own/addition/resolve/${COMMIT}/${name}`);
    if (!file) return void response.writeHead(404).end();
    response.end(readFileSync(join(FOLDER, file)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cache = mkdtempSync(join(tmpdir(), 'hyaline-'));
  try {
    const env = { HF_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    const command = ['trace', 'hf:own/addition', '--tokens', '5,7,113', '--json', '--cache', cache];
    const first = await hyaline(command, { env });
    expect([first.code, requests.length]).toEqual([0, 3]);
    requests = [];
    const second = await hyaline(command, { env });
    expect([second.code, requests]).toEqual([0, ['/api/models/own/addition/revision/main']]);
    expect(JSON.parse(second.stdout).values).toEqual(JSON.parse(first.stdout).values);
  } finally {
    server.close();
    rmSync(cache, { recursive: true });
  }
});
