// Running a part of the model: from the residual stream before one block to that before another.
import type { ModelConfig } from '../engine/config.ts';
import type { Graph } from '../engine/graph.ts';
import type { GpuMemory } from '../engine/memory.ts';
import { type BufferName, bufferOf } from '../engine/tasks.ts';
import { asStored } from '../kernels/kernel.ts';
import type { Numerics } from '../kernels/prelude.ts';
import type { CachedValue } from './activation_cache.ts';
import type { Tensor } from './tensor.ts';

/** Where a run begins and ends; null: at the tokens, at the logits. */
export interface LayerRange {
  readonly start: number | null;
  readonly stop: number | null;
}

/** The residual stream before a block, as the input of a run: [batch, pos, d_model], on the CPU or of another run's cache. */
export type ResidualInput = CachedValue | Pick<Tensor, 'data' | 'shape'>;

/**
 * Blocks counted from the start: negative numbers count from the end.
 * @throws Error where there is no such block, or the run would end before it begins
 */
export function layerRange(
  { nLayers }: ModelConfig,
  { startAtLayer, stopAtLayer }: { readonly startAtLayer?: number; readonly stopAtLayer?: number },
): LayerRange {
  const index = (option: string, layer: number | undefined, last: number) => {
    if (layer === undefined) return null;
    const positive = layer < 0 ? layer + nLayers : layer;
    if (Number.isInteger(layer) && positive >= 0 && positive <= last) return positive;
    throw new Error(`run: expected ${option} to be an integer of ${-nLayers} … ${last}, got ${layer}.`);
  };
  const start = index('startAtLayer', startAtLayer, nLayers - 1);
  const stop = index('stopAtLayer', stopAtLayer, nLayers);
  if (start !== null && stop !== null && start >= stop) {
    throw new Error(`run: stopAtLayer ${stopAtLayer} leaves no block to run from startAtLayer ${startAtLayer} on.`);
  }
  return { start, stop };
}

/** What a run that begins with a block is given. */
const streamInto = (layer: number) => `blocks.${layer}.hook_resid_pre`;

/** What a run that ends before block `layer` gives: nothing of that block has run, so edits of its `hook_resid_pre` have not either. */
export function streamOutOf(layer: number): string {
  return layer === 0 ? streamInto(0) : `blocks.${layer - 1}.hook_resid_post`;
}

/** The values that such a run computes, in firing order: from the stream that it is given to the one that it gives. */
export function computedNames(graph: Graph, { start, stop }: LayerRange): string[] {
  const names = [...graph.values.keys()];
  const first = start === null ? 0 : names.indexOf(streamInto(start));
  const last = stop === null ? names.length - 1 : names.indexOf(streamOutOf(stop));
  return names.slice(first, last + 1);
}

/** The buffer that a run which begins at block `start` is given: what the stream is before its edits. */
export function givenBuffer(graph: Graph, start: number, isWritten: (name: string) => boolean): BufferName {
  const root = bufferOf(graph, streamInto(start), () => false);
  const isEdited = root === streamInto(start) && isWritten(root);
  return isEdited ? `${root} before edit 1` : root;
}

/**
 * Checks the residual stream that a run is given.
 * @throws Error with what was expected and what came
 */
export function checkResidual(input: unknown, { dModel, nCtx }: ModelConfig): { batch: number; pos: number } {
  const shape = (input as Partial<ResidualInput> | null)?.shape;
  const [batch, pos, width] = Array.isArray(shape) ? shape : [];
  const size = input && typeof input === 'object' && 'data' in input ? (input as Tensor).data.length : null;
  const isRight = shape?.length === 3 && batch > 0 && pos > 0 && width === dModel;
  if (!isRight || (size !== null && size !== batch * pos * width)) {
    const got = shape ? `[${shape.join(', ')}]${size === null ? '' : ` with ${size} elements`}` : typeof input;
    throw new Error(
      `run: startAtLayer needs the residual stream [batch, pos, d_model ${dModel}] as its input, as a cached value or as { data, shape }; got ${got}.`,
    );
  }
  if (pos > nCtx) {
    throw new Error(`run: ${pos} positions are more than this model's context of ${nCtx} (n_ctx).`);
  }
  return { batch, pos };
}

/** Runs `f` with the residual stream that a run is given in a buffer, freed afterwards if it was made for that; null for none. */
export async function withResidual<T>(
  { memory, numerics }: { readonly memory: GpuMemory; readonly numerics: Numerics },
  input: ResidualInput | null,
  f: (buffer: GPUBuffer | null) => Promise<T>,
): Promise<T> {
  if (!input) return f(null);
  if ('buffer' in input) {
    const release = input.hold();
    try {
      return await f(input.buffer);
    } finally {
      release();
    }
  }
  const data = numerics === 'reproducible' ? asStored(input.data) : input.data;
  return memory.withStorage('residual', data, f);
}
