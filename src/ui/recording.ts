// A recorded session: one safetensors file with every value of its runs, bit for bit, and what had been computed from them. It opens
// without WebGPU. Python reads the values too: `before/blocks.0.hook_resid_post`, …
import type { ShownValue } from '../elements/index.ts';
import {
  type Hook,
  SafetensorsFile,
  type Statistics,
  type StoredTensor,
  type Tensor,
  writeSafetensors,
} from '../index.ts';
import { linkOf, readLink } from './link.ts';
import type { PageModel, PageRun } from './page_run.ts';
import type { Runs } from './session.ts';
import type { PageState } from './state.ts';

/** Of the layout below; another one is refused. */
const VERSION = '1';
const RUNS = ['before', 'after', 'second'] as const;

/** What a recording is made of. */
export interface Recordable {
  readonly shownState: PageState;
  readonly runs: Runs;
  readonly shown: PageModel | null;
  readonly adapterText: string;
  /** Where what is shown is a recording itself. */
  readonly recording: { readonly adapter: string } | null;
}

export interface RecordedSession {
  readonly state: PageState;
  readonly runs: Runs;
  readonly shown: PageModel;
  /** The adapter that computed it, in words. */
  readonly adapter: string;
}

/** The metadata's texts, parsed. */
interface RecordedModel {
  readonly config: PageModel['config'];
  readonly hooks: readonly Hook[];
  /** The text of every id, null for one that the tokenizer does not know; null where the model has no tokenizer. */
  readonly vocabulary: readonly (string | null)[] | null;
}

interface RecordedRunData {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly numerics: PageRun['numerics'];
  readonly warnings: readonly string[];
  /** Each with the tensor that has its numbers: values with the same bits share one. */
  readonly values: readonly { readonly name: string; readonly axes: readonly string[]; readonly tensor: string }[];
  readonly analyses: Readonly<Record<string, unknown>>;
}

/**
 * The bytes of a recording: all values of all runs are read, their statistics computed.
 * @throws Error where nothing has been run yet
 */
export async function recordSession(session: Recordable): Promise<Uint8Array<ArrayBuffer>> {
  const { shownState, runs, shown, adapterText, recording } = session;
  if (!shown || !runs.before) throw new Error('recording: there is no run to record yet.');
  const tensors: Tensor[] = [];
  const metadata: Record<string, string> = {
    format: 'pt',
    hyaline_recording: VERSION,
    adapter: recording?.adapter ?? adapterText,
    link: linkOf(shownState),
    model: JSON.stringify(describeModel(shown)),
  };
  for (const which of RUNS) {
    const run = runs[which];
    if (run) metadata[which] = JSON.stringify(await describeRun(run, `${which}/`, tensors), writeNumber);
  }
  return writeSafetensors(
    tensors.map(({ name, shape, data }) => ({ name, dtype: 'F32', shape, data })),
    metadata,
  );
}

function describeModel({ config, hooks, tokenizer }: PageModel): RecordedModel {
  const text = (id: number) => {
    try {
      return tokenizer?.tokenText(id) ?? null;
    } catch {
      return null; // vocabularies are padded beyond what their tokenizers know
    }
  };
  const vocabulary = tokenizer && Array.from({ length: config.dVocabOut }, (_, id) => text(id));
  return { config, hooks, vocabulary };
}

/** Reads a run's values into `tensors`, those with the same bits only once. */
async function describeRun(run: PageRun, prefix: string, tensors: Tensor[]): Promise<RecordedRunData> {
  const { ids, tokens, numerics, warnings, cache } = run;
  const values: RecordedRunData['values'][number][] = [];
  for (const name of cache.names) {
    await run.statistics(name);
    const read = await cache.get(name).read();
    const known = tensors.find((tensor) => hasSameBits(tensor, read));
    const tensor = known?.name ?? prefix + name;
    if (!known) tensors.push({ ...read, name: tensor });
    values.push({ name, axes: read.axes, tensor });
  }
  return { ids, tokens, numerics, warnings, values, analyses: Object.fromEntries(await run.analyses()) };
}

/** For `JSON.stringify`, which has no words for NaN and infinities, nor for −0: `{ float: 'NaN' }`. */
function writeNumber(_: string, x: unknown): unknown {
  if (typeof x !== 'number' || (Number.isFinite(x) && !Object.is(x, -0))) return x;
  return { float: Object.is(x, -0) ? '-0' : String(x) };
}

/** For `JSON.parse`. */
function readNumber(_: string, x: unknown): unknown {
  return typeof x === 'object' && x !== null && 'float' in x ? Number(x.float) : x;
}

