// `<hyaline-value>`: the number that is pointed at down to its bits, beside the truth and another run; statistics and histogram. On values
// made by hand.
import axe from 'axe-core';
import { afterEach, expect, test } from 'vitest';
import '../../src/elements/index.ts';
import type { PointedNumber, ShownView } from '../../src/elements/index.ts';
import { testDevice } from '../device.ts';
import {
  next,
  place,
  plotOf,
  point,
  press,
  shownTensor,
  tensorOf,
  textOf,
  valueOnGpu,
  valueThatIsGone,
} from './hand_made.ts';

const AXES = ['batch', 'pos', 'd_model'];
const SHAPE = [1, 3, 8];
const numbers = Array.from({ length: 24 }, (_, i) => Math.fround((i - 10) / 10));
const stream = tensorOf('blocks.0.hook_resid_post', AXES, SHAPE, numbers);
const other = tensorOf(
  'blocks.0.hook_resid_post',
  AXES,
  SHAPE,
  numbers.map((x) => x * (1 + 2 ** -23)),
);

function heatmapOf(value: Element): Element {
  return value.shadowRoot?.querySelector('hyaline-heatmap') as Element;
}

/** What a table says, by its first column. */
function tableOf(value: Element, table: string): Record<string, string> {
  const terms = [...(value.shadowRoot?.querySelectorAll(`dl.${table} dt`) ?? [])];
  const text = (element: Element | null) => (element?.textContent ?? '').replace(/\s+/g, ' ').trim();
  return Object.fromEntries(terms.map((term) => [text(term), text(term.nextElementSibling)]));
}

afterEach(() => {
  document.body.replaceChildren();
});

test('a selected number: decimal, hexadecimal, bits, its unit in the last place', async () => {
  const { value } = valueOnGpu(await testDevice(), stream);
  const selected = { batch: 0, pos: 1, d_model: 3 };
  const inspector = await place('hyaline-value', { model: { device: await testDevice() }, value, selected });
  // Element 11 is 0.1: 0x3dcccccd = 2⁻⁴ · 1.6; 1 ULP is 2^(−4 − 23).
  expect(tableOf(inspector, 'number')).toEqual({
    element: 'pos 1 · d_model 3',
    decimal: '0.1',
    hex: '0x1.99999ap-4',
    bits: '0x3dcccccd',
    parts: '0 01111011 10011001100110011001101',
    '1 ULP': '2−27 = 7.45e-9',
  });
});

test('pointing shows a number, leaving shows the selected one again; events tell both', async () => {
  const inspector = await place('hyaline-value', { value: shownTensor(stream), selected: { pos: 0, d_model: 0 } });
  const heatmap = heatmapOf(inspector);
  const told: PointedNumber[] = [];
  for (const type of ['hyaline-point', 'hyaline-select']) {
    document.body.addEventListener(type, (event) => told.push((event as CustomEvent<PointedNumber>).detail), {
      once: true,
    });
  }
  const pointing = next(inspector, 'hyaline-point');
  point(heatmap, 'pointermove', 7.5 / 8, 2.5 / 3);
  await pointing;
  await inspector.updateComplete;
  expect(tableOf(inspector, 'number')).toMatchObject({ element: 'pos 2 · d_model 7', decimal: '1.3' });
  heatmap.dispatchEvent(new PointerEvent('pointerleave'));
  await inspector.updateComplete;
  expect(tableOf(inspector, 'number').decimal).toBe('-1');
  const selecting = next(inspector, 'hyaline-select');
  press(heatmap, 'Enter');
  await selecting;
  const index = { batch: 0, pos: 2, d_model: 7 };
  expect(told).toEqual([
    { index, value: Math.fround(1.3), bits: 0x3fa66666 },
    { index, value: Math.fround(1.3), bits: 0x3fa66666 },
  ]);
  expect(inspector.selected).toEqual(index);
});

test('with the truth in float64: the error in ULP and relative', async () => {
  const reference = Float64Array.from(stream.data);
  reference[11] = 0.1; // float32 has 0.1 + 1.49e-9
  const inspector = await place('hyaline-value', {
    value: shownTensor(stream),
    reference,
    selected: { pos: 1, d_model: 3 },
  });
  expect(tableOf(inspector, 'number')).toMatchObject({ float64: '0.1', error: '0.2000 ULP · relative 1.49e-8' });
  inspector.selected = { pos: 0, d_model: 0 };
  await inspector.updateComplete;
  expect(tableOf(inspector, 'number')).toMatchObject({ float64: '-1', error: 'none' });
});

test('with a compared value: its number, the difference, and the steps between them', async () => {
  const [value, compared] = [stream, other].map(shownTensor);
  const inspector = await place('hyaline-value', { value, compared, selected: { pos: 1, d_model: 3 } });
  // 0x3dcccccd · (1 + 2⁻²³) is 1.6 steps further: rounded to 2.
  expect(tableOf(inspector, 'number')).toMatchObject({
    compared: '0.10000002 0x3dcccccf',
    difference: '-1.49e-8 · 2 ULP',
  });
  inspector.selected = { pos: 1, d_model: 2 };
  await inspector.updateComplete;
  expect(tableOf(inspector, 'number').difference).toBe('none: the same bits');
});

