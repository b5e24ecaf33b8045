// The forward pass of a model as an ONNX graph (opset 17, float32), so that other engines can run it: plain data. Its bytes are made in
// onnx_writer.ts. Written from the config alone, as the float64 reference is: it shares nothing with the engine's graph.
import type { ModelConfig } from '../src/index.ts';

/** A tensor that is part of the file. What is computed here is not yet rounded to float32. */
export interface OnnxTensor {
  readonly name: string;
  readonly type: 'float32' | 'int64';
  readonly dims: readonly number[];
  readonly data: Float32Array | readonly number[];
}

/** A whole number, whole numbers, or a float32. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number };

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** An input or output of the whole graph; a dimension with a name is the caller's to choose. */
export interface OnnxValue {
  readonly name: string;
  readonly type: 'float32' | 'int64';
  readonly dims: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly tensors: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
}

export interface OnnxOptions {
  /**
   * One token behind keys and values that are inputs: `input_ids` and `position_ids` `[1, 1]`, `past.L.k` and `past.L.v`
   * `[1, n_key_value_heads, past, d_head]`; outputs `logits` and `present.L.k`, `present.L.v`. Otherwise a whole text:
   * `input_ids` `[1, pos]` to `logits` `[1, pos, d_vocab_out]`.
   */
  readonly withPast?: boolean;
  /** Longest text; the mask and rotary tables have this size. Default: n_ctx, but 1,024 at most. */
  readonly positions?: number;
}

/** What masks a score: softmax gives 0 for it, and it is no infinity. */
const MASKED = -3.4028234663852886e38;

/** Nodes and tensors while a graph is made; `node` and `tensor` give the name of what they add. */
export class OnnxBuilder {
  readonly tensors: OnnxTensor[] = [];
  readonly nodes: OnnxNode[] = [];

  node(op: string, inputs: readonly string[], attributes: OnnxNode['attributes'] = {}, output?: string): string {
    const name = output ?? `${op}_${this.nodes.length}`;
    this.nodes.push({ op, inputs, output: name, attributes });
    return name;
  }

  floats(name: string, dims: readonly number[], data: OnnxTensor['data']): string {
    return this.tensor({ name, type: 'float32', dims, data });
  }

  /** Whole numbers in one row. */
  ints(...values: readonly number[]): string {
    return this.tensor({ name: `ints_${values.join('_')}`, type: 'int64', dims: [values.length], data: values });
  }

  scalar(value: number): string {
    return this.tensor({ name: `float_${value}`, type: 'float32', dims: [], data: [value] });
  }

  private tensor(tensor: OnnxTensor): string {
    if (!this.tensors.some(({ name }) => name === tensor.name)) this.tensors.push(tensor);
    return tensor.name;
  }
}

/**
 * The graph of a model of any supported architecture. `weights` have TransformerLens's names and layouts, as `model.weight` gives
 * them; a bias that is absent is zero.
 * @example
 * const graph = onnxGraph(model.config, await readWeights(model));
 */
export function onnxGraph(
  config: ModelConfig,
  weights: ReadonlyMap<string, Float32Array>,
  { withPast = false, positions = Math.min(config.nCtx, 1024) }: OnnxOptions = {},
): OnnxGraph {
  const forward = new Forward(config, weights, { withPast, positions });
  const logits = forward.logits();
  const { nLayers, nKeyValueHeads, dHead, dVocabOut } = config;
  const length = withPast ? 1 : 'pos';
  const keysAndValues = (prefix: string, axis: string) =>
    Array.from({ length: nLayers }, (_, layer) =>
      ['k', 'v'].map((letter): OnnxValue => {
        return { name: `${prefix}.${layer}.${letter}`, type: 'float32', dims: [1, nKeyValueHeads, axis, dHead] };
      }),
    ).flat();
  const ids = (name: string): OnnxValue => ({ name, type: 'int64', dims: [1, length] });
  return {
    name: `hyaline ${config.modelType}`,
    inputs: withPast ? [ids('input_ids'), ids('position_ids'), ...keysAndValues('past', 'past')] : [ids('input_ids')],
    outputs: [
      { name: logits, type: 'float32', dims: [1, length, dVocabOut] },
      ...(withPast ? keysAndValues('present', 'keys') : []),
    ],
    tensors: forward.builder.tensors,
    nodes: forward.builder.nodes,
  };
}

