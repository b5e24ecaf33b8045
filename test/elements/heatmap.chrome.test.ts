// `<hyaline-heatmap>` as a user has it: pointer, wheel and keys on values made by hand. That its pixels are right is tested in
// `painters.test.ts`.
import { afterEach, expect, test } from 'vitest';
import '../../src/elements/index.ts';
import type { PointedNumber, ShownView } from '../../src/elements/index.ts';
import { testDevice, withErrorScopes } from '../device.ts';
import { countGpuCalls } from '../gpu_calls.ts';
import {
  firstPixelDifference,
  next,
  place,
  plotOf,
  point,
  positionOf,
  press,
  shownTensor,
  tensorOf,
  textOf,
  valueOnGpu,
  valueThatIsGone,
} from './hand_made.ts';

const AXES = ['batch', 'head_index', 'query_pos', 'key_pos'];
const SHAPE = [1, 3, 5, 7];
/** Element i is i/8 − 3, which float32 has exactly. */
const pattern = tensorOf(
  'hook_pattern',
  AXES,
  SHAPE,
  Array.from({ length: 105 }, (_, i) => i / 8 - 3),
);
const numberOf = (head: number, query: number, key: number) => (35 * head + 7 * query + key) / 8 - 3;

async function placed(properties = {}, tensor = pattern) {
  const device = await testDevice();
  const { value, counts } = valueOnGpu(device, tensor);
  const heatmap = await place('hyaline-heatmap', { model: { device }, value, ...properties });
  return { heatmap, counts, value, device };
}

function pointed(heatmap: Element): Promise<PointedNumber> {
  return next<PointedNumber>(heatmap, 'hyaline-point');
}

afterEach(() => {
  document.body.replaceChildren();
});

test('pointing at a cell tells its number, its bits and its index along every axis', async () => {
  const { heatmap, counts } = await placed({
    index: { head_index: 2 },
    labels: { pos: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] },
  });
  const telling = pointed(heatmap);
  point(heatmap, 'pointermove', 4.5 / 7, 3.5 / 5);
  expect(await telling).toEqual({
    index: { batch: 0, head_index: 2, query_pos: 3, key_pos: 4 },
    value: numberOf(2, 3, 4), // 95/8 − 3 = 8.875
    bits: 0x410e0000,
  });
  await heatmap.updateComplete;
  expect(textOf(heatmap, '.readout')).toBe('head_index 2 · query_pos 3 d · key_pos 4 e = 8.875');
  expect(counts).toEqual({ reads: 1, held: 0 });
});

test('the number is the right one after zooming, and with rows and columns the other way round', async () => {
  const zoom = { row: 1.5, column: 0.25, rows: 2, columns: 3 };
  const { heatmap } = await placed({ zoom, rows: 'key_pos', columns: 'head_index', index: { query_pos: 4 } });
  // Three heads fit in full, so their window begins at 0. Row 1.5 + 0.9 · 2 = 3.3: key 3; column 0.5 · 3: head 1.
  const telling = pointed(heatmap);
  point(heatmap, 'pointermove', 0.5, 0.9);
  expect(await telling).toMatchObject({ index: { head_index: 1, query_pos: 4, key_pos: 3 }, value: numberOf(1, 4, 3) });
});

test('where a pixel has many cells, the number is that of the one whose colour it has', async () => {
  const numbers = Array.from({ length: 2 * 40_000 }, (_, i) => (i === 54_321 ? -9 : (i % 10) / 10));
  const { heatmap } = await placed({}, tensorOf('logits', ['batch', 'pos', 'd_vocab'], [1, 2, 40_000], numbers));
  const telling = pointed(heatmap);
  point(heatmap, 'pointermove', 14_321.5 / 40_000, 0.75);
  expect(await telling).toMatchObject({ index: { pos: 1, d_vocab: 14_321 }, value: -9 });
});

test('a click and Enter select', async () => {
  const { heatmap } = await placed();
  let selecting = next<PointedNumber>(heatmap, 'hyaline-select');
  point(heatmap, 'pointerdown', 0.1, 0.1);
  point(heatmap, 'pointerup', 0.1, 0.1);
  const first = { batch: 0, head_index: 0, query_pos: 0, key_pos: 0 };
  expect(await selecting).toMatchObject({ index: first, value: -3 });
  expect(heatmap.selected).toEqual(first);
  press(heatmap, 'ArrowRight');
  selecting = next(heatmap, 'hyaline-select');
  press(heatmap, 'Enter');
  expect(await selecting).toMatchObject({ index: { ...first, key_pos: 1 }, value: -2.875 });
});

