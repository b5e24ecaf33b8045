// Every tiling of a matrix product makes the same additions in the same order: each gives the bits of the tile of one row. Every tiling
// meets every way of reading A and B, on sizes that are no multiple of its tile, and every kind of arithmetic.

import { describe, expect, test } from 'vitest';
import { attentionScores } from '../../src/kernels/attention_scores.ts';
import { attentionValues } from '../../src/kernels/attention_values.ts';
import { headProjection } from '../../src/kernels/head_projection.ts';
import type { Dims } from '../../src/kernels/kernel.ts';
import { matmul } from '../../src/kernels/matmul.ts';
import { neurons } from '../../src/kernels/neurons.ts';
import { outputProjection } from '../../src/kernels/output_projection.ts';
import type { Arithmetic } from '../../src/kernels/prelude.ts';
import { qkvProjection } from '../../src/kernels/qkv_projection.ts';
import { sharedSumsBytes } from '../../src/kernels/shared_sums.ts';
import { TILINGS, type TilingName, workgroupSize } from '../../src/kernels/tiling.ts';
import { unembed } from '../../src/kernels/unembed.ts';
import { workgroupTileBytes } from '../../src/kernels/workgroup_tile.ts';
import { inChromeEvery } from '../sample.ts';
import { casesOf, createInputs, type Draft, type KernelCase, vec4 } from './cases.ts';
import { GARBAGE, runKernel } from './harness.ts';

const HARD = 'every kind of row' as const;

const matmulDraft = (rows: Dims, d_in: number, d_out: number): Draft => ({
  dims: { ...rows, d_in, d_in_vec4: vec4(d_in), d_out, d_out_vec4: vec4(d_out) },
  fillings: { x: HARD, W: HARD },
});
const projectionDraft = (rows: Dims, n_heads: number, d_head: number, d_model: number): Draft => ({
  dims: { ...rows, n_heads, d_head, d_head_vec4: vec4(d_head), d_model, d_model_vec4: vec4(d_model) },
  fillings: { z: HARD, W_O: HARD },
});
const unembedDraft = (rows: Dims, d_model: number, d_vocab_out: number): Draft => ({
  dims: {
    ...{ ...rows, d_model, d_model_vec4: vec4(d_model), row_stride: 4 * vec4(d_model) },
    ...{ d_vocab_out, d_vocab_total: d_vocab_out },
  },
  options: { firstColumn: 0 },
  fillings: { x: HARD, W_U: HARD },
});
/** Queries of four heads, keys and values of two; of 16 columns of a head the first 8 are turned. */
const QKV = {
  ...{ d_in: 76, d_in_vec4: 19, n_heads: 4, n_key_value_heads: 2, d_head: 16, half: 4, n_ctx: 80 },
  ...{ k_first: 76 * 16, v_first: 76 * 24, qkv: 76 * 128, qkv_vec4: 76 * 32 },
  ...{ k_bias: 64, v_bias: 96, qkv_biases: 128 },
};
const HEADS = { n_heads: 4, n_key_value_heads: 2 };

/** More rows and columns than the largest tile has, and sums that end inside of a segment, a slab, a block and a round of blocks. */
const PRODUCTS: readonly KernelCase[] = [
  ...casesOf(matmul, [
    matmulDraft({ batch: 3, pos: 47 }, 65, 133),
    matmulDraft({ batch: 1, pos: 5 }, 1164, 130),
    matmulDraft({ batch: 1, pos: 70 }, 192, 68),
  ]),
  ...casesOf(outputProjection, [
    projectionDraft({ batch: 3, pos: 7 }, 3, 12, 66),
    projectionDraft({ batch: 1, pos: 3 }, 2, 65, 9),
  ]),
  ...casesOf(headProjection, [
    {
      dims: { batch: 2, pos: 9, n_heads: 3, d_in: 76, d_in_vec4: 19, d_head: 6, d_out_vec4: 5, row_stride: 20 },
      fillings: { x: HARD, W: HARD },
    },
  ]),
  // Columns that are stored in pairs.
  ...casesOf(neurons, [
    { ...matmulDraft({ batch: 2, pos: 67 }, 68, 43), options: { actFn: 'silu', gated: true }, without: ['b'] },
  ]),
  ...casesOf(qkvProjection, [
    {
      dims: { batch: 3, pos: 13, keys: 20, key_stride: 24, ...QKV },
      without: ['k', 'v_cache'],
      fillings: { x: HARD, W: HARD, cos: 'cos', sin: 'sin', first_pos: 'earlier positions: 7, 3, 0' },
    },
  ]),
  ...casesOf(unembed, [unembedDraft({ batch: 2, pos: 66 }, 140, 131), unembedDraft({ batch: 1, pos: 3 }, 601, 35)]),
  ...casesOf(attentionScores, [
    {
      dims: { batch: 3, pos: 18, keys: 70, key_stride: 72, ...HEADS, d_head: 20, d_head_vec4: 5 },
      options: { scale: 0.3, softCap: 0 },
      fillings: { q: HARD, k_rows: HARD, first_pos: 'earlier positions: 7, 3, 0' },
    },
  ]),
  ...casesOf(attentionValues, [
    { dims: { batch: 2, pos: 69, ...HEADS, d_head: 8, d_head_vec4: 2 }, fillings: { pattern: 'pattern', v: HARD } },
  ]),
];

