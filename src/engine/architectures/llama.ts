// Llama as Hugging Face stores it: RMSNorm, rotary positions (first and second half of a head form the pairs), a gated
// MLP, grouped-query attention. Its linear layers are torch.nn.Linear: weights are [out, in].

import type { RawConfig } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import { type Architecture, transpose, type WeightSource } from './architecture.ts';
import {
  ConfigReader,
  HUGGING_FACE_ACTIVATIONS,
  HUGGING_FACE_IGNORED,
  HUGGING_FACE_REQUIRED,
} from './config_reader.ts';

function parseConfig(raw: RawConfig): ModelConfig {
  const reader = new ConfigReader('llama', raw);
  reader.ignore(HUGGING_FACE_IGNORED);
  reader.require(HUGGING_FACE_REQUIRED);
  reader.require({
    mlp_bias: [false],
    sliding_window: [null],
    use_sliding_window: [false],
    partial_rotary_factor: [null, 1],
    rope_interleaved: [false],
  });
  reader.ignore(['attention_dropout', 'is_llama_config']);
  reader.ignore(['pretraining_tp']); // splits products for training; the sums are the same
  reader.boolean('attention_bias', false); // read by weightMap

  const dModel = reader.size('hidden_size');
  const nHeads = reader.size('num_attention_heads');
  const nKeyValueHeads = reader.size('num_key_value_heads', nHeads);
  if (nHeads % nKeyValueHeads !== 0) {
    const keys = ['num_attention_heads', 'num_key_value_heads'];
    reader.problem(keys, 'expected num_attention_heads to be a multiple of num_key_value_heads');
  }
  if ((reader.value('head_dim') ?? null) === null && dModel % nHeads !== 0) {
    const keys = ['hidden_size', 'num_attention_heads'];
    reader.problem(keys, 'expected hidden_size to be a multiple of num_attention_heads where there is no head_dim');
  }
  const dHead = reader.size('head_dim', Math.max(1, Math.floor(dModel / nHeads)));
  if (dHead % 2 !== 0)
    reader.problem(['head_dim'], `expected an even size of heads (it is rotated in pairs), got ${dHead}`);
  const dVocab = reader.size('vocab_size');
  const config: ModelConfig = {
    modelType: 'llama',
    nLayers: reader.size('num_hidden_layers'),
    dModel,
    nCtx: reader.size('max_position_embeddings'),
    nHeads,
    nKeyValueHeads,
    dHead,
    dMlp: reader.size('intermediate_size'),
    dVocab,
    dVocabOut: dVocab,
    actFn: reader.oneOf('hidden_act', HUGGING_FACE_ACTIVATIONS, 'silu'),
    gatedMlp: true,
    attnOnly: false,
    normalizationType: 'RMS',
    finalNormalizationType: 'RMS',
    eps: reader.positive('rms_norm_eps', 1e-6),
    positionalEmbeddingType: 'rotary',
    rotaryDim: dHead,
    rotaryBase: rotaryBase(reader),
    attnScale: Math.sqrt(dHead),
    attnScoresSoftCap: null,
    outputLogitsSoftCap: null,
    tiedEmbedding: reader.boolean('tie_word_embeddings', false),
    bosTokenId: reader.tokenId('bos_token_id', dVocab),
  };
  reader.finish();
  return config;
}

/** θ from `rope_theta`, or from `rope_parameters` in newer configs. Scaled variants of rotary positions are refused. */
function rotaryBase(reader: ConfigReader): number {
  let theta = reader.positive('rope_theta', 10000);
  for (const key of ['rope_parameters', 'rope_scaling']) {
    const value = reader.value(key) ?? null;
    if (value === null) continue;
    if (typeof value !== 'object') {
      reader.problem([key], 'expected an object with rope_type "default" and rope_theta');
      continue;
    }
    const { type = 'default', rope_type: ropeType = type, rope_theta: own = theta, ...rest } = value as RawConfig;
    const { partial_rotary_factor: partial = 1, ...unknown } = rest;
    if (ropeType !== 'default' || partial !== 1 || Object.keys(unknown).length > 0) {
      reader.problem([key], 'expected rope_type "default" and rope_theta, nothing else');
    } else if (typeof own !== 'number' || !(own > 0 && own < Infinity))
      reader.problem([key], 'expected rope_theta above 0');
    else theta = own;
  }
  return theta;
}

function weightMap(config: ModelConfig, raw: RawConfig): Map<string, WeightSource> {
  const { nLayers, nHeads, nKeyValueHeads, dHead, dModel, dMlp, dVocab } = config;
  const map = new Map<string, WeightSource>();
  const add = (name: string, tensor: string, shape: number[], convert?: WeightSource['convert']) =>
    map.set(name, { from: [`model.${tensor}`, tensor], shape, convert });
  /** torch.nn.Linear [out, in] as [in, out]. */
  const addLinear = (name: string, tensor: string, [rows, columns]: [number, number]) =>
    map.set(name, { from: [`model.${tensor}`, tensor], shape: [rows, columns], isTransposed: true });

  add('embed.W_E', 'embed_tokens.weight', [dVocab, dModel]);
  for (let layer = 0; layer < nLayers; layer++) {
    const block = `blocks.${layer}`;
    const from = `layers.${layer}`;
    add(`${block}.ln1.w`, `${from}.input_layernorm.weight`, [dModel]);
    for (const [name, heads] of [
      ['q', nHeads],
      ['k', nKeyValueHeads],
      ['v', nKeyValueHeads],
    ] as const) {
      const NAME = name.toUpperCase();
      // rows are (head, d_head): each head's [d_head, d_model] becomes [d_model, d_head]
      const convert = (data: Float32Array<ArrayBuffer>) =>
        transpose(data, { batch: heads, rows: dHead, columns: dModel });
      add(`${block}.attn.W_${NAME}`, `${from}.self_attn.${name}_proj.weight`, [heads * dHead, dModel], convert);
      if (raw.attention_bias) add(`${block}.attn.b_${NAME}`, `${from}.self_attn.${name}_proj.bias`, [heads * dHead]);
    }
    addLinear(`${block}.attn.W_O`, `${from}.self_attn.o_proj.weight`, [dModel, nHeads * dHead]);
    if (raw.attention_bias) add(`${block}.attn.b_O`, `${from}.self_attn.o_proj.bias`, [dModel]);
    add(`${block}.ln2.w`, `${from}.post_attention_layernorm.weight`, [dModel]);
    addLinear(`${block}.mlp.W_gate`, `${from}.mlp.gate_proj.weight`, [dMlp, dModel]);
    addLinear(`${block}.mlp.W_in`, `${from}.mlp.up_proj.weight`, [dMlp, dModel]);
    addLinear(`${block}.mlp.W_out`, `${from}.mlp.down_proj.weight`, [dModel, dMlp]);
  }
  add('ln_final.w', 'norm.weight', [dModel]);
  if (!config.tiedEmbedding) {
    map.set('unembed.W_U', { from: ['lm_head.weight'], shape: [dVocab, dModel], isTransposed: true });
  }
  return map;
}

export const llama: Architecture = {
  modelType: 'llama',
  parseConfig,
  weightMap,
  ignored: [/\.rotary_emb\.inv_freq$/, /^lm_head\.weight$/], // computed from rope_theta; a copy of embed_tokens
};
