// The table: every kernel on every size and input that has a reason. Tests check each case against the kernel's own reference and
// tolerance; benchmarks may time the same cases.
//
// Sizes are one below, at and above those at which a kernel changes its way: tiles of 1 and 8 rows (chosen from 6 rows on),
// groups of 4 and 8 columns, segments of 8, blocks of 64, workgroups of 32 and 64. Columns and depths are model sizes, each pair a pipeline
// of its own, so they are paired rather than crossed; rows are free.

import { activation } from '../../src/kernels/activation.ts';
import { add } from '../../src/kernels/add.ts';
import { attention, attentionScratch } from '../../src/kernels/attention.ts';
import { attentionPattern } from '../../src/kernels/attention_pattern.ts';
import { attentionScores } from '../../src/kernels/attention_scores.ts';
import { attentionValues } from '../../src/kernels/attention_values.ts';
import { cacheAppend } from '../../src/kernels/cache_append.ts';
import { copyHeads } from '../../src/kernels/copy_heads.ts';
import { axisMapLength, type EditAxis, type EditOp, edit, ROW_FIELDS } from '../../src/kernels/edit.ts';
import { NUMBER_FORMATS } from '../../src/kernels/formats.ts';
import { headProjection } from '../../src/kernels/head_projection.ts';
import {
  type Dims,
  isWritable,
  type Kernel,
  type Options,
  presentBindings,
  type Variant,
} from '../../src/kernels/kernel.ts';
import { markToken } from '../../src/kernels/mark_token.ts';
import { matmul } from '../../src/kernels/matmul.ts';
import { mean } from '../../src/kernels/mean.ts';
import { neurons } from '../../src/kernels/neurons.ts';
import { norm } from '../../src/kernels/norm.ts';
import { outputProjection } from '../../src/kernels/output_projection.ts';
import { patternMatch } from '../../src/kernels/pattern_match.ts';
import { positionEmbedding } from '../../src/kernels/position_embedding.ts';
import type { Arithmetic } from '../../src/kernels/prelude.ts';
import { qkvProjection } from '../../src/kernels/qkv_projection.ts';
import { residualStack } from '../../src/kernels/residual_stack.ts';
import { rotary } from '../../src/kernels/rotary.ts';
import { sample } from '../../src/kernels/sample.ts';
import { CHOICE_FIELDS, SAMPLE_PARAMETERS } from '../../src/kernels/sample_parameters.ts';
import { softCap } from '../../src/kernels/soft_cap.ts';
import { CHUNK, SUMMARY, statistics } from '../../src/kernels/statistics.ts';
import { tokenEmbedding } from '../../src/kernels/token_embedding.ts';
import { topTokensKernel } from '../../src/kernels/top_tokens.ts';
import { unembed } from '../../src/kernels/unembed.ts';
import { seeded } from '../random.ts';
import { type Filling, fill, HARD } from './fillings.ts';
import { type Inputs, wordCount } from './harness.ts';

export interface KernelCase {
  readonly kernel: Kernel;
  /** Sizes, what is left out, inputs and seed: what a test's name says after the kernel's. */
  readonly title: string;
  readonly variant: Variant;
  readonly seed: number;
  /** By input; `normal` where nothing is said. */
  readonly fillings: Readonly<Record<string, Filling>>;
  /** Whether the kernel writes this element of an output: pieces leave the rest to others. */
  readonly isWritten: (index: number, inputs: Inputs, dims: Dims, output: string) => boolean;
}

export type Draft = Partial<Pick<KernelCase, 'fillings' | 'isWritten'>> & {
  readonly dims: Dims;
  readonly options?: Options;
  /** Bindings that the variant does not have. */
  readonly without?: readonly string[];
  /** `given_…` inputs that it has, the `residual` and `last_pos`. */
  readonly given?: readonly string[];
};

/** Cases of one kernel, numbered by their seeds. */
export function casesOf(
  kernel: Kernel,
  drafts: readonly Draft[],
  firstSeed = 1,
  arithmetic: Arithmetic = 'fast',
): KernelCase[] {
  return drafts.map(
    ({ options = {}, without = [], given = [], fillings = {}, isWritten = () => true, ...draft }, index) => {
      const { pos } = draft.dims;
      const dims: Dims = { keys: pos, key_stride: pos, outputs: pos, ...draft.dims };
      const seed = firstSeed + index;
      const words = [
        Object.entries(dims)
          .filter(
            ([axis, size]) =>
              !/_vec4$|^(one|fields|parameter_fields|choice_fields|tiles|tile_words|row_stride|[kv]_first|[kv]_bias|qkv_biases|elements|map_length|operand_length|parameter_count)$/.test(
                axis,
              ) && !(/^key|^outputs$/.test(axis) && size === dims.pos),
          )
          .map(([axis, size]) => `${axis} ${size}`)
          .join(', '),
        ...Object.entries(options).map(([name, value]) => `${name} ${value}`),
        ...(without.length > 0 ? [`without ${without.join(' and ')}`] : []),
        ...given,
        ...Object.entries(fillings).map(([name, filling]) => `${name} ${filling}`),
        `seed ${seed}`,
      ];
      // What could be given is computed, unless a case gives it; and there is no residual and no last position unless one is given.
      const has = (binding: string) =>
        /^(given_.*|residual|last_pos)$/.test(binding) ? given.includes(binding) : !without.includes(binding);
      const variant: Variant = { dims, options, arithmetic, has };
      return { kernel, title: words.join('; '), variant, seed, fillings, isWritten };
    },
  );
}

