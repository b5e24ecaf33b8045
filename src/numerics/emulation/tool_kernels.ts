// The kernels beside a forward pass (statistics, interventions, attribution, head scores) in float32 arithmetic, by name.
import { formatOf } from '../../kernels/edit.ts';
import { roundTo } from '../../kernels/formats.ts';
import { type Arithmetic, BLOCK, bitsOf, fromBits, MASKED, stored } from './arithmetic.ts';
import { type EmulatedKernel, floats, integers, optional, Sums } from './emulated_kernel.ts';
import { divide, exponential } from './functions.ts';
import { sample } from './sample.ts';

const mean: EmulatedKernel = (inputs, { batch, pos, columns }, _, arithmetic) => {
  const x = floats(inputs, 'x');
  const sums = new Sums(arithmetic, pos);
  const out = Float32Array.from({ length: batch * columns }, (_, i) => {
    const first = Math.floor(i / columns) * pos * columns + (i % columns);
    return stored(
      divide(
        sums.sum(pos, BLOCK, (row) => x[first + row * columns]),
        pos,
      ),
    );
  });
  return { out };
};

/** Elements that one summary covers. */
const CHUNK = 256;

const statistics: EmulatedKernel = (inputs, { chunks, fields }, _, arithmetic) => {
  const { round } = arithmetic;
  const bits = integers(inputs, 'x');
  const out = new Float32Array(chunks * fields);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const words = bits.subarray(chunk * CHUNK, (chunk + 1) * CHUNK);
    const magnitudes = words.map((word) => word & 0x7fffffff);
    const isMasked = (i: number) => words[i] === bitsOf(MASKED);
    const indices = Array.from(words.keys());
    const finite = indices.filter((i) => magnitudes[i] < 0x7f800000 && !isMasked(i));
    const values = finite.map((i) => fromBits(words[i]));
    const largest = finite.reduce((most, i) => Math.max(most, magnitudes[i]), 0);
    const exponent = Math.min(255 - (largest >>> 23), 254);
    const factor = fromBits(exponent << 23);
    // In sequence: a chunk is one invocation's.
    let sum = 0;
    for (const value of values) sum = round(round(value * factor) + sum);
    const average = values.length > 0 ? divide(sum, values.length) : 0;
    let squares = 0;
    for (const value of values) {
      const centred = round(round(value * factor) - average);
      squares = round(round(centred * centred) + squares);
    }
    out.set(
      [
        values.length,
        average,
        squares,
        127 - exponent,
        values.length > 0 ? Math.min(...values) : 0,
        values.length > 0 ? Math.max(...values) : 0,
        indices.filter((i) => magnitudes[i] > 0x7f800000).length,
        indices.filter((i) => magnitudes[i] === 0x7f800000).length,
        indices.filter(isMasked).length,
      ],
      chunk * fields,
    );
  }
  return { out };
};

const residualStack: EmulatedKernel = (inputs, dims, { centred }, arithmetic) => {
  const { round } = arithmetic;
  const { batch, pos, d_model, component_stride, row_stride, factor_stride, direction_stride } = dims;
  const x = floats(inputs, 'x');
  const [elements, rows] = [integers(inputs, 'elements'), integers(inputs, 'rows')];
  const [factor, scale] = [optional(inputs, 'factor'), optional(inputs, 'scale')];
  const [direction, minus, gain] = ['direction', 'minus', 'gain'].map((name) => optional(inputs, name));
  const vectors = new Float32Array(batch * pos * d_model);
  const projected = new Float32Array(batch * pos);
  const sums = new Sums(arithmetic, d_model);
  for (let vector = 0; vector < batch * pos; vector++) {
    const [element, row] = [elements[Math.floor(vector / pos)], rows[vector % pos]];
    const first = element * component_stride + row * row_stride;
    const times = factor?.[row * factor_stride + element];
    const value = (d: number) => (times === undefined ? x[first + d] : round(times * x[first + d]));
    const average = centred ? divide(sums.sum(d_model, BLOCK, value), d_model) : 0;
    const directionAt = (d: number) => {
      const i = (vector % pos) * direction_stride + d;
      const difference = minus ? round((direction?.[i] ?? 0) - minus[i]) : (direction?.[i] ?? 0);
      return gain ? round(difference * gain[d]) : difference;
    };
    if (direction) {
      const dot = sums.sum(d_model, BLOCK, (d) => round(round(value(d) - average) * directionAt(d)));
      projected[vector] = stored(scale ? divide(dot, scale[row]) : dot);
    }
    for (let d = 0; d < d_model; d++) {
      const centredValue = round(value(d) - average);
      vectors[vector * d_model + d] = stored(scale ? divide(centredValue, scale[row]) : centredValue);
    }
  }
  return { vectors, projected };
};

const patternMatch: EmulatedKernel = (inputs, { batch, n_heads, pos }, options, arithmetic) => {
  const { round } = arithmetic;
  const [pattern, detection] = [floats(inputs, 'pattern'), floats(inputs, 'detection')];
  const sums = new Sums(arithmetic, pos);
  const count = batch * n_heads * pos;
  const [matched, total, difference] = [0, 1, 2].map(() => new Float32Array(count));
  for (let i = 0; i < count; i++) {
    const query = i % pos;
    const detectionRow = (Math.floor(i / (pos * n_heads)) * pos + query) * pos;
    // What is left out adds nothing.
    const sum = (term: (attention: number, wanted: number) => number) =>
      stored(
        sums.sum(pos, BLOCK, (key) => {
          const isLeftOut = (options.excludeBos && key === 0) || (options.excludeCurrentToken && key === query);
          return isLeftOut ? 0 : term(pattern[i * pos + key], detection[detectionRow + key]);
        }),
      );
    matched[i] = sum((attention, wanted) => round(attention * wanted));
    total[i] = sum((attention) => attention);
    difference[i] = sum((attention, wanted) => Math.abs(round(attention - wanted)));
  }
  return { matched, total, difference };
};

