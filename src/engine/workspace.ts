// The buffers of a plan's runs that nobody keeps: transient values, token ids, uniforms, the numbers of edits. All frames of a plan
// share one workspace: a run writes and submits in one go, so the next one can only follow it. (A run that stops for functions
// of the user's has one of its own.)
import type { GpuMemory } from './memory.ts';
import type { EditPart, Plan } from './plan.ts';

interface Buffers {
  /** By slot; those that a frame keeps are missing. */
  readonly slots: ReadonlyMap<number, GPUBuffer>;
  readonly edits: readonly (Readonly<Record<EditPart, GPUBuffer>> | null)[];
  readonly tokens: GPUBuffer;
  readonly firstPos: GPUBuffer;
  readonly lastPos: GPUBuffer;
  readonly uniforms: GPUBuffer;
  readonly scratch: GPUBuffer | undefined;
}

export class Workspace {
  private readonly plan: Plan;
  private readonly memory: GpuMemory;
  private readonly created: GPUBuffer[] = [];
  private allocated: Buffers | null = null;
  private holders = 1;

  /** The one who makes it holds it. */
  constructor(plan: Plan, memory: GpuMemory) {
    this.plan = plan;
    this.memory = memory;
  }

  /** Created at the first use. */
  get buffers(): Buffers {
    this.allocated ??= this.allocate();
    return this.allocated;
  }

  private allocate(): Buffers {
    const { plan, memory } = this;
    const keep = (buffer: GPUBuffer) => {
      this.created.push(buffer);
      return buffer;
    };
    const create = (label: string, size: number) => keep(memory.createStorage(label, size));
    const transient = plan.slots.flatMap((size, slot) => (slot < plan.kept ? [] : [[slot, size] as const]));
    return {
      slots: new Map(transient.map(([slot, size]) => [slot, create('transient', size)])),
      edits: plan.edits.map(
        (sizes) =>
          sizes && {
            map: create('edit map', sizes.map),
            operand: create('edit operand', sizes.operand),
            parameters: create('edit parameters', sizes.parameters),
          },
      ),
      tokens: create('tokens', 4 * plan.batch * plan.pos),
      firstPos: create('first_pos', 4 * plan.batch),
      lastPos: create('last_pos', 4 * plan.batch),
      scratch: plan.scratch > 0 ? create('scratch', plan.scratch) : undefined,
      uniforms: keep(memory.create('run', 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)),
    };
  }

  hold(): this {
    this.holders++;
    return this;
  }

  /** Frees the buffers when the last holder lets go. */
  release(): void {
    if (--this.holders > 0) return;
    for (const buffer of this.created.splice(0)) this.memory.destroy(buffer);
    this.allocated = null;
  }
}
