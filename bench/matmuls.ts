// The matrix products of one run without anything else, as the engine's plan has them, and the same kernels without a prescribed order
// of sums: what that order costs. Numbers are random: no product's time depends on them.
import type * as Hyaline from '../src/index.ts';
import { elapsedMs } from './interleave.ts';

type Dispatch = Extract<Hyaline.Step, { kind: 'dispatch' }>;

/** Kernels that are made of `src/kernels/register_tile.ts`. */
const PRODUCTS = ['matmul', 'unembed', 'output_projection', 'attention_scores', 'attention_values', 'head_projection'];

/** How often the products of the run are dispatched for one sample. */
const PASSES = 3;

/** How a kernel's text is changed before it is compiled. */
export type Rewrite = (source: string) => string;

export const AS_IT_IS: Rewrite = (source) => source;

/**
 * The same tile, with each term added to the tile's one accumulator: no segments, no blocks.
 * @throws Error where there is nothing of the kind in the text
 */
export const WITHOUT_ORDER: Rewrite = (source) => {
  const rewritten = source
    .replace(/var s_(\d+_\d+) = product4\(([^()]*), ([^()]*)\);/g, 'total_$1 = mul_add4($2, $3, total_$1);')
    .replace(/s_(\d+_\d+) = mul_add4\(([^()]*), ([^()]*), s_\1\);/g, 'total_$1 = mul_add4($2, $3, total_$1);')
    .replace(/(var )?block_\d+_\d+ = [^;]*;/g, '')
    .replace(/total_(\d+_\d+) = plus4\(total_\1, block_\1\);/g, '');
  if (rewritten === source || /\b(s|block)_\d+_\d+/.test(rewritten)) {
    throw new Error('bench: a kernel has another text than the one whose order of sums can be taken out.');
  }
  return rewritten;
};

/** Times the products of a plan, again and again. */
export class Matmuls {
  private readonly device: GPUDevice;
  private readonly buffers: readonly GPUBuffer[];
  private readonly dispatches: readonly { pipeline: GPUComputePipeline; group: GPUBindGroup; step: Dispatch }[];

  private constructor(
    device: GPUDevice,
    buffers: readonly GPUBuffer[],
    dispatches: readonly { pipeline: GPUComputePipeline; group: GPUBindGroup; step: Dispatch }[],
  ) {
    this.device = device;
    this.buffers = buffers;
    this.dispatches = dispatches;
  }

  static async of(model: Hyaline.Model, plan: Hyaline.Plan, rewrite: Rewrite): Promise<Matmuls> {
    const { device } = model;
    const steps = plan.steps.filter((step): step is Dispatch => step.kind === 'dispatch');
    const products = steps.filter(({ kernel }) => PRODUCTS.includes(kernel));
    const { STORAGE, UNIFORM, COPY_DST } = GPUBufferUsage;
    const uniforms = device.createBuffer({ size: 32, usage: UNIFORM | COPY_DST });
    device.queue.writeBuffer(uniforms, 0, Uint32Array.of(plan.batch, plan.pos, plan.keys, plan.keys));
    const largest = Math.max(...plan.slots, 4 * model.config.dVocabOut * model.config.dModel);
    // One buffer for all that is read and one for all that is written: they are large enough for each.
    const noise = Float32Array.from({ length: largest / 4 }, (_, i) => Math.sin(i * i));
    const [read, written] = [0, 1].map(() => device.createBuffer({ size: largest, usage: STORAGE | COPY_DST }));
    device.queue.writeBuffer(read, 0, noise);
    const firstPos = device.createBuffer({ size: 4 * plan.batch, usage: STORAGE });
    // Layers share their kernels.
    const pipelines = new Map<string, Promise<GPUComputePipeline>>();
    const pipelineOf = (code: string) => {
      const compile = () => {
        return device.createComputePipelineAsync({
          layout: 'auto',
          compute: { module: device.createShaderModule({ code }) },
        });
      };
      const pipeline = pipelines.get(code) ?? compile();
      pipelines.set(code, pipeline);
      return pipeline;
    };
    const dispatches = await Promise.all(
      products.map(async (step) => {
        const pipeline = await pipelineOf(rewrite(step.source));
        const bound = step.resources.map(({ kind }, i) => {
          if (kind === 'first_pos') return firstPos;
          return step.access[i] === 'storage' ? written : read;
        });
        const group = device.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: [uniforms, ...bound].map((buffer, binding) => ({ binding, resource: { buffer } })),
        });
        return { pipeline, group, step };
      }),
    );
    return new Matmuls(device, [uniforms, read, written, firstPos], dispatches);
  }

  /** Milliseconds for the products of one run. */
  async time(): Promise<number> {
    const { device } = this;
    const elapsed = await elapsedMs(async () => {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < PASSES; i++) {
        for (const { pipeline, group, step } of this.dispatches) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(...step.workgroups);
        }
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    });
    return elapsed / PASSES;
  }

  destroy(): void {
    for (const buffer of this.buffers) buffer.destroy();
  }
}
