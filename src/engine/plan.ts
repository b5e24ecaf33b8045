// compile(graph, request): from the graph and what one kind of run wants to a list of dispatches and a buffer assignment.
// Pure data: nothing here touches a GPUDevice, and equal requests give equal plans.
//
// A task runs if somebody needs one of its outputs; an output that nobody needs is computed in registers and not stored;
// a buffer is reused as soon as its value has been read for the last time; a captured value keeps its buffer.
import { axisMapLength, type EditOp, edit, ROW_FIELDS } from '../kernels/edit.ts';
import {
  type Binding,
  elementCount,
  isWritable,
  type Kernel,
  kernelSource,
  presentBindings,
  type Variant,
} from '../kernels/kernel.ts';
import type { Arithmetic, Guarding, Numerics } from '../kernels/prelude.ts';
import { fuse } from './fusion.ts';
import { FIRST_POS, type Graph, type GraphValue, LAST_POS, type Operation, type RunAxis, TOKENS } from './graph.ts';
import {
  type BufferName,
  bufferOf,
  type EditTask,
  isCacheBuffer,
  type KernelTask,
  lower,
  select,
  type Task,
  valueOfBuffer,
} from './tasks.ts';
import { type Product, type TilingChoice, Tilings } from './tilings.ts';
import { megabytes, type WeightLayout } from './weights.ts';

/** One edit of one value, without its numbers: what decides about buffers and WGSL. */
export interface PlannedWrite {
  /** The value. */
  readonly name: string;
  readonly op: EditOp | 'javascript';
  /** Float32 elements of an operand that the caller brings; 0 where there is none, or where it is the value itself. */
  readonly operandElements: number;
  readonly operandIsValue: boolean;
  /** How many maps its rows share, and how many sets of parameters. */
  readonly maps: number;
  readonly parameterSets: number;
  /** WGSL of op `expression`; '' otherwise. */
  readonly expression: string;
}

export interface PlanRequest {
  readonly numerics: Numerics;
  readonly batch: number;
  readonly pos: number;
  /** Values to keep: they are materialised, and their buffers are not reused. */
  readonly capture: readonly string[];
  /** Values that the caller brings instead of having them computed: what only they depend on does not run. */
  readonly given?: readonly string[];
  /** Positions of which logits are computed: all (if absent), or the last of each row. */
  readonly logits?: 'all' | 'last';
  /** Edits; those of one value apply in this order. */
  readonly writes?: readonly PlannedWrite[];
  /** With a key-value cache: its capacity in positions, and the most positions that this plan's runs look at. */
  readonly cached?: { readonly capacity: number; readonly keys: number };
}

/** Buffers of one edit that are filled for each run. */
export type EditPart = 'map' | 'operand' | 'parameters';

/** What a binding of a step is bound to. */
export type Resource =
  | { readonly kind: 'tokens' }
  | { readonly kind: 'first_pos' }
  | { readonly kind: 'last_pos' }
  /** Keys or values of the run's key-value cache, by the name of the value that is appended. */
  | { readonly kind: 'cache'; readonly value: string }
  | { readonly kind: 'slot'; readonly slot: number }
  /** The workspace's scratch buffer: of no use after the dispatch. */
  | { readonly kind: 'scratch'; readonly bytes: number }
  | { readonly kind: 'weight'; readonly name: string; readonly piece: number }
  | { readonly kind: 'edit'; readonly write: number; readonly part: EditPart };

/** One dispatch. `access[i]` and `resources[i]` belong to `@binding(i + 1)`. */
export interface Dispatch {
  readonly kind: 'dispatch';
  /** Kernel and value, e.g. `matmul blocks.0.attn.hook_q`: the WGSL label. */
  readonly label: string;
  readonly kernel: string;
  readonly source: string;
  readonly access: readonly ('read-only-storage' | 'storage')[];
  readonly resources: readonly Resource[];
  readonly workgroups: readonly [number, number, number];
  /** The part of the source that the user wrote; '' where there is none. */
  readonly expression: string;
  /** Where it is a matrix product: which one, and how it is shared out over invocations. */
  readonly product?: Product;
  readonly tiling?: TilingChoice;
}

/** The run stops here: the value is read, a function of the user's changes it, and it is written. */
export interface Pause {
  readonly kind: 'pause';
  readonly label: string;
  readonly write: number;
  readonly value: string;
  readonly from: number;
  readonly to: number;
}

export type Step = Dispatch | Pause;

