// The examples as their reader has them, with the packages that package.json names (links to what is installed here): types checked,
// built, and opened in one Chrome, one after the other.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, launch } from 'puppeteer';
import { build, type PreviewServer, preview } from 'vite';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { inProduction } from '../scripts/build_page.mjs';
import { chromeFlags, findChrome } from '../scripts/chrome.mjs';

const root = inject('repositoryRoot');
const BUILT = ['vite-typescript', 'react', 'web-worker', 'notebook'] as const;

let clone: string;
let server: PreviewServer;
let browser: Browser;

beforeAll(async () => {
  clone = mkdtempSync(join(tmpdir(), 'hyaline-examples-'));
  cpSync(join(root, 'examples'), join(clone, 'examples'), { recursive: true });
  mkdirSync(join(clone, 'node_modules'));
  const link = (from: string, to: string) => symlinkSync(join(root, from), join(clone, to), 'junction');
  for (const folder of ['dist', 'models']) link(folder, folder);
  for (const name of readdirSync(join(root, 'node_modules'))) link(`node_modules/${name}`, `node_modules/${name}`);
  link('.', 'node_modules/hyaline');
  writeFileSync(join(clone, 'favicon.ico'), ''); // Chrome asks for one
  server = await preview({
    root: clone,
    configFile: false,
    appType: 'mpa',
    logLevel: 'silent',
    build: { outDir: clone },
    preview: { port: 0, host: 'localhost' },
  });
  browser = await launch({ executablePath: findChrome() ?? undefined, args: chromeFlags(), headless: true });
});

afterAll(async () => {
  await browser?.close();
  await new Promise<void>((resolve) => server.httpServer.close(() => resolve()));
  rmSync(clone, { recursive: true, force: true });
});

/** Builds an example; gives the folder to open. */
async function built(name: string): Promise<string> {
  await inProduction(() => build({ root: join(clone, 'examples', name), logLevel: 'error' }));
  return `${name}/dist`;
}

/** Opens a page and waits until it shows all of these texts; gives what its console said. */
async function open(folder: string, texts: readonly string[]): Promise<string[]> {
  const page = await browser.newPage();
  await page.evaluateOnNewDocument((tilings) => localStorage.setItem('HYALINE_TILINGS', tilings), inject('tilings'));
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error instanceof Error ? error.message : String(error)));
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) problems.push(`${message.text()} ${message.location().url ?? ''}`);
  });
  await page.goto(`${server.resolvedUrls?.local[0]}examples/${folder}/`);
  const shows = (expected: readonly string[]) => expected.every((text) => document.body.innerText.includes(text));
  const shown = page.waitForFunction(shows, { timeout: 60_000 }, texts);
  await shown.catch(async () => problems.push(`It shows: ${await page.$eval('body', (body) => body.innerText)}`));
  await page.close();
  return problems;
}

const MARY = '" Mary" 0.9997';

test('script-tag: a page without a bundler', async () => {
  expect(await open('script-tag', [MARY])).toEqual([]);
});

test('vite-typescript: with a head set to zero', async () => {
  expect(await open(await built('vite-typescript'), [MARY, '" Mary" 0.9787'])).toEqual([]);
});

test('react: a component with an element', async () => {
  expect(await open(await built('react'), [MARY])).toEqual([]);
});

test('web-worker: the engine off the main thread', async () => {
  expect(await open(await built('web-worker'), [MARY, 'at token 2 with 0.9142'])).toEqual([]);
});

test('notebook: reactive cells', async () => {
  expect(await open(await built('notebook'), [MARY])).toEqual([]);
});

test('node: a script', () => {
  const cwd = join(clone, 'examples', 'node');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['index.mjs'], { cwd, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect(stdout).toContain(MARY);
});

test('types are right', () => {
  for (const name of BUILT.slice(0, 3)) {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', join(clone, 'examples', name)], { encoding: 'utf8' });
    expect([name, stdout]).toEqual([name, '']);
  }
});

test('examples ask for the versions of packages that are tested here', () => {
  const read = (path: string) => JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
  const own = read('.');
  for (const name of [...BUILT, 'node']) {
    const { dependencies, devDependencies = {} } = read(`examples/${name}`);
    const { hyaline, ...others } = { ...dependencies, ...devDependencies };
    expect(hyaline).toBe('file:../..');
    expect({ ...own.devDependencies, ...own.dependencies }).toMatchObject(others);
  }
});