test('arrow keys go from cell to cell, and take the window along', async () => {
  const { heatmap } = await placed();
  plotOf(heatmap).focus();
  expect(heatmap.shadowRoot?.activeElement).toBe(plotOf(heatmap));
  const at = async (key: string, init = {}) => {
    const telling = pointed(heatmap);
    expect(press(heatmap, key, init).defaultPrevented).toBe(true);
    const { query_pos, key_pos } = (await telling).index;
    return [query_pos, key_pos];
  };
  expect(await at('ArrowDown')).toEqual([0, 0]); // the first key shows where the cursor is
  expect(await at('ArrowDown')).toEqual([1, 0]);
  expect(await at('ArrowRight')).toEqual([1, 1]);
  expect(await at('ArrowUp', { shiftKey: true })).toEqual([0, 1]);
  for (let i = 0; i < 12; i++) press(heatmap, '+'); // as far as it goes, whatever the size of the picture
  expect(heatmap.zoom).toMatchObject({ rows: 2, columns: 2 });
  expect(await at('End')).toEqual([0, 6]);
  expect(heatmap.zoom).toEqual({ row: 0, column: 5, rows: 2, columns: 2 });
  press(heatmap, '-');
  expect(heatmap.zoom?.columns).toBeGreaterThan(2);
  press(heatmap, 'Escape');
  expect(heatmap.zoom).toBe(null);
  expect(press(heatmap, 'Tab').defaultPrevented).toBe(false);
});

test('the wheel zooms around the pointer, dragging moves, a double click shows everything', async () => {
  const { heatmap } = await placed();
  const plot = plotOf(heatmap);
  const wheel = (deltaY: number) => {
    const event = new WheelEvent('wheel', {
      deltaY,
      cancelable: true,
      bubbles: true,
      ...positionOf(heatmap, 0.25, 0.5),
    });
    plot.dispatchEvent(event);
    return event.defaultPrevented;
  };
  expect(wheel(100)).toBe(false); // nothing to zoom out of: the page scrolls
  const looking = next<ShownView>(heatmap, 'hyaline-view');
  expect(wheel(-400)).toBe(true);
  const view = await looking;
  expect(view).toMatchObject({ rows: 'query_pos', columns: 'key_pos', index: { batch: 0, head_index: 0 } });
  // A quarter of the width from the left stays where it is: key 1.75.
  const { column, columns } = view.zoom ?? { column: 0, columns: 0 };
  expect(columns).toBeLessThan(4);
  // Positions of wheel events are whole pixels.
  expect(Math.abs(column + 0.25 * columns - 1.75)).toBeLessThan(7 / plot.clientWidth);

  await heatmap.updateComplete;
  let selections = 0;
  heatmap.addEventListener('hyaline-select', () => selections++);
  point(heatmap, 'pointerdown', 0.5, 0.5);
  plot.setPointerCapture = () => {}; // there is no such pointer
  point(heatmap, 'pointermove', 0.25, 0.5, { buttons: 1 });
  point(heatmap, 'pointerup', 0.25, 0.5);
  expect(heatmap.zoom?.column).toBeCloseTo(column + 0.25 * columns, 2);
  plot.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
  expect(heatmap.zoom).toBe(null);
  await heatmap.updateComplete;
  expect(selections).toBe(0);
});

test('the other axes have sliders, and axes can be chosen', async () => {
  const { heatmap } = await placed({ labels: { head_index: ['zero', 'one', 'two'] } });
  const before = await heatmap.pixels();
  const slider = heatmap.shadowRoot?.querySelector<HTMLInputElement>('input[type=range]') as HTMLInputElement;
  expect([slider.min, slider.max, slider.value]).toEqual(['0', '2', '0']);
  expect(textOf(heatmap, '.controls label:has(input)')).toBe('head_index 0 zero');
  const looking = next<ShownView>(heatmap, 'hyaline-view');
  slider.value = '2';
  slider.dispatchEvent(new Event('input'));
  expect((await looking).index).toEqual({ batch: 0, head_index: 2 });
  await heatmap.updateComplete;
  expect(slider.getAttribute('aria-valuetext')).toBe('2 two');
  expect(firstPixelDifference(await heatmap.pixels(), before)).not.toBe(null);

  const [rows] = heatmap.shadowRoot?.querySelectorAll('select') ?? [];
  expect([...rows.options].map(({ value }) => value)).toEqual(['head_index', 'query_pos', 'key_pos']);
  rows.value = 'key_pos';
  rows.dispatchEvent(new Event('change'));
  expect([heatmap.rows, heatmap.columns]).toEqual(['key_pos', 'query_pos']); // the other one takes its place
});

test('a value that has no buffer has the same picture', async () => {
  const { heatmap } = await placed();
  const want = await heatmap.pixels();
  expect(new Set(new Uint32Array(want.data.buffer)).size).toBeGreaterThan(20);
  const recorded = await place('hyaline-heatmap', { value: shownTensor(pattern) });
  const got = await recorded.pixels();
  expect(firstPixelDifference(got, want)).toBe(null);
});

