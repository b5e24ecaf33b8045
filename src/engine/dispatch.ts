// Kernels on buffers of the caller, outside of any plan: statistics, the choice of tokens, kernel tests, benchmarks.
import {
  type Dims,
  isWritable,
  type Kernel,
  kernelSource,
  presentBindings,
  runUniforms,
  type Variant,
} from '../kernels/kernel.ts';
import { bind } from './frame.ts';
import type { GpuMemory } from './memory.ts';
import type { Pipeline, PipelineCache } from './pipelines.ts';

type Buffers = Readonly<Record<string, GPUBuffer | GPUBufferBinding>>;

/** Bind groups that a prepared kernel keeps: for the frames that a growing text alternates between. */
const MAX_GROUPS = 4;

/** A kernel with its pipeline and uniforms, for commands that somebody else submits. */
export class PreparedKernel {
  private readonly memory: GpuMemory;
  private readonly kernel: Kernel;
  private readonly variant: Variant;
  private readonly pipeline: Pipeline;
  private readonly uniforms: GPUBuffer;
  private groups: { readonly buffers: readonly (GPUBuffer | GPUBufferBinding)[]; readonly group: GPUBindGroup }[] = [];

  private constructor(memory: GpuMemory, kernel: Kernel, variant: Variant, pipeline: Pipeline) {
    this.memory = memory;
    this.kernel = kernel;
    this.variant = variant;
    this.pipeline = pipeline;
    this.uniforms = memory.create('run', 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  }

  /** Compiles the pipeline and creates the 32 bytes of uniforms. */
  static async create(
    memory: GpuMemory,
    pipelines: PipelineCache,
    kernel: Kernel,
    variant: Variant,
  ): Promise<PreparedKernel> {
    const pipeline = await pipelines.get({
      label: kernel.name,
      source: kernelSource(kernel, variant),
      access: presentBindings(kernel, variant).map((binding) =>
        isWritable(binding) ? 'storage' : 'read-only-storage',
      ),
    });
    return new PreparedKernel(memory, kernel, variant, pipeline);
  }

  /**
   * Adds one dispatch to the commands. Its uniforms are written right away, so one set of commands may have it once.
   * @param buffers one for every binding that the variant has
   * @param sizes of axes that differ from the variant's
   */
  encode(encoder: GPUCommandEncoder, buffers: Buffers, sizes: { readonly pos?: number } = {}): void {
    const { kernel, memory } = this;
    const dims: Dims = { ...this.variant.dims, ...sizes };
    const { batch, pos, keys = pos, key_stride = pos, outputs = pos } = dims;
    memory.device.queue.writeBuffer(this.uniforms, 0, runUniforms({ batch, pos, keys, key_stride, outputs }));
    const pass = encoder.beginComputePass({ label: kernel.name });
    pass.setPipeline(this.pipeline.pipeline);
    pass.setBindGroup(0, this.group(presentBindings(kernel, this.variant).map(({ name }) => buffers[name])));
    pass.dispatchWorkgroups(...kernel.workgroups(dims, this.variant.options));
    pass.end();
  }

  private group(buffers: readonly (GPUBuffer | GPUBufferBinding)[]): GPUBindGroup {
    const known = this.groups.find((entry) => entry.buffers.every((buffer, i) => buffer === buffers[i]));
    if (known) return known.group;
    const group = bind(this.memory.device, this.kernel.name, this.pipeline, [this.uniforms, ...buffers]);
    this.groups = [{ buffers, group }, ...this.groups].slice(0, MAX_GROUPS);
    return group;
  }

  /** Frees the uniforms. */
  destroy(): void {
    this.memory.destroy(this.uniforms);
  }
}

/**
 * Dispatches `kernel` once. Creates and frees a 32-byte uniform buffer; does not wait for the GPU.
 * @param buffers one for every binding that the variant has
 */
export async function dispatchKernel(
  memory: GpuMemory,
  pipelines: PipelineCache,
  kernel: Kernel,
  variant: Variant,
  buffers: Buffers,
): Promise<void> {
  const prepared = await PreparedKernel.create(memory, pipelines, kernel, variant);
  try {
    await memory.scoped(kernel.name, () => {
      const encoder = memory.device.createCommandEncoder({ label: kernel.name });
      prepared.encode(encoder, buffers);
      memory.device.queue.submit([encoder.finish()]);
    });
  } finally {
    prepared.destroy();
  }
}
