// What elements show: a value of a run, on the GPU or read before. `CachedValue` is one; so is a tensor of a file (`shownTensor`).
import type { Tensor } from '../index.ts';

/** A value as an array with named axes. */
export interface ShownValue {
  readonly name: string;
  readonly shape: readonly number[];
  /** Their names, outermost first. */
  readonly axes: readonly string[];
  /** Its numbers, row-major; masked attention scores are −Infinity. */
  read(): Promise<Tensor>;
  /** float32, row-major, where the value is on the GPU; masked attention scores hold the lowest float32. */
  readonly buffer?: GPUBuffer;
  /** Keeps the buffer where it is until the function that comes back is called. */
  hold?(): () => void;
}

/** A tensor that has been read, as a value to show: no GPU is needed. */
export function shownTensor(tensor: Tensor): ShownValue {
  const { name, shape, axes } = tensor;
  return { name, shape, axes, read: async () => tensor };
}
