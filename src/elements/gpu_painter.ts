// Draws pictures by WebGPU straight from the buffers of hooks: no value is copied to the CPU. One triangle per picture; a pixel looks up the
// cells that it shows and takes the colour of one. `pixel_painter.ts` draws the same from numbers on the CPU.
//
// Everything is drawn into a texture of the painter's own. How that gets onto the page depends on the adapter:
// - `canvas`: it is copied into the canvas's WebGPU texture. For hardware.
// - `pixels`: its colours, not the values, are copied to the CPU and put on a 2D canvas. For software adapters: with
//   `--use-webgpu-adapter=swiftshader` alone, a WebGPU canvas makes Chrome's GPU process crash, and the device is lost with it
//   ("A valid external Instance reference no longer exists", https://github.com/visgl/luma.gl/issues/2874; Chromium 150). Only with
//   `--enable-features=Vulkan --use-vulkan=swiftshader --use-angle=swiftshader` as well does it work. Delete when Chrome runs without them.
import { describeAdapter } from '../index.ts';
import { allColours, checkPicture, colourScale, MASKED_BITS, NAN_ENTRY, pixelSpans } from './painting.ts';
import type { Picture } from './picture.ts';

/** A picture and the float32 numbers of its value. The buffer needs the usage STORAGE. */
export interface GpuPicture {
  readonly buffer: GPUBuffer;
  readonly picture: Picture;
}

export interface GpuPainterOptions {
  /** How the picture gets onto the page. Default: `pixels` on a software adapter, else `canvas`. */
  readonly present?: 'canvas' | 'pixels';
}

/** Words of the uniform `Picture`. */
const PICTURE_WORDS = 16;

const SHADER = /* wgsl */ `
struct Picture {
  x: u32,             // of its first pixel
  y: u32,
  columns: u32,       // where the spans of its columns and rows of pixels begin
  rows: u32,
  offset: u32,        // of the first cell, in elements
  row_stride: u32,
  column_stride: u32,
  table: u32,         // where its map begins
  low: f32,
  high: f32,
  unit: f32,
  low_units: f32,
  quiet: f32,
  steps: f32,
}

@group(0) @binding(0) var<uniform> picture: Picture;
@group(0) @binding(1) var<storage, read> spans: array<vec2u>;   // first cell, and the one after the last
@group(0) @binding(2) var<storage, read> colours: array<u32>;   // [513] r, g, b, a
@group(1) @binding(0) var<storage, read> values: array<u32>;    // bits of float32

const MASKED = ${MASKED_BITS}u;
const INFINITY = 0x7f800000u;
const NAN_ENTRY = ${NAN_ENTRY}u;

@vertex
fn cover(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
  return vec4f(f32(i % 2u) * 4.0 - 1.0, f32(i / 2u) * 4.0 - 1.0, 0.0, 1.0);
}

// How far a number is along the map. WGSL may assume that nothing is infinite, so bits decide.
fn along(bits: u32) -> f32 {
  let is_infinite = (bits & 0x7fffffffu) == INFINITY;
  let end = select(picture.high, picture.low, bits > INFINITY);
  let x = select(bitcast<f32>(select(bits, 0u, is_infinite)), end, is_infinite);
  return clamp(x, picture.low, picture.high) * picture.unit - picture.low_units;
}

@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
  let pixel = vec2u(position.xy) - vec2u(picture.x, picture.y);
  let columns = spans[picture.columns + pixel.x];
  let rows = spans[picture.rows + pixel.y];
  var shown = 0.0;
  var farthest = -1.0;
  for (var row = rows.x; row < rows.y; row++) {
    for (var column = columns.x; column < columns.y; column++) {
      let bits = values[picture.offset + row * picture.row_stride + column * picture.column_stride];
      if ((bits & 0x7fffffffu) > INFINITY) {
        return unpack4x8unorm(colours[NAN_ENTRY]);
      }
      if (bits != MASKED) {
        let t = along(bits);
        let distance = abs(t - picture.quiet);
        if (distance > farthest) {
          shown = t;
          farthest = distance;
        }
      }
    }
  }
  if (farthest < 0.0) {
    return vec4f();
  }
  return unpack4x8unorm(colours[picture.table + min(u32(shown * picture.steps), 255u)]);
}
`;