/** The inputs of a case, always the same. Elements that only pad a row hold a large number. */
export function createInputs({ kernel, variant, seed, fillings }: KernelCase): Inputs {
  const random = seeded(seed);
  const { dims } = variant;
  const inputs: Record<string, Inputs[string]> = {};
  for (const binding of presentBindings(kernel, variant)) {
    if (isWritable(binding)) continue;
    const last = binding.shape[binding.shape.length - 1];
    const stride = dims[last] * (binding.element === 'vec4f' ? 4 : 1);
    const used = last === 'row_stride' ? dims.d_model : dims[last.replace(/_vec4$/, '')];
    const room = { count: wordCount(binding, dims), stride, used, dims, random };
    const usual = binding.name === 'first_pos' ? 'no earlier positions' : 'normal';
    inputs[binding.name] = fill(fillings[binding.name] ?? usual, room);
  }
  return inputs;
}

/** Rows [batch, pos] around the tiles, 1 to 33. */
const ROWS = [
  [1, 1],
  [1, 5],
  [3, 2],
  [1, 7],
  [1, 8],
  [3, 3],
  [1, 16],
  [1, 17],
  [1, 33],
] as const;
/** Of these, those that the tile of one row serves, and those that the tile of eight does. */
const FEW = ROWS.slice(0, 2);
const MANY = ROWS.slice(2);
/** Around the columns of one invocation and of one workgroup: 4 and 128 for the tile of one row, 8 and 64 for that of eight. */
const COLUMNS_OF_FEW = [1, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129];
const COLUMNS_OF_MANY = [1, 5, 7, 8, 9, 63, 64, 65];
const DEPTHS = [1, 3, 4, 5, 7, 8, 9, 12, 63, 64, 65, 68, 127, 128, 129, 192];

const cycle = <T>(items: readonly T[], i: number): T => items[i % items.length];
export const vec4 = (size: number) => Math.ceil(size / 4);

/** Every column size of each tile, with some depth and some rows. A pipeline with the tile of eight rows is slow to compile. */
function tileSizes(shift: number): { batch: number; pos: number; columns: number; depth: number }[] {
  const sizes = (rows: readonly (readonly [number, number])[], columns: readonly number[], stride: number) =>
    columns.map((size, i) => {
      const [batch, pos] = cycle(rows, i + shift);
      return { batch, pos, columns: size, depth: cycle(DEPTHS, stride * i + shift) };
    });
  return [...sizes(FEW, COLUMNS_OF_FEW, 3), ...sizes(MANY, COLUMNS_OF_MANY, 5)];
}

/** The hard fillings of one input of one variant. */
const hard = (input: string, draft: Draft, fillings: readonly Filling[] = HARD): Draft[] =>
  fillings.map((filling) => ({ ...draft, fillings: { ...draft.fillings, [input]: filling } }));

const TOKEN_EMBEDDING = casesOf(tokenEmbedding, [
  ...[1, 3, 4, 65, 128].map((d_model, i): Draft => {
    const [batch, pos] = cycle(ROWS, 2 * i);
    return {
      dims: { batch, pos, d_model, d_vocab: 29, row_stride: 4 * vec4(d_model) },
      options: { firstToken: 0 },
      fillings: { tokens: 'tokens: 29' },
    };
  }),
  // Pieces: the first, one in the middle, the last of a vocabulary of 29.
  ...[
    [0, 10],
    [10, 10],
    [20, 9],
  ].map(([firstToken, d_vocab]): Draft => {
    const isInPiece = (token: number) => token >= firstToken && token < firstToken + d_vocab;
    return {
      dims: { batch: 3, pos: 17, d_model: 5, d_vocab, row_stride: 8 },
      options: { firstToken },
      fillings: { tokens: 'tokens: 29' },
      isWritten: (index, { tokens }) => isInPiece(tokens[Math.floor(index / 5)]),
    };
  }),
]);

/** Three rows that have 7, 3 and 0 positions in a key-value cache already. */
const EARLIER = { first_pos: 'earlier positions: 7, 3, 0' } as const;

const POSITION_EMBEDDING = casesOf(positionEmbedding, [
  ...[1, 3, 64, 65].map((d_model, i): Draft => {
    const [batch, pos] = cycle(ROWS, 5 * i);
    return { dims: { batch, pos, d_model, n_ctx: pos + i } };
  }),
  { dims: { batch: 3, pos: 2, d_model: 5, n_ctx: 9 }, fillings: EARLIER },
]);

const ADD = casesOf(add, [
  ...[1, 3, 65, 128].map((d_model, i) => {
    const [batch, pos] = cycle(ROWS, 5 * i);
    return { dims: { batch, pos, d_model } };
  }),
  ...hard('a', { dims: { batch: 3, pos: 5, d_model: 65 } }),
  { dims: { batch: 3, pos: 5, d_model: 65 }, fillings: { a: 'alternating', b: 'alternating' } },
  { dims: { batch: 3, pos: 5, d_model: 65 }, fillings: { a: 'near underflow, 1e-37', b: 'near underflow, 1e-37' } },
]);

const NORM_WITHOUT = { LN: [], RMS: ['b'], LNPre: ['w', 'b', 'out'], RMSPre: ['w', 'b', 'out'] } as const;

const normCase = (
  type: keyof typeof NORM_WITHOUT,
  [batch, pos]: readonly [number, number],
  d_model: number,
): Draft => ({
  dims: { batch, pos, d_model, one: 1 },
  options: { centred: type.startsWith('LN'), eps: 1e-5 },
  without: NORM_WITHOUT[type],
});