function hasSameBits(a: Tensor, b: Tensor): boolean {
  if (a.shape.join() !== b.shape.join()) return false;
  const [x, y] = [a, b].map(({ data }) => new Uint32Array(data.buffer, data.byteOffset, data.length));
  return x.every((bits, i) => bits === y[i]);
}

/** A run out of a recording: what it does not hold cannot be had. */
class RecordedRun implements PageRun {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly numerics: PageRun['numerics'];
  readonly warnings: readonly string[];
  readonly logits: Tensor;
  readonly elapsedMs = null;
  readonly cache: PageRun['cache'];
  private readonly kept: ReadonlyMap<string, unknown>;

  constructor(data: RecordedRunData, values: ReadonlyMap<string, ShownValue>, logits: Tensor) {
    this.ids = data.ids;
    this.tokens = data.tokens;
    this.numerics = data.numerics;
    this.warnings = data.warnings;
    this.logits = logits;
    this.kept = new Map(Object.entries(data.analyses));
    this.cache = {
      names: [...values.keys()],
      tokens: [data.ids],
      has: (name) => values.has(name),
      get: (name) => {
        const value = values.get(name);
        if (!value) throw new Error(`This recording holds no value "${name}".`);
        return value;
      },
    };
  }

  statistics(name: string): Promise<Statistics> {
    return this.analysis(`statistics ${name}`);
  }

  async analysis<T>(key: string): Promise<T> {
    if (this.offers(key)) return this.kept.get(key) as T;
    throw new Error('Not in this recording. Where there is WebGPU it is computed from a run.');
  }

  offers(key: string): boolean {
    return this.kept.has(key);
  }

  async analyses(): Promise<Map<string, unknown>> {
    return new Map(this.kept);
  }

  destroy(): void {}
}

/**
 * Reads what `recordSession` wrote; values are read when they are asked for.
 * @param name the file's, for messages
 * @throws Error where it is no recording, or of another version
 */
export async function openRecording(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<RecordedSession> {
  const file = await SafetensorsFile.open(bytes, name);
  const { metadata } = file;
  const version = metadata.hyaline_recording;
  if (version === undefined)
    throw new Error(
      `recording: ${name} is a safetensors file, but no recorded session; a model is opened with its config.json.`,
    );
  if (version !== VERSION) throw new Error(`recording: ${name} has version ${version}; this page reads ${VERSION}.`);
  const { config, hooks, vocabulary } = parse<RecordedModel>(metadata, 'model', name);
  const run = (which: (typeof RUNS)[number]) => (metadata[which] === undefined ? null : readRun(file, which, name));
  const [before, after, second] = await Promise.all(RUNS.map(run));
  if (!before) throw new Error(`recording: ${name} holds no run.`);
  return {
    state: readLink(metadata.link ?? '').state,
    runs: { before, after, second },
    shown: { config, hooks, tokenizer: vocabulary && { tokenText: (id) => textIn(vocabulary, id) } },
    adapter: metadata.adapter ?? '',
  };
}

/** @throws Error as a tokenizer does */
function textIn(vocabulary: readonly (string | null)[], id: number): string {
  const text = vocabulary[id] ?? null;
  if (text === null) throw new Error(`recording: there is no token ${id}`);
  return text;
}

function parse<T>(metadata: SafetensorsFile['metadata'], key: string, file: string): T {
  try {
    return JSON.parse(metadata[key], readNumber);
  } catch (error) {
    throw new Error(`recording: ${file}: its ${key} is not JSON. ${error instanceof Error ? error.message : error}`);
  }
}

async function readRun(file: SafetensorsFile, which: string, name: string): Promise<PageRun> {
  const data = parse<RecordedRunData>(file.metadata, which, name);
  const values = new Map<string, ShownValue>();
  for (const value of data.values) {
    const stored = file.get(value.tensor);
    if (stored.dtype !== 'F32' || stored.shape.length !== value.axes.length) {
      throw new Error(`recording: ${name}: ${value.name}: expected float32 with axes ${value.axes.join(', ')}.`);
    }
    const { shape } = stored;
    values.set(value.name, { name: value.name, axes: value.axes, shape, read: () => readTensor(value, stored) });
  }
  const logits = values.get('logits');
  if (!logits) throw new Error(`recording: ${name}: the run "${which}" has no logits.`);
  return new RecordedRun(data, values, await logits.read());
}

async function readTensor(
  { name, axes }: Pick<Tensor, 'name' | 'axes'>,
  { shape, readBytes }: StoredTensor,
): Promise<Tensor> {
  const bytes = (await readBytes()).slice(); // float32 begins where it may
  return { name, axes, shape, data: new Float32Array(bytes.buffer) };
}
