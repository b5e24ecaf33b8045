// Measures which tiling is the fastest for each matrix product of a model on its device. Only time is measured: all tilings give the same
// bits. Knows nothing of where choices are kept (tiling_store.ts), nor of which one a run takes (tilings.ts).
import { candidateTilings, type TilingName } from '../kernels/tiling.ts';
import { dispatchesOf, type Frame } from './frame.ts';
import type { GpuMemory } from './memory.ts';
import type { Pipeline, PipelineCache } from './pipelines.ts';
import type { Dispatch, Plan } from './plan.ts';
import { type Product, productClass, type TilingChoice, type Tilings } from './tilings.ts';

/** How many milliseconds one dispatch took, by tiling. */
export interface TunedProduct extends Product {
  /** The products that share the choice, in words. */
  readonly name: string;
  readonly best: TilingName;
  /** What it was before. */
  readonly before: TilingName;
  readonly medianMs: Readonly<Partial<Record<TilingName, number>>>;
}

/** Milliseconds of device time for all products of one run, about: a dispatch that takes longer is measured all the same. */
const BUDGET_MS = 50;
const ROUNDS = 5;
const MOST_DISPATCHES = 64;
/** What another tiling has to gain to replace the one in use: less is noise. */
const GAIN = 0.97;

/** One product of a plan and one way to compute it. */
interface Candidate {
  readonly tiling: TilingName;
  readonly dispatch: Dispatch;
  readonly pipeline: Pipeline;
  readonly samples: number[];
}

/** What the tuner needs of a runtime. */
export interface TuningPlace {
  readonly memory: GpuMemory;
  readonly pipelines: PipelineCache;
  readonly tilings: Tilings;
  /** The plan of the run that is tuned, with these tilings. */
  readonly compile: (choose: (product: Product) => TilingChoice) => Plan;
}

/**
 * Tunes the products of one run.
 * @param frame of that run, after it: the buffers that the products read and write
 * @param onProduct called before a product is measured
 */
export async function tuneProducts(
  { memory, pipelines, tilings, compile }: TuningPlace,
  frame: Frame,
  { signal, onProduct }: { signal?: AbortSignal; onProduct: (name: string) => void },
): Promise<TunedProduct[]> {
  const dispatches = dispatchesOf(frame.plan);
  const products = new Map<string, { product: Product; index: number; before: TilingName; names: TilingName[] }>();
  dispatches.forEach(({ product, tiling }, index) => {
    if (!product || !tiling || tiling.origin === 'given' || !product.sizes.hasWeights) return;
    const name = productClass(product);
    const names = [...new Set([tiling.tiling, ...candidateTilings(product.sizes, tilings.adapter)])];
    if (names.length > 1 && !products.has(name)) products.set(name, { product, index, before: tiling.tiling, names });
  });
  const most = Math.max(0, ...[...products.values()].map(({ names }) => names.length));
  const plans = Array.from({ length: most }, (_, i) =>
    dispatchesOf(
      compile((product) => {
        const names = products.get(productClass(product))?.names;
        return names ? { tiling: names[i % names.length], origin: 'tuned' } : tilings.choose(product);
      }),
    ),
  );
  const clock = new DispatchClock(memory, frame);
  const tuned: TunedProduct[] = [];
  try {
    for (const [name, { product, index, before, names }] of products) {
      signal?.throwIfAborted();
      onProduct(name);
      const candidates = await Promise.all(
        names.map(async (tiling, i): Promise<Candidate> => {
          const dispatch = plans[i][index];
          return { tiling, dispatch, pipeline: await pipelines.get(dispatch), samples: [] };
        }),
      );
      const medianMs = await measure(clock, index, candidates, BUDGET_MS / products.size, signal);
      const fastest = names.reduce((a, b) => ((medianMs[b] ?? 0) < (medianMs[a] ?? 0) ? b : a));
      const isFaster = (medianMs[fastest] ?? 0) < GAIN * (medianMs[before] ?? 0);
      tuned.push({ ...product, name, before, best: isFaster ? fastest : before, medianMs });
    }
    return tuned;
  } finally {
    clock.destroy();
  }
}

/** Candidates in turns, so that what slows the device down for a while slows all of them; medians over the rounds. */
async function measure(
  clock: DispatchClock,
  index: number,
  candidates: readonly Candidate[],
  budgetMs: number,
  signal: AbortSignal | undefined,
): Promise<Partial<Record<TilingName, number>>> {
  const batchMs = budgetMs / (candidates.length * (ROUNDS + 1));
  const counts: number[] = [];
  for (const candidate of candidates) {
    // The first dispatch of a pipeline is no measure of it.
    await clock.time(index, candidate, 1);
    const once = await clock.time(index, candidate, 1);
    counts.push(Math.min(MOST_DISPATCHES, Math.max(1, Math.ceil(batchMs / once))));
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, candidate] of candidates.entries()) {
      signal?.throwIfAborted();
      candidate.samples.push(await clock.time(index, candidate, counts[i]));
    }
  }
  return Object.fromEntries(candidates.map(({ tiling, samples }) => [tiling, median(samples)]));
}

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)];
}

/** Times dispatches of a frame: by the device's clock where it has one, else from submission to completion. */
class DispatchClock {
  private readonly memory: GpuMemory;
  private readonly frame: Frame;
  private readonly times: { readonly queries: GPUQuerySet; readonly resolved: GPUBuffer } | null;

  constructor(memory: GpuMemory, frame: Frame) {
    this.memory = memory;
    this.frame = frame;
    const { device } = memory;
    const { QUERY_RESOLVE, COPY_SRC } = GPUBufferUsage;
    this.times = device.features.has('timestamp-query')
      ? {
          queries: device.createQuerySet({ label: 'tuner', type: 'timestamp', count: 2 }),
          resolved: memory.create('tuner', 16, QUERY_RESOLVE | COPY_SRC),
        }
      : null;
  }

  /** Milliseconds of one dispatch, of `count` in a row. */
  async time(index: number, { dispatch, pipeline }: Candidate, count: number): Promise<number> {
    const { memory, frame, times } = this;
    const { device } = memory;
    const begin = performance.now();
    await memory.scoped(`tuning ${dispatch.label}`, () => {
      const encoder = device.createCommandEncoder({ label: 'tuner' });
      const timestampWrites = times && {
        querySet: times.queries,
        beginningOfPassWriteIndex: 0,
        endOfPassWriteIndex: 1,
      };
      const pass = encoder.beginComputePass({ label: 'tuner', ...(timestampWrites && { timestampWrites }) });
      frame.encode(pass, index, pipeline, { workgroups: dispatch.workgroups, count });
      pass.end();
      if (times) encoder.resolveQuerySet(times.queries, 0, 2, times.resolved, 0);
      device.queue.submit([encoder.finish()]);
    });
    if (times) {
      const [from, to] = new BigUint64Array(await memory.read(times.resolved, 16));
      // Clocks that browsers make coarse may stand still, or be reset.
      if (to > from) return Number(to - from) / 1e6 / count;
    } else {
      await device.queue.onSubmittedWorkDone();
    }
    return (performance.now() - begin) / count;
  }

  destroy(): void {
    if (!this.times) return;
    this.times.queries.destroy();
    this.memory.destroy(this.times.resolved);
  }
}
