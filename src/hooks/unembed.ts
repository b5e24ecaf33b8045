// The final norm and the unembedding of any value of the residual stream: a run that is given its last one.
import type { ModelConfig } from '../engine/config.ts';
import type { Frame } from '../engine/frame.ts';
import { LOGITS } from '../engine/graph.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { CachedValue } from './activation_cache.ts';
import { type Selection, selectedIndices } from './selection.ts';

/**
 * Logits [batch, pos, d_vocab_out] of the selected rows and positions, in a frame that the caller releases.
 * @throws Error where the value is not of the residual stream, or nothing is selected
 */
export async function runUnembedding(
  runtime: Runtime,
  { nLayers, dModel }: ModelConfig,
  value: CachedValue,
  selection: Pick<Selection, 'batch' | 'pos'>,
): Promise<Frame> {
  if (value.axes.join() !== 'batch,pos,d_model' || value.shape[2] !== dModel) {
    const got = `${value.name} [${value.axes.join(', ')}]`;
    throw new Error(`unembed: expected a value of the residual stream [batch, pos, d_model], got ${got}.`);
  }
  const [rows, positions] = selectedIndices(value, selection);
  const [batch, pos] = [rows.length, positions.length];
  if (batch * pos === 0) throw new Error(`unembed: no position of ${value.name} is selected.`);
  const last = `blocks.${nLayers - 1}.hook_resid_post`;
  const { numerics } = value;
  const run = (stream: GPUBuffer) =>
    runtime.run(
      { numerics, batch, pos, capture: [LOGITS], given: [last] },
      { ids: new Uint32Array(batch * pos), given: new Map([[last, stream]]) },
    );
  const release = value.hold();
  try {
    if (Object.values(selection).every((indices) => indices === undefined)) return await run(value.buffer);
    const from = rows.flatMap((row) => positions.map((position) => row * value.shape[1] + position));
    return await withRows(runtime, value.buffer, { from, bytes: 4 * dModel }, run);
  } finally {
    release();
  }
}

/** Runs `f` with a buffer of these rows of another, freed afterwards. */
async function withRows<T>(
  { memory }: Runtime,
  source: GPUBuffer,
  { from, bytes }: { from: readonly number[]; bytes: number },
  f: (rows: GPUBuffer) => Promise<T>,
): Promise<T> {
  return memory.withStorage('selected rows', from.length * bytes, (buffer) => {
    const encoder = memory.device.createCommandEncoder({ label: 'selected rows' });
    from.forEach((row, to) => {
      encoder.copyBufferToBuffer(source, row * bytes, buffer, to * bytes, bytes);
    });
    memory.device.queue.submit([encoder.finish()]);
    return f(buffer);
  });
}
