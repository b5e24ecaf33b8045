// `npm run bench:pack [FOLDER]`: makes a folder that measures and checks this engine on another Linux machine with a GPU, without network or
// installation: the built package, the embedded models, benchmark and kernel tests as plain JavaScript, Node and Dawn compressed.
// There, `run.sh` does everything (bench/pack/run.sh). Default folder: .cache/bench-pack, which is made anew.
//   --without-runtime   leaves Node, Dawn and the Vulkan loader out

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { findChrome } from './chrome.mjs';
import { root, runNpm } from './run.mjs';

const LIMIT_MIB = 60;
const MODELS = ['circuit-zoo', 'modular-addition'];
/** What runs there, each bundled with what it imports of ours. `measure` is what bench/node.mjs loads. */
const PROGRAMS = {
  probe: 'bench/pack/probe.ts',
  digests: 'bench/pack/digests.ts',
  kernels: 'bench/pack/kernels.ts',
  benchmark: 'bench/pack/benchmark.ts',
  measure: 'bench/measure.ts',
};
const DAWN = 'node_modules/webgpu/dist/linux-x64/dawn.node';

/**
 * Packages that the programs import and the pack does not have: what they do there instead. A pack has no browser, and its
 * TypeScript is compiled already.
 */
const STAND_INS = {
  vite: `import { pathToFileURL } from 'node:url';
export const runnerImport = async (file) => ({ module: await import(pathToFileURL(file.replace(/\\.ts$/, '.js')).href) });
export const createServer = () => { throw new Error('pack: there is no browser in it.'); };
`,
  puppeteer: `export const launch = () => { throw new Error('pack: there is no browser in it.'); };
`,
  vitest: `export const inject = (name) => (name === 'adapter' ? process.env.HYALINE_ADAPTER : undefined);
`,
};

/** Makes the pack in `folder` and gives its files with their sizes. */
export async function makePack(folder, { withRuntime = true } = {}) {
  if (withRuntime && `${process.platform} ${process.arch}` !== 'linux x64') {
    throw new Error(
      `a pack holds this machine's Node, which must be for Linux on x64; this is ${process.platform} ${process.arch}.`,
    );
  }
  checkFolder(folder);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { dependencies, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const file of ['package.json', 'LICENSE', 'bin/hyaline.js', 'bench/node.mjs']) copy(file, folder);
  copyTree('dist', folder, (path) => !/\.(d\.ts|map)$/.test(path));
  for (const model of MODELS) copyTree(`models/${model}`, folder, (path) => !/\/recipe(\/|$)/.test(path));
  for (const name of Object.keys(dependencies)) {
    copyTree(
      `node_modules/${name}`,
      folder,
      (path) => !/\.([cm]?ts|map)$|\/node_modules\/webgpu\/(dist|build)$/.test(path),
    );
  }
  for (const [name, source] of Object.entries(STAND_INS)) {
    const place = join(folder, 'node_modules', name);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'package.json'), `${JSON.stringify({ name, type: 'module', exports: './index.js' })}\n`);
    writeFileSync(join(place, 'index.js'), source);
  }
  await bundle(folder);
  copyFileSync(join(root, 'bench/pack/run.sh'), join(folder, 'run.sh'));
  copyFileSync(join(root, 'bench/pack/README.md'), join(folder, 'README.md'));
  chmodSync(join(folder, 'run.sh'), 0o755);
  const about = { hyaline: version, ...readCommit(), node: process.version, packed: new Date().toISOString() };
  writeFileSync(join(folder, 'pack.json'), `${JSON.stringify(about, null, 1)}\n`);
  if (withRuntime) compressRuntime(folder);
  const files = listFiles(folder);
  const mebibytes = files.reduce((sum, { size }) => sum + size, 0) / 2 ** 20;
  if (mebibytes > LIMIT_MIB) throw new Error(`the pack has ${mebibytes.toFixed(1)} MiB, more than ${LIMIT_MIB}.`);
  return { files, mebibytes };
}

/** Only a pack is made anew, never a folder that holds something else. */
function checkFolder(folder) {
  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, 'pack.json'))) {
    throw new Error(`${folder} is there already and is no pack. Name a new folder.`);
  }
}

function copy(path, folder) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  copyFileSync(join(root, path), join(folder, path));
}

