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
/** For how long a page may load its model and run. */
const LONGEST_MS = 60_000;

let clone: string;
let server: PreviewServer;
let browser: Browser;

beforeAll(async () => {
  clone = mkdtempSync(join(tmpdir(), 'hyaline-examples-'));
  const isSource = (path: string) => !/[\\/](node_modules|dist)$/.test(path.slice(root.length));
  cpSync(join(root, 'examples'), join(clone, 'examples'), { recursive: true, filter: isSource });
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

/** Builds an example; gives the path to open. */
async function built(name: string): Promise<string> {
  await inProduction(() => build({ root: join(clone, 'examples', name), logLevel: 'error' }));
  return `examples/${name}/dist/`;
}

/** All text of a page, of elements' insides too. In the page. */
function textOf(node: Node = document.body): string {
  if (node instanceof Text) return node.data;
  if (node instanceof HTMLStyleElement || node instanceof HTMLScriptElement) return '';
  const inside = node instanceof Element && node.shadowRoot ? textOf(node.shadowRoot) : '';
  return inside + [...node.childNodes].map((child) => textOf(child)).join('');
}

/** Opens a page and waits until it shows all of these texts; gives what its console said. */
async function open(path: string, texts: readonly string[]): Promise<string[]> {
  const page = await browser.newPage();
  await page.evaluateOnNewDocument((tilings) => localStorage.setItem('HYALINE_TILINGS', tilings), inject('tilings'));
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error instanceof Error ? error.message : String(error)));
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) problems.push(`${message.text()} ${message.location().url ?? ''}`);
  });
  await page.goto(`${server.resolvedUrls?.local[0]}${path}`);
  const shows = `${textOf}; ${JSON.stringify(texts)}.every((text) => textOf().includes(text))`;
  const end = performance.now() + LONGEST_MS;
  while (!(await page.evaluate(shows)) && performance.now() < end) await new Promise((next) => setTimeout(next, 50));
  if (!(await page.evaluate(shows))) problems.push(`It shows: ${await page.evaluate(`${textOf}; textOf()`)}`);
  await page.close();
  return problems;
}

const MARY = '" Mary" 0.9997';

test('script-tag: a page without a bundler', async () => {
  expect(await open('examples/script-tag/', [MARY])).toEqual([]);
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

/** The live examples of the elements, and a number that each shows: scores, a range, a prediction, a loss, a norm. */
const ELEMENTS = {
  attention: '0.93',
  heatmap: '8.238',
  'logit-lens': '·Mary',
  tokens: '4.343',
  value: '873.3',
};

test('elements: one page each', async () => {
  const pages = Object.keys(ELEMENTS).map((name) => join(clone, 'examples', 'elements', `${name}.html`));
  const outDir = join(clone, 'site');
  await inProduction(() =>
    build({
      root: clone,
      base: './',
      configFile: false,
      logLevel: 'error',
      build: { outDir, rolldownOptions: { input: pages } },
    }),
  );
  symlinkSync(join(root, 'models'), join(outDir, 'models'), 'junction');
  for (const [name, text] of Object.entries(ELEMENTS)) {
    expect([name, ...(await open(`site/examples/elements/${name}.html`, [text]))]).toEqual([name]);
  }
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
