// What this adapter can do at its best, by two small kernels that do nothing else: copy, and multiply and add in registers. And the clock
// for single dispatches. Measured by the wall clock; `npm run bench` does it more carefully.

/** A dispatch that can be repeated. */
export interface TimedDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

export interface Clock {
  /** How long a pass should take: the dispatch is repeated until it does. */
  readonly passMs: number;
  readonly passes: number;
  readonly signal: AbortSignal;
}

/** The roof under which everything runs. */
export interface Limits {
  /** GB/s read and written by a copy of `copyBytes`. */
  readonly bandwidth: number;
  readonly copyBytes: number;
  /** GFLOP/s of multiply-adds that wait for no memory. */
  readonly gigaflops: number;
  /** Milliseconds from a submission to its end known to the CPU. */
  readonly roundTripMs: number;
}

const WORKGROUP = 256;
const MEGABYTE = 2 ** 20;
/** Beyond the caches; a software adapter's memory is slow, and its caches are the processor's. */
const COPY_BYTES = { hardware: 256 * MEGABYTE, software: 32 * MEGABYTE };

const COPY = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> copy: array<vec4f>;
@compute @workgroup_size(${WORKGROUP}) fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32) {
  let i = (workgroup.y * workgroups.x + workgroup.x) * ${WORKGROUP}u + local;
  if (i < arrayLength(&copy)) { copy[i] = source[i]; }
}`;

/** Chains that do not wait for each other. */
const CHAINS = [0, 1, 2, 3, 4, 5, 6, 7];
const UNROLLED = 8;
const TURNS = 64;
const FMA_WORKGROUPS = { hardware: 4096, software: 8 };

/** What is never true keeps the compiler from leaving it all out. */
const FMA = /* wgsl */ `
@group(0) @binding(0) var<storage, read> factors: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec4f>;
@compute @workgroup_size(${WORKGROUP}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = factors[0];
  let b = factors[1];
${CHAINS.map((i) => `  var x${i} = factors[2] + vec4f(f32(id.x + ${i}u));`).join('\n')}
  for (var turn = 0u; turn < ${TURNS}u; turn++) {
${Array.from({ length: UNROLLED }, () => CHAINS.map((i) => `    x${i} = fma(x${i}, a, b);`).join('\n')).join('\n')}
  }
  let sum = ${CHAINS.map((i) => `x${i}`).join(' + ')};
  if (sum.x == -1.0) { result[0] = sum; }
}`;
const FMA_FLOPS = WORKGROUP * 2 * 4 * CHAINS.length * UNROLLED * TURNS;

/** Takes up to half a gigabyte of the GPU's memory for a moment. */
export async function measureLimits(device: GPUDevice, isSoftware: boolean, clock: Clock): Promise<Limits> {
  const kind = isSoftware ? 'software' : 'hardware';
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
  const copyBytes = Math.min(COPY_BYTES[kind], maxBufferSize, maxStorageBufferBindingSize);
  const groups = Math.ceil(copyBytes / 16 / WORKGROUP);
  const rows = Math.ceil(groups / maxComputeWorkgroupsPerDimension);
  const copyMs = await kernelMs(device, COPY, copyBytes, [Math.ceil(groups / rows), rows, 1], clock);
  const fmaMs = await kernelMs(device, FMA, 64, [FMA_WORKGROUPS[kind], 1, 1], clock);
  return {
    bandwidth: (2 * copyBytes) / 1e6 / copyMs,
    copyBytes,
    gigaflops: (FMA_WORKGROUPS[kind] * FMA_FLOPS) / 1e6 / fmaMs,
    roundTripMs: await roundTripMs(device, clock),
  };
}

/** Of a kernel between two buffers of this size. */
async function kernelMs(
  device: GPUDevice,
  code: string,
  bytes: number,
  workgroups: TimedDispatch['workgroups'],
  clock: Clock,
): Promise<number> {
  const buffers = [noiseBuffer(device, bytes), noiseBuffer(device, bytes)];
  try {
    const module = device.createShaderModule({ code });
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    return await dispatchMs(device, { pipeline, group, workgroups }, clock);
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

const NOISE = Float32Array.from({ length: MEGABYTE / 4 }, (_, i) => Math.sin(i) / 2);

/** A storage buffer of numbers in ±½: pages that were never written may not be there. */
export function noiseBuffer(device: GPUDevice, bytes: number): GPUBuffer {
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const size = Math.max(16, 4 * Math.ceil(bytes / 4));
  const part = Math.min(size, MEGABYTE);
  const noise = device.createBuffer({ size: part, usage: COPY_SRC, mappedAtCreation: true });
  new Float32Array(noise.getMappedRange()).set(NOISE.subarray(0, part / 4));
  noise.unmap();
  const buffer = device.createBuffer({ size, usage: STORAGE | COPY_DST });
  const encoder = device.createCommandEncoder();
  for (let at = 0; at < size; at += part) encoder.copyBufferToBuffer(noise, 0, buffer, at, Math.min(size - at, part));
  device.queue.submit([encoder.finish()]);
  noise.destroy();
  return buffer;
}

const LEAST_REPEATS = 4;
const MOST_REPEATS = 1000;

/**
 * Milliseconds of one dispatch: by how much a pass that repeats it is longer than a pass with one, so that what a pass costs by itself
 * does not count. Medians over passes of both, in turns.
 */
export async function dispatchMs(device: GPUDevice, dispatch: TimedDispatch, clock: Clock): Promise<number> {
  const pass = async (repeats: number) => {
    clock.signal.throwIfAborted();
    return passMs(device, dispatch, repeats);
  };
  await pass(1); // the first one also compiles what the driver has put off
  let repeats = LEAST_REPEATS;
  let last = await pass(repeats);
  while (last < clock.passMs / 2 && repeats < MOST_REPEATS) {
    // The clock may stand still during a short pass.
    const wanted = Math.ceil((repeats * clock.passMs) / Math.max(last, clock.passMs / 16));
    repeats = Math.min(MOST_REPEATS, Math.max(2 * repeats, wanted));
    last = await pass(repeats);
  }
  const [single, many]: [number[], number[]] = [[], []];
  for (let i = 0; i < clock.passes; i++) {
    single.push(await pass(1));
    many.push(await pass(repeats));
  }
  const ms = (median(many) - median(single)) / (repeats - 1);
  return ms > 0 ? ms : median(many) / repeats; // a machine that was busy with something else
}

async function passMs(device: GPUDevice, { pipeline, group, workgroups }: TimedDispatch, repeats: number) {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  for (let i = 0; i < repeats; i++) pass.dispatchWorkgroups(...workgroups);
  pass.end();
  const commands = encoder.finish();
  const start = performance.now();
  device.queue.submit([commands]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

async function roundTripMs(device: GPUDevice, { passes }: Clock): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 4 * passes; i++) {
    const start = performance.now();
    device.queue.submit([device.createCommandEncoder().finish()]);
    await device.queue.onSubmittedWorkDone();
    times.push(performance.now() - start);
  }
  return median(times);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}
