// What loading holds on the CPU, measured: the largest tensor as float32 and little more, whatever the file holds and the GPU is given.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { gpt2 } from '../../src/engine/architectures/gpt2.ts';
import { Model, type Source, type WeightFormat } from '../../src/index.ts';
import { testDevice } from '../device.ts';

const CONFIG = {
  model_type: 'gpt2',
  vocab_size: 60_000,
  n_positions: 4,
  n_embd: 128,
  n_layer: 1,
  n_head: 4,
  activation_function: 'gelu_new',
};
const LARGEST = 4 * CONFIG.vocab_size * CONFIG.n_embd;
const PIECE = 1 << 20;
const LIMIT = LARGEST + 3 * PIECE + 4 * PIECE;

/** A checkpoint of zeros, made as it is read. */
function source(dtype: 'F32' | 'BF16'): Source {
  const header: Record<string, object> = {};
  let end = 0;
  for (const { from, shape } of gpt2.weightMap(gpt2.parseConfig(CONFIG), CONFIG).values()) {
    if (from[0] in header) continue;
    const bytes = (dtype === 'F32' ? 4 : 2) * shape.reduce((a, b) => a * b, 1);
    header[from[0]] = { dtype, shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
  const weights = async function* () {
    yield length;
    yield text;
    const zeros = new Uint8Array(PIECE);
    for (let at = 0; at < end; at += PIECE) yield zeros.subarray(0, Math.min(PIECE, end - at));
  };
  const config = async function* () {
    yield new TextEncoder().encode(JSON.stringify(CONFIG));
  };
  return {
    description: 'zeros',
    async open(file) {
      if (file === 'config.json') return { description: file, sizeBytes: null, chunks: config() };
      return file === 'model.safetensors' ? { description: file, sizeBytes: null, chunks: weights() } : null;
    },
  };
}

test.each<['F32' | 'BF16', WeightFormat]>([
  ['F32', 'f32'],
  ['BF16', 'q8'],
])('of %s stored as %s', async (dtype, weights) => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const device = await testDevice();
  const load = async () => {
    collect();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === 'compile') return;
      collect();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    };
    const model = await Model.load(source(dtype), { device, weights, onProgress });
    model.destroy();
    return most;
  };
  // What tests before this one left running may allocate meanwhile: of up to three loads, the least is ours.
  let most = await load();
  for (let again = 0; again < 2 && most > LIMIT; again++) most = Math.min(most, await load());
  // The embedding; 1 MB that is being decoded, the 2 MB which it becomes, pieces of the file, and the other tensors, which are small.
  // What others left behind may be collected meanwhile.
  expect(most).toBeGreaterThanOrEqual(LARGEST - PIECE);
  expect(most).toBeLessThanOrEqual(LIMIT);
});
