// What the inputs of a kernel's cases hold: tame numbers, and numbers that break kernels which are only right for tame ones.
// All are float32 values (or u32), so that a reference gets exactly what the GPU gets.

import type { SamplingOptions } from '../../src/kernels/choose_token.ts';
import { axisMapLength, ROW_FIELDS } from '../../src/kernels/edit.ts';
import { type Dims, MASKED } from '../../src/kernels/kernel.ts';
import { SAMPLE_PARAMETERS, sampleParameters } from '../../src/kernels/sample_parameters.ts';
import { normal } from '../random.ts';

/** Where the elements go: rows of `stride`, of which the last `stride − used` are padding that no result may depend on. */
export interface Room {
  readonly count: number;
  readonly stride: number;
  readonly used: number;
  readonly dims: Dims;
  readonly random: () => number;
}

/** In padding, which kernels may read but never let count. */
const PADDING = 54321;

type Fill = (room: Room) => Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Fills every used element by its index in the row and the row's number. */
function each(value: (random: () => number, column: number, row: number, used: number) => number): Fill {
  return ({ count, stride, used, random }) =>
    Float32Array.from({ length: count }, (_, i) => {
      const column = i % stride;
      return column < used ? value(random, column, Math.floor(i / stride), used) : PADDING;
    });
}

/** Attention scores or patterns [.., pos, keys]: one value per query and key. */
function square(value: (random: () => number, query: number, key: number, keys: number) => number): Fill {
  return ({ count, dims: { pos, keys }, random }) =>
    Float32Array.from({ length: count }, (_, i) => value(random, Math.floor(i / keys) % pos, i % keys, keys));
}

/** Rows that sum to 1 over the keys up to the query, as a softmax leaves them. */
const pattern: Fill = ({ count, dims: { pos }, random }) => {
  const weights = new Float32Array(count);
  for (let first = 0; first < count; first += pos) {
    const query = (first / pos) % pos;
    const row = Array.from({ length: query + 1 }, () => Math.exp(2 * normal(random)));
    const total = row.reduce((sum, weight) => sum + weight, 0);
    for (let key = 0; key <= query; key++) weights[first + key] = row[key] / total;
  }
  return weights;
};

const angles = (of: (angle: number) => number) => each((_, column, row) => of((row + 1) / 3 ** column));

/** How `statistics` is made to meet everything a float32 can be, and a chunk without any finite element. */
const mixed: Fill = ({ count, random }) =>
  Float32Array.from({ length: count }, (_, i) => {
    if (i >= 256 && i < 512) return [Number.NaN, MASKED, Number.POSITIVE_INFINITY][i % 3];
    const kind = Math.floor(random() * 10);
    if (kind === 0) return Number.NaN;
    if (kind === 1) return MASKED;
    if (kind === 2) return random() < 0.5 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    return normal(random);
  });

/** Maps of an edit (kernels/edit.ts) of three rows of [pos, width], of which the second is left alone. */
const editMaps =
  (strides: (width: number) => readonly number[], source: (index: number, size: number) => number): Fill =>
  ({ count, dims: { pos, width } }) => {
    const map = new Uint32Array(count);
    const length = axisMapLength([pos, width]);
    const begin = 3 * ROW_FIELDS;
    map.set([begin, 0, 0, 0, 0]);
    map.set([begin + length, pos * width, 16, 0, 0], 2 * ROW_FIELDS);
    [0, 1].forEach((which) => {
      let at = begin + which * length;
      [pos, width].forEach((size, axis) => {
        map[at] = strides(width)[axis];
        for (let index = 0; index < size; index++) map[at + 1 + index] = source(index + which, size);
        at += 1 + size;
      });
    });
    return map;
  };

/** Numbers of a row: tame, of all signs and sizes, cancelling, and such that products and sums lie halfway between two float32. */
const KINDS: readonly ((random: () => number, column: number) => number)[] = [
  normal,
  (random) => 1000 + normal(random),
  (random) => 1e4 * normal(random),
  (random) => 1e-20 * normal(random),
  (random) => 1e-37 * normal(random),
  (random) => 2 ** Math.floor(40 * (random() - 0.5)) * normal(random),
  () => -1000.1,
  (_, column) => (column % 7 === 2 ? 1 : 0),
  () => 0,
  (random, column) => (column % 2 === 0 ? 1000 : -1000) + normal(random),
  (random) => 1 + Math.floor(4096 * random()) / 4096,
  (random) => (random() < 0.5 ? -1 : 1) * (1 + Math.floor(4096 * random()) / 4096),
  (random) => 220 * (random() - 0.5),
  (random) => (random() < 0.5 ? 0 : normal(random)),
];

