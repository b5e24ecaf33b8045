// Dawn in Node leaves the cores to a software adapter while it waits, and setImmediate stays what it is.
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { describeAdapter } from '../src/engine/device.ts';
import { testDevice } from './device.ts';

/** Adds to one number again and again, by one invocation: a dispatch that takes milliseconds on any adapter. */
const SLOW = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(1)
fn main() {
  for (var i = 0u; i < 4000000u; i++) { x[0] += f32(i & 3u); }
}`;

test('while a dispatch is awaited, the event loop turns no more often than there are naps', async ({ skip }) => {
  const device = await testDevice();
  if (!describeAdapter(device).isFallback) skip('hardware computes on its own');
  const module = device.createShaderModule({ code: SLOW });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  const entries = [{ binding: 0, resource: { buffer } }];
  const bindGroup = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(1);
  pass.end();

  let turns = 0;
  let isDone = false;
  const count = () => {
    turns++;
    if (!isDone) setImmediate(count);
  };
  const begin = performance.now();
  device.queue.submit([encoder.finish()]);
  const done = device.queue.onSubmittedWorkDone();
  setImmediate(count);
  await done;
  const ms = performance.now() - begin;
  isDone = true;
  buffer.destroy();
  expect(ms).toBeGreaterThan(2);
  expect(turns).toBeLessThanOrEqual(ms / 0.1 + 2); // a nap of 0.1 ms in each
});

test('setImmediate still passes arguments, can be cleared and is a promise by promisify', async () => {
  await testDevice();
  expect(await new Promise((resolve) => setImmediate((...args) => resolve(args), 1, 'two'))).toEqual([1, 'two']);
  expect(await new Promise((resolve) => setImmediate(resolve, 'native'))).toBe('native');
  expect(await promisify(setImmediate)('value')).toBe('value');
  let ran = false;
  clearImmediate(
    setImmediate(() => {
      ran = true;
    }),
  );
  await promisify(setImmediate)();
  expect(ran).toBe(false);
});
