// Model: what users hold. Runs, continues, reads and writes: every value under its hook name. How it is loaded: `load.ts`.
import type { ModelConfig } from '../engine/config.ts';
import type { RunInput } from '../engine/frame.ts';
import { type Graph, type GraphValue, LOGITS } from '../engine/graph.ts';
import { cachedParts, KeyValueCache, type KeyValueCacheSize } from '../engine/key_value_cache.ts';
import type { MemoryUse } from '../engine/memory.ts';
import { type Plan, type RunShape, valueShape } from '../engine/plan.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { Source, SourceLocation } from '../engine/source.ts';
import type { TokenizeOptions, Tokenizer } from '../engine/tokenizer.ts';
import type { TunedProduct } from '../engine/tuner.ts';
import type { NumberFormat } from '../kernels/formats.ts';
import { checkNumerics, type Numerics } from '../kernels/prelude.ts';
import type { WeightFormat } from '../kernels/weight_formats.ts';
import { ActivationCache, type CachedValue } from './activation_cache.ts';
import type { GenerateOptions, GenerationStep } from './generate.ts';
import type { HookEntry } from './interventions.ts';
import {
  checkResidual,
  computedNames,
  givenBuffer,
  type LayerRange,
  layerRange,
  type ResidualInput,
  streamOutOf,
  withResidual,
} from './layer_range.ts';
import { type LoadOptions, loadModel, type ModelInMemory, type ModelParts } from './load.ts';
import { describeHook, type Hook, type HookNames, selectHooks } from './names.ts';
import type { RoundedWeights, WeightRoundings } from './rounded_weights.ts';
import {
  type AnyResult,
  checkCache,
  checkLogits,
  keysStep,
  OF_LOGITS,
  type RunOptions,
  type RunResult,
  type RunWithCacheOptions,
  type RunWithCacheResult,
  type RunWithoutLogitsOptions,
  type StopOptions,
  type StoppedResult,
  type Submitted,
  wantedLogits,
} from './run_options.ts';
import type { Selection } from './selection.ts';
import type { Tensor } from './tensor.ts';
import { checkTokens, idRows, type TokenBatch, type TokenInput, tokenRows } from './tokens.ts';
import type { TuneOptions } from './tune.ts';
import { runUnembedding } from './unembed.ts';
import { readWeight, selectWeights, type WeightNames } from './weights.ts';
import { planWrites, runWithWrites } from './writes.ts';

/**
 * A transformer on a GPU in which every intermediate value can be read.
 * @example
 * const model = await Model.load('models/circuit-zoo/');
 * const { logits } = await model.run('The capital of France is');
 * const { cache } = await model.runWithCache([0, 407, 440], { names: 'blocks.*.attn.hook_pattern' });
 * const { data, shape } = await cache.read('blocks.0.attn.hook_pattern'); // shape [1, 4, 3, 3]
 * cache.destroy();
 * model.destroy();
 */
export class Model {
  readonly config: ModelConfig;
  /** Every value of the model, in firing order; some are computed only when asked for (`onDemand`). */
  readonly hooks: readonly Hook[];
  /** Null where the checkpoint has no tokenizer.json: then only token ids can be run. */
  readonly tokenizer: Tokenizer | null;
  /** Tokens that end a text, as the checkpoint's config.json names them. */
  readonly eosTokenIds: readonly number[];
  /** What loading noticed, one sentence each. */
  readonly warnings: readonly string[];
  /** What matrices are stored in on the GPU: `LoadOptions.weights`. */
  readonly weightFormat: WeightFormat;
  readonly device: GPUDevice;
  /** @internal */
  readonly runtime: Runtime;
  /** @internal */
  readonly graph: Graph;
  private readonly ownsDevice: boolean;
  private roundings: WeightRoundings | null = null;

  private constructor(parts: ModelParts) {
    this.config = parts.config;
    this.eosTokenIds = parts.eosTokenIds;
    this.graph = parts.graph;
    this.runtime = parts.runtime;
    this.tokenizer = parts.tokenizer;
    this.warnings = parts.warnings;
    this.weightFormat = parts.weightFormat;
    this.device = parts.device;
    this.ownsDevice = parts.ownsDevice;
    this.hooks = [...parts.graph.values.values()].map(describeHook);
  }

