// The captured values of one run: kept on the GPU, copied to the CPU when asked for, freed by `destroy`.
import type { Frame } from '../engine/frame.ts';
import type { GraphValue } from '../engine/graph.ts';
import { valueShape } from '../engine/plan.ts';
import type { Runtime } from '../engine/runtime.ts';
import { MASKED } from '../kernels/kernel.ts';
import type { Numerics } from '../kernels/prelude.ts';
import type { Statistics } from './statistics.ts';
import type { ReadForms, Tensor } from './tensor.ts';

/** How to read a value: `'f32'` (the default), `'bits'` or `'f64'`. */
export interface ReadOptions<Form extends keyof ReadForms = keyof ReadForms> {
  readonly as?: Form;
}

/** All are exact. Bits tell 0 from −0 and one NaN from another, which numbers in JavaScript do not. */
const AS: { readonly [Form in keyof ReadForms]: (data: ReadForms['f32']) => ReadForms[Form] } = {
  f32: (data) => data,
  bits: (data) => new Uint32Array(data.buffer),
  f64: (data) => Float64Array.from(data),
};

/** One captured value on the GPU. */
export class CachedValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly axes: readonly string[];
  readonly dtype = 'float32';
  /** Holds attention scores of which some are masked: they read as −Infinity. */
  readonly masked: boolean;
  private readonly runtime: Runtime;
  private readonly owner: { readonly frame: Frame };

  constructor(value: GraphValue, runtime: Runtime, owner: { readonly frame: Frame }) {
    this.name = value.name;
    this.masked = value.masked;
    this.shape = valueShape(value, owner.frame.shape);
    this.axes = value.axes.map(({ name }) => name);
    this.runtime = runtime;
    this.owner = owner;
  }

  /** The buffer itself, float32, row-major; masked attention scores hold the lowest float32. Valid until the cache is destroyed. */
  get buffer(): GPUBuffer {
    return this.owner.frame.buffer(this.name);
  }

  /**
   * Keeps the values of its run where they are, whatever happens to the cache, until the function that comes back is called.
   * For work that waits between naming a buffer and using it.
   */
  hold(): () => void {
    const { frame } = this.owner;
    this.runtime.hold(frame);
    let isHeld = true;
    return () => {
      if (isHeld) this.runtime.release(frame);
      isHeld = false;
    };
  }

  /** Those of the run that computed it. */
  get numerics(): Numerics {
    return this.owner.frame.plan.numerics;
  }

  get elementCount(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  /**
   * Copies the value to the CPU, exactly; masked attention scores read as −Infinity. Waits for the GPU.
   * @param options `as: 'bits'` gives the bits of the float32 numbers, `as: 'f64'` the same numbers in float64
   * @throws Error where `as` is none of these
   * @example
   * const { data, shape } = await cache.get('blocks.0.attn.hook_pattern').read(); // a Float32Array
   */
  async read<Form extends keyof ReadForms = 'f32'>(options: ReadOptions<Form> = {}): Promise<Tensor<ReadForms[Form]>> {
    const { name, shape, axes } = this;
    const form = options.as ?? ('f32' as Form);
    if (!Object.hasOwn(AS, form)) throw new Error(`cache: expected as: 'f32', 'bits' or 'f64', got '${form}'.`);
    const data = new Float32Array(await this.runtime.memory.read(this.buffer, 4 * this.elementCount));
    if (this.masked) {
      for (let i = 0; i < data.length; i++) if (data[i] === MASKED) data[i] = Number.NEGATIVE_INFINITY;
    }
    return { name, data: AS[form](data), shape, axes };
  }

  /**
   * Mean, standard deviation, minimum, maximum, norm and counts, computed on the GPU; 36 bytes are copied for every 256
   * elements, with the numerics of the value's run. NaN, infinite and masked elements are counted and left out of the rest.
   */
  async stats(): Promise<Statistics> {
    const { runtime, buffer, elementCount, numerics } = this;
    const release = this.hold(); // before anything is awaited
    try {
      const { computeStatistics } = await import('./statistics.ts');
      return await computeStatistics(runtime, { buffer, elementCount, numerics });
    } finally {
      release();
    }
  }
}

/** The values that a run captured, by their hook names. */
export class ActivationCache {
  /** Captured names, in firing order. */
  readonly names: readonly string[];
  /**
   * Ids of the tokens that the run read, [batch][pos], without padding; null where they were never on the CPU (a run that begins with a
   * residual stream, a step of generation).
   */
  readonly tokens: readonly (readonly number[])[] | null;
  /** @internal What holds the values: tells whose cache this is. */
  readonly runtime: Runtime;
  private readonly values: ReadonlyMap<string, GraphValue>;
  private held: Frame | null;

  constructor(
    runtime: Runtime,
    frame: Frame,
    values: readonly GraphValue[],
    tokens: readonly (readonly number[])[] | null = null,
  ) {
    this.runtime = runtime;
    this.held = frame;
    this.tokens = tokens;
    this.values = new Map(values.map((value) => [value.name, value]));
    this.names = [...this.values.keys()];
  }

  /** @internal The frame that holds the buffers. Throws once the cache has been destroyed. */
  get frame(): Frame {
    if (!this.held)
      throw new Error('cache: it has been destroyed, its values are gone. Keep what you read, or run again.');
    this.runtime.check();
    return this.held;
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** @throws Error if the value was not captured */
  get(name: string): CachedValue {
    const value = this.values.get(name);
    if (!value) {
      throw new Error(
        `cache: "${name}" was not captured in this run. Captured: ${summary(this.names)}. Ask for it with { names: … }.`,
      );
    }
    return new CachedValue(value, this.runtime, this);
  }

  /**
   * Copies one value to the CPU: `cache.get(name).read(options)`.
   * @example
   * const { data } = await cache.read('logits', { as: 'bits' }); // a Uint32Array
   */
  async read<Form extends keyof ReadForms = 'f32'>(
    name: string,
    options: ReadOptions<Form> = {},
  ): Promise<Tensor<ReadForms[Form]>> {
    return this.get(name).read(options);
  }

  /**
   * Gives the GPU memory back (one run's worth may stay with the model for the next run of the same kind). Reading afterwards is an
   * error; what was read stays valid, and readings that have begun end well.
   */
  destroy(): void {
    if (this.held) this.runtime.release(this.held);
    this.held = null;
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}

function summary(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown || 'nothing';
}