const NORM = casesOf(norm, [
  ...[...DEPTHS, 31, 33, 172].map((d_model, i) => normCase('LN', cycle(ROWS, i), d_model)),
  ...[1, 3, 64, 65, 128].map((d_model, i) => normCase('RMS', cycle(ROWS, i + 3), d_model)),
  // More segments than a workgroup has invocations.
  normCase('LN', [1, 3], 2049),
  // A copy for each of three heads.
  { ...normCase('LN', [2, 5], 33), dims: { batch: 2, pos: 5, copies: 3, d_model: 33, one: 1 } },
  ...hard('x', normCase('LN', [3, 5], 128)),
  ...hard('x', normCase('LN', [3, 5], 65)),
  ...hard('x', normCase('RMS', [3, 5], 128)),
  ...hard('x', normCase('LNPre', [3, 5], 128)),
  ...hard('x', normCase('RMSPre', [3, 5], 65)),
  { ...normCase('LN', [3, 5], 128), options: { centred: true, eps: 1e-12 }, fillings: { x: 'mean 1000' } },
  // Many rows: an invocation each.
  ...(['LN', 'RMS', 'LNPre'] as const).map((type, i) => normCase(type, [3, 33], [65, 128, 7][i])),
  ...hard('x', normCase('LN', [3, 33], 128)),
]);

const matmulCase = ([batch, pos]: readonly [number, number], d_in: number, d_out: number): Draft => ({
  dims: { batch, pos, d_in, d_in_vec4: vec4(d_in), d_out, d_out_vec4: vec4(d_out) },
});
const withoutBias = (binding: string, draft: Draft): Draft => ({ ...draft, without: [binding] });

const MATMUL = casesOf(matmul, [
  ...tileSizes(0).map(({ batch, pos, depth, columns }) => matmulCase([batch, pos], depth, columns)),
  ...ROWS.map((rows) => matmulCase(rows, 65, 31)),
  ...ROWS.map((rows) => withoutBias('b', matmulCase(rows, 64, 64))),
  matmulCase([1, 64], 128, 512),
  matmulCase([1, 64], 512, 128),
  matmulCase([1, 1], 512, 128),
  withoutBias('b', matmulCase([1, 64], 128, 2048)),
  matmulCase([1, 64], 64, 172),
  ...hard('x', matmulCase([1, 5], 65, 31)),
  ...hard('x', matmulCase([3, 3], 65, 31)),
  ...hard('x', withoutBias('b', matmulCase([3, 3], 64, 64))),
  { ...matmulCase([3, 3], 65, 31), fillings: { x: 'alternating', W: 'all equal' } },
  { ...withoutBias('b', matmulCase([3, 3], 64, 64)), fillings: { x: 'tiny, 1e-20', W: 'tiny, 1e-20' } },
  ...[FEW[1], MANY[3]].map((rows) => ({ ...matmulCase(rows, 65, 31), given: ['residual'] })),
  ...hard('residual', { ...withoutBias('b', matmulCase([3, 3], 64, 64)), given: ['residual'] }, [
    'magnitude 1e4',
    'near underflow, 1e-37',
  ]),
]);

/** Bindings of a gated MLP, and of one without a gate. */
const GATED_NEURONS = ['b'];
const PLAIN_NEURONS = ['W_linear', 'b_in'];
export const neuronsCase = (rows: readonly [number, number], d_in: number, d_out: number, actFn: string): Draft => ({
  ...matmulCase(rows, d_in, d_out),
  options: { actFn, gated: false },
  without: PLAIN_NEURONS,
});
export const gatedCase = (rows: readonly [number, number], d_in: number, d_out: number, actFn: string): Draft => ({
  ...matmulCase(rows, d_in, d_out),
  options: { actFn, gated: true },
  without: GATED_NEURONS,
});
const NEURONS = casesOf(neurons, [
  ...['relu', 'silu', 'gelu', 'gelu_new'].flatMap((actFn, i) => [
    neuronsCase(FEW[i % 2], [65, 128, 7, 64][i], [33, 64, 129, 5][i], actFn),
    ...(i > 1 ? [neuronsCase(MANY[i], [65, 128, 7, 64][i], [33, 64, 129, 5][i], actFn)] : []),
  ]),
  ...[
    [5, 3],
    [64, 8],
    [65, 33],
  ].flatMap(([d_in, d_out], i) => [
    gatedCase(FEW[i % 2], d_in, d_out, 'silu'),
    ...(i % 2 === 0 ? [gatedCase(MANY[i], d_in, d_out, 'silu')] : []),
  ]),
  { ...gatedCase([3, 3], 65, 33, 'silu'), without: [...GATED_NEURONS, 'b_in'] },
  { ...neuronsCase([3, 3], 64, 5, 'gelu_new'), without: [...PLAIN_NEURONS, 'b'] },
  ...hard('x', gatedCase([3, 3], 65, 33, 'silu')),
  ...hard('x', neuronsCase([3, 3], 64, 5, 'gelu_new')),
]);

