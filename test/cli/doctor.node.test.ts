// `hyaline doctor`, run as a user runs it, and the check inside it, which must be able to fail.
import { expect, test } from 'vitest';
import { type DoctorReport, examineNumbers } from '../../src/cli/doctor.ts';
import { checkModel, compareBits, compareWithReference } from '../../src/cli/doctor_check.ts';
import { examineModel } from '../../src/cli/doctor_model.ts';
import { formatDoctor } from '../../src/cli/doctor_text.ts';
import { explainFingerprint } from '../../src/cli/fingerprint_text.ts';
import { adapterFingerprint, requestDevice } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { readJsonFixture } from '../fixtures.ts';
import { complaint, hyaline } from './spawn.ts';

test('doctor names the adapter, checks it, and says how a model lies on it', async () => {
  const finished = await hyaline(['doctor', 'models/circuit-zoo']);
  const { code, stdout } = finished;
  const { version } = await readJsonFixture<{ version: string }>('package.json');
  expect(stdout).toContain(
    `runtime   hyaline ${version}, Node ${process.version}, ${process.platform} ${process.arch}`,
  );
  expect(stdout).toMatch(/^adapter {3}.+: (hardware|software fallback, runs on the CPU)$/m);
  expect(stdout).toMatch(/^features {2}timestamp-query: (yes|no), subgroups: (yes|no), shader-f16: (yes|no)$/m);
  expect(stdout).toMatch(/^maxStorageBufferBindingSize +\d.* [MG]iB +128 MiB +/m);
  expect(stdout).toMatch(
    /^numbers {3}fingerprint [0-9a-f]{8}\n {10}a·b\+c .*, fma .*, rounding barrier .*, sums .*, NaN .*$/m,
  );
  expect(stdout).toMatch(/^ +- fma is .*rounded/m);
  expect(stdout).toMatch(/^ +- numbers below 2\^-126 \(1\.2e-38\) /m);
  expect(stdout).toMatch(/^ +- largest errors of built-in functions, .*tanh near 0 \d+/m);
  expect(stdout).toMatch(/^check {5}OK: all \d+ values of a small model are within their error bounds of float64, /m);
  expect(stdout).toMatch(/^model {5}models\/circuit-zoo: runs; \d+ values can be read$/m);
  expect(stdout).toMatch(/^ +weights: 4\.\d\d MB on the GPU, loaded in \d+ ms$/m);
  expect(stdout).toMatch(/^ +embedding: in one piece; unembedding: the embedding again \(tied\)$/m);
  expect(stdout).toMatch(/^ +8 tokens, logits kept: \d+ dispatches, [\d.]+ MB of values$/m);
  expect(stdout).toMatch(/^ +tilings, 1 token: (register|shared) [^()]+ \((default|remembered|given)\)/m);
  expect(stdout).toMatch(/^ +256 tokens, everything kept: \d+ dispatches, [\d.]+ MB of values$/m);
  expect(stdout).toMatch(/^ +ran 8 tokens in [\d.]+ ms \(the first time [\d.]+ ms\)$/m);
  expect(complaint(finished)).toBe('');
  expect(code).toBe(0);
});

test('the numbers of the report are the fingerprint and what it means', async () => {
  const fingerprint = await adapterFingerprint(await testDevice());
  const numbers = await examineNumbers(await testDevice(), new AbortController().signal);
  expect(numbers).toEqual({ ok: true, fingerprint, meaning: explainFingerprint(fingerprint) });
});

test('a fingerprint that cannot be taken is a finding with the reason', async () => {
  const runtime = { hyaline: '1.2.3', node: 'v20', platform: 'linux x64' };
  const device = await requestDevice();
  device.destroy();
  await device.lost;
  const numbers = await examineNumbers(device, new AbortController().signal);
  expect(numbers).toEqual({ ok: false, error: expect.stringMatching(/./) });
  expect(formatDoctor({ ok: false, runtime, adapter: null, numbers }).split('\n').slice(2)).toEqual([
    'numbers   FAILED: what the adapter does to float32 numbers is not known',
    `          ${numbers.error}`,
  ]);
});

