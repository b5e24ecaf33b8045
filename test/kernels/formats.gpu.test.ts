// Rounding to a format on the GPU against numbers that are written out (formats.ts), bit for bit, in every kind of arithmetic: what is
// in the format, midpoints and what is beside them, zeros, NaN, overflow, and any pattern of bits.
import { describe, expect, test } from 'vitest';
import { type EditAxis, edit, ROW_FIELDS } from '../../src/kernels/edit.ts';
import {
  type FloatingFormat,
  NUMBER_FORMATS,
  type NumberFormat,
  roundGroups,
  roundTo,
} from '../../src/kernels/formats.ts';
import { type Kernel, MASKED } from '../../src/kernels/kernel.ts';
import type { Arithmetic } from '../../src/kernels/prelude.ts';
import { normal, seeded } from '../random.ts';
import { inChromeEvery } from '../sample.ts';
import { FORMAT_BITS, probesOf } from './formats.ts';
import { asFloats, GARBAGE, runKernel } from './harness.ts';

const WIDTH = 127;
const AXES: readonly EditAxis[] = [
  { name: 'batch', size: 'batch' },
  { name: 'pos', size: 'pos' },
  { name: 'width', size: WIDTH },
];

/** What the GPU makes of whole rows. */
async function roundOnGpu(
  format: NumberFormat,
  arithmetic: Arithmetic,
  values: Float32Array<ArrayBuffer>,
  { masked = false, kernel = edit(AXES, `round_${format}`) }: { masked?: boolean; kernel?: Kernel } = {},
) {
  const pos = values.length / WIDTH;
  // Everything is selected: strides of 0, and 1 for each index.
  const map = new Uint32Array(ROW_FIELDS + 1 + pos + 1 + WIDTH).fill(1);
  map.set([ROW_FIELDS, 0, 0, 0, 0, 0]);
  map[ROW_FIELDS + 1 + pos] = 0;
  const sizes = { elements: values.length, map_length: map.length, operand_length: 0, parameter_count: 1 };
  const dims = { batch: 1, pos, keys: pos, key_stride: pos, ...sizes };
  const variant = { dims, options: { masked }, arithmetic, has: (binding: string) => binding !== 'operand' };
  return (await runKernel(kernel, variant, { values, map, parameters: new Float32Array(1) }, GARBAGE[0])).out;
}

/** Index of the first element that is not this float32 number, or −1. Any NaN is one. */
function firstWrong(got: Uint32Array<ArrayBuffer>, want: ArrayLike<number>, arithmetic: Arithmetic): number {
  const numbers = asFloats(got);
  // What reproducible kernels store has no −0 and nothing up to 2⁻¹²⁶.
  const stored = (x: number) => (arithmetic !== 'fast' && Math.abs(x) <= 2 ** -126 ? 0 : x);
  return numbers.findIndex((x, i) => !Object.is(x, stored(want[i])));
}

/** Any bits at all, among which every third number has an exponent around the format's. */
function anything(count: number): Float32Array<ArrayBuffer> {
  const random = seeded(5);
  const words = Uint32Array.from({ length: count }, (_, i) => {
    const word = Math.floor(random() * 2 ** 32);
    return i % 3 === 0 ? (word & 0x807fffff) | ((100 + Math.floor(50 * random())) << 23) : word;
  });
  words.set([0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffbeef00, 0x7f800001, 0x7f7fffff, 0xff7fffff, 1]);
  return new Float32Array(words.buffer);
}

const wholeRows = (count: number) => WIDTH * Math.ceil(count / WIDTH);

/** Numbers of a floating format and around it, and what they are in it. */
function floatingInputs(format: FloatingFormat): { x: Float32Array<ArrayBuffer>; want: number[] } {
  const all = probesOf(format);
  const every = Math.ceil(all.length / 400_000);
  // Not a multiple of four, so that all kinds of probes are left.
  const probes = all.filter((_, i) => every === 1 || i % (2 * every + 1) < 2);
  const bits = anything(Math.max(120_000 - probes.length, 20_000));
  const x = new Float32Array(wholeRows(probes.length + bits.length));
  x.set(probes.map((probe) => probe.x));
  x.set(bits, probes.length);
  return { x, want: Array.from(x, (v, i) => probes[i]?.want ?? roundTo(format, v)) };
}

