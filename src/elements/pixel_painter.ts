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
import type { Cells, Picture } from './picture.ts';

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

function paintPicture(words: Uint32Array, width: number, data: Float32Array, picture: Picture): void {
  colours ??= new Uint32Array(allColours().buffer);
  const { place } = picture;
  const numbers = numbersOf(data, picture);
  const { rows, columns } = numbers;
  for (let y = 0; y < place.height; y++) {
    const start = (place.y + y) * width + place.x;
    if (y > 0 && isSameSpan(rows, y)) {
      words.copyWithin(start, start - width, start - width + place.width);
      continue;
    }
    for (let x = 0; x < place.width; x++) {
      if (x > 0 && isSameSpan(columns, x)) words[start + x] = words[start + x - 1];
      else {
        const at = loudest(numbers, x, y);
        words[start + x] = at < 0 ? 0 : colours[entryOf(numbers, at)];
      }
    }
  }
}

/** Whether a pixel shows the cells that the one before it does. */
function isSameSpan(spans: Uint32Array, pixel: number): boolean {
  return spans[2 * pixel] === spans[2 * pixel - 2] && spans[2 * pixel + 1] === spans[2 * pixel - 1];
}

/**
 * The element whose colour a pixel has: of several cells in it the one that is shown. −1 where it shows none.
 * @param x, y of the picture's pixels, 0 at its left and top
 */
export function shownElement({ data, picture }: PixelPicture, x: number, y: number): number {
  return loudest(numbersOf(data, picture), x, y);
}

interface Numbers {
  readonly values: Float32Array;
  readonly bits: Uint32Array;
  readonly scale: ColourScale;
  readonly cells: Cells;
  /** Of the pixels along each axis. */
  readonly columns: Uint32Array;
  readonly rows: Uint32Array;
}

function numbersOf(data: Float32Array, { cells, window, colouring, place }: Picture): Numbers {
  const { width, height } = place;
  return {
    values: data,
    bits: new Uint32Array(data.buffer, data.byteOffset, data.length),
    scale: colourScale(colouring),
    cells,
    columns: pixelSpans(
      { start: window.column, length: window.columns, cells: cells.columns, pixels: width },
      new Uint32Array(2 * width),
    ),
    rows: pixelSpans(
      { start: window.row, length: window.rows, cells: cells.rows, pixels: height },
      new Uint32Array(2 * height),
    ),
  };
}

const isNan = (bits: number) => (bits & 0x7fffffff) > INFINITY_BITS;

// As in the shader, one rounding to float32 after each operation.
const along = (x: number, { low, high, unit, lowUnits }: ColourScale) =>
  Math.fround(Math.fround(Math.min(Math.max(x, low), high) * unit) - lowUnits);

/** The first NaN of a pixel's cells, else the number that is farthest from the quiet one; −1 where all are masked, or there is none. */
function loudest({ values, bits, scale, cells, columns, rows }: Numbers, x: number, y: number): number {
  let shown = -1;
  let farthest = -1;
  for (let row = rows[2 * y]; row < rows[2 * y + 1]; row++) {
    for (let column = columns[2 * x]; column < columns[2 * x + 1]; column++) {
      const at = cells.offset + row * cells.rowStride + column * cells.columnStride;
      if (isNan(bits[at])) return at;
      if (bits[at] === MASKED_BITS) continue;
      const distance = Math.fround(Math.abs(along(values[at], scale) - scale.quiet));
      if (distance > farthest) {
        shown = at;
        farthest = distance;
      }
    }
  }
  return shown;
}

function entryOf({ values, bits, scale }: Numbers, at: number): number {
  if (isNan(bits[at])) return NAN_ENTRY;
  return scale.table + Math.min(Math.floor(Math.fround(along(values[at], scale) * scale.steps)), 255);
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
