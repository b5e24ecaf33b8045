// The parts of the command line that need no process of their own, and what all commands share.
import { expect, test } from 'vitest';
import { binarySize, formatNumber, formatTable, megabytes, shortestFloat32 } from '../../src/cli/text.ts';
import { parseTokens } from '../../src/cli/tokens.ts';
import { fromBits } from '../../src/index.ts';
import { readJsonFixture } from '../fixtures.ts';
import { hyaline } from './spawn.ts';

test('--help shows the commands with examples, and --version the version', async () => {
  const help = await hyaline(['--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toMatch(/^Usage: hyaline /);
  expect(help.stdout).toMatch(/^ {2}trace .+\n {2}generate .+\n {2}diff .+\n {2}numerics .+\n {2}doctor /m);
  expect(help.stdout).toContain("$ hyaline trace models/circuit-zoo 'The capital of France is'");
  const { version } = await readJsonFixture<{ version: string }>('package.json');
  expect(await hyaline(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test('token ids are rows of numbers; what is no number is named', () => {
  expect(parseTokens('1,2,3')).toEqual([[1, 2, 3]]);
  expect(parseTokens(' 1, 2 ;3,4 ')).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(parseTokens('-1,1.5')).toEqual([[-1, 1.5]]); // the engine says what a model has
  const expected = 'Expected ids like 1,2,3 or "1,2,3;4,5,6", got';
  for (const [text, got] of [
    ['1,x', '"x"'],
    ['1,,2', '""'],
    ['1;', '""'],
    ['', '""'],
    ['0x10', '"0x10"'],
    ['1e3', '"1e3"'],
    ['1 2', '"1 2"'],
  ]) {
    expect(() => parseTokens(text)).toThrow(`${expected} ${got}.`);
  }
});

test('numbers and sizes are short', () => {
  expect([0, 1, -0.7893412, 131.46912, 1.23456e-9, 123456.7].map(formatNumber)).toEqual(
    ['0', '1', '-0.78934', '131.47', '1.2346e-9', '123460'], // five significant digits
  );
  expect([0, 20076, 4_353_024, 154e6, 2.5e9].map(megabytes)).toEqual([
    ...['0 bytes', '20076 bytes', '4.35 MB', '154 MB', '2.50 GB'],
  ]);
  expect([16, 16384, 128 * 2 ** 20, 2 ** 31 - 4, 2 ** 32].map(binarySize)).toEqual([
    ...['16 bytes', '16 KiB', '128 MiB', '1.9 GiB', '4 GiB'],
  ]);
});

test('a float32 has as many digits as tell it from its neighbours', () => {
  expect([0.5, Math.fround(0.1), 1 + 2 ** -23, 2 ** -149, -Infinity, Number.NaN].map(shortestFloat32)).toEqual([
    ...['0.5', '0.1', '1.0000001', '1e-45', '-Infinity', 'NaN'],
  ]);
  for (let bits = 1; bits < 0x7f800000; bits += 1_234_567) {
    const x = fromBits(bits);
    expect(Math.fround(Number(shortestFloat32(x)))).toBe(x);
  }
});

test('tables align their columns and leave no spaces at the ends of lines', () => {
  const rows = [
    ['value', 'mean', ''],
    ['hook_embed', '-0.5', ''],
    ['logits', '12', '3 NaN'],
  ];
  expect(formatTable(rows, ['left', 'right', 'left'])).toBe(
    ['value       mean', 'hook_embed  -0.5', 'logits        12  3 NaN'].join('\n'),
  );
});
