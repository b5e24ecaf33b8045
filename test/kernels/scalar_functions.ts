// The scalar functions on a device, one by one, beside their emulations in float32 arithmetic. For tests and for the sweep.
import { divide, divideTruth } from '../../src/kernels/functions/divide.ts';
import { errorFunction, errorFunctionTruth } from '../../src/kernels/functions/error_function.ts';
import { exponential, exponentialTruth } from '../../src/kernels/functions/exponential.ts';
import { hyperbolicTangent, hyperbolicTangentTruth } from '../../src/kernels/functions/hyperbolic_tangent.ts';
import { normalCumulative, normalCumulativeTruth } from '../../src/kernels/functions/normal_cumulative.ts';
import { reciprocal, reciprocalTruth } from '../../src/kernels/functions/reciprocal.ts';
import { reciprocalSquareRoot, reciprocalSquareRootTruth } from '../../src/kernels/functions/reciprocal_square_root.ts';
import { sigmoid, sigmoidTruth } from '../../src/kernels/functions/sigmoid.ts';
import { squareRoot, squareRootTruth } from '../../src/kernels/functions/square_root.ts';
import { RUN_STRUCT } from '../../src/kernels/kernel.ts';
import {
  type Arithmetic,
  type FunctionTruth,
  functionsSource,
  type ScalarFunction,
} from '../../src/kernels/prelude.ts';
import * as emulation from '../../src/numerics/emulation/functions.ts';

/** A function, what it is held to, and its emulation in float32 arithmetic. */
export interface CheckedFunction extends ScalarFunction, FunctionTruth {
  readonly emulate: (...args: number[]) => number;
}

export const CHECKED_FUNCTIONS: readonly CheckedFunction[] = [
  { ...reciprocal, ...reciprocalTruth, emulate: emulation.reciprocal },
  { ...divide, ...divideTruth, emulate: emulation.divide },
  { ...reciprocalSquareRoot, ...reciprocalSquareRootTruth, emulate: emulation.reciprocalSquareRoot },
  { ...squareRoot, ...squareRootTruth, emulate: emulation.squareRoot },
  { ...exponential, ...exponentialTruth, emulate: emulation.exponential },
  { ...sigmoid, ...sigmoidTruth, emulate: emulation.sigmoid },
  { ...hyperbolicTangent, ...hyperbolicTangentTruth, emulate: emulation.hyperbolicTangent },
  { ...errorFunction, ...errorFunctionTruth, emulate: emulation.errorFunction },
  { ...normalCumulative, ...normalCumulativeTruth, emulate: emulation.normalCumulative },
];
/** What results hold before they are written. */
const GARBAGE = 12345;

/** The function at each pair of arguments (the second counts for functions of two), [count]. Frees what it makes. */
export async function evaluatePairs(
  device: GPUDevice,
  f: CheckedFunction,
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
