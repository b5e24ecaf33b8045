// One kernel on buffers of the caller, outside of any plan: statistics, kernel tests, benchmarks.
import { type Kernel, kernelSource, presentBindings, runUniforms, type Variant } from '../kernels/kernel.ts';
import { bind } from './frame.ts';
import type { GpuMemory } from './memory.ts';
import type { PipelineCache } from './pipelines.ts';

/**
 * Dispatches `kernel` once. Creates and frees a 32-byte uniform buffer; does not wait for the GPU.
 * @param buffers one for every binding that the variant has
 */
export async function dispatchKernel(
  memory: GpuMemory,
  pipelines: PipelineCache,
  kernel: Kernel,
  variant: Variant,
  buffers: Readonly<Record<string, GPUBuffer | GPUBufferBinding>>,
): Promise<void> {
  const bindings = presentBindings(kernel, variant);
  const pipeline = await pipelines.get({
    label: kernel.name,
    source: kernelSource(kernel, variant),
    access: bindings.map(({ role }) => (role === 'output' ? 'storage' : 'read-only-storage')),
  });
  const { batch, pos, keys = pos, key_stride = pos } = variant.dims;
  const uniforms = memory.create('run', 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  try {
    await memory.scoped(kernel.name, () => {
      const { device } = memory;
      device.queue.writeBuffer(uniforms, 0, runUniforms({ batch, pos, keys, key_stride }));
      const group = bind(device, kernel.name, pipeline, [uniforms, ...bindings.map(({ name }) => buffers[name])]);
      const encoder = device.createCommandEncoder({ label: kernel.name });
      const pass = encoder.beginComputePass({ label: kernel.name });
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...kernel.workgroups(variant.dims, variant.options));
      pass.end();
      device.queue.submit([encoder.finish()]);
    });
  } finally {
    memory.destroy(uniforms);
  }
}
