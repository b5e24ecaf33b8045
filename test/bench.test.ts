// The benchmark's own parts that need no GPU: what it refuses to time, how it summarises, and that its report is what it measured.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { checkLogits, checkSameBits } from '../bench/checks.ts';
import { formatResult } from '../bench/format.ts';
import { growthRatios } from '../bench/growth.ts';
import { interleave } from '../bench/interleave.ts';
import { kernelRates, planKernels, work } from '../bench/kernels.ts';
import { WITHOUT_ORDER } from '../bench/matmuls.ts';
import { tokensOfLength } from '../bench/measure.ts';
import { quartiles, ratioQuartiles } from '../bench/quartiles.ts';
import { requirements } from '../bench/requirements.ts';
import type { BenchmarkResult, KernelTiming, Limits } from '../bench/result.ts';
import { resultPart, shownResults, withResult } from '../bench/results_page.ts';
import { CIRCUIT_SIZED, drawnModel, LLAMA_1B } from '../bench/shapes.ts';
import { summary } from '../bench/summary.ts';
import { weightSpecs } from '../src/engine/config.ts';
import { kernelSource } from '../src/kernels/kernel.ts';
import { matmul } from '../src/kernels/matmul.ts';
import { parseConfig } from './architectures.ts';

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

const spread = { lower: 0, upper: 0 };
const rate = (median: number) => ({ median, ...spread });

/** An adapter that copies 10 GB/s and does 100 GFLOP/s. */
const limits: Limits = {
  copy: [
    { bytes: 2 ** 18, ...rate(50) },
    { bytes: 2 ** 26, ...rate(10) },
  ],
  fma: rate(100),
  dispatch: rate(0.01),
  roundTrip: rate(0.1),
  timestamps: true,
};

const kernel = (ms: number, sizes: Partial<KernelTiming>): KernelTiming => ({
  shape: 'GPT-2 small',
  kernel: 'matmul',
  value: 'blocks.0.mlp.hook_pre',
  rows: 1,
  context: 0,
  bytes: 1e6,
  matrixBytes: 1e6,
  flops: 5e5,
  repeats: 1,
  wall: rate(2 * ms),
  gpu: rate(ms),
  ...sizes,
});

describe('kernels', () => {
  test('the share is of the limit that is met first, by the clock of the GPU where there is one', () => {
    // 1 MB at 10 GB/s takes 0.1 ms, 0.5 MFLOP at 100 GFLOP/s 0.005 ms.
    expect(kernelRates(kernel(0.2, {}), limits)).toMatchObject({
      gigabytesPerSecond: 5,
      gigaflops: 2.5,
      limitedBy: 'memory',
    });
    expect(kernelRates(kernel(0.2, {}), limits).share).toBeCloseTo(0.5);
    expect(kernelRates(kernel(0.2, { gpu: null }), limits).share).toBeCloseTo(0.25);
    // 50 MFLOP take 0.5 ms.
    expect(kernelRates(kernel(1, { flops: 5e7 }), limits)).toMatchObject({ share: 0.5, limitedBy: 'products' });
  });

  test('a product reads its matrix once; of a table only what is looked up; heads count what is not masked', () => {
    const setting = { shape: CIRCUIT_SIZED, rows: 3, context: 0 };
    const x = { label: 'transient', bytes: 4 * 3 * 128 };
    const W = { label: 'blocks.0.attn.W_Q', bytes: 4 * 128 * 128 };
    expect(work({ kernel: 'matmul', bound: [x, W, x] }, setting)).toEqual({
      bytes: 2 * x.bytes + W.bytes,
      matrixBytes: W.bytes,
      flops: 2 * 3 * 128 * 128,
    });
    const table = { label: 'embed.W_E', bytes: 4 * 2048 * 128 };
    expect(work({ kernel: 'token_embedding', bound: [table, x] }, setting)).toEqual({
      bytes: 2 * x.bytes,
      matrixBytes: 0,
      flops: 0,
    });
    // Three rows see 1 + 2 + 3 positions; behind 10 others they see 30 more.
    expect(work({ kernel: 'attention_scores', bound: [x] }, setting).flops).toBe(2 * 6 * 128);
    expect(work({ kernel: 'attention_values', bound: [x] }, { ...setting, context: 10 }).flops).toBe(2 * 36 * 128);
  });

  test.each([CIRCUIT_SIZED, { ...LLAMA_1B, dVocab: 100 }])(
    'a drawn $name has every weight of its architecture',
    (shape) => {
      const { config, tensors } = drawnModel({ ...shape, nLayers: 1 });
      const parsed = parseConfig(config);
      const grouped = (name: string) => (name in tensors ? name : name.replace(/\.([Wb]_[KV])$/, '._$1'));
      for (const { name, shape: size, optional } of weightSpecs(parsed)) {
        if (!optional || shape.kind === 'gpt') {
          if (name === 'unembed.b_U') continue;
          expect([name, tensors[grouped(name)]?.shape]).toEqual([name, size]);
        }
      }
      expect(parsed).toMatchObject({
        dMlp: shape.dMlp,
        nKeyValueHeads: shape.nKeyValueHeads,
        rotaryDim: shape.rotaryDim,
      });
    },
  );

  test('hardware times everything; a software adapter what it does in bearable time, and says what it leaves out', () => {
    const hardware = planKernels({ limits, isSoftware: false, quick: false });
    expect(hardware.skipped).toEqual([]);
    expect(hardware.plans.map(({ shape, rows }) => [shape.name, rows.length])).toEqual([
      ['circuit-sized', 4],
      ['GPT-2 small', 4],
      ['GPT-2 medium', 4],
      ['Pythia-160M', 4],
      ['Llama-3.2-1B', 4],
    ]);
    // 64 rows by 768 × 3,072 at a tenth of 20 GFLOP/s are 151 ms, 512 rows are 1.2 s.
    const software = planKernels({ limits: { ...limits, fma: rate(20) }, isSoftware: true, quick: false });
    expect(software.plans.map(({ shape, rows }) => [shape.name, rows])).toEqual([
      ['circuit-sized', [1, 64, 512]],
      ['GPT-2 small', [1, 64]],
    ]);
    expect(software.skipped).toEqual([
      'kernels of GPT-2 medium, Pythia-160M, Llama-3.2-1B: a software adapter',
      'kernels of circuit-sized at 1024 rows: a dispatch would take longer than 200 ms',
      'the vocabulary of GPT-2 small: 2048 tokens instead of 50257',
      'kernels of GPT-2 small at 512, 1024 rows: a dispatch would take longer than 200 ms',
    ]);
  });

  test('the order of sums can be taken out of the text of a matrix product, whatever its tile', () => {
    for (const pos of [1, 64]) {
      const dims = { batch: 1, pos, keys: pos, d_in: 128, d_out: 128, d_out_vec4: 32 };
      const source = kernelSource(matmul, { dims, options: {}, arithmetic: 'fast', has: () => true });
      expect(source).toMatch(/\bblock_0_0\b/);
      expect(WITHOUT_ORDER(source)).not.toMatch(/\b(s|block)_0_0\b/);
    }
  });
});

