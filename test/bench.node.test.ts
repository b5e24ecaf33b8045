// `npm run bench -- --quick` as a user runs it, in Chrome: what it measures in Node is the same code. No time is asserted.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import type { BenchmarkResult } from '../bench/result.ts';

const folder = mkdtempSync(join(tmpdir(), 'hyaline-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bench(args: readonly string[]) {
  const child = spawn(process.execPath, ['scripts/bench.mjs', ...args], { cwd: inject('repositoryRoot') });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (piece) => {
    output.stdout += piece;
  });
  child.stderr.on('data', (piece) => {
    output.stderr += piece;
  });
  const [code] = await once(child, 'close');
  return { code, ...output };
}

/** Every number of a result with its place. */
function numbersOf(value: unknown, place = ''): [string, unknown][] {
  if (value === null || typeof value !== 'object') return [[place, value]];
  return Object.entries(value).flatMap(([key, inside]) => numbersOf(inside, `${place}.${key}`));
}

test('a quick benchmark measures everything in Chrome, and says it in a table and a file', async () => {
  const file = join(folder, 'result.json');
  const { code, stdout, stderr } = await bench(['--quick', '--runtime', 'chrome', '--json', file]);
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  const result: BenchmarkResult = JSON.parse(readFileSync(file, 'utf8'));

  expect(result).toMatchObject({ format: 1, quick: true, repetitions: 2, model: 'circuit-zoo' });
  expect(result.date).toMatch(/^\d{4}-\d\d-\d\d$/);
  expect(result.runtimes.map(({ runtime }) => runtime)).toEqual(['chrome']);
  for (const { adapter, checks, timings, captureRatio, loads, plans, weights, profiles, ...rest } of result.runtimes) {
    expect(adapter.text).toMatch(/: (software fallback, runs on the CPU|hardware)$/);
    expect(stdout).toContain(
      `adapter: ${adapter.text}\nfingerprint ${rest.fingerprint?.id}: ${rest.fingerprint?.summary}\n`,
    );
    expect(rest.fingerprint?.id).toMatch(/^[0-9a-f]{8}$/);
    expect(checks.filter(({ passed }) => !passed)).toEqual([]);
    expect(checks[0]).toMatchObject({ name: 'the golden prompt\'s next token is " Mary"' });
    expect(checks).toHaveLength(9);
    expect(timings.map(({ engine, name, tokens }) => `${engine}: ${name} ${tokens}`)).toEqual([
      'hyaline: run 1',
      'hyaline: run 15',
      'hyaline: run 64',
      'hyaline: run 192',
      'hyaline: run, one pattern captured 64',
      'hyaline: run, one kind captured 64',
      'hyaline: run, everything captured 64',
      'hyaline: run, one edit 64',
      'hyaline: decode, per token 16',
      'hyaline: decode, per token, one edit 16',
      'hyaline: generate, per token 16',
      'hyaline: decode, per token 128',
      'hyaline: decode, per token, one edit 128',
      'hyaline: generate, per token 128',
      'hyaline: sweep of 16 edits 20',
      'hyaline: 16 runs of one edit each 20',
      'hyaline: run, fast 64',
      'hyaline: run, reproducible 64',
    ]);
    for (const timing of timings) {
      expect(timing.samples).toHaveLength(2);
      expect(timing.lower).toBeGreaterThan(0);
      expect(timing.median).toBeGreaterThanOrEqual(timing.lower);
      expect(timing.upper).toBeGreaterThanOrEqual(timing.median);
    }
    expect(captureRatio?.median).toBeGreaterThan(0);
    expect(rest.ratios?.map(({ tokens }) => tokens)).toEqual([16, 128, 20, 64]);
    for (const { median } of rest.ratios ?? []) expect(median).toBeGreaterThan(0);
    expect(loads.map(({ name }) => name)).toEqual([
      'device',
      'download',
      'upload',
      'compile',
      'load',
      'firstRun',
      'warmRun',
      'secondLoad',
    ]);
    for (const { median } of loads) expect(median).toBeGreaterThan(0);
    expect(plans).toHaveLength(6);
    for (const { dispatches, values, buffers, bytes } of plans) {
      expect(Math.min(dispatches, values, buffers, bytes)).toBeGreaterThan(0);
    }
    expect(plans[5].values).toBeGreaterThan(plans[2].values);
    expect(plans[5].bytes).toBeGreaterThan(plans[2].bytes);
    expect(weights.bytes).toBeGreaterThan(4e6);
    expect(rest.limits?.copy.map(({ bytes }) => bytes / 2 ** 20)).toEqual(expect.arrayContaining([0.25, 1, 4, 16, 64]));
    const { copy = [], fma, dispatch, roundTrip } = rest.limits ?? {};
    for (const limit of [...copy, fma, dispatch, roundTrip]) expect(limit?.lower).toBeGreaterThan(0);
    expect(rest.kernels?.map(({ kernel }) => kernel)).toEqual(expect.arrayContaining(['norm', 'matmul', 'unembed']));
    const [unembed] = rest.kernels?.filter(({ kernel }) => kernel === 'unembed') ?? [];
    expect(unembed).toMatchObject({ rows: 64, matrixBytes: 4 * 2048 * 128, flops: 2 * 64 * 2048 * 128 });
    for (const { bytes, flops, matrixBytes, wall } of rest.kernels ?? []) {
      expect(Math.min(bytes, wall.lower)).toBeGreaterThan(0);
      expect(flops > 0 || matrixBytes === 0).toBe(true);
    }
    expect(rest.growth?.map(({ kind, at }) => `${kind} ${at}`)).toEqual([
      ...['prefill 16', 'prefill 64', 'decode 16', 'decode 64', 'generate 16'],
      ...['batch 1', 'batch 2', 'layers 2', 'layers 4'],
    ]);
    expect(rest.memory?.gpu.map(({ model }) => model)).toEqual(['circuit-zoo', 'circuit-sized']);
    expect(rest.memory?.host).toBeGreaterThan(1e6);
    // Shares add up where the adapter has timestamps; where it has none, the result says so.
    expect(profiles.length === 0).toBe(rest.profileProblem !== null);
    for (const { kernels } of profiles) expect(kernels.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 3);
    expect(rest.version).not.toBe('');
  }
  // JSON writes NaN and infinities as null: the only nulls are words that are missing.
  const missing = numbersOf(result).filter(([, value]) => value === null || value === undefined);
  expect(
    missing.filter(([place]) => !/\.(commit|version|profileProblem|notRun|subgroupSize|subgroupAdd)$/.test(place)),
  ).toEqual([]);

  // Plots need what `bench/report` installs, from a registry that may be out of reach.
  const report = file.replace('.json', '.html');
  const isDrawn = existsSync(join(inject('repositoryRoot'), 'bench', 'report', 'node_modules'));
  expect(existsSync(report)).toBe(isDrawn);
  if (!isDrawn) expect(stdout).toContain('no report: plots: Observable Plot is not installed.');
  else {
    const html = readFileSync(report, 'utf8');
    expect(html.match(/<h1>.*/)?.[0]).toMatch(/^<h1>Hyaline benchmark, [-\d]+: (fallback adapter )?\S/);
    expect(html.match(/<script|<link |src=|[(",]NaN[),"]/)).toBeNull(); // it opens from disk, and every mark has a place
    expect(html.match(/<h3>/g)).toHaveLength(9);
  }

  expect(stdout).toContain('QUICK: not for comparing');
  expect(stdout).toMatch(/^everything captured against nothing, 64 tokens: \d+\.\d\d × \(/m);
  expect(stdout).toContain('other engines: not run: not asked for (--peers)');
  const printedAgain = await bench(['--from', file]);
  expect(printedAgain.code).toBe(0);
  expect(stdout.split('\nmeasured in ')[0].trim()).toBe(printedAgain.stdout.trim());
}, 300_000);

test('wrong options are named before anything is measured', async () => {
  expect(await bench(['--runtime', 'firefox'])).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^bench: there is no runtime "firefox"\. usage: npm run bench/),
  });
  expect(await bench(['--repetitions', '0'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^bench: --repetitions must be a whole number from 1 to 9999, got "0"\./),
  });
});
