// Our kernels on the tasks that other engines' operations get, outside of any plan: buffers and pipeline are there before, the result
// is copied to the CPU. For the page alone: it reaches into the sources.
import { bind } from '../src/engine/frame.ts';
import { PipelineCache } from '../src/engine/pipelines.ts';
import { attentionPattern } from '../src/kernels/attention_pattern.ts';
import { type Kernel, kernelSource, presentBindings, runUniforms, type Variant } from '../src/kernels/kernel.ts';
import { matmul } from '../src/kernels/matmul.ts';
import { norm } from '../src/kernels/norm.ts';
import type { Engine, Prepared } from './peers.ts';
import type { OperationTask } from './peers_tasks.ts';

type Data = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

/** What a task is in terms of a kernel; `out` is its result, `again` the input that the next of several takes it as. */
interface Use {
  readonly kernel: Kernel;
  readonly variant: Variant;
  readonly data: Data;
  readonly again: string;
}

const vec4 = (length: number) => Math.ceil(length / 4);

function useOf(task: OperationTask): Use {
  const use = (kernel: Kernel, sizes: Record<string, number>, data: Data, options = {}): Use => {
    const dims = { batch: 1, keys: sizes.pos, key_stride: sizes.pos, ...sizes };
    const has = (binding: string) => binding === 'out' || binding in data;
    return { kernel, variant: { dims, options, arithmetic: 'fast', has }, data, again: Object.keys(data)[0] };
  };
  if (task.kind === 'product') {
    const { dIn, dOut, x, w, tokens } = task;
    const dims = { pos: tokens, d_in: dIn, d_in_vec4: vec4(dIn), d_out: dOut, d_out_vec4: vec4(dOut) };
    return use(matmul, dims, { x, W: w });
  }
  if (task.kind === 'softmax') {
    const { tokens, columns, x } = task;
    const dims = { pos: tokens, n_heads: 1, keys: columns, key_stride: columns };
    return use(attentionPattern, dims, { scores: x });
  }
  const { tokens, columns, x, w, b, eps } = task;
  return use(norm, { pos: tokens, d_model: columns, one: 1 }, { x, w, b }, { centred: true, eps });
}

/** Our kernels on `device`. */
export function ownKernels(device: GPUDevice): Engine {
  const prepare = (task: OperationTask) => prepareKernel(device, task.count, useOf(task));
  return { name: 'hyaline', version: null, prepare: { product: prepare, softmax: prepare, norm: prepare } };
}

async function prepareKernel(
  device: GPUDevice,
  count: number,
  { kernel, variant, data, again }: Use,
): Promise<Prepared> {
  const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const buffers: GPUBuffer[] = [];
  const create = (size: number, usage: number) => {
    const buffer = device.createBuffer({ size, usage });
    buffers.push(buffer);
    return buffer;
  };
  const { dims, options } = variant;
  const { batch, pos, keys, key_stride } = dims;
  const uniforms = create(32, UNIFORM | COPY_DST);
  device.queue.writeBuffer(uniforms, 0, runUniforms({ batch, pos, keys, key_stride, outputs: pos }));
  const inputs = new Map<string, GPUBuffer>();
  for (const [name, values] of Object.entries(data)) {
    const buffer = create(values.byteLength, STORAGE | COPY_DST);
    device.queue.writeBuffer(buffer, 0, values);
    inputs.set(name, buffer);
  }
  const bindings = presentBindings(kernel, variant);
  const out = bindings.find(({ name }) => name === 'out')!;
  const size = 4 * out.shape.reduce((product, axis) => product * dims[axis], 1);
  const [first, second] = [0, 1].map(() => create(size, STORAGE | COPY_SRC));
  const staging = create(size, COPY_DST | MAP_READ);
  const pipeline = await PipelineCache.of(device).get({
    label: kernel.name,
    source: kernelSource(kernel, variant),
    access: bindings.map(({ role }) => (role === 'output' ? 'storage' : 'read-only-storage')),
  });
  const group = (from: GPUBuffer, to: GPUBuffer) => {
    const bound = bindings.map(({ name }) => (name === 'out' ? to : name === again ? from : inputs.get(name)));
    return bind(device, kernel.name, pipeline, [uniforms, ...bound]);
  };
  const groups = [group(inputs.get(again)!, first), group(first, second), group(second, first)];
  const run = async () => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline.pipeline);
    for (let i = 0; i < count; i++) {
      pass.setBindGroup(0, groups[i === 0 ? 0 : 2 - (i % 2)]);
      pass.dispatchWorkgroups(...kernel.workgroups(dims, options));
    }
    pass.end();
    encoder.copyBufferToBuffer(count % 2 === 1 ? first : second, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const result = new Float32Array(staging.getMappedRange().slice(0));
    staging.unmap();
    return result;
  };
  return {
    run,
    destroy() {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}
