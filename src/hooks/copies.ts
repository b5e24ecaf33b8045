// One pass over several copies of a prompt, each edited in its own way: what sweeps are made of. What comes before the first edit
// is the same for all copies and computed once, up to a block or to what its heads read. Logits are wanted of one position: what
// follows the last block's heads is computed for that one alone. No bit depends on either: the rows of a batch do not see each
// other, nor do positions outside of attention.
import type { Frame } from '../engine/frame.ts';
import { type Graph, type GraphValue, LOGITS } from '../engine/graph.ts';
import { type Plan, valueShape } from '../engine/plan.ts';
import type { RunRequest, Runtime } from '../engine/runtime.ts';
import { axisMapLength, ROW_FIELDS } from '../kernels/edit.ts';
import { ActivationCache } from './activation_cache.ts';
import type { HookEntry } from './interventions.ts';
import { givenBuffer, streamOutOf } from './layer_range.ts';
import { type HookNames, selectHooks } from './names.ts';
import type { TokenBatch } from './tokens.ts';
import { planWrites, runWithWrites, type Writes } from './writes.ts';

/** What is repeated, and what of its logits is wanted. */
export interface CopiedPrompt extends TokenBatch {
  /** Position of the wanted logits. */
  readonly at: number;
  /** Ids whose logits are wanted; all when null. */
  readonly tokens: readonly number[] | null;
}

/** Where a pass begins: 2·layer with a block (0 with the tokens), 2·layer + 1 with what the block's heads have read. */
export type Start = number;

interface PassRequest {
  readonly request: Omit<RunRequest, 'writes'>;
  /** By the name of a shared value, the buffer of the pass that it fills. */
  readonly given: ReadonlyMap<string, string>;
}

/** What one copy needs on the GPU: all buffers, and the largest of them. */
export interface CopyCost {
  readonly bytes: number;
  readonly largest: number;
}

/** Reads the logits of copies of a prompt. Make one per sweep, `share` what the copies have in common, and `destroy` it. */
export class CopyRunner {
  private readonly graph: Graph;
  private readonly runtime: Runtime;
  private readonly prompt: CopiedPrompt;
  /** Values that passes begin with; null if they all begin with the tokens. */
  private shared: ActivationCache | null = null;
  private readonly plans = new Set<Plan>();
  private readonly costs = new Map<string, CopyCost>();

  constructor(graph: Graph, runtime: Runtime, prompt: CopiedPrompt) {
    this.graph = graph;
    this.runtime = runtime;
    this.prompt = prompt;
  }

  /** Computes what passes that begin there need, once. */
  async share(starts: readonly Start[]): Promise<void> {
    const capture = [...new Set(starts.flatMap(sharedValues))];
    if (capture.length === 0) return;
    const { batch, pos, ids } = this.prompt;
    const frame = await this.runtime.run({ batch, pos, capture }, { ids });
    this.plans.add(frame.plan);
    const values = capture.flatMap((name) => this.graph.values.get(name) ?? []);
    this.shared = new ActivationCache(this.runtime, frame, values);
  }

  /** Where a pass over copies like this one can begin. */
  startOf(hooks: readonly HookEntry[]): Start {
    return firstEdit(this.graph, hooks);
  }

  private writes(copies: readonly (readonly HookEntry[])[]): Writes {
    const { batch: count, pos } = this.prompt;
    const groups = copies.map((hooks, i) => ({ hooks, rows: { first: i * count, count } }));
    const select = (where: HookNames) => selectHooks(this.graph, where);
    return planWrites(this.graph, groups, { batch: copies.length * count, pos, keys: pos, outputs: pos }, select);
  }

  private request(writes: Writes, copies: number, start: Start): PassRequest {
    const { batch, pos } = this.prompt;
    const isWritten = (written: string) => writes.planned.some(({ name }) => name === written);
    // By the value's name in the shared run: the buffer that holds it here, before its edits.
    const given = new Map(
      sharedValues(start).map((name) => {
        const buffer = isAttention(name) && isWritten(name) ? `${name} before edit 1` : name;
        return [name, isAttention(name) ? buffer : givenBuffer(this.graph, start >> 1, isWritten)];
      }),
    );
    const request = { batch: copies * batch, pos, capture: this.captured(writes) };
    return { given, request: { ...request, ...(given.size > 0 && { given: [...given.values()] }) } };
  }