export interface Plan {
  readonly numerics: Numerics;
  readonly batch: number;
  readonly pos: number;
  /** The most positions that its runs look at: `pos` without a key-value cache. */
  readonly keys: number;
  /** Positions of each row of which logits are computed: `pos`, or 1. */
  readonly outputs: number;
  readonly steps: readonly Step[];
  /** Size of every buffer of the run, in bytes: first those of captured and given values, then the transient ones. */
  readonly slots: readonly number[];
  /** Size in bytes of the scratch buffer that dispatches use, one after another; 0 where none does. */
  readonly scratch: number;
  /** How many of them belong to captured and given values. */
  readonly kept: number;
  /** Slot of every value that the run materialises (transient ones share slots), aliases included. */
  readonly slotOf: ReadonlyMap<string, number>;
  /** Sizes in bytes of the buffers of each edit; null for a function of the user's. */
  readonly edits: readonly (Readonly<Record<EditPart, number>> | null)[];
}

export interface PlanLimits {
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  readonly maxStorageBuffersPerShaderStage: number;
  /** In a workgroup that meets at barriers. */
  readonly invocations: number;
}

/** The tiling of a matrix product on this adapter. Whatever it says, the bits are the same. */
export type ChooseTiling = (product: Product) => TilingChoice;

const DEFAULT_TILINGS = new Tilings('software');

/** Sizes of the axes that a run chooses. */
export type RunShape = Readonly<Record<RunAxis, number>>;

/** Sizes of a value's axes in a run. */
export function valueShape(value: GraphValue, run: RunShape): number[] {
  return value.axes.map(({ size }) => (typeof size === 'number' ? size : run[size]));
}

/** Parameters of a set: a fixed number, so that theirs changes no shader. */
export const EDIT_PARAMETERS = 16;

/**
 * The dispatches that compute what the request wants, and nothing else.
 * @param reproducible what reproducible numerics need on this adapter
 * @param chooseTiling how matrix products are shared out on this adapter
 * @throws Error if a value does not fit the adapter's limits (the message names it and says what to shorten)
 */
export function compile(
  graph: Graph,
  request: PlanRequest,
  weights: ReadonlyMap<string, WeightLayout>,
  limits: PlanLimits,
  reproducible: Guarding = 'guarded',
  chooseTiling: ChooseTiling = (product) => DEFAULT_TILINGS.choose(product),
): Plan {
  const writes = request.writes ?? [];
  const { batch, pos, cached } = request;
  const lastOnly = request.logits === 'last';
  const run: RunShape = { batch, pos, keys: cached?.keys ?? pos, outputs: lastOnly ? 1 : pos };
  const isWritten = (name: string) => writes.some((write) => write.name === name);
  const buffer = (name: string) => bufferOf(graph, name, isWritten);
  const kept = new Set([...request.capture, ...(request.given ?? [])].map(buffer));
  const tasks = lower(
    graph,
    writes.map(({ name }) => name),
    { cached: cached !== undefined, lastOnly },
  );
  // What runs after this one will read in the cache is wanted, whatever this one's values are for.
  const appended = tasks.flatMap(({ outputs }) => Object.values(outputs).filter(isCacheBuffer));
  const wanted = new Set([...request.capture.map(buffer), ...appended]);
  const given = new Set((request.given ?? []).map(buffer));
  const fused = fuse(select(tasks, wanted, given).live, kept, { ...limits, config: graph.config, weights, run });
  const { live, stored } = select(fused, wanted, given);
  checkSizes(graph, stored, run, limits);
  const { slots, slotOf } = assignSlots(graph, live, { stored, kept }, run);
  const environment: Environment = {
    arithmetic: request.numerics === 'fast' ? 'fast' : reproducible,
    run,
    keyStride: cached?.capacity ?? pos,
    writes,
    weights,
    isStored: (name) => stored.has(name),
    slot: (name) => slotOf.get(name) ?? Number.NaN,
    chooseTiling,
  };
  const steps = live.flatMap((task) =>
    task.kind === 'kernel' ? kernelSteps(task, environment) : [editStep(task, environment)],
  );
  checkWorkgroups(steps, limits);
  for (const name of graph.values.keys()) {
    const slot = slotOf.get(buffer(name));
    if (slot !== undefined) slotOf.set(name, slot);
  }
  const edits = writes.map(({ name, op, operandElements, maps, parameterSets }) => {
    const value = graph.values.get(name);
    if (op === 'javascript' || !value) return null;
    const [rows, ...shape] = valueShape(value, run);
    return {
      map: 4 * (rows * ROW_FIELDS + maps * axisMapLength(shape)),
      operand: 4 * operandElements,
      parameters: 4 * EDIT_PARAMETERS * parameterSets,
    };
  });
  const keptSlots = [...kept].filter((name) => stored.has(name)).length;
  const scratch = steps
    .flatMap((step) => (step.kind === 'dispatch' ? step.resources : []))
    .reduce((most, resource) => (resource.kind === 'scratch' ? Math.max(most, resource.bytes) : most), 0);
  return { numerics: request.numerics, ...run, steps, slots, scratch, kept: keptSlots, slotOf, edits };
}