  /**
   * Loads a model: downloads or reads the files, checks them, uploads the weights and compiles the kernels.
   * An abort throws `signal.reason` and frees everything; so does any error.
   * @param from a folder's URL or path, `'hf:owner/name@revision'`, `File`s of a file picker, or a model in memory
   */
  static async load(from: SourceLocation | Source | ModelInMemory, options: LoadOptions = {}): Promise<Model> {
    return new Model(await loadModel(from, options));
  }

  /** How runs that do not say otherwise are rounded. */
  get numerics(): Numerics {
    return this.runtime.numerics;
  }

  /** What the model holds on the GPU: weights, plans at rest, caches. */
  get memory(): MemoryUse {
    return this.runtime.memory.use;
  }

  /**
   * Token ids of a text, with the BOS in front unless told otherwise.
   * @throws Error where the model has no tokenizer
   * @example
   * model.toTokens('The capital of France is'); // [0, 407, 440, 337, 1146, 371]
   */
  toTokens(text: string, options: TokenizeOptions = {}): number[] {
    if (!this.tokenizer) {
      throw new Error('tokens: this model has no tokenizer.json, so it cannot read text. Give token ids.');
    }
    return this.tokenizer.textToTokens(text, options);
  }

  private input(
    input: TokenInput | ResidualInput,
    options: RunOptions | StopOptions,
    { start }: LayerRange,
  ): TokenBatch {
    options.signal?.throwIfAborted();
    if (start !== null) {
      const { batch, pos } = checkResidual(input, this.config);
      return { batch, pos, lengths: Array<number>(batch).fill(pos), ids: new Uint32Array(batch * pos) };
    }
    return this.tokenBatch(input as TokenInput, options);
  }

  /**
   * The names that a name, glob, list or predicate means, in firing order.
   * @throws Error where a name or glob matches nothing, with the nearest name
   */
  hookNames(names: HookNames): string[] {
    return selectHooks(this.graph, names);
  }

  /** Names that such a run computes. A name that it does not is an error; globs and predicates pass over it. */
  private computed(names: HookNames, range: LayerRange): string[] {
    const computed = new Set(computedNames(this.graph, range));
    const all = selectHooks(this.graph, names);
    const asked = new Set(typeof names === 'function' ? [] : [names].flat());
    const selected = all.filter((name) => computed.has(name));
    const missing = all.find((name) => asked.has(name) && !computed.has(name)) ?? (selected.length === 0 && all[0]);
    if (missing) {
      const [first, last] = [[...computed][0], [...computed].at(-1)];
      throw new Error(`hooks: ${missing} is not computed in this run, which goes from ${first} to ${last}.`);
    }
    return selected;
  }

  /**
   * One forward pass, with interventions (`hooks`) and kept values (`capture`) if asked for. A warm run (the same shape, captures
   * and kinds of intervention as before) allocates nothing on the GPU.
   * @example
   * const { logits } = await model.run(tokens, { hooks: [['blocks.2.attn.hook_z', zeroAblate({ head: 3 })]] });
   *
   * `startAtLayer` and `stopAtLayer` run a part of the model, as in TransformerLens: what lies outside of it is not computed, and
   * asking for it is an error (globs and predicates pass over it).
   * @example
   * const { residual } = await model.run(tokens, { stopAtLayer: 2 });
   * const { logits } = await model.run(residual, { startAtLayer: 2 }); // the bits of model.run(tokens)
   */
  async run(
    input: TokenInput | ResidualInput,
    options: RunWithoutLogitsOptions & { readonly capture: HookNames },
  ): Promise<Omit<RunWithCacheResult, 'logits'>>;
  async run(input: TokenInput | ResidualInput, options: RunWithoutLogitsOptions): Promise<Omit<RunResult, 'logits'>>;
  async run(
    input: TokenInput | ResidualInput,
    options: StopOptions & { readonly capture: HookNames },
  ): Promise<StoppedResult & { readonly cache: ActivationCache }>;
  async run(input: TokenInput | ResidualInput, options: StopOptions): Promise<StoppedResult>;
  async run(
    input: TokenInput | ResidualInput,
    options: RunOptions & { readonly capture: HookNames },
  ): Promise<RunWithCacheResult>;
  async run(input: TokenInput | ResidualInput, options?: RunOptions): Promise<RunResult>;
  async run(input: TokenInput | ResidualInput, options: RunOptions | StopOptions = {}): Promise<AnyResult> {
    const range = layerRange(this.config, options);
    checkLogits(options);
    if (options.keyValueCache && (range.start !== null || range.stop !== null)) {
      throw new Error('run: a key-value cache needs every block; it cannot be used with startAtLayer or stopAtLayer.');
    }
    return this.forward(input, this.input(input, options, range), options);
  }

