// What engines are given to do, with the float64 result and how far from it a float32 engine may be, whatever the order of its sums:
// runs and decoding of the model, and single operations at its shapes. Not for timing.
import type * as Hyaline from '../src/index.ts';
import { dotRoundings, gamma, SMALLEST_NORMAL, U } from '../src/kernels/kernel.ts';
import { compare } from '../test/kernels/compare.ts';
import { checkLogits } from './checks.ts';
import type { Check } from './result.ts';

type Model = Hyaline.Model;

interface TaskBase {
  /** The row's name: the same for every engine. */
  readonly name: string;
  /** Rows of the input. */
  readonly tokens: number;
  /** How many times the thing is done in one go; a sample is one such part. */
  readonly count: number;
  /** Compares a result with float64. */
  readonly check: (got: Float32Array) => Check;
}

/** One run: logits [pos, d_vocab]. */
export interface RunTask extends TaskBase {
  readonly kind: 'run';
  readonly ids: readonly number[];
}

/** Tokens one after the other behind a context: the last one's logits; all are read. */
export interface DecodeTask extends TaskBase {
  readonly kind: 'decode';
  readonly context: readonly number[];
  readonly ids: readonly number[];
  /** By layer: keys and values [n_key_value_heads, context − 1, d_head] of all of the context but its last token. */
  readonly past: readonly { readonly k: Float32Array<ArrayBuffer>; readonly v: Float32Array<ArrayBuffer> }[];
}

/** x·W, or x·W·W… `count` times: x [tokens, dIn], W [dIn, dOut]. */
export interface ProductTask extends TaskBase {
  readonly kind: 'product';
  readonly dIn: number;
  readonly dOut: number;
  readonly x: Float32Array<ArrayBuffer>;
  readonly w: Float32Array<ArrayBuffer>;
}

/** Softmax of each row of x [tokens, columns]. */
export interface SoftmaxTask extends TaskBase {
  readonly kind: 'softmax';
  readonly columns: number;
  readonly x: Float32Array<ArrayBuffer>;
}

/** Layer norm of each row of x [tokens, columns], with gain and shift. */
export interface NormTask extends TaskBase {
  readonly kind: 'norm';
  readonly columns: number;
  readonly x: Float32Array<ArrayBuffer>;
  readonly w: Float32Array<ArrayBuffer>;
  readonly b: Float32Array<ArrayBuffer>;
  readonly eps: number;
}

export type Task = RunTask | DecodeTask | ProductTask | SoftmaxTask | NormTask;
export type OperationTask = ProductTask | SoftmaxTask | NormTask;

/** The model's weights by name, as float64 reference and ONNX writer want them. */
export async function readWeights(model: Model): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const name of model.weightNames()) weights.set(name, (await model.weight(name)).data);
  return weights;
}

/** What runs and decodes are made of. */
export interface ModelWork {
  readonly lengths: readonly number[];
  readonly contexts: readonly number[];
  /** Tokens decoded behind each context. */
  readonly decoded: number;
  /** The first tokens of one text, whatever their number. */
  readonly input: (length: number) => number[];
  readonly names: { readonly run: string; readonly decode: string };
}

/**
 * Runs and decodes of a model. All are of the beginning of one text, so one float64 pass over the longest serves them all.
 *
 * What another engine's logits are held to: the largest error of ours over that text, times `orderSlack`. Each operation of ours is
 * within its bound of float64, which counts the roundings of our order of sums; in the worst order it may be `orderSlack` times as
 * large, and errors travel on from there in the same way.
 */
