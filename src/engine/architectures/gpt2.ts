// GPT-2 as Hugging Face stores it: learned positions, LayerNorm, plain MLP, the unembedding tied to the embedding.
// Its linear layers are Conv1D: weights are [in, out], the transpose of torch.nn.Linear.

import type { RawConfig } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import type { Architecture, WeightSource } from './architecture.ts';
import {
  ConfigReader,
  HUGGING_FACE_ACTIVATIONS,
  HUGGING_FACE_IGNORED,
  HUGGING_FACE_REQUIRED,
} from './config_reader.ts';

function parseConfig(raw: RawConfig): ModelConfig {
  const reader = new ConfigReader('gpt2', raw);
  reader.ignore(HUGGING_FACE_IGNORED);
  reader.require(HUGGING_FACE_REQUIRED);
  reader.require({ scale_attn_by_inverse_layer_idx: [false] });
  reader.ignore(['attn_pdrop', 'embd_pdrop', 'resid_pdrop', 'predict_special_tokens', 'output_past', 'n_special']);
  reader.ignore(['summary_activation', 'summary_first_dropout', 'summary_proj_to_labels', 'summary_type']);
  reader.ignore(['summary_use_proj']);
  reader.ignore(['reorder_and_upcast_attn']); // float32 scores: what this engine always does
  reader.ignore(['n_ctx']); // an older name, which no longer has an effect where n_positions stands

  const dModel = reader.size('n_embd');
  const nHeads = reader.size('n_head');
  if (dModel % nHeads !== 0) reader.problem(['n_embd', 'n_head'], 'expected n_embd to be a multiple of n_head');
  const dHead = dModel / nHeads;
  const dVocab = reader.size('vocab_size');
  const config: ModelConfig = {
    modelType: 'gpt2',
    nLayers: reader.size('n_layer'),
    dModel,
    nCtx: reader.size(raw.n_positions === undefined && raw.n_ctx !== undefined ? 'n_ctx' : 'n_positions'),
    nHeads,
    nKeyValueHeads: nHeads,
    dHead,
    dMlp: reader.size('n_inner', 4 * dModel),
    dVocab,
    dVocabOut: dVocab,
    actFn: reader.oneOf('activation_function', HUGGING_FACE_ACTIVATIONS, 'gelu_new'),
    gatedMlp: false,
    attnOnly: false,
    normalizationType: 'LN',
    finalNormalizationType: 'LN',
    eps: reader.positive('layer_norm_epsilon', 1e-5),
    positionalEmbeddingType: 'standard',
    rotaryDim: 0,
    rotaryBase: 0,
    attnScale: reader.boolean('scale_attn_weights', true) ? Math.sqrt(dHead) : 1,
    attnScoresSoftCap: null,
    outputLogitsSoftCap: null,
    tiedEmbedding: reader.boolean('tie_word_embeddings', true),
    bosTokenId: reader.tokenId('bos_token_id', dVocab),
  };
  reader.finish();
  return config;
}

function weightMap(config: ModelConfig): Map<string, WeightSource> {
  const { nLayers, nHeads, dHead, dModel, dMlp, nCtx, dVocab } = config;
  const dAttn = nHeads * dHead;
  const map = new Map<string, WeightSource>();
  const add = (name: string, tensor: string, shape: number[], convert?: WeightSource['convert']) =>
    map.set(name, { from: [`transformer.${tensor}`, tensor], shape, convert });

  add('embed.W_E', 'wte.weight', [dVocab, dModel]);
  add('pos_embed.W_pos', 'wpe.weight', [nCtx, dModel]);
  for (let layer = 0; layer < nLayers; layer++) {
    const block = `blocks.${layer}`;
    const h = `h.${layer}`;
    add(`${block}.ln1.w`, `${h}.ln_1.weight`, [dModel]);
    add(`${block}.ln1.b`, `${h}.ln_1.bias`, [dModel]);
    for (const [which, name] of ['Q', 'K', 'V'].entries()) {
      const weightPart = (data: Float32Array<ArrayBuffer>) => attentionPart(data, which, config);
      const biasPart = (data: Float32Array<ArrayBuffer>) => data.subarray(which * dAttn, (which + 1) * dAttn);
      add(`${block}.attn.W_${name}`, `${h}.attn.c_attn.weight`, [dModel, 3 * dAttn], weightPart);
      add(`${block}.attn.b_${name}`, `${h}.attn.c_attn.bias`, [3 * dAttn], biasPart);
    }
    add(`${block}.attn.W_O`, `${h}.attn.c_proj.weight`, [dAttn, dModel]); // rows are (head, d_head) already
    add(`${block}.attn.b_O`, `${h}.attn.c_proj.bias`, [dModel]);
    add(`${block}.ln2.w`, `${h}.ln_2.weight`, [dModel]);
    add(`${block}.ln2.b`, `${h}.ln_2.bias`, [dModel]);
    add(`${block}.mlp.W_in`, `${h}.mlp.c_fc.weight`, [dModel, dMlp]);
    add(`${block}.mlp.b_in`, `${h}.mlp.c_fc.bias`, [dMlp]);
    add(`${block}.mlp.W_out`, `${h}.mlp.c_proj.weight`, [dMlp, dModel]);
    add(`${block}.mlp.b_out`, `${h}.mlp.c_proj.bias`, [dModel]);
  }
  add('ln_final.w', 'ln_f.weight', [dModel]);
  add('ln_final.b', 'ln_f.bias', [dModel]);
  if (!config.tiedEmbedding) {
    map.set('unembed.W_U', { from: ['lm_head.weight'], shape: [dVocab, dModel], isTransposed: true });
  }
  return map;
}

/** W_Q (0), W_K (1) or W_V (2) [n_heads, d_model, d_head] out of c_attn [d_model, (which, head, d_head)]. */
function attentionPart(
  data: Float32Array<ArrayBuffer>,
  which: number,
  { nHeads, dModel, dHead }: ModelConfig,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(nHeads * dModel * dHead);
  for (let head = 0; head < nHeads; head++) {
    for (let m = 0; m < dModel; m++) {
      const from = (m * 3 + which) * nHeads * dHead + head * dHead;
      out.set(data.subarray(from, from + dHead), (head * dModel + m) * dHead);
    }
  }
  return out;
}

export const gpt2: Architecture = {
  modelType: 'gpt2',
  parseConfig,
  weightMap,
  ignored: [/(^|\.)attn\.(bias|masked_bias)$/, /^lm_head\.weight$/], // causal masks; a copy of wte
};
