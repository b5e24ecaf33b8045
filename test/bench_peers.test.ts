// What other engines are held to before they are timed: plain float32 in one long sum passes, and what is wrong does not.
import { describe, expect, test } from 'vitest';
import { normTask, orderSlack, productTask, softmaxTask, type Task } from '../bench/peers_tasks.ts';

const { fround } = Math;

/** Each element of each row from the row's values, added up one after the other in float32. */
function byRows(x: Float32Array, columns: number, f: (row: readonly number[]) => readonly number[]): Float32Array {
  const out: number[] = [];
  for (let first = 0; first < x.length; first += columns) out.push(...f([...x.subarray(first, first + columns)]));
  return Float32Array.from(out);
}

const sum = (values: readonly number[]) => values.reduce((total, value) => fround(total + value), 0);

function product({ x, w, dIn, dOut, count }: ReturnType<typeof productTask>): Float32Array {
  const once = (row: readonly number[]) =>
    Array.from({ length: dOut }, (_, n) => sum(row.map((value, k) => fround(value * w[k * dOut + n]))));
  return byRows(x, dIn, (row) =>
    Array.from({ length: count }).reduce<readonly number[]>((values) => once(values), row),
  );
}

function softmax({ x, columns }: ReturnType<typeof softmaxTask>): Float32Array {
  return byRows(x, columns, (row) => {
    const weights = row.map((value) => fround(Math.exp(fround(value - Math.max(...row)))));
    const total = sum(weights);
    return weights.map((weight) => fround(weight / total));
  });
}

function layerNorm({ x, w, b, eps, columns }: ReturnType<typeof normTask>): Float32Array {
  return byRows(x, columns, (row) => {
    const mean = fround(sum(row) / columns);
    const centred = row.map((value) => fround(value - mean));
    const variance = fround(sum(centred.map((value) => fround(value * value))) / columns);
    const scale = fround(Math.sqrt(fround(variance + eps)));
    return centred.map((value, i) => fround(fround(fround(value / scale) * w[i]) + b[i]));
  });
}

const three = productTask('three products', { rows: 5, dIn: 64, dOut: 64, count: 3 });
const one = productTask('a product', { rows: 40, dIn: 33, dOut: 7 });
const soft = softmaxTask('softmax', { rows: 3, columns: 65 });
const norm = normTask('layer norm', { rows: 3, columns: 65 });
const RESULTS: readonly (readonly [Task, Float32Array])[] = [
  [one, product(one)],
  [three, product(three)],
  [soft, softmax(soft)],
  [norm, layerNorm(norm)],
];

describe.each(RESULTS.map(([task, right]) => ({ what: task.name, task, right })))('$what', ({ task, right }) => {
  const changed = (index: number, value: number) => right.map((before, i) => (i === index ? value : before));

  test('passes in float32 with one long sum', () => {
    expect(task.check(right)).toMatchObject({
      passed: true,
      detail: expect.stringMatching(/^largest error .* of its bound$/),
    });
  });

  test('fails with one element off, NaN, or another length', () => {
    expect(task.check(changed(2, right[2] + 0.02)).passed).toBe(false);
    expect(task.check(changed(2, Number.NaN)).passed).toBe(false);
    expect(task.check(right.slice(1)).passed).toBe(false);
    expect(task.check(new Float32Array()).passed).toBe(false);
  });
});

test('a product that is left out, or a transposed matrix, is noticed', () => {
  expect(three.check(product({ ...three, count: 2 })).passed).toBe(false);
  const transposed = three.w.map((_, i) => three.w[(i % 64) * 64 + Math.floor(i / 64)]);
  expect(three.check(product({ ...three, w: transposed })).passed).toBe(false);
});

test('every row of a product is compared', () => {
  const right = product(one);
  for (let row = 0; row < 40; row++) {
    const wrong = right.map((value, i) => (Math.floor(i / 7) === row ? value + 0.01 : value));
    expect(one.check(wrong).passed).toBe(false);
  }
});

test('the worst order of 512 terms takes 512 roundings, ours 25', () => {
  const sizes = { dModel: 128, dMlp: 512, nHeads: 4, dHead: 32 } as Parameters<typeof orderSlack>[0];
  expect(orderSlack(sizes, 192)).toBeCloseTo(512 / 25, 2);
});