export async function modelTasks(
  { referenceForward }: typeof Hyaline,
  model: Model,
  weights: ReadonlyMap<string, Float32Array>,
  { lengths, contexts, decoded, input, names }: ModelWork,
): Promise<(RunTask | DecodeTask)[]> {
  const longest = input(Math.max(...lengths, ...contexts.map((context) => context + decoded)));
  const { config } = model;
  const { dVocabOut, nKeyValueHeads, dHead, nLayers } = config;
  const exact = referenceForward(config, weights as Map<string, Float32Array>, [longest]).get('logits')!.data;
  const { logits, cache } = await model.runWithCache(longest, { names: keysAndValues });
  const ours = logits.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - exact[i])), 0);
  const tolerance = ours * orderSlack(model.config, longest.length);
  const check = (name: string, first: number, end: number) => (got: Float32Array) => {
    const want = exact.subarray(first * dVocabOut, end * dVocabOut);
    const { detail, ...rest } = checkLogits(`${name} against float64`, { got, want, dVocab: dVocabOut, tolerance });
    return { ...rest, detail: `${detail}; limit ${tolerance.toExponential(1)}` };
  };
  const tasks: (RunTask | DecodeTask)[] = lengths.map((length) => {
    const name = names.run;
    const checked = check(`logits of ${length} tokens`, 0, length);
    return { kind: 'run', name, tokens: length, count: 1, ids: input(length), check: checked };
  });
  const kept = new Map<string, Float32Array>();
  for (let layer = 0; layer < nLayers; layer++) {
    for (const letter of ['k', 'v'] as const) {
      const name = keyOrValue(config, layer, letter);
      kept.set(name, (await cache.read(name)).data);
    }
  }
  cache.destroy();
  for (const context of contexts) {
    const first = (layer: number, letter: 'k' | 'v') =>
      headsFirst(kept.get(keyOrValue(config, layer, letter))!, [context - 1, nKeyValueHeads, dHead]);
    const last = context + decoded;
    tasks.push({
      kind: 'decode',
      name: names.decode,
      tokens: context,
      count: decoded,
      context: input(context),
      ids: input(last).slice(context),
      past: Array.from({ length: nLayers }, (_, layer) => ({ k: first(layer, 'k'), v: first(layer, 'v') })),
      check: check(`logits of token ${last}, decoded`, last - 1, last),
    });
  }
  return tasks;
}

const keysAndValues = (name: string) => /\.attn\.hook_(k|rot_k|v)$/.test(name);

/** What a key-value cache holds: rotated keys where there is a rotation. */
const keyOrValue = ({ positionalEmbeddingType }: Model['config'], layer: number, letter: 'k' | 'v') =>
  `blocks.${layer}.attn.hook_${letter === 'k' && positionalEmbeddingType === 'rotary' ? 'rot_k' : letter}`;

/** [pos, head, d_head], of which the first positions are wanted, to [head, pos, d_head]. */
function headsFirst(data: Float32Array, [pos, heads, dHead]: readonly number[]): Float32Array<ArrayBuffer> {
  const out = new Float32Array(pos * heads * dHead);
  for (let at = 0; at < out.length; at += dHead) {
    const [head, position] = [Math.floor(at / dHead / pos), Math.floor(at / dHead) % pos];
    const from = (position * heads + head) * dHead;
    out.set(data.subarray(from, from + dHead), at);
  }
  return out;
}

/** The largest quotient, over the lengths of the model's sums, of what the worst order of a sum may err by and what ours may. */
export function orderSlack({ dModel, dMlp, nHeads, dHead }: Model['config'], keys: number): number {
  const lengths = [dModel, dMlp, nHeads * dHead, dHead, keys].filter((length) => length > 0);
  return Math.max(...lengths.map((length) => gamma(length) / gamma(dotRoundings(length)), 1));
}

/** Values about as large as activations, the same in every engine. */
function values(count: number, seed: number, size = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from(
    { length: count },
    (_, i) => size * Math.SQRT2 * Math.sin((i + 1) * (seed + 0.618) + (i % 97) ** 2),
  );
}

/** Rows that are compared of several products in a row, which would take seconds: rows do not depend on one another. */
const COMPARED_ROWS = 32;

interface ProductSizes {
  readonly rows: number;
  readonly dIn: number;
  readonly dOut: number;
  /** Products in a row; then W is square, its size a power of two. */
  readonly count?: number;
}