test('either value or their difference is in the picture, in colours that serve both', async () => {
  const double = tensorOf(
    stream.name,
    AXES,
    SHAPE,
    numbers.map((x) => 2 * x),
  );
  const [value, compared] = [stream, double].map(shownTensor);
  const inspector = await place('hyaline-value', { value, compared });
  const legend = () => textOf(heatmapOf(inspector), '.legend');
  expect(legend()).toBe('-2.600 2.600');
  const [, second, third] = inspector.shadowRoot?.querySelectorAll<HTMLInputElement>('input[type=radio]') ?? [];
  const numberAt = async (index: Record<string, number>) => {
    inspector.selected = index;
    await inspector.updateComplete;
    point(heatmapOf(inspector), 'pointermove', 7.5 / 8, 2.5 / 3);
    await next(inspector, 'hyaline-point');
    await inspector.updateComplete;
    return textOf(heatmapOf(inspector), '.readout b');
  };
  second.click();
  await inspector.updateComplete;
  expect([inspector.shows, legend(), await numberAt({})]).toEqual(['compared', '-2.600 2.600', '2.6']);
  third.click();
  await inspector.updateComplete;
  expect([inspector.shows, legend(), await numberAt({})]).toEqual(['difference', '-1.300 1.300', '-1.3']);
  // What is told is the value's own number, whatever is in the picture.
  expect(tableOf(inspector, 'number').decimal).toBe('1.3');
});

test('a compared value of another shape is refused in words', async () => {
  const compared = shownTensor(tensorOf('other', AXES, [1, 2, 8], numbers));
  const inspector = await place('hyaline-value', { value: shownTensor(stream), compared });
  expect(textOf(inspector, '.head .wrong')).toBe('The compared value has another shape.');
  inspector.compared = null;
  await inspector.updateComplete;
  expect(textOf(inspector, '.head')).toBe('blocks.0.hook_resid_post batch 1 × pos 3 × d_model 8');
});

test('statistics and histogram of all elements', async () => {
  const data = [0, 1, 1, 4, Number.NaN, Number.POSITIVE_INFINITY];
  const inspector = await place('hyaline-value', { value: shownTensor(tensorOf('x', ['pos', 'd'], [2, 3], data)) });
  // Mean 6/4; squares 18; deviations 18 − 4 · 1.5² = 9.
  expect(tableOf(inspector, 'statistics')).toEqual({
    mean: '1.500',
    std: '1.500',
    min: '0',
    max: '4.000',
    norm: '4.243',
    finite: '4',
    masked: '0',
    NaN: '1',
    infinite: '1',
  });
  const histogram = inspector.shadowRoot?.querySelector('.histogram');
  expect(histogram?.querySelectorAll('rect.count')).toHaveLength(40);
  expect(histogram?.getAttribute('aria-label')).toBe(
    'Histogram of 4 numbers from 0 to 4.000: most, 2, are from 1.000 to 1.100.',
  );
});

test('what the user looks at stays when the value changes, and is told', async () => {
  const inspector = await place('hyaline-value', {
    value: shownTensor(stream),
    zoom: { row: 0, column: 2, rows: 2, columns: 2 },
  });
  const looking = next<ShownView>(inspector, 'hyaline-view');
  press(heatmapOf(inspector), 'Escape');
  expect(await looking).toEqual({ rows: 'pos', columns: 'd_model', index: { batch: 0 }, zoom: null });
  expect(inspector.zoom).toBe(null);
  const zoom = { row: 0, column: 2, rows: 2, columns: 2 };
  inspector.zoom = zoom;
  inspector.value = shownTensor(other);
  await inspector.updateComplete;
  expect(inspector.zoom).toEqual(zoom);
  inspector.value = shownTensor(tensorOf('y', AXES, [1, 4, 8], numbers));
  await inspector.updateComplete;
  expect(inspector.zoom).toBe(null);
});

test('a value that is gone leaves a message and empty tables', async () => {
  const inspector = await place('hyaline-value', { value: valueThatIsGone(stream), selected: { pos: 0 } });
  expect(textOf(heatmapOf(inspector), '.message')).toBe('cache: it has been destroyed, its values are gone.');
  expect(tableOf(inspector, 'number').decimal).toBe('–');
  expect(tableOf(inspector, 'statistics').mean).toBe('–');
});

test('axe finds nothing to object to, light or dark', async () => {
  const [value, compared] = [stream, other].map(shownTensor);
  const inspector = await place('hyaline-value', { value, compared, selected: { pos: 1, d_model: 3 } });
  plotOf(heatmapOf(inspector)).focus();
  const objections = async (scheme: string, background: string, options: axe.RunOptions) => {
    Object.assign(inspector.style, { colorScheme: scheme, background });
    const { violations } = await axe.run(inspector, options);
    return violations.map(({ id, nodes }) => `${scheme}: ${id}: ${nodes.map(({ html }) => html).join('; ')}`);
  };
  expect(await objections('light', '#ffffff', {})).toEqual([]);
  expect(await objections('dark', '#1e2125', { runOnly: ['color-contrast'] })).toEqual([]);
});
