// The scalar functions on a device, one by one, beside their emulations in float32 arithmetic. For tests and for the sweep.
import { divide } from '../../src/kernels/functions/divide.ts';
import { errorFunction } from '../../src/kernels/functions/error_function.ts';
import { exponential } from '../../src/kernels/functions/exponential.ts';
import { hyperbolicTangent } from '../../src/kernels/functions/hyperbolic_tangent.ts';
import { normalCumulative } from '../../src/kernels/functions/normal_cumulative.ts';
import { reciprocal } from '../../src/kernels/functions/reciprocal.ts';
import { reciprocalSquareRoot } from '../../src/kernels/functions/reciprocal_square_root.ts';
import { sigmoid } from '../../src/kernels/functions/sigmoid.ts';
import { squareRoot } from '../../src/kernels/functions/square_root.ts';
import { RUN_STRUCT } from '../../src/kernels/kernel.ts';
import { type Arithmetic, functionsSource, type ScalarFunction } from '../../src/kernels/prelude.ts';
import * as emulation from '../../src/numerics/emulation/functions.ts';

/** Each with its emulation in float32 arithmetic. */
export const EMULATIONS: ReadonlyMap<ScalarFunction, (...args: number[]) => number> = new Map<
  ScalarFunction,
  (...args: number[]) => number
>([
  [reciprocal, emulation.reciprocal],
  [divide, emulation.divide],
  [reciprocalSquareRoot, emulation.reciprocalSquareRoot],
  [squareRoot, emulation.squareRoot],
  [exponential, emulation.exponential],
  [sigmoid, emulation.sigmoid],
  [hyperbolicTangent, emulation.hyperbolicTangent],
  [errorFunction, emulation.errorFunction],
  [normalCumulative, emulation.normalCumulative],
]);
/** What results hold before they are written. */
const GARBAGE = 12345;

/** The function at each pair of arguments (the second counts for functions of two), [count]. Frees what it makes. */
export async function evaluatePairs(
  device: GPUDevice,
  f: ScalarFunction,
  pairs: Float32Array<ArrayBuffer>,
  arithmetic: Arithmetic,
): Promise<Float32Array> {
  const count = pairs.length / 2;
  const size = 4 * count;
  const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const input = device.createBuffer({ size: 2 * size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  const output = device.createBuffer({ size, usage: storage });
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(input, 0, pairs);
  device.queue.writeBuffer(output, 0, new Float32Array(count).fill(GARBAGE));
  const call = `${f.name}(${['pairs[i].x', 'pairs[i].y'].slice(0, f.domain.length).join(', ')})`;
  const code = `${RUN_STRUCT}
${functionsSource([f], arithmetic)}
@group(0) @binding(1) var<storage, read> pairs: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> results: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i < arrayLength(&results) + run.zero) { results[i] = ${call}; }
}`;
  const module = device.createShaderModule({ label: f.name, code });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const uniforms = device.createBuffer({ size: 32, usage: GPUBufferUsage.UNIFORM });
  const entries = [uniforms, input, output].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(Math.ceil(count / 64));
  pass.end();
  encoder.copyBufferToBuffer(output, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const results = new Float32Array(staging.getMappedRange().slice(0));
  for (const buffer of [uniforms, input, output, staging]) buffer.destroy();
  return results;
}
