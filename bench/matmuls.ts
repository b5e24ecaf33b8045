// The matrix products of one run without anything else, as the engine dispatches them, and the same kernels without a prescribed order
// of sums: what that order costs.
import type * as Hyaline from '../src/index.ts';
import { elapsedMs } from './interleave.ts';
import { bindGroupEntries, type Dispatched, recordDispatches } from './recorder.ts';

/** How often the products of the run are dispatched for one sample. */
const PASSES = 3;

/** How a kernel's text is changed before it is compiled. */
export type Rewrite = (source: string) => string;

/**
 * The same tile, with each term added to the tile's one accumulator: no segments, no blocks. Shared sums (few rows, on GPUs) stay as they
 * are: their parts have to meet, whatever the order.
 * @throws Error where there is nothing of the kind in the text
 */
export const WITHOUT_ORDER: Rewrite = (source) => {
  if (source.includes('var<workgroup> sums')) return source;
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

/** Times the products of a run, again and again, with the run's own buffers. */
export class Matmuls {
  private readonly device: GPUDevice;
  private readonly dispatches: readonly Dispatched[];

  private constructor(device: GPUDevice, dispatches: readonly Dispatched[]) {
    this.device = device;
    this.dispatches = dispatches;
  }

  /** @param rewrite without it, the run's own pipelines */
  static async of(
    model: Hyaline.Model,
    { tokens, numerics }: { tokens: readonly number[]; numerics: Hyaline.Numerics },
    rewrite?: Rewrite,
  ): Promise<Matmuls> {
    const { device } = model;
    const dispatches = await recordDispatches(device, () => model.run(tokens, { numerics }));
    const steps = model.plan({ pos: tokens.length, numerics }).steps.filter((step) => step.kind === 'dispatch');
    if (steps.length !== dispatches.length || steps.some(({ label }, i) => label !== dispatches[i].label)) {
      throw new Error(`bench: a run dispatches something else than its plan says.`);
    }
    const products = dispatches.flatMap((dispatch, i) => {
      const { source, product } = steps[i];
      return product === undefined ? [] : [{ dispatch, source }];
    });
    if (!rewrite) {
      return new Matmuls(
        device,
        products.map(({ dispatch }) => dispatch),
      );
    }
    // Layers share their kernels.
    const pipelines = new Map<string, Promise<GPUComputePipeline>>();
    for (const { source } of products) {
      if (!pipelines.has(source)) pipelines.set(source, compile(device, rewrite(source)));
    }
    const rewritten = products.map(async ({ dispatch, source }) => {
      const pipeline = (await pipelines.get(source)) ?? dispatch.pipeline;
      const entries = bindGroupEntries(dispatch.group);
      const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
      return { pipeline, group, workgroups: dispatch.workgroups };
    });
    return new Matmuls(device, await Promise.all(rewritten));
  }

  /** Milliseconds for the products of one run. */
  async time(): Promise<number> {
    const { device } = this;
    const elapsed = await elapsedMs(async () => {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < PASSES; i++) {
        for (const { pipeline, group, workgroups } of this.dispatches) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(...workgroups);
        }
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    });
    return elapsed / PASSES;
  }
}

function compile(device: GPUDevice, code: string): Promise<GPUComputePipeline> {
  return device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }) },
  });
}
