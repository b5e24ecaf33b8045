// The transformer, written once: a list of operations over named values, for every architecture. Nothing here runs anything;
// `plan.ts` turns the part of it that a run wants into dispatches.
//
// Axes                                        Values of a block (names are TransformerLens's; * ours)
//   batch       rows of the input               hook_resid_pre                   residual stream before the block
//   pos         position in the text            ln1.hook_scale, hook_normalized, hook_out*
//   d_model     residual stream                 attn.hook_q, hook_k, hook_v      after the bias, before rotary
//   head_index  attention head                  attn.hook_rot_q, hook_rot_k      rotary models
//   d_head      inside a head                   attn.hook_attn_scores            after scale, soft cap and mask
//   query_pos   position that looks             attn.hook_pattern                softmax of the scores over key_pos
//   key_pos     position looked at              attn.hook_z                      pattern · values
//   d_mlp       MLP neurons                     attn.hook_result                 each head's part of attn_out
//   d_vocab_out unembedding's outputs           hook_attn_out, hook_resid_mid, hook_mlp_in
//                                               ln2.*, mlp.hook_pre, hook_pre_linear (gated), hook_gate*, hook_post
//                                               hook_mlp_out, hook_resid_post
import { activation } from '../kernels/activation.ts';
import { add } from '../kernels/add.ts';
import { attentionPattern } from '../kernels/attention_pattern.ts';
import { attentionScores } from '../kernels/attention_scores.ts';
import { attentionValues } from '../kernels/attention_values.ts';
import { copyHeads } from '../kernels/copy_heads.ts';
import { headProjection } from '../kernels/head_projection.ts';
import type { Kernel, Options } from '../kernels/kernel.ts';
import { matmul } from '../kernels/matmul.ts';
import { norm } from '../kernels/norm.ts';
import { outputProjection } from '../kernels/output_projection.ts';
import { positionEmbedding } from '../kernels/position_embedding.ts';
import { rotary } from '../kernels/rotary.ts';
import { softCap } from '../kernels/soft_cap.ts';
import { tokenEmbedding } from '../kernels/token_embedding.ts';
import { unembed } from '../kernels/unembed.ts';
import type { ModelConfig, NormalizationType } from './config.ts';
import { GraphBuilder, type Part } from './graph_builder.ts';

/**
 * Sizes that each run chooses: rows, new positions, positions that can be looked at (those in a key-value cache too), and positions of
 * which logits are computed: all new ones, or the last of each row.
 */
export type RunAxis = 'batch' | 'pos' | 'keys' | 'outputs';

/** One axis of a value. */
export interface Axis {
  readonly name: string;
  readonly size: number | RunAxis;
}

/** A named intermediate: where a hook attaches. */
export interface GraphValue {
  readonly name: string;
  readonly axes: readonly Axis[];
  readonly dtype: 'float32';
  /** Block number, or null outside of the blocks. */
  readonly layer: number | null;
  /** What it is, in one line. */
  readonly description: string;
  /** TransformerLens leaves this value unnamed: the name is ours. */
  readonly ours: boolean;
  /** This is the same value under another name, unless it is written: `aliasOf` (which may be an alias) holds its bits. */
  readonly aliasOf: string | null;
  /** Computed only when asked for by name, glob or predicate: not among "all values". */
  readonly onDemand: boolean;
  /** Holds masked attention scores, which read as −Infinity. */
  readonly masked: boolean;
}

/** One use of a kernel. Binding names map to value names, or to weight names. */
export interface Operation {
  readonly kernel: Kernel;
  /** Sizes that the model fixes, by the kernel's axis labels. */
  readonly dims: Readonly<Record<string, number>>;
  readonly options: Options;
  readonly inputs: Readonly<Record<string, string>>;
  readonly weights: Readonly<Record<string, string>>;
  /** In firing order. */
  readonly outputs: Readonly<Record<string, string>>;
  /** What runs in its place when one of these values is written: the same from inputs that it does not look at itself. */
  readonly instead?: { readonly written: readonly string[]; readonly operation: Operation };
  /** Further inputs where only the logits of each row's last position are wanted. */
  readonly ofLast?: Readonly<Record<string, string>>;
  /** The input that a key-value cache keeps from run to run: keys or values. */
  readonly cached?: string;
}

