// Values by their names, wherever they are: on the GPU, in a file or in memory. What is digested and compared is read through this,
// one value at a time.
import type { Dtype } from '../engine/dtypes.ts';
import { SafetensorsFile, type StoredTensor } from '../engine/safetensors_reader.ts';
import { ActivationCache } from '../hooks/activation_cache.ts';
import { kindOf } from '../hooks/kind_of.ts';
import { axesOf, firingOrder } from './firing_order.ts';

/** A tensor in memory, row-major. */
export interface TensorInMemory {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
  /** Axis names, outermost first; when absent those of the hook of this name. */
  readonly axes?: readonly string[];
}

/**
 * What a run captured, what a safetensors file holds, or tensors in memory: a Map by name (as `referenceForward` gives), or a list
 * of tensors with their names (as `cache.read` gives).
 */
export type NamedValues =
  | ActivationCache
  | SafetensorsFile
  | ReadonlyMap<string, TensorInMemory>
  | Iterable<TensorInMemory & { readonly name: string }>;

/** One of them. Its bytes are row-major and little-endian. */
export interface NamedValue extends StoredTensor {
  /** null where nobody knows them. */
  readonly axes: readonly string[] | null;
}

/**
 * All of them by name, in firing order; names that no model has come last, as they stood. Nothing is read yet.
 * @param what begins the messages
 * @throws Error where a name stands twice, or a tensor is none
 */
export function namedValues(values: NamedValues, what: string): Map<string, NamedValue> {
  const list = listValues(values, what);
  const byName = new Map(list.map((value) => [value.name, value]));
  if (byName.size < list.length) {
    const twice = list.find((value) => byName.get(value.name) !== value);
    throw new Error(`${what}: "${twice?.name}" stands there twice.`);
  }
  return new Map(
    firingOrder(byName.keys())
      .flatMap((name) => byName.get(name) ?? [])
      .map((value) => [value.name, value]),
  );
}

function listValues(values: NamedValues, what: string): NamedValue[] {
  if (values instanceof ActivationCache) return values.names.map((name) => ofCache(values, name));
  if (values instanceof SafetensorsFile) {
    return values.names.map((name) => {
      const tensor = values.get(name);
      return { ...tensor, axes: knownAxes(tensor) };
    });
  }
  if (values instanceof Map) return Array.from(values, ([name, tensor]) => inMemory({ ...tensor, name }, what));
  if (typeof values !== 'object' || values === null || !(Symbol.iterator in values)) {
    throw new Error(
      `${what}: expected a cache, a safetensors file, a Map or a list of tensors, got ${kindOf(values)}.`,
    );
  }
  return Array.from(values as Iterable<TensorInMemory & { name: string }>, (tensor) => inMemory(tensor, what));
}

function ofCache(cache: ActivationCache, name: string): NamedValue {
  const { shape, axes } = cache.get(name);
  const readBytes = async () => new Uint8Array((await cache.read(name, { as: 'bits' })).data.buffer);
  return { name, shape, axes, dtype: 'F32', readBytes };
}

function inMemory(tensor: TensorInMemory & { readonly name: string }, what: string): NamedValue {
  if (!Array.isArray(tensor?.shape)) {
    const got = tensor && typeof tensor === 'object' ? `one without a shape (${tensor.name})` : kindOf(tensor);
    throw new Error(`${what}: expected tensors with name, shape and data, got ${got}.`);
  }
  const { name, shape, data } = tensor;
  const dtype: Dtype | null = data instanceof Float32Array ? 'F32' : data instanceof Float64Array ? 'F64' : null;
  if (!dtype) throw new Error(`${what}: ${name}: expected a Float32Array or a Float64Array, got ${kindOf(data)}.`);
  const count = shape.reduce((a, b) => a * b, 1);
  if (data.length !== count) {
    throw new Error(`${what}: ${name}: expected ${count} elements for [${shape.join(', ')}], got ${data.length}.`);
  }
  const readBytes = async () => {
    const { buffer, byteOffset, byteLength } = data;
    // Memory that is shared between threads is copied: nothing takes it as it is.
    if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer, byteOffset, byteLength);
    return new Uint8Array(buffer, byteOffset, byteLength).slice();
  };
  return { name, shape, dtype, axes: tensor.axes ?? knownAxes(tensor), readBytes };
}

/** Those of the hook of this name, if there are as many. */
function knownAxes({ name, shape }: Pick<NamedValue, 'name' | 'shape'>): readonly string[] | null {
  const axes = axesOf(name);
  return axes?.length === shape.length ? axes : null;
}