function sizeBytes(graph: Graph, buffer: BufferName, run: RunShape): number {
  const value = graph.values.get(valueOfBuffer(buffer));
  if (!value) throw new Error(`graph: no value "${buffer}".`);
  return 4 * valueShape(value, run).reduce((a, b) => a * b, 1);
}

function checkSizes(graph: Graph, stored: ReadonlySet<BufferName>, run: RunShape, limits: PlanLimits): void {
  const allowed = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  for (const name of stored) {
    const bytes = sizeBytes(graph, name, run);
    if (bytes <= allowed) continue;
    throw new Error(
      `device: ${valueOfBuffer(name)} of ${run.batch} × ${run.pos} tokens needs a ${megabytes(bytes)} binding, ` +
        `this adapter allows ${megabytes(allowed)}. Run fewer rows at a time or a shorter text.`,
    );
  }
}

/** Gives every stored buffer a slot; a slot is free again after the last task that reads it. */
function assignSlots(
  graph: Graph,
  live: readonly Task[],
  { stored, kept }: { stored: ReadonlySet<BufferName>; kept: ReadonlySet<BufferName> },
  run: RunShape,
): { slots: number[]; slotOf: Map<BufferName, number> } {
  const lastUse = new Map<BufferName, number>();
  live.forEach((task, index) => {
    for (const name of Object.values(task.inputs)) lastUse.set(name, index);
  });
  const slots: number[] = [];
  const slotOf = new Map<BufferName, number>();
  const free: number[] = [];
  const allocate = (name: BufferName) => {
    const bytes = sizeBytes(graph, name, run);
    const reusable = kept.has(name) ? -1 : free.findIndex((slot) => slots[slot] === bytes);
    slotOf.set(name, reusable >= 0 ? free.splice(reusable, 1)[0] : slots.push(bytes) - 1);
  };
  for (const name of kept) if (stored.has(name)) allocate(name);
  live.forEach((task, index) => {
    for (const name of Object.values(task.outputs)) if (stored.has(name) && !slotOf.has(name)) allocate(name);
    for (const name of new Set<BufferName>(Object.values(task.inputs))) {
      const slot = slotOf.get(name);
      if (slot !== undefined && lastUse.get(name) === index && !kept.has(name)) free.push(slot);
    }
  });
  return { slots, slotOf };
}

interface Environment {
  readonly arithmetic: Arithmetic;
  readonly run: RunShape;
  readonly keyStride: number;
  readonly writes: readonly PlannedWrite[];
  readonly weights: ReadonlyMap<string, WeightLayout>;
  readonly isStored: (name: BufferName) => boolean;
  readonly slot: (name: BufferName) => number;
  readonly chooseTiling: ChooseTiling;
}

/** A kernel's dispatch once its bindings are known. */
function dispatch(kernel: Kernel, label: string, variant: Variant, resource: (binding: string) => Resource): Dispatch {
  const bindings = presentBindings(kernel, variant);
  const resourceOf = (binding: Binding): Resource => {
    if (binding.role !== 'scratch') return resource(binding.name);
    const words = elementCount(binding, variant.dims) * (binding.element === 'vec4f' ? 4 : 1);
    return { kind: 'scratch', bytes: 4 * words };
  };
  return {
    kind: 'dispatch',
    label,
    kernel: kernel.name,
    source: kernelSource(kernel, variant),
    access: bindings.map((binding) => (isWritable(binding) ? 'storage' : 'read-only-storage')),
    resources: bindings.map(resourceOf),
    workgroups: kernel.workgroups(variant.dims, variant.options),
    expression: '',
  };
}

