// What an adapter does to float32 arithmetic, measured: one dispatch of small formulas whose inputs are loaded, and one
// more for subgroups where the device has them. WGSL leaves open how sums and products are rounded, contracted and
// reassociated, what becomes of subnormal numbers, NaN and the sign of zero, and how accurate most functions are
// (§15.7). The questions are in fingerprint/; here they are asked.
import type { Probe } from './fingerprint/cases.ts';
import { type Fingerprint, fingerprintOf, type ReadResults } from './fingerprint/properties.ts';
import { QUESTIONS } from './fingerprint/questions.ts';
import { createShader } from './fingerprint/shader.ts';
import { SUBGROUP_RESULT_BYTES, SUBGROUP_SHADER, subgroupAnswer, subgroupInput } from './fingerprint/subgroups.ts';
import { bind } from './frame.ts';
import { GpuMemory } from './memory.ts';
import { PipelineCache } from './pipelines.ts';

const fingerprints = new WeakMap<GPUDevice, Promise<Fingerprint>>();

/**
 * What the device's adapter does to float32 arithmetic: which multiply-adds are fused, in which order sums are added,
 * what becomes of subnormal numbers and NaN, how far off the built-in functions are. A device is asked once; later
 * calls give the same object.
 *
 * Compiles two shaders and waits for the GPU, the first time; no buffer is left. Subgroups are part of it where the
 * device was requested with that feature, so compare ids of devices that were requested alike.
 * @throws Error if the device is lost or runs out of memory
 * @example
 * const { id, summary, fma } = await adapterFingerprint(device);
 * summary; // 'a·b+c not fused, fma not fused, rounding barrier holds, subnormals kept, sums in order, …'
 */
export function adapterFingerprint(device: GPUDevice): Promise<Fingerprint> {
  let fingerprint = fingerprints.get(device);
  if (!fingerprint) {
    fingerprint = measure(device);
    fingerprints.set(device, fingerprint);
    fingerprint.catch(() => fingerprints.delete(device)); // it can be tried again
  }
  return fingerprint;
}

async function measure(device: GPUDevice): Promise<Fingerprint> {
  const memory = new GpuMemory(device);
  try {
    const read = await evaluateProbes(memory, Object.values(QUESTIONS).flat());
    const subgroups = device.features.has('subgroups') ? await evaluateSubgroups(memory) : null;
    return fingerprintOf(read, subgroups);
  } finally {
    memory.destroyAll();
  }
}

/**
 * Computes every case of the probes, and the samples of the built-in functions, in one dispatch. Frees what it created.
 */
export async function evaluateProbes(memory: GpuMemory, probes: readonly Probe[]): Promise<ReadResults> {
  const shader = createShader(probes);
  const results = await dispatch(memory, { label: 'fingerprint', ...shader });
  return (what) => shader.read(what, results);
}

async function evaluateSubgroups(memory: GpuMemory): Promise<ReturnType<typeof subgroupAnswer>> {
  const results = await dispatch(memory, {
    label: 'fingerprint of subgroups',
    source: SUBGROUP_SHADER,
    input: subgroupInput(),
    workgroups: 1,
    resultBytes: SUBGROUP_RESULT_BYTES,
  });
  return subgroupAnswer(results);
}

interface Dispatch {
  readonly label: string;
  readonly source: string;
  readonly input: Float32Array<ArrayBuffer>;
  readonly workgroups: number;
  readonly resultBytes: number;
}

/** Bindings: a uniform zero, the input, the results. */
async function dispatch(
  memory: GpuMemory,
  { label, source, input, workgroups, resultBytes }: Dispatch,
): Promise<Float32Array> {
  const { device } = memory;
  const pipeline = await PipelineCache.of(device).get({ label, source, access: ['read-only-storage', 'storage'] });
  const zero = memory.create(label, 16, GPUBufferUsage.UNIFORM); // a new buffer holds zeros
  try {
    return await memory.withStorage(label, input, (inputBuffer) =>
      memory.withStorage(label, resultBytes, async (resultBuffer) => {
        await memory.scoped(label, () => {
          const encoder = device.createCommandEncoder({ label });
          const pass = encoder.beginComputePass({ label });
          pass.setPipeline(pipeline.pipeline);
          pass.setBindGroup(0, bind(device, label, pipeline, [zero, inputBuffer, resultBuffer]));
          pass.dispatchWorkgroups(workgroups);
          pass.end();
          device.queue.submit([encoder.finish()]);
        });
        return new Float32Array(await memory.read(resultBuffer, resultBytes));
      }),
    );
  } finally {
    memory.destroy(zero);
  }
}
