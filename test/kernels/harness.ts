// One kernel on the test device: buffers from its bindings, outputs full of garbage before, read back after. Works in Node and
// in Chrome; the benchmarks may use it too.

import { dispatchKernel } from '../../src/engine/dispatch.ts';
import { GpuMemory } from '../../src/engine/memory.ts';
import { PipelineCache } from '../../src/engine/pipelines.ts';
import {
  type Arrays,
  type Binding,
  type Dims,
  elementCount,
  isWritable,
  type Kernel,
  presentBindings,
  type Variant,
} from '../../src/kernels/kernel.ts';
import { testDevice, withErrorScopes } from '../device.ts';
import type { Axis } from './compare.ts';

/**
 * Inputs as the GPU gets them. A u32 binding may hold Float32Array too: then it reads the bits of the floats. A matrix that is not stored as
 * float32 is given in words.
 */
export type Inputs = Readonly<Record<string, Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>>;

/** Bits that outputs hold before a kernel writes them: a NaN with a payload, and 1e30. */
export const GARBAGE = [0x7fc0beef, 0x7149f2ca] as const;

let pipelines: PipelineCache | undefined;

/** The pipelines of all kernel tests of this process. */
export async function testPipelines(): Promise<PipelineCache> {
  pipelines ??= PipelineCache.of(await testDevice());
  return pipelines;
}

/** Number of 32-bit words of a binding. */
export function wordCount(binding: Binding, dims: Dims): number {
  return elementCount(binding, dims) * (binding.element === 'vec4f' ? 4 : 1);
}

/** The axes of a binding with their sizes. */
export function axesOf(binding: Binding, dims: Dims): Axis[] {
  return binding.shape.map((name) => ({ name, size: dims[name] }));
}

/** The inputs as a kernel's reference takes them. */
export function toFloat64(inputs: Inputs): Arrays {
  return Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, Float64Array.from(data)]));
}

/**
 * Dispatches a kernel once and gives the bits of every output that the variant has. Throws on any WebGPU error, and if the
 * dispatch leaves a buffer behind; frees everything.
 * @param garbage bits of every word of an output before the dispatch, or by output name what it holds
 */
export async function runKernel(
  kernel: Kernel,
  variant: Variant,
  inputs: Inputs,
  garbage: number | Readonly<Record<string, Uint32Array<ArrayBuffer>>>,
): Promise<Record<string, Uint32Array<ArrayBuffer>>> {
  const device = await testDevice();
  const cache = await testPipelines();
  const memory = new GpuMemory(device);
  try {
    return await withErrorScopes(device, async () => {
      const bindings = presentBindings(kernel, variant);
      const buffers: Record<string, GPUBuffer> = {};
      for (const binding of bindings) {
        const stored = variant.matrices?.[binding.name];
        const words = stored ? inputs[binding.name].length : wordCount(binding, variant.dims);
        const data = isWritable(binding) ? before(garbage, binding.name, words) : inputs[binding.name];
        if (data?.length !== words) {
          throw new Error(
            `${kernel.name}: the case gives ${data?.length} words for ${binding.name}, which has ${words}.`,
          );
        }
        buffers[binding.name] = memory.createStorage(binding.name, 4 * words);
        device.queue.writeBuffer(buffers[binding.name], 0, data);
      }
      await dispatchKernel(memory, cache, kernel, variant, buffers);
      if (memory.use.buffers !== bindings.length) throw new Error(`${kernel.name}: a dispatch left a buffer behind.`);
      const outputs: Record<string, Uint32Array<ArrayBuffer>> = {};
      for (const { name, role, ...binding } of bindings) {
        if (role !== 'output') continue;
        const words = wordCount({ name, role, ...binding }, variant.dims);
        outputs[name] = new Uint32Array(await memory.read(buffers[name], 4 * words));
      }
      return outputs;
    });
  } finally {
    memory.destroyAll();
  }
}

function before(
  garbage: number | Readonly<Record<string, Uint32Array<ArrayBuffer>>>,
  name: string,
  words: number,
): Uint32Array<ArrayBuffer> {
  return typeof garbage === 'number' ? new Uint32Array(words).fill(garbage) : garbage[name];
}

/** The same bits as float32. */
export function asFloats(bits: Uint32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return new Float32Array(bits.buffer, bits.byteOffset, bits.length);
}
