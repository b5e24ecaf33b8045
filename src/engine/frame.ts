// A frame: the captured values of one run of a plan, and its bind groups; made once and used again. While a cache keeps the values
// the frame is theirs; the next run of the same plan then takes another. What nobody keeps is in the plan's workspace.

import { asStored, runUniforms } from '../kernels/kernel.ts';
import type { KeyValueCache } from './key_value_cache.ts';
import type { GpuMemory } from './memory.ts';
import type { Pipeline } from './pipelines.ts';
import type { Dispatch, Pause, Plan, Resource, RunShape } from './plan.ts';
import type { Workspace } from './workspace.ts';

/** What to bind for a weight, for each of its pieces. */
export type WeightBuffers = ReadonlyMap<string, readonly GPUBufferBinding[]>;

/** The numbers of one edit of a run: what fills its buffers, or the function that the run stops for. */
export type EditData =
  | {
      readonly kind: 'buffers';
      readonly map: Uint32Array<ArrayBuffer>;
      readonly parameters: Float32Array<ArrayBuffer>;
      /** What fills the operand's buffer, one part after another: from the CPU, or another run's value on the GPU. */
      readonly operands: readonly OperandPart[];
    }
  | {
      readonly kind: 'javascript';
      /** Gets the value's elements, gives what is written back. */
      readonly call: (data: Float32Array<ArrayBuffer>) => Promise<Float32Array<ArrayBuffer>>;
    };

/** A part of an edit's operand, and the element of the operand's buffer at which it begins. */
export interface OperandPart {
  readonly data: Float32Array<ArrayBuffer> | GPUBuffer;
  readonly elements: number;
  readonly offset: number;
}

/** What a run brings along. */
export interface RunInput {
  /** [batch, pos]; a buffer is copied, as what runs before leave in it. */
  readonly ids: Uint32Array<ArrayBuffer> | GPUBuffer;
  /** Buffers of the plan's given values: copied. */
  readonly given?: ReadonlyMap<string, GPUBuffer>;
  /** One for each of the plan's edits. */
  readonly edits?: readonly EditData[];
  /** Where keys and values of earlier runs are and new ones go; of the capacity that the plan was made for. */
  readonly cache?: KeyValueCache;
  /** New positions of each row that are no padding; all of them if absent. */
  readonly lengths?: readonly number[];
  /** Positions that this run looks at; at most the plan's. */
  readonly keys?: number;
  /** Adds commands behind the run's own: what the next run needs of this one's values. */
  readonly afterwards?: (encoder: GPUCommandEncoder, frame: Frame) => void;
}

/** Dispatches that are submitted together, and the pause after them. */
interface Section {
  readonly dispatches: readonly { readonly step: Dispatch; readonly index: number }[];
  readonly pause: Pause | null;
}

function sections(plan: Plan): Section[] {
  const all: Section[] = [];
  let dispatches: { step: Dispatch; index: number }[] = [];
  let index = 0;
  for (const step of plan.steps) {
    if (step.kind === 'dispatch') {
      dispatches.push({ step, index: index++ });
      continue;
    }
    all.push({ dispatches, pause: step });
    dispatches = [];
  }
  return [...all, { dispatches, pause: null }];
}

/** The dispatches of a plan, without its pauses. */
export function dispatchesOf(plan: Plan): Dispatch[] {
  return plan.steps.filter((step) => step.kind === 'dispatch');
}

export class Frame {
  readonly plan: Plan;
  private readonly memory: GpuMemory;
  /** One for each dispatch. */
  private readonly pipelines: readonly Pipeline[];
  private readonly weights: WeightBuffers;
  private readonly workspace: Workspace;
  private readonly sections: readonly Section[];
  /** Buffers of captured and given values; created by the first run. */
  private readonly kept: GPUBuffer[] = [];
  /** The cache that the bind groups were made for. */
  private cache: KeyValueCache | undefined;
  /** Sizes of the run that the values belong to. */
  shape: RunShape;
  private bindGroups: readonly GPUBindGroup[] | null = null;
  /** Who still reads its values; `Runtime` counts. */
  holders = 1;