/** What all painters of a device share. */
interface Shared {
  readonly pipeline: GPURenderPipeline;
  readonly pictureLayout: GPUBindGroupLayout;
  readonly valuesLayout: GPUBindGroupLayout;
  readonly colours: GPUBuffer;
  /** Bind groups of values. */
  readonly values: WeakMap<GPUBuffer, GPUBindGroup>;
}

const sharedOfDevice = new WeakMap<GPUDevice, Shared>();

function sharedBy(device: GPUDevice): Shared {
  const shared = sharedOfDevice.get(device) ?? createShared(device);
  sharedOfDevice.set(device, shared);
  return shared;
}

function createShared(device: GPUDevice): Shared {
  const label = 'heatmap';
  const visibility = GPUShaderStage.FRAGMENT;
  const readOnly = (binding: number) => ({ binding, visibility, buffer: { type: 'read-only-storage' as const } });
  const uniform = { binding: 0, visibility, buffer: { type: 'uniform' as const, hasDynamicOffset: true } };
  const pictureLayout = device.createBindGroupLayout({ label, entries: [uniform, readOnly(1), readOnly(2)] });
  const valuesLayout = device.createBindGroupLayout({ label, entries: [readOnly(0)] });
  const module = device.createShaderModule({ label, code: SHADER });
  const pipeline = device.createRenderPipeline({
    label,
    layout: device.createPipelineLayout({ label, bindGroupLayouts: [pictureLayout, valuesLayout] }),
    vertex: { module, entryPoint: 'cover' },
    fragment: { module, entryPoint: 'paint', targets: [{ format: 'rgba8unorm' }] },
  });
  const table = allColours();
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const colours = device.createBuffer({ label: 'heatmap colours', size: table.byteLength, usage });
  device.queue.writeBuffer(colours, 0, table);
  return { pipeline, pictureLayout, valuesLayout, colours, values: new WeakMap() };
}

/** Words that are written on the CPU and read by the shader; grows, never shrinks. */
class Words {
  buffer: GPUBuffer | null = null;
  u32 = new Uint32Array(0);
  f32 = new Float32Array(0);
  private readonly device: GPUDevice;
  private readonly label: string;
  private readonly usage: GPUBufferUsageFlags;

  constructor(device: GPUDevice, label: string, usage: GPUBufferUsageFlags) {
    this.device = device;
    this.label = label;
    this.usage = usage | GPUBufferUsage.COPY_DST;
  }

  /** The buffer with room for this many words, and whether it is another one than before. */
  reserve(count: number): { buffer: GPUBuffer; isNew: boolean } {
    if (this.buffer && count <= this.u32.length) return { buffer: this.buffer, isNew: false };
    this.buffer?.destroy();
    this.u32 = new Uint32Array(count);
    this.f32 = new Float32Array(this.u32.buffer);
    this.buffer = this.device.createBuffer({ label: this.label, size: 4 * count, usage: this.usage });
    return { buffer: this.buffer, isNew: true };
  }
}

/**
 * Draws any number of pictures on one canvas. The painter owns the canvas's context; the canvas's size is the caller's, in device pixels.
 * At the same size and with buffers that it has seen before it allocates nothing.
 * @example
 * const painter = new GpuPainter(model.device, canvas);
 * await painter.paint([{ buffer: value.buffer, picture: { cells, window: wholeWindow(cells), colouring, place } }]);
 */
export class GpuPainter {
  /** How the picture gets onto the page. */
  readonly present: 'canvas' | 'pixels';
  private readonly device: GPUDevice;
  private readonly canvas: HTMLCanvasElement;
  private readonly uniforms: Words;
  private readonly spans: Words;
  private readonly context: GPUCanvasContext | null = null;
  private readonly context2d: CanvasRenderingContext2D | null = null;
  private pictureGroup: GPUBindGroup | null = null;
  private texture: GPUTexture | null = null;
  private readback: GPUBuffer | null = null;
  private isDestroyed = false;
  /** How many times it has drawn: only the last of several that wait is presented. */
  private drawings = 0;
  /** Copies to the CPU, one after another: they share `readback`. */
  private reading: Promise<unknown> = Promise.resolve();

