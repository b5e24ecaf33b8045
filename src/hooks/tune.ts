// `model.tune`: measures the model's matrix products on its device and keeps what was found, for this model and for later loads.
import type { ModelConfig } from '../engine/config.ts';
import { describeAdapter } from '../engine/device.ts';
import { LOGITS } from '../engine/graph.ts';
import type { Runtime } from '../engine/runtime.ts';
import { rememberTilings } from '../engine/tiling_store.ts';
import { ROW_CLASSES } from '../engine/tilings.ts';
import type { TunedProduct } from '../engine/tuner.ts';
import type { TilingName } from '../kernels/tiling.ts';

export interface TuneProgress {
  /** The product that is measured now, in words: `matmul 128x512, 1 row, fast`. */
  readonly product: string;
  /** How many were measured before. */
  readonly measured: number;
}

export interface TuneOptions {
  /** Checked before each measurement. What was measured until then is taken, and not remembered. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TuneProgress) => void;
  /** Whether later loads on this adapter begin with the result; true if absent. */
  readonly remember?: boolean;
}

/** Tunes runs of as many rows as the classes say, as far as the context goes. */
export async function tuneModel(
  runtime: Runtime,
  { nCtx }: ModelConfig,
  { signal, onProgress, remember = true }: TuneOptions,
): Promise<TunedProduct[]> {
  const tuned: TunedProduct[] = [];
  for (const { measured: pos } of ROW_CLASSES) {
    if (pos > nCtx) break;
    signal?.throwIfAborted();
    const before = tuned.length;
    let count = 0;
    const onProduct = (product: string) => onProgress?.({ product, measured: before + count++ });
    const request = { batch: 1, pos, capture: [LOGITS] };
    tuned.push(...(await runtime.tune(request, { ids: new Uint32Array(pos) }, { signal, onProduct })));
  }
  const best = new Map<string, TilingName>(tuned.map(({ name, best }) => [name, best]));
  if (remember) rememberTilings(describeAdapter(runtime.memory.device).text, best);
  return tuned;
}
