// The benchmark's own parts that need no GPU: what it refuses to time, how it summarises, and that its report is what it measured.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { checkLogits, checkSameBits } from '../bench/checks.ts';
import { formatResult } from '../bench/format.ts';
import { interleave } from '../bench/interleave.ts';
import { tokensOfLength } from '../bench/measure.ts';
import { quartiles, ratioQuartiles } from '../bench/quartiles.ts';
import { requirements } from '../bench/requirements.ts';

const bench = join(inject('repositoryRoot'), 'bench');
const f32 = (...values: number[]) => Float32Array.from(values);

describe('what is timed only if it holds', () => {
  test('equal bits pass; one bit, a zero of the other sign, NaN and another length do not', () => {
    const want = f32(1, 2, 0);
    expect(checkSameBits('a', f32(1, 2, 0), want)).toEqual({
      name: 'a',
      passed: true,
      detail: '0 of 3 values differ',
    });
    expect(checkSameBits('a', f32(1, 2 + 2 ** -22, 0), want).detail).toBe('1 of 3 values differ');
    expect(checkSameBits('a', f32(1, 2, -0), want).passed).toBe(false);
    expect(checkSameBits('a', f32(Number.NaN, 2, 0), f32(Number.NaN, 2, 0)).passed).toBe(false);
    expect(checkSameBits('a', f32(1, 2), want)).toMatchObject({ passed: false, detail: '2 values against 3' });
  });

  test("another engine's logits pass within the tolerance and with the same top tokens", () => {
    const want = f32(1, 2, 5, 4); // two positions of two tokens
    const check = (got: Float32Array) => checkLogits('a', { got, want, dVocab: 2, tolerance: 1e-3 });
    expect(check(f32(1.0005, 2, 5, 4))).toMatchObject({
      passed: true,
      detail: 'largest difference 5.0e-4, 0 of 2 top tokens differ',
    });
    expect(check(f32(1.002, 2, 5, 4)).passed).toBe(false);
    expect(check(f32(1, 2, 5, Number.NaN)).passed).toBe(false);
    expect(check(f32(1, 2)).passed).toBe(false);
    const close = { got: f32(2, 1.9999), want: f32(1.9999, 2), dVocab: 2, tolerance: 1e-3 };
    expect(checkLogits('a', close)).toMatchObject({ passed: false });
  });
});

describe('what is made of the samples', () => {
  test('median and quartiles lie between neighbours', () => {
    expect(quartiles([4, 1, 3, 2, 5])).toEqual({ lower: 2, median: 3, upper: 4 });
    expect(quartiles([1, 2])).toEqual({ lower: 1.25, median: 1.5, upper: 1.75 });
    expect(quartiles([7])).toEqual({ lower: 7, median: 7, upper: 7 });
    expect(() => quartiles([])).toThrow('at least one sample');
  });

  test('a ratio is of the same round', () => {
    // Twice as slow in the second half, both of them: the ratio does not see it.
    expect(ratioQuartiles([10, 10, 20, 20], [11, 11, 22, 22])).toEqual({ lower: 1.1, median: 1.1, upper: 1.1 });
    expect(() => ratioQuartiles([1], [1, 2])).toThrow('1 samples against 2');
  });

  test('cases take turns, each round begins with another one, and the warm-up leaves no sample', async () => {
    const order: string[] = [];
    const make = (name: string) => ({
      name,
      engine: 'hyaline',
      tokens: 1,
      time: async () => {
        order.push(name);
        return order.length;
      },
    });
    const rounds: number[] = [];
    const timings = await interleave([make('a'), make('b')], {
      warmUp: 1,
      repetitions: 2,
      onRound: (done) => rounds.push(done),
    });
    expect(order.join('')).toBe('abbaab');
    expect(timings.map(({ samples }) => samples)).toEqual([
      [4, 5],
      [3, 6],
    ]);
    expect(rounds).toEqual([0, 1, 2]);
  });

  test('an input of any length repeats the golden prompt', () => {
    expect(tokensOfLength(5, [7, 8])).toEqual([7, 8, 7, 8, 7]);
  });
});