/** Three matrices one behind the other, with a gap before the second as alignment leaves it. */
export const qkvCase = (
  [batch, pos]: readonly [number, number],
  d_in: number,
  [n_heads, n_key_value_heads, d_head]: readonly [number, number, number],
  rotary: { half: number; n_ctx: number } | null = null,
): Draft => {
  const [q, kv] = [n_heads, n_key_value_heads].map((count) => count * d_head);
  const k_first = d_in * vec4(q) + 3;
  const v_first = k_first + d_in * vec4(kv);
  const [k_bias, v_bias] = [q + 1, q + 1 + kv];
  return {
    dims: {
      ...{ batch, pos, d_in, d_in_vec4: vec4(d_in), n_heads, n_key_value_heads, d_head },
      ...{ half: rotary?.half ?? 0, n_ctx: rotary?.n_ctx ?? 1, k_first, v_first, k_bias, v_bias },
      ...{ qkv_vec4: v_first + d_in * vec4(kv), qkv_biases: v_bias + kv },
    },
    without: ['k_cache', 'v_cache', ...(rotary ? [] : ['first_pos', 'cos', 'sin'])],
    fillings: rotary ? { cos: 'cos', sin: 'sin' } : {},
  };
};
const TURNED = { half: 8, n_ctx: 40 };
const CACHING = { first_pos: 'earlier positions: 7, 3, 0' } as const;
/** The same with keys and values that go into a cache of twenty positions. */
export const cachedQkv = (draft: Draft): Draft => ({
  ...draft,
  dims: { ...draft.dims, keys: 9, key_stride: 20 },
  without: ['k', 'v', ...(draft.without ?? []).filter((name) => !/_cache$|^first_pos$/.test(name))],
  fillings: { ...draft.fillings, ...CACHING },
  isWritten: (index, inputs, dims, output) => !output.endsWith('_cache') || isAppended(index, inputs, dims),
});
const QKV_PROJECTION = casesOf(qkvProjection, [
  ...(
    [
      [65, [1, 1, 1]],
      [64, [2, 2, 8]],
      [7, [3, 1, 5]],
      [65, [6, 2, 12]],
    ] as const
  ).flatMap(([d_in, heads], i) => [
    qkvCase(FEW[i % 2], d_in, heads),
    ...(i % 2 === 0 ? [qkvCase(MANY[i], d_in, heads)] : []),
  ]),
  withoutQkvBias(qkvCase([3, 3], 64, [2, 2, 8])),
  qkvCase([1, 5], 65, [4, 2, 16], TURNED),
  qkvCase([3, 3], 65, [4, 2, 16], TURNED),
  withoutQkvBias(qkvCase([3, 3], 64, [3, 1, 32], TURNED)),
  qkvCase([1, 1], 64, [3, 1, 32], TURNED),
  cachedQkv(qkvCase([3, 2], 65, [4, 2, 16], TURNED)),
  cachedQkv(qkvCase([3, 2], 65, [4, 2, 5])),
  ...hard('x', qkvCase([3, 3], 65, [4, 2, 16], TURNED)),
  ...hard('x', qkvCase([3, 3], 64, [2, 2, 8])),
]);

function withoutQkvBias(draft: Draft): Draft {
  return { ...draft, without: [...(draft.without ?? []), 'b'] };
}

const unembedCase = ([batch, pos]: readonly [number, number], d_model: number, d_vocab_out: number): Draft => ({
  dims: {
    batch,
    pos,
    d_model,
    d_model_vec4: vec4(d_model),
    row_stride: 4 * vec4(d_model),
    d_vocab_out,
    d_vocab_total: d_vocab_out,
  },
  options: { firstColumn: 0 },
});

/** Of the last position that is no padding, in rows of different lengths. */
const lastOnly = (draft: Draft): Draft => ({
  ...draft,
  dims: { ...draft.dims, outputs: 1 },
  given: ['last_pos'],
  fillings: { ...draft.fillings, last_pos: 'earlier positions: 7, 3, 0' },
});
const UNEMBED = casesOf(unembed, [
  // Every other size: what matmul's table says of tiles holds here too, only the reading of W differs.
  ...tileSizes(1)
    .filter(({ batch, pos }, i) => batch * pos < 6 || i % 2 === 0)
    .map(({ batch, pos, depth, columns }) => unembedCase([batch, pos], depth, columns)),
  ...ROWS.map((rows) => withoutBias('b_U', unembedCase(rows, 64, 65))),
  ...ROWS.map((rows) => withoutBias('b_U', unembedCase(rows, 63, 33))),
  withoutBias('b_U', unembedCase([1, 64], 128, 2048)),
  unembedCase([1, 1], 128, 2048),
  // Pieces: the first, one in the middle, the last of a vocabulary of 80.
  ...[
    [0, 33, 64],
    [33, 32, 64],
    [65, 15, 63],
  ].flatMap(([firstColumn, d_vocab_out, d_model]) =>
    [FEW[1], MANY[0]].map((rows): Draft => {
      const { dims } = unembedCase(rows, d_model, d_vocab_out);
      return {
        dims: { ...dims, d_vocab_total: 80 },
        options: { firstColumn },
        isWritten: (index) => index % 80 >= firstColumn && index % 80 < firstColumn + d_vocab_out,
      };
    }),
  ),
  lastOnly(unembedCase([3, 9], 64, 65)),
  lastOnly(withoutBias('b_U', unembedCase([3, 8], 63, 33))),
  ...hard('x', withoutBias('b_U', unembedCase([3, 3], 64, 65))),
  ...hard('x', withoutBias('b_U', unembedCase([1, 5], 63, 33))),
  { ...unembedCase([3, 3], 64, 65), fillings: { x: 'alternating', W_U: 'all equal' } },
]);

const projectionCase = (
  [batch, pos]: readonly [number, number],
  dims: Dims,
  without: readonly string[] = [],
): Draft => ({
  dims: { batch, pos, ...dims, d_head_vec4: vec4(dims.d_head), d_model_vec4: vec4(dims.d_model) },
  without,
});
const HEADS = [1, 2, 3];

const OUTPUT_PROJECTION = casesOf(outputProjection, [
  ...tileSizes(2)
    .filter(({ batch, pos }, i) => batch * pos < 6 || i % 2 === 1)
    .map(({ batch, pos, depth, columns }, i) => {
      const dims = { n_heads: cycle(HEADS, i), d_head: depth, d_model: columns };
      return projectionCase([batch, pos], dims, i % 2 === 0 ? [] : ['result']);
    }),
  ...[[], ['result'], ['out'], ['b_O'], ['result', 'b_O']].flatMap((without) =>
    (without.length === 0 ? [FEW[1], [1, 33] as const] : [FEW[1]]).map((rows) =>
      projectionCase(rows, { n_heads: 4, d_head: 16, d_model: 33 }, without),
    ),
  ),
  projectionCase([1, 64], { n_heads: 4, d_head: 32, d_model: 128 }, ['result']),
  ...hard('z', projectionCase([3, 3], { n_heads: 4, d_head: 16, d_model: 33 })),
  {
    ...projectionCase([3, 3], { n_heads: 4, d_head: 16, d_model: 33 }),
    fillings: { z: 'alternating', W_O: 'all equal' },
  },
  ...[FEW[1], MANY[3]].map((rows) => ({
    ...projectionCase(rows, { n_heads: 4, d_head: 16, d_model: 33 }, ['result']),
    given: ['residual'],
  })),
  ...hard(
    'residual',
    { ...projectionCase([3, 3], { n_heads: 4, d_head: 16, d_model: 33 }, ['b_O']), given: ['residual'] },
    ['magnitude 1e4', 'near underflow, 1e-37'],
  ),
]);