/** The dispatches of one operation: one, or one for each piece of a weight that was cut. */
function kernelSteps({ operation, inputs, outputs }: KernelTask, environment: Environment): Dispatch[] {
  const { kernel, weights } = operation;
  const runDims = { ...environment.run, key_stride: environment.keyStride };
  const cut = Object.values(weights).find((name) => (environment.weights.get(name)?.pieces.length ?? 1) > 1);
  const isWanted = (buffer: BufferName) => environment.isStored(buffer) || isCacheBuffer(buffer);
  const pieces = (cut && environment.weights.get(cut)?.pieces) || [null];
  return pieces.map((piece, index) => {
    // The kernels of the vocabulary's matrices take their piece as sizes and a first row.
    const cutDims = piece && { [kernel.name === 'unembed' ? 'd_vocab_out' : 'd_vocab']: piece.rowCount };
    const { arithmetic } = environment;
    const dims = { ...operation.dims, ...cutDims, ...runDims };
    const sizes = kernel.product?.(dims, operation.options);
    const matrices = storages(weights, environment.weights);
    const format = Object.values(matrices ?? {})[0]?.format;
    const product = sizes && { kernel: kernel.name, sizes, arithmetic, ...(format && { format }) };
    const tiling = product && environment.chooseTiling(product);
    const firstRow = piece?.firstRow ?? 0;
    const variant: Variant = {
      dims,
      options: {
        firstToken: firstRow,
        firstColumn: firstRow,
        ...operation.options,
        ...(tiling && { tiling: tiling.tiling }),
      },
      arithmetic,
      has: (binding) => binding in inputs || binding in weights || isWanted(outputs[binding] ?? ''),
      matrices,
    };
    const label = `${kernel.name} ${valueOfBuffer(Object.values(outputs).at(-1) ?? '')}`;
    const step = dispatch(kernel, label, variant, (name): Resource => {
      if (name in weights) return { kind: 'weight', name: weights[name], piece: weights[name] === cut ? index : 0 };
      const buffer = inputs[name] ?? outputs[name];
      if (buffer === TOKENS) return { kind: 'tokens' };
      if (buffer === FIRST_POS) return { kind: 'first_pos' };
      if (buffer === LAST_POS) return { kind: 'last_pos' };
      if (isCacheBuffer(buffer)) return { kind: 'cache', value: valueOfBuffer(buffer) };
      return { kind: 'slot', slot: environment.slot(buffer) };
    });
    return { ...step, ...(product && { product, tiling }) };
  });
}

/** How the weights of an operation are stored, by binding: those that are not float32. */
function storages(weights: Operation['weights'], layouts: ReadonlyMap<string, WeightLayout>): Variant['matrices'] {
  const entries = Object.entries(weights).flatMap(([binding, name]) => {
    const layout = layouts.get(name);
    return layout && layout.format !== 'f32' ? [[binding, layout] as const] : [];
  });
  return Object.fromEntries(entries);
}

/** Names that WGSL can use for an axis: `1` is the only one that is no identifier. */
const identifier = (axis: string) => (axis === '1' ? 'one' : axis);

function editStep({ value, inputs, outputs, write }: EditTask, environment: Environment): Step {
  const { op, expression, operandElements, operandIsValue } = environment.writes[write];
  const label = `edit ${value.name}`;
  const [from, to] = [environment.slot(inputs.value), environment.slot(outputs.out)];
  if (op === 'javascript') return { kind: 'pause', label, write, value: value.name, from, to };
  const shape = valueShape(value, environment.run);
  // Logits that are written are those of all positions.
  const axes = value.axes.map(({ name, size }) => ({
    name: identifier(name),
    size: size === 'outputs' ? 'pos' : size,
  }));
  const variant: Variant = {
    dims: { ...environment.run, elements: shape.reduce((a, b) => a * b, 1) },
    options: { masked: value.masked },
    arithmetic: environment.arithmetic,
    has: (binding) => binding !== 'operand' || operandElements > 0 || operandIsValue,
  };
  const step = dispatch(edit(axes, op, expression), label, variant, (name): Resource => {
    if (name === 'values' || (name === 'operand' && operandIsValue)) return { kind: 'slot', slot: from };
    if (name === 'out') return { kind: 'slot', slot: to };
    return { kind: 'edit', write, part: name as EditPart };
  });
  return { ...step, expression };
}

function checkWorkgroups(steps: readonly Step[], limits: PlanLimits): void {
  for (const step of steps) {
    if (step.kind !== 'dispatch') continue;
    if (Math.max(...step.workgroups) <= limits.maxComputeWorkgroupsPerDimension) continue;
    throw new Error(
      `device: ${step.label} needs ${step.workgroups.join(' × ')} workgroups, this adapter allows ` +
        `${limits.maxComputeWorkgroupsPerDimension} along each dimension. Run fewer rows at a time.`,
    );
  }
}
