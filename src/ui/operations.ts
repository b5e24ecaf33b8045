// The operations of a run one by one: each kind of dispatch of its plan, timed alone, with the work that it has to do at least. Buffers
// are of the plan's sizes and hold noise: how long a dispatch takes does not depend on its numbers.
import type { Model, ModelConfig, Plan, Step } from '../index.ts';
import { type Clock, dispatchMs, noiseBuffer } from './limits.ts';

type Dispatch = Extract<Step, { kind: 'dispatch' }>;
type Resource = Dispatch['resources'][number];

/** A kind of dispatch: the same shader on buffers of the same sizes. */
export interface Operation {
  readonly kernel: string;
  /** The first of its dispatches: kernel and value. */
  readonly label: string;
  /** Dispatches in the run. */
  readonly count: number;
  /** Of one dispatch: operations of its products, 2 for each multiply-add; all else counts as none. */
  readonly flops: number;
  /** Of one dispatch: its values and its matrix once; biases and gains, which are small beside them, are left out. */
  readonly bytes: number;
  /** Milliseconds of one dispatch. */
  readonly ms: number;
}

/** An operation with what it reaches. */
export interface RatedOperation extends Operation {
  /** What its first dispatch computes, without the block: `neurons post`. */
  readonly name: string;
  /** Operations per byte. */
  readonly intensity: number;
  /** GFLOP/s. */
  readonly rate: number;
  /** Of the time of all operations. */
  readonly share: number;
}

/** Those with the most time first. */
export function ratedOperations(operations: readonly Operation[]): RatedOperation[] {
  const total = operations.reduce((sum, { ms, count }) => sum + ms * count, 0);
  return operations
    .map((operation) => ({
      ...operation,
      name: operation.label.replace(/blocks\.\d+\.(?:attn\.|mlp\.)?/, '').replace('hook_', ''),
      intensity: operation.flops / operation.bytes,
      rate: operation.flops / (1e6 * operation.ms),
      share: (operation.ms * operation.count) / total,
    }))
    .sort((a, b) => b.share - a.share);
}

const FORMAT_BYTES = { f32: 4, f16: 2, q8: 1 + 2 / 32, q4: 0.5 + 2 / 32 } as const;

/** Times every kind of dispatch of a run. Values, weights and caches of the model are not touched. */
export async function measureOperations(
  model: Model,
  plan: Plan,
  clock: Clock,
  say: (done: number, total: number) => void,
): Promise<Operation[]> {
  const kinds = new Map<string, Dispatch[]>();
  for (const step of plan.steps) {
    if (step.kind !== 'dispatch') continue;
    const key = JSON.stringify([
      step.source,
      step.workgroups,
      step.resources.map((resource) => bytesOf(resource, plan)),
    ]);
    kinds.set(key, [...(kinds.get(key) ?? []), step]);
  }
  const operations: Operation[] = [];
  for (const dispatches of kinds.values()) {
    const [first] = dispatches;
    say(operations.length, kinds.size);
    operations.push({
      kernel: first.kernel,
      label: first.label,
      count: dispatches.length,
      ...workOf(first, plan, model.config),
      ms: await operationMs(model, plan, first, clock),
    });
  }
  return operations;
}

/** What one dispatch has to do at least. */
function workOf(step: Dispatch, plan: Plan, { nHeads, dHead }: ModelConfig): Pick<Operation, 'flops' | 'bytes'> {
  const { product, kernel, access, resources } = step;
  const values = resources.reduce((sum, resource) => sum + bytesOf(resource, plan), 0);
  if (product) {
    const { rows, columns, depth, groups } = product.sizes;
    // Where one dispatch makes several products (queries, keys and values), they may differ in width.
    const written = resources.reduce((sum, at, i) => sum + (access[i] === 'storage' ? bytesOf(at, plan) / 4 : 0), 0);
    const elements = groups > 1 ? written : rows * columns;
    const matrix = (elements / rows) * depth * FORMAT_BYTES[product.format ?? 'f32'];
    return { flops: 2 * elements * depth, bytes: values + matrix };
  }
  const products = kernel === 'attention' ? 2 : /^attention_(scores|values)$/.test(kernel) ? 1 : 0;
  const pairs = (plan.batch * plan.pos * (plan.pos + 1)) / 2; // causal
  // Of an embedding the rows that are looked up: as much as is written.
  const isLookup = resources.some((resource) => resource.kind === 'weight' && /W_(E|pos)$/.test(resource.name));
  return { flops: products * 2 * pairs * nHeads * dHead, bytes: isLookup ? 2 * values : values };
}

/** Of values; nothing else has a size in the plan that says how much is read. */
function bytesOf(resource: Resource, plan: Plan): number {
  return resource.kind === 'slot' ? plan.slots[resource.slot] : 0;
}

async function operationMs(model: Model, plan: Plan, step: Dispatch, clock: Clock): Promise<number> {
  const { device, config } = model;
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const { dModel, dMlp, dVocab, dVocabOut, nCtx } = config;
  const matrix = step.product ? step.product.sizes.columns * step.product.sizes.depth * step.product.sizes.groups : 0;
  const weightBytes = Math.min(
    4 * Math.max(matrix, dVocab * dModel, dVocabOut * dModel, nCtx * dModel, dMlp),
    maxBufferSize,
    maxStorageBufferBindingSize,
  );
  const sizeOf = (resource: Resource) => {
    if (resource.kind === 'weight') return weightBytes;
    return resource.kind === 'scratch' ? resource.bytes : Math.max(bytesOf(resource, plan), 4 * plan.batch * plan.pos);
  };
  const isIndex = (resource: Resource) => ['tokens', 'first_pos', 'last_pos'].includes(resource.kind);
  const { UNIFORM, STORAGE, COPY_DST } = GPUBufferUsage;
  const uniforms = device.createBuffer({ size: 32, usage: UNIFORM | COPY_DST });
  device.queue.writeBuffer(uniforms, 0, uniformsOf(step.source, plan));
  const buffers = step.resources.map((resource) => {
    if (!isIndex(resource)) return noiseBuffer(device, sizeOf(resource));
    return device.createBuffer({ size: Math.max(16, sizeOf(resource)), usage: STORAGE }); // zeros: token 0, position 0
  });
  try {
    const layout = device.createBindGroupLayout({
      entries: (['uniform', ...step.access] as const).map((type, binding) => {
        return { binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } };
      }),
    });
    const pipeline = await device.createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ code: step.source, label: step.label }) },
    });
    const entries = [uniforms, ...buffers].map((buffer, binding) => ({ binding, resource: { buffer } }));
    device.pushErrorScope('validation');
    const group = device.createBindGroup({ layout, entries });
    const problem = await device.popErrorScope();
    if (problem) throw new Error(`${step.label} could not be measured: ${problem.message}`);
    return await dispatchMs(device, { pipeline, group, workgroups: step.workgroups }, clock);
  } finally {
    for (const buffer of [uniforms, ...buffers]) buffer.destroy();
  }
}

/** The uniforms of a run, in the order in which the shader declares them; what the plan does not say is 0. */
function uniformsOf(source: string, { batch, pos, keys, outputs }: Plan): Uint32Array<ArrayBuffer> {
  const known: Readonly<Record<string, number>> = { batch, pos, keys, key_stride: pos, outputs };
  const fields = /struct Run \{([^}]*)\}/.exec(source)?.[1].split(',') ?? [];
  return Uint32Array.from({ length: 8 }, (_, i) => known[fields[i]?.split(':')[0].trim()] ?? 0);
}