test('masked attention scores are left out, whether they come from the GPU or were read', async () => {
  const numbers = [1, -3.4028234663852886e38, 0.5, 2];
  const axes = ['query_pos', 'key_pos'];
  const onGpu = tensorOf('blocks.0.attn.hook_attn_scores', axes, [2, 2], numbers);
  const read = { ...onGpu, data: onGpu.data.map((x) => (x < -1e38 ? Number.NEGATIVE_INFINITY : x)) };
  const device = await testDevice();
  const { value } = valueOnGpu(device, onGpu);
  const first = await place('hyaline-heatmap', { model: { device }, value: { ...value, read: async () => read } });
  const second = await place('hyaline-heatmap', { value: shownTensor(read) });
  for (const heatmap of [first, second]) {
    const { data, width } = await heatmap.pixels();
    const alpha = (x: number) => data[4 * (10 * width + x) + 3];
    expect([alpha(10), alpha(width - 10)]).toEqual([255, 0]);
    expect(textOf(heatmap, '.legend')).toBe('0 2.000');
    const telling = pointed(heatmap);
    point(heatmap, 'pointermove', 0.75, 0.25);
    expect(await telling).toMatchObject({ value: Number.NEGATIVE_INFINITY, bits: 0xff800000 });
  }
});

test('the range of colours comes from the value’s own statistics, without reading it', async () => {
  const device = await testDevice();
  const { value, counts } = valueOnGpu(device, pattern);
  const none = { mean: 0, std: 0, norm: 0, infiniteCount: 0, maskedCount: 0 };
  const stats = async () => ({ ...none, count: 104, min: -20, max: 4, nanCount: 1 });
  const heatmap = await place('hyaline-heatmap', { model: { device }, value: Object.assign(value, { stats }) });
  expect(textOf(heatmap, '.legend')).toBe('-20.00 20.00 NaN');
  expect(counts).toEqual({ reads: 0, held: 0 });
  heatmap.colouring = { map: 'viridis', low: 0, high: 3 };
  await heatmap.updateComplete;
  expect(textOf(heatmap, '.legend')).toBe('0 3.000 NaN');
});

test('a value that is gone leaves a message, not an exception', async () => {
  const { heatmap, value } = await placed();
  expect(textOf(heatmap, '.message')).toBe('');
  // Painted before it went: the picture stays, and the number says why there is none.
  Object.assign(value, { read: valueThatIsGone(pattern).read });
  const gone = { ...value, stats: async () => ({ min: 0, max: 1 }), read: valueThatIsGone(pattern).read };
  heatmap.value = gone;
  await heatmap.updateComplete;
  point(heatmap, 'pointermove', 0.5, 0.5);
  await new Promise((resolve) => setTimeout(resolve));
  await heatmap.updateComplete;
  expect(textOf(heatmap, '.readout')).toBe('cache: it has been destroyed, its values are gone.');
  expect(textOf(heatmap, '.message')).toBe('');
  heatmap.value = valueThatIsGone(pattern);
  await heatmap.updateComplete;
  expect(textOf(heatmap, '.message')).toBe('cache: it has been destroyed, its values are gone.');
  heatmap.value = shownTensor(pattern);
  await heatmap.updateComplete;
  expect(textOf(heatmap, '.message')).toBe('');
});

test('another value of the same shape keeps the zoom; another shape shows all of it', async () => {
  const zoom = { row: 1, column: 1, rows: 2, columns: 2 };
  const { heatmap } = await placed({ zoom });
  heatmap.value = shownTensor(tensorOf('other', AXES, SHAPE, [1, 2]));
  await heatmap.updateComplete;
  expect(heatmap.zoom).toEqual(zoom);
  heatmap.value = shownTensor(tensorOf('longer', AXES, [1, 3, 6, 8], [1, 2]));
  await heatmap.updateComplete;
  expect(heatmap.zoom).toBe(null);
  heatmap.value = null;
  await heatmap.updateComplete;
  expect(textOf(heatmap, '.message')).toBe('Nothing to show.');
});

test('100 interactions and leaving the page leave GPU memory where it was', async () => {
  const device = await testDevice();
  const { value } = valueOnGpu(device, pattern);
  await withErrorScopes(device, async () => {
    (await place('hyaline-heatmap', { model: { device }, value })).remove(); // what all share is made once
    const calls = await countGpuCalls(device, async () => {
      const heatmap = await place('hyaline-heatmap', { model: { device }, value });
      const created = await countGpuCalls(device, async () => {
        for (let i = 0; i < 100; i++) {
          press(heatmap, i % 2 ? '+' : 'Escape');
          heatmap.index = { head_index: i % 3 };
          await heatmap.updateComplete;
        }
      });
      expect(created.created).toBe(0);
      heatmap.remove();
      document.body.append(heatmap); // paints again
      await heatmap.updateComplete;
      expect(new Set(new Uint32Array((await heatmap.pixels()).data.buffer)).size).toBeGreaterThan(5);
      heatmap.remove();
    });
    expect(calls.buffers).toBeGreaterThan(0);
    expect(calls.liveBuffers).toBe(0);
  });
});