  /** @throws Error where the canvas already has a context of another kind */
  constructor(device: GPUDevice, canvas: HTMLCanvasElement, options: GpuPainterOptions = {}) {
    this.device = device;
    this.canvas = canvas;
    this.uniforms = new Words(device, 'heatmap pictures', GPUBufferUsage.UNIFORM);
    this.spans = new Words(device, 'heatmap spans', GPUBufferUsage.STORAGE);
    this.present = options.present ?? (describeAdapter(device).isFallback ? 'pixels' : 'canvas');
    if (this.present === 'canvas') {
      this.context = canvas.getContext('webgpu');
      const usage = GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT;
      this.context?.configure({ device, format: 'rgba8unorm', alphaMode: 'premultiplied', usage });
    } else {
      this.context2d = canvas.getContext('2d');
    }
    if (!this.context && !this.context2d) throw new Error('heatmap: the canvas already has a context of another kind.');
  }

  /**
   * Draws these pictures and nothing else. The buffers are needed until this returns, not until it resolves: the commands are with the
   * GPU by then. Resolves when the page has the picture, or a later call has replaced it.
   * @throws Error where a picture reaches outside of the canvas or its buffer, or its colours have no range
   */
  async paint(pictures: readonly GpuPicture[]): Promise<void> {
    if (this.isDestroyed) throw new Error('heatmap: this painter has been destroyed.');
    const { width, height } = this.canvas;
    if (width === 0 || height === 0) return;
    for (const { buffer, picture } of pictures) checkPicture(picture, this.canvas, buffer.size / 4);
    const texture = this.draw(pictures);
    const drawing = ++this.drawings;
    if (this.context) return;
    await this.inTurn(async () => {
      if (drawing !== this.drawings) return;
      const image = await this.readTexture(texture);
      if (image) this.context2d?.putImageData(image, 0, 0);
    });
  }

  /** The pixels that were painted last, as they are on the canvas; one transparent pixel where nothing was. Waits for the GPU. */
  async pixels(): Promise<ImageData> {
    return (await this.inTurn(async () => this.texture && this.readTexture(this.texture))) ?? new ImageData(1, 1);
  }

  /** Gives its GPU memory back; painting afterwards is an error. */
  destroy(): void {
    this.isDestroyed = true;
    this.context?.unconfigure();
    this.texture?.destroy();
    for (const buffer of [this.uniforms.buffer, this.spans.buffer, this.readback]) buffer?.destroy();
  }

  private draw(pictures: readonly GpuPicture[]): GPUTexture {
    const { device } = this;
    const shared = sharedBy(device);
    const texture = this.reserveTexture();
    const stride = Math.max(device.limits.minUniformBufferOffsetAlignment, 4 * PICTURE_WORDS);
    const group = this.writePictures(shared, pictures, stride / 4);
    const encoder = device.createCommandEncoder({ label: 'heatmap' });
    const view = texture.createView();
    const pass = encoder.beginRenderPass({
      label: 'heatmap',
      colorAttachments: [{ view, loadOp: 'clear', storeOp: 'store', clearValue: [0, 0, 0, 0] }],
    });
    pass.setPipeline(shared.pipeline);
    pictures.forEach(({ buffer, picture: { place } }, i) => {
      pass.setBindGroup(0, group, [i * stride]);
      pass.setBindGroup(1, valuesGroup(device, shared, buffer));
      pass.setViewport(place.x, place.y, place.width, place.height, 0, 1);
      pass.setScissorRect(place.x, place.y, place.width, place.height);
      pass.draw(3);
    });
    pass.end();
    if (this.context) {
      const size = [texture.width, texture.height];
      encoder.copyTextureToTexture({ texture }, { texture: this.context.getCurrentTexture() }, size);
    }
    device.queue.submit([encoder.finish()]);
    return texture;
  }

