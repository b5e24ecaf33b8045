// Counts what a page holds on the GPU: a script to run before the page's own. Only `destroy` gives memory back; garbage does not count.

/** What is live now. */
export interface LiveOnGpu {
  readonly buffers: number;
  readonly textures: number;
  readonly bytes: number;
}

declare global {
  var liveOnGpu: { buffers: number; textures: number; bytes: number };
}

/** Counts from now on, in `liveOnGpu`. Runs in the page. */
export function countOnGpu(): void {
  const live = { buffers: 0, textures: 0, bytes: 0 };
  globalThis.liveOnGpu = live;
  if (!navigator.gpu) return;
  const { createBuffer, createTexture } = GPUDevice.prototype;
  const [destroyBuffer, destroyTexture] = [GPUBuffer.prototype.destroy, GPUTexture.prototype.destroy];
  const alive = new WeakSet<GPUBuffer | GPUTexture>();
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    alive.add(buffer);
    live.buffers++;
    live.bytes += descriptor.size;
    return buffer;
  };
  GPUDevice.prototype.createTexture = function (descriptor) {
    const texture = createTexture.call(this, descriptor);
    alive.add(texture);
    live.textures++;
    return texture;
  };
  GPUBuffer.prototype.destroy = function () {
    if (alive.delete(this)) {
      live.buffers--;
      live.bytes -= this.size;
    }
    return destroyBuffer.call(this);
  };
  GPUTexture.prototype.destroy = function () {
    if (alive.delete(this)) live.textures--;
    return destroyTexture.call(this);
  };
}
