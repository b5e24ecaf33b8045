// `npm run test:adapters`: runs tests of numbers on Vulkan drivers other than the one that `npm test` takes: Mesa's
// lavapipe where it is installed, or whatever VK_ICD_FILENAMES names. Each file has a process of its own, because such
// drivers may crash. What cannot run is reported with the reason, and is no failure; nor is a driver that crashes
// twice. Only a failed test makes the exit code 1. Arguments are test files; without any, those of `TEST_FILES` that
// exist.
//
// To get lavapipe on Debian or Ubuntu: "apt-get install mesa-vulkan-drivers libvulkan1", on Debian 12 from
// bookworm-backports.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './run.mjs';
import { countTests } from './test_counts.mjs';

const TEST_FILES = [
  'test/engine/fingerprint.gpu.test.ts',
  'test/kernels/functions.gpu.test.ts',
  'test/kernels/reproducible.gpu.test.ts',
  'test/numerics/digests.gpu.test.ts',
];
/** Dawn refuses Mesa 22. */
const OLDEST_MESA = 25;
/** In the name of a driver's JSON file, where it is for one kind of processor. */
const PROCESSOR = { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch;
const TIMEOUT_MS = 15 * 60_000;

/** Where the Vulkan loader looks for the JSON files of drivers. */
export function driverFolders(env = process.env) {
  const home = env.HOME || homedir();
  const data = (env.XDG_DATA_DIRS || '/usr/local/share:/usr/share').split(':').filter(Boolean);
  const parents = [
    env.XDG_CONFIG_HOME || join(home, '.config'),
    '/etc/xdg',
    '/usr/local/etc',
    '/etc',
    env.XDG_DATA_HOME || join(home, '.local', 'share'),
    ...data,
  ];
  return parents.map((parent) => join(parent, 'vulkan', 'icd.d'));
}

/**
 * The drivers to test: those that VK_DRIVER_FILES or VK_ICD_FILENAMES name, else every lavapipe in `folders`. Each has
 * the path of its JSON file, the Mesa version or null, and the problem that keeps it from running, or null.
 */
export function findDrivers({ env = process.env, folders = driverFolders(env) } = {}) {
  const chosen = env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES;
  if (chosen)
    return chosen
      .split(':')
      .filter(Boolean)
      .map((icd) => examineDriver(icd, env));
  const found = folders.filter(existsSync).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name === 'lvp_icd.json' || name === `lvp_icd.${PROCESSOR}.json`)
      .map((name) => join(folder, name)),
  );
  return found.map((icd) => examineDriver(icd, env));
}

function examineDriver(icd, env) {
  const refuse = (problem) => ({ icd, version: null, problem });
  let libraryPath;
  try {
    libraryPath = JSON.parse(readFileSync(icd, 'utf8')).ICD.library_path;
  } catch (error) {
    return refuse(`${icd} cannot be read as a driver's JSON file: ${error.message}`);
  }
  if (!/lvp/.test(libraryPath)) return { icd, version: null, problem: null }; // chosen by the user, and no lavapipe
  const library = libraryCandidates(icd, libraryPath, env).find(existsSync);
  if (!library) return refuse(`${icd} names ${libraryPath}, which is not there`);
  const version = mesaVersion(readFileSync(library));
  if (!version) return refuse(`${library} does not say which Mesa it is of`);
  if (Number.parseInt(version, 10) >= OLDEST_MESA) return { icd, version, problem: null };
  return { icd, version, problem: `${library} is of Mesa ${version}; ${OLDEST_MESA} or newer is needed` };
}

/** Where a driver's library may be: as the loader looks for it, and beside a driver that was unpacked somewhere. */
function libraryCandidates(icd, libraryPath, env) {
  if (isAbsolute(libraryPath)) return [libraryPath];
  if (libraryPath.includes('/')) return [resolve(dirname(icd), libraryPath)];
  const prefix = resolve(dirname(icd), '..', '..', '..'); // of share/vulkan/icd.d
  const libraries = [join(prefix, 'lib64'), join(prefix, 'lib'), '/usr/lib64', '/usr/lib'];
  const onPath = (env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean);
  const folders = [...onPath, ...libraries.flatMap((folder) => [folder, ...tripletFolders(folder)])];
  return folders.map((folder) => join(folder, libraryPath));
}