const ROTARY = casesOf(rotary, [
  ...[
    [1, 2, 1],
    [3, 8, 4],
    [2, 65, 32],
    [4, 32, 4],
    [3, 7, 2],
    [2, 5, 1],
  ].map(([n_heads, d_head, half], i): Draft => {
    const [batch, pos] = cycle(ROWS, 4 * i);
    return {
      dims: { batch, pos, n_heads, d_head, n_ctx: pos + i, half },
      fillings: { cos: 'cos', sin: 'sin' },
    };
  }),
  {
    dims: { batch: 3, pos: 2, n_heads: 2, d_head: 8, n_ctx: 9, half: 4 },
    fillings: { cos: 'cos', sin: 'sin', ...EARLIER },
  },
  ...hard('x', {
    dims: { batch: 3, pos: 5, n_heads: 4, d_head: 32, n_ctx: 9, half: 4 },
    fillings: { cos: 'cos', sin: 'sin' },
  }),
]);

const headDims = (n_heads: number, n_key_value_heads: number, d_head: number) => ({
  n_heads,
  n_key_value_heads,
  d_head,
  d_head_vec4: vec4(d_head),
});
/** Query heads over key and value heads. */
const GROUPS = [
  [1, 1],
  [2, 2],
  [4, 2],
  [6, 2],
  [3, 1],
] as const;
/** Head sizes for a few positions, and for so many that the tile of eight rows is taken. */
const HEAD_SIZES = [1, 3, 4, 7, 8, 9, 12, 31, 33, 63, 64, 65, 128, 129];
const HEAD_SIZES_OF_MANY = [1, 7, 8, 12, 65, 128];
const POSITIONS = [1, 3, 5, 6, 7, 8, 9, 16, 17, 31, 33, 63, 64, 65, 130];

const attentionCases = (hardInput: string, options: readonly Options[], fillings: Draft['fillings']) => [
  ...HEAD_SIZES.map((d_head, i): Draft => {
    const [heads, keyHeads] = cycle(GROUPS, i);
    const dims = { batch: i % 4 === 1 ? 3 : 1, pos: cycle([5, 3, 1], i), ...headDims(heads, keyHeads, d_head) };
    return { dims, options: cycle(options, i), fillings };
  }),
  ...HEAD_SIZES_OF_MANY.map((d_head, i): Draft => {
    const [heads, keyHeads] = cycle(GROUPS, i + 1);
    const dims = { batch: i % 2 === 0 ? 3 : 1, pos: cycle([65, 7, 17], i), ...headDims(heads, keyHeads, d_head) };
    return { dims, options: options[0], fillings };
  }),
  ...POSITIONS.map((pos): Draft => ({ dims: { batch: 1, pos, ...headDims(4, 2, 32) }, options: options[0], fillings })),
  ...options.flatMap((option) =>
    hard(hardInput, { dims: { batch: 3, pos: 9, ...headDims(4, 2, 32) }, options: option, fillings }),
  ),
];

/** The same three rows get two more. */
const CACHED = { dims: { batch: 3, pos: 2, keys: 9, key_stride: 20, ...headDims(4, 2, 32) } };
const ATTENTION_SCORES = casesOf(attentionScores, [
  { ...CACHED, options: { scale: 0.3, softCap: 0 }, fillings: EARLIER },
  ...attentionCases(
    'q',
    [
      { scale: 0.1767766952966369, softCap: 0 },
      { scale: 0.3, softCap: 50 },
    ],
    {},
  ),
  {
    dims: { batch: 1, pos: 9, ...headDims(4, 2, 32) },
    options: { scale: 1, softCap: 0 },
    fillings: { q: 'alternating', k_rows: 'all equal' },
  },
]);

const ATTENTION_VALUES = casesOf(attentionValues, [
  { ...CACHED, fillings: { pattern: 'written pattern' } },
  ...attentionCases('v', [{}], { pattern: 'pattern' }),
  { dims: { batch: 3, pos: 9, ...headDims(4, 2, 32) }, fillings: { pattern: 'written pattern' } },
  { dims: { batch: 1, pos: 65, ...headDims(4, 2, 32) }, fillings: { pattern: 'written pattern', v: 'alternating' } },
  { dims: { batch: 3, pos: 9, ...headDims(4, 2, 32) }, fillings: { pattern: 'zeros' } },
]);