function copyTree(path, folder, isWanted) {
  const filter = (source) => isWanted(source.replaceAll('\\', '/'));
  cpSync(realpathSync(join(root, path)), join(folder, path), { recursive: true, filter });
}

/** Each program as one file, with what they share beside them; packages stay imports. */
async function bundle(folder) {
  const input = Object.fromEntries(Object.entries(PROGRAMS).map(([name, path]) => [name, join(root, path)]));
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    ssr: { external: true },
    build: {
      ssr: true,
      outDir: join(folder, 'bench'),
      emptyOutDir: false,
      target: 'node20',
      minify: false,
      rollupOptions: { input, output: { entryFileNames: '[name].js', chunkFileNames: 'shared/[name].js' } },
    },
  });
}

function readCommit() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return { commit: git('rev-parse', 'HEAD'), modified: git('status', '--porcelain', '--', 'src') !== '' };
  } catch {
    return { commit: null, modified: false };
  }
}

/** Node, Dawn, a Vulkan loader and the compiler's libraries, in one file that every Linux can unpack. */
function compressRuntime(folder) {
  const place = mkdtempSync(join(tmpdir(), 'hyaline-pack-'));
  try {
    const runtime = join(place, 'runtime');
    for (const name of ['', 'loader', 'compiler']) mkdirSync(join(runtime, name), { recursive: true });
    copyFileSync(realpathSync(process.execPath), join(runtime, 'node'));
    chmodSync(join(runtime, 'node'), 0o755);
    strip(join(runtime, 'node'));
    mkdirSync(join(place, dirname(DAWN)), { recursive: true });
    copyFileSync(join(root, DAWN), join(place, DAWN));
    const loader = findLoader();
    if (loader) copyFileSync(loader, join(runtime, 'loader', 'libvulkan.so.1'));
    else console.error('bench:pack: no Vulkan loader was found here; the other machine must have one.');
    for (const library of compilerLibraries())
      copyFileSync(library, join(runtime, 'compiler', library.split('/').at(-1)));
    writeFileSync(join(runtime, 'LICENSES'), LICENSES);
    const file = join(folder, 'runtime.tar.gz');
    execFileSync('tar', ['-C', place, '--use-compress-program=gzip -9', '-cf', file, 'runtime', 'node_modules']);
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Debugging symbols are an eighth of it; without the tool they stay. */
function strip(file) {
  try {
    execFileSync('strip', [file], { stdio: 'ignore' });
  } catch {}
}

/** The Khronos loader: the system's, or the one that Chromium ships. */
function findLoader() {
  const chrome = findChrome();
  const beside = chrome ? [dirname(realpathSync(chrome)), '/usr/lib/chromium'] : [];
  const folders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib', ...beside];
  return folders.map((folder) => join(folder, 'libvulkan.so.1')).find(existsSync) ?? null;
}

function compilerLibraries() {
  return execFileSync('ldd', [join(root, DAWN)], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /(libstdc\+\+|libgcc_s)\S* => (\S+)/.exec(line)?.[2] ?? []);
}

const LICENSES = `What is in runtime.tar.gz, unchanged but for debugging symbols:
node            Node.js, MIT and others: https://github.com/nodejs/node/blob/main/LICENSE
dawn.node       Dawn, BSD-3-Clause and others: node_modules/webgpu/LICENSE.md
libvulkan.so.1  the Khronos Vulkan loader, Apache-2.0: https://github.com/KhronosGroup/Vulkan-Loader
libstdc++, libgcc_s  GCC's runtime, GPL-3.0 with the GCC Runtime Library Exception
`;

function listFiles(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => ({ path: path.replaceAll('\\', '/'), stat: statSync(join(folder, path)) }))
    .filter(({ stat }) => stat.isFile())
    .map(({ path, stat }) => ({ path, size: stat.size }));
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'without-runtime': { type: 'boolean', default: false } },
  });
  const folder = positionals[0] ?? join(root, '.cache', 'bench-pack');
  if ((await runNpm(['run', '--silent', 'build'])) !== 0) throw new Error('the build failed; its message is above.');
  const { files, mebibytes } = await makePack(folder, { withRuntime: !values['without-runtime'] });
  console.log(
    `bench:pack: ${files.length} files, ${mebibytes.toFixed(1)} MiB in ${relative(process.cwd(), folder) || folder}`,
  );
  console.log('On the other machine: ./run.sh RESULTS');
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error(`bench:pack: ${error.message}`);
    process.exitCode = 1;
  }
}