/** /usr/lib/x86_64-linux-gnu and its like. */
function tripletFolders(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /-linux-gnu/.test(name))
    .map((name) => join(folder, name));
}

/**
 * `25.0.7` from the driver's library, which holds the text that it shows as its description; null where there is none.
 */
export function mesaVersion(library) {
  for (let at = library.indexOf('Mesa '); at >= 0; at = library.indexOf('Mesa ', at + 1)) {
    const version = /^Mesa (\d+\.\d+\.\d+)/.exec(library.toString('latin1', at, at + 32));
    if (version) return version[1];
  }
  return null;
}

/**
 * What became of one test file: `passed`, `failed` or `crashed`, in words.
 * @param report Vitest's JSON report, or null
 */
export function judge({ code, signal, stderr, timedOut, report }) {
  if (timedOut) return { outcome: 'failed', detail: `did not end within ${TIMEOUT_MS / 60_000} minutes` };
  if (signal) return { outcome: 'crashed', detail: `ended by ${signal}` };
  const { passed, failed, skipped, problem } = countTests(report, code, { isFiltered: false });
  const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`;
  const hasFailedTest = (report?.numFailedTests ?? 0) > 0;
  // Vitest runs tests in a child of its own and does not say which signal ended it.
  if (code !== 0 && !hasFailedTest && stderr.includes('Worker exited unexpectedly')) {
    return { outcome: 'crashed', detail: 'the process that ran the tests ended' };
  }
  return { outcome: failed === 0 ? 'passed' : 'failed', detail: problem ? `${counts}: ${problem}` : counts };
}

/** Runs one file on one driver, and once more if it crashed. `runFile` gives what `judge` takes. */
export async function testOnDriver(runFile) {
  const first = judge(await runFile());
  if (first.outcome !== 'crashed') return first;
  const second = judge(await runFile());
  if (second.outcome === 'crashed') return { ...second, detail: `${second.detail}, twice` };
  return { ...second, detail: `${second.detail} (the first run crashed: ${first.detail})` };
}

/** One line for each driver and file, and whether a test failed. */
export async function testAdapters({ drivers, files, runFile }) {
  const rows = [];
  for (const file of files) {
    if (drivers.length === 0) rows.push({ file, outcome: 'not run', detail: 'lavapipe is not installed' });
    for (const { icd, problem, version } of drivers) {
      if (problem) {
        rows.push({ file, outcome: 'not run', detail: problem });
        continue;
      }
      const { outcome, detail } = await testOnDriver(() => runFile(file, icd));
      rows.push({ file, outcome, detail: `${version ? `lavapipe of Mesa ${version}` : icd}: ${detail}` });
    }
  }
  return {
    lines: rows.map(({ file, outcome, detail }) => `${outcome.toUpperCase().padEnd(8)} ${file}: ${detail}`),
    failed: rows.some(({ outcome }) => outcome === 'failed'),
  };
}

/** Vitest's Node project for one file, its output passed on. */
function runVitest(file, icd) {
  const folder = mkdtempSync(join(tmpdir(), 'hyaline-adapters-'));
  const reportFile = join(folder, 'report.json');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  // HYALINE_ADAPTER=hardware would refuse a software driver.
  const env = { ...process.env, VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd, HYALINE_ADAPTER: '' };
  const child = spawn(process.execPath, [vitest, 'run', '--project', 'node', ...reporters, file], { cwd: root, env });
  let stderr = '';
  let timedOut = false;
  child.stdout.pipe(process.stdout, { end: false });
  child.stderr.on('data', (text) => {
    stderr += text;
    process.stderr.write(text);
  });
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, TIMEOUT_MS);
  return new Promise((done) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, 'utf8')) : null;
      rmSync(folder, { recursive: true });
      done({ code, signal, stderr, timedOut, report });
    });
  });
}

async function main() {
  const asked = process.argv.slice(2);
  const missing = asked.filter((file) => !existsSync(join(root, file)));
  if (missing.length > 0) {
    console.error(`test:adapters: there is no ${missing.join(', no ')} in ${root}.`);
    return 1;
  }
  const files = asked.length > 0 ? asked : TEST_FILES.filter((file) => existsSync(join(root, file)));
  const { lines, failed } = await testAdapters({ drivers: findDrivers(), files, runFile: runVitest });
  console.log(`\n${lines.join('\n')}`);
  return failed ? 1 : 0;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  process.exitCode = await main();
