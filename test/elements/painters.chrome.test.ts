// Both painters give the same pixels: from a buffer by WebGPU, and from the same numbers on the CPU. The rules themselves are worked out by
// hand in `painters.test.ts`.
import { expect, test } from 'vitest';
import { GpuPainter } from '../../src/elements/gpu_painter.ts';
import { cellsOf, type Picture, type Rectangle, wholeWindow } from '../../src/elements/picture.ts';
import { PixelPainter } from '../../src/elements/pixel_painter.ts';
import { testDevice, withErrorScopes } from '../device.ts';
import { countGpuCalls } from '../gpu_calls.ts';
import { normal, seeded } from '../random.ts';
import { bufferOf, firstPixelDifference } from './hand_made.ts';

const MASKED = -3.4028234663852886e38;
const AXES = ['batch', 'head_index', 'query_pos', 'key_pos'];
const SHAPE = [1, 3, 13, 17];

function canvasOf(width: number, height: number): HTMLCanvasElement {
  return Object.assign(document.createElement('canvas'), { width, height });
}

function numbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  const random = seeded(seed);
  return Float32Array.from({ length: count }, () => normal(random));
}

/** Numbers with everything that is no ordinary number among them. */
function hardNumbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  const hard = [Number.NaN, MASKED, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 2 ** -149, -MASKED];
  return numbers(count, seed).map((x, i) => (i % 5 === 0 ? hard[(i / 5) % hard.length] : x));
}

const cells = cellsOf(
  { shape: SHAPE, axes: AXES },
  { rows: 'query_pos', columns: 'key_pos', index: { head_index: 1 } },
);
const transposed = cellsOf(
  { shape: SHAPE, axes: AXES },
  { rows: 'key_pos', columns: 'head_index', index: { query_pos: 5 } },
);
const place: Rectangle = { x: 0, y: 0, width: 90, height: 61 };
const colouring = { map: 'diverging', low: -2, high: 2 } as const;
const plain: Picture = { cells, window: wholeWindow(cells), colouring, place };
const COUNT = SHAPE.reduce((a, b) => a * b);

const CASES: Readonly<Record<string, readonly [Float32Array<ArrayBuffer>, Partial<Picture>][]>> = {
  plain: [[numbers(COUNT, 1), {}]],
  'a range that is no power of two': [[numbers(COUNT, 2), { colouring: { map: 'viridis', low: -0.3, high: 1.7 } }]],
  'a window between cells': [[numbers(COUNT, 3), { window: { row: 2.3, column: -1.7, rows: 4.55, columns: 9.1 } }]],
  'transposed axes': [[numbers(COUNT, 4), { cells: transposed, window: wholeWindow(transposed) }]],
  'many cells per pixel': [[numbers(COUNT, 5), { place: { x: 3, y: 2, width: 5, height: 3 } }]],
  'no ordinary numbers': [[hardNumbers(COUNT, 6), {}]],
  'many cells per pixel, no ordinary numbers': [
    [hardNumbers(COUNT, 7), { place: { x: 0, y: 0, width: 8, height: 6 } }],
  ],
  'several pictures': [
    [numbers(COUNT, 8), { place: { x: 0, y: 0, width: 40, height: 30 } }],
    [
      hardNumbers(COUNT, 9),
      { place: { x: 45, y: 5, width: 40, height: 50 }, colouring: { ...colouring, map: 'viridis' } },
    ],
    [
      numbers(COUNT, 8),
      { place: { x: 1, y: 31, width: 3, height: 30 }, cells: transposed, window: wholeWindow(transposed) },
    ],
  ],
};

test.each(Object.keys(CASES))('%s: the pixels of both painters are the same', async (name) => {
  const device = await testDevice();
  const inputs = CASES[name].map(([data, change]) => ({ data, picture: { ...plain, ...change } }));
  const onCpu = new PixelPainter(canvasOf(90, 61));
  onCpu.paint(inputs);
  const want = onCpu.pixels();
  expect(new Set(new Uint32Array(want.data.buffer)).size).toBeGreaterThan(5);
  await withErrorScopes(device, async () => {
    const pictures = inputs.map(({ data, picture }) => ({ buffer: bufferOf(device, data), picture }));
    const canvas = canvasOf(90, 61);
    const painter = new GpuPainter(device, canvas, { present: 'pixels' });
    await painter.paint(pictures);
    expect(firstPixelDifference(await painter.pixels(), want)).toBe(null);
    const shown = canvas.getContext('2d')?.getImageData(0, 0, 90, 61);
    expect(shown && firstPixelDifference(shown, want)).toBe(null);
    painter.destroy();
    for (const { buffer } of pictures) buffer.destroy();
  });
});

test('painting again creates nothing, and the last of several calls is what is shown', async () => {
  const device = await testDevice();
  const [first, last] = [numbers(COUNT, 10), numbers(COUNT, 11)];
  const buffers = [first, last].map((data) => bufferOf(device, data));
  const canvas = canvasOf(90, 61);
  const painter = new GpuPainter(device, canvas, { present: 'pixels' });
  for (const buffer of buffers) await painter.paint([{ buffer, picture: plain }]);
  let textures = 0;
  const { createTexture } = device;
  device.createTexture = (descriptor) => {
    textures++;
    return createTexture.call(device, descriptor);
  };
  const calls = await countGpuCalls(device, async () => {
    const paintings = Array.from({ length: 50 }, (_, i) => painter.paint([{ buffer: buffers[i % 2], picture: plain }]));
    await Promise.all(paintings);
  });
  device.createTexture = createTexture;
  expect([calls.created, textures]).toEqual([0, 0]);
  const onCpu = new PixelPainter(canvasOf(90, 61));
  onCpu.paint([{ data: last, picture: plain }]);
  const shown = canvas.getContext('2d')?.getImageData(0, 0, 90, 61);
  expect(shown && firstPixelDifference(shown, onCpu.pixels())).toBe(null);
  painter.destroy();
  for (const buffer of buffers) buffer.destroy();
});

test('a painter destroyed while it paints ends quietly; painting afterwards is an error', async () => {
  const device = await testDevice();
  const buffer = bufferOf(device, numbers(COUNT, 12));
  const painter = new GpuPainter(device, canvasOf(90, 61), { present: 'pixels' });
  const painting = painter.paint([{ buffer, picture: plain }]);
  await Promise.resolve();
  painter.destroy();
  await painting;
  await expect(painter.paint([])).rejects.toThrow('heatmap: this painter has been destroyed.');
  buffer.destroy();
});

test('a picture larger than its canvas or its buffer is refused before the GPU is called', async () => {
  const device = await testDevice();
  const buffer = bufferOf(device, numbers(8, 13));
  const painter = new GpuPainter(device, canvasOf(90, 60), { present: 'pixels' });
  await expect(painter.paint([{ buffer, picture: plain }])).rejects.toThrow('inside a canvas of 90 × 60, got 90 × 61');
  const smaller = { ...plain, place: { ...place, height: 60 } };
  await expect(painter.paint([{ buffer, picture: smaller }])).rejects.toThrow(
    'heatmap: expected at least 442 numbers for these cells, got 8.',
  );
  painter.destroy();
  buffer.destroy();
});
