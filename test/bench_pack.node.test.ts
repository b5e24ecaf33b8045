// `npm run bench:pack`: what is in a pack, and that its programs start without this repository. Node and Dawn, which only take time to
// compress, are left out and linked.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { makePack } from '../scripts/bench_pack.mjs';

const root = inject('repositoryRoot');
const folder = mkdtempSync(join(tmpdir(), 'hyaline-pack-test-'));
const pack = join(folder, 'pack');
let made: Awaited<ReturnType<typeof makePack>>;

beforeAll(async () => {
  made = await makePack(pack, { withRuntime: false });
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a pack has what it needs and nothing else', () => {
  const paths = made.files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'run.sh',
      'README.md',
      'LICENSE',
      'pack.json',
      'package.json',
      'bin/hyaline.js',
      'dist/index.js',
      'dist/cli/main.js',
      'bench/probe.js',
      'bench/digests.js',
      'bench/kernels.js',
      'bench/benchmark.js',
      'bench/measure.js',
      'bench/node.mjs',
      'models/circuit-zoo/model.safetensors',
      'models/circuit-zoo/digests.json',
      'models/circuit-zoo/golden.json',
      'models/modular-addition/digests.json',
      'node_modules/webgpu/index.js',
    ]),
  );
  expect(paths.filter((path) => /\.(ts|map|node|dll|dylib|pdf)$|\/recipe\//.test(path))).toEqual([]);
  // The runtime takes 40 MiB of the 60.
  expect(made.mebibytes).toBeGreaterThan(5);
  expect(made.mebibytes).toBeLessThan(12);
});

test('every package that the programs import is in it', () => {
  const imported = made.files
    .filter(({ path }) => /^(bench|dist)\/.*\.m?js$/.test(path))
    .flatMap(({ path }) => [
      ...readFileSync(join(pack, path), 'utf8').matchAll(/^\s*(?:import|export)\b[^'"]*?from ["']([^.'"][^'"]*)["']/gm),
    ])
    .map(([, name]) => name.replace(/^node:/, '').replace(/^(@[^/]+\/[^/]+|[^@/]+).*/, '$1'));
  const packages = [...new Set(imported)].filter((name) => !builtinModules.includes(name)).sort();
  expect(packages).toContain('wgsl-preprocessor');
  expect(packages.filter((name) => !existsSync(join(pack, 'node_modules', name, 'package.json')))).toEqual([]);
});

test('its programs find an adapter with nothing but what is in it', () => {
  const dawn = join(root, 'node_modules', 'webgpu', 'dist');
  symlinkSync(dawn, join(pack, 'node_modules', 'webgpu', 'dist'));
  const { stdout, status } = spawnSync(process.execPath, [join(pack, 'bench', 'probe.js')], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stdout).toMatch(/: (software fallback, runs on the CPU|hardware)\n$/);
  expect(status).toBe(stdout.includes('hardware') ? 0 : 3);
});

test('run.sh is a script of the POSIX shell, and names a wrong option before it does anything', () => {
  const script = join(pack, 'run.sh');
  execFileSync('sh', ['-n', script]);
  expect(spawnSync('sh', [script, '--fast'], { encoding: 'utf8' })).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^usage: .*run\.sh \[--quick\] \[FOLDER\]\n$/),
  });
});

test('a folder that holds something else is not overwritten', async () => {
  const other = mkdtempSync(join(folder, 'other-'));
  writeFileSync(join(other, 'mine.txt'), '');
  await expect(makePack(other, { withRuntime: false })).rejects.toThrow('is there already and is no pack');
  expect(existsSync(join(other, 'mine.txt'))).toBe(true);
});