  /** @param workspace held by the frame until it is destroyed */
  constructor(
    plan: Plan,
    parts: { memory: GpuMemory; pipelines: readonly Pipeline[]; weights: WeightBuffers; workspace: Workspace },
  ) {
    this.plan = plan;
    this.memory = parts.memory;
    this.pipelines = parts.pipelines;
    this.weights = parts.weights;
    this.workspace = parts.workspace;
    this.sections = sections(plan);
    this.shape = plan;
  }

  /** Creates the kept values' buffers; does nothing the second time. */
  private allocate(): void {
    const { plan, memory, kept } = this;
    if (kept.length > 0) return;
    const names = new Map([...plan.slotOf].map(([name, slot]) => [slot, name]));
    for (let slot = 0; slot < plan.kept; slot++) {
      kept.push(memory.createStorage(names.get(slot) ?? 'kept', plan.slots[slot]));
    }
  }

  private slot(index: number): GPUBuffer | undefined {
    return index < this.plan.kept ? this.kept[index] : this.workspace.buffers.slots.get(index);
  }

  /** Makes the bind groups; of an earlier run's, only those that name another key-value cache are made again. */
  private bind(cache: KeyValueCache | undefined): void {
    const { weights, memory } = this;
    if (this.bindGroups && this.cache === cache) return;
    const { tokens, firstPos, lastPos, uniforms, edits, scratch } = this.workspace.buffers;
    const bufferOf = (resource: Resource): GPUBuffer | GPUBufferBinding | undefined => {
      if (resource.kind === 'tokens') return tokens;
      if (resource.kind === 'scratch') return scratch;
      if (resource.kind === 'first_pos') return firstPos;
      if (resource.kind === 'last_pos') return lastPos;
      if (resource.kind === 'cache') return cache?.buffer(resource.value);
      if (resource.kind === 'slot') return this.slot(resource.slot);
      if (resource.kind === 'edit') return edits[resource.write]?.[resource.part];
      return weights.get(resource.name)?.[resource.piece];
    };
    const before = this.bindGroups;
    this.bindGroups = dispatchesOf(this.plan).map((step, index) => {
      const isSame = before && !step.resources.some(({ kind }) => kind === 'cache');
      if (isSame) return before[index];
      return bind(memory.device, step.label, this.pipelines[index], [uniforms, ...step.resources.map(bufferOf)]);
    });
    this.cache = cache;
  }

  /**
   * The whole run: one command buffer, or one more for each function of the user's that it stops for.
   * Returns when everything has been submitted; an adapter's complaint is an exception.
   */
  async run(input: RunInput): Promise<void> {
    const { memory, plan } = this;
    const what = `a run of ${plan.batch} × ${plan.pos} tokens`;
    for (const [index, section] of this.sections.entries()) {
      // Creation is inside the same scope as the run: out of memory is reported before anything is read.
      await memory.scoped(what, () => {
        this.allocate();
        this.bind(input.cache);
        if (index === 0) this.fill(input);
        const isLast = index === this.sections.length - 1;
        this.submit(section, index === 0 ? input : null, isLast ? input.afterwards : undefined);
      });
      if (section.pause) await this.pause(section.pause, input.edits?.[section.pause.write]);
    }
  }

  /** Writes what comes from the CPU. */
  private fill({ ids, edits = [], cache, keys, lengths }: RunInput): void {
    const { plan } = this;
    const inputs = this.workspace.buffers;
    const { queue } = this.memory.device;
    const { batch, pos, outputs } = plan;
    this.shape = { batch, pos, keys: keys ?? pos, outputs };
    if (ids instanceof Uint32Array) queue.writeBuffer(inputs.tokens, 0, ids);
    queue.writeBuffer(inputs.firstPos, 0, Uint32Array.from(cache?.lengths ?? Array(plan.batch).fill(0)));
    const lastPos = lengths?.map((length) => Math.max(length - 1, 0)) ?? Array(batch).fill(pos - 1);
    queue.writeBuffer(inputs.lastPos, 0, Uint32Array.from(lastPos));
    queue.writeBuffer(inputs.uniforms, 0, runUniforms({ ...this.shape, key_stride: cache?.capacity ?? plan.pos }));
    edits.forEach((edit, i) => {
      const buffers = inputs.edits[i];
      if (edit.kind !== 'buffers' || !buffers) return;
      queue.writeBuffer(buffers.map, 0, edit.map);
      queue.writeBuffer(buffers.parameters, 0, edit.parameters);
      for (const { data, offset } of edit.operands) {
        if (data instanceof Float32Array) queue.writeBuffer(buffers.operand, 4 * offset, data);
      }
    });
  }

