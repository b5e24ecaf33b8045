// The one place that creates and destroys GPU buffers, so that what is held can be counted; and the way back to the CPU.
import { megabytes } from './weights.ts';

/** The adapter has no memory left: `Runtime` frees what is at rest and tries once more. */
export class OutOfMemoryError extends Error {}

/** What a model holds on the GPU right now. */
export interface MemoryUse {
  readonly buffers: number;
  readonly bytes: number;
}

export class GpuMemory {
  readonly device: GPUDevice;
  private readonly live = new Map<GPUBuffer, number>();
  /** Mappable buffers at rest, by size: a warm read creates none. */
  private readonly staging = new Map<number, GPUBuffer[]>();
  /** Buffers that the CPU waits for: whether each is destroyed as soon as that is over. */
  private readonly mapping = new Map<GPUBuffer, { isDoomed: boolean }>();
  private lost: GPUDeviceLostInfo | null = null;
  private destroyed = false;

  constructor(device: GPUDevice) {
    this.device = device;
    device.lost.then((info) => {
      this.lost = info;
    });
  }

  get use(): MemoryUse {
    let bytes = 0;
    for (const size of this.live.values()) bytes += size;
    return { buffers: this.live.size, bytes };
  }

  /** @throws Error if everything here has been destroyed, or the device is gone: buffers would read as zeros */
  check(): void {
    if (this.destroyed) throw new Error('model: it has been destroyed. Load it again.');
    if (!this.lost) return;
    const why = this.lost.message || this.lost.reason;
    throw new Error(`device: the GPU device was lost (${why}). Request a new device and load the model again.`);
  }

  /** Creates a buffer of at least 16 bytes, rounded up to a multiple of 4. */
  create(label: string, sizeBytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    this.check();
    const size = Math.max(16, 4 * Math.ceil(sizeBytes / 4));
    const buffer = this.device.createBuffer({ label, size, usage });
    this.live.set(buffer, size);
    return buffer;
  }

  createStorage(label: string, sizeBytes: number): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return this.create(label, sizeBytes, STORAGE | COPY_SRC | COPY_DST);
  }

  /** Runs `f` with a storage buffer of this many bytes, or of this content; frees it afterwards. */
  async withStorage<T>(
    label: string,
    content: number | Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    f: (buffer: GPUBuffer) => Promise<T>,
  ): Promise<T> {
    const buffer = this.createStorage(label, typeof content === 'number' ? content : content.byteLength);
    try {
      if (typeof content !== 'number') this.device.queue.writeBuffer(buffer, 0, content);
      return await f(buffer);
    } finally {
      this.destroy(buffer);
    }
  }

  destroy(buffer: GPUBuffer): void {
    if (this.live.delete(buffer)) this.free(buffer);
  }

  /** At once, or when nobody waits for it any more: Dawn in Node may crash where a buffer is destroyed while it is being mapped. */
  private free(buffer: GPUBuffer): void {
    const mapping = this.mapping.get(buffer);
    if (mapping) mapping.isDoomed = true;
    else buffer.destroy();
  }

  /** Waits until the GPU is done with a mappable buffer, and maps it. */
  private async map(buffer: GPUBuffer, sizeBytes: number): Promise<void> {
    const mapping = { isDoomed: false };
    this.mapping.set(buffer, mapping);
    try {
      await buffer.mapAsync(GPUMapMode.READ, 0, sizeBytes);
    } finally {
      this.mapping.delete(buffer);
      if (mapping.isDoomed) buffer.destroy();
    }
  }

  /** Runs `f` and fails with a clear error if the adapter runs out of memory or rejects a command. Waits for the verdict. */
  async scoped<T>(what: string, f: () => T): Promise<T> {
    this.check();
    const { device } = this;
    device.pushErrorScope('validation');
    device.pushErrorScope('out-of-memory');
    let result: T;
    let errors: (GPUError | null)[];
    try {
      result = f();
    } finally {
      const popped = [device.popErrorScope(), device.popErrorScope()];
      errors = await Promise.all(popped);
    }
    const [memory, validation] = errors;
    if (memory) {
      throw new OutOfMemoryError(
        `device: out of GPU memory for ${what}; this model already holds ${megabytes(this.use.bytes)}. ` +
          'Free caches, run fewer rows at a time, or use a shorter text.',
      );
    }
    if (validation) throw new Error(`device: ${what} was rejected: ${validation.message}`);
    return result;
  }

  /**
   * Copies `sizeBytes` of a buffer to the CPU, from its beginning or from `offset` bytes on. Waits for the GPU; keeps one mappable buffer for each of the last sizes, so
   * that reading the same values again and again, one after another, creates none.
   */
  async read(buffer: GPUBuffer, sizeBytes: number, offset = 0): Promise<ArrayBuffer> {
    this.check();
    const pool = this.staging.get(sizeBytes) ?? [];
    this.staging.set(sizeBytes, pool);
    const { MAP_READ, COPY_DST } = GPUBufferUsage;
    const staging = pool.pop() ?? this.create('read', sizeBytes, MAP_READ | COPY_DST);
    try {
      const encoder = this.device.createCommandEncoder({ label: 'read' });
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, sizeBytes);
      this.device.queue.submit([encoder.finish()]);
      const copy = await this.readMappable(staging, sizeBytes);
      this.keep(sizeBytes, staging);
      return copy;
    } catch (error) {
      this.destroy(staging);
      throw error;
    }
  }

  /** The first `sizeBytes` of a mappable buffer, as submitted commands leave them. Waits for the GPU. */
  async readMappable(staging: GPUBuffer, sizeBytes: number): Promise<ArrayBuffer> {
    try {
      await this.map(staging, sizeBytes);
      this.check();
      const copy = staging.getMappedRange(0, sizeBytes).slice(0);
      staging.unmap();
      return copy;
    } catch (error) {
      // A lost device rejects the mapping a moment before it says why.
      await Promise.race([this.device.lost, Promise.resolve()]);
      this.check();
      throw error;
    }
  }

  /** At most one resting buffer per size, and few sizes: reading must not become a store. */
  private keep(sizeBytes: number, staging: GPUBuffer): void {
    const MAX_SIZES = 8;
    const pool = this.staging.get(sizeBytes) ?? [];
    if (pool.length > 0) {
      this.destroy(staging);
      return;
    }
    this.staging.delete(sizeBytes);
    this.staging.set(sizeBytes, [staging]);
    for (const [size, buffers] of this.staging) {
      if (this.staging.size <= MAX_SIZES) break;
      for (const buffer of buffers) this.destroy(buffer);
      this.staging.delete(size);
    }
  }

  /** Destroys everything that was created here and not yet destroyed; nothing more can be created or read. */
  destroyAll(): void {
    this.destroyed = true;
    for (const buffer of this.live.keys()) this.free(buffer);
    this.live.clear();
    this.staging.clear();
  }
}