export function productTask(name: string, { rows, dIn, dOut, count = 1 }: ProductSizes): ProductTask {
  const x = values(rows * dIn, 1);
  const w = count > 1 ? orthonormal(dIn) : values(dIn * dOut, 2, 1 / Math.sqrt(dIn)); // of about unit gain
  const comparedRows = count > 1 ? Math.min(rows, COMPARED_ROWS) : rows;
  const compared = Array.from({ length: comparedRows }, (_, i) => Math.floor((i * rows) / comparedRows));
  const exact = once(() => products({ x, w, dIn, dOut, count }, compared));
  const check = (got: Float32Array) => {
    const isWhole = got.length === rows * dOut;
    const picked = compared.flatMap((row) => (isWhole ? [...got.subarray(row * dOut, (row + 1) * dOut)] : []));
    return within(name, Float32Array.from(picked), exact());
  };
  return { kind: 'product', name, tokens: rows, count, dIn, dOut, x, w, check };
}

/** Sylvester's Hadamard matrix over √size, with the signs of its rows mixed: no error grows on its way through it. */
function orthonormal(size: number): Float32Array<ArrayBuffer> {
  const isOdd = (bits: number) => bits.toString(2).replaceAll('0', '').length % 2;
  return Float32Array.from({ length: size * size }, (_, at) => {
    const [row, column] = [Math.floor(at / size), at % size];
    return (isOdd(row & column) ? -1 : 1) * (row % 3 === 1 ? -1 : 1) * Math.sqrt(1 / size);
  });
}

/**
 * Rows of x·W·W… and their bounds: a product adds γ over dIn roundings, which is any order of its sums, times |x|·|W|. What came before
 * goes through |W|; or, where W is orthonormal, through W: then the 2-norm of a row's error is the sum of what each product adds (W's
 * own rounding, 2⁻²⁴ relative, is within 1 %), and no element is off by more.
 */
function products(task: Pick<ProductTask, 'x' | 'w' | 'dIn' | 'dOut' | 'count'>, rows: readonly number[]) {
  const { x, w, dIn, dOut, count } = task;
  const want = new Float64Array(rows.length * dOut);
  const bound = new Float64Array(rows.length * dOut);
  rows.forEach((row, at) => {
    let value = Float64Array.from(x.subarray(row * dIn, (row + 1) * dIn));
    let norm = 0;
    let added = new Float64Array(dOut);
    for (let i = 0; i < count; i++) {
      const next = new Float64Array(dOut);
      added = new Float64Array(dOut).fill(2 * dIn * SMALLEST_NORMAL);
      for (let k = 0; k < dIn; k++) {
        const most = gamma(dIn) * (Math.abs(value[k]) + norm);
        for (let n = 0; n < dOut; n++) {
          next[n] += value[k] * w[k * dOut + n];
          added[n] += most * Math.abs(w[k * dOut + n]);
        }
      }
      norm = 1.01 * (norm + Math.hypot(...added));
      value = next;
    }
    want.set(value, at * dOut);
    bound.set(count === 1 ? added : added.fill(norm), at * dOut);
  });
  return { want, bound };
}

export function softmaxTask(name: string, { rows, columns }: Record<'rows' | 'columns', number>): SoftmaxTask {
  const x = values(rows * columns, 3, 3);
  const exact = once(() => softmaxes(x, columns));
  return { kind: 'softmax', name, tokens: rows, count: 1, columns, x, check: (got) => within(name, got, exact()) };
}

/**
 * The difference from the maximum d is rounded once, which the exponential turns into a relative error of u·d; WGSL's own exponential
 * may be 3 + 2·d ULP off (WGSL §15.7.4), an ULP being 2u. The total has the weighted mean of those and γ of its additions in any order.
 * The quotient may be 2.5 ULP off, or be a product with a reciprocal: half an ULP more. Second-order terms: 1 %.
 */