  /**
   * @internal Submits a run of an input that has been checked, and that may be padded. Its values are on the GPU: the cache, which is
   * the caller's, has those to capture, and its frame the result too.
   * @param commands what its tokens are if not those of `tokens`, and what comes behind it
   */
  async submit(
    input: TokenInput | ResidualInput,
    tokens: TokenBatch,
    options: RunOptions | StopOptions,
    commands: Partial<Pick<RunInput, 'ids' | 'afterwards'>> = {},
  ): Promise<Submitted> {
    const range = layerRange(this.config, options);
    const { batch, pos, ids } = tokens;
    const past = options.keyValueCache;
    const numerics = checkNumerics(options.numerics ?? this.numerics);
    const keys = past ? checkCache(past, tokens, this.config) : pos;
    const text = past && { firstPos: past.lengths, nCtx: this.config.nCtx };
    const names = options.capture === undefined ? [] : this.computed(options.capture, range);
    const select = (where: HookNames) => this.computed(where, range);
    const sizes = { batch, pos, keys, outputs: pos, text };
    const writes = planWrites(this.graph, [{ hooks: options.hooks ?? [] }], sizes, select);
    const isWritten = (written: string) => writes.planned.some(({ name }) => name === written);
    const which = 'logits' in options ? (options.logits ?? 'all') : 'all';
    const result = which === 'none' ? null : range.stop === null ? LOGITS : streamOutOf(range.stop);
    // Where somebody looks at the logits of all positions, or writes them, all are computed.
    const lastOnly = which === 'last' && pos > 1 && !OF_LOGITS.some((name) => names.includes(name) || isWritten(name));
    const given = range.start === null ? [] : [givenBuffer(this.graph, range.start, isWritten)];
    const ends = result === null ? writes.planned.map(({ name }) => name) : [result];
    const request = {
      numerics,
      batch,
      pos,
      ...(lastOnly && { logits: 'last' as const }),
      capture: [...new Set([...names, ...ends])],
      ...(given.length > 0 && { given }),
      ...(past && { cached: { capacity: past.capacity, keys: Math.min(past.capacity, keysStep(keys)) } }),
    };
    const { memory } = this.runtime;
    const run = () =>
      withResidual({ memory, numerics }, range.start === null ? null : (input as ResidualInput), (buffer) => {
        const { lengths } = tokens;
        const from = {
          ids,
          lengths,
          ...commands,
          cache: past,
          keys,
          ...(buffer && { given: new Map([[given[0], buffer]]) }),
        };
        return runWithWrites(this.runtime, request, from, writes);
      });
    const frame = await (past ? past.append(tokens.lengths, numerics, run) : run());
    const captured = names.map((name) => this.value(name));
    const known = range.start === null && !commands.ids ? idRows(tokens) : null;
    return { cache: new ActivationCache(this.runtime, frame, captured, known), result, warnings: writes.warnings };
  }

  private async forward(
    input: TokenInput | ResidualInput,
    tokens: TokenBatch,
    options: RunOptions | StopOptions,
  ): Promise<AnyResult> {
    const { cache, result, ...submitted } = await this.submit(input, tokens, options);
    try {
      options.signal?.throwIfAborted();
      const tensor = result && (await this.readResult(cache, result));
      const warnings = [...submitted.warnings];
      const outcome: AnyResult = {
        warnings,
        ...(tensor && result !== LOGITS && { residual: tensor }),
        ...(tensor && result === LOGITS && { logits: wantedLogits(tensor, tokens, options) }),
      };
      if (options.capture !== undefined) return { ...outcome, cache };
      cache.destroy();
      return outcome;
    } catch (error) {
      cache.destroy();
      throw error;
    }
  }

