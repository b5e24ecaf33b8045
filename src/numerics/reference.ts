// The float64 forward pass of every supported transformer: each value that has a hook, in firing order, with a bound on the
// error of the engine's float32 value. It is what the engine is checked against, so it shares nothing with the kernels
// and the graph. For its speed see the engine; for what each step may get wrong, `error_model.ts`.

import type { ModelConfig, NormalizationType } from '../engine/config.ts';
import {
  headResults,
  maskFuture,
  projectToHeads,
  rotate,
  scaledDotProducts,
  softmax,
  sumOverHeads,
  weightedValues,
} from './bounded_attention.ts';
import {
  activate,
  add,
  alreadyCentred,
  type Bounded,
  centre,
  divideRows,
  gatherRows,
  linear,
  multiplyAndShift,
  rootMeanSquare,
  scaleAndShift,
  softCap,
} from './bounded_operations.ts';

/** One hook's value in float64. */
export interface ReferenceValue {
  name: string;
  shape: number[];
  axes: string[];
  data: Float64Array;
  /**
   * Bound on |float32 engine value − data| per element; Infinity where rounding may have destroyed the value. Masked attention
   * scores are −Infinity with a bound of 0: compare those for equality.
   *
   * Worst cases multiply by the absolute row sums of every weight they pass, so bounds of errors since the embedding grow by
   * orders of magnitude per block and say little after the first. With the engine's own values `given`, each bound is that of
   * one operation, and tight.
   */
  bound: Float64Array;
}

/**
 * Every hook value of a forward pass over equally long rows of tokens, keyed by name, in firing order.
 * Weights have TransformerLens's names and layouts, as `weightSpecs` lists them; a bias that is absent is zero.
 *
 * Values that are `given` by name stand in, as exact ones, wherever the computed value would have been used; the result holds the
 * computed one. Given all values of an engine's run, each result is what one operation makes of the engine's own inputs, and
 * its bound what that operation may get wrong (the local error). Given one edited value, the results after it are those
 * of the intervention.
 * @example
 * const values = referenceForward(config, weights, [[1, 2, 3]]);
 * values.get('blocks.0.attn.hook_pattern').shape; // [1, n_heads, 3, 3]
 */
export function referenceForward(
  config: ModelConfig,
  weights: ReadonlyMap<string, Float32Array>,
  tokens: number[][],
  given: ReadonlyMap<string, ArrayLike<number>> = new Map(),
): Map<string, ReferenceValue> {
  const values = new Map<string, ReferenceValue>();
  const pass = referenceValues(config, weights, tokens);
  for (let step = pass.next(); !step.done; step = pass.next(given.get(step.value.name))) {
    values.set(step.value.name, step.value);
  }
  const unknown = [...given.keys()].filter((name) => !values.has(name));
  if (unknown.length > 0)
    throw new Error(`reference: given values that this model does not have: ${unknown.join(', ')}.`);
  return values;
}

/**
 * The same pass one value at a time, for callers that do not want to hold all of them, or to wait for all of them. Each value comes
 * before anything that uses it is computed; numbers passed to `next` stand in for it, as `given` ones do.
 * @example
 * const pass = referenceValues(config, weights, [[1, 2, 3]]);
 * for (let step = pass.next(); !step.done; step = pass.next(engine.get(step.value.name))) console.log(step.value.name);
 */
