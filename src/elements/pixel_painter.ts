// Draws pictures from numbers on the CPU: for recordings, and where there is no WebGPU. The same pixels as `gpu_painter.ts`, by the same
// rules.
import {
  allColours,
  type ColourScale,
  checkPicture,
  colourScale,
  MASKED_BITS,
  NAN_ENTRY,
  pixelSpans,
  type Size,
} from './painting.ts';
import type { Picture } from './picture.ts';

/** A picture and the numbers of its value; masked ones are the lowest float32, as on the GPU. */
export interface PixelPicture {
  readonly data: Float32Array;
  readonly picture: Picture;
}

const INFINITY_BITS = 0x7f800000;

let colours: Uint32Array | null = null;

/**
 * Draws into pixels [height][width] of r, g, b, a; what no picture covers stays as it is.
 * @throws Error where a picture reaches outside of the canvas or its numbers, or its colours have no range
 */
export function paintPixels(
  pixels: Uint8ClampedArray<ArrayBuffer>,
  size: Size,
  pictures: readonly PixelPicture[],
): void {
  for (const { data, picture } of pictures) checkPicture(picture, size, data.length);
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  for (const { data, picture } of pictures) paintPicture(words, size.width, data, picture);
}

function paintPicture(
  words: Uint32Array,
  width: number,
  data: Float32Array,
  { cells, window, colouring, place }: Picture,
) {
  colours ??= new Uint32Array(allColours().buffer);
  const scale = colourScale(colouring);
  const numbers: Numbers = { values: data, bits: new Uint32Array(data.buffer, data.byteOffset, data.length), scale };
  const { offset, rowStride, columnStride } = cells;
  const columns = pixelSpans(
    { start: window.column, length: window.columns, cells: cells.columns, pixels: place.width },
    new Uint32Array(2 * place.width),
  );
  const rows = pixelSpans(
    { start: window.row, length: window.rows, cells: cells.rows, pixels: place.height },
    new Uint32Array(2 * place.height),
  );
  for (let y = 0; y < place.height; y++) {
    for (let x = 0; x < place.width; x++) {
      const entry = loudest(numbers, {
        first: offset + rows[2 * y] * rowStride + columns[2 * x] * columnStride,
        rows: rows[2 * y + 1] - rows[2 * y],
        columns: columns[2 * x + 1] - columns[2 * x],
        rowStride,
        columnStride,
      });
      words[(place.y + y) * width + place.x + x] = entry === null ? 0 : colours[entry];
    }
  }
}

interface Numbers {
  readonly values: Float32Array;
  readonly bits: Uint32Array;
  readonly scale: ColourScale;
}

interface Block {
  readonly first: number;
  readonly rows: number;
  readonly columns: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** The entry in `allColours` for the cells of a pixel; null where there is none, or all are masked. */
function loudest(
  { values, bits, scale }: Numbers,
  { first, rows, columns, rowStride, columnStride }: Block,
): number | null {
  let shown = 0;
  let farthest = -1;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = first + row * rowStride + column * columnStride;
      if ((bits[at] & 0x7fffffff) > INFINITY_BITS) return NAN_ENTRY;
      if (bits[at] === MASKED_BITS) continue;
      // As in the shader, one rounding to float32 after each operation.
      const x = Math.min(Math.max(values[at], scale.low), scale.high);
      const t = Math.fround(Math.fround(x * scale.unit) - scale.lowUnits);
      const distance = Math.fround(Math.abs(t - scale.quiet));
      if (distance > farthest) [shown, farthest] = [t, distance];
    }
  }
  if (farthest < 0) return null;
  return scale.table + Math.min(Math.floor(Math.fround(shown * scale.steps)), 255);
}

/**
 * Draws any number of pictures on one canvas. The painter owns the canvas's context; the canvas's size is the caller's, in device pixels.
 * @example
 * new PixelPainter(canvas).paint([{ data: tensor.data, picture: { cells, window: wholeWindow(cells), colouring, place } }]);
 */
export class PixelPainter {
  private readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D;

  /** @throws Error where the canvas already has a context of another kind */
  constructor(canvas: HTMLCanvasElement) {
    const context = canvas.getContext('2d');
    if (!context) throw new Error('heatmap: the canvas already has a context of another kind.');
    this.canvas = canvas;
    this.context = context;
  }

  /**
   * Draws these pictures and nothing else.
   * @throws Error where a picture reaches outside of the canvas or its numbers, or its colours have no range
   */
  paint(pictures: readonly PixelPicture[]): void {
    const { width, height } = this.canvas;
    if (width === 0 || height === 0) return;
    const image = new ImageData(width, height);
    paintPixels(image.data, this.canvas, pictures);
    this.context.putImageData(image, 0, 0);
  }

  /** The pixels on the canvas. */
  pixels(): ImageData {
    return this.context.getImageData(0, 0, Math.max(this.canvas.width, 1), Math.max(this.canvas.height, 1));
  }
}
