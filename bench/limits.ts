// What this adapter can do at its best, by kernels of our own that do nothing else: the rate of a copy, the rate of multiply-adds in
// registers, and what a dispatch and a round trip cost. Every other rate of the report is a share of these.
import { elapsedMs } from './interleave.ts';
import { quartiles } from './quartiles.ts';
import type { Dispatched } from './recorder.ts';
import { type ReplayOptions, replay } from './replay.ts';
import type { CopyRate, Limits } from './result.ts';

const MEGABYTE = 2 ** 20;
/** Bytes that a copy reads (it writes as many): from what any cache holds to what none does. */
const COPY_BYTES = [1 / 4, 1, 4, 16, 64, 256].map((size) => size * MEGABYTE);
/** A software adapter's caches are the processor's, and its memory is slow. */
const SOFTWARE_COPY_BYTES = COPY_BYTES.slice(0, 5);

const WORKGROUP = 256;

const COPY = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> copy: array<vec4f>;
@compute @workgroup_size(${WORKGROUP}) fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * ${WORKGROUP}u + local;
  if (i < arrayLength(&copy)) { copy[i] = source[i]; }
}`;

/** Chains that do not wait for each other, and multiply-adds of each in one turn of the loop. */
const CHAINS = 8;
const UNROLLED = 8;
const TURNS = 128;
const chains = Array.from({ length: CHAINS }, (_, i) => i);

/** x ← x·x·… would overflow: x ← x·a + b stays where it is. What is never true keeps the compiler from dropping it all. */
const FMA = /* wgsl */ `
@group(0) @binding(0) var<storage, read> factors: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@compute @workgroup_size(${WORKGROUP}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = factors[0];
  let b = factors[1];
${chains.map((i) => `  var x${i} = factors[2] + vec4f(f32(id.x + ${i}u));`).join('\n')}
  for (var turn = 0u; turn < ${TURNS}u; turn++) {
${Array.from({ length: UNROLLED }, () => chains.map((i) => `    x${i} = fma(x${i}, a, b);`).join('\n')).join('\n')}
  }
  let sum = ${chains.map((i) => `x${i}`).join(' + ')};
  if (sum.x == -1.0) { result[0] = sum; }
}`;
const FMA_FLOPS = 2 * 4 * CHAINS * UNROLLED * TURNS;
/** Enough to fill any GPU, and a software adapter's threads. */
const FMA_WORKGROUPS = { hardware: 8192, software: 8 };

const NOTHING = /* wgsl */ `
@group(0) @binding(0) var<storage, read> given: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> taken: array<vec4f>;
@compute @workgroup_size(1) fn main() { taken[0] = given[0]; }`;

export interface LimitOptions {
  readonly isSoftware: boolean;
  readonly passes: number;
}

/** Takes a few seconds, and up to 512 MiB of the GPU's memory for as long. */
export async function measureLimits(device: GPUDevice, { isSoftware, passes }: LimitOptions): Promise<Limits> {
  const options = { passes, passMs: 20 };
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const fits = (bytes: number) => bytes <= Math.min(maxBufferSize, maxStorageBufferBindingSize);
  const copy: CopyRate[] = [];
  for (const bytes of (isSoftware ? SOFTWARE_COPY_BYTES : COPY_BYTES).filter(fits)) {
    const groups = bytes / 16 / WORKGROUP;
    const rows = Math.ceil(groups / device.limits.maxComputeWorkgroupsPerDimension);
    const ms = await time(device, { code: COPY, bytes, workgroups: [Math.ceil(groups / rows), rows, 1] }, options);
    copy.push({ bytes, ...rates(ms, (2 * bytes) / 1e9) });
  }
  const groups = isSoftware ? FMA_WORKGROUPS.software : FMA_WORKGROUPS.hardware;
  const fma = await time(device, { code: FMA, bytes: 64, workgroups: [groups, 1, 1] }, options);
  return {
    copy,
    fma: rates(fma, (groups * WORKGROUP * FMA_FLOPS) / 1e9),
    dispatch: quartiles(await time(device, { code: NOTHING, bytes: 64, workgroups: [1, 1, 1] }, options)),
    roundTrip: quartiles(await roundTrips(device, 4 * passes)),
    timestamps: device.features.has('timestamp-query'),
  };
}

/** GB/s beyond the caches: of the largest copy. */
export function copyBandwidth({ copy }: Limits): number {
  return copy.at(-1)?.median ?? Number.NaN;
}

/** Quartiles of what is done per second, from milliseconds. */
const rates = (ms: readonly number[], done: number) => quartiles(ms.map((time) => done / (time / 1000)));

/** Milliseconds of one dispatch of a kernel between two buffers of this size. */
async function time(
  device: GPUDevice,
  { code, bytes, workgroups }: { code: string; bytes: number; workgroups: Dispatched['workgroups'] },
  options: ReplayOptions,
): Promise<readonly number[]> {
  const { STORAGE, COPY_DST } = GPUBufferUsage;
  const buffers = [0, 1].map(() => device.createBuffer({ size: bytes, usage: STORAGE | COPY_DST }));
  try {
    // What was never written may not be there: an adapter can leave such pages out.
    const noise = Float32Array.from({ length: Math.min(bytes, MEGABYTE) / 4 }, (_, i) => Math.sin(i) / 2);
    for (const buffer of buffers) {
      for (let at = 0; at < bytes; at += noise.byteLength) device.queue.writeBuffer(buffer, at, noise);
    }
    const pipeline = await device.createComputePipelineAsync({
      layout: 'auto',
      compute: { module: device.createShaderModule({ code }) },
    });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const { wall, gpu } = await replay(device, { pipeline, group, workgroups }, options);
    return gpu ?? wall;
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

/** Milliseconds from a submission to its result on the CPU: what each token of a text waits for at least. */
async function roundTrips(device: GPUDevice, count: number): Promise<number[]> {
  const { COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const source = device.createBuffer({ size: 16, usage: COPY_SRC });
  const staging = device.createBuffer({ size: 16, usage: COPY_DST | MAP_READ });
  const times: number[] = [];
  for (let i = 0; i <= count; i++) {
    const ms = await elapsedMs(async () => {
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(source, 0, staging, 0, 16);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
    });
    staging.unmap();
    if (i > 0) times.push(ms);
  }
  source.destroy();
  staging.destroy();
  return times;
}
