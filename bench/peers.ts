// Other engines on the same tasks, in the same page and on the same adapter: each is started, checked against float64 and only then
// timed, in turns with ours. One that does not load, is wrong or runs elsewhere becomes a row that says so. They are installed in this
// folder alone and only when asked for, so their modules are imported by URL and their types are written down as far as they are used.
import type * as Hyaline from '../src/index.ts';
import { type Case, elapsedMs } from './interleave.ts';
import { LENGTHS, RUN } from './measure.ts';
import { CONTEXTS, DECODE, DECODED } from './measure_edits.ts';
import { startJax } from './peers_jax.ts';
import { startOnnxRuntime } from './peers_onnx_runtime.ts';
import { ownKernels } from './peers_own.ts';
import {
  modelTasks,
  normTask,
  type OperationTask,
  productTask,
  type RunTask,
  readWeights,
  softmaxTask,
  type Task,
} from './peers_tasks.ts';
import { startTensorFlow } from './peers_tensorflow.ts';
import { startTransformers } from './peers_transformers.ts';
import type { Check, Peer } from './result.ts';

type Model = Hyaline.Model;

/** A task that an engine is ready for: everything but what its users would do each time has been done. */
export interface Prepared {
  /** Does it and gives the result on the CPU. */
  readonly run: () => Promise<Float32Array>;
  readonly destroy: () => void;
}

/** An engine that has been started, and the kinds of task that it has operations for. */
export interface Engine {
  readonly name: string;
  readonly version: string | null;
  readonly prepare: { readonly [Kind in Task['kind']]?: (task: Extract<Task, { kind: Kind }>) => Promise<Prepared> };
  /** The same run with the model as somebody else exported it, where there is such a file: a check of what we give the engine. */
  readonly exported?: ((task: RunTask) => Promise<Prepared>) | null;
}

/** Where things are, as URLs. */
export interface PeerFiles {
  /** `node_modules/` of this folder. */
  readonly modules: string;
  /** The model's config.json. */
  readonly config: string;
  /** The model as exported by PyTorch, where there is such a file: what our own ONNX is compared with. */
  readonly onnx: string | null;
}

/** What engines that run the model are given. */
export interface PeerModel {
  readonly config: Model['config'];
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly device: GPUDevice;
}

/** Cases by the rounds that they belong to: with our runs, with our decoding, or on their own. */
export interface PeerCases {
  /** What became of each engine; to be asked after everything was timed. */
  readonly peers: () => readonly Peer[];
  readonly runs: readonly Case[];
  readonly decodes: readonly Case[];
  readonly operations: readonly Case[];
  destroy(): void;
}

export interface PeerContext {
  readonly hyaline: typeof Hyaline;
  readonly model: Model;
  readonly input: (length: number) => number[];
  readonly say: (line: string) => void;
}

type Starter = readonly [
  name: string,
  start: (files: PeerFiles, model: PeerModel) => Promise<Engine>,
  onAdapter: boolean,
];

const STARTERS: readonly Starter[] = [
  ['onnxruntime-web WebGPU', (files, model) => startOnnxRuntime('webgpu', files, model), true],
  ['onnxruntime-web WASM', (files, model) => startOnnxRuntime('wasm', files, model), false],
  ['transformers.js WebGPU', startTransformers, true],
  ['jax-js WebGPU', startJax, true],
  ['tfjs WebGPU', startTensorFlow, true],
];

/** Operations at the model's shapes, and a square product, once and eight times in a row. */
function operationTasks({ config: { dModel, dMlp, dVocabOut, nHeads } }: Model, rows: number): OperationTask[] {
  const shapes = [
    { rows, dIn: dModel, dOut: dModel },
    { rows, dIn: dModel, dOut: dMlp },
    { rows, dIn: dMlp, dOut: dModel },
    { rows, dIn: dModel, dOut: dVocabOut },
    { rows: 512, dIn: 512, dOut: 512 },
  ];
  const products = shapes.map((shape) => productTask(`product, ${shape.dIn} to ${shape.dOut}`, shape));
  const many = productTask('product, 512 to 512, 8 in a row', { ...shapes[4], count: 8 });
  return [
    ...products,
    many,
    softmaxTask(`softmax over ${rows}`, { rows: nHeads * rows, columns: rows }),
    softmaxTask('softmax over 512', { rows: 512, columns: 512 }),
    normTask(`layer norm over ${dModel}`, { rows, columns: dModel }),
    normTask('layer norm over 512', { rows: 512, columns: 512 }),
  ];
}

const ROWS = 64;

/** An engine that does not answer for so long is not waited for: the first result of one on a software adapter takes up to a minute. */
const PATIENCE_MS = 5 * 60_000;

/**
 * Starts every engine and makes it ready for every task that it can do.
 * @throws Error where our own kernels are wrong: then there is nothing to compare with
 */