/** One forward pass, operation by operation. Activations are [1, pos, …], heads [1, head, pos, d_head]. */
class Forward {
  readonly builder = new OnnxBuilder();
  private readonly config: ModelConfig;
  private readonly weights: ReadonlyMap<string, Float32Array>;
  private readonly withPast: boolean;
  private readonly positions: number;

  constructor(
    config: ModelConfig,
    weights: ReadonlyMap<string, Float32Array>,
    { withPast, positions }: Required<OnnxOptions>,
  ) {
    this.config = config;
    this.weights = weights;
    this.withPast = withPast;
    this.positions = positions;
  }

  logits(): string {
    const { config, builder } = this;
    const { nLayers, dModel, dVocab, dVocabOut, nCtx } = config;
    const table = this.weight('embed.W_E', dVocab, dModel);
    let residual = builder.node('Gather', [table, 'input_ids'], { axis: { int: 0 } });
    if (config.positionalEmbeddingType === 'standard') {
      residual = this.add(residual, this.rowsOfPositions(this.weight('pos_embed.W_pos', nCtx, dModel)));
    }
    for (let layer = 0; layer < nLayers; layer++) residual = this.block(layer, residual);
    const last = this.norm('ln_final', config.finalNormalizationType, residual);
    const unembedded = this.linear(last, this.weight('unembed.W_U', dModel, dVocabOut), 'unembed.b_U');
    const cap = config.outputLogitsSoftCap;
    return builder.node('Identity', [cap === null ? unembedded : this.softCap(unembedded, cap)], {}, 'logits');
  }

  private block(layer: number, residual: string): string {
    const { config } = this;
    const afterAttention = this.add(
      residual,
      this.attention(layer, this.norm(`blocks.${layer}.ln1`, config.normalizationType, residual)),
    );
    if (config.attnOnly) return afterAttention;
    return this.add(
      afterAttention,
      this.mlp(`blocks.${layer}.mlp`, this.norm(`blocks.${layer}.ln2`, config.normalizationType, afterAttention)),
    );
  }

  private attention(layer: number, x: string): string {
    const { config, builder } = this;
    const { nHeads, nKeyValueHeads, dHead, dModel, attnScale, attnScoresSoftCap } = config;
    const attn = `blocks.${layer}.attn`;
    const isRotary = config.positionalEmbeddingType === 'rotary';
    const rotated = (heads: string) => (isRotary ? this.rotate(heads) : heads);
    const q = rotated(this.heads(attn, 'Q', { x, heads: nHeads }));
    let k = rotated(this.heads(attn, 'K', { x, heads: nKeyValueHeads }));
    let v = this.heads(attn, 'V', { x, heads: nKeyValueHeads });
    if (this.withPast) {
      const behindPast = (letter: string, now: string) =>
        builder.node('Concat', [`past.${layer}.${letter}`, now], { axis: { int: 2 } }, `present.${layer}.${letter}`);
      k = behindPast('k', k);
      v = behindPast('v', v);
    }
    if (nKeyValueHeads !== nHeads) {
      const of = builder.ints(
        ...Array.from({ length: nHeads }, (_, head) => Math.floor((head * nKeyValueHeads) / nHeads)),
      );
      k = builder.node('Gather', [k, of], { axis: { int: 1 } });
      v = builder.node('Gather', [v, of], { axis: { int: 1 } });
    }
    const transposed = builder.node('Transpose', [k], { perm: { ints: [0, 1, 3, 2] } });
    let scores = builder.node('Div', [builder.node('MatMul', [q, transposed]), builder.scalar(attnScale)]);
    if (attnScoresSoftCap !== null) scores = this.softCap(scores, attnScoresSoftCap);
    if (!this.withPast) scores = this.add(scores, this.mask()); // all of the past may be looked at
    const pattern = builder.node('Softmax', [scores], { axis: { int: -1 } });
    const z = builder.node('Transpose', [builder.node('MatMul', [pattern, v])], { perm: { ints: [0, 2, 1, 3] } });
    const flat = builder.node('Reshape', [z, builder.ints(1, -1, nHeads * dHead)]);
    // W_O is [n_heads, d_head, d_model]: the heads' rows lie one below the other already.
    const w = builder.floats(`${attn}.W_O`, [nHeads * dHead, dModel], this.data(`${attn}.W_O`));
    return this.linear(flat, w, `${attn}.b_O`);
  }

