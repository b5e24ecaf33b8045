// Runs plans on a device: holds the weights, compiles pipelines once, keeps plans and their frames for the next run.
// Knows nothing of names that users type, of tokens as text, or of caches.
import type { Kernel, Variant } from '../kernels/kernel.ts';
import type { Guarding, Numerics } from '../kernels/prelude.ts';
import { matrixWords, type StoredMatrix, type WeightFormat } from '../kernels/weight_formats.ts';
import { planLimits } from './device.ts';
import { dispatchKernel, PreparedKernel } from './dispatch.ts';
import { dispatchesOf, Frame, type RunInput } from './frame.ts';
import type { Graph } from './graph.ts';
import { measureGuarding } from './guarding.ts';
import { GpuMemory, OutOfMemoryError } from './memory.ts';
import { PipelineCache } from './pipelines.ts';
import { type ChooseTiling, compile, type Plan, type PlanRequest } from './plan.ts';
import { Tilings } from './tilings.ts';
import type { TunedProduct } from './tuner.ts';
import type { Piece, WeightLayout } from './weights.ts';
import { Workspace } from './workspace.ts';

interface CompiledPlan {
  readonly plan: Plan;
  workspace: Workspace;
  /** A frame that nobody uses: at most one, so that memory which was given back is given back. */
  idle: Frame | null;
}

/** Plans kept for the next run of the same shape; the least recently used one goes first. */
const MAX_PLANS = 16;

/** A request; without numerics it has the runtime's. */
export type RunRequest = Omit<PlanRequest, 'numerics'> & Partial<Pick<PlanRequest, 'numerics'>>;

type Codec = typeof import('../kernels/weight_codec.ts');

/** A variant of a kernel that works on a run's values. */
type VariantOfRun = Omit<Variant, 'arithmetic'> & { readonly numerics: Numerics };

export class Runtime {
  /** Of runs that do not say. */
  readonly numerics: Numerics;
  /** What reproducible numerics need on this adapter; until that is measured, all there is. The bits are the same. */
  private reproducible: Guarding = 'guarded';
  /** Of models whose matrices are stored in less than float32. */
  private codec: Codec | null = null;
  readonly memory: GpuMemory;
  readonly pipelines: PipelineCache;
  readonly tilings: Tilings;
  private readonly graph: Graph;
  private readonly layouts: ReadonlyMap<string, WeightLayout>;
  private readonly weights: Map<string, GPUBufferBinding[]>;
  private readonly plans = new Map<string, CompiledPlan>();

  constructor(
    device: GPUDevice,
    graph: Graph,
    layouts: ReadonlyMap<string, WeightLayout>,
    numerics: Numerics,
    tilings: Tilings = new Tilings('software'),
  ) {
    this.numerics = numerics;
    this.tilings = tilings;
    this.memory = new GpuMemory(device);
    this.pipelines = PipelineCache.of(device);
    this.graph = graph;
    this.layouts = layouts;
    this.weights = new Map();
  }

  /** Creates a weight's buffers, one per piece, and writes them: float32 in GPU order becomes what the weight is stored in. */
  uploadWeight(name: string, data: Float32Array<ArrayBuffer>): void {
    const layout = this.layouts.get(name);
    if (!layout) throw new Error(`weights: "${name}" has no layout.`);
    const places = layout.pieces.map((piece) => {
      const words = this.encode(rowsOf(data, layout, piece), storedMatrix(layout, piece));
      const buffer = this.sharedBuffer(layout) ?? this.memory.createStorage(name, words.byteLength);
      const offset = layout.shared?.offset ?? 0;
      this.memory.device.queue.writeBuffer(buffer, offset, words);
      return { buffer, offset, size: words.byteLength };
    });
    this.weights.set(name, places);
  }

  private encode(data: Float32Array<ArrayBuffer>, matrix: StoredMatrix): Uint32Array<ArrayBuffer> {
    if (matrix.format === 'f32') return new Uint32Array(data.buffer, data.byteOffset, data.length);
    return this.codecOf(matrix).encodeMatrix(data, matrix);
  }

  private decode(words: Uint32Array<ArrayBuffer>, matrix: StoredMatrix): Float32Array<ArrayBuffer> {
    if (matrix.format === 'f32') return new Float32Array(words.buffer, words.byteOffset, words.length);
    return this.codecOf(matrix).decodeMatrix(words, matrix);
  }

  private codecOf({ format }: StoredMatrix): Codec {
    if (!this.codec) throw new Error(`weights: ${format} was not prepared.`);
    return this.codec;
  }

  /** The buffer that a weight shares with others, itself bound by its own name; null where it has its own. */
  private sharedBuffer({ shared }: WeightLayout): GPUBuffer | null {
    if (!shared) return null;
    const { buffer: name, size } = shared;
    const [existing] = this.weights.get(name) ?? [];
    if (existing) return existing.buffer;
    const buffer = this.memory.createStorage(name, size);
    this.weights.set(name, [{ buffer, size }]);
    return buffer;
  }

