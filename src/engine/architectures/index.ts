// The architectures that this engine runs, chosen by config.json's `model_type`, and the weights of a checkpoint brought
// into TransformerLens's names and layout.

import type { Checkpoint, CheckpointTensor, RawConfig } from '../checkpoint.ts';
import { type ModelConfig, type WeightSpec, weightSpecs } from '../config.ts';
import { elementCount, FLOAT_DTYPES } from '../dtypes.ts';
import { type Architecture, transpose, type WeightSource } from './architecture.ts';

/** By `model_type`. A page loads the code of those that it runs. */
const ARCHITECTURES: Readonly<Record<string, () => Promise<Architecture>>> = {
  gpt2: async () => (await import('./gpt2.ts')).gpt2,
  llama: async () => (await import('./llama.ts')).llama,
  hooked_transformer: async () => (await import('./hooked_transformer.ts')).hookedTransformer,
};

/**
 * The architecture that a config.json asks for.
 * @throws Error where there is none of its model_type, with those that there are
 * @example
 * const gpt2 = await architectureOf({ model_type: 'gpt2', n_layer: 12, … });
 * gpt2.parseConfig({ model_type: 'gpt2', n_layer: 12, … }).nLayers; // 12
 */
export async function architectureOf({ model_type: modelType }: RawConfig): Promise<Architecture> {
  if (typeof modelType === 'string' && Object.hasOwn(ARCHITECTURES, modelType)) return ARCHITECTURES[modelType]();
  const supported = Object.keys(ARCHITECTURES).map((name) => `"${name}"`);
  const got = modelType === undefined ? 'none' : JSON.stringify(modelType);
  throw new Error(
    `config: expected a model_type of ${supported.join(', ')}, got ${got}. See ARCHITECTURE.md for adding one.`,
  );
}

/** A weight in TransformerLens's name, axes and layout. */
export interface LoadedWeight extends WeightSpec {
  /** Row-major. May share the checkpoint's memory: do not write into it. */
  readonly data: Float32Array<ArrayBuffer>;
  /** The checkpoint has no such tensor (a bias), so `data` is all zeros. */
  readonly absent: boolean;
  /** `data` is the transpose of the matrix, as the checkpoint has it: only where that was asked for. */
  readonly isTransposed: boolean;
}

export interface WeightsOptions {
  readonly signal?: AbortSignal;
  /** Leave matrices transposed that are so in the checkpoint, where nothing else is to be done: saves a copy of the largest. */
  readonly keepTransposed?: boolean;
}

export interface LoadedWeights {
  /** What a user should hear about, one sentence each: tensors that nothing uses, values that lose precision. */
  readonly warnings: readonly string[];
  /** Weights that the checkpoint does not hold: biases of zero. */
  readonly absent: ReadonlySet<string>;
  /** Of all weights as float32. */
  readonly sizeBytes: number;
  /**
   * All of `weightSpecs(config)`: as the files hold their tensors, then those that are absent. Each tensor is read when it is asked for,
   * and converted for each weight that it holds.
   */
  weights(options?: WeightsOptions): AsyncGenerator<LoadedWeight, void, undefined>;
}

/**
 * Matches a checkpoint with its configuration. All names, shapes and dtypes are checked here, before any data is read,
 * and everything missing or misshapen is listed in one error.
 * @example
 * const { warnings, weights } = loadWeights(gpt2, gpt2.parseConfig(checkpoint.config), checkpoint);
 * for await (const { name, shape, data } of weights()) upload(name, shape, data);
 */
export function loadWeights(architecture: Architecture, config: ModelConfig, checkpoint: Checkpoint): LoadedWeights {
  const specs = weightSpecs(config);
  const map = architecture.weightMap(config, checkpoint.config);
  const tensorNames = new Map<string, string>(); // canonical to checkpoint
  const problems = new Set<string>(); // a set: one tensor of the checkpoint can hold several weights
  for (const { name } of specs) {
    const source = map.get(name);
    if (!source) continue;
    const tensorName = source.from.find((candidate) => checkpoint.tensors.has(candidate));
    const tensor = tensorName === undefined ? undefined : checkpoint.tensors.get(tensorName);
    if (tensorName !== undefined && tensor) {
      tensorNames.set(name, tensorName);
      const problem = tensorProblem(tensor, source);
      if (problem) problems.add(`"${tensorName}": ${problem}`);
    } else if (!source.optional) {
      problems.add(`"${source.from.join('" or "')}": expected a tensor [${source.shape.join(', ')}], got none`);
    }
  }
  if (problems.size > 0) {
    throw new Error(
      `${architecture.modelType}: the tensors do not fit config.json (${checkpoint.description}):\n` +
        `- ${[...problems].join('\n- ')}`,
    );
  }

  async function* weights(options: WeightsOptions = {}): AsyncGenerator<LoadedWeight, void, undefined> {
    const { signal, keepTransposed = false } = options;
    for await (const tensor of checkpoint.read(new Set(tensorNames.values()), signal)) {
      for (const spec of specs.filter(({ name }) => tensorNames.get(name) === tensor.name)) {
        signal?.throwIfAborted();
        const source = map.get(spec.name);
        const isTransposed = keepTransposed && source?.isTransposed === true;
        const data = isTransposed || !source ? tensor.data : canonical(tensor.data, source);
        yield { ...spec, data, absent: false, isTransposed };
      }
    }
    for (const spec of specs.filter(({ name }) => !tensorNames.has(name))) {
      signal?.throwIfAborted();
      yield { ...spec, data: new Float32Array(elementCount(spec.shape)), absent: true, isTransposed: false };
    }
  }
  const sizeBytes = specs.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
  const used = new Set(tensorNames.values());
  const absent = new Set(specs.map(({ name }) => name).filter((name) => !tensorNames.has(name)));
  return { warnings: warningsOf(checkpoint, used, architecture), absent, sizeBytes, weights };
}

function canonical(data: Float32Array<ArrayBuffer>, { convert, isTransposed, shape }: WeightSource) {
  if (isTransposed) return transpose(data, { rows: shape[0], columns: shape[1] });
  return convert ? convert(data) : data;
}

function tensorProblem(tensor: CheckpointTensor, source: WeightSource): string | null {
  if (tensor.shape.join() !== source.shape.join()) {
    return `expected shape [${source.shape.join(', ')}], got [${tensor.shape.join(', ')}]`;
  }
  if (!FLOAT_DTYPES.includes(tensor.dtype)) return `expected one of ${FLOAT_DTYPES.join(', ')}, got ${tensor.dtype}`;
  return null;
}

function warningsOf(checkpoint: Checkpoint, used: ReadonlySet<string>, { modelType, ignored }: Architecture): string[] {
  const warnings: string[] = [];
  const extra = [...checkpoint.tensors.keys()].filter(
    (name) => !used.has(name) && !ignored.some((pattern) => pattern.test(name)),
  );
  if (extra.length > 0) warnings.push(`${modelType}: tensors that the model does not use: ${extra.join(', ')}`);
  const rounded = [...used].filter((name) => checkpoint.tensors.get(name)?.dtype === 'F64');
  if (rounded.length > 0) warnings.push(`${modelType}: float64 tensors rounded to float32: ${rounded.join(', ')}`);
  return warnings;
}
