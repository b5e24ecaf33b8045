// Draws pictures of a value on a canvas: straight from its buffer where it is on the GPU, else from its numbers.
import { GpuPainter } from './gpu_painter.ts';
import type { Picture } from './picture.ts';
import { PixelPainter } from './pixel_painter.ts';
import type { ShownValue } from './shown_value.ts';
import { paintableOf } from './value_numbers.ts';

/** The painter of one canvas, which keeps the kind of context that it was first painted with. */
export class ValuePainter {
  private readonly canvas: HTMLCanvasElement;
  private readonly device: GPUDevice | null;
  private gpu: GpuPainter | null = null;
  private pixels: PixelPainter | null = null;

  /** @param device that of values with a buffer; null where there are none */
  constructor(canvas: HTMLCanvasElement, device: GPUDevice | null) {
    this.canvas = canvas;
    this.device = device;
  }

  /**
   * Resolves when the pictures are on the page. A value's buffer is needed until this returns, its numbers are read if there is none.
   * @param isWanted asked after reading: a picture that is out of date by then is not drawn
   */
  async paint(value: ShownValue, pictures: readonly Picture[], isWanted: () => boolean): Promise<void> {
    const { buffer } = value;
    if (this.device && buffer) {
      this.gpu ??= new GpuPainter(this.device, this.canvas);
      return this.gpu.paint(pictures.map((picture) => ({ buffer, picture })));
    }
    const data = await paintableOf(value);
    if (!isWanted()) return;
    this.pixels ??= new PixelPainter(this.canvas);
    this.pixels.paint(pictures.map((picture) => ({ data, picture })));
  }

  destroy(): void {
    this.gpu?.destroy();
    this.gpu = null;
  }
}
