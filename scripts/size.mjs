// The size of the library in a page, as `npm run build` reports it: bundles of what a page may import, minified and gzipped, without
// the tokenizers' package. `at first` is what the page loads with its own script, `on demand` what the engine imports when it is used.
// With the argument `page`, as `npm run build:page` calls it: the size of the project's own page, with all packages.
import { isAbsolute, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { buildPage } from './build_page.mjs';
import { root } from './run.mjs';

/** What a page may import, and the most kB (1000 bytes) that it may cost at first and with all that it may ask for later. */
export const BUNDLES = [
  { title: 'Model, requestDevice: run, read hooks', code: names('Model', 'requestDevice'), atFirst: 60, all: 88 },
  {
    title: '… and interventions, the logit lens, sweeps',
    code: names('Model', 'requestDevice', 'zeroAblate', 'patchFrom', 'add', 'wgsl', 'logitLens', 'sweep'),
    atFirst: 64,
    all: 92,
  },
  { title: 'compare: two files of values', code: names('readSafetensors', 'compare'), atFirst: 24, all: 26 },
  { title: 'everything public', code: "export * from 'hyaline';", atFirst: 102, all: 122 },
];

function names(...list) {
  return `export { ${list.join(', ')} } from 'hyaline';`;
}

/** There is no such file: its text is the code that is bundled. */
const ENTRY = join(root, 'entry.js');

/** Bundles code that imports `hyaline` for a browser: `{ atFirst, onDemand }`, each with its bytes and the modules in it. */
export async function bundle(code) {
  const entry = {
    name: 'entry',
    enforce: 'pre',
    resolveId(id) {
      if (id === ENTRY) return '\0entry';
      return id === 'hyaline' ? `${root}/src/index.ts` : null;
    },
    load: (id) => (id === '\0entry' ? code : null),
  };
  const [{ output }] = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    plugins: [entry],
    build: {
      write: false,
      target: 'es2022',
      lib: { entry: ENTRY, formats: ['es'] }, // as it stands: without helpers of an application's bundle
      rolldownOptions: {
        external: ['@huggingface/tokenizers'],
        // Modules that both the entry and a later chunk use stay in the entry, as in an application, whose entry exports nothing.
        preserveEntrySignatures: 'allow-extension',
        output: { minify: true },
      },
    },
  });
  return split(output, '\0entry');
}

/** What is loaded with the script of an entry, by its module's id, and what later. */
function split(output, entry) {
  const chunks = new Map(output.map((chunk) => [chunk.fileName, chunk]));
  const first = new Set();
  const follow = (name) => {
    if (first.has(name) || !chunks.has(name)) return;
    first.add(name);
    for (const next of chunks.get(name).imports) follow(next);
  };
  follow(output.find(({ facadeModuleId }) => facadeModuleId === entry).fileName);
  return {
    atFirst: total(output.filter(({ fileName }) => first.has(fileName))),
    onDemand: total(output.filter(({ fileName }) => !first.has(fileName))),
  };
}

function total(chunks) {
  const modules = new Map(
    chunks.flatMap((chunk) => {
      return Object.entries(chunk.modules).map(([id, { renderedLength }]) => [nameOf(id), renderedLength]);
    }),
  );
  return {
    bytes: sum(chunks.map(({ code }) => Buffer.byteLength(code))),
    gzip: sum(chunks.map(({ code }) => gzipSync(code, { level: 9 }).length)),
    /** Bytes before minification, by file: `src/…`, or from the folder of a package. */
    modules: new Map([...modules].filter(([, length]) => length > 0)),
    text: chunks.map(({ code }) => code).join('\n'),
  };
}

function nameOf(id) {
  const path = id.replaceAll('\\', '/');
  const at = path.lastIndexOf('node_modules/');
  return at >= 0 ? path.slice(at) : path.replace(`${root.replaceAll('\\', '/')}/`, '');
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/**
 * The most kB, gzipped, of the page's scripts: of its own code in all of them, and of everything that it loads at first. The library has
 * limits above, and what else it brings with it (most of all Observable Plot) is only loaded by views that draw charts.
 */
export const PAGE_LIMITS = { own: 200, atFirst: 200 };

/** The project's page: `all` of its scripts, and those of builds `withoutPackages` and without the library too, which is its `own` code. */
export async function measurePage() {
  const scripts = async (external) => {
    const { output } = await buildPage({ write: false, sourcemap: false, rolldownOptions: { external } });
    const chunks = output.filter(({ type }) => type === 'chunk');
    return split(chunks, `${root}/index.html`);
  };
  const isPackage = (id) => /^[@a-z]/i.test(id) && !isAbsolute(id) && !id.startsWith('vite/');
  const isLibrary = (id) => /[\\/]src[\\/]index\.ts$/.test(id);
  return {
    all: await scripts([]),
    withoutPackages: await scripts(isPackage),
    own: await scripts((id) => isPackage(id) || isLibrary(id)),
  };
}

/** Gzipped bytes of all scripts. */
const gzipOf = ({ atFirst, onDemand }) => atFirst.gzip + onDemand.gzip;

/** Whether the page keeps to its limits. */
export function isPageWithin({ all, own }) {
  return gzipOf(own) <= 1000 * PAGE_LIMITS.own && all.atFirst.gzip <= 1000 * PAGE_LIMITS.atFirst;
}

/** A line: the page's own code (elements among it), the library and the packages that it uses, and what it loads at first. */
export function pageLine({ all, withoutPackages, own }) {
  const [total, code, ours] = [all, withoutPackages, own].map(gzipOf);
  const parts = `${kB(ours)} own code + ${kB(code - ours)} library + ${kB(total - code)} packages = ${kB(total)}`;
  const verdict = isPageWithin({ all, own })
    ? ''
    : `  over ${PAGE_LIMITS.own} of own code or ${PAGE_LIMITS.atFirst} at first`;
  return `page, kB gzipped: ${parts}, ${kB(all.atFirst.gzip)} of it at first${verdict}`;
}

const kB = (bytes) => (bytes / 1000).toFixed(1);

/** A line for each bundle; those beyond their limits say so. */
export function sizeTable(sizes) {
  const rows = sizes.map(({ title, atFirst, onDemand, limits }) => [
    title,
    kB(atFirst.bytes),
    kB(atFirst.gzip),
    kB(onDemand.gzip),
    isWithin({ atFirst, onDemand, limits }) ? '' : `  over ${limits.atFirst} at first or ${limits.all} in all`,
  ]);
  const all = [['size, kB', 'minified', 'gzipped', 'on demand', ''], ...rows];
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Whether a bundle keeps to its limits. */
export function isWithin({ atFirst, onDemand, limits }) {
  return atFirst.gzip <= 1000 * limits.atFirst && atFirst.gzip + onDemand.gzip <= 1000 * limits.all;
}

/** All bundles, measured. */
export function measureSizes() {
  return Promise.all(
    BUNDLES.map(async ({ title, code, atFirst, all }) => ({
      title,
      limits: { atFirst, all },
      ...(await bundle(code)),
    })),
  );
}

if (argv[1] === fileURLToPath(import.meta.url) && argv[2] === 'page') {
  const page = await measurePage();
  console.log(pageLine(page));
  if (!isPageWithin(page)) process.exitCode = 1;
} else if (argv[1] === fileURLToPath(import.meta.url)) {
  const sizes = await measureSizes();
  console.log(sizeTable(sizes));
  if (!sizes.every(isWithin)) process.exitCode = 1;
}
