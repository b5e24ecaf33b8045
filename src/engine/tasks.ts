// What a run does, one step after another, over named buffers: the graph's operations and the edits of written values, and which
// of them a request needs. Between the graph (what there is) and the plan (where it lies and how it is dispatched).
//
// A written value has two buffers: what its operation computed, and what the edits make of it. Whoever reads the value reads the
// latter. An operation that computes a chain of values (scale, normalized, out) is cut after each written one: the next part is
// the same kernel with that value given. An alias that is written becomes a value of its own.
import { cacheAppend } from '../kernels/cache_append.ts';
import { FIRST_POS, type Graph, type GraphValue, type Operation, RUN_INPUTS } from './graph.ts';

/** Buffers have the name of the value that they hold; what a value was before its edits has a suffix. */
export type BufferName = string;

export interface KernelTask {
  readonly kind: 'kernel';
  readonly operation: Operation;
  /** By binding. `given_<output>` holds a value of the operation's own chain that was edited. */
  readonly inputs: Readonly<Record<string, BufferName>>;
  readonly outputs: Readonly<Record<string, BufferName>>;
}

export interface EditTask {
  readonly kind: 'edit';
  readonly value: GraphValue;
  readonly inputs: { readonly value: BufferName };
  readonly outputs: { readonly out: BufferName };
  /** Which of the request's writes this is. */
  readonly write: number;
}

export type Task = KernelTask | EditTask;

/** The value that a buffer belongs to, edited or not. */
export function valueOfBuffer(buffer: BufferName): string {
  return buffer.split(/ before edit | cached$/)[0];
}

/** Where readers of a value find it: its own buffer, or that of the value it is an alias of. */
export function bufferOf(graph: Graph, name: string, isWritten: (name: string) => boolean): BufferName {
  const aliasOf = graph.values.get(name)?.aliasOf ?? null;
  return aliasOf === null || isWritten(name) ? name : bufferOf(graph, aliasOf, isWritten);
}

/** Keys or values that a key-value cache keeps from run to run: no slot of the run's. */
export function isCacheBuffer(buffer: BufferName): boolean {
  return buffer.endsWith(' cached');
}

/**
 * Every task of a forward pass with these writes, in execution order.
 * @param writes names of written values, in the order in which edits of one value apply
 * @param run `cached`: keys and values go through a key-value cache: new ones are appended, and attention reads all. `lastOnly`:
 * logits of the last position of each row alone
 */
export function lower(
  graph: Graph,
  writes: readonly string[],
  { cached = false, lastOnly = false }: { readonly cached?: boolean; readonly lastOnly?: boolean } = {},
): Task[] {
  const isWritten = (name: string) => writes.includes(name);
  const read = (name: string) => (RUN_INPUTS.includes(name) ? name : bufferOf(graph, name, isWritten));
  const tasks: Task[] = [];

  /** The edits of one value, from what it was to what its readers see. */
  const edit = (value: GraphValue, source: BufferName) => {
    const indices = writes.flatMap((name, index) => (name === value.name ? [index] : []));
    indices.forEach((write, i) => {
      const input = i === 0 ? source : `${value.name} before edit ${i + 1}`;
      const out = i === indices.length - 1 ? value.name : `${value.name} before edit ${i + 2}`;
      tasks.push({ kind: 'edit', value, inputs: { value: input }, outputs: { out }, write });
    });
  };

  for (const usual of graph.operations) {
    const operation = usual.instead?.written.some(isWritten) ? usual.instead.operation : usual;
    const inputs = Object.fromEntries(Object.entries(operation.inputs).map(([binding, name]) => [binding, read(name)]));
    if (lastOnly) Object.assign(inputs, operation.ofLast);
    if (cached && operation.cached) {
      const x = inputs[operation.cached];
      tasks.push(append(operation, x));
      inputs[operation.cached] = `${x} cached`;
    }
    let given: Record<string, BufferName> = {};
    let outputs: Record<string, BufferName> = {};
    const flush = () => {
      tasks.push({ kind: 'kernel', operation, inputs: { ...inputs, ...given }, outputs });
      outputs = {};
    };
    for (const [binding, name] of Object.entries(operation.outputs)) {
      const value = graph.values.get(name);
      if (!value) throw new Error(`graph: no value "${name}".`);
      outputs[binding] = isWritten(name) ? `${name} before edit 1` : name;
      if (!isWritten(name)) continue;
      const source = outputs[binding];
      flush();
      edit(value, source);
      given = { [`given_${binding}`]: name };
    }
    if (Object.keys(outputs).length > 0) flush();
    for (const value of writtenAliases(graph, operation, isWritten)) {
      edit(value, read(value.aliasOf ?? value.name));
    }
  }
  return tasks;
}

/** Puts new keys or values behind those of earlier runs. */
function append({ dims }: Operation, x: BufferName): KernelTask {
  const operation: Operation = {
    kernel: cacheAppend,
    dims: { n_key_value_heads: dims.n_key_value_heads, d_head: dims.d_head },
    options: {},
    inputs: {},
    weights: {},
    outputs: {},
  };
  return { kind: 'kernel', operation, inputs: { x, first_pos: FIRST_POS }, outputs: { cache: `${x} cached` } };
}

/** Aliases of this operation's outputs that are written, in firing order. */
function writtenAliases(graph: Graph, operation: Operation, isWritten: (name: string) => boolean): GraphValue[] {
  const outputs = Object.values(operation.outputs);
  const rootOf = (name: string) => bufferOf(graph, name, () => false);
  return [...graph.values.values()].filter(
    ({ name, aliasOf }) => aliasOf !== null && isWritten(name) && outputs.includes(rootOf(name)),
  );
}

/** The tasks that compute what is wanted, and every buffer that they need; what is given is not computed. */
export function select(
  tasks: readonly Task[],
  wanted: ReadonlySet<BufferName>,
  given: ReadonlySet<BufferName>,
): { live: Task[]; stored: Set<BufferName> } {
  const needed = new Set(wanted);
  const live: Task[] = [];
  for (const task of [...tasks].reverse()) {
    if (!Object.values(task.outputs).some((name) => needed.has(name) && !given.has(name))) continue;
    live.unshift(task);
    for (const name of Object.values(task.inputs)) needed.add(name);
  }
  const stored = [...needed, ...given].filter((name) => !RUN_INPUTS.includes(name) && !isCacheBuffer(name));
  return { live, stored: new Set(stored) };
}