const REFERENCE: TilingName = 'register 1x4';
const OTHERS = (Object.keys(TILINGS) as TilingName[]).filter((name) => name !== REFERENCE);
const ARITHMETICS: readonly Arithmetic[] = ['fast', 'reproducible', 'guarded'];

/** The outputs of a case in a tiling. */
function outputs({ kernel, variant, ...rest }: KernelCase, tiling: TilingName, arithmetic: Arithmetic) {
  const options = { ...variant.options, tiling };
  const inputs = createInputs({ kernel, variant, ...rest });
  return runKernel(kernel, { ...variant, arithmetic, options }, inputs, GARBAGE[0]);
}

/** Those whose text is short, of each kind: they meet more cases. A pipeline each, and slow to compile on software adapters. */
const SHORT: readonly TilingName[] = ['workgroup 32x32', 'shared 1x64 by blocks', 'shared 1x32 by segments'];

/** Every tiling has a case of another kernel than its neighbours, and kinds of arithmetic take turns. */
const combinations = OTHERS.flatMap((name, i) =>
  [3 * i, ...(SHORT.includes(name) ? [3 * i + 5] : [])].map((at, j) => {
    const product = PRODUCTS[at % PRODUCTS.length];
    return [name, product.kernel.name, product.title, ARITHMETICS[(i + j) % ARITHMETICS.length], product] as const;
  }),
);

const expected = new Map<string, ReturnType<typeof outputs>>();

describe('a tiling gives the bits of the tile of one row', () => {
  test.each(inChromeEvery(10, combinations))('%s: %s, %s; %s', async (name, _, title, arithmetic, product) => {
    const key = `${title} ${arithmetic}`;
    const want = expected.get(key) ?? outputs(product, REFERENCE, arithmetic);
    expected.set(key, want);
    expect(await outputs(product, name, arithmetic)).toEqual(await want);
  });
});

test('the comparison sees a tile that adds its blocks in another order', async () => {
  const [product] = PRODUCTS;
  const { kernel } = product;
  const wgsl: typeof kernel.wgsl = (variant) => {
    const source = kernel.wgsl(variant);
    const mutant = source.replaceAll('= plus4(block_0_0, s_0_0)', '= plus4(total_0_0, s_0_0); total_0_0 = vec4f(0.0)');
    expect(mutant).not.toBe(source);
    return mutant;
  };
  const want = await outputs(product, REFERENCE, 'fast');
  expect(await outputs({ ...product, kernel: { ...kernel, wgsl } }, 'workgroup 32x32', 'fast')).not.toEqual(want);
});

test('a tiling that does not exist is an error', () => {
  const [{ kernel, variant }] = PRODUCTS;
  const options = { ...variant.options, tiling: 'register 3x3' };
  expect(() => kernel.workgroups(variant.dims, options)).toThrow(
    'kernels: no tiling "register 3x3". There are register',
  );
});

test.each(Object.entries(TILINGS))('%s fits into what WebGPU guarantees', (_, tiling) => {
  const bytes = { register: () => 0, workgroup: workgroupTileBytes, shared: sharedSumsBytes }[tiling.kind];
  expect(bytes(tiling as never)).toBeLessThanOrEqual(16384);
  expect(workgroupSize(tiling)).toBeLessThanOrEqual(256);
});
