// The canvas of a heatmap: painted from a value's buffer where it has one and there is a device, else from its numbers. Knows which element
// a pixel shows. Not for what stands around the picture.
import { elementAt } from './axes_shown.ts';
import { GpuPainter } from './gpu_painter.ts';
import { automaticColouring, type HeatmapView } from './heatmap_view.ts';
import type { Colouring, Picture } from './picture.ts';
import { PixelPainter, shownElement } from './pixel_painter.ts';
import { paintableOf, statisticsOf } from './value_numbers.ts';
import { cellAt, type Place } from './zoom.ts';

type Brush =
  | { readonly device: GPUDevice; readonly canvas: HTMLCanvasElement; readonly painter: GpuPainter }
  | { readonly device: null; readonly canvas: HTMLCanvasElement; readonly painter: PixelPainter };

/** How something is to be drawn. */
export interface Drawing {
  readonly view: HeatmapView;
  /** Null where there is no GPU to draw with. */
  readonly device: GPUDevice | null;
  /** Null: from the value's statistics. */
  readonly colouring: Colouring | null;
  /** Whose size the canvas takes, and which gets it as its only child. */
  readonly surface: HTMLElement;
}

/** What has been drawn, for the legend. */
export interface Drawn {
  readonly colouring: Colouring;
  readonly nanCount: number;
}

export class HeatmapCanvas {
  private brush: Brush | null = null;
  private paintings = 0;
  private picture: Picture | null = null;
  /** The picture that is on its way to the page. */
  private presenting: Promise<void> = Promise.resolve();

  /**
   * Draws, one picture at a time: of several that wait, the last. Null where a later call has taken its place, or there is no room on the page.
   * @throws Error where the value cannot be read, or its buffer is gone
   */
  async paint({ view, device, colouring, surface }: Drawing): Promise<Drawn | null> {
    const painting = ++this.paintings;
    const isCurrent = () => painting === this.paintings;
    const { value } = view;
    const statistics = await statisticsOf(value);
    const gpu = 'buffer' in value ? device : null;
    const numbers = gpu ? null : await paintableOf(value);
    await this.presenting;
    if (!isCurrent()) return null;
    const colours = colouring ?? automaticColouring(statistics);
    const { canvas, painter } = this.brushFor(gpu, surface);
    if (!fit(canvas, surface)) return null;
    const { cells, window } = view;
    const place = { x: 0, y: 0, width: canvas.width, height: canvas.height };
    const picture: Picture = { cells, window, colouring: colours, place };
    this.picture = picture;
    if (painter instanceof GpuPainter) {
      const painted = paintFromBuffer(painter, view, picture);
      this.presenting = painted.catch(() => {});
      await painted;
    } else painter.paint([{ data: numbers ?? new Float32Array(), picture }]);
    return isCurrent() ? { colouring: colours, nanCount: statistics.nanCount } : null;
  }

  /** What is on the canvas; one transparent pixel where nothing is. Waits for the GPU. */
  async pixels(): Promise<ImageData> {
    return (await this.brush?.painter.pixels()) ?? new ImageData(1, 1);
  }

  /** The element whose colour is at a place: of several cells in a pixel the one that it shows. */
  elementUnder({ cells, window }: HeatmapView, data: Float32Array, at: Place): number {
    if (this.picture) {
      const picture = { ...this.picture, cells, window };
      const { width, height } = picture.place;
      const pixel = (x: number, count: number) => Math.min(Math.max(Math.floor(x * count), 0), count - 1);
      const shown = shownElement({ data, picture }, pixel(at.x, width), pixel(at.y, height));
      if (shown >= 0) return shown;
    }
    return elementAt(cells, cellAt(window, cells, at));
  }

  /** Gives GPU memory back, and takes the canvas off the page; painting makes another one. */
  destroy(): void {
    this.paintings++;
    if (this.brush?.device) this.brush.painter.destroy();
    this.brush?.canvas.remove();
    this.brush = null;
    this.picture = null;
  }

  private brushFor(device: GPUDevice | null, surface: HTMLElement): Brush {
    if (this.brush && this.brush.device === device) return this.brush;
    if (this.brush?.device) this.brush.painter.destroy();
    // A canvas keeps the kind of context that it got first.
    const canvas = document.createElement('canvas');
    this.brush = device
      ? { device, canvas, painter: new GpuPainter(device, canvas) }
      : { device, canvas, painter: new PixelPainter(canvas) };
    surface.replaceChildren(canvas);
    return this.brush;
  }
}

/** Gives a canvas the size of its surface in device pixels; false where that is nothing. */
function fit(canvas: HTMLCanvasElement, { clientWidth, clientHeight }: HTMLElement): boolean {
  const [width, height] = [clientWidth, clientHeight].map((length) => Math.round(length * devicePixelRatio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return width > 0 && height > 0;
}

/** The buffer is held until its commands are with the GPU, which is when `paint` has returned. */
async function paintFromBuffer(painter: GpuPainter, { value }: HeatmapView, picture: Picture): Promise<void> {
  const release = value.hold?.();
  let painted: Promise<void> | undefined;
  try {
    const { buffer } = value;
    painted = buffer && painter.paint([{ buffer, picture }]);
  } finally {
    release?.();
  }
  await painted;
}