/** Of the kernel `sample`: every filter by itself, all together, and a penalty whose products are infinite. */
const DRAWS: readonly SamplingOptions[] = [
  { temperature: 1 },
  { temperature: 0.7, topK: 5 },
  { temperature: 1.3, topP: 0.83 },
  { temperature: 1, minP: 0.05, repetitionPenalty: 1.3 },
  { temperature: 2, topK: 40, topP: 0.9, minP: 0.001, repetitionPenalty: 0.8 },
  { temperature: 0.01 },
  { temperature: 1000, topK: 33 },
  { temperature: 1e30, repetitionPenalty: 1e-38 },
];
/** One of them for each row, from the last position. */
const draws: Fill = ({ count, dims: { pos } }) => {
  const words = Array.from({ length: count / SAMPLE_PARAMETERS }, (_, row) =>
    Array.from(sampleParameters({ ...DRAWS[row % DRAWS.length], seed: 11 + row }, { at: pos - 1, step: row, row })),
  );
  return Uint32Array.from(words.flat());
};

/** Two in five are 1. */
const flags: Fill = ({ count, random }) => Uint32Array.from({ length: count }, () => (random() < 0.4 ? 1 : 0));

const FILLS = {
  normal: each(normal),
  'mean 1000': each((random) => 1000 + normal(random)),
  'magnitude 1e4': each((random) => 1e4 * normal(random)),
  'tiny, 1e-20': each((random) => 1e-20 * normal(random)),
  /** Some are subnormal, and the results of many more: an adapter may take those as 0. */
  'near underflow, 1e-37': each((random) => 1e-37 * normal(random)),
  /** Sums of two, and squares, are beyond the largest float32. */
  'huge, 3e38': each((random) => 3e38 * (2 * random() - 0.9)),
  'magnitude 3e19': each((random) => 3e19 * normal(random)),
  'all equal': each(() => 1000.1),
  'one-hot rows': each((_, column, row, used) => (column === (5 * row + 2) % used ? 1 : 0)),
  zeros: each(() => 0),
  /** Neighbours nearly cancel: a sum over a row is a thousandth of its terms, or less. */
  alternating: each((random, column) => (column % 2 === 0 ? 1000 : -1000) + normal(random)),
  /** Where activations bend, saturate and underflow. */
  'from -110 to 110': each((random) => 220 * (random() - 0.5)),
  'causal scores': square((random, query, key) => (key > query ? MASKED : 3 * normal(random))),
  'causal scores of magnitude 1e4': square((random, query, key) => (key > query ? MASKED : 1e4 * normal(random))),
  'scores without a mask': square((random) => 3 * normal(random)),
  'every third row masked': square((random, query) => (query % 3 === 1 ? MASKED : normal(random))),
  'one key per row': square((random, query, key, pos) => (key === (3 * query + 1) % pos ? normal(random) : MASKED)),
  /** Every 64th row is whole, the rest masked: long rows at a bearable price. */
  'a few long rows': square((random, query) => (query % 64 === 0 ? 2 * normal(random) : MASKED)),
  pattern,
  /** What a hook may write into a pattern: no longer positive, causal or normalised. */
  'written pattern': square(normal),
  /** What norms divide by. */
  scales: each((random) => 0.1 + 3 * random()),
  cos: angles(Math.cos),
  sin: angles(Math.sin),
  mixed,
  'every kind of row': each((random, column, row) => KINDS[row % KINDS.length](random, column)),
  /** Every fourth index is not selected, the others are turned around. */
  'map of some elements': editMaps(
    (width) => [width, 1],
    (index, size) => (index % 4 === 3 ? 0 : size - (index % size)),
  ),
  'map of a direction': editMaps(
    () => [0, 1],
    (index, size) => 1 + (index % size),
  ),
  ascending: each((_, column) => column - 1.5),
  'draws of every kind': draws,
  flags,
  /** As models give them, with a few beside the rest. */
  logits: each((random) => 3 * normal(random) + (random() < 0.02 ? 9 : -5)),
  'every third masked': each((random, column) => (column % 3 === 1 ? MASKED : normal(random))),
} satisfies Record<string, Fill>;

/** The name of a way to fill an input; `tokens: n` are ids below n; earlier positions are one number for each row. */
export type Filling =
  | keyof typeof FILLS
  | `tokens: ${number}`
  | 'no earlier positions'
  | `earlier positions: ${string}`;

/** Elements for an input. */
export function fill(filling: Filling, room: Room): Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  if (filling === 'no earlier positions') return new Uint32Array(room.count);
  if (filling.startsWith('earlier positions: ')) return Uint32Array.from(filling.slice(19).split(', '), Number);
  if (!(filling in FILLS)) {
    const vocabulary = Number(filling.slice('tokens: '.length));
    return Uint32Array.from({ length: room.count }, () => Math.floor(room.random() * vocabulary));
  }
  return FILLS[filling as keyof typeof FILLS](room);
}

/** What hard inputs of most kernels are, besides tame ones. */
export const HARD: readonly Filling[] = [
  'mean 1000',
  'magnitude 1e4',
  'tiny, 1e-20',
  'near underflow, 1e-37',
  'all equal',
  'one-hot rows',
  'zeros',
  'alternating',
];