export interface Graph {
  readonly config: ModelConfig;
  /** Firing order. */
  readonly values: ReadonlyMap<string, GraphValue>;
  /** Execution order. */
  readonly operations: readonly Operation[];
}

/** Token ids, u32 [batch, pos]. */
export const TOKENS = 'tokens';

/** How many positions of each row are already in the key-value cache, u32 [batch]; zeros without one. */
export const FIRST_POS = 'first_pos';

/** The last new position of each row that is no padding, u32 [batch]: whose logits are computed where only those are wanted. */
export const LAST_POS = 'last_pos';

/** What comes with every run and is no value. */
export const RUN_INPUTS: readonly string[] = [TOKENS, FIRST_POS, LAST_POS];

/** The last value: what `run` returns. */
export const LOGITS = 'logits';

const BATCH: Axis = { name: 'batch', size: 'batch' };
const POS: Axis = { name: 'pos', size: 'pos' };

/** Number of vec4 that hold `size` elements. */
const vec4 = (size: number) => Math.ceil(size / 4);

/**
 * The forward pass of a model as data.
 * @param hasWeight whether the checkpoint holds this weight (an absent bias is zero and costs nothing)
 */
export function buildGraph(config: ModelConfig, hasWeight: (name: string) => boolean): Graph {
  const g = new GraphBuilder(hasWeight);
  const { dModel, dHead, nHeads, nKeyValueHeads, dMlp } = config;
  const dModelAxis: Axis = { name: 'd_model', size: dModel };
  const resid: Axis[] = [BATCH, POS, dModelAxis];
  const heads = (count: number, inner: Axis = { name: 'd_head', size: dHead }): Axis[] => [
    BATCH,
    POS,
    { name: 'head_index', size: count },
    inner,
  ];
  const square: Axis[] = [
    BATCH,
    { name: 'head_index', size: nHeads },
    { name: 'query_pos', size: 'pos' },
    { name: 'key_pos', size: 'keys' },
  ];
  const mlp: Axis[] = [BATCH, POS, { name: 'd_mlp', size: dMlp }];

  /** LayerNorm or RMSNorm of `x`; gives the name of what follows it. */
  const normalize = (prefix: string, type: NormalizationType, x: string): string => {
    if (type === null) return x;
    const affine = type === 'LN' || type === 'RMS';
    const outputs: Record<string, string> = {
      scale: g.value(`${prefix}.hook_scale`, {
        axes: [BATCH, POS, { name: '1', size: 1 }],
        description: type.startsWith('LN') ? '√(variance + eps) of the input' : '√(mean square + eps) of the input',
      }),
      normalized: g.value(`${prefix}.hook_normalized`, {
        axes: resid,
        description: 'input, centred (LayerNorm) and divided by the scale; before gain and bias',
      }),
    };
    if (affine)
      outputs.out = g.value(`${prefix}.hook_out`, { axes: resid, description: 'after gain and bias', ours: true });
    g.operation(norm, {
      dims: { d_model: dModel, one: 1 },
      options: { centred: type.startsWith('LN'), eps: config.eps },
      inputs: { x },
      weights: affine ? { w: `${prefix}.w`, b: `${prefix}.b` } : {},
      outputs,
    });
    return outputs.out ?? outputs.normalized;
  };

  /** x·W + b. */
  const linear = (name: string, part: Part, x: string, [W, b]: [string, string?]): string => {
    const size = (axes: readonly Axis[]) => axes.slice(2).reduce((product, axis) => product * Number(axis.size), 1);
    const dIn = size(g.values.get(x)?.axes ?? []);
    const dOut = size(part.axes);
    g.operation(matmul, {
      dims: { d_in: dIn, d_in_vec4: vec4(dIn), d_out: dOut, d_out_vec4: vec4(dOut) },
      inputs: { x },
      weights: b ? { W, b } : { W },
      outputs: { out: g.value(name, part) },
    });
    return name;
  };

  const sum = (name: string, description: string, a: string, b: string): string => {
    g.operation(add, {
      dims: { d_model: dModel },
      inputs: { a, b },
      outputs: { out: g.value(name, { axes: resid, description }) },
    });
    return name;
  };

  const rotate = (name: string, description: string, x: string, count: number): string => {
    g.operation(rotary, {
      dims: { n_heads: count, d_head: dHead, n_ctx: config.nCtx, half: config.rotaryDim / 2 },
      inputs: { x, first_pos: FIRST_POS },
      weights: { cos: 'rotary_cos', sin: 'rotary_sin' },
      outputs: { out: g.value(name, { axes: heads(count), description }) },
    });
    return name;
  };

  /**
   * The residual stream once for each head, before ln1, so that the input of one head's queries, keys or values can be written. Nobody
   * else reads these copies; where one is written, the projection (`instead`) does, through a norm of its own.
   */
  const splitInputs = (block: string, stream: string): Record<'Q' | 'K' | 'V', string> => {
    const copies = (name: string, count: number, what: string) => {
      g.operation(copyHeads, {
        dims: { n_heads: count, d_model: dModel },
        inputs: { x: stream },
        outputs: { out: g.value(name, { axes: heads(count, dModelAxis), description: what, onDemand: true }) },
      });
      return name;
    };
    const input = (letter: 'q' | 'k' | 'v', count: number, words: string) => {
      const what = `what ${words} of each head are computed from, before ln1`;
      const name = `${block}.hook_${letter}_input`;
      return attnIn && count === nHeads ? g.alias(name, attnIn, what) : copies(name, count, what);
    };
    // With grouped queries there is no copy that queries, keys and values of a head could share.
    const attnIn =
      nKeyValueHeads === nHeads &&
      copies(`${block}.hook_attn_in`, nHeads, 'what attention reads, for each head, before ln1');
    const q = input('q', nHeads, 'queries');
    const k = input('k', nKeyValueHeads, 'keys');
    const v = input('v', nKeyValueHeads, 'values');
    return { Q: q, K: k, V: v };
  };

  /** ln1 of the copies of one kind, and the projection of each head from its own. */
  const projectSplit = (block: string, letter: 'Q' | 'K' | 'V', input: string, count: number): void => {
    const type = config.normalizationType;
    const affine = type === 'LN' || type === 'RMS';
    let x = input;
    if (type !== null) {
      x = g.value(`${block}.ln1.hook_${letter.toLowerCase()}_out`, {
        axes: heads(count, dModelAxis),
        description: `ln1 of hook_${letter.toLowerCase()}_input`,
        ours: true,
        onDemand: true,
      });
      const projection = g.operations.pop();
      g.operation(norm, {
        dims: { d_model: dModel, one: 1, copies: count },
        options: { centred: type.startsWith('LN'), eps: config.eps },
        inputs: { x: input },
        weights: affine ? { w: `${block}.ln1.w`, b: `${block}.ln1.b` } : {},
        outputs: affine ? { out: x } : { normalized: x },
      });
      if (projection) g.operations.push(projection);
    }
    const attnIn = g.values.has(`${block}.hook_attn_in`) ? [`${block}.hook_attn_in`] : [];
    const dOut = count * dHead;
    g.instead([...attnIn, input, x], headProjection, {
      dims: {
        n_heads: count,
        d_in: dModel,
        d_in_vec4: vec4(dModel),
        d_head: dHead,
        d_out_vec4: vec4(dOut),
        row_stride: 4 * vec4(dOut),
      },
      inputs: { x },
    });
  };

  const attention = (block: string, x: string, split: Record<'Q' | 'K' | 'V', string>): string => {
    const attn = `${block}.attn`;
    const qPart = { axes: heads(nHeads), description: 'queries, after the bias' };
    const kPart = { axes: heads(nKeyValueHeads), description: 'keys, after the bias' };
    const vPart = { axes: heads(nKeyValueHeads), description: 'values, after the bias' };
    let q = linear(`${attn}.hook_q`, qPart, x, [`${attn}.W_Q`, `${attn}.b_Q`]);
    projectSplit(block, 'Q', split.Q, nHeads);
    let k = linear(`${attn}.hook_k`, kPart, x, [`${attn}.W_K`, `${attn}.b_K`]);
    projectSplit(block, 'K', split.K, nKeyValueHeads);
    const v = linear(`${attn}.hook_v`, vPart, x, [`${attn}.W_V`, `${attn}.b_V`]);
    projectSplit(block, 'V', split.V, nKeyValueHeads);
    if (config.positionalEmbeddingType === 'rotary') {
      q = rotate(`${attn}.hook_rot_q`, 'queries turned by their position', q, nHeads);
      k = rotate(`${attn}.hook_rot_k`, 'keys turned by their position', k, nKeyValueHeads);
    }
    const headDims = { n_heads: nHeads, n_key_value_heads: nKeyValueHeads, d_head: dHead, d_head_vec4: vec4(dHead) };
    const scores = g.value(`${attn}.hook_attn_scores`, {
      axes: square,
      description: 'scaled query·key, after soft cap and mask',
      masked: true,
    });
    g.operation(attentionScores, {
      dims: headDims,
      options: { scale: 1 / config.attnScale, softCap: config.attnScoresSoftCap ?? 0 },
      inputs: { q, k_rows: k, first_pos: FIRST_POS },
      outputs: { out: scores },
      cached: 'k_rows',
    });
    const pattern = g.value(`${attn}.hook_pattern`, {
      axes: square,
      description: 'softmax of the scores: where each query looks',
    });
    g.operation(attentionPattern, { dims: { n_heads: nHeads }, inputs: { scores }, outputs: { out: pattern } });
    const z = g.value(`${attn}.hook_z`, { axes: heads(nHeads), description: 'values weighted by the pattern' });
    g.operation(attentionValues, { dims: headDims, inputs: { pattern, v }, outputs: { out: z }, cached: 'v' });
    const result = g.value(`${attn}.hook_result`, {
      axes: heads(nHeads, dModelAxis),
      description: "each head's part of attn_out (without b_O)",
    });
    const out = g.value(`${block}.hook_attn_out`, { axes: resid, description: 'what attention adds to the stream' });
    g.operation(outputProjection, {
      dims: { n_heads: nHeads, d_head: dHead, d_head_vec4: vec4(dHead), d_model: dModel, d_model_vec4: vec4(dModel) },
      inputs: { z },
      weights: { W_O: `${attn}.W_O`, b_O: `${attn}.b_O` },
      outputs: { result, out },
    });
    return out;
  };

  const perceptron = (block: string, x: string): string => {
    const p = `${block}.mlp`;
    const { gatedMlp } = config;
    const pre = linear(
      `${p}.hook_pre`,
      { axes: mlp, description: gatedMlp ? 'gate before its activation' : 'neurons before the activation' },
      x,
      gatedMlp ? [`${p}.W_gate`] : [`${p}.W_in`, `${p}.b_in`],
    );
    const inputs: Record<string, string> = { pre };
    const outputs: Record<string, string> = {};
    if (gatedMlp) {
      inputs.pre_linear = linear(`${p}.hook_pre_linear`, { axes: mlp, description: 'what the gate multiplies' }, x, [
        `${p}.W_in`,
      ]);
      outputs.gate = g.value(`${p}.hook_gate`, { axes: mlp, description: 'activation of the gate', ours: true });
    }
    outputs.post = g.value(`${p}.hook_post`, {
      axes: mlp,
      description: gatedMlp ? 'gate times linear part (plus b_in)' : 'neurons after the activation',
    });
    g.operation(activation, {
      dims: { d_mlp: dMlp },
      options: { actFn: config.actFn },
      inputs,
      weights: gatedMlp ? { b_in: `${p}.b_in` } : {},
      outputs,
    });
    return linear(
      `${block}.hook_mlp_out`,
      { axes: resid, description: 'what the MLP adds to the stream' },
      outputs.post,
      [`${p}.W_out`, `${p}.b_out`],
    );
  };

  // The forward pass.
  const embed = g.value('hook_embed', { axes: resid, description: 'token embedding' });
  g.operation(tokenEmbedding, {
    dims: { d_model: dModel, d_vocab: config.dVocab, row_stride: 4 * vec4(dModel) },
    inputs: { tokens: TOKENS },
    weights: { W_E: 'embed.W_E' },
    outputs: { out: embed },
  });
  let stream = embed;
  const RESID_PRE = 'residual stream before the block';
  if (config.positionalEmbeddingType === 'standard') {
    const position = g.value('hook_pos_embed', { axes: resid, description: 'position embedding' });
    g.operation(positionEmbedding, {
      dims: { d_model: dModel, n_ctx: config.nCtx },
      inputs: { first_pos: FIRST_POS },
      weights: { W_pos: 'pos_embed.W_pos' },
      outputs: { out: position },
    });
    stream = sum('blocks.0.hook_resid_pre', RESID_PRE, embed, position);
  }
  for (let layer = 0; layer < config.nLayers; layer++) {
    const block = `blocks.${layer}`;
    if (stream !== `${block}.hook_resid_pre`) stream = g.alias(`${block}.hook_resid_pre`, stream, RESID_PRE);
    const split = splitInputs(block, stream);
    const attnOut = attention(block, normalize(`${block}.ln1`, config.normalizationType, stream), split);
    const RESID_POST = 'residual stream after the block';
    if (config.attnOnly) {
      stream = sum(`${block}.hook_resid_post`, RESID_POST, stream, attnOut);
      continue;
    }
    const mid = sum(`${block}.hook_resid_mid`, 'residual stream between attention and MLP', stream, attnOut);
    const mlpIn = g.alias(`${block}.hook_mlp_in`, mid, 'what the MLP reads, before ln2');
    const mlpOut = perceptron(block, normalize(`${block}.ln2`, config.normalizationType, mlpIn));
    stream = sum(`${block}.hook_resid_post`, RESID_POST, mid, mlpOut);
  }
  const normed = normalize('ln_final', config.finalNormalizationType, stream);
  const unembedIn = g.alias('unembed.hook_in', normed, 'what the unembedding reads');
  const vocabAxes: Axis[] = [BATCH, { name: 'pos', size: 'outputs' }, { name: 'd_vocab_out', size: config.dVocabOut }];
  const unembedOut = g.value('unembed.hook_out', { axes: vocabAxes, description: 'logits before the soft cap' });
  g.operation(unembed, {
    dims: {
      d_model: dModel,
      d_model_vec4: vec4(dModel),
      row_stride: 4 * vec4(dModel),
      d_vocab_out: config.dVocabOut,
      d_vocab_total: config.dVocabOut,
    },
    inputs: { x: unembedIn },
    ofLast: { last_pos: LAST_POS },
    weights: { W_U: config.tiedEmbedding ? 'embed.W_E' : 'unembed.W_U', b_U: 'unembed.b_U' },
    outputs: { out: unembedOut },
  });
  const LOGITS_TEXT = 'scores of the next token';
  if (config.outputLogitsSoftCap === null) {
    g.alias(LOGITS, unembedOut, LOGITS_TEXT);
  } else {
    g.operation(softCap, {
      dims: { d_vocab_out: config.dVocabOut },
      options: { cap: config.outputLogitsSoftCap },
      inputs: { x: unembedOut },
      outputs: { out: g.value(LOGITS, { axes: vocabAxes, description: LOGITS_TEXT }) },
    });
  }
  return { config, values: g.values, operations: g.operations };
}
