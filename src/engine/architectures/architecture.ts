// What an architecture is to this engine: how to read its config.json, and where each weight stands in its checkpoints.
// There is no forward pass here: all architectures share the graph.

import type { RawConfig } from '../checkpoint.ts';
import type { ModelConfig } from '../config.ts';

/** Where a weight comes from, and how it gets TransformerLens's layout. */
export interface WeightSource {
  /** Names in the checkpoint; the first that exists is taken. */
  readonly from: readonly string[];
  /** Shape in the checkpoint. */
  readonly shape: readonly number[];
  /** The checkpoint has the transpose of the canonical matrix [columns, rows], all axes of which but the last one are its rows. */
  readonly isTransposed?: boolean;
  /** From the checkpoint's layout to the canonical one (row-major both). Absent: they are the same. May not write. */
  readonly convert?: (data: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;
  /** Absent from a checkpoint means zero; otherwise its absence is an error. */
  readonly optional?: boolean;
}

export interface Architecture {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** Reads and checks a config; throws one error that lists every value that is missing, wrong or not supported. */
  parseConfig(raw: RawConfig): ModelConfig;
  /** Canonical name to source. A weight of `weightSpecs(config)` that is not in it does not exist here: it is zero. */
  weightMap(config: ModelConfig, raw: RawConfig): Map<string, WeightSource>;
  /** Tensors that checkpoints hold and the model does not need: nobody is warned about them. */
  readonly ignored: readonly RegExp[];
}

/**
 * Each of `batch` matrices [rows, columns] transposed.
 * @example
 * transpose(Float32Array.of(1, 2, 3, 4, 5, 6), { rows: 2, columns: 3 }); // [1, 4, 2, 5, 3, 6]
 */
export function transpose(
  data: Float32Array<ArrayBuffer>,
  { batch = 1, rows, columns }: { batch?: number; rows: number; columns: number },
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(data.length);
  for (let matrix = 0; matrix < batch; matrix++) {
    const start = matrix * rows * columns;
    for (let column = 0; column < columns; column++) {
      const outRow = start + column * rows;
      for (let row = 0; row < rows; row++) out[outRow + row] = data[start + row * columns + column];
    }
  }
  return out;
}