test('a model that cannot be loaded is a finding with the reason', async () => {
  expect(await examineModel('models/circuit-zo', await testDevice(), new AbortController().signal)).toEqual({
    source: 'models/circuit-zo',
    ok: false,
    error:
      'checkpoint: models/circuit-zo: expected a folder with config.json and model.safetensors, got no config.json',
  });
});

// Only on Linux does an environment variable take every adapter away.
test.runIf(process.platform === 'linux')(
  'without an adapter doctor says what to install, and exits with 1',
  async () => {
    const { code, stdout } = await hyaline(['doctor', '--json'], { env: { VK_ICD_FILENAMES: '/nonexistent' } });
    const report: DoctorReport = JSON.parse(stdout);
    expect(report).toMatchObject({ ok: false, adapter: null });
    expect(report.error).toMatch(/^device: Dawn found no WebGPU adapter in Node on linux\. Install Chromium /);
    expect(report).not.toHaveProperty('check');
    expect(formatDoctor(report).split('\n').slice(1)).toEqual(['adapter   none', `          ${report.error}`]);
    expect(code).toBe(1);
  },
);

test('the check fails on a number that is outside of its bound, and on NaN', () => {
  const data = Float64Array.of(1, 2, Number.NEGATIVE_INFINITY);
  const bound = Float64Array.of(0.1, 0.1, 0);
  const reference = new Map([['logits', { name: 'logits', shape: [3], axes: ['x'], data, bound }]]);
  const compare = (...values: number[]) =>
    compareWithReference(new Map([['logits', Float32Array.from(values)]]), reference);
  expect(compare(1.05, 1.95, Number.NEGATIVE_INFINITY)).toEqual([]);
  expect(compare(1, 2.5, Number.NEGATIVE_INFINITY)).toEqual([
    'logits: 1 of 3 numbers are wrong, the first is element 1: expected 2 ± 0.1, got 2.5',
  ]);
  expect(compare(1, 2, -3e38)).toHaveLength(1);
  expect(compare(Number.NaN, Number.NaN, Number.NaN)[0]).toContain('3 of 3 numbers are wrong');
  expect(compare(1, 2)).toEqual(['logits: expected 3 numbers, got 2']);
  expect(compareWithReference(new Map(), reference)).toEqual(['logits: expected 3 numbers, got none']);
});

test('a failed check is reported with its problems', () => {
  const runtime = { hyaline: '1.2.3', node: 'v20', platform: 'linux x64' };
  const check = { ok: false, values: 50, problems: ['hook_embed: two runs of the same tokens differ'], elapsedMs: 1 };
  expect(formatDoctor({ ok: false, runtime, adapter: null, check })).toBe(
    [
      'runtime   hyaline 1.2.3, Node v20, linux x64',
      'adapter   none',
      'check     FAILED: a small model does not compute what it should',
      '          - hook_embed: two runs of the same tokens differ',
    ].join('\n'),
  );
});

test('the small model of the check has no zero weight that would hide a kernel', () => {
  for (const [name, { data }] of Object.entries(checkModel().tensors)) {
    expect([name, data.every((x) => x !== 0 && Math.abs(x) <= 0.5)]).toEqual([name, true]);
  }
});

test('the check sees one bit, and a value that is missing', () => {
  const one = new Map([['logits', Float32Array.of(1, 2)]]);
  expect(compareBits(one, new Map([['logits', Float32Array.of(1, 2)]]), 'differs')).toEqual([]);
  expect(compareBits(one, new Map([['logits', Float32Array.of(1, 2 + 2 ** -22)]]), 'differs')).toEqual([
    'logits: differs',
  ]);
  expect(compareBits(one, new Map(), 'differs')).toEqual(['logits: differs']);
});