function softmaxes(x: Float32Array, columns: number) {
  const want = new Float64Array(x.length);
  const bound = new Float64Array(x.length);
  for (let first = 0; first < x.length; first += columns) {
    const row = Float64Array.from(x.subarray(first, first + columns));
    const maximum = Math.max(...row);
    const weights = row.map((value) => Math.exp(value - maximum));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const relative = row.map((value) => U * (maximum - value) + 2 * U * (3 + 2 * (maximum - value)));
    const ofTotal = relative.reduce((sum, error, i) => sum + (error * weights[i]) / total, gamma(columns));
    for (let i = 0; i < columns; i++) {
      want[first + i] = weights[i] / total;
      bound[first + i] = 1.01 * want[first + i] * (relative[i] + ofTotal + 2 * U * 3) + 2 * SMALLEST_NORMAL;
    }
  }
  return { want, bound };
}

export function normTask(name: string, { rows, columns }: Record<'rows' | 'columns', number>): NormTask {
  const x = values(rows * columns, 4, 2);
  const w = values(columns, 5, 0.2).map((value) => 1 + value);
  const b = values(columns, 6, 0.1);
  const eps = 1e-5;
  const exact = once(() => norms({ x, w, b, eps, columns }));
  return {
    kind: 'norm',
    name,
    tokens: rows,
    count: 1,
    columns,
    x,
    w,
    b,
    eps,
    check: (got) => within(name, got, exact()),
  };
}

/**
 * The mean is off by δ ≤ γ·mean|x| over its additions in any order and a division (2.5 ULP, or a product with a rounded 1/n). The mean
 * of squares is off by γ of centring twice, squaring, additions, division, and δ² (Σ(x − mean − δ)² = Σ(x − mean)² + n·δ²); ε and its
 * addition are two roundings more. Half of that is left after the root, which may be 4.5 ULP off as 1/inverseSqrt; the quotient 2.5.
 * Then centring, gain and shift: three roundings. Second-order terms: 1 %.
 */
function norms({ x, w, b, eps, columns }: Pick<NormTask, 'x' | 'w' | 'b' | 'eps' | 'columns'>) {
  const want = new Float64Array(x.length);
  const bound = new Float64Array(x.length);
  for (let first = 0; first < x.length; first += columns) {
    const row = Float64Array.from(x.subarray(first, first + columns));
    const mean = row.reduce((sum, value) => sum + value, 0) / columns;
    const magnitude = row.reduce((sum, value) => sum + Math.abs(value), 0) / columns;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / columns;
    const scale = Math.sqrt(variance + eps);
    const delta = gamma(columns + 6) * magnitude;
    const ofScale = 0.5 * (gamma(columns + 11) + (delta / scale) ** 2) + 2 * U * 4.5;
    for (let i = 0; i < columns; i++) {
      const normalized = (row[i] - mean) / scale;
      want[first + i] = normalized * w[i] + b[i];
      const error = delta / scale + Math.abs(normalized) * (ofScale + 2 * U * 2.5 + U);
      const ofRounding = U * (2 * Math.abs(normalized * w[i]) + Math.abs(want[first + i]));
      bound[first + i] = 1.01 * (error * Math.abs(w[i]) + ofRounding) + 8 * SMALLEST_NORMAL;
    }
  }
  return { want, bound };
}

/** NaN and another length are not within. */
function within(name: string, got: Float32Array, { want, bound }: { want: Float64Array; bound: Float64Array }): Check {
  const what = `${name} against float64`;
  try {
    const share = compare({ what, axes: [{ name: 'element', size: want.length }], got, want, bound });
    return { name: what, passed: true, detail: `largest error ${share.toPrecision(2)} of its bound` };
  } catch (error) {
    return { name: what, passed: false, detail: (error as Error).message };
  }
}

/** Engines share what is slow to compute. */
function once<T>(f: () => T): () => T {
  let value: { readonly of: T } | undefined;
  return () => {
    value ??= { of: f() };
    return value.of;
  };
}
