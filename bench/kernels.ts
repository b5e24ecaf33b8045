// Every kernel at the shapes of real models: one block of each, with the engine's own dispatches, timed one by one. What a kernel has to
// move and to compute at least is known, so its time is a share of what the adapter can do (limits.ts).
import type * as Hyaline from '../src/index.ts';
import { copyBandwidth } from './limits.ts';
import { quartiles } from './quartiles.ts';
import { type Bound, type RecordedDispatch, recordDispatches } from './recorder.ts';
import { type ReplayOptions, replay } from './replay.ts';
import type { KernelTiming, Limits } from './result.ts';
import { CIRCUIT_SIZED, drawnModel, GPT2_MEDIUM, GPT2_SMALL, LLAMA_1B, PYTHIA_160M, type Shape } from './shapes.ts';

type Engine = typeof Hyaline;
type Model = Hyaline.Model;

const SHAPES = [CIRCUIT_SIZED, GPT2_SMALL, GPT2_MEDIUM, PYTHIA_160M, LLAMA_1B];
/** Where there is no GPU: the shapes at both ends of what people run there. */
const SOFTWARE_SHAPES = [CIRCUIT_SIZED, GPT2_SMALL];
/** Rows of a prompt, and the one row of a token behind `CONTEXT` others. */
const ROWS = [1, 64, 512, 1024];
const CONTEXT = 512;
/** Instead of the real vocabulary, where its matrix alone would take minutes. */
const SOFTWARE_VOCABULARY = 2048;
/** A dispatch that takes longer than this is not timed on a software adapter, where products reach about a tenth of the limit. */
const SOFTWARE_LONGEST_MS = 200;

export interface KernelOptions {
  readonly limits: Limits;
  readonly isSoftware: boolean;
  /** As few as show that it works. */
  readonly quick: boolean;
  readonly onShape: (done: number, total: number, shape: string) => void;
}

/** What was timed, and a sentence for each thing that was not. */
export async function measureKernels(
  engine: Engine,
  device: GPUDevice,
  options: KernelOptions,
): Promise<{ kernels: KernelTiming[]; skipped: string[] }> {
  const { isSoftware, quick, onShape } = options;
  const replaying = { passes: quick ? 2 : isSoftware ? 5 : 9, passMs: isSoftware ? 20 : 10 };
  const { plans, skipped } = planKernels(options);
  const kernels: KernelTiming[] = [];
  for (const [done, plan] of plans.entries()) {
    onShape(done, plans.length, plan.shape.name);
    try {
      kernels.push(...(await kernelsOfShape(engine, device, { ...plan, replaying })));
    } catch (error) {
      // The largest may not fit; the others are still worth knowing.
      if (!isTooLarge(error)) throw error;
      skipped.push(`kernels of ${plan.shape.name}: ${error.message}`);
    }
  }
  return { kernels, skipped };
}

/** The adapter's limits or memory (the engine's own errors about them), or this machine's. */
const isTooLarge = (error: unknown): error is Error =>
  error instanceof RangeError || (error instanceof Error && error.message.startsWith('device: '));

/** One block of a shape, the rows to time it with, and whether also behind a context. */
interface KernelPlan {
  readonly shape: Shape;
  readonly rows: readonly number[];
  readonly withContext: boolean;
}

/** Everything on hardware; elsewhere what takes bearable time, with a sentence for what is left out. */
export function planKernels({ limits, isSoftware, quick }: Omit<KernelOptions, 'onShape'>): {
  plans: KernelPlan[];
  skipped: string[];
} {
  const shapes = quick ? [CIRCUIT_SIZED] : isSoftware ? SOFTWARE_SHAPES : SHAPES;
  const why = quick ? 'a quick run' : 'a software adapter';
  const others = SHAPES.filter((shape) => !shapes.includes(shape)).map(({ name }) => name);
  const skipped = others.length > 0 ? [`kernels of ${others.join(', ')}: ${why}`] : [];
  const plans = shapes.map((whole) => {
    const cut = isSoftware && whole.dVocab > SOFTWARE_VOCABULARY;
    const shape = { ...whole, nLayers: 1, ...(cut && { dVocab: SOFTWARE_VOCABULARY }) };
    if (cut) skipped.push(`the vocabulary of ${shape.name}: ${shape.dVocab} tokens instead of ${whole.dVocab}`);
    const takes = (rows: number) => !isSoftware || longestMs(shape, rows, limits) < SOFTWARE_LONGEST_MS;
    const rows = quick ? [64] : ROWS.filter((rows) => rows <= shape.nCtx && takes(rows));
    const left = ROWS.filter((count) => !rows.includes(count));
    const tooLong = `a dispatch would take longer than ${SOFTWARE_LONGEST_MS} ms`;
    if (left.length > 0) skipped.push(`kernels of ${shape.name} at ${left.join(', ')} rows: ${quick ? why : tooLong}`);
    return { shape, rows, withContext: !quick };
  });
  return { plans, skipped };
}

/** Of its largest product, if it reaches a tenth of the limit. */
const longestMs = ({ dModel, dMlp, dVocab }: Shape, rows: number, limits: Limits) =>
  (2 * rows * dModel * Math.max(dMlp, dVocab)) / (0.1e6 * limits.fma.median);

