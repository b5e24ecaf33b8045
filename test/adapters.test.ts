// Which drivers `npm run test:adapters` finds, what it makes of how a test ended, and that docs/adapters.md is what was
// measured.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import {
  driverFolders,
  type FinishedRun,
  findDrivers,
  judge,
  mesaVersion,
  testAdapters,
  testOnDriver,
} from '../scripts/adapters.mjs';
import type { FingerprintProperties } from '../src/engine/fingerprint/properties.ts';
import { idOf } from '../src/engine/fingerprint/properties.ts';

const folder = mkdtempSync(join(tmpdir(), 'hyaline-adapters-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, content: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const icd = (path: string, libraryPath: string) =>
  write(
    path,
    JSON.stringify({ ICD: { api_version: '1.4.305', library_path: libraryPath }, file_format_version: '1.0.0' }),
  );
const library = (path: string, version: string) => write(path, `\x7fELF\0Mesa %s\0Mesa ${version}-2~bpo12+1\0`);

test('drivers are looked for where the Vulkan loader does', () => {
  expect(driverFolders({ HOME: '/home/a' })).toEqual([
    '/home/a/.config/vulkan/icd.d',
    '/etc/xdg/vulkan/icd.d',
    '/usr/local/etc/vulkan/icd.d',
    '/etc/vulkan/icd.d',
    '/home/a/.local/share/vulkan/icd.d',
    '/usr/local/share/vulkan/icd.d',
    '/usr/share/vulkan/icd.d',
  ]);
  expect(driverFolders({ HOME: '/home/a', XDG_DATA_DIRS: '/opt/mesa/share' }).at(-1)).toBe(
    '/opt/mesa/share/vulkan/icd.d',
  );
});

test('a lavapipe that is new enough is found with its version, beside other drivers', () => {
  const driver = icd('new/share/vulkan/icd.d/lvp_icd.json', 'libvulkan_lvp.so');
  icd('new/share/vulkan/icd.d/intel_icd.json', 'libvulkan_intel.so');
  icd('new/share/vulkan/icd.d/lvp_icd.sparc.json', 'libvulkan_lvp.so');
  library('new/lib/x86_64-linux-gnu/libvulkan_lvp.so', '25.0.7');
  const folders = [join(folder, 'nowhere'), dirname(driver)];
  expect(findDrivers({ env: {}, folders })).toEqual([{ icd: driver, version: '25.0.7', problem: null }]);
});

test('what keeps a lavapipe from running is said', () => {
  const old = icd('old/share/vulkan/icd.d/lvp_icd.json', '../../../lib/libvulkan_lvp.so');
  const oldLibrary = library('old/lib/libvulkan_lvp.so', '22.3.6');
  const mute = write('mute/libvulkan_lvp.so', 'Mesa without a number');
  const cases: [string, string | null, string][] = [
    [old, '22.3.6', `${oldLibrary} is of Mesa 22.3.6; 25 or newer is needed`],
    [icd('mute/icd.d/lvp_icd.json', mute), null, `${mute} does not say which Mesa it is of`],
    [
      icd('gone/icd.d/lvp_icd.json', '/no/such/libvulkan_lvp.so'),
      null,
      `${join(folder, 'gone/icd.d/lvp_icd.json')} names /no/such/libvulkan_lvp.so, which is not there`,
    ],
  ];
  for (const [path, version, problem] of cases) {
    expect(findDrivers({ env: {}, folders: [dirname(path)] })).toEqual([{ icd: path, version, problem }]);
  }
  const broken = write('broken/icd.d/lvp_icd.json', '{');
  expect(findDrivers({ env: {}, folders: [dirname(broken)] })[0].problem).toMatch(
    /cannot be read as a driver's JSON file: /,
  );
  expect(findDrivers({ env: {}, folders: [join(folder, 'nowhere')] })).toEqual([]);
});

test('drivers that the user has chosen win, whatever they are', () => {
  const lavapipe = icd('chosen/icd.d/lvp_icd.json', library('chosen/libvulkan_lvp.so', '26.1.0'));
  const other = icd('chosen/other.json', './libvk_swiftshader.so');
  const folders = [dirname(icd('unchosen/icd.d/lvp_icd.json', library('unchosen/libvulkan_lvp.so', '25.0.0')))];
  expect(findDrivers({ env: { VK_ICD_FILENAMES: `${lavapipe}:${other}` }, folders })).toEqual([
    { icd: lavapipe, version: '26.1.0', problem: null },
    { icd: other, version: null, problem: null },
  ]);
  // The newer of the two variables counts, as for the loader.
  const both = { VK_ICD_FILENAMES: lavapipe, VK_DRIVER_FILES: other };
  expect(findDrivers({ env: both, folders }).map((driver) => driver.icd)).toEqual([other]);
});

test('the version of Mesa is read from its library', () => {
  expect(mesaVersion(Buffer.from('\0Mesa is\0Mesa 25.0.7-2~bpo12+1 (git-1)\0'))).toBe('25.0.7');
  expect(mesaVersion(Buffer.from('\0Mesa 26.1\0'))).toBe(null);
  expect(mesaVersion(Buffer.from(''))).toBe(null);
});

const REPORT = { numPassedTests: 9, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] };
const FINE: FinishedRun = { code: 0, signal: null, stderr: '', timedOut: false, report: REPORT };
const FAILED: FinishedRun = { ...FINE, code: 1, report: { ...REPORT, numPassedTests: 8, numFailedTests: 1 } };
const NOTHING = { ...REPORT, numPassedTests: 0 };
/** As Vitest reports that the process of its tests was ended by a signal. */
const CRASHED: FinishedRun = {
  ...FINE,
  code: 1,
  stderr: 'Error: [vitest-pool]: Worker forks emitted error.\nCaused by: Error: Worker exited unexpectedly\n',
  report: NOTHING,
};

test('a crash is told from a failed test, and what did not run has not passed', () => {
  expect(judge(FINE)).toEqual({ outcome: 'passed', detail: '9 passed, 0 failed, 0 skipped' });
  expect(judge(FAILED)).toEqual({ outcome: 'failed', detail: '8 passed, 1 failed, 0 skipped' });
  expect(judge(CRASHED)).toEqual({ outcome: 'crashed', detail: 'the process that ran the tests ended' });
  expect(judge({ ...FINE, code: null, signal: 'SIGSEGV', report: null })).toEqual({
    outcome: 'crashed',
    detail: 'ended by SIGSEGV',
  });
  // A test that failed before the crash has failed.
  expect(judge({ ...FAILED, stderr: CRASHED.stderr }).outcome).toBe('failed');
  expect(judge({ ...CRASHED, stderr: 'Error: something else' }).outcome).toBe('failed');
  expect(judge({ ...FINE, report: NOTHING }).outcome).toBe('failed');
  expect(judge({ ...FINE, report: null }).outcome).toBe('failed');
  expect(judge({ ...FINE, code: null, signal: 'SIGKILL', timedOut: true }).detail).toMatch(
    /^did not end within 15 minutes/,
  );
});

test('a crash is tried once more', async () => {
  const runs = (...list: FinishedRun[]) => {
    const left = [...list];
    return { left, run: async () => left.shift() as FinishedRun };
  };
  const twice = runs(CRASHED, CRASHED, FINE);
  expect(await testOnDriver(twice.run)).toEqual({
    outcome: 'crashed',
    detail: 'the process that ran the tests ended, twice',
  });
  expect(twice.left).toHaveLength(1);
  const once = await testOnDriver(runs(CRASHED, FINE).run);
  expect(once.outcome).toBe('passed');
  expect(once.detail).toMatch(/^9 passed, .* \(the first run crashed: /);
  expect((await testOnDriver(runs(CRASHED, FAILED).run)).outcome).toBe('failed');
  const failed = runs(FAILED, FINE);
  expect([(await testOnDriver(failed.run)).outcome, failed.left.length]).toEqual(['failed', 1]);
});

test('every file is reported for every driver; only a failed test fails', async () => {
  const files = ['a.gpu.test.ts', 'b.gpu.test.ts'];
  const fine = { icd: '/lvp.json', version: '25.0.7', problem: null };
  const old = { icd: '/old.json', version: '22.3.6', problem: 'it is of Mesa 22.3.6' };
  const asked: string[] = [];
  const run = (finished: FinishedRun) => async (file: string, path: string) => {
    asked.push(`${file} ${path}`);
    return finished;
  };
  expect(await testAdapters({ drivers: [], files, runFile: run(FINE) })).toEqual({
    lines: files.map((file) => `NOT RUN  ${file}: lavapipe is not installed`),
    failed: false,
  });
  expect(await testAdapters({ drivers: [old, fine], files, runFile: run(FINE) })).toEqual({
    lines: files.flatMap((file) => [
      `NOT RUN  ${file}: it is of Mesa 22.3.6`,
      `PASSED   ${file}: lavapipe of Mesa 25.0.7: 9 passed, 0 failed, 0 skipped`,
    ]),
    failed: false,
  });
  expect(asked).toEqual(files.map((file) => `${file} /lvp.json`));
  expect((await testAdapters({ drivers: [fine], files, runFile: run(CRASHED) })).failed).toBe(false);
  expect((await testAdapters({ drivers: [fine], files, runFile: run(FAILED) })).failed).toBe(true);
});

/** The columns of the table in docs/adapters.md: the id, and the properties that its cells say. */
function adaptersPage(): { id: string; properties: Record<string, unknown> }[] {
  const page = readFileSync(join(inject('repositoryRoot'), 'docs', 'adapters.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (.+) \|$/gm)].map(([, row]) => row.split(' | '));
  const ids = rows.find(([name]) => name === 'id')?.slice(1) ?? [];
  return ids.map((id, column) => {
    const properties: Record<string, unknown> = {};
    for (const [name, ...cells] of rows.filter(([name]) => name.startsWith('`'))) {
      const [key, inner] = name.replaceAll('`', '').split('.');
      if (inner) properties[key] = { ...(properties[key] as object), [inner]: cellValue(cells[column]) };
      else properties[key] = cellValue(cells[column]);
    }
    return { id: id.replaceAll('`', ''), properties };
  });
}

function cellValue(cell: string): unknown {
  const words: Record<string, unknown> = { yes: true, no: false, '–': null };
  return cell in words ? words[cell] : /^\d+$/.test(cell) ? Number(cell) : cell;
}

test('every column of docs/adapters.md is a fingerprint that was taken: its properties have its id', () => {
  const columns = adaptersPage();
  expect(columns.length).toBeGreaterThan(1);
  for (const { id, properties } of columns) {
    expect(idOf(properties as unknown as FingerprintProperties)).toBe(id);
    const [[key, value]] = Object.entries(properties).reverse();
    expect(idOf({ ...properties, [key]: `${value}!` } as unknown as FingerprintProperties)).not.toBe(id);
  }
});