/** Sizes of heads around vec4, segments and blocks; keys below, at and above what tiles of eight, four and one row take. */
const withScratch = (dims: Dims): Dims => ({ ...dims, ...attentionScratch(dims) });
export const attentionCase = (
  [batch, pos]: readonly [number, number],
  [heads, keyHeads, d_head]: readonly [number, number, number],
  options: Options = {},
  cache: Dims = { keys: pos },
): Draft => ({
  dims: withScratch({ batch, pos, ...headDims(heads, keyHeads, d_head), ...cache }),
  options: { scale: 0.3, softCap: 0, invocations: 4, ...options },
});
const ATTENTION = casesOf(attention, [
  { ...attentionCase([3, 2], [4, 2, 32], {}, { keys: 9, key_stride: 20 }), fillings: EARLIER },
  { ...attentionCase([3, 7], [4, 2, 32], {}, { keys: 14, key_stride: 20 }), fillings: EARLIER },
  ...POSITIONS.map((pos) => attentionCase([1, pos], [4, 2, 32], { scale: 0.1767766952966369 })),
  ...[1, 7, 12, 33, 128].map((d_head, i) => attentionCase([i % 2 === 0 ? 3 : 1, [5, 9][i % 2]], [2, 1, d_head])),
  // More tiles than workgroups.
  attentionCase([3, 400], [2, 1, 8]),
  attentionCase([3, 9], [6, 2, 16], { softCap: 50 }),
  ...[64, 16].flatMap((invocations) =>
    [[1, 65] as const, [3, 5] as const].map((rows) => attentionCase(rows, [4, 2, 32], { invocations })),
  ),
  ...hard('q', attentionCase([3, 9], [4, 2, 32])),
  ...hard('v', attentionCase([3, 9], [4, 2, 32])),
  ...hard('q', attentionCase([3, 5], [4, 2, 32])),
]);

const ATTENTION_PATTERN = casesOf(attentionPattern, [
  { ...CACHED, fillings: { scores: 'from -110 to 110' } },
  ...POSITIONS.map(
    (pos, i): Draft => ({
      dims: { batch: i % 4 === 1 ? 3 : 1, pos, n_heads: i % 2 === 0 ? 1 : 3 },
      fillings: { scores: 'causal scores' },
    }),
  ),
  ...hard('scores', { dims: { batch: 3, pos: 17, n_heads: 3 } }, [
    ...HARD,
    'causal scores of magnitude 1e4',
    'scores without a mask',
    'every third row masked',
    'one key per row',
    'from -110 to 110',
  ]),
  { dims: { batch: 1, pos: 129, n_heads: 1 }, fillings: { scores: 'scores without a mask' } },
  // 2048 keys are one round of 32 segments; one more begins the second round.
  { dims: { batch: 1, pos: 2049, n_heads: 1 }, fillings: { scores: 'a few long rows' } },
]);

const COPY_HEADS = casesOf(
  copyHeads,
  [
    [1, 1, 1, 1],
    [1, 3, 2, 5],
    [3, 5, 4, 33],
    [2, 9, 3, 64],
  ].map(([batch, pos, n_heads, d_model]): Draft => ({ dims: { batch, pos, n_heads, d_model } })),
);

const HEAD_PROJECTION = casesOf(
  headProjection,
  [
    [1, 1, 1, 1, 1],
    [3, 3, 2, 65, 5],
    [1, 9, 4, 32, 8],
    [3, 7, 3, 20, 3],
    [1, 17, 2, 128, 32],
  ].flatMap(([batch, pos, n_heads, d_in, d_head], i): Draft[] => {
    const dims = {
      ...{ batch, pos, n_heads, d_in, d_in_vec4: vec4(d_in), d_head },
      ...{ d_out_vec4: vec4(n_heads * d_head), row_stride: 4 * vec4(n_heads * d_head) },
    };
    return [{ dims, ...(i === 2 && { without: ['b'] }) }, ...(i === 3 ? hard('x', { dims }) : [])];
  }),
);

const CACHE_APPEND = casesOf(cacheAppend, [
  { dims: { batch: 1, pos: 1, keys: 1, key_stride: 1, n_key_value_heads: 1, d_head: 1 }, isWritten: isAppended },
  {
    dims: { batch: 3, pos: 1, keys: 8, key_stride: 9, n_key_value_heads: 2, d_head: 5 },
    fillings: EARLIER,
    isWritten: isAppended,
  },
  {
    dims: { batch: 3, pos: 5, keys: 9, key_stride: 9, n_key_value_heads: 2, d_head: 32 },
    fillings: EARLIER,
    isWritten: isAppended,
  },
  {
    dims: { batch: 3, pos: 3, keys: 10, key_stride: 64, n_key_value_heads: 1, d_head: 33 },
    fillings: EARLIER,
    isWritten: isAppended,
  },
]);

/** Places of a cache that new positions are written to. */
export function isAppended(
  index: number,
  { first_pos }: Inputs,
  { pos, key_stride, n_key_value_heads, d_head }: Dims,
): boolean {
  const position = Math.floor(index / (n_key_value_heads * d_head));
  const first = first_pos[Math.floor(position / key_stride)];
  return position % key_stride >= first && position % key_stride < first + pos;
}

const GATED: readonly (readonly string[])[] = [
  [],
  ['gate'],
  ['b_in'],
  ['gate', 'b_in'],
  ['post', 'pre_linear', 'b_in'],
];
const PLAIN = ['pre_linear', 'b_in', 'gate'];
const activationCase = (actFn: string, [batch, pos]: readonly [number, number], d_mlp: number): Draft => ({
  dims: { batch, pos, d_mlp },
  options: { actFn },
});

const ACTIVATION = casesOf(activation, [
  ...['relu', 'silu', 'gelu', 'gelu_new'].flatMap((actFn, i) => [
    { ...activationCase(actFn, cycle(ROWS, 2 * i), cycle([1, 3, 65, 172], i)), without: PLAIN },
    ...hard('pre', { ...activationCase(actFn, [3, 9], 33), without: PLAIN }, [...HARD, 'from -110 to 110']),
    ...hard('pre', activationCase(actFn, [3, 9], 33), ['normal', 'magnitude 1e4', 'from -110 to 110']),
  ]),
  // More elements than one dimension of a dispatch has invocations.
  { ...activationCase('relu', [1, 32_769], 129), without: PLAIN },
  ...GATED.map((without) => ({ ...activationCase('silu', [1, 7], 172), without })),
]);

