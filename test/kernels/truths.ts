// What the kernels of the table are held to, by the names of their files.

import { activationTruth } from '../../src/kernels/activation.ts';
import { addTruth } from '../../src/kernels/add.ts';
import { attentionTruth } from '../../src/kernels/attention.ts';
import { attentionPatternTruth } from '../../src/kernels/attention_pattern.ts';
import { attentionScoresTruth } from '../../src/kernels/attention_scores.ts';
import { attentionValuesTruth } from '../../src/kernels/attention_values.ts';
import { cacheAppendTruth } from '../../src/kernels/cache_append.ts';
import { copyHeadsTruth } from '../../src/kernels/copy_heads.ts';
import { type EditOp, editTruth } from '../../src/kernels/edit.ts';
import { headProjectionTruth } from '../../src/kernels/head_projection.ts';
import type { KernelTruth } from '../../src/kernels/kernel.ts';
import { markTokenTruth } from '../../src/kernels/mark_token.ts';
import { matmulTruth } from '../../src/kernels/matmul.ts';
import { meanTruth } from '../../src/kernels/mean.ts';
import { neuronsTruth } from '../../src/kernels/neurons.ts';
import { normTruth } from '../../src/kernels/norm.ts';
import { outputProjectionTruth } from '../../src/kernels/output_projection.ts';
import { patternMatchTruth } from '../../src/kernels/pattern_match.ts';
import { positionEmbeddingTruth } from '../../src/kernels/position_embedding.ts';
import { qkvProjectionTruth } from '../../src/kernels/qkv_projection.ts';
import { residualStackTruth } from '../../src/kernels/residual_stack.ts';
import { rotaryTruth } from '../../src/kernels/rotary.ts';
import { sampleTruth } from '../../src/kernels/sample.ts';
import { softCapTruth } from '../../src/kernels/soft_cap.ts';
import { statisticsTruth } from '../../src/kernels/statistics.ts';
import { tokenEmbeddingTruth } from '../../src/kernels/token_embedding.ts';
import { topTokensTruth } from '../../src/kernels/top_tokens.ts';
import { unembedTruth } from '../../src/kernels/unembed.ts';
import { editAxes, type KernelCase } from './cases.ts';

/** All but those of edits, which are made for each. */
export const TRUTHS: Readonly<Record<string, KernelTruth>> = {
  activation: activationTruth,
  add: addTruth,
  attention: attentionTruth,
  attention_pattern: attentionPatternTruth,
  attention_scores: attentionScoresTruth,
  attention_values: attentionValuesTruth,
  cache_append: cacheAppendTruth,
  copy_heads: copyHeadsTruth,
  head_projection: headProjectionTruth,
  mark_token: markTokenTruth,
  matmul: matmulTruth,
  mean: meanTruth,
  neurons: neuronsTruth,
  norm: normTruth,
  output_projection: outputProjectionTruth,
  pattern_match: patternMatchTruth,
  position_embedding: positionEmbeddingTruth,
  qkv_projection: qkvProjectionTruth,
  residual_stack: residualStackTruth,
  rotary: rotaryTruth,
  sample: sampleTruth,
  soft_cap: softCapTruth,
  statistics: statisticsTruth,
  token_embedding: tokenEmbeddingTruth,
  top_tokens: topTokensTruth,
  unembed: unembedTruth,
};

/** What a case is held to. */
export function truthOf({ kernel, variant }: Pick<KernelCase, 'kernel' | 'variant'>): KernelTruth {
  if (kernel.name !== 'edit') return TRUTHS[kernel.name];
  return editTruth(editAxes(variant.dims.width), variant.options.op as EditOp);
}
