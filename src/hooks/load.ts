// Loading a model: files are read and checked, weights uploaded, kernels compiled. Gives what `Model` is made of.
import { architectureOf, loadWeights } from '../engine/architectures/index.ts';
import {
  type Checkpoint,
  type MemoryTensor,
  memoryCheckpoint,
  type OnProgress,
  openCheckpoint,
  type RawConfig,
} from '../engine/checkpoint.ts';
import type { ModelConfig, WeightSpec } from '../engine/config.ts';
import { describeAdapter, requestDevice } from '../engine/device.ts';
import { dispatchesOf } from '../engine/frame.ts';
import { buildGraph, type Graph, LOGITS } from '../engine/graph.ts';
import { Runtime } from '../engine/runtime.ts';
import type { Source, SourceLocation, SourceOptions } from '../engine/source.ts';
import { rememberedTilings, tilingVariable } from '../engine/tiling_store.ts';
import { checkTilingRequest, type TilingRequest, Tilings } from '../engine/tilings.ts';
import { createTokenizer, type Tokenizer } from '../engine/tokenizer.ts';
import { derivedSpecs, derivedWeight, packWeight, type WeightLayout, weightLayouts } from '../engine/weights.ts';
import { SMALLEST_NORMAL } from '../kernels/kernel.ts';
import { checkNumerics, type Numerics } from '../kernels/prelude.ts';
import { checkWeightFormat, largestWeight, type WeightFormat } from '../kernels/weight_formats.ts';

/** A model in memory instead of in a folder: what config.json would say, and tensors by their checkpoint names. */
export interface ModelInMemory {
  readonly config: RawConfig;
  readonly tensors: Readonly<Record<string, MemoryTensor>>;
}

export interface LoadOptions extends SourceOptions {
  /** Yours to keep: it is used and never destroyed. Without one, `requestDevice()` gives one that dies with the model. */
  readonly device?: GPUDevice;
  /** How runs that do not say otherwise are rounded; `fast` if absent. See `Numerics`. */
  readonly numerics?: Numerics;
  /**
   * What the model's matrices are stored in on the GPU, embedding and unembedding among them: `f32` as they are (if absent), `f16` rounded,
   * `q8` or `q4` as whole numbers with an f16 scale for each 32 (9 and 5 bits each, almost). Kernels compute in float32 with the
   * numbers that these are: the bits of a run are those of a model that is given such weights. Biases, gains and positions stay f32.
   */
  readonly weights?: WeightFormat;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Cuts the embedding and the unembedding into pieces of at most this many bytes, as an adapter with this limit would need. */
  readonly maxBindingSizeBytes?: number;
  /**
   * How matrix products are shared out over the GPU; it changes their speed and no bit. `remembered` if absent: what `model.tune` found
   * on this adapter, else the default for its kind. HYALINE_TILINGS stands for an absent one: a variable in
   * Node, an item of localStorage in browsers.
   */
  readonly tilings?: TilingRequest;
}

/** A loaded model, before anybody runs it. */
export interface ModelParts {
  readonly config: ModelConfig;
  readonly eosTokenIds: readonly number[];
  readonly graph: Graph;
  readonly runtime: Runtime;
  readonly tokenizer: Tokenizer | null;
  readonly warnings: readonly string[];
  readonly weightFormat: WeightFormat;
  readonly device: GPUDevice;
  readonly ownsDevice: boolean;
}

/** `Model.load`. */
export async function loadModel(
  from: SourceLocation | Source | ModelInMemory,
  options: LoadOptions,
): Promise<ModelParts> {
  options.signal?.throwIfAborted();
  checkWeightFormat(options.weights ?? 'f32');
  const checkpoint = await open(from, options);
  try {
    return await loadCheckpoint(checkpoint, options);
  } finally {
    await checkpoint.close();
  }
}

/** A checkpoint whose configuration can be run. */
async function open(
  from: SourceLocation | Source | ModelInMemory,
  options: Pick<LoadOptions, 'onProgress' | 'signal' | 'cache'>,
): Promise<Checkpoint> {
  const checkConfig = async (config: RawConfig) => void (await architectureOf(config)).parseConfig(config);
  if (typeof from === 'object' && 'tensors' in from) return memoryCheckpoint(from.config, from.tensors);
  return openCheckpoint(from, { ...options, checkConfig });
}