const SOFT_CAP = casesOf(softCap, [
  { dims: { batch: 1, pos: 1, d_vocab_out: 1 }, options: { cap: 30 } },
  { dims: { batch: 3, pos: 5, d_vocab_out: 65 }, options: { cap: 30 } },
  { dims: { batch: 1, pos: 33, d_vocab_out: 129 }, options: { cap: 0.1 } },
  ...hard('x', { dims: { batch: 3, pos: 5, d_vocab_out: 65 }, options: { cap: 30 } }, [...HARD, 'from -110 to 110']),
]);

export const statisticsCase = (count: number, filling: Filling): Draft => ({
  dims: { batch: 1, pos: count, chunks: Math.ceil(count / CHUNK), fields: SUMMARY.length },
  fillings: { x: filling },
});

const STATISTICS = casesOf(statistics, [
  ...[1, 3, 255, 256, 257, 1000].map((count) => statisticsCase(count, 'normal')),
  ...[...HARD, 'huge, 3e38' as const, 'magnitude 3e19' as const, 'mixed' as const].map((filling) =>
    statisticsCase(1000, filling),
  ),
  // More chunks than one workgroup has invocations.
  statisticsCase(64 * CHUNK + 1, 'mixed'),
]);

const meanCase = (batch: number, pos: number, columns: number): Draft => ({ dims: { batch, pos, columns } });

const MEAN = casesOf(mean, [
  ...[1, 7, 8, 9, 63, 64, 65, 129].map((pos, i) => meanCase(cycle([1, 3], i), pos, cycle([1, 12, 65], i))),
  ...hard('x', meanCase(3, 17, 12)),
]);

/** Three rows: one edited by its own map, one left alone, one with another map, operand and parameters. */
/** The axes of what is edited. */
export const editAxes = (width: number): readonly EditAxis[] => [
  { name: 'batch', size: 'batch' },
  { name: 'pos', size: 'pos' },
  { name: 'width', size: width },
];

export const editCase = (op: EditOp, pos: number, width: number, masked = false): Draft => ({
  dims: {
    batch: 3,
    pos,
    width,
    elements: 3 * pos * width,
    map_length: 3 * ROW_FIELDS + 2 * axisMapLength([pos, width]),
    operand_length: 2 * pos * width,
    parameter_count: 32,
  },
  options: { op, masked },
  without: op === 'set' || op === 'add' || op === 'project_out' ? [] : ['operand'],
  fillings: {
    map: op === 'project_out' ? 'map of a direction' : 'map of some elements',
    parameters: 'ascending',
    ...(masked ? { values: 'every third masked' as const } : {}),
  },
});

const ROUND_OPS = NUMBER_FORMATS.map((format): EditOp => `round_${format}`);

const EDITS: readonly Draft[] = [
  ...(['zero', 'set', 'add', 'scale', 'clamp', 'project_out'] as const).flatMap((op) => [
    editCase(op, 5, 9),
    editCase(op, 1, 65),
  ]),
  ...(['set', 'add', 'scale'] as const).map((op) => editCase(op, 5, 9, true)),
  ...(['add', 'scale', 'project_out'] as const).flatMap((op) => hard('values', editCase(op, 5, 9))),
  ...ROUND_OPS.map((op) => editCase(op, 5, 65, op === 'round_bf16' || op === 'round_int8')),
];

const EDIT = EDITS.flatMap((draft, index) => {
  return casesOf(edit(editAxes(draft.dims.width), draft.options?.op as EditOp), [draft], index + 1);
});

const STACK_OPTIONAL = ['factor', 'scale', 'direction', 'minus', 'gain', 'vectors', 'projected'];
/** What the shapes below have: components that lie beside each other in each row, rows of the source, and what is picked. */
export const stackCase = (
  d_model: number,
  [batch, pos, width, source_rows]: readonly [number, number, number, number],
  { centred = true, present }: { centred?: boolean; present: readonly string[] },
): Draft => {
  const isWeight = present.includes('factor');
  const oneDirection = (batch + pos) % 2 === 0;
  return {
    dims: {
      batch,
      pos,
      d_model,
      component_stride: d_model,
      row_stride: isWeight ? 0 : width * d_model,
      factor_stride: width,
      direction_stride: oneDirection ? 0 : d_model,
      x_elements: width * d_model * (isWeight ? 1 : source_rows),
      factor_elements: source_rows * width,
      source_rows,
      direction_rows: oneDirection ? 1 : pos,
    },
    options: { centred },
    without: STACK_OPTIONAL.filter((binding) => !present.includes(binding)),
    fillings: { elements: `tokens: ${width}`, rows: `tokens: ${source_rows}`, scale: 'scales' },
  };
};
const PROJECTED = ['scale', 'direction', 'minus', 'projected'];

const RESIDUAL_STACK = casesOf(residualStack, [
  ...[1, 8, 9, 64, 65, 129].map((d_model) => stackCase(d_model, [3, 5, 4, 7], { present: [...PROJECTED, 'vectors'] })),
  // More blocks than a workgroup has invocations.
  stackCase(2049, [1, 2, 1, 2], { present: [...PROJECTED, 'vectors'] }),
  stackCase(65, [1, 1, 1, 1], { centred: false, present: ['vectors'] }),
  stackCase(65, [5, 1, 5, 2], { present: ['vectors'] }),
  stackCase(65, [5, 2, 5, 2], { centred: false, present: ['scale', 'vectors'] }),
  stackCase(65, [5, 2, 5, 2], { centred: false, present: ['direction', 'projected'] }),
  stackCase(33, [70, 3, 64, 3], { present: ['factor', ...PROJECTED, 'gain', 'vectors'] }),
  stackCase(33, [70, 3, 64, 3], { centred: false, present: ['factor', ...PROJECTED] }),
  ...hard('x', stackCase(65, [3, 5, 4, 7], { present: [...PROJECTED, 'vectors'] })),
  ...hard('x', stackCase(33, [3, 5, 4, 7], { present: ['factor', ...PROJECTED, 'gain', 'vectors'] })),
  ...hard('direction', stackCase(33, [3, 5, 4, 7], { present: ['factor', ...PROJECTED, 'gain', 'vectors'] })),
]);

