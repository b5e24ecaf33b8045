// A matrix product of 512³ as the engine makes it, against the best register tile of our own without a prescribed order of sums: each term
// is added to one accumulator, and of several tiles the fastest counts.
import type * as Hyaline from '../src/index.ts';
import { gamma } from '../src/kernels/kernel.ts';
import type { Case } from './interleave.ts';
import { quartiles, ratioOfTurns } from './quartiles.ts';
import { type Dispatched, recordDispatches } from './recorder.ts';
import { replay } from './replay.ts';
import type { Ratio, Timing } from './result.ts';
import { drawnModel, SQUARE_512 } from './shapes.ts';

type Engine = typeof Hyaline;

const SIZE = 512;
const PRODUCT = 'matrix product of 512³';
const FREE_PRODUCT = 'matrix product of 512³, best tile without an order';
export const FREE_RATIO = 'speed against the best tile without an order, matrix product of 512³';

/** Rows and vec4 columns of an invocation, and invocations of a workgroup along columns and rows. */
interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly workgroup: readonly [number, number];
}

const TILES: readonly Tile[] = [
  { rows: 4, columns: 2, workgroup: [8, 8] },
  { rows: 8, columns: 1, workgroup: [16, 4] },
  { rows: 8, columns: 2, workgroup: [8, 4] },
  { rows: 8, columns: 2, workgroup: [8, 8] },
  { rows: 8, columns: 4, workgroup: [8, 4] },
  { rows: 16, columns: 2, workgroup: [8, 4] },
];

const LANES = ['x', 'y', 'z', 'w'];
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** C = A·B, all of them [512, 512]; accumulators are named, because software adapters spill arrays of them. */
function tileSource({ rows, columns, workgroup }: Tile): string {
  const each = (text: (row: number, column: number) => string) =>
    range(rows)
      .flatMap((row) => range(columns).map((column) => text(row, column)))
      .join('\n');
  const quarter = SIZE / 4;
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read> A: array<vec4f>;
@group(0) @binding(1) var<storage, read> B: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> C: array<vec4f>;
@compute @workgroup_size(${workgroup.join(', ')}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x * ${columns}u;
  let row = id.y * ${rows}u;
${each((r, c) => `  var t${r}_${c} = vec4f();`)}
  for (var k = 0u; k < ${quarter}u; k++) {
${range(rows)
  .map((r) => `    let a${r} = A[(row + ${r}u) * ${quarter}u + k];`)
  .join('\n')}
${LANES.map(
  (lane, k) => `${range(columns)
    .map((c) => `    let b${k}_${c} = B[(4u * k + ${k}u) * ${quarter}u + column + ${c}u];`)
    .join('\n')}
${each((r, c) => `    t${r}_${c} = fma(vec4f(a${r}.${lane}), b${k}_${c}, t${r}_${c});`)}`,
).join('\n')}
  }
${each((r, c) => `  C[(row + ${r}u) * ${quarter}u + column + ${c}u] = t${r}_${c};`)}
}`;
}

export interface FreeMatmulCases {
  readonly cases: readonly Case[];
  destroy(): void;
}

/**
 * Both products, each as it is timed: repeated within a pass until the pass is long enough.
 * @throws Error if one of our tiles computes something else than a product
 */
export async function freeMatmulCases(engine: Engine, device: GPUDevice): Promise<FreeMatmulCases> {
  const model = await engine.Model.load(drawnModel(SQUARE_512), { device });
  const tokens = Array.from({ length: SIZE }, (_, i) => i % SQUARE_512.dVocab);
  const dispatches = await recordDispatches(device, () => model.run(tokens));
  const ours = dispatches.find(({ bound }) => bound.some(({ label }) => label.endsWith('mlp.W_out')));
  if (!ours) throw new Error('bench: no dispatch of a run is bound to mlp.W_out.');
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const noise = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i * i));
  const usage = STORAGE | COPY_DST | COPY_SRC;
  const buffers = range(3).map(() => device.createBuffer({ size: noise.byteLength, usage }));
  for (const buffer of buffers) device.queue.writeBuffer(buffer, 0, noise);
  const passMs = 20;
  let best: { dispatch: Dispatched; ms: number } | undefined;
  for (const tile of TILES) {
    const dispatch = await prepare(device, tile, buffers);
    const { wall } = await replay(device, dispatch, { passMs, passes: 3 });
    checkProduct(noise, await readBack(device, buffers[2]), tile);
    const ms = quartiles(wall).median;
    if (!best || ms < best.ms) best = { dispatch, ms };
  }
  const time = (dispatch: Dispatched) => async () => {
    const { wall, gpu } = await replay(device, dispatch, { passMs, passes: 1 });
    return (gpu ?? wall)[0];
  };
  const free = best?.dispatch ?? ours;
  return {
    cases: [
      { name: PRODUCT, engine: 'hyaline', tokens: SIZE, time: time(ours) },
      { name: FREE_PRODUCT, engine: 'hyaline', tokens: SIZE, time: time(free) },
    ],
    destroy() {
      model.destroy();
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

async function readBack(device: GPUDevice, buffer: GPUBuffer): Promise<Float32Array> {
  const staging = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const data = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return data;
}

/** The first and the last row against float64: in any order, each of 512 terms passes through at most 513 roundings. */
function checkProduct(factor: Float32Array, got: Float32Array, tile: Tile): void {
  for (const row of [0, SIZE - 1]) {
    for (let column = 0; column < SIZE; column++) {
      const terms = range(SIZE).map((k) => factor[row * SIZE + k] * factor[k * SIZE + column]);
      const want = terms.reduce((sum, term) => sum + term, 0);
      const bound = gamma(SIZE + 1) * terms.reduce((sum, term) => sum + Math.abs(term), 0);
      const value = got[row * SIZE + column];
      if (Math.abs(value - want) <= bound) continue;
      throw new Error(`bench: the tile ${JSON.stringify(tile)} computes ${value} where ${want} is right.`);
    }
  }
}

async function prepare(device: GPUDevice, tile: Tile, buffers: readonly GPUBuffer[]): Promise<Dispatched> {
  const module = device.createShaderModule({ code: tileSource(tile) });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const { rows, columns, workgroup } = tile;
  return { pipeline, group, workgroups: [SIZE / (4 * columns * workgroup[0]), SIZE / (rows * workgroup[1]), 1] };
}

/** Our speed as a share of the other's, in turns of the same rounds. */
export function freeMatmulRatios(timings: readonly Timing[]): Ratio[] {
  return [ratioOfTurns(timings, { name: FREE_RATIO, tokens: SIZE, below: PRODUCT, above: FREE_PRODUCT })];
}