async function loadCheckpoint(checkpoint: Checkpoint, options: LoadOptions): Promise<ModelParts> {
  const architecture = await architectureOf(checkpoint.config);
  const config = architecture.parseConfig(checkpoint.config);
  const numerics = checkNumerics(options.numerics ?? 'fast');
  const weightFormat = options.weights ?? 'f32';
  const loaded = loadWeights(architecture, config, checkpoint);
  const files = checkpoint.tokenizer;
  const tokenizer = files && (await createTokenizer(files.tokenizerJson, files.tokenizerConfig, config.bosTokenId));
  options.signal?.throwIfAborted();
  const ownsDevice = options.device === undefined;
  const device = options.device ?? (await requestDevice());
  let runtime: Runtime | undefined;
  try {
    const limit = maxBinding(device, options.maxBindingSizeBytes);
    const layouts = weightLayouts(config, limit, weightFormat);
    const graph = buildGraph(config, (name) => layouts.has(name) && !loaded.absent.has(name));
    const made = new Runtime(device, graph, layouts, numerics, modelTilings(device, options.tilings));
    runtime = made;
    await runtime.prepareNumerics(numerics);
    await runtime.prepareFormat(weightFormat);
    // Config and headers say what the first plans are: their pipelines compile while the weights come.
    const [notFinite] = await together(options.signal, (signal) => [
      upload(made, loaded, config, layouts, { ...options, signal }),
      compileFirst(made, config, { ...options, signal }),
    ]);
    const warnings = [...loaded.warnings, ...notFinite];
    const eosTokenIds = endTokens(checkpoint.config, config);
    return { config, eosTokenIds, graph, runtime, tokenizer, warnings, weightFormat, device, ownsDevice };
  } catch (error) {
    runtime?.destroy();
    if (ownsDevice) device.destroy();
    throw error;
  }
}

/** Both results; if one fails the other is aborted and has ended before the failure is thrown. */
async function together<A, B>(
  signal: AbortSignal | undefined,
  start: (signal: AbortSignal) => readonly [Promise<A>, Promise<B>],
): Promise<[A, B]> {
  const controller = new AbortController();
  const both = start(signal ? AbortSignal.any([signal, controller.signal]) : controller.signal);
  try {
    return await Promise.all(both);
  } catch (error) {
    controller.abort(error);
    await Promise.allSettled(both);
    throw error;
  }
}

/** `eos_token_id`: one id or several; those outside of the vocabulary are left out. */
function endTokens(raw: RawConfig, { dVocab }: ModelConfig): number[] {
  const isId = (id: unknown): id is number => Number.isInteger(id) && Number(id) >= 0 && Number(id) < dVocab;
  return [raw.eos_token_id].flat().filter(isId);
}

/** The tilings of a model on a device: as the caller, or else `HYALINE_TILINGS`, wants. */
function modelTilings(device: GPUDevice, request: TilingRequest | undefined): Tilings {
  const { isFallback, text } = describeAdapter(device);
  const wanted = checkTilingRequest(request ?? tilingVariable() ?? 'remembered');
  return new Tilings(isFallback ? 'software' : 'hardware', wanted, rememberedTilings(text));
}

/** What one binding may hold on this device. */
function maxBinding({ limits }: GPUDevice, maxBytes = Number.POSITIVE_INFINITY): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, maxBytes);
}

/**
 * Uploads tensor by tensor, as they come: the CPU holds one at a time, and what it is converted to. Gives a warning for each weight that holds NaN or
 * infinities: WGSL lets an implementation assume that there are none, so what such a model computes is anybody's guess. Subnormal
 * numbers some adapters take as 0: here they are, so that all compute with the same weights.
 */
