// What an emulated kernel is: the kernel of the same name, in float32 arithmetic on the CPU. And the sums that all of them are made of.
import type { Arithmetic } from './arithmetic.ts';

/** Arrays by binding name, laid out as on the GPU. What is not there is absent: a bias, or a value that is computed. */
export type EmulatedInputs = Readonly<Record<string, Float32Array | Uint32Array | undefined>>;

/**
 * Every output, float32, from inputs as the kernel gets them: bit for bit what it stores in reproducible mode.
 * Dims, options and binding names are the kernel's (src/kernels); the equations are said there.
 */
export type EmulatedKernel = (
  inputs: EmulatedInputs,
  dims: Readonly<Record<string, number>>,
  options: Readonly<Record<string, number | string | boolean>>,
  arithmetic: Arithmetic,
) => Record<string, Float32Array<ArrayBuffer>>;

/** Terms of one sum at a time, in float32. */
export class Sums {
  private readonly arithmetic: Arithmetic;
  private readonly terms: Float32Array;

  constructor(arithmetic: Arithmetic, longest: number) {
    this.arithmetic = arithmetic;
    this.terms = new Float32Array(longest);
  }

  /** Σ term(i), i < count, of float32 numbers. */
  sum(count: number, block: number, term: (i: number) => number): number {
    for (let i = 0; i < count; i++) this.terms[i] = term(i);
    return this.arithmetic.sum(this.terms, count, block);
  }

  /**
   * Σ a[aFirst + i·aStride]·b[bFirst + i·bStride], i < count, with each product rounded.
   */
  dot(count: number, block: number, a: Strided, b: Strided): number {
    const { terms, arithmetic } = this;
    const { round } = arithmetic;
    for (let i = 0; i < count; i++) {
      terms[i] = round(a.data[a.first + i * a.stride] * b.data[b.first + i * b.stride]);
    }
    return arithmetic.sum(terms, count, block);
  }
}

/** Elements of an array at equal distances. */
export interface Strided {
  readonly data: Float32Array;
  readonly first: number;
  readonly stride: number;
}

/** An input that must be there. */
export function floats(inputs: EmulatedInputs, name: string): Float32Array {
  const data = inputs[name];
  if (data instanceof Float32Array) return data;
  throw new Error(`emulation: the float32 input "${name}" is missing.`);
}

/** An input of whole numbers that must be there. */
export function integers(inputs: EmulatedInputs, name: string): Uint32Array {
  const data = inputs[name];
  if (data instanceof Uint32Array) return data;
  throw new Error(`emulation: the u32 input "${name}" is missing.`);
}

/** An input that may be absent. */
export function optional(inputs: EmulatedInputs, name: string): Float32Array | undefined {
  return inputs[name] === undefined ? undefined : floats(inputs, name);
}
