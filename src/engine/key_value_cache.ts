// Keys and values of the positions that a text already has, kept on the GPU from run to run: what makes a step of generation cost
// one position instead of all. Rows of a batch may have different lengths.

import type { Numerics } from '../kernels/prelude.ts';
import type { Graph } from './graph.ts';
import type { GpuMemory } from './memory.ts';
import { bufferOf } from './tasks.ts';

/** Sizes of a key-value cache. */
export interface KeyValueCacheSize {
  /** Rows; 1 if absent. */
  readonly batch?: number;
  /** Most positions per row; the model's context if absent. */
  readonly capacity?: number;
}

interface Part {
  readonly value: string;
  readonly rowBytes: number;
  readonly buffer: GPUBuffer;
}

/**
 * What `model.run(tokens, { keyValueCache })` appends to and looks at. Memory: 2 · layers · key-value heads · d_head · 4 bytes per
 * position and row. Keys and values are stored as attention reads them: after rotary, and as interventions made them.
 */
export class KeyValueCache {
  readonly batch: number;
  readonly capacity: number;
  /** Positions that each row has. */
  lengths: readonly number[];
  /** How its keys and values were rounded; null while it is empty. */
  private numerics: Numerics | null = null;
  private readonly memory: GpuMemory;
  private readonly parts: ReadonlyMap<string, Part>;
  private state: 'free' | 'in use' | 'destroyed' = 'free';

  /** @internal Made by `model.createKeyValueCache`. */
  constructor(
    memory: GpuMemory,
    parts: readonly { value: string; rowBytes: number }[],
    size: Required<KeyValueCacheSize>,
  ) {
    this.memory = memory;
    this.batch = size.batch;
    this.capacity = size.capacity;
    this.lengths = Array(size.batch).fill(0);
    this.parts = new Map(
      parts.map(({ value, rowBytes }) => {
        const buffer = memory.createStorage(`${value} cached`, size.batch * size.capacity * rowBytes);
        return [value, { value, rowBytes, buffer }];
      }),
    );
  }

  /** @internal The buffer of the keys or values that are appended from this value. */
  buffer(value: string): GPUBuffer | undefined {
    return this.parts.get(value)?.buffer;
  }

  /** @internal Runs `f`, which appends rows of these lengths; only if it succeeds the rows are longer afterwards. */
  async append<T>(rowLengths: readonly number[], numerics: Numerics, f: () => Promise<T>): Promise<T> {
    this.check();
    const isEmpty = this.lengths.every((length) => length === 0);
    if (!isEmpty && this.numerics !== numerics) {
      throw new Error(
        `key-value cache: it was filled by ${this.numerics} runs; a ${numerics} one cannot go on from there.`,
      );
    }
    this.state = 'in use';
    try {
      const result = await f();
      this.lengths = this.lengths.map((length, row) => length + rowLengths[row]);
      this.numerics = numerics;
      return result;
    } finally {
      if (this.state === 'in use') this.state = 'free';
    }
  }

  private check(): void {
    if (this.state === 'destroyed') throw new Error('key-value cache: it has been destroyed. Create another one.');
    if (this.state === 'in use') {
      throw new Error('key-value cache: a run is using it. Wait for that run, or fork the cache before it.');
    }
  }

  /** A copy that goes its own way: two continuations of one text. Costs the same memory again. */
  fork(): KeyValueCache {
    this.check();
    const fork = new KeyValueCache(this.memory, [...this.parts.values()], this);
    const encoder = this.memory.device.createCommandEncoder({ label: 'fork' });
    for (const { value, buffer } of this.parts.values()) {
      const copy = fork.buffer(value);
      if (copy) encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    }
    this.memory.device.queue.submit([encoder.finish()]);
    fork.lengths = this.lengths;
    fork.numerics = this.numerics;
    return fork;
  }

  /**
   * Forgets what comes after the first `length` positions of every row (or of row i, `length[i]`).
   * @throws Error if a row is shorter
   */
  truncate(length: number | readonly number[]): void {
    this.check();
    const lengths = this.lengths.map((_, row) => (typeof length === 'number' ? length : length[row]));
    lengths.forEach((wanted, row) => {
      if (!Number.isInteger(wanted) || wanted < 0 || wanted > this.lengths[row]) {
        throw new Error(
          `key-value cache: row ${row} has ${this.lengths[row]} positions; it cannot be cut to ${wanted}.`,
        );
      }
    });
    this.lengths = lengths;
  }

  /** Gives the memory back. */
  destroy(): void {
    for (const { buffer } of this.parts.values()) this.memory.destroy(buffer);
    this.state = 'destroyed';
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** The values of a model that a key-value cache keeps, and their bytes per position. */
export function cachedParts(graph: Graph): { value: string; rowBytes: number }[] {
  return graph.operations.flatMap(({ cached, inputs, dims }) => {
    if (!cached) return [];
    const value = bufferOf(graph, inputs[cached], () => false);
    return [{ value, rowBytes: 4 * dims.n_key_value_heads * dims.d_head }];
  });
}
