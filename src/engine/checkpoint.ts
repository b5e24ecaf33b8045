// A checkpoint: config.json as it stands, tensors by their names in the file, and the tokenizer's two JSON files. What
// they mean is read in `architectures/`.

import { elementCount } from './dtypes.ts';
import type { SafetensorsEntry } from './safetensors.ts';
import {
  createSource,
  type OnProgress,
  readBytes,
  type Source,
  type SourceLocation,
  type SourceOptions,
} from './source.ts';
import { type StreamedTensor, TensorStream } from './tensor_stream.ts';

export type { LoadProgress, OnProgress } from './source.ts';

/** A parsed JSON object of which nothing has been checked. */
export type RawConfig = Readonly<Record<string, unknown>>;

export interface CheckpointTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface TokenizerFiles {
  readonly tokenizerJson: RawConfig;
  /** `{}` where the folder has none. */
  readonly tokenizerConfig: RawConfig;
}

export interface Checkpoint {
  /** Where it came from, for messages. */
  readonly description: string;
  readonly config: RawConfig;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly tokenizer: TokenizerFiles | null;
  /**
   * The tensors of these names, row-major as float32, in the order in which the files hold them. One at a time: what the next one needs
   * is read when it is asked for. May share the checkpoint's memory: do not write into it.
   */
  read(wanted: ReadonlySet<string>, signal?: AbortSignal): AsyncGenerator<StreamedTensor, void, undefined>;
  /** Closes the files; tensors cannot be read any more. */
  close(): Promise<void>;
}

export interface OpenOptions extends SourceOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Called with config.json before the weights are downloaded, so that a model that cannot run fails early. */
  readonly checkConfig?: (config: RawConfig) => void | Promise<void>;
}

interface Shard {
  readonly entries: readonly SafetensorsEntry[];
  /** Where its header has been read; null once somebody has read on, or where it has been closed meanwhile. */
  stream: TensorStream | null;
}

type Shards = Map<string, Shard>;

const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/**
 * Reads a model's folder: config.json, tokenizer.json and tokenizer_config.json where present, then model.safetensors
 * or the headers of the shards that model.safetensors.index.json names. Headers are checked here; tensors come one at a time by
 * `read()`, while the files are. Keeps a file open until `close()`. An abort throws `signal.reason` and leaves nothing behind.
 * @example
 * const checkpoint = await openCheckpoint('models/circuit-zoo/');
 * checkpoint.tensors.get('transformer.wte.weight')?.shape; // [2048, 128]
 */
export async function openCheckpoint(
  location: SourceLocation | Source,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  const source = isSource(location) ? location : createSource(location, options);
  const config = await readJson(source, 'config.json', options);
  if (!config) {
    throw new Error(
      `checkpoint: ${source.description}: expected a folder with config.json and ${WEIGHTS}, got no config.json`,
    );
  }
  await options.checkConfig?.(config);
  const tokenizerJson = await readJson(source, 'tokenizer.json', options);
  const tokenizerConfig = tokenizerJson && (await readJson(source, 'tokenizer_config.json', options));
  const shards = await openShards(source, options);
  const state = { isClosed: false };
  return {
    description: source.description,
    config,
    tensors: new Map(
      [...shards.values()].flatMap(({ entries }) => entries.map(({ name, dtype, shape }) => [name, { dtype, shape }])),
    ),
    tokenizer: tokenizerJson && { tokenizerJson, tokenizerConfig: tokenizerConfig ?? {} },
    read: (wanted, signal = options.signal) => readShards(source, shards, { wanted, state, ...options, signal }),
    close: async () => {
      state.isClosed = true;
      for (const { stream } of shards.values()) await stream?.close();
    },
  };
}

function isSource(location: SourceLocation | Source): location is Source {
  return typeof location === 'object' && 'open' in location;
}