async function kernelsOfShape(
  engine: Engine,
  device: GPUDevice,
  { shape, rows, withContext, replaying }: KernelPlan & { replaying: ReplayOptions },
): Promise<KernelTiming[]> {
  const model = await engine.Model.load(drawnModel(shape), { device });
  try {
    const kernels: KernelTiming[] = [];
    for (const count of rows) kernels.push(...(await kernelsOf(model, { shape, rows: count, context: 0 }, replaying)));
    if (withContext) kernels.push(...(await kernelsOf(model, { shape, rows: 1, context: CONTEXT }, replaying)));
    return kernels;
  } finally {
    model.destroy();
  }
}

interface Setting {
  readonly shape: Shape;
  readonly rows: number;
  /** Positions in the key-value cache; without one every row looks at those before it. */
  readonly context: number;
}

/** Each different dispatch of one run. With a context, only what looks at it: the rest is that of a single row. */
async function kernelsOf(model: Model, setting: Setting, options: ReplayOptions): Promise<KernelTiming[]> {
  const { rows, context } = setting;
  const cache = context > 0 ? model.createKeyValueCache({ capacity: context + rows }) : undefined;
  const tokens = Array.from({ length: rows }, (_, i) => i % model.config.dVocab);
  try {
    if (cache) {
      await model.run(tokens, { keyValueCache: cache });
      cache.lengths = [context]; // what its keys and values are does not matter, so nothing has to compute them
    }
    const dispatches = await recordDispatches(model.device, () => model.run(tokens, { keyValueCache: cache }));
    const timings: KernelTiming[] = [];
    for (const dispatch of differentOnes(dispatches)) {
      if (cache && !looksBack(dispatch)) continue;
      const { wall, gpu, repeats } = await replay(model.device, dispatch, options);
      const [kernel, value] = dispatch.label.split(' ');
      timings.push({
        shape: setting.shape.name,
        kernel,
        value,
        rows,
        context,
        ...work(dispatch, setting),
        repeats,
        wall: quartiles(wall),
        gpu: gpu && quartiles(gpu),
      });
    }
    return timings;
  } finally {
    cache?.destroy();
  }
}

/** Whether a dispatch costs more where there is more in the key-value cache. */
const looksBack = ({ kernel, bound }: RecordedDispatch) =>
  kernel.startsWith('attention') || bound.some(({ label }) => label.endsWith('cached'));

/** Keys and values are projected by the same pipeline, of the same sizes: one of them is enough. */
function differentOnes(dispatches: readonly RecordedDispatch[]): RecordedDispatch[] {
  const seen: RecordedDispatch[] = [];
  for (const dispatch of dispatches) {
    const sizes = ({ bound }: RecordedDispatch) => bound.map(({ bytes }) => bytes).join();
    const isSame = (other: RecordedDispatch) =>
      other.pipeline === dispatch.pipeline && sizes(other) === sizes(dispatch);
    if (!seen.some(isSame)) seen.push(dispatch);
  }
  return seen;
}

const MATRIX = /(^|\.)W_(?!E$|pos$)\w+$/;
const TABLE = /W_E$|W_pos$|^rotary/;

/**
 * What a dispatch has to do at least: bytes, if everything that it is bound to is read or written once (of a table only the rows that it
 * looks up), and operations of its products (2 for each multiply-add that is not masked; everything else counts as none).
 */
export function work({ kernel, bound }: Pick<RecordedDispatch, 'kernel' | 'bound'>, { shape, rows, context }: Setting) {
  const { dModel, nCtx, dVocab } = shape;
  const tableRows = (label: string) => (label.endsWith('W_E') ? dVocab : nCtx);
  const bytesOf = ({ label, bytes }: Bound) => (TABLE.test(label) ? (bytes * rows) / tableRows(label) : bytes);
  const sum = (buffers: readonly Bound[]) => buffers.reduce((total, buffer) => total + bytesOf(buffer), 0);
  const matrixBytes = sum(bound.filter(({ label }) => MATRIX.test(label)));
  const pairs = context > 0 ? rows * context + (rows * (rows + 1)) / 2 : (rows * (rows + 1)) / 2;
  const headProducts = /^attention_(scores|values)$/.test(kernel) ? 1 : /^(fused_)?attention$/.test(kernel) ? 2 : 0;
  const flops = 2 * rows * (matrixBytes / 4) + headProducts * 2 * pairs * dModel;
  return { bytes: Math.round(sum(bound)), matrixBytes: Math.round(matrixBytes), flops: Math.round(flops) };
}

export interface Rates {
  readonly ms: number;
  readonly gigabytesPerSecond: number;
  readonly gigaflops: number;
  /** Of the limit that it meets first, memory or multiply-adds: 1 is as fast as this adapter can be. Caches can exceed it. */
  readonly share: number;
  readonly limitedBy: 'memory' | 'products';
}

/** How fast a kernel is, by the GPU's clock where it has one. */
export function kernelRates({ bytes, flops, wall, gpu }: KernelTiming, limits: Limits): Rates {
  const ms = (gpu ?? wall).median;
  const memoryMs = bytes / (1e6 * copyBandwidth(limits));
  const productMs = flops / (1e6 * limits.fma.median);
  return {
    ms,
    gigabytesPerSecond: bytes / (1e6 * ms),
    gigaflops: flops / (1e6 * ms),
    share: Math.max(memoryMs, productMs) / ms,
    limitedBy: productMs > memoryMs ? 'products' : 'memory',
  };
}