  /** Values from which on one position suffices, since nothing after them is written; or the logits. */
  private captured(writes: Writes): string[] {
    const names = [...this.graph.values.keys()];
    const last = this.graph.config.nLayers - 1;
    const isWrittenAfter = (value: string) =>
      writes.planned.some(({ name }) => names.indexOf(name) > names.indexOf(value));
    const heads = sharedValues(2 * last + 1);
    if (!isWrittenAfter(heads[0])) return [heads[0], `blocks.${last}.hook_resid_pre`];
    return [isWrittenAfter(streamOutOf(last + 1)) ? LOGITS : streamOutOf(last + 1)];
  }

  /**
   * At most what a pass over one copy with these edits needs, without compiling it: every value kept apart from the others.
   * @throws Error for interventions that do not fit
   */
  bound(hooks: readonly HookEntry[]): CopyCost {
    const { batch, pos } = this.prompt;
    const { planned } = this.writes([hooks]);
    const bytesOf = (value: GraphValue) =>
      4 * valueShape(value, { batch, pos, keys: pos, outputs: pos }).reduce((size, length) => size * length, 1);
    const sizes = [...this.graph.values.values()].map(bytesOf);
    // An edit's own buffers, and what the value was before it.
    const edits = planned.flatMap(({ name, operandElements, maps }) => {
      const value = this.graph.values.get(name);
      if (!value) return [];
      const [rows, ...shape] = valueShape(value, { batch, pos, keys: pos, outputs: pos });
      return [bytesOf(value), 4 * operandElements, 4 * (rows * ROW_FIELDS + maps * axisMapLength(shape))];
    });
    const total = [...sizes, ...edits].reduce((a, b) => a + b, 0);
    return { bytes: total, largest: Math.max(...sizes, ...edits) };
  }

  /** What a pass over one copy with these edits needs. Compiles its plan. */
  cost(hooks: readonly HookEntry[], start: Start): CopyCost {
    const writes = this.writes([hooks]);
    const request = { ...this.request(writes, 1, start).request, writes: writes.planned };
    const key = JSON.stringify(request);
    const known = this.costs.get(key);
    if (known) return known;
    const plan = this.runtime.plan(request);
    const sizes = [...plan.slots, ...plan.edits.flatMap((edit) => (edit ? Object.values(edit) : []))];
    const cost = { bytes: sizes.reduce((a, b) => a + b, 0), largest: Math.max(...sizes) };
    this.costs.set(key, cost);
    return cost;
  }

  /**
   * The wanted logits of every copy and row, [copy, batch, token], and what there is to say about them.
   * @param start where to begin: no copy may have an edit before it
   */
  async run(
    copies: readonly (readonly HookEntry[])[],
    start: Start,
  ): Promise<{ data: Float32Array<ArrayBuffer>; warnings: readonly string[] }> {
    const { runtime, prompt } = this;
    const writes = this.writes(copies);
    const { request, given } = this.request(writes, copies.length, start);
    const ids = new Uint32Array(request.batch * prompt.pos);
    for (let i = 0; i < copies.length; i++) ids.set(prompt.ids, i * prompt.ids.length);
    const buffers = new Map<string, GPUBuffer>();
    try {
      for (const [name, to] of given) buffers.set(to, this.repeat(name, copies.length));
      const frame = await runWithWrites(runtime, request, { ids, given: buffers }, writes);
      const data = await this.use(frame, () => this.logits(frame, request.capture));
      return { data, warnings: [...writes.warnings] };
    } finally {
      for (const buffer of buffers.values()) runtime.memory.destroy(buffer);
    }
  }

  /** The wanted logits of a pass: of its own, or of what follows from one position of what it captured. */
  private async logits(frame: Frame, captured: readonly string[]): Promise<Float32Array<ArrayBuffer>> {
    const { runtime, prompt } = this;
    if (captured[0] === LOGITS) return this.pick(frame, prompt.pos, prompt.at);
    const { batch } = frame.plan;
    const given = new Map<string, GPUBuffer>();
    try {
      for (const name of captured) given.set(name, this.onePosition(frame, name));
      const request = { batch, pos: 1, capture: [LOGITS], given: [...captured] };
      const last = await runtime.run(request, { ids: new Uint32Array(batch), given });
      return await this.use(last, () => this.pick(last, 1, 0));
    } finally {
      for (const buffer of given.values()) runtime.memory.destroy(buffer);
    }
  }

