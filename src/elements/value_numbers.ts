// What elements read of a value: its numbers and its statistics, each once, however many elements ask. Nothing is read before somebody asks.
import type { Statistics, Tensor } from '../index.ts';
import { indexOfElement } from './axes_shown.ts';
import { bitsAt } from './float32_text.ts';
import type { ShownValue } from './shown_value.ts';

/** One number of a value: `hyaline-point` and `hyaline-select` carry it. */
export interface PointedNumber {
  /** Along every axis of the value, by name. */
  readonly index: Readonly<Record<string, number>>;
  /** The float32 number; masked attention scores are −Infinity. */
  readonly value: number;
  /** Its bits. */
  readonly bits: number;
}

/** The lowest float32. */
const MASKED = -3.4028234663852886e38;

interface Read {
  tensor?: Promise<Tensor>;
  paintable?: Promise<Float32Array>;
  statistics?: Promise<Statistics>;
}

const reads = new WeakMap<ShownValue, Read>();

function readOf(value: ShownValue): Read {
  const read = reads.get(value) ?? {};
  reads.set(value, read);
  return read;
}

/** The numbers of a value; the same promise each time, unless it failed. */
export function tensorOf(value: ShownValue): Promise<Tensor> {
  const read = readOf(value);
  read.tensor ??= forgetIfFailed(value.read(), () => delete read.tensor);
  return read.tensor;
}

/**
 * Attention scores, which are masked: the GPU has the lowest float32 there, and reading gives −Infinity. In no other value does −Infinity
 * mean that.
 */
export function isMasked({ name }: ShownValue): boolean {
  return name.endsWith('hook_attn_scores');
}

/** The numbers as a buffer on the GPU has them: what painters take. */
export function paintableOf(value: ShownValue): Promise<Float32Array> {
  const read = readOf(value);
  const unmask = ({ data }: Tensor) =>
    isMasked(value) ? data.map((x) => (x === Number.NEGATIVE_INFINITY ? MASKED : x)) : data;
  read.paintable ??= forgetIfFailed(tensorOf(value).then(unmask), () => delete read.paintable);
  return read.paintable;
}

/** The statistics of a value: its own (`CachedValue.stats`, on the GPU), else those of its numbers; the same promise each time, unless it failed. */
export function statisticsOf(value: ShownValue): Promise<Statistics> {
  const read = readOf(value);
  read.statistics ??= forgetIfFailed(
    hasStatistics(value) ? value.stats() : paintableOf(value).then(statisticsOfNumbers),
    () => delete read.statistics,
  );
  return read.statistics;
}

function forgetIfFailed<T>(promise: Promise<T>, forget: () => void): Promise<T> {
  promise.catch(forget);
  return promise;
}

function hasStatistics(value: ShownValue): value is ShownValue & { stats(): Promise<Statistics> } {
  return 'stats' in value && typeof value.stats === 'function';
}

/**
 * As `CachedValue.stats`, on the CPU: over the finite numbers, in float64, in two passes.
 * @param data with the lowest float32 where it is masked
 */
export function statisticsOfNumbers(data: ArrayLike<number>): Statistics {
  let [count, sum, squares, nanCount, infiniteCount, maskedCount] = [0, 0, 0, 0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < data.length; i++) {
    const x = data[i];
    if (Number.isNaN(x)) nanCount++;
    else if (!Number.isFinite(x)) infiniteCount++;
    else if (x === MASKED) maskedCount++;
    else {
      count++;
      sum += x;
      squares += x * x;
      if (x < min) min = x;
      if (x > max) max = x;
    }
  }
  if (count === 0) return { count, mean: 0, std: 0, min: 0, max: 0, norm: 0, nanCount, infiniteCount, maskedCount };
  const mean = sum / count;
  let deviations = 0;
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i]) && data[i] !== MASKED) deviations += (data[i] - mean) ** 2;
  }
  const std = Math.sqrt(deviations / count);
  return { count, mean, std, min, max, norm: Math.sqrt(squares), nanCount, infiniteCount, maskedCount };
}

/** Element `at` of a value. */
export function numberAt(tensor: Tensor, at: number): PointedNumber {
  return { index: indexOfElement(tensor, at), value: tensor.data[at], bits: bitsAt(tensor.data, at) };
}