describe('requirements', () => {
  const adapter = { vendor: '', architecture: '', device: '', description: '', isFallback: true };
  const measured = (text: string, median: number, ratio: number) => ({
    runtime: 'chrome' as const,
    adapter: { ...adapter, text },
    timings: [{ name: 'run', engine: 'hyaline', tokens: 64, samples: [], median, lower: 0, upper: 0 }],
    captureRatio: { median: ratio, lower: 0, upper: 0 },
  });
  const met = (...args: Parameters<typeof measured>) => requirements([measured(...args)]).map(({ met }) => met);

  test('they are met up to the limit and not above it', () => {
    expect(met('google swiftshader', 150, 1.3)).toEqual([true, true]);
    expect(met('google swiftshader', 150.1, 1.31)).toEqual([false, false]);
    expect(met('google swiftshader', Number.NaN, Number.NaN)).toEqual([false, false]);
  });

  test('decoding has a limit for each context, edits one for what they add, sweeps one for what they save', () => {
    const spread = { lower: 0, upper: 0 };
    const decode = { name: 'decode, per token', engine: 'hyaline', samples: [], median: 15, ...spread };
    const ratio = (name: string, tokens: number, median: number) => ({ name, tokens, median, ...spread });
    const found = requirements([
      {
        ...measured('google swiftshader', 1, 1),
        timings: [16, 128].map((tokens) => ({ ...decode, tokens })),
        ratios: [
          ratio('decoding with one edit against without', 16, 1.1),
          ratio('decoding with one edit against without', 128, 1.11),
          ratio('16 runs against a sweep of 16 edits', 20, 2.5),
        ],
      },
    ]);
    expect(found.slice(1).map(({ limit, met }) => [limit, met])).toEqual([
      [15, true],
      [1.1, true],
      [15, true],
      [1.1, false],
      [2.5, true],
    ]);
  });

  test('they are for Chrome on SwiftShader alone', () => {
    expect(met('nvidia hopper: hardware', 1, 1)).toEqual([]);
    expect(requirements([{ ...measured('google swiftshader', 1, 1), runtime: 'node' }])).toEqual([]);
  });
});

test('the table shows the fingerprint of an adapter where there is one, and results without are still read', () => {
  const [file] = readdirSync(join(bench, 'results')).filter((name) => name.endsWith('.json'));
  const result = JSON.parse(readFileSync(join(bench, 'results', file), 'utf8'));
  const bare = {
    ...result,
    runtimes: result.runtimes.map((runtime: object) => ({ ...runtime, fingerprint: undefined })),
  };
  const fingerprint = { id: '0123abcd', summary: 'fma fused' };
  const taken = { ...result, runtimes: result.runtimes.map((runtime: object) => ({ ...runtime, fingerprint })) };
  expect(formatResult(bare)).not.toContain('fingerprint');
  const line = 'fingerprint 0123abcd: fma fused';
  const lines = formatResult(taken).split('\n');
  expect(lines.filter((text) => text === line)).toHaveLength(result.runtimes.length);
  expect(lines.filter((text) => text !== line).join('\n')).toBe(formatResult(bare));
});

describe('RESULTS.md', () => {
  const text = readFileSync(join(bench, 'RESULTS.md'), 'utf8');
  const tables = [...text.matchAll(/`results\/(\S+\.json)`[^`]*```text\n([\s\S]*?)\n```/g)];
  const files = readdirSync(join(bench, 'results')).filter((file) => file.endsWith('.json'));

  test('shows every result that is kept here', () => {
    expect(files.length).toBeGreaterThan(0);
    expect(tables.map(([, file]) => file).sort()).toEqual(files.sort());
  });

  test.each(tables.map(([, file, table]) => ({ file, table })))(
    'its table of $file is what the file says',
    ({ file, table }) => {
      const result = JSON.parse(readFileSync(join(bench, 'results', file), 'utf8'));
      expect(table.split('\n')).toEqual(formatResult(result).split('\n'));
      expect(result.quick).toBe(false);
    },
  );
});
