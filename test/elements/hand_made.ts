// Values by hand, with and without a buffer, and what a user does to a heatmap, for tests of elements.
import { type ShownValue, shownTensor } from '../../src/elements/shown_value.ts';
import type { Tensor } from '../../src/index.ts';

export function bufferOf(device: GPUDevice, data: Float32Array<ArrayBuffer>): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label: 'values', size: data.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, data);
  return buffer;
}

/** A tensor of these numbers, which start over where there are too few. */
export function tensorOf(
  name: string,
  axes: readonly string[],
  shape: readonly number[],
  numbers: readonly number[],
): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => numbers[i % numbers.length]);
  return { name, data, shape, axes };
}

/** A value on the GPU that counts how often it is read, and how often it is held at the moment. */
export function valueOnGpu(device: GPUDevice, tensor: Tensor) {
  const { name, shape, axes } = tensor;
  const counts = { reads: 0, held: 0 };
  const value: ShownValue = {
    name,
    shape,
    axes,
    buffer: bufferOf(device, tensor.data),
    hold: () => {
      counts.held++;
      return () => {
        counts.held--;
      };
    },
    read: async () => {
      counts.reads++;
      return tensor;
    },
  };
  return { value, counts };
}

/** A value whose run has been freed. */
export function valueThatIsGone({ name, shape, axes }: Tensor): ShownValue {
  const fail = () => {
    throw new Error('cache: it has been destroyed, its values are gone.');
  };
  return { name, shape, axes, read: async () => fail(), hold: fail };
}

export { shownTensor };

/** An element on the page with these properties, ready; `remove()` it afterwards. */
export async function place<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]>,
): Promise<HTMLElementTagNameMap[Name] & { updateComplete: Promise<boolean> }> {
  const element = Object.assign(document.createElement(name), properties) as HTMLElementTagNameMap[Name] & {
    updateComplete: Promise<boolean>;
  };
  element.style.width = '320px';
  element.style.setProperty('--hyaline-heatmap-height', '100px');
  document.body.append(element);
  await element.updateComplete;
  return element;
}

export function plotOf(heatmap: Element): HTMLElement {
  return heatmap.shadowRoot?.querySelector('.plot') as HTMLElement;
}

/** Where a place of the plot is on the page, 0 … 1 from its left and top. */
export function positionOf(heatmap: Element, x: number, y: number) {
  const plot = plotOf(heatmap);
  const { left, top } = plot.getBoundingClientRect();
  const { clientLeft, clientTop, clientWidth, clientHeight } = plot;
  return { clientX: left + clientLeft + x * clientWidth, clientY: top + clientTop + y * clientHeight };
}

/** A pointer event at a place of the plot. */
export function point(heatmap: Element, type: string, x: number, y: number, init: PointerEventInit = {}): void {
  const position = positionOf(heatmap, x, y);
  plotOf(heatmap).dispatchEvent(new PointerEvent(type, { ...position, bubbles: true, composed: true, ...init }));
}

export function press(heatmap: Element, key: string, init: KeyboardEventInit = {}): KeyboardEvent {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, composed: true, cancelable: true, ...init });
  plotOf(heatmap).dispatchEvent(event);
  return event;
}

/** The first pixel that differs; null where none does, and both pictures have one size. */
export function firstPixelDifference(got: ImageData, want: ImageData): string | null {
  if (got.width !== want.width || got.height !== want.height) {
    return `${got.width} × ${got.height}, expected ${want.width} × ${want.height}`;
  }
  for (let i = 0; i < want.data.length; i += 4) {
    const [a, b] = [got, want].map(({ data }) => data.slice(i, i + 4).join());
    if (a !== b) return `pixel ${(i / 4) % want.width}, ${Math.floor(i / 4 / want.width)}: ${a}, expected ${b}`;
  }
  return null;
}

/** The detail of the next event of a type. */
export function next<Detail>(element: Element, type: string): Promise<Detail> {
  return new Promise((resolve) => {
    element.addEventListener(type, (event) => resolve((event as CustomEvent<Detail>).detail), { once: true });
  });
}

/** What stands in the shadow of an element, by selector, with single spaces. */
export function textOf(element: Element, selector: string): string {
  return (element.shadowRoot?.querySelector(selector)?.textContent ?? '').replace(/\s+/g, ' ').trim();
}
