// Cases for comparing kernels with their emulation bit for bit: few shapes, because each is a pipeline, and many rows, because those are
// free: at least 100,000 results of each kernel, from tame and hard inputs.
import { activation } from '../../src/kernels/activation.ts';
import { add } from '../../src/kernels/add.ts';
import { attention } from '../../src/kernels/attention.ts';
import { attentionPattern } from '../../src/kernels/attention_pattern.ts';
import { attentionScores } from '../../src/kernels/attention_scores.ts';
import { attentionValues } from '../../src/kernels/attention_values.ts';
import { cacheAppend } from '../../src/kernels/cache_append.ts';
import { copyHeads } from '../../src/kernels/copy_heads.ts';
import { type EditOp, edit } from '../../src/kernels/edit.ts';
import { NUMBER_FORMATS } from '../../src/kernels/formats.ts';
import { headProjection } from '../../src/kernels/head_projection.ts';
import type { Kernel } from '../../src/kernels/kernel.ts';
import { markToken } from '../../src/kernels/mark_token.ts';
import { matmul } from '../../src/kernels/matmul.ts';
import { mean } from '../../src/kernels/mean.ts';
import { neurons } from '../../src/kernels/neurons.ts';
import { norm } from '../../src/kernels/norm.ts';
import { outputProjection } from '../../src/kernels/output_projection.ts';
import { patternMatch } from '../../src/kernels/pattern_match.ts';
import { positionEmbedding } from '../../src/kernels/position_embedding.ts';
import { qkvProjection } from '../../src/kernels/qkv_projection.ts';
import { residualStack } from '../../src/kernels/residual_stack.ts';
import { rotary } from '../../src/kernels/rotary.ts';
import { sample } from '../../src/kernels/sample.ts';
import { softCap } from '../../src/kernels/soft_cap.ts';
import { statistics } from '../../src/kernels/statistics.ts';
import { tokenEmbedding } from '../../src/kernels/token_embedding.ts';
import { topTokensKernel } from '../../src/kernels/top_tokens.ts';
import { unembed } from '../../src/kernels/unembed.ts';
import type { EmulatedKernel } from '../../src/numerics/emulation/emulated_kernel.ts';
import { FORWARD_KERNELS } from '../../src/numerics/emulation/forward_kernels.ts';
import { emulatedEdit, TOOL_KERNELS } from '../../src/numerics/emulation/tool_kernels.ts';
import {
  attentionCase,
  cachedQkv,
  casesOf,
  type Draft,
  editAxes,
  editCase,
  gatedCase,
  isAppended,
  type KernelCase,
  markCase,
  neuronsCase,
  qkvCase,
  sampleCase,
  stackCase,
  statisticsCase,
  vec4,
} from './cases.ts';
import { FUSED_KERNELS } from './fused_emulation.ts';

export interface EmulatedCase extends KernelCase {
  readonly emulate: EmulatedKernel;
}

const HARD = 'every kind of row' as const;

const emulated = (kernel: Kernel, drafts: readonly Draft[], seed = 1): EmulatedCase[] =>
  casesOf(kernel, drafts, seed, 'reproducible').map((kernelCase) => ({
    ...kernelCase,
    emulate: { ...FORWARD_KERNELS, ...TOOL_KERNELS, ...FUSED_KERNELS }[kernel.name],
  }));

const matmulDraft = (batch: number, pos: number, d_in: number, d_out: number): Draft => ({
  dims: { batch, pos, d_in, d_in_vec4: vec4(d_in), d_out, d_out_vec4: vec4(d_out) },
  fillings: { x: HARD, W: HARD },
});
const normDraft = (batch: number, pos: number, d_model: number, centred: boolean): Draft => ({
  dims: { batch, pos, d_model, one: 1 },
  options: { centred, eps: 1e-5 },
  without: centred ? [] : ['b'],
  fillings: { x: HARD },
});
const heads = (n_heads: number, n_key_value_heads: number, d_head: number) => ({
  ...{ n_heads, n_key_value_heads, d_head, d_head_vec4: vec4(d_head) },
});
const projectionDraft = (batch: number, pos: number, n_heads: number, d_head: number, d_model: number): Draft => ({
  dims: { batch, pos, n_heads, d_head, d_head_vec4: vec4(d_head), d_model, d_model_vec4: vec4(d_model) },
  fillings: { z: HARD, W_O: HARD },
});
const headProjectionDraft = (pos: number, n_heads: number, d_in: number, d_head: number): Draft => ({
  dims: {
    ...{ batch: 2, pos, n_heads, d_in, d_in_vec4: vec4(d_in), d_head },
    ...{ d_out_vec4: vec4(n_heads * d_head), row_stride: 4 * vec4(n_heads * d_head) },
  },
  fillings: { x: HARD, W: HARD },
});
const unembedDraft = (pos: number, d_model: number, d_vocab_out: number): Draft => ({
  dims: {
    ...{ batch: 1, pos, d_model, d_model_vec4: vec4(d_model), row_stride: 4 * vec4(d_model) },
    ...{ d_vocab_out, d_vocab_total: d_vocab_out },
  },
  options: { firstColumn: 0 },
  fillings: { x: HARD, W_U: HARD },
});
const activationDraft = (actFn: string, without: readonly string[]): Draft => ({
  dims: { batch: 1, pos: 420, d_mlp: 65 },
  options: { actFn },
  without,
  fillings: { pre: HARD, pre_linear: HARD },
});
const PLAIN = ['pre_linear', 'b_in', 'gate'];
const EARLIER = { first_pos: 'earlier positions: 7, 3, 0' } as const;
const ROTATED = { x: HARD, cos: 'cos', sin: 'sin' } as const;
const EDITS: readonly EditOp[] = [
  ...(['zero', 'set', 'add', 'scale', 'clamp', 'project_out'] as const),
  ...NUMBER_FORMATS.map((format) => `round_${format}` as const),
];
/** Whose values are masked scores. */
const MASKED_EDITS: readonly EditOp[] = ['add', 'round_bf16'];