  /** @internal Copies what a run ends with to the CPU. */
  async readResult({ frame }: ActivationCache, result: string): Promise<Tensor> {
    return this.readValue(result, frame.shape, frame.buffer(result));
  }

  /**
   * One forward pass that keeps values on the GPU. Costs their memory: no copy, no second pass, and no bit of any value
   * changes. Call `cache.destroy()` (or `using`) to give the memory back.
   */
  async runWithCache(tokens: TokenInput, { names, ...options }: RunWithCacheOptions = {}): Promise<RunWithCacheResult> {
    const usual = new Set(this.hooks.filter(({ onDemand }) => !onDemand).map(({ name }) => name));
    return this.run(tokens, { ...options, capture: names === undefined ? (name) => usual.has(name) : names });
  }

  /** One forward pass with interventions: `run` by TransformerLens's name. */
  async runWithHooks(tokens: TokenInput, hooks: readonly HookEntry[], options: RunOptions = {}): Promise<RunResult> {
    return this.run(tokens, { ...options, hooks });
  }

  /**
   * Logits as if this value were the residual stream after the last block: the final norm and the unembedding of any
   * [batch, pos, d_model] value, by the same kernels as a run (so the last block's own gives the run's bits).
   * @param selection only these rows and positions are computed; the axes stay
   * @example
   * const logits = await model.unembed(cache.get('blocks.0.hook_resid_post'), { pos: -1 }); // [batch, 1, d_vocab_out]
   */
  async unembed(value: CachedValue, selection: Pick<Selection, 'batch' | 'pos'> = {}): Promise<Tensor> {
    const frame = await runUnembedding(this.runtime, this.config, value, selection);
    try {
      return await this.readValue(LOGITS, frame.shape, frame.buffer(LOGITS));
    } finally {
      this.runtime.release(frame);
    }
  }

  /**
   * Measures which tiling is the fastest for each matrix product on this device, takes it for later runs, and remembers it for later
   * loads on this adapter (localStorage in browsers, a file of the user's cache folder in Node). No bit of any result changes.
   * Compiles a few pipelines for each product: a second or two on a GPU, much longer on a software adapter. Frees plans at rest.
   * @returns what was measured
   * @example
   * const tuned = await model.tune({ onProgress: ({ product }) => console.log(product) });
   * tuned[0]; // { name: 'matmul 128x128, 1 row, fast', best: 'register 1x4', medianMs: { 'register 1x4': 0.02, … }, … }
   */
  async tune(options: TuneOptions = {}): Promise<TunedProduct[]> {
    const { tuneModel } = await import('./tune.ts');
    return tuneModel(this.runtime, this.config, options);
  }

  /**
   * A weight on the CPU, as TransformerLens names and shapes it: zeros where the checkpoint leaves a bias out, the embedding's
   * transpose for the `unembed.W_U` of a tied model. The numbers that kernels compute with: where matrices are stored in less than
   * float32, what they are there. Copies and waits for the GPU.
   * @throws Error where there is no weight of this name, with the nearest one
   * @example
   * const { data, shape } = await model.weight('blocks.0.attn.W_Q'); // [n_heads, d_model, d_head]
   */
  async weight(name: string): Promise<Tensor> {
    return readWeight(this.runtime, this.config, name);
  }

  /**
   * Names of weights, in forward order: all that a model of this configuration may have, or those that are meant.
   * @throws Error where a name or glob matches nothing, with the nearest name
   * @example
   * model.weightNames('blocks.0.attn.W_*'); // ['blocks.0.attn.W_Q', 'blocks.0.attn.W_K', …]
   */
  weightNames(names: WeightNames = () => true): string[] {
    return selectWeights(this.config, names).map(({ name }) => name);
  }