  /** Queries, keys or values. */
  private heads(attn: string, letter: string, { x, heads }: { x: string; heads: number }): string {
    const { builder } = this;
    const { dModel, dHead } = this.config;
    const name = `${attn}.W_${letter}`;
    const w = builder.floats(name, [dModel, heads * dHead], headsSideBySide(this.data(name), [heads, dModel, dHead]));
    const flat = this.linear(x, w, `${attn}.b_${letter}`);
    const split = builder.node('Reshape', [flat, builder.ints(1, -1, heads, dHead)]);
    return builder.node('Transpose', [split], { perm: { ints: [0, 2, 1, 3] } });
  }

  /** The first `rotaryDim` elements of each head: element i with element i + rotaryDim / 2. */
  private rotate(heads: string): string {
    const { builder } = this;
    const { rotaryDim, dHead } = this.config;
    const half = rotaryDim / 2;
    const part = (from: number, to: number) =>
      builder.node('Slice', [heads, builder.ints(from), builder.ints(to), builder.ints(3)]);
    const [first, second] = [part(0, half), part(half, rotaryDim)];
    const [cos, sin] = [Math.cos, Math.sin].map((f) => this.rowsOfPositions(this.rotaryTable(f)));
    const times = (a: string, b: string) => builder.node('Mul', [a, b]);
    const parts = [
      builder.node('Sub', [times(first, cos), times(second, sin)]),
      this.add(times(second, cos), times(first, sin)),
      ...(rotaryDim < dHead ? [part(rotaryDim, dHead)] : []),
    ];
    return builder.node('Concat', parts, { axis: { int: 3 } });
  }

  private rotaryTable(f: (angle: number) => number): string {
    const { rotaryDim, rotaryBase } = this.config;
    const half = rotaryDim / 2;
    const data = Array.from({ length: this.positions * half }, (_, at) =>
      f(Math.floor(at / half) * rotaryBase ** ((-2 * (at % half)) / rotaryDim)),
    );
    return this.builder.floats(`rotary ${f.name}`, [this.positions, half], data);
  }

  /** Rows of a table [position, …] for the tokens of this run. */
  private rowsOfPositions(table: string): string {
    const { builder } = this;
    if (this.withPast) return builder.node('Gather', [table, 'position_ids'], { axis: { int: 0 } });
    return builder.node('Slice', [table, builder.ints(0), this.length(), builder.ints(0)]);
  }

  /** What is added to scores [1, head, query, key]: `MASKED` where the key comes after the query. */
  private mask(): string {
    const { builder, positions } = this;
    const data = Float32Array.from({ length: positions * positions }, (_, at) =>
      at % positions > Math.floor(at / positions) ? MASKED : 0,
    );
    const whole = builder.floats('mask', [positions, positions], data);
    const rows = builder.node('Slice', [whole, builder.ints(0), this.length(), builder.ints(0)]);
    return builder.node('Slice', [rows, builder.ints(0), this.length(), builder.ints(1)]);
  }

  /** Number of tokens of this run. */
  private length(): string {
    const { builder } = this;
    const shape = builder.node('Shape', ['input_ids']);
    return builder.node('Slice', [shape, builder.ints(1), builder.ints(2), builder.ints(0)]);
  }

  private mlp(name: string, x: string): string {
    const { builder } = this;
    const { dModel, dMlp, gatedMlp } = this.config;
    const wIn = this.weight(`${name}.W_in`, dModel, dMlp);
    let post: string;
    if (gatedMlp) {
      const gate = this.activate(builder.node('MatMul', [x, this.weight(`${name}.W_gate`, dModel, dMlp)]));
      post = this.shift(builder.node('Mul', [gate, builder.node('MatMul', [x, wIn])]), `${name}.b_in`);
    } else {
      post = this.activate(this.linear(x, wIn, `${name}.b_in`));
    }
    return this.linear(post, this.weight(`${name}.W_out`, dMlp, dModel), `${name}.b_out`);
  }