async function readJson(source: Source, file: string, options: OpenOptions): Promise<RawConfig | null> {
  const bytes = await readBytes(source, file, options);
  if (!bytes) return null;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    const { message } = cause as SyntaxError;
    throw new Error(`checkpoint: ${source.description}: ${file}: expected JSON, got an error: ${message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`checkpoint: ${source.description}: ${file}: expected a JSON object`);
  }
  return value as RawConfig;
}

/** The headers of all shards. The only shard stays open, so that its tensors come with the same request. */
async function openShards(source: Source, options: OpenOptions): Promise<Shards> {
  const whole = await openStream(source, WEIGHTS, options);
  if (whole) return new Map([[WEIGHTS, { entries: whole.entries, stream: whole }]]);
  const index = await readJson(source, INDEX, options);
  if (!index) {
    throw new Error(
      `checkpoint: ${source.description}: expected ${WEIGHTS} or ${INDEX}, got neither. ` +
        'PyTorch .bin files are not read: save the model with safe_serialization=True.',
    );
  }
  const weightMap = checkIndex(index, source);
  const shards: Shards = new Map();
  for (const file of new Set(weightMap.values())) {
    const stream = await openStream(source, file, { signal: options.signal });
    if (!stream) {
      throw new Error(`checkpoint: ${source.description}: ${INDEX} names the shard ${file}, which is not there`);
    }
    await stream.close();
    shards.set(file, { entries: stream.entries, stream: null });
  }
  checkShards(shards, weightMap, source);
  return shards;
}

async function openStream(source: Source, file: string, options: OpenOptions): Promise<TensorStream | null> {
  options.signal?.throwIfAborted();
  const opened = await source.open(file, options.signal);
  return opened && TensorStream.open(opened, file, options);
}

interface ReadOptions extends OpenOptions {
  readonly wanted: ReadonlySet<string>;
  readonly state: { readonly isClosed: boolean };
}

/** Reads one shard after another, each opened when its turn comes. */
async function* readShards(source: Source, shards: Shards, { wanted, state, ...options }: ReadOptions) {
  for (const [file, shard] of shards) {
    if (!shard.entries.some(({ name }) => wanted.has(name))) continue;
    const where = `checkpoint: ${source.description}`;
    if (state.isClosed) throw new Error(`${where}: closed, so ${file} cannot be read any more`);
    const stream = shard.stream ?? (await openStream(source, file, options));
    shard.stream = null;
    if (!stream) throw new Error(`${where}: ${file} is not there any more`);
    if (!isSameHeader(stream.entries, shard.entries)) {
      await stream.close();
      throw new Error(`${where}: ${file} has changed since its header was read. Load the model again.`);
    }
    yield* stream.tensors((name) => wanted.has(name));
  }
}

function isSameHeader(a: readonly SafetensorsEntry[], b: readonly SafetensorsEntry[]): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The index's weight_map: tensor name to shard. Shards are files of the same folder and nothing else. */
function checkIndex(index: RawConfig, source: Source): Map<string, string> {
  const fail = (problem: string) => new Error(`checkpoint: ${source.description}: ${INDEX}: ${problem}`);
  const { weight_map: weightMap } = index;
  if (typeof weightMap !== 'object' || weightMap === null) throw fail('expected an object weight_map');
  const entries: [string, unknown][] = Object.entries(weightMap);
  if (entries.length === 0) throw fail('expected tensors in weight_map, got none');
  return new Map(
    entries.map(([tensor, file]): [string, string] => {
      if (typeof file === 'string' && /^[^/\\:?#]+\.safetensors$/.test(file)) return [tensor, file];
      const got = JSON.stringify(file);
      throw fail(`tensor "${tensor}": expected the name of a .safetensors file in the same folder, got ${got}`);
    }),
  );
}

function checkShards(shards: Shards, weightMap: ReadonlyMap<string, string>, source: Source): void {
  const problems: string[] = [];
  const foundIn = new Map<string, string>();
  for (const [file, { entries }] of shards) {
    for (const { name } of entries) {
      const other = foundIn.get(name);
      if (other !== undefined) problems.push(`tensor "${name}" is in two shards, ${other} and ${file}`);
      foundIn.set(name, file);
    }
  }
  for (const [name, file] of weightMap) {
    const actual = foundIn.get(name);
    if (actual === undefined) problems.push(`tensor "${name}" should be in ${file} and is not`);
    else if (actual !== file && !shards.get(file)?.entries.some((entry) => entry.name === name)) {
      problems.push(`tensor "${name}" should be in ${file} and is in ${actual}`);
    }
  }
  if (problems.length === 0) return;
  throw new Error(
    `checkpoint: ${source.description}: the shards are not what ${INDEX} says:\n- ${problems.join('\n- ')}`,
  );
}

/** A tensor in memory: row-major, as many values as its shape says. */
export interface MemoryTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/**
 * A checkpoint from values in memory, with the names and layout that its `model_type` has on disk. Nothing is copied.
 * @example
 * memoryCheckpoint({ model_type: 'gpt2', … }, { 'wte.weight': { shape: [2048, 128], data } });
 */
export function memoryCheckpoint(
  config: RawConfig,
  tensors: Readonly<Record<string, MemoryTensor>>,
  tokenizer: TokenizerFiles | null = null,
): Checkpoint {
  const problems: string[] = [];
  const map = new Map<string, CheckpointTensor>();
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const expected = elementCount(shape);
    if (!(data instanceof Float32Array)) problems.push(`tensor "${name}": expected a Float32Array`);
    else if (data.length !== expected) {
      problems.push(`tensor "${name}": expected ${expected} values for [${shape.join(', ')}], got ${data.length}`);
    }
    map.set(name, { dtype: 'F32', shape });
  }
  if (problems.length > 0) throw new Error(`checkpoint: tensors in memory: ${problems.join('; ')}`);
  async function* read(wanted: ReadonlySet<string>, signal?: AbortSignal) {
    for (const [name, { data }] of Object.entries(tensors)) {
      signal?.throwIfAborted();
      if (wanted.has(name)) yield { name, data };
    }
  }
  return { description: 'tensors in memory', config, tensors: map, tokenizer, read, close: async () => {} };
}