  /**
   * Rounds weights on the GPU to another number format, for every run from now on until `restore()` (or `using`) puts the original
   * bits back. Computed on the CPU, which keeps the original weights meanwhile. A key-value cache keeps what earlier runs put in.
   *
   * `int8` has a scale for each output channel: each head's output of W_Q, W_K and W_V, each output of W_O and the MLP's matrices,
   * each token of W_U and W_E, each position of W_pos; a bias or a gain has one. A tied model has one matrix for embedding
   * and unembedding, so both ends change. A bias that the checkpoint leaves out stays zero.
   * @throws Error where a name or glob matches nothing, with the nearest name, or where a weight is stored in less than float32
   * (`LoadOptions.weights`); then, or after an abort, no weight has changed
   * @example
   * using rounded = await model.roundWeights('blocks.*.attn.W_*', 'bf16');
   * const { logits } = await model.run(tokens);
   */
  async roundWeights(
    where: WeightNames,
    format: NumberFormat,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<RoundedWeights> {
    const { WeightRoundings } = await import('./rounded_weights.ts');
    this.roundings ??= new WeightRoundings(this.runtime, this.config);
    return this.roundings.round(where, format, options);
  }

  /**
   * An empty key-value cache: run a prompt into it, then token by token. The bits of every value are those of one pass.
   * @example
   * using cache = model.createKeyValueCache();
   * await model.run(prompt, { keyValueCache: cache });
   * const { logits } = await model.run([next], { keyValueCache: cache });
   */
  createKeyValueCache({ batch = 1, capacity = this.config.nCtx }: KeyValueCacheSize = {}): KeyValueCache {
    if (!Number.isInteger(batch) || batch < 1 || !Number.isInteger(capacity) || capacity < 1) {
      throw new Error(`key-value cache: expected whole numbers of rows and positions, got ${batch} and ${capacity}.`);
    }
    this.runtime.check();
    return new KeyValueCache(this.runtime.memory, cachedParts(this.graph), { batch, capacity });
  }

  /**
   * Adds tokens to a prompt, step by step, through a key-value cache. Interventions and captures work at every step, with positions
   * counted from the start of the text. Greedy unless there is a temperature. Whatever ends the loop frees everything.
   * @example
   * for await (const { text } of model.generate('One day, Ella had a red', { maxNewTokens: 20 })) console.log(text);
   */
  async *generate(prompt: TokenInput, options: GenerateOptions = {}): AsyncGenerator<GenerationStep, void, undefined> {
    const { generate } = await import('./generate.ts'); // bundles that only read hooks load no generation
    yield* generate(this, prompt, options);
  }

  /** @internal Ids of an input, checked. */
  tokenBatch(tokens: TokenInput, options: TokenizeOptions = {}): TokenBatch {
    return checkTokens(
      tokenRows(tokens, (text) => this.toTokens(text, options)),
      this.config,
    );
  }

  /** The dispatches and buffers of a run, as data: what would run, and on how much memory. Runs nothing. */
  plan(request: {
    batch?: number;
    pos: number;
    names?: HookNames;
    numerics?: Numerics;
    logits?: 'all' | 'last';
  }): Plan {
    const names = request.names === undefined ? [] : selectHooks(this.graph, request.names);
    return this.runtime.plan({
      numerics: checkNumerics(request.numerics ?? this.numerics),
      batch: request.batch ?? 1,
      pos: request.pos,
      ...(request.logits === 'last' && request.pos > 1 && { logits: 'last' as const }),
      capture: [...new Set([...names, LOGITS])],
    });
  }

  private value(name: string): GraphValue {
    const value = this.graph.values.get(name);
    if (!value) throw new Error(`hooks: no value "${name}".`);
    return value;
  }

  private async readValue(name: string, run: RunShape, buffer: GPUBuffer): Promise<Tensor> {
    const value = this.value(name);
    const shape = valueShape(value, run);
    const data = await this.runtime.memory.read(buffer, 4 * shape.reduce((a, b) => a * b, 1));
    return { name, data: new Float32Array(data), shape, axes: value.axes.map(({ name }) => name) };
  }

  /** Frees all GPU memory of the model and of its caches. The device is destroyed only if the model requested it itself. */
  destroy(): void {
    this.runtime.destroy();
    if (this.ownsDevice) this.device.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}