export async function peerCases(files: PeerFiles, { hyaline, model, input, say }: PeerContext): Promise<PeerCases> {
  say('peers: float64 results');
  const weights = await readWeights(model);
  const work = { lengths: LENGTHS, contexts: CONTEXTS, decoded: DECODED, input, names: { run: RUN, decode: DECODE } };
  const ofModel = await modelTasks(hyaline, model, weights, work);
  const operations = operationTasks(model, ROWS);
  const own = new Contender('hyaline');
  await own.take(ownKernels(model.device), operations);
  if (own.problems.length > 0) throw new Error(`our kernels are wrong: ${own.problems.join('; ')}.`);

  const peers: Contender[] = [];
  for (const [name, start, onAdapter] of STARTERS) {
    say(`peer: ${name}`);
    const peer = new Contender(name);
    peers.push(peer);
    try {
      const ours = onAdapter ? hyaline.describeAdapter(model.device) : null;
      const engine = await onSameAdapter(ours, () =>
        start(files, { config: model.config, weights, device: model.device }),
      );
      await peer.take(engine, [...ofModel, ...operations]);
    } catch (error) {
      peer.problems.push(reason(error));
    }
  }
  const of = (...kinds: readonly Task['kind'][]) => [own, ...peers].flatMap((contender) => contender.casesOf(kinds));
  return {
    peers: () => peers.map((peer) => peer.report()),
    runs: of('run'),
    decodes: of('decode'),
    operations: of('product', 'softmax', 'norm'),
    destroy() {
      for (const contender of [own, ...peers]) contender.destroy();
    },
  };
}

/** One engine in the benchmark: what it is ready for, what was checked, and what went wrong, which is never an exception. */
class Contender {
  readonly problems: string[] = [];
  private readonly checks: Check[] = [];
  private readonly prepared: Prepared[] = [];
  private readonly cases: { readonly kind: Task['kind']; readonly timed: Case }[] = [];
  private name: string;
  private version: string | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /** Each task that the engine has operations for is done once and checked; what is right can be timed. */
  async take(engine: Engine, tasks: readonly Task[]): Promise<void> {
    this.name = engine.name;
    this.version = engine.version;
    for (const task of tasks) {
      const prepare = engine.prepare[task.kind] as ((task: Task) => Promise<Prepared>) | undefined;
      if (!prepare) continue;
      const ready = await this.tryOut(task, '', () => prepare(task));
      if (ready) this.cases.push({ kind: task.kind, timed: this.caseOf(task, ready) });
    }
    const { exported } = engine;
    const runs = tasks.filter((task): task is RunTask => task.kind === 'run');
    if (!exported || runs.length === 0) return;
    const longest = runs.reduce((longest, other) => (other.tokens > longest.tokens ? other : longest));
    await this.tryOut(longest, ', from the file that PyTorch exported', () => exported(longest));
  }

  /** What is ready, or null where it failed or is wrong. */
  private async tryOut(task: Task, what: string, prepare: () => Promise<Prepared>): Promise<Prepared | null> {
    try {
      const ready = await inTime(prepare());
      this.prepared.push(ready);
      const { name, passed, detail } = task.check(await inTime(ready.run()));
      this.checks.push({ name: `${name}${what}`, passed, detail });
      if (!passed) throw new Error(`wrong: ${detail}`);
      return ready;
    } catch (error) {
      this.problems.push(`${task.name} of ${task.tokens}${what}: ${reason(error)}`);
      return null;
    }
  }

  /** Once it has failed in a round it has no time in any other, and no row. */
  private caseOf(task: Task, { run }: Prepared): Case {
    let hasFailed = false;
    const time = async () => {
      if (hasFailed) return Number.NaN;
      try {
        return (await elapsedMs(() => inTime(run()))) / task.count;
      } catch (error) {
        hasFailed = true;
        this.problems.push(`${task.name} of ${task.tokens}, while it was timed: ${reason(error)}`);
        return Number.NaN;
      }
    };
    return { name: task.name, engine: this.name, tokens: task.tokens, time };
  }

  casesOf(kinds: readonly Task['kind'][]): Case[] {
    return this.cases.filter(({ kind }) => kinds.includes(kind)).map(({ timed }) => timed);
  }

  report(): Peer {
    const { name, version, checks, problems } = this;
    return { name, version, checks, notRun: problems.length === 0 ? null : problems.join('; ') };
  }

  destroy(): void {
    for (const { destroy } of this.prepared) destroy();
  }
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0];

function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS / 60_000} minutes`)), PATIENCE_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/**
 * Starts an engine and looks at the adapters that it is given. `ours` is null for one that computes without.
 * @throws Error where one is not ours, or where it asks for none
 */
async function onSameAdapter(ours: Hyaline.AdapterDescription | null, start: () => Promise<Engine>): Promise<Engine> {
  if (!ours) return inTime(start());
  const { gpu } = navigator;
  const request = gpu.requestAdapter;
  const given: string[] = [];
  const inWords = ({ vendor, architecture }: { vendor: string; architecture: string }) => `${vendor} ${architecture}`;
  gpu.requestAdapter = async (options) => {
    const adapter = await request.call(gpu, options);
    if (adapter) given.push(inWords(adapter.info));
    return adapter;
  };
  try {
    const engine = await inTime(start());
    const other = given.find((adapter) => adapter !== inWords(ours));
    if (other !== undefined) throw new Error(`it runs on another adapter: ${other}`);
    if (given.length === 0) throw new Error('it asked for no adapter, so nobody knows where it runs');
    return engine;
  } finally {
    gpu.requestAdapter = request;
  }
}
