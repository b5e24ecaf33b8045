// Loading a model: files are read and checked, weights uploaded, kernels compiled. Gives what `Model` is made of.
import { loadWeights, parseConfig } from '../engine/architectures/index.ts';
import {
  type Checkpoint,
  type MemoryTensor,
  memoryCheckpoint,
  type OnProgress,
  openCheckpoint,
  type RawConfig,
} from '../engine/checkpoint.ts';
import type { ModelConfig } from '../engine/config.ts';
import { requestDevice } from '../engine/device.ts';
import { dispatchesOf } from '../engine/frame.ts';
import { buildGraph, type Graph, LOGITS } from '../engine/graph.ts';
import { Runtime } from '../engine/runtime.ts';
import type { Source, SourceLocation } from '../engine/source.ts';
import type { TilingRequest } from '../engine/tilings.ts';
import { createTokenizer, type Tokenizer } from '../engine/tokenizer.ts';
import { derivedSpecs, derivedWeight, packWeight, type WeightLayout, weightLayouts } from '../engine/weights.ts';
import { SMALLEST_NORMAL } from '../kernels/kernel.ts';
import { checkNumerics, type Numerics } from '../kernels/prelude.ts';
import { modelTilings } from './tune.ts';

/** A model in memory instead of in a folder: what config.json would say, and tensors by their checkpoint names. */
export interface ModelInMemory {
  readonly config: RawConfig;
  readonly tensors: Readonly<Record<string, MemoryTensor>>;
}

export interface LoadOptions {
  /** Yours to keep: it is used and never destroyed. Without one, `requestDevice()` gives one that dies with the model. */
  readonly device?: GPUDevice;
  /** How runs that do not say otherwise are rounded; `fast` if absent. See `Numerics`. */
  readonly numerics?: Numerics;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Cuts the embedding and the unembedding into pieces of at most this many bytes, as an adapter with this limit would need. */
  readonly maxBindingSizeBytes?: number;
  /**
   * How matrix products are shared out over the GPU; it changes their speed and no bit. `remembered` if absent: what `model.tune` found
   * on this adapter, else the default for its kind. In Node the variable HYALINE_TILINGS stands for an absent one.
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
  readonly device: GPUDevice;
  readonly ownsDevice: boolean;
}

/** `Model.load`. */
export async function loadModel(
  from: SourceLocation | Source | ModelInMemory,
  options: LoadOptions,
): Promise<ModelParts> {
  options.signal?.throwIfAborted();
  const checkConfig = (config: RawConfig) => void parseConfig(config);
  const checkpoint =
    typeof from === 'object' && 'tensors' in from
      ? memoryCheckpoint(from.config, from.tensors)
      : await openCheckpoint(from, { ...options, checkConfig });
  try {
    return await loadCheckpoint(checkpoint, options);
  } finally {
    checkpoint.close();
  }
}

async function loadCheckpoint(checkpoint: Checkpoint, options: LoadOptions): Promise<ModelParts> {
  const config = parseConfig(checkpoint.config);
  const numerics = checkNumerics(options.numerics ?? 'fast');
  const loaded = loadWeights(config, checkpoint);
  const files = checkpoint.tokenizer;
  const tokenizer = files && (await createTokenizer(files.tokenizerJson, files.tokenizerConfig, config.bosTokenId));
  options.signal?.throwIfAborted();
  const ownsDevice = options.device === undefined;
  const device = options.device ?? (await requestDevice());
  let runtime: Runtime | undefined;
  try {
    const layouts = weightLayouts(config, maxBinding(device, options.maxBindingSizeBytes));
    const graph = buildGraph(config, (name) => layouts.has(name) && !loaded.absent.has(name));
    runtime = new Runtime(device, graph, layouts, numerics, modelTilings(device, options.tilings));
    const notFinite = await upload(runtime, loaded, config, layouts, options);
    await runtime.prepareNumerics(numerics);
    await compileFirst(runtime, config, options);
    const warnings = [...loaded.warnings, ...notFinite];
    const eosTokenIds = endTokens(checkpoint.config, config);
    return { config, eosTokenIds, graph, runtime, tokenizer, warnings, device, ownsDevice };
  } catch (error) {
    runtime?.destroy();
    if (ownsDevice) device.destroy();
    throw error;
  }
}

/** `eos_token_id`: one id or several; those outside of the vocabulary are left out. */
function endTokens(raw: RawConfig, { dVocab }: ModelConfig): number[] {
  const isId = (id: unknown): id is number => Number.isInteger(id) && Number(id) >= 0 && Number(id) < dVocab;
  return [raw.eos_token_id].flat().filter(isId);
}

/** What one binding may hold on this device. */
function maxBinding({ limits }: GPUDevice, maxBytes = Number.POSITIVE_INFINITY): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, maxBytes);
}

/**
 * Uploads tensor by tensor: the CPU holds one at a time beside the checkpoint. Gives a warning for each weight that holds NaN or
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
  for await (const { absent, data, ...spec } of loaded.weights(signal)) {
    const layout = layouts.get(spec.name);
    const strange = data.reduce((count, value) => count + Number(!Number.isFinite(value)), 0);
    if (strange > 0) warnings.push(`weights: ${spec.name} holds ${strange} values that are NaN or infinite`);
    const tiny = data.reduce((count, value) => count + Number(isSubnormal(value)), 0);
    if (tiny > 0) warnings.push(`weights: ${spec.name} holds ${tiny} values below 2⁻¹²⁶; they count as 0`);
    if (!absent && layout) {
      const normal = tiny > 0 ? data.map((value) => (isSubnormal(value) ? 0 : value)) : data;
      await runtime.memory.scoped(`the weight ${spec.name}`, () =>
        runtime.uploadWeight(spec.name, packWeight(spec, normal, layout)),
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

/** Smaller than any normal float32, and not 0. */
function isSubnormal(value: number): boolean {
  return value !== 0 && Math.abs(value) < SMALLEST_NORMAL;
}

/** Compiles the pipelines of a single token and of a longer text, so that the first run is not the slow one. */
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
