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
  readonly peers: readonly Peer[];
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

/**
 * Starts every engine and makes it ready for every task that it can do.
 * @throws Error where our own kernels are wrong: then there is nothing to compare with
 */
export async function peerCases(files: PeerFiles, context: PeerContext): Promise<PeerCases> {
  const { hyaline, model, input, say } = context;
  say('peers: float64 results');
  const weights = await readWeights(model);
  const work = { lengths: LENGTHS, contexts: CONTEXTS, decoded: DECODED, input, names: { run: RUN, decode: DECODE } };
  const ofModel = await modelTasks(hyaline, model, weights, work);
  const operations = operationTasks(model, ROWS);
  const prepared: Prepared[] = [];
  const cases: { readonly kind: Task['kind']; readonly timed: Case }[] = [];

  const take = async (engine: Engine, tasks: readonly Task[]) => {
    const checks: Check[] = [];
    const problems: string[] = [];
    for (const task of tasks) {
      const prepare = engine.prepare[task.kind] as ((task: Task) => Promise<Prepared>) | undefined;
      if (!prepare) continue;
      const what = `${task.name}, ${task.tokens} rows`;
      try {
        const ready = await prepare(task);
        prepared.push(ready);
        const check = task.check(await ready.run());
        checks.push(check);
        if (!check.passed) throw new Error(`wrong: ${check.detail}`);
        const time = async () => (await elapsedMs(ready.run)) / task.count;
        cases.push({ kind: task.kind, timed: { name: task.name, engine: engine.name, tokens: task.tokens, time } });
      } catch (error) {
        problems.push(`${what}: ${reason(error)}`);
      }
    }
    return { checks, problems };
  };

  const own = await take(ownKernels(model.device), operations);
  if (own.problems.length > 0) throw new Error(`our kernels are wrong: ${own.problems.join('; ')}.`);
  const adapter = hyaline.describeAdapter(model.device);
  const peers: Peer[] = [];
  for (const [name, start, onAdapter] of STARTERS) {
    say(`peer: ${name}`);
    try {
      const { engine, elsewhere } = await onSameAdapter(adapter, () =>
        start(files, { config: model.config, weights, device: model.device }),
      );
      if (onAdapter && elsewhere) throw new Error(`it runs on another adapter: ${elsewhere}`);
      const { checks, problems } = await take(engine, [...ofModel, ...operations]);
      if (engine.exported) checks.push(await checkExported(engine.exported, ofModel));
      const notRun = problems.length === 0 ? null : problems.join('; ');
      peers.push({ name: engine.name, version: engine.version, notRun, checks });
    } catch (error) {
      peers.push({ name, version: null, notRun: reason(error), checks: [] });
    }
  }
  const of = (...kinds: readonly Task['kind'][]) =>
    cases.filter(({ kind }) => kinds.includes(kind)).map(({ timed }) => timed);
  return {
    peers,
    runs: of('run'),
    decodes: of('decode'),
    operations: of('product', 'softmax', 'norm'),
    destroy() {
      for (const { destroy } of prepared) destroy();
    },
  };
}

/** The longest run, with the other file: both files' logits are within the same limit of float64, so within twice that of each other. */
async function checkExported(exported: NonNullable<Engine['exported']>, tasks: readonly Task[]): Promise<Check> {
  const runs = tasks.filter((task): task is RunTask => task.kind === 'run');
  const task = runs.reduce((longest, other) => (other.tokens > longest.tokens ? other : longest));
  const { run, destroy } = await exported(task);
  const check = task.check(await run());
  destroy();
  return { ...check, name: `${check.name}, from the file that PyTorch exported` };
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0];

/** Starts an engine and looks at the adapters that it asks for: in words, one that is not ours, or null. */
async function onSameAdapter(ours: Hyaline.AdapterDescription, start: () => Promise<Engine>) {
  const { gpu } = navigator;
  const request = gpu.requestAdapter;
  let elsewhere: string | null = null;
  gpu.requestAdapter = async (options) => {
    const adapter = await request.call(gpu, options);
    const { vendor = '', architecture = '' } = adapter?.info ?? {};
    if (vendor !== ours.vendor || architecture !== ours.architecture) elsewhere = `${vendor} ${architecture}`.trim();
    return adapter;
  };
  try {
    return { engine: await start(), elsewhere };
  } finally {
    gpu.requestAdapter = request;
  }
}