  /** Writes what the shader knows of the pictures; their bind group. */
  private writePictures(shared: Shared, pictures: readonly GpuPicture[], strideWords: number): GPUBindGroup {
    const spanCount = pictures.reduce((sum, { picture: { place } }) => sum + place.width + place.height, 0);
    const uniforms = this.uniforms.reserve(Math.max(pictures.length, 1) * strideWords);
    const spans = this.spans.reserve(Math.max(2 * spanCount, 2));
    let first = 0;
    pictures.forEach(({ picture }, i) => {
      this.writePicture(picture, i * strideWords, first);
      first += picture.place.width + picture.place.height;
    });
    const { queue } = this.device;
    queue.writeBuffer(uniforms.buffer, 0, this.uniforms.u32, 0, pictures.length * strideWords);
    queue.writeBuffer(spans.buffer, 0, this.spans.u32, 0, 2 * spanCount);
    if (!this.pictureGroup || uniforms.isNew || spans.isNew) {
      this.pictureGroup = this.device.createBindGroup({
        label: 'heatmap pictures',
        layout: shared.pictureLayout,
        entries: [
          { binding: 0, resource: { buffer: uniforms.buffer, size: 4 * PICTURE_WORDS } },
          { binding: 1, resource: { buffer: spans.buffer } },
          { binding: 2, resource: { buffer: shared.colours } },
        ],
      });
    }
    return this.pictureGroup;
  }

  /** One uniform at word `at`, and its spans from `first` on: columns of pixels, then rows. */
  private writePicture({ cells, window, colouring, place }: Picture, at: number, first: number): void {
    const { u32: spans } = this.spans;
    const middle = first + place.width;
    pixelSpans(
      { start: window.column, length: window.columns, cells: cells.columns, pixels: place.width },
      spans.subarray(2 * first, 2 * middle),
    );
    pixelSpans(
      { start: window.row, length: window.rows, cells: cells.rows, pixels: place.height },
      spans.subarray(2 * middle, 2 * (middle + place.height)),
    );
    const scale = colourScale(colouring);
    const { offset, rowStride, columnStride } = cells;
    this.uniforms.u32.set([place.x, place.y, first, middle, offset, rowStride, columnStride, scale.table], at);
    this.uniforms.f32.set([scale.low, scale.high, scale.unit, scale.lowUnits, scale.quiet, scale.steps], at + 8);
  }

  /** The texture, of the canvas's size. */
  private reserveTexture(): GPUTexture {
    const { width, height } = this.canvas;
    if (this.texture?.width === width && this.texture.height === height) return this.texture;
    this.texture?.destroy();
    this.readback?.destroy();
    this.readback = null;
    const usage = GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC;
    this.texture = this.device.createTexture({ label: 'heatmap', size: [width, height], format: 'rgba8unorm', usage });
    return this.texture;
  }

  /** Colours are opaque or nothing, so premultiplied and plain pixels are the same. Null where it was replaced or destroyed meanwhile. */
  private async readTexture(texture: GPUTexture): Promise<ImageData | null> {
    if (texture !== this.texture || this.isDestroyed) return null;
    const { width, height } = texture;
    const rowBytes = 256 * Math.ceil((4 * width) / 256); // WebGPU wants rows in a copy to begin at multiples of 256 bytes
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    this.readback ??= this.device.createBuffer({ label: 'heatmap pixels', size: rowBytes * height, usage });
    const { readback } = this;
    const encoder = this.device.createCommandEncoder({ label: 'heatmap pixels' });
    encoder.copyTextureToBuffer({ texture }, { buffer: readback, bytesPerRow: rowBytes }, [width, height]);
    this.device.queue.submit([encoder.finish()]);
    try {
      await readback.mapAsync(GPUMapMode.READ);
    } catch (error) {
      if (texture !== this.texture || this.isDestroyed) return null;
      throw error;
    }
    const bytes = new Uint8Array(readback.getMappedRange());
    const image = new ImageData(width, height);
    for (let y = 0; y < height; y++) {
      image.data.set(bytes.subarray(y * rowBytes, y * rowBytes + 4 * width), 4 * y * width);
    }
    readback.unmap();
    return image;
  }

  private inTurn<T>(read: () => Promise<T>): Promise<T> {
    const turn = this.reading.then(read);
    this.reading = turn.catch(() => {});
    return turn;
  }
}

function valuesGroup(device: GPUDevice, shared: Shared, buffer: GPUBuffer): GPUBindGroup {
  let group = shared.values.get(buffer);
  if (!group) {
    const entries = [{ binding: 0, resource: { buffer } }];
    group = device.createBindGroup({ label: 'heatmap values', layout: shared.valuesLayout, entries });
    shared.values.set(buffer, group);
  }
  return group;
}
