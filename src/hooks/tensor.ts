// What reading gives: numbers with their shape and the names of their axes.

/** What a value can be read as: its float32 numbers, their bits, or the same numbers in float64. */
export interface ReadForms {
  f32: Float32Array<ArrayBuffer>;
  bits: Uint32Array<ArrayBuffer>;
  f64: Float64Array<ArrayBuffer>;
}

/** A value on the CPU, row-major. */
export interface Tensor<Data = ReadForms['f32']> {
  readonly name: string;
  readonly data: Data;
  readonly shape: readonly number[];
  /** Axis names, outermost first. */
  readonly axes: readonly string[];
}