const EDIT: readonly EmulatedCase[] = EDITS.flatMap((op, i) => {
  const [pos, width] = [101, 65];
  const isMasked = MASKED_EDITS.includes(op);
  const draft = editCase(op, pos, width, isMasked);
  const fillings = { ...draft.fillings, operand: HARD, ...(!isMasked && { values: HARD }) };
  return casesOf(edit(editAxes(width), op), [{ ...draft, fillings }], i + 1, 'reproducible').map((kernelCase) => ({
    ...kernelCase,
    emulate: emulatedEdit([3, pos, width], op),
  }));
});

const STACKED = ['scale', 'direction', 'minus', 'projected', 'vectors'];

/** By kernel. */
export const REPRODUCIBLE_CASES: Readonly<Record<string, readonly EmulatedCase[]>> = {
  activation: emulated(activation, [
    ...['relu', 'silu', 'gelu', 'gelu_new'].map((actFn) => activationDraft(actFn, PLAIN)),
    activationDraft('silu', []),
    activationDraft('gelu_new', ['b_in']),
  ]),
  add: emulated(add, [{ dims: { batch: 2, pos: 400, d_model: 129 }, fillings: { a: HARD, b: HARD } }]),
  attention: emulated(attention, [
    { ...attentionCase([2, 121], [4, 2, 32]), fillings: { q: HARD, k_rows: HARD, v: HARD } },
    { ...attentionCase([3, 70], [4, 2, 33], { softCap: 30, invocations: 64 }), fillings: { q: HARD, k_rows: HARD } },
    {
      ...attentionCase([3, 2], [64, 32, 32], {}, { keys: 120, key_stride: 130 }),
      fillings: { q: HARD, k_rows: HARD, v: HARD, ...EARLIER },
    },
    { ...attentionCase([1, 260], [2, 1, 65]), fillings: { v: HARD } },
  ]),
  attention_pattern: emulated(attentionPattern, [
    { dims: { batch: 2, pos: 120, n_heads: 4 }, fillings: { scores: 'causal scores' } },
    { dims: { batch: 3, pos: 2, keys: 130, key_stride: 130, n_heads: 4 }, fillings: { scores: HARD } },
    { dims: { batch: 1, pos: 2049, n_heads: 1 }, fillings: { scores: 'a few long rows' } },
  ]),
  attention_scores: emulated(attentionScores, [
    {
      dims: { batch: 2, pos: 121, ...heads(4, 2, 33) },
      options: { scale: 0.1767766952966369, softCap: 0 },
      fillings: { q: HARD, k_rows: HARD },
    },
    {
      dims: { batch: 3, pos: 2, keys: 120, key_stride: 130, ...heads(4, 2, 32) },
      options: { scale: 0.3, softCap: 30 },
      fillings: { q: HARD, k_rows: HARD, ...EARLIER },
    },
  ]),
  attention_values: emulated(attentionValues, [
    { dims: { batch: 2, pos: 200, ...heads(4, 2, 64) }, fillings: { pattern: 'pattern', v: HARD } },
    {
      dims: { batch: 3, pos: 2, keys: 120, key_stride: 130, ...heads(4, 2, 7) },
      fillings: { pattern: HARD, v: HARD },
    },
  ]),
  cache_append: emulated(cacheAppend, [
    {
      dims: { batch: 3, pos: 300, keys: 310, key_stride: 330, n_key_value_heads: 2, d_head: 65 },
      fillings: { x: HARD, ...EARLIER },
      isWritten: isAppended,
    },
  ]),
  copy_heads: emulated(copyHeads, [{ dims: { batch: 2, pos: 130, n_heads: 6, d_model: 65 }, fillings: { x: HARD } }]),
  edit: EDIT,
  head_projection: emulated(headProjection, [headProjectionDraft(300, 4, 65, 33), headProjectionDraft(100, 4, 64, 32)]),
  matmul: emulated(matmul, [
    matmulDraft(3, 100, 65, 129),
    matmulDraft(1, 5, 64, 2049),
    matmulDraft(2, 200, 192, 128),
    { ...matmulDraft(3, 100, 64, 129), given: ['residual'], fillings: { x: HARD, W: HARD, residual: HARD } },
  ]),
  mark_token: emulated(markToken, [markCase(9000, 3)]),
  mean: emulated(mean, [{ dims: { batch: 40, pos: 129, columns: 2560 }, fillings: { x: HARD } }]),
  neurons: emulated(neurons, [
    { ...neuronsCase([3, 100], 65, 129, 'gelu_new'), fillings: { x: HARD, W: HARD } },
    { ...gatedCase([3, 100], 64, 129, 'silu'), fillings: { x: HARD, W: HARD, W_linear: HARD } },
    { ...gatedCase([1, 5], 65, 4000, 'silu'), fillings: { x: HARD, W: HARD } },
    { ...neuronsCase([1, 5], 64, 2049, 'gelu'), fillings: { x: HARD, W: HARD } },
  ]),
  norm: emulated(norm, [
    normDraft(2, 500, 128, true),
    normDraft(1, 100, 2049, true),
    normDraft(3, 100, 65, false),
    normDraft(3, 11, 129, true),
    {
      ...normDraft(2, 100, 65, true),
      given: ['given_scale'],
      without: ['scale'],
      fillings: { x: HARD, given_scale: 'scales' },
    },
    {
      ...normDraft(2, 100, 65, true),
      given: ['given_normalized'],
      without: ['scale', 'normalized'],
      fillings: { given_normalized: HARD },
    },
  ]),
  output_projection: emulated(outputProjection, [
    projectionDraft(2, 260, 3, 12, 65),
    projectionDraft(1, 5, 4, 32, 128),
    {
      ...projectionDraft(2, 60, 3, 12, 64),
      given: ['residual'],
      without: ['result'],
      fillings: { z: HARD, W_O: HARD, residual: HARD },
    },
    {
      ...projectionDraft(2, 30, 3, 12, 65),
      given: ['given_result'],
      without: ['result'],
      fillings: { given_result: HARD },
    },
  ]),
  pattern_match: emulated(patternMatch, [
    {
      dims: { batch: 84, pos: 100, n_heads: 4 },
      options: { excludeBos: true, excludeCurrentToken: true },
      fillings: { pattern: HARD, detection: HARD },
    },
  ]),
  position_embedding: emulated(positionEmbedding, [
    { dims: { batch: 3, pos: 520, d_model: 65, n_ctx: 525 }, fillings: { W_pos: HARD, ...EARLIER } },
  ]),
  qkv_projection: emulated(qkvProjection, [
    { ...qkvCase([3, 100], 65, [4, 2, 33]), fillings: { x: HARD, W: HARD } },
    ...[
      qkvCase([3, 100], 64, [4, 2, 32], { half: 8, n_ctx: 100 }),
      qkvCase([1, 5], 65, [64, 8, 32], { half: 16, n_ctx: 9 }),
    ].map((draft) => ({ ...draft, fillings: { ...draft.fillings, x: HARD, W: HARD } })),
    cachedQkv({
      ...qkvCase([3, 13], 64, [40, 20, 8], { half: 4, n_ctx: 40 }),
      fillings: { x: HARD, cos: 'cos', sin: 'sin' },
    }),
  ]),
  residual_stack: emulated(residualStack, [
    stackCase(65, [80, 20, 4, 21], { present: STACKED }),
    stackCase(33, [70, 3, 64, 3], { present: ['factor', ...STACKED, 'gain'] }),
    stackCase(33, [5, 2, 5, 2], { centred: false, present: ['vectors', 'direction', 'projected'] }),
  ]),
  rotary: emulated(rotary, [
    { dims: { batch: 2, pos: 400, n_heads: 4, d_head: 32, n_ctx: 410, half: 4 }, fillings: ROTATED },
    { dims: { batch: 3, pos: 2, n_heads: 2, d_head: 8, n_ctx: 9, half: 4 }, fillings: { ...ROTATED, ...EARLIER } },
  ]),
  sample: emulated(sample, [
    { ...sampleCase(70, 1200), fillings: { ...sampleCase(70, 1200).fillings, logits: HARD } },
    { ...sampleCase(14, 2500), without: ['seen'] },
    { ...sampleCase(7, 4161, true), fillings: { ...sampleCase(7, 4161).fillings, logits: HARD } },
  ]),
  soft_cap: emulated(softCap, [
    { dims: { batch: 1, pos: 800, d_vocab_out: 129 }, options: { cap: 30 }, fillings: { x: HARD } },
  ]),
  statistics: emulated(statistics, [statisticsCase(256 * 500, 'normal'), statisticsCase(256 * 150, 'mixed')]),
  token_embedding: emulated(tokenEmbedding, [
    {
      dims: { batch: 2, pos: 800, d_model: 65, d_vocab: 97, row_stride: 68 },
      options: { firstToken: 0 },
      fillings: { tokens: 'tokens: 97', W_E: HARD },
    },
  ]),
  top_tokens: emulated(topTokensKernel, [
    { dims: { batch: 2, pos: 400, d_vocab_out: 130, k: 65, fields: 2 }, fillings: { logits: HARD } },
  ]),
  unembed: emulated(unembed, [unembedDraft(128, 64, 800), unembedDraft(1, 63, 2049)]),
};
