// Tiny checkpoints with random weights for every architecture and every option that changes the graph: odd sizes on purpose.

import { type MemoryTensor, memoryCheckpoint, type RawConfig } from '../../src/engine/checkpoint.ts';
import type { ModelConfig } from '../../src/engine/config.ts';
import type { ModelInMemory } from '../../src/index.ts';
import { architectureOf, loadWeights } from '../architectures.ts';
import { normal, seeded } from '../random.ts';

const GPT2 = {
  model_type: 'gpt2',
  vocab_size: 37,
  n_positions: 11,
  n_embd: 12,
  n_layer: 2,
  n_head: 3,
  activation_function: 'gelu_new',
};
const LLAMA = {
  model_type: 'llama',
  vocab_size: 41,
  hidden_size: 24,
  intermediate_size: 28,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  max_position_embeddings: 70,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
};
const HOOKED = {
  model_type: 'hooked_transformer',
  n_layers: 2,
  d_model: 20,
  n_ctx: 9,
  d_head: 5,
  n_heads: 4,
  d_mlp: 33,
  d_vocab: 19,
  act_fn: 'gelu',
  normalization_type: 'LN',
};

/** By name: the three architectures, then each option of theirs that changes the graph, then the smallest sizes. */
export const TINY_CONFIGS: Readonly<Record<string, RawConfig>> = {
  gpt2: GPT2,
  llama: LLAMA,
  hooked_transformer: HOOKED,
  'gpt2 with relu': { ...GPT2, activation_function: 'relu', n_inner: 7 },
  'llama untied, with biases, one key head': {
    ...LLAMA,
    num_key_value_heads: 1,
    tie_word_embeddings: false,
    attention_bias: true,
    head_dim: 10,
  },
  'hooked LNPre, 19 in and 7 out': { ...HOOKED, normalization_type: 'LNPre', d_vocab_out: 7, act_fn: 'relu' },
  'hooked RMSPre, partial rotary, gated with b_in': {
    ...HOOKED,
    normalization_type: 'RMSPre',
    positional_embedding_type: 'rotary',
    rotary_dim: 4,
    gated_mlp: true,
    n_key_value_heads: 2,
    act_fn: 'silu',
  },
  'hooked without norms or MLP': { ...HOOKED, normalization_type: null, attn_only: true },
  'hooked with soft caps': {
    ...HOOKED,
    attn_scores_soft_cap: 1.5,
    output_logits_soft_cap: 3,
    final_rms: true,
    use_attn_scale: false,
  },
  'one layer, one head, d_head 1': {
    ...HOOKED,
    n_layers: 1,
    n_heads: 1,
    d_head: 1,
    d_model: 1,
    d_mlp: 1,
    d_vocab: 2,
    n_ctx: 3,
  },
  'wide: more than one block in every sum': {
    ...HOOKED,
    d_model: 136,
    n_heads: 2,
    d_head: 68,
    d_mlp: 130,
    n_ctx: 67,
    d_vocab: 130,
  },
};

/** A model with random weights: matrices of about unit gain, norm gains about 1, biases about 0.1. */
export function tinyModel(raw: RawConfig, seed: number): ModelInMemory & { parsed: ModelConfig } {
  const architecture = architectureOf(raw);
  const random = seeded(seed);
  const parsed = architecture.parseConfig(raw);
  const tensors: Record<string, MemoryTensor> = {};
  for (const [name, { from, shape }] of architecture.weightMap(parsed, raw)) {
    if (from[0] in tensors) continue;
    const size = shape.reduce((a, b) => a * b, 1);
    const isVector = /\.b(_|$)|bias/.test(name);
    const isGain = /ln\w*\.w$/.test(name);
    const gain = isVector ? 0.1 : isGain ? 0.2 : 1.5 / Math.sqrt(parsed.dModel);
    const data = Float32Array.from({ length: size }, () => (isGain ? 1 : 0) + gain * normal(random));
    tensors[from[0]] = { shape, data };
  }
  return { config: raw, tensors, parsed };
}

/** The weights of a model in memory by their TransformerLens names, as the float64 reference wants them. */
export async function canonicalWeights({
  config,
  tensors,
  parsed,
}: ReturnType<typeof tinyModel>): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  const loaded = loadWeights(parsed, memoryCheckpoint(config, tensors));
  for await (const { name, data } of loaded.weights()) weights.set(name, data);
  return weights;
}

export function randomTokens({ dVocab }: ModelConfig, batch: number, pos: number, seed: number): number[][] {
  const random = seeded(seed);
  return Array.from({ length: batch }, () => Array.from({ length: pos }, () => Math.floor(random() * dVocab)));
}