  private activate(x: string): string {
    const { builder } = this;
    const times = (a: string, b: string) => builder.node('Mul', [a, b]);
    const halfOfOnePlus = (y: string) => times(times(x, this.add(y, builder.scalar(1))), builder.scalar(0.5));
    switch (this.config.actFn) {
      case 'relu':
        return builder.node('Relu', [x]);
      case 'silu':
        return times(x, builder.node('Sigmoid', [x]));
      case 'gelu':
        return halfOfOnePlus(builder.node('Erf', [times(x, builder.scalar(Math.SQRT1_2))]));
      case 'gelu_new': {
        const cube = times(times(x, x), x);
        const inner = this.add(x, times(cube, builder.scalar(0.044715)));
        return halfOfOnePlus(builder.node('Tanh', [times(inner, builder.scalar(Math.sqrt(2 / Math.PI)))]));
      }
    }
  }

  private norm(name: string, type: ModelConfig['normalizationType'], x: string): string {
    const { builder } = this;
    const { dModel, eps } = this.config;
    if (type === null) return x;
    const gain = () =>
      type === 'LN' || type === 'RMS'
        ? this.weight(`${name}.w`, dModel)
        : builder.floats('ones', [dModel], new Float32Array(dModel).fill(1));
    if (type === 'LN' || type === 'LNPre') {
      const shift = type === 'LN' && this.weights.has(`${name}.b`) ? [this.weight(`${name}.b`, dModel)] : [];
      return builder.node('LayerNormalization', [x, gain(), ...shift], { axis: { int: -1 }, epsilon: { float: eps } });
    }
    const squares = builder.node('ReduceMean', [builder.node('Mul', [x, x])], { axes: { ints: [-1] } });
    const scale = builder.node('Sqrt', [this.add(squares, builder.scalar(eps))]);
    return builder.node('Mul', [builder.node('Div', [x, scale]), gain()]);
  }

  private softCap(x: string, cap: number): string {
    const limit = this.builder.scalar(cap);
    return this.builder.node('Mul', [this.builder.node('Tanh', [this.builder.node('Div', [x, limit])]), limit]);
  }

  private add(a: string, b: string): string {
    return this.builder.node('Add', [a, b]);
  }

  private linear(x: string, w: string, bias: string): string {
    return this.shift(this.builder.node('MatMul', [x, w]), bias);
  }

  private shift(x: string, bias: string): string {
    const data = this.weights.get(bias);
    return data ? this.add(x, this.builder.floats(bias, [data.length], data)) : x;
  }

  private weight(name: string, ...dims: readonly number[]): string {
    return this.builder.floats(name, dims, this.data(name));
  }

  private data(name: string): Float32Array {
    const data = this.weights.get(name);
    if (data) return data;
    if (name !== 'unembed.W_U') throw new Error(`onnx: the weight ${name} is missing.`);
    const { dVocab, dModel } = this.config; // a tied embedding's transpose
    const embedding = this.data('embed.W_E');
    return Float32Array.from(embedding, (_, at) => embedding[(at % dVocab) * dModel + Math.floor(at / dVocab)]);
  }
}

/** [heads, d_model, d_head] to [d_model, heads · d_head]; a bias [heads, d_head] needs none of this. */
function headsSideBySide(data: Float32Array, [heads, dModel, dHead]: readonly number[]): Float32Array {
  const out = new Float32Array(data.length);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < dModel; row++) {
      const from = (head * dModel + row) * dHead;
      out.set(data.subarray(from, from + dHead), (row * heads + head) * dHead);
    }
  }
  return out;
}

/** `repeat` products one after the other: out = x·W·W…, with x [rows, d_in] an input and W [d_in, d_out] part of the file. */
export function onnxProduct(
  { rows, dIn, dOut, repeat = 1 }: { rows: number; dIn: number; dOut: number; repeat?: number },
  w: Float32Array,
): OnnxGraph {
  const builder = new OnnxBuilder();
  const weight = builder.floats('W', [dIn, dOut], w);
  let last = 'x';
  for (let i = 0; i < repeat; i++)
    last = builder.node('MatMul', [last, weight], {}, i === repeat - 1 ? 'out' : undefined);
  return {
    name: 'product',
    inputs: [{ name: 'x', type: 'float32', dims: [rows, dIn] }],
    outputs: [{ name: 'out', type: 'float32', dims: [rows, dOut] }],
    tensors: builder.tensors,
    nodes: builder.nodes,
  };
}