export function* referenceValues(
  config: ModelConfig,
  weights: ReadonlyMap<string, Float32Array>,
  tokens: number[][],
): Pass<void> {
  const { nLayers, dModel, nHeads, nKeyValueHeads, dHead, dMlp, dVocab, dVocabOut, actFn } = config;
  const batch = tokens.length;
  const pos = tokens[0]?.length ?? 0;
  const activations = [batch, pos, dModel];
  checkTokens(config, tokens);

  const weight = (name: string, ...shape: number[]) => readWeight(weights, name, shape);
  const bias = (name: string, ...shape: number[]) =>
    weights.has(name) ? readWeight(weights, name, shape) : new Float32Array(size(shape));

  function* norm(name: string, type: NormalizationType, x: Bounded): Pass<Bounded> {
    if (type === null) return x;
    const centred = type === 'LN' || type === 'LNPre' ? centre(x) : alreadyCentred(x);
    const scale = yield* record(`${name}.hook_scale`, rootMeanSquare(centred, config.eps));
    const normalized = yield* record(`${name}.hook_normalized`, divideRows(centred, scale));
    if (type === 'LNPre' || type === 'RMSPre') return normalized;
    const shift = type === 'LN' ? bias(`${name}.b`, dModel) : null;
    return yield* record(`${name}.hook_out`, scaleAndShift(normalized, weight(`${name}.w`, dModel), shift));
  }

  const embedding = weight('embed.W_E', dVocab, dModel);
  let residual = yield* record('hook_embed', gatherRows(embedding, tokens.flat(), activations));
  if (config.positionalEmbeddingType === 'standard') {
    const positions = tokens.flatMap((row) => row.map((_, position) => position));
    const table = weight('pos_embed.W_pos', config.nCtx, dModel);
    residual = add(residual, yield* record('hook_pos_embed', gatherRows(table, positions, activations)));
  }

  for (let layer = 0; layer < nLayers; layer++) {
    const block = `blocks.${layer}`;
    residual = yield* record(`${block}.hook_resid_pre`, residual);

    const attn = `${block}.attn`;
    const attnIn = yield* norm(`${block}.ln1`, config.normalizationType, residual);
    const project = (letter: string, heads: number) =>
      projectToHeads(
        attnIn,
        weight(`${attn}.W_${letter}`, heads, dModel, dHead),
        bias(`${attn}.b_${letter}`, heads, dHead),
        dHead,
      );
    let q = yield* record(`${attn}.hook_q`, project('Q', nHeads));
    let k = yield* record(`${attn}.hook_k`, project('K', nKeyValueHeads));
    const v = yield* record(`${attn}.hook_v`, project('V', nKeyValueHeads));
    if (config.positionalEmbeddingType === 'rotary') {
      q = yield* record(`${attn}.hook_rot_q`, rotate(q, config.rotaryDim, config.rotaryBase));
      k = yield* record(`${attn}.hook_rot_k`, rotate(k, config.rotaryDim, config.rotaryBase));
    }
    let scores = scaledDotProducts(q, k, config.attnScale);
    if (config.attnScoresSoftCap !== null) scores = softCap(scores, config.attnScoresSoftCap);
    scores = yield* record(`${attn}.hook_attn_scores`, maskFuture(scores));
    const pattern = yield* record(`${attn}.hook_pattern`, softmax(scores));
    const z = yield* record(`${attn}.hook_z`, weightedValues(pattern, v));
    const result = yield* record(
      `${attn}.hook_result`,
      headResults(z, weight(`${attn}.W_O`, nHeads, dHead, dModel), dModel),
    );
    const attnOut = yield* record(`${block}.hook_attn_out`, sumOverHeads(result, bias(`${attn}.b_O`, dModel)));
    residual = add(residual, attnOut);

    if (!config.attnOnly) {
      const mlp = `${block}.mlp`;
      residual = yield* record(`${block}.hook_resid_mid`, residual);
      const mlpResidual = yield* record(`${block}.hook_mlp_in`, residual);
      const mlpIn = yield* norm(`${block}.ln2`, config.normalizationType, mlpResidual);
      const wIn = weight(`${mlp}.W_in`, dModel, dMlp);
      const bIn = bias(`${mlp}.b_in`, dMlp);
      let post: Bounded;
      if (config.gatedMlp) {
        const wGate = weight(`${mlp}.W_gate`, dModel, dMlp);
        const pre = yield* record(`${mlp}.hook_pre`, linear(mlpIn, wGate, null, 'd_mlp'));
        const preLinear = yield* record(`${mlp}.hook_pre_linear`, linear(mlpIn, wIn, null, 'd_mlp'));
        const gate = yield* record(`${mlp}.hook_gate`, activate(pre, actFn));
        post = multiplyAndShift(gate, preLinear, bIn);
      } else {
        const pre = yield* record(`${mlp}.hook_pre`, linear(mlpIn, wIn, bIn, 'd_mlp'));
        post = activate(pre, actFn);
      }
      post = yield* record(`${mlp}.hook_post`, post);
      const wOut = weight(`${mlp}.W_out`, dMlp, dModel);
      const mlpOut = linear(post, wOut, bias(`${mlp}.b_out`, dModel), 'd_model');
      residual = add(residual, yield* record(`${block}.hook_mlp_out`, mlpOut));
    }
    residual = yield* record(`${block}.hook_resid_post`, residual);
  }

  residual = yield* record('unembed.hook_in', yield* norm('ln_final', config.finalNormalizationType, residual));
  const unembedding = config.tiedEmbedding
    ? transpose(embedding, dVocab, dModel)
    : weight('unembed.W_U', dModel, dVocabOut);
  const unembedded = yield* record(
    'unembed.hook_out',
    linear(residual, unembedding, bias('unembed.b_U', dVocabOut), 'd_vocab_out'),
  );
  const cap = config.outputLogitsSoftCap;
  yield* record('logits', cap === null ? unembedded : softCap(unembedded, cap));
}