const topTokens: EmulatedKernel = (inputs, { batch, pos, d_vocab_out, k }, _, arithmetic) => {
  const logits = floats(inputs, 'logits');
  const sums = new Sums(arithmetic, d_vocab_out);
  const top = new Float32Array(batch * pos * k * 2);
  const total = new Float32Array(batch * pos);
  for (let row = 0; row < batch * pos; row++) {
    const values = logits.subarray(row * d_vocab_out, (row + 1) * d_vocab_out);
    const ids = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
    ids.slice(0, k).forEach((id, rank) => {
      top.set([id, values[id]], (row * k + rank) * 2);
    });
    const maximum = values[ids[0]];
    total[row] = stored(sums.sum(d_vocab_out, BLOCK, (id) => exponential(arithmetic.round(values[id] - maximum))));
  }
  return { top, total };
};

const markToken: EmulatedKernel = (inputs, { batch, d_vocab_out }) => {
  const seen = new Uint32Array(batch * d_vocab_out);
  integers(inputs, 'token').forEach((id, row) => {
    seen[row * d_vocab_out + id] = 1;
  });
  return { seen: new Float32Array(seen.buffer) };
};

/** By the name of the kernel. */
export const TOOL_KERNELS: Readonly<Record<string, EmulatedKernel>> = {
  mean,
  statistics,
  residual_stack: residualStack,
  pattern_match: patternMatch,
  top_tokens: topTokens,
  sample,
  mark_token: markToken,
};

/** Words of a map's part for each row, before the axes' own (kernels/edit.ts). */
const ROW_FIELDS = 5;

/**
 * The kernel that edits values of this shape (its first axis is the batch); `op` as there, but for expressions, which are the
 * user's WGSL and promise nothing.
 */
export function emulatedEdit(shape: readonly number[], op: string): EmulatedKernel {
  const width = shape[shape.length - 1];
  return (inputs, _, { masked }, arithmetic) => {
    const [values, map] = [floats(inputs, 'values'), integers(inputs, 'map')];
    const operand = optional(inputs, 'operand') ?? new Float32Array();
    const parameters = floats(inputs, 'parameters');
    const sums = new Sums(arithmetic, width);
    const keepsMasked = masked && (['add', 'scale', 'project_out'].includes(op) || formatOf(op) !== null);
    const out = values.map((value, element) => {
      const place = placeOf(element, shape, map);
      if (!place || (keepsMasked && value <= MASKED)) return value;
      const edited = apply(op, arithmetic, {
        ...{ value, at: operand[place.at], k: parameters[place.given], k1: parameters[place.given + 1] },
        along: () => {
          const first = element - (element % width);
          const [a, b] = [values, operand].map((data) => ({ data, stride: 1 }));
          return sums.dot(width, BLOCK, { ...a, first }, { ...b, first: place.direction });
        },
        largest: () => {
          const first = element - (element % width);
          const counted = values
            .subarray(first, first + width)
            .filter((x) => Number.isFinite(x) && (!masked || x > MASKED));
          return counted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        },
      });
      return stored(masked ? Math.max(edited, MASKED) : edited);
    });
    return { out };
  };
}

/** Where an element's operand and its row's parameters are; null if it is not selected. */
function placeOf(element: number, shape: readonly number[], map: Uint32Array) {
  const index = shape.map((size, axis) => {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    return Math.floor(element / inner) % size;
  });
  const [first, direction, given] = map.subarray(index[0] * ROW_FIELDS);
  if (first === 0) return null;
  let begin = first;
  let at = direction;
  for (let axis = 1; axis < shape.length; axis++) {
    const to = map[begin + 1 + index[axis]];
    if (to === 0) return null;
    at += (to - 1) * map[begin];
    begin += 1 + shape[axis];
  }
  return { at, direction, given };
}

interface Operands {
  readonly value: number;
  /** The element's operand. */
  readonly at: number;
  /** The row's first two parameters. */
  readonly k: number;
  readonly k1: number;
  /** The component of the element's vector along the row's direction. */
  readonly along: () => number;
  /** The largest finite magnitude of the element's vector. */
  readonly largest: () => number;
}

function apply(op: string, { round }: Arithmetic, { value, at, k, k1, along, largest }: Operands): number {
  const format = formatOf(op);
  if (format) return format === 'int8' ? roundTo(format, value, largest()) : roundTo(format, value);
  switch (op) {
    case 'zero':
      return 0;
    case 'set':
      return at;
    case 'add':
      return round(round(k * at) + value);
    case 'scale':
      return round(value * k);
    case 'clamp':
      return Number.isNaN(value) ? value : Math.min(Math.max(value, k), k1);
    case 'project_out':
      return round(round(-along() * at) + value);
    default:
      throw new Error(`emulation: no edit "${op}".`);
  }
}