async function upload(
  runtime: Runtime,
  loaded: ReturnType<typeof loadWeights>,
  config: ModelConfig,
  layouts: ReadonlyMap<string, WeightLayout>,
  { onProgress, signal }: LoadOptions,
): Promise<string[]> {
  const warnings: string[] = [];
  let done = 0;
  const total = loaded.sizeBytes;
  for await (const { absent, data, isTransposed, ...spec } of loaded.weights({ signal, keepTransposed: true })) {
    const layout = layouts.get(spec.name);
    if (layout) checkStorable(spec, data, layout);
    const strange = data.reduce((count, value) => count + Number(!Number.isFinite(value)), 0);
    if (strange > 0) warnings.push(`weights: ${spec.name} holds ${strange} values that are NaN or infinite`);
    const tiny = data.reduce((count, value) => count + Number(isSubnormal(value)), 0);
    if (tiny > 0) warnings.push(`weights: ${spec.name} holds ${tiny} values below 2⁻¹²⁶; they count as 0`);
    if (!absent && layout) {
      const normal = tiny > 0 ? data.map((value) => (isSubnormal(value) ? 0 : value)) : data;
      await runtime.memory.scoped(`the weight ${spec.name}`, () =>
        runtime.uploadWeight(spec.name, packWeight(spec, normal, layout, isTransposed)),
      );
    }
    signal?.throwIfAborted();
    done += data.byteLength;
    onProgress?.({ phase: 'upload', file: spec.name, loaded: done, total });
  }
  for (const spec of derivedSpecs(config)) {
    const data = derivedWeight(spec, config);
    await runtime.memory.scoped(`the table ${spec.name}`, () => runtime.uploadWeight(spec.name, data));
  }
  return warnings;
}

/** @throws Error where a smaller format has no number for some of a matrix's */
function checkStorable({ name }: WeightSpec, data: Float32Array, { format }: WeightLayout): void {
  if (format === 'f32') return;
  const largest = largestWeight(format);
  const count = data.reduce((sum, value) => sum + Number(!(Math.abs(value) <= largest)), 0);
  if (count === 0) return;
  throw new Error(
    `weights: ${name} holds ${count} values that are NaN, infinite or beyond ${largest}, which ${format} has no numbers for. ` +
      "Load the model with weights 'f32'.",
  );
}

/** Smaller than any normal float32, and not 0. */
function isSubnormal(value: number): boolean {
  return value !== 0 && Math.abs(value) < SMALLEST_NORMAL;
}

/**
 * The weights of a checkpoint as they stand there, in float32, by TransformerLens's names: what a model holds in less when it is loaded with
 * `weights` of a smaller format. Needs no GPU; the CPU holds all of them.
 * @throws Error as `Model.load`
 * @example
 * const originalWeights = await readWeights('models/circuit-zoo');
 * using model = await Model.load('models/circuit-zoo', { weights: 'q8' });
 * const report = await numericsReport(model, 'The capital of France is', { originalWeights });
 */
export async function readWeights(
  from: SourceLocation | Source | ModelInMemory,
  options: Pick<LoadOptions, 'onProgress' | 'signal' | 'cache'> = {},
): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const checkpoint = await open(from, options);
  try {
    const weights = new Map<string, Float32Array<ArrayBuffer>>();
    const architecture = await architectureOf(checkpoint.config);
    const loaded = loadWeights(architecture, architecture.parseConfig(checkpoint.config), checkpoint);
    for await (const { name, data } of loaded.weights(options)) weights.set(name, data.slice());
    return weights;
  } finally {
    await checkpoint.close();
  }
}

/**
 * Compiles the pipelines of a single token and of a longer text, so that the first run is not the slow one. Those of other runs are compiled
 * when they are first needed.
 */
async function compileFirst(
  runtime: Runtime,
  { nCtx }: ModelConfig,
  { onProgress, signal }: LoadOptions,
): Promise<void> {
  const plans = [1, Math.min(8, nCtx)].map((pos) => runtime.plan({ batch: 1, pos, capture: [LOGITS] }));
  const shaders = new Map(plans.flatMap(dispatchesOf).map((step) => [step.source, step]));
  let loaded = 0;
  await Promise.all(
    [...shaders.values()].map(async (step) => {
      await runtime.pipelines.get(step);
      signal?.throwIfAborted();
      loaded++;
      onProgress?.({ phase: 'compile', file: step.kernel, loaded, total: shaders.size });
    }),
  );
}
