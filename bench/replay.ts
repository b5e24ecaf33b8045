// Times dispatches again and again: by the wall clock always, and by the GPU's timestamps where it has them. Chrome rounds
// timestamps (to 65–100 µs unless told otherwise), so a short dispatch is repeated within one pass.
import { elapsedMs } from './interleave.ts';
import type { Dispatched } from './recorder.ts';

/** Milliseconds of one dispatch, one number for each pass. */
export interface Replayed {
  readonly wall: readonly number[];
  /** Null where the adapter has no timestamps. */
  readonly gpu: readonly number[] | null;
  /** Dispatches in each pass. */
  readonly repeats: number;
}

export interface ReplayOptions {
  /** How long a pass should take: dispatches are repeated until it does. */
  readonly passMs: number;
  readonly passes: number;
}

const MAX_REPEATS = 2000;

/** @throws Error if a pass takes no time at all: then the clock is too coarse, and nothing is known */
export async function replay(
  device: GPUDevice,
  dispatch: Dispatched,
  { passMs, passes }: ReplayOptions,
): Promise<Replayed> {
  const pass = (repeats: number) => timePass(device, dispatch, repeats);
  await pass(1); // the first one also compiles what the driver has put off
  // The faster of two: one that had to wait for something else must not end this.
  const fasterOfTwo = async (repeats: number) => Math.min((await pass(repeats)).wall, (await pass(repeats)).wall);
  let repeats = 1;
  let last = await fasterOfTwo(repeats);
  while (last < passMs / 2 && repeats < MAX_REPEATS) {
    // A clock may stand still during a short pass; and the round trip is in it.
    const wanted = Math.ceil((repeats * passMs) / Math.max(last, passMs / 16));
    repeats = Math.min(MAX_REPEATS, Math.max(2 * repeats, wanted));
    last = await fasterOfTwo(repeats);
  }
  const times = [];
  for (let i = 0; i < passes; i++) times.push(await pass(repeats));
  const wall = times.map(({ wall }) => wall / repeats);
  if (!wall.every((ms) => ms > 0)) throw new Error('bench: the clock stood still for a whole pass.');
  const gpu = times.map(({ gpu }) => (gpu ?? 0) / repeats);
  return { wall, gpu: gpu.every((ms) => ms > 0) ? gpu : null, repeats };
}

async function timePass(device: GPUDevice, { pipeline, group, workgroups }: Dispatched, repeats: number) {
  const encode = (encoder: GPUCommandEncoder, timestampWrites?: GPUComputePassTimestampWrites) => {
    const pass = encoder.beginComputePass({ timestampWrites });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < repeats; i++) pass.dispatchWorkgroups(...workgroups);
    pass.end();
  };
  if (device.features.has('timestamp-query')) {
    const { wall, spans } = await timestamps(device, 1, (encoder, writes) => encode(encoder, writes(0)));
    return { wall, gpu: spans[0] };
  }
  const encoder = device.createCommandEncoder();
  encode(encoder);
  return { wall: await submitMs(device, encoder), gpu: null };
}

/** Milliseconds from the submission to the end of the work. */
function submitMs(device: GPUDevice, encoder: GPUCommandEncoder): Promise<number> {
  const commands = encoder.finish();
  return elapsedMs(() => {
    device.queue.submit([commands]);
    return device.queue.onSubmittedWorkDone();
  });
}

/** Milliseconds of each of `count` passes by the GPU's clock, and of all of them by the wall clock. `encode` gives pass i `writes(i)`. */
export async function timestamps(
  device: GPUDevice,
  count: number,
  encode: (encoder: GPUCommandEncoder, writes: (i: number) => GPUComputePassTimestampWrites) => void,
): Promise<{ wall: number; spans: number[] }> {
  const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const size = 16 * count;
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 * count });
  const resolved = device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
  const staging = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
  try {
    const encoder = device.createCommandEncoder();
    encode(encoder, (i) => ({ querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 }));
    encoder.resolveQuerySet(querySet, 0, 2 * count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    const wall = await submitMs(device, encoder);
    await staging.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(staging.getMappedRange());
    const spans = Array.from({ length: count }, (_, i) => Number(times[2 * i + 1] - times[2 * i]) / 1e6);
    return { wall, spans };
  } finally {
    staging.destroy();
    resolved.destroy();
    querySet.destroy();
  }
}
