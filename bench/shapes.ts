// Models with the shapes of real ones and weights drawn at random: what a kernel costs does not depend on the numbers. For speed
// alone; their logits mean nothing.
import type { ModelInMemory } from '../src/index.ts';

/** Sizes in TransformerLens's words. */
export interface Shape {
  readonly name: string;
  readonly nLayers: number;
  readonly dModel: number;
  readonly nHeads: number;
  readonly nKeyValueHeads: number;
  readonly dMlp: number;
  readonly dVocab: number;
  readonly nCtx: number;
  /** LayerNorm, biases and a plain MLP; otherwise RMSNorm and a gated one, without biases. */
  readonly kind: 'gpt' | 'llama';
  /** Elements of each head that are rotated; 0: learned positions. */
  readonly rotaryDim: number;
}

const gpt = (name: string, sizes: Omit<Shape, 'name' | 'kind' | 'nKeyValueHeads' | 'dMlp' | 'rotaryDim'>): Shape => {
  return { name, kind: 'gpt', nKeyValueHeads: sizes.nHeads, dMlp: 4 * sizes.dModel, rotaryDim: 0, ...sizes };
};

/** The embedded model's sizes, with a context that is long enough to grow in. */
export const CIRCUIT_SIZED = gpt('circuit-sized', { nLayers: 4, dModel: 128, nHeads: 4, dVocab: 2048, nCtx: 2112 });
export const GPT2_SMALL = gpt('GPT-2 small', { nLayers: 12, dModel: 768, nHeads: 12, dVocab: 50257, nCtx: 1024 });
export const GPT2_MEDIUM = gpt('GPT-2 medium', { nLayers: 24, dModel: 1024, nHeads: 16, dVocab: 50257, nCtx: 1024 });
/** Its attention and MLP read the same stream; here one follows the other, with matrices of the same shapes. */
export const PYTHIA_160M: Shape = {
  ...gpt('Pythia-160M', { nLayers: 12, dModel: 768, nHeads: 12, dVocab: 50304, nCtx: 2048 }),
  rotaryDim: 16,
};
/** Its context is 128 k tokens; as much of it as is measured. */
export const LLAMA_1B: Shape = {
  name: 'Llama-3.2-1B',
  kind: 'llama',
  nLayers: 16,
  dModel: 2048,
  nHeads: 32,
  nKeyValueHeads: 8,
  dMlp: 8192,
  dVocab: 128256,
  nCtx: 2112,
  rotaryDim: 64,
};
/** One product of 512 rows by 512 × 512: that of `mlp.W_out`. */
export const SQUARE_512: Shape = {
  ...gpt('512³', { nLayers: 1, dModel: 512, nHeads: 8, dVocab: 64, nCtx: 512 }),
  dMlp: 512,
};

/** Magnitude of the weights: sums of some thousand products stay well inside of float32. */
const SCALE = 0.02;
/** Tensors begin at different places of the same noise, so that no two are alike. */
const STRIDE = 4099;

/** A model of this shape. Its tensors are views of one array, as long as the largest of them. */
export function drawnModel(shape: Shape): ModelInMemory {
  const { nLayers, dModel, nHeads, nKeyValueHeads, dMlp, dVocab, nCtx, kind, rotaryDim } = shape;
  const dHead = dModel / nHeads;
  const isGpt = kind === 'gpt';
  const sizes: [string, number[]][] = [
    ['embed.W_E', [dVocab, dModel]],
    ['unembed.W_U', [dModel, dVocab]],
    ['ln_final.w', [dModel]],
  ];
  if (rotaryDim === 0) sizes.push(['pos_embed.W_pos', [nCtx, dModel]]);
  if (isGpt) sizes.push(['ln_final.b', [dModel]]);
  for (let layer = 0; layer < nLayers; layer++) {
    const add = (name: string, ...size: number[]) => sizes.push([`blocks.${layer}.${name}`, size]);
    const perHead = [['Q', nHeads] as const, ['K', nKeyValueHeads] as const, ['V', nKeyValueHeads] as const];
    for (const [name, heads] of perHead) {
      const prefix = name !== 'Q' && nKeyValueHeads !== nHeads ? '_' : '';
      add(`attn.${prefix}W_${name}`, heads, dModel, dHead);
      if (isGpt) add(`attn.b_${name}`, heads, dHead);
    }
    add('attn.W_O', nHeads, dHead, dModel);
    add('mlp.W_in', dModel, dMlp);
    add('mlp.W_out', dMlp, dModel);
    if (!isGpt) add('mlp.W_gate', dModel, dMlp);
    for (const norm of ['ln1', 'ln2']) add(`${norm}.w`, dModel);
    if (!isGpt) continue;
    for (const norm of ['ln1', 'ln2']) add(`${norm}.b`, dModel);
    add('attn.b_O', dModel);
    add('mlp.b_in', dMlp);
    add('mlp.b_out', dModel);
  }
  const count = (size: readonly number[]) => size.reduce((a, b) => a * b, 1);
  const noise = drawnNumbers(Math.max(...sizes.map(([, size]) => count(size))) + STRIDE * sizes.length);
  const ones = new Float32Array(dModel).fill(1);
  const tensors = sizes.map(([name, size], i) => {
    const isGain = /ln\w*\.w$/.test(name);
    const data = isGain ? ones : noise.subarray(i * STRIDE, i * STRIDE + count(size));
    return [name, { shape: size, data }] as const;
  });
  const config = {
    model_type: 'hooked_transformer',
    n_layers: nLayers,
    d_model: dModel,
    n_heads: nHeads,
    n_key_value_heads: nKeyValueHeads,
    d_head: dHead,
    d_mlp: dMlp,
    d_vocab: dVocab,
    n_ctx: nCtx,
    act_fn: isGpt ? 'gelu_new' : 'silu',
    gated_mlp: !isGpt,
    normalization_type: isGpt ? 'LN' : 'RMS',
    ...(rotaryDim > 0 && { positional_embedding_type: 'rotary', rotary_dim: rotaryDim }),
  };
  return { config, tensors: Object.fromEntries(tensors) };
}

/** Uniform in ±`SCALE`: a block of them (mulberry32, as the tests') again and again, because models have a billion weights. */
function drawnNumbers(count: number): Float32Array<ArrayBuffer> {
  const block = new Float32Array(65537);
  let state = 1;
  for (let i = 0; i < block.length; i++) {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    block[i] = SCALE * (((bits ^ (bits >>> 14)) >>> 0) / 2 ** 31 - 1);
  }
  const numbers = new Float32Array(count);
  for (let at = 0; at < count; at += block.length) {
    numbers.set(at + block.length <= count ? block : block.subarray(0, count - at), at);
  }
  return numbers;
}
