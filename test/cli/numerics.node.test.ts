// `hyaline numerics`, run as a user runs it. That its figures are the right ones is for test/numerics.
import { expect, test } from 'vitest';
import type { NumericsCommandReport } from '../../src/cli/numerics.ts';
import { complaint, FAST, hyaline } from './spawn.ts';

const ZOO = 'models/circuit-zoo';
const ADDITION = 'models/modular-addition';

test('the tables hold every value that was asked for, and words say what is in the others too', async () => {
  const hooks = ['--hooks', 'blocks.*.hook_resid_post', '--hooks', 'logits'];
  const finished = await hyaline(['numerics', ZOO, 'The capital of France is', ...hooks]);
  expect(finished.code).toBe(0);
  const { stdout } = finished;
  expect(stdout).toMatch(/^adapter {2}.+: (hardware|software fallback, runs on the CPU)$/m);
  expect(stdout).toMatch(/^6 tokens: "<\|endoftext\|>" "The" " capital" " of" " France" " is"$/m);
  expect(stdout).toMatch(/^value +error +median ULP +max ULP +own part +inherited +of bound +worst at$/m);
  const lines = stdout.match(/^\S+ +\d\.\de-\d .*$/gm);
  expect(lines?.map((line) => line.split(' ')[0])).toEqual([
    ...[0, 1, 2, 3].map((layer) => `blocks.${layer}.hook_resid_post`),
    'logits',
  ]);
  expect(lines?.[3]).toMatch(/ {2}\d "[^"]+"$/);
  expect(lines?.[4]).toMatch(/ {2}is unembed\.hook_out$/);
  expect(stdout).toMatch(/^Every value is within the error bound of its operation\. /m);
  expect(stdout).toMatch(
    /^Operations add most error, in units of the value's size, in blocks\.\d\.\S+ \(1\.\de-7\), /m,
  );
  expect(stdout).toMatch(/^Float64 predicts the same next token at all 6 positions, and the same first 5 in the same/m);
});

test('--json holds the report and nothing else', async () => {
  const finished = await hyaline([
    'numerics',
    ADDITION,
    '--tokens',
    '5,7,113;1,2,113',
    '--map',
    'localShare',
    '--json',
  ]);
  expect([finished.code, complaint(finished)]).toEqual([0, '']);
  const report: NumericsCommandReport = JSON.parse(finished.stdout);
  expect(report.model).toMatchObject({ source: ADDITION, nLayers: 1, warnings: [] });
  expect(report.tokens).toEqual([
    [5, 7, 113],
    [1, 2, 113],
  ]);
  expect(report.tokenTexts).toBe(null);
  expect(report.values.length).toBe(20);
  expect(report.map).toMatchObject({ figure: 'localShare', layers: [0] });
  expect(report.predictions.positions.length).toBe(6);
  expect(report.timing.reportMs).toBeGreaterThan(0);
});

test('--map prints values by layer', async () => {
  const { code, stdout } = await hyaline([
    'numerics',
    ADDITION,
    '--tokens',
    '5,7,113',
    '--map',
    'relativeRms',
    ...FAST,
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^relativeRms +block 0\nhook_resid_pre +\d\.\de-8\nattn\.hook_q /m);
  expect(stdout).toMatch(/^logits +\d\.\de-\d+$/m);
  expect(stdout).not.toMatch(/^value /m);
});

test("--weights q8: the truth has the checkpoint's numbers, and a column what the smaller ones do", async () => {
  const { code, stdout } = await hyaline(['numerics', ADDITION, '--tokens', '5,7,113', '--weights', 'q8', ...FAST]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^weights {2}q8$/m);
  expect(stdout).toMatch(/^value +error +of weights +median ULP +/m);
  // Codes of 1/127 of the largest: errors of some thousandths, all but float32's own 10⁻⁷ of them the weights'.
  expect(stdout).toMatch(/^hook_embed +(\d\.\de-3) +\1 /m);
  expect(stdout).toMatch(/^Every value is within the error bound of its operation\. /m);
});

test('wrong usage and unknown names are one line', async () => {
  expect(await hyaline(['numerics', ZOO])).toEqual({
    code: 2,
    stdout: '',
    stderr: 'hyaline: numerics: expected either a text or --tokens, got neither. See "hyaline numerics --help".\n',
  });
  const figure = await hyaline(['numerics', ZOO, 'Hello', '--map', 'size']);
  expect(figure).toMatchObject({ code: 2, stdout: '' });
  expect(figure.stderr).toMatch(
    /^hyaline: option '--map <figure>' argument 'size' is invalid\. Allowed choices are rel/,
  );
  const hook = await hyaline([
    'numerics',
    ADDITION,
    '--tokens',
    '1,2,113',
    '--hooks',
    'blocks.0.attn.hook_patern',
    ...FAST,
  ]);
  expect(hook).toMatchObject({ code: 1, stdout: '' });
  expect(complaint(hook)).toBe(
    'hyaline: hooks: no value "blocks.0.attn.hook_patern". This model has block 0; did you mean "blocks.0.attn.hook_pattern"?',
  );
});