  /** The wanted position of a value [rows, pos, …], copied. */
  private onePosition(frame: Frame, name: string): GPUBuffer {
    const { memory } = this.runtime;
    const value = this.graph.values.get(name);
    if (!value) throw new Error(`graph: no value "${name}".`);
    const [rows, pos, ...inner] = valueShape(value, frame.shape);
    const bytes = 4 * inner.reduce((a, b) => a * b, 1);
    const picked = memory.createStorage(name, rows * bytes);
    const encoder = memory.device.createCommandEncoder({ label: name });
    for (let row = 0; row < rows; row++) {
      const from = (row * pos + this.prompt.at) * bytes;
      encoder.copyBufferToBuffer(frame.buffer(name), from, picked, row * bytes, bytes);
    }
    memory.device.queue.submit([encoder.finish()]);
    return picked;
  }

  /** Copies what is wanted of the logits [rows, positions, d_vocab_out] next to each other, then to the CPU. */
  private async pick(frame: Frame, positions: number, at: number): Promise<Float32Array<ArrayBuffer>> {
    const { memory } = this.runtime;
    const { dVocabOut } = this.graph.config;
    const { tokens } = this.prompt;
    const width = tokens ? tokens.length : dVocabOut;
    const rows = frame.plan.batch;
    const picked = memory.createStorage('picked logits', 4 * rows * width);
    try {
      const encoder = memory.device.createCommandEncoder({ label: 'picked logits' });
      for (let row = 0; row < rows; row++) {
        const from = (row * positions + at) * dVocabOut;
        for (const [i, token] of (tokens ?? [0]).entries()) {
          const size = tokens ? 4 : 4 * dVocabOut;
          encoder.copyBufferToBuffer(frame.buffer(LOGITS), 4 * (from + token), picked, 4 * (row * width + i), size);
        }
      }
      memory.device.queue.submit([encoder.finish()]);
      return new Float32Array(await memory.read(picked, 4 * rows * width));
    } finally {
      memory.destroy(picked);
    }
  }

  /** A shared value, once for each copy. */
  private repeat(name: string, copies: number): GPUBuffer {
    const { memory } = this.runtime;
    if (!this.shared) throw new Error('sweep: what copies share has not been computed.');
    const { buffer, elementCount } = this.shared.get(name);
    const bytes = 4 * elementCount;
    const repeated = memory.createStorage(name, copies * bytes);
    const encoder = memory.device.createCommandEncoder({ label: name });
    for (let i = 0; i < copies; i++) encoder.copyBufferToBuffer(buffer, 0, repeated, i * bytes, bytes);
    memory.device.queue.submit([encoder.finish()]);
    return repeated;
  }

  private async use<T>(frame: Frame, f: () => Promise<T>): Promise<T> {
    this.plans.add(frame.plan);
    try {
      return await f();
    } finally {
      this.runtime.release(frame);
    }
  }

  /** Frees everything, the buffers of plans at rest among them: a sweep's are larger than those of usual runs. */
  destroy(): void {
    this.shared?.destroy();
    for (const plan of this.plans) this.runtime.freeIdle(plan);
  }
}

const isAttention = (name: string) => name.endsWith('.attn.hook_z');

/** The values that a pass begins with: none for the tokens. */
function sharedValues(start: Start): string[] {
  const layer = start >> 1;
  if (start % 2 === 1) return [`blocks.${layer}.attn.hook_z`, streamOutOf(layer)];
  return layer > 0 ? [streamOutOf(layer)] : [];
}

/** The last place before anything is written. */
function firstEdit(graph: Graph, hooks: readonly HookEntry[]): Start {
  const names = [...graph.values.keys()];
  const end = 2 * graph.config.nLayers - 1;
  const starts = hooks
    .flatMap(([where]) => selectHooks(graph, where))
    .map((name) => {
      const layer = graph.values.get(name)?.layer ?? null;
      if (layer === null) return names.indexOf(name) < names.indexOf('blocks.0.hook_resid_pre') ? 0 : end;
      return 2 * layer + Number(names.indexOf(name) >= names.indexOf(`blocks.${layer}.attn.hook_z`));
    });
  return Math.min(end, ...starts);
}