  private submit({ dispatches }: Section, copies: RunInput | null, afterwards: RunInput['afterwards']): void {
    const { bindGroups, memory, plan } = this;
    if (!bindGroups) throw new Error('plan: a frame was submitted before it was allocated.');
    const encoder = memory.device.createCommandEncoder({ label: 'run' });
    if (copies && !(copies.ids instanceof Uint32Array)) {
      encoder.copyBufferToBuffer(copies.ids, 0, this.workspace.buffers.tokens, 0, 4 * plan.batch * plan.pos);
    }
    for (const [name, buffer] of copies?.given ?? []) {
      encoder.copyBufferToBuffer(buffer, 0, this.buffer(name), 0, plan.slots[plan.slotOf.get(name) ?? 0]);
    }
    copies?.edits?.forEach((edit, i) => {
      const to = this.workspace.buffers.edits[i]?.operand;
      if (edit.kind !== 'buffers' || !to) return;
      for (const { data, elements, offset } of edit.operands) {
        if (!(data instanceof Float32Array)) encoder.copyBufferToBuffer(data, 0, to, 4 * offset, 4 * elements);
      }
    });
    const pass = encoder.beginComputePass({ label: 'run' });
    for (const { step, index } of dispatches) {
      pass.setPipeline(this.pipelines[index].pipeline);
      pass.setBindGroup(0, bindGroups[index]);
      pass.dispatchWorkgroups(...step.workgroups);
    }
    pass.end();
    afterwards?.(encoder, this);
    memory.device.queue.submit([encoder.finish()]);
  }

  /** Encodes dispatches of one step again, by another pipeline of the same bindings: what the tuner times. Needs a run before. */
  encode(
    pass: GPUComputePassEncoder,
    index: number,
    { pipeline }: Pipeline,
    { workgroups, count }: { workgroups: Dispatch['workgroups']; count: number },
  ): void {
    if (!this.bindGroups) throw new Error('plan: a frame was submitted before it was allocated.');
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.bindGroups[index]);
    for (let i = 0; i < count; i++) pass.dispatchWorkgroups(...workgroups);
  }

  private async pause({ from, to }: Pause, edit: EditData | undefined): Promise<void> {
    if (edit?.kind !== 'javascript') throw new Error('plan: a run stopped for a function that was not given.');
    const [source, target] = [this.slot(from), this.slot(to)];
    if (!source || !target) throw new Error('plan: a run stopped before it was allocated.');
    const data = new Float32Array(await this.memory.read(source, this.plan.slots[from]));
    const written = await edit.call(data);
    this.memory.check();
    const stored = this.plan.numerics === 'reproducible' ? asStored(written) : written;
    this.memory.device.queue.writeBuffer(target, 0, stored);
  }

  /** The buffer of a value that this plan materialises. */
  buffer(name: string): GPUBuffer {
    const slot = this.plan.slotOf.get(name);
    const buffer = slot === undefined ? undefined : this.slot(slot);
    if (!buffer) throw new Error(`plan: "${name}" is not materialised in this run.`);
    return buffer;
  }

  destroy(): void {
    for (const buffer of this.kept.splice(0)) this.memory.destroy(buffer);
    this.workspace.release();
  }
}

/** A bind group whose entry i is `@binding(i)`. */
export function bind(
  device: GPUDevice,
  label: string,
  { layout }: Pipeline,
  buffers: readonly (GPUBuffer | GPUBufferBinding | undefined)[],
): GPUBindGroup {
  const entries = buffers.map((buffer, binding) => {
    if (!buffer) throw new Error(`plan: ${label} has nothing to bind at @binding(${binding}).`);
    return { binding, resource: 'buffer' in buffer ? buffer : { buffer } };
  });
  return device.createBindGroup({ label, layout, entries });
}