/** A pass in progress: values come out, what stands in for them goes in. */
type Pass<Result> = Generator<ReferenceValue, Result, ArrayLike<number> | undefined>;

/** Hands out a value, and gives what the pass goes on with. */
function* record(name: string, value: Bounded): Pass<Bounded> {
  const bound = value.bound.map((b) => (Number.isNaN(b) ? Number.POSITIVE_INFINITY : b)); // 0 · Infinity
  const replacement = yield { ...value, name, bound };
  return replacement === undefined ? { ...value, bound } : exactly(name, value, replacement);
}

/** A given value in place of a computed one. */
function exactly(name: string, computed: Bounded, given: ArrayLike<number>): Bounded {
  if (given.length !== computed.data.length) {
    throw new Error(
      `reference: expected ${computed.data.length} elements for the given ${name} [${computed.shape.join(', ')}], got ${given.length}.`,
    );
  }
  return { ...computed, data: Float64Array.from(given), bound: new Float64Array(given.length) };
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

function readWeight(weights: ReadonlyMap<string, Float32Array>, name: string, shape: readonly number[]): Float32Array {
  const data = weights.get(name);
  const wanted = `${name} [${shape.join(', ')}]`;
  if (data === undefined) throw new Error(`reference: the weight ${wanted} is missing.`);
  if (data.length !== size(shape)) {
    throw new Error(`reference: expected ${size(shape)} elements for the weight ${wanted}, got ${data.length}.`);
  }
  return data;
}

/** `[rows, columns]` to `[columns, rows]`. */
function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = matrix[row * columns + column];
  }
  return out;
}

function checkTokens(config: ModelConfig, tokens: number[][]): void {
  const lengths = [...new Set(tokens.map((row) => row.length))];
  if (lengths.length !== 1 || lengths[0] < 1) {
    throw new Error(`tokens: expected rows of one length, at least 1; got lengths ${lengths.join(', ') || 'none'}.`);
  }
  if (lengths[0] > config.nCtx) {
    throw new Error(`tokens: expected at most ${config.nCtx} per row (n_ctx), got ${lengths[0]}.`);
  }
  const unknown = tokens.flat().filter((token) => !Number.isInteger(token) || token < 0 || token >= config.dVocab);
  if (unknown.length > 0) {
    throw new Error(`tokens: expected integers from 0 to ${config.dVocab - 1}, got ${unknown.join(', ')}.`);
  }
}