  /** Writes a weight again, in GPU order, for all runs submitted from now on. Does nothing once everything has been destroyed. */
  writeWeight(name: string, data: Float32Array<ArrayBuffer>): void {
    const layout = this.layouts.get(name);
    if (!layout) return;
    this.weights.get(name)?.forEach(({ buffer, offset = 0 }, i) => {
      const piece = layout.pieces[i];
      const words = this.encode(rowsOf(data, layout, piece), storedMatrix(layout, piece));
      this.memory.device.queue.writeBuffer(buffer, offset, words);
    });
  }

  /** What to bind for a weight, for each of its pieces, and how it lies in them; null where the checkpoint has none (it is zero). */
  weight(name: string): { readonly buffers: readonly GPUBufferBinding[]; readonly layout: WeightLayout } | null {
    this.check();
    const [buffers, layout] = [this.weights.get(name), this.layouts.get(name)];
    return buffers && layout ? { buffers, layout } : null;
  }

  /** Copies a weight to the CPU, as the float32 numbers that kernels read, in GPU order; null where the checkpoint has none. Waits for the GPU. */
  async readWeight(name: string): Promise<Float32Array<ArrayBuffer> | null> {
    const weight = this.weight(name);
    if (!weight) return null;
    const { layout } = weight;
    const data = new Float32Array(layout.rows * layout.rowStride);
    for (const [i, piece] of layout.pieces.entries()) {
      const matrix = storedMatrix(layout, piece);
      const { buffer, offset } = weight.buffers[i];
      const words = await this.memory.read(buffer, 4 * matrixWords(matrix), offset);
      data.set(this.decode(new Uint32Array(words), matrix), piece.firstRow * layout.rowStride);
    }
    return data;
  }

  /** Gets ready for weights that are stored in this format. */
  async prepareFormat(format: WeightFormat): Promise<void> {
    if (format !== 'f32') this.codec = await import('../kernels/weight_codec.ts');
  }

  /**
   * Gets ready for numerics: measures what reproducible ones need, the first time on a device. Runs do it by themselves.
   * @throws Error where the adapter cannot have them
   */
  async prepareNumerics(numerics: Numerics): Promise<void> {
    if (numerics === 'reproducible') this.reproducible = await measureGuarding(this.memory.device);
  }

  /** The plan of a request. Runs nothing, and keeps nothing. */
  plan(request: RunRequest): Plan {
    this.check();
    const complete = this.complete(request);
    return this.plans.get(planKey(complete))?.plan ?? this.compile(complete);
  }

  private complete(request: RunRequest): PlanRequest {
    return { ...request, numerics: request.numerics ?? this.numerics };
  }

  private compile(request: PlanRequest, chooseTiling: ChooseTiling = (product) => this.tilings.choose(product)): Plan {
    const limits = planLimits(this.memory.device);
    return compile(this.graph, request, this.layouts, limits, this.reproducible, chooseTiling);
  }

  /** The plan of a request with its buffers: made the first time, the same object afterwards. */
  private compiled(request: PlanRequest): CompiledPlan {
    this.check();
    const key = planKey(request);
    let compiled = this.plans.get(key);
    if (!compiled) {
      const plan = this.compile(request);
      compiled = { plan, workspace: new Workspace(plan, this.memory), idle: null };
    }
    this.plans.delete(key);
    this.plans.set(key, compiled);
    this.forgetOldest(this.plans.size - MAX_PLANS);
    return compiled;
  }

  /** Lets go of the plans that were used longest ago. */
  private forgetOldest(count: number): void {
    for (const { plan } of [...this.plans.values()].slice(0, Math.max(count, 0))) this.forget(plan);
  }

  /** Compiles the pipelines of a plan, in parallel. */
  async prepare(plan: Plan) {
    return Promise.all(dispatchesOf(plan).map((dispatch) => this.pipelines.get(dispatch)));
  }