/** Rows of every size, with ties, zeros and what is no number, and what they are in int8. */
function int8Inputs(): { x: Float32Array<ArrayBuffer>; want: Float32Array<ArrayBuffer> } {
  const random = seeded(6);
  const rows = 900;
  const x = new Float32Array(rows * WIDTH);
  for (let row = 0; row < rows; row++) {
    const size = 2 ** Math.floor(280 * random() - 150);
    const value = (i: number) => {
      // Ties: the largest is 254 units.
      if (row % 3 === 0) return i % 5 === 0 ? 254 : i - 60;
      return normal(random) * (i % 2 === 0 ? 1 : 2 ** (-i / 12));
    };
    for (let i = 0; i < WIDTH; i++) x[row * WIDTH + i] = size * value(i);
    if (row % 50 === 1) x.set([Number.NaN, Number.POSITIVE_INFINITY, -0, 1e-45, MASKED], row * WIDTH);
    if (row % 50 === 2) x.fill(0, row * WIDTH, (row + 1) * WIDTH);
  }
  return { x, want: roundGroups('int8', x, (i) => Math.floor(i / WIDTH)) };
}

const FLOATING = Object.keys(FORMAT_BITS) as FloatingFormat[];

describe.each(inChromeEvery(2, ['fast', 'reproducible', 'guarded'] as const))('%s', (arithmetic) => {
  test.each(FLOATING)('%s: numbers and midpoints of it, and any bits', async (format) => {
    const { x, want } = floatingInputs(format);
    const got = await roundOnGpu(format, arithmetic, x);
    const at = firstWrong(got, want, arithmetic);
    expect(at, `${x[at]} is ${want[at]}, came out as ${asFloats(got)[at]}`).toBe(-1);
    expect(x.length).toBeGreaterThanOrEqual(100_000);
  });

  test('int8: rows of every size', async () => {
    const { x, want } = int8Inputs();
    const got = await roundOnGpu('int8', arithmetic, x);
    const at = firstWrong(got, want, arithmetic);
    expect(at, `${x[at]} is ${want[at]}, came out as ${asFloats(got)[at]}`).toBe(-1);
    expect(x.length).toBeGreaterThanOrEqual(100_000);
    expect(new Set(want).size).toBeGreaterThan(10_000);
  });
});

describe('the comparison sees', () => {
  const mutants: [string, NumberFormat, string, string][] = [
    ['ties that go up', 'bf16', '- 1u + ((n >> drop) & 1u)', ''],
    ['subnormal numbers that are 0', 'f16', 'u, 0u, count == 0u)', 'u, 0u, true)'],
    ['an overflow that stays', 'fp8_e5m2', 'min(rounded_magnitude, ', 'max(rounded_magnitude, 0u & '],
    ['a code that is rounded down', 'int8', 'rest > divisor - rest', 'rest == divisor'],
    ['a quotient whose rest is forgotten', 'int8', '% 127u != 0u)', '% 127u == 200u)'],
  ];
  test.each(mutants)('%s (%s)', async (_, format, from, to) => {
    const kernel = edit(AXES, `round_${format}`);
    const wgsl: Kernel['wgsl'] = (variant) => {
      const source = kernel.wgsl(variant);
      if (!source.includes(from)) throw new Error(`edit has no "${from}" to replace`);
      return source.replace(from, to);
    };
    const { x, want } = format === 'int8' ? int8Inputs() : floatingInputs(format);
    const got = await roundOnGpu(format, 'fast', x, { kernel: { ...kernel, wgsl } });
    expect(firstWrong(got, want, 'fast')).not.toBe(-1);
  });
});

test.each(NUMBER_FORMATS)('%s: masked scores stay, and count for no scale', async (format) => {
  const random = seeded(9);
  const x = Float32Array.from({ length: 40 * WIDTH }, (_, i) => (i % 3 === 1 ? MASKED : 9 * normal(random)));
  const rounded = roundGroups(
    format,
    x.map((v) => (v === MASKED ? 0 : v)),
    (i) => Math.floor(i / WIDTH),
  );
  const got = await roundOnGpu(format, 'guarded', x, { masked: true });
  expect(
    firstWrong(
      got,
      rounded.map((v, i) => (x[i] === MASKED ? MASKED : v)),
      'guarded',
    ),
  ).toBe(-1);
});