describe('requirements', () => {
  const adapter = { vendor: '', architecture: '', device: '', description: '', isFallback: true };
  const measured = (text: string, median: number, ratio: number) => ({
    runtime: 'chrome' as const,
    adapter: { ...adapter, text },
    timings: [{ name: 'run', engine: 'hyaline', tokens: 64, samples: [], ...rate(median) }],
    captureRatio: rate(ratio),
  });
  const met = (...args: Parameters<typeof measured>) => requirements([measured(...args)]).map(({ met }) => met);

  test('they are met up to the limit and not above it', () => {
    expect(met('google swiftshader', 150, 1.2)).toEqual([true, true]);
    expect(met('google swiftshader', 150.1, 1.21)).toEqual([false, false]);
    expect(met('google swiftshader', Number.NaN, Number.NaN)).toEqual([false, false]);
  });

  test('decoding has a limit for each context, edits one for what they add, sweeps one for what they save', () => {
    const decode = { name: 'decode, per token', engine: 'hyaline', samples: [], ...rate(15) };
    const ratio = (name: string, tokens: number, median: number) => ({ name, tokens, ...rate(median) });
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

  test('another engine has to take so many times as long, in a run and in a token', () => {
    const timing = (engine: string, name: string, tokens: number, median: number) => {
      return { engine, name, tokens, samples: [], ...rate(median) };
    };
    const against = (run: number, decode: number) =>
      requirements([
        {
          ...measured('google swiftshader', 1, 1),
          timings: [
            timing('hyaline', 'run', 64, 10),
            timing('onnxruntime-web WebGPU', 'run', 64, run),
            timing('hyaline', 'decode, per token', 16, 2),
            timing('onnxruntime-web WebGPU', 'decode, per token', 16, decode),
          ],
        },
      ])
        .filter(({ name }) => name.includes('faster than'))
        .map(({ value, met }) => [value, met]);
    expect(against(60, 30)).toEqual([
      [6, true],
      [15, true],
    ]);
    expect(against(59, 29)).toEqual([
      [5.9, false],
      [14.5, false],
    ]);
  });

  test('growth is of a token: a prompt of 512 may take 12 times as long as one of 64', () => {
    const growth = (kind: 'prefill' | 'decode', at: number, ms: number) => {
      return { model: 'circuit-sized', kind, at, samples: [ms, ms, ms], ...rate(ms) };
    };
    const curve = [
      growth('prefill', 64, 10),
      growth('prefill', 512, 120),
      growth('decode', 64, 2),
      growth('decode', 512, 4),
    ];
    const ratios = growthRatios(curve, 'circuit-sized');
    expect(ratios.map(({ median }) => median)).toEqual([1.5, 2]);
    expect(growthRatios(curve, 'another')).toEqual([]);
    const found = requirements([{ ...measured('google swiftshader', 1, 1), ratios }]);
    expect(found.slice(2).map(({ limit, met }) => [limit, met])).toEqual([
      [1.5, true],
      [1.5, false],
    ]);
  });

  test('hardware has to reach shares of what it can do, with every kernel that they are about', () => {
    const hardware = {
      ...measured('nvidia hopper: hardware', 1, 1),
      adapter: { ...adapter, isFallback: false, text: '' },
    };
    const row = { bytes: 4e7, matrixBytes: 4e7, flops: 2e7 }; // 4 ms at 10 GB/s
    const square = { rows: 1024, bytes: 1.2e7, matrixBytes: 4 * 1024 ** 2, flops: 2 * 1024 ** 3 }; // 21.5 ms
    const decode = { model: 'GPT-2 small', kind: 'generate' as const, at: 64, samples: [], ...rate(1000 / 300) };
    const found = requirements([
      {
        ...hardware,
        limits,
        growth: [decode],
        kernels: [kernel(5, row), kernel(8, row), kernel(40, square), kernel(90, { ...square, matrixBytes: 1e6 })],
      },
    ]);
    expect(found.map(({ value, limit, met }) => [Math.round(value), limit, met])).toEqual([
      [50, 60, false],
      [54, 45, true],
      [300, 300, true],
    ]);
  });

  test('none are for another software adapter, nor for Node', () => {
    expect(met('mesa llvmpipe', 1, 1)).toEqual([]);
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

test('the summary says what was measured and nothing else', () => {
  const [file] = readdirSync(join(bench, 'results')).filter((name) => name.endsWith('.json'));
  const whole: BenchmarkResult = JSON.parse(readFileSync(join(bench, 'results', file), 'utf8'));
  const timing = (engine: string, name: string, tokens: number, median: number) => {
    return { engine, name, tokens, samples: [], ...rate(median) };
  };
  const runtime = {
    ...whole.runtimes[0],
    ...{ captureRatio: null, ratios: [], loads: [], profiles: [], timings: [timing('hyaline', 'run', 64, 12.345)] },
    ...{ limits: undefined, kernels: undefined, growth: undefined },
  };
  const bare = { ...whole, requirements: [], runtimes: [runtime] };
  expect(summary(bare)).toEqual(['A run of 64 tokens takes 12.3 ms.']);
  const missed = { name: 'speed', limit: 1, value: 2, unit: '×', met: false };
  const others = [timing('hyaline', 'run', 1, 2), timing('other', 'run', 1, 3), timing('other', 'run', 64, 24.69)];
  const more = {
    ...bare,
    requirements: [missed, { ...missed, met: true }],
    runtimes: [
      { ...runtime, limits, kernels: [kernel(0.2, {}), kernel(0.4, {})], timings: [...runtime.timings, ...others] },
    ],
  };
  expect(summary(more)).toEqual([
    '**1 of 2 requirements are not met**: speed.',
    'A run of 64 tokens takes 12.3 ms.',
    'other takes 1.5 to 2 times our time at runs.',
    'The adapter copies 10 GB/s and does 100 GFLOP/s of multiply-adds; products of one row reach 25 % to 50 % of that.',
  ]);
});

describe('RESULTS.md', () => {
  const text = readFileSync(join(bench, 'RESULTS.md'), 'utf8');
  const files = readdirSync(join(bench, 'results')).filter((file) => file.endsWith('.json'));
  const read = (file: string): BenchmarkResult => JSON.parse(readFileSync(join(bench, 'results', file), 'utf8'));

  test('shows every result that is kept here', () => {
    expect(files.length).toBeGreaterThan(0);
    expect(shownResults(text).map(({ file }) => file)).toEqual(files.sort());
  });

  test.each(shownResults(text))('its table of $file is what the file says', ({ file, part }) => {
    expect(part.split('\n')).toEqual(resultPart(file, read(file)).split('\n'));
    expect(read(file).quick).toBe(false);
  });

  test('a new result takes the place of the one of its adapter, and another adapter gets a place of its own', () => {
    const [{ file }] = shownResults(text);
    const result = { ...read(file), date: '2030-01-01' };
    const replaced = withResult(text, '2030-01-01-google-swiftshader.json', result);
    expect(replaced.replaced).toBe(file);
    expect(shownResults(replaced.page)).toHaveLength(shownResults(text).length);
    expect(replaced.page).toContain('Hyaline benchmark: circuit-zoo, 2030-01-01');
    expect(withResult(replaced.page, file, read(file)).page).toBe(text);
    const added = withResult(text, '2030-01-01-nvidia-hopper.json', result);
    expect(added.replaced).toBeNull();
    expect(added.page.startsWith(text.trimEnd())).toBe(true);
    expect(shownResults(added.page)).toHaveLength(shownResults(text).length + 1);
  });
});
