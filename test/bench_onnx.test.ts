// The ONNX graph that other engines get, run by a small float64 interpreter of ONNX's own operators and compared with the float64
// reference: every architecture and option, a whole text and one token behind a past. Whether real engines read the file is checked
// whenever they are measured.
import { describe, expect, test } from 'vitest';
import { type OnnxGraph, type OnnxNode, onnxGraph } from '../bench/onnx_graph.ts';
import { referenceForward } from '../src/index.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from './models/tiny.ts';

interface Value {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

const sizeOf = (dims: readonly number[]) => dims.reduce((product, size) => product * size, 1);

/** The element at these indices; a dimension of 1, or one that is missing in front, is repeated. */
function at({ dims, data }: Value, indices: readonly number[]): number {
  const own = indices.slice(indices.length - dims.length);
  return data[dims.reduce((index, size, axis) => index * size + (size === 1 ? 0 : own[axis]), 0)];
}

function make(dims: readonly number[], element: (indices: number[]) => number): Value {
  const data = Array.from({ length: sizeOf(dims) }, (_, flat) => {
    const indices: number[] = [];
    let rest = flat;
    for (const size of [...dims].reverse()) {
      indices.unshift(rest % size);
      rest = Math.floor(rest / size);
    }
    return element(indices);
  });
  return { dims, data };
}

function elementwise(a: Value, b: Value, f: (a: number, b: number) => number): Value {
  const rank = Math.max(a.dims.length, b.dims.length);
  const size = ({ dims }: Value, axis: number) => dims[axis - rank + dims.length] ?? 1;
  const dims = Array.from({ length: rank }, (_, axis) => {
    const [inA, inB] = [size(a, axis), size(b, axis)];
    if (inA !== inB && inA !== 1 && inB !== 1) throw new Error(`shapes [${a.dims}] and [${b.dims}] do not match`);
    return inA === 1 ? inB : inA;
  });
  return make(dims, (indices) => f(at(a, indices), at(b, indices)));
}

const map = ({ dims, data }: Value, f: (value: number) => number): Value => ({ dims, data: data.map(f) });

/** Each row along the last axis becomes another. */
function rows({ dims, data }: Value, f: (row: readonly number[]) => readonly number[]): Value {
  const length = dims[dims.length - 1];
  const out = Array.from({ length: data.length / length }, (_, row) => f(data.slice(row * length, (row + 1) * length)));
  return { dims: [...dims.slice(0, -1), out[0].length], data: out.flat() };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** Abramowitz and Stegun's series 7.1.6: exact to float64 for the arguments here. */
function erf(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; n < 200; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

function matMul(a: Value, b: Value): Value {
  const inner = a.dims[a.dims.length - 1];
  const [rowsOfB, columns] = b.dims.slice(-2);
  if (inner !== rowsOfB) throw new Error(`shapes [${a.dims}] and [${b.dims}] do not multiply`);
  return make([...a.dims.slice(0, -1), columns], (indices) => {
    const front = indices.slice(0, -2);
    const [row, column] = indices.slice(-2);
    let total = 0;
    for (let k = 0; k < inner; k++) total += at(a, [...front, row, k]) * at(b, [...front, k, column]);
    return total;
  });
}

const OPERATORS: Readonly<Record<string, (inputs: readonly Value[], attributes: OnnxNode['attributes']) => Value>> = {
  Add: ([a, b]) => elementwise(a, b, (x, y) => x + y),
  Sub: ([a, b]) => elementwise(a, b, (x, y) => x - y),
  Mul: ([a, b]) => elementwise(a, b, (x, y) => x * y),
  Div: ([a, b]) => elementwise(a, b, (x, y) => x / y),
  Identity: ([x]) => x,
  Relu: ([x]) => map(x, (value) => Math.max(value, 0)),
  Sigmoid: ([x]) => map(x, (value) => 1 / (1 + Math.exp(-value))),
  Tanh: ([x]) => map(x, Math.tanh),
  Sqrt: ([x]) => map(x, Math.sqrt),
  Erf: ([x]) => map(x, erf),
  MatMul: ([a, b]) => matMul(a, b),
  Shape: ([x]) => ({ dims: [x.dims.length], data: x.dims }),
  Softmax: ([x]) =>
    rows(x, (row) => {
      const weights = row.map((value) => Math.exp(value - Math.max(...row)));
      return weights.map((weight) => weight / sum(weights));
    }),
  ReduceMean: ([x]) => rows(x, (row) => [sum(row) / row.length]),
  LayerNormalization: ([x, w, b], attributes) =>
    rows(x, (row) => {
      const mean = sum(row) / row.length;
      const variance = sum(row.map((value) => (value - mean) ** 2)) / row.length;
      const scale = Math.sqrt(variance + (attributes.epsilon as { float: number }).float);
      return row.map((value, i) => ((value - mean) / scale) * w.data[i] + (b ? b.data[i] : 0));
    }),
  Gather: ([table, indices], attributes) => {
    const { int: axis } = attributes.axis as { int: number };
    const dims = [...table.dims.slice(0, axis), ...indices.dims, ...table.dims.slice(axis + 1)];
    return make(dims, (all) => {
      const picked = at(indices, all.slice(axis, axis + indices.dims.length));
      return at(table, [...all.slice(0, axis), picked, ...all.slice(axis + indices.dims.length)]);
    });
  },
  Slice: ([x, starts, ends, axes]) => {
    const [start, end, axis] = [starts, ends, axes].map(({ data }) => data[0]);
    const dims = x.dims.map((size, i) => (i === axis ? Math.min(end, size) - start : size));
    return make(dims, (indices) =>
      at(
        x,
        indices.map((index, i) => (i === axis ? index + start : index)),
      ),
    );
  },
  Concat: (parts, attributes) => {
    const { int: axis } = attributes.axis as { int: number };
    const dims = parts[0].dims.map((size, i) => (i === axis ? sum(parts.map((part) => part.dims[axis])) : size));
    return make(dims, (indices) => {
      let before = 0;
      for (const part of parts) {
        if (indices[axis] < before + part.dims[axis]) {
          return at(
            part,
            indices.map((index, i) => (i === axis ? index - before : index)),
          );
        }
        before += part.dims[axis];
      }
      throw new Error('an index beyond the last part');
    });
  },
  Transpose: ([x], attributes) => {
    const { ints: perm } = attributes.perm as { ints: readonly number[] };
    return make(
      perm.map((axis) => x.dims[axis]),
      (indices) =>
        at(
          x,
          perm.map((_, axis) => indices[perm.indexOf(axis)]),
        ),
    );
  },
  Reshape: ([x, shape]) => {
    const known = sizeOf(shape.data.filter((size) => size !== -1));
    return { dims: shape.data.map((size) => (size === -1 ? x.data.length / known : size)), data: x.data };
  },
};

/** Every value of a graph, by name. */
function interpret({ tensors, nodes }: OnnxGraph, inputs: Readonly<Record<string, Value>>): Map<string, Value> {
  const values = new Map(Object.entries(inputs));
  for (const { name, dims, data } of tensors) values.set(name, { dims, data: [...data] });
  for (const { op, inputs: names, output, attributes } of nodes) {
    const operands = names.map((name) => {
      const value = values.get(name);
      if (!value) throw new Error(`${op} reads ${name}, which nothing before it makes`);
      return value;
    });
    if (!OPERATORS[op]) throw new Error(`there is no operator ${op}`);
    values.set(output, OPERATORS[op](operands, attributes));
  }
  return values;
}

/** Both are float64 and add in other orders: γ over the roundings of one path, of which there are fewer than 2¹⁴, at values about 1. */
const TOLERANCE = 2 ** 14 * 2 ** -53;

function expectClose(got: readonly number[], want: ArrayLike<number>): void {
  expect(got).toHaveLength(want.length);
  const outside = got.filter((value, i) => !(Math.abs(value - want[i]) <= TOLERANCE));
  expect(outside).toEqual([]);
}

describe.each(Object.keys(TINY_CONFIGS))('the ONNX graph of %s', (name) => {
  const model = tinyModel(TINY_CONFIGS[name], 5);
  const { parsed: config } = model;
  const pos = Math.min(config.nCtx, 5);
  const [tokens] = randomTokens(config, 1, pos, 6);
  const ids = (...values: number[]): Value => ({ dims: [1, values.length], data: values });

  test("gives the reference's logits for a whole text", async () => {
    const weights = await canonicalWeights(model);
    const want = referenceForward(config, weights, [tokens]).get('logits')!.data;
    const graph = onnxGraph(config, weights);
    expectClose(interpret(graph, { input_ids: ids(...tokens) }).get('logits')!.data, want);
  });

  test('gives them for its last token behind a past that it made itself', async () => {
    const weights = await canonicalWeights(model);
    const want = referenceForward(config, weights, [tokens]).get('logits')!.data;
    const graph = onnxGraph(config, weights, { withPast: true });
    const { nLayers, nKeyValueHeads, dHead, dVocabOut } = config;
    let past: Record<string, Value> = {};
    for (let layer = 0; layer < nLayers; layer++) {
      for (const letter of ['k', 'v'])
        past[`past.${layer}.${letter}`] = { dims: [1, nKeyValueHeads, 0, dHead], data: [] };
    }
    let logits: readonly number[] = [];
    for (const [position, token] of tokens.entries()) {
      const values = interpret(graph, { input_ids: ids(token), position_ids: ids(position), ...past });
      logits = values.get('logits')!.data;
      past = Object.fromEntries(Object.keys(past).map((name) => [name, values.get(name.replace('past', 'present'))!]));
    }
    expectClose(logits, want.slice(-dVocabOut));
  });
});

test('an operation left out is noticed', async () => {
  const model = tinyModel(TINY_CONFIGS.gpt2, 5);
  const weights = await canonicalWeights(model);
  const [tokens] = randomTokens(model.parsed, 1, 5, 6);
  const want = referenceForward(model.parsed, weights, [tokens]).get('logits')!.data;
  const graph = onnxGraph(model.parsed, weights);
  const unmasked = graph.tensors.map((tensor) =>
    tensor.name === 'mask' ? { ...tensor, data: tensor.data.map(() => 0) as Float32Array } : tensor,
  );
  const input = { input_ids: { dims: [1, tokens.length], data: tokens } };
  const got = interpret({ ...graph, tensors: unmasked }, input).get('logits')!.data;
  expect(() => expectClose(got, want)).toThrow();
});