const matchCase = (batch: number, pos: number, n_heads: number, [bos, current] = [false, false]): Draft => ({
  dims: { batch, pos, n_heads },
  options: { excludeBos: bos, excludeCurrentToken: current },
  fillings: { pattern: 'pattern', detection: 'one-hot rows' },
});

const PATTERN_MATCH = casesOf(patternMatch, [
  ...[1, 2, 7, 8, 9, 63, 64, 65, 130].map((pos, i) => matchCase(1 + (i % 3), pos, 3)),
  matchCase(2, 17, 3, [true, false]),
  matchCase(2, 17, 3, [false, true]),
  matchCase(2, 17, 3, [true, true]),
  { ...matchCase(2, 17, 3), fillings: { pattern: 'written pattern', detection: 'written pattern' } },
  { ...matchCase(2, 17, 3), fillings: { pattern: 'magnitude 1e4', detection: 'alternating' } },
  { ...matchCase(2, 17, 3), fillings: { pattern: 'near underflow, 1e-37', detection: 'near underflow, 1e-37' } },
  { ...matchCase(2, 17, 3, [true, true]), without: ['matched', 'difference'] },
]);

const topCase = (batch: number, pos: number, d_vocab_out: number, k: number): Draft => ({
  dims: { batch, pos, d_vocab_out, k, fields: 2 },
});

const TOP_TOKENS = casesOf(topTokensKernel, [
  ...[1, 2, 63, 64, 65, 129].map((d_vocab_out, i) =>
    topCase(1 + 2 * (i % 2), 3, d_vocab_out, Math.min(5, d_vocab_out)),
  ),
  // Everything in order, and more blocks than a workgroup has invocations.
  topCase(1, 2, 65, 65),
  topCase(1, 2, 4161, 3),
  // Ties: all equal, all but one.
  ...hard('logits', topCase(2, 3, 65, 5), [
    'mean 1000',
    'magnitude 1e4',
    'all equal',
    'one-hot rows',
    'zeros',
    'alternating',
  ]),
  ...hard('logits', topCase(2, 3, 65, 5), ['from -110 to 110']),
  { ...topCase(2, 3, 65, 5), without: ['total'] },
]);

/** Draws of eight kinds, one for each row of the batch; or the most probable token of each. */
export const sampleCase = (batch: number, d_vocab_out: number, isGreedy = false): Draft => ({
  dims: { batch, pos: 2, d_vocab_out, parameter_fields: SAMPLE_PARAMETERS, choice_fields: CHOICE_FIELDS },
  options: { greedy: isGreedy },
  without: isGreedy ? ['weights'] : [],
  fillings: { logits: 'logits', parameters: 'draws of every kind', seen: 'flags' },
});

const SAMPLE = casesOf(sample, [
  ...[2, 64, 65].map((d_vocab_out) => sampleCase(d_vocab_out === 64 ? 3 : 16, d_vocab_out)),
  // More invocations.
  sampleCase(7, 4161),
  { ...sampleCase(7, 65), without: ['seen'] },
  sampleCase(7, 65, true),
  { ...sampleCase(7, 65, true), without: ['weights', 'seen'] },
  ...hard('logits', sampleCase(14, 65), ['mean 1000', 'magnitude 1e4', 'zeros', 'one-hot rows', 'alternating']),
  ...hard('logits', sampleCase(14, 65), ['from -110 to 110', 'every third masked']),
  ...hard('logits', sampleCase(7, 65, true), ['all equal', 'huge, 3e38', 'every third masked']),
]);

export const markCase = (batch: number, d_vocab_out: number): Draft => ({
  dims: { batch, pos: 2, d_vocab_out, parameter_fields: SAMPLE_PARAMETERS },
  fillings: { token: `tokens: ${d_vocab_out}`, parameters: 'draws of every kind' },
  isWritten: (index, { token }) => token[Math.floor(index / d_vocab_out)] === index % d_vocab_out,
});

const MARK_TOKEN = casesOf(markToken, [...[1, 3, 64, 65].map((batch, i) => markCase(batch, cycle([29, 65], i)))]);

/** Every case, by the name of the file that holds its kernel. */
export const CASES: Readonly<Record<string, readonly KernelCase[]>> = {
  activation: ACTIVATION,
  add: ADD,
  attention: ATTENTION,
  attention_pattern: ATTENTION_PATTERN,
  attention_scores: ATTENTION_SCORES,
  attention_values: ATTENTION_VALUES,
  edit: EDIT,
  cache_append: CACHE_APPEND,
  copy_heads: COPY_HEADS,
  head_projection: HEAD_PROJECTION,
  mark_token: MARK_TOKEN,
  matmul: MATMUL,
  mean: MEAN,
  neurons: NEURONS,
  norm: NORM,
  output_projection: OUTPUT_PROJECTION,
  pattern_match: PATTERN_MATCH,
  position_embedding: POSITION_EMBEDDING,
  qkv_projection: QKV_PROJECTION,
  residual_stack: RESIDUAL_STACK,
  rotary: ROTARY,
  sample: SAMPLE,
  soft_cap: SOFT_CAP,
  statistics: STATISTICS,
  token_embedding: TOKEN_EMBEDDING,
  top_tokens: TOP_TOKENS,
  unembed: UNEMBED,
};

/**
 * The first case with all of these words in its title.
 * @throws Error if there is none
 */
export function findCase(file: string, ...words: readonly string[]): KernelCase {
  const found = CASES[file].find(({ title }) => words.every((word) => title.includes(word)));
  if (!found) throw new Error(`cases: none of ${file} has ${words.join(' and ')} in its title.`);
  return found;
}