  /**
   * Runs a request. The frame that comes back holds the captured values until it is given to `release`.
   * A warm run (a request that ran before, its frame released) creates no GPU buffer, bind group or pipeline.
   * If the adapter runs out of memory, everything at rest is freed and the run tried once more.
   */
  async run(request: RunRequest, input: RunInput): Promise<Frame> {
    const complete = this.complete(request);
    await this.prepareNumerics(complete.numerics);
    try {
      return await this.attempt(complete, input);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError) || this.plans.size === 0) throw error;
      this.forgetOldest(this.plans.size);
      return this.attempt(complete, input);
    }
  }

  private async attempt(request: PlanRequest, input: RunInput): Promise<Frame> {
    const compiled = this.compiled(request);
    const { plan } = compiled;
    let frame = compiled.idle;
    compiled.idle = null;
    if (!frame) {
      // Held before the first wait: the plan may be forgotten meanwhile.
      const stops = plan.steps.some(({ kind }) => kind === 'pause');
      const workspace = stops ? new Workspace(plan, this.memory) : compiled.workspace.hold();
      try {
        const pipelines = await this.prepare(plan);
        this.check();
        frame = new Frame(plan, { memory: this.memory, pipelines, weights: this.weights, workspace });
      } catch (error) {
        workspace.release();
        throw error;
      }
    }
    try {
      await frame.run(input);
      this.check();
      return frame;
    } catch (error) {
      frame.destroy();
      throw error;
    }
  }

  /**
   * Measures the matrix products of a request, which it runs, and takes for later runs what was the fastest. Frees all plans at rest:
   * they were made with what was chosen before.
   */
  async tune(
    request: RunRequest,
    input: RunInput,
    options: { signal?: AbortSignal; onProduct: (name: string) => void },
  ): Promise<TunedProduct[]> {
    const { tuneProducts } = await import('./tuner.ts');
    const { memory, pipelines, tilings } = this;
    const complete = this.complete(request);
    const frame = await this.run(complete, input);
    try {
      const place = { memory, pipelines, tilings, compile: (choose: ChooseTiling) => this.compile(complete, choose) };
      const tuned = await tuneProducts(place, frame, options);
      tilings.tune(new Map(tuned.map(({ name, best }) => [name, best])));
      return tuned;
    } finally {
      this.release(frame);
      this.forgetOldest(this.plans.size);
    }
  }

  /** Keeps a frame's values for one more reader. */
  hold(frame: Frame): void {
    frame.holders++;
  }

  /** One reader less; after the last one the frame serves the next run of its plan, or its memory is given back. */
  release(frame: Frame): void {
    if (--frame.holders > 0) return;
    const compiled = [...this.plans.values()].find(({ plan }) => plan === frame.plan);
    if (!compiled || compiled.idle) {
      frame.destroy();
      return;
    }
    frame.holders = 1;
    compiled.idle = frame;
  }

  /** Frees the buffers that wait for the next run of this plan; what runs or is kept by a cache stays. */
  forget(plan: Plan): void {
    for (const [key, compiled] of this.plans) {
      if (compiled.plan !== plan) continue;
      compiled.idle?.destroy();
      compiled.workspace.release();
      this.plans.delete(key);
    }
  }

  /** Frees the same, and keeps the plan: for runs whose buffers are too large to lie about. */
  freeIdle(plan: Plan): void {
    for (const compiled of this.plans.values()) {
      if (compiled.plan !== plan) continue;
      compiled.idle?.destroy();
      compiled.idle = null;
      compiled.workspace.release();
      compiled.workspace = new Workspace(plan, this.memory);
    }
  }

  /**
   * Dispatches one kernel on buffers of the caller. For what is not part of a plan: statistics, means, attributions. What is
   * computed of a run's values has that run's numerics.
   */
  async dispatch(
    kernel: Kernel,
    variant: VariantOfRun,
    buffers: Readonly<Record<string, GPUBuffer | GPUBufferBinding>>,
  ): Promise<void> {
    await dispatchKernel(this.memory, this.pipelines, kernel, await this.variant(variant), buffers);
  }

  /** The same kernel again and again, in commands of the caller. The caller destroys it. */
  async prepareKernel(kernel: Kernel, variant: VariantOfRun): Promise<PreparedKernel> {
    return PreparedKernel.create(this.memory, this.pipelines, kernel, await this.variant(variant));
  }

  private async variant({ numerics, ...variant }: VariantOfRun): Promise<Variant> {
    this.check();
    await this.prepareNumerics(numerics);
    return { ...variant, arithmetic: numerics === 'fast' ? 'fast' : this.reproducible };
  }

  /** @throws Error if the model has been destroyed or the device is gone: its buffers would read as zeros */
  check(): void {
    this.memory.check();
  }

  /** Frees every buffer. The device is left alone. */
  destroy(): void {
    this.plans.clear();
    this.weights.clear();
    this.memory.destroyAll();
  }
}

function storedMatrix({ format, summed, rowStride }: WeightLayout, { rowCount }: Piece): StoredMatrix {
  return { format, summed, rows: rowCount, rowStride };
}

function rowsOf(data: Float32Array<ArrayBuffer>, { rowStride }: WeightLayout, { firstRow, rowCount }: Piece) {
  return data.subarray(firstRow * rowStride, (firstRow + rowCount) * rowStride);
}

function planKey({ numerics, batch, pos, logits, capture, given, writes, cached }: PlanRequest): string {
  return JSON.stringify([numerics, batch, pos, logits, capture, given, writes, cached]);
}
