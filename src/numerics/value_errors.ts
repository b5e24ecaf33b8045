// The errors of one value of a run: how large they are, and how much of them its own operation made. Arrays in, figures out;
// nothing here runs a model. Every figure is a number or null, so that JSON keeps it as it is.

import { normalSteps } from './normal_steps.ts';
import type { ReferenceValue } from './reference.ts';

/** One value as the engine has it and twice in float64; all of one shape, row-major. */
export interface ComparedValue {
  readonly shape: readonly number[];
  readonly axes: readonly string[];
  /** float32; masked scores are −Infinity. */
  readonly engine: ArrayLike<number>;
  /** The true value; its bound is that of all operations up to here. */
  readonly exact: Pick<ReferenceValue, 'data' | 'bound'>;
  /** What the operation makes of the engine's own inputs; its bound is that of this one operation. */
  readonly local: Pick<ReferenceValue, 'data' | 'bound'>;
  /** The true value with the weights that the engine's were made from. `exact` is then that of the engine's own. */
  readonly original?: Pick<ReferenceValue, 'data'>;
}

/** Which elements are compared, and why the others are not. They add up to `total`. */
export interface ElementCounts {
  readonly total: number;
  readonly compared: number;
  /** Scores and pattern of keys after their query, −Infinity or 0 in the engine and in float64 alike. */
  readonly masked: number;
  /** NaN in the engine. */
  readonly nan: number;
  /** Infinite in the engine. */
  readonly infinite: number;
  /** Finite in the engine, but not in float64: an input was NaN or infinite. */
  readonly unreferenced: number;
  /** Of `nan` and `infinite`: those that float64 has a finite number for, given the engine's inputs. This operation made them. */
  readonly notFiniteMade: number;
}

/** Size of an error over the compared elements; null where none is. `relative…` is in units of the RMS of the true value. */
export interface ErrorSize {
  readonly max: number | null;
  readonly rms: number | null;
  /** Null where the true value is all zeros and the error is not. */
  readonly relativeMax: number | null;
  readonly relativeRms: number | null;
}

/** A part of the error. */
export interface ErrorPart extends ErrorSize {
  /**
   * ⟨part, error⟩ / ⟨error, error⟩: what the part has of the whole. The shares of all parts add up to 1; one is negative where it
   * cancels some of the others. Null where there is no error to share.
   */
  readonly share: number | null;
}

/** Errors beside their worst-case bounds. */
export interface BoundCheck {
  /** Whether every element that is not masked is a number and within a finite bound. */
  readonly within: boolean;
  /** The largest bound; null where an element has none. */
  readonly max: number | null;
  /** The largest |error| / bound over elements with a finite one; null where there is none, or where an error meets a bound of 0. */
  readonly ratio: number | null;
  /** Elements whose error is above the bound. */
  readonly outside: number;
  /** Elements without a finite bound. */
  readonly unbounded: number;
}

export interface WorstPosition {
  /** Index along `batch`, and along `pos` or `query_pos`. */
  readonly row: number;
  readonly pos: number;
  /** RMS of the position's error, as it is and in units of the RMS of its true elements (null where those are all zero). */
  readonly rms: number;
  readonly relativeRms: number | null;
}

export interface ValueErrors {
  readonly counts: ElementCounts;
  /** RMS of the true value. */
  readonly rms: number | null;
  /** engine − exact; with original weights, engine − original. */
  readonly error: ErrorSize;
  /** |error| / |exact| element by element, over those that are not 0 in truth. */
  readonly elementwise: { readonly max: number | null; readonly rms: number | null };
  /** Steps between the engine's number and the true one rounded to float32; `histogram` counts elements by `ULP_BINS`. */
  readonly ulps: { readonly median: number | null; readonly max: number | null; readonly histogram: readonly number[] };
  /** 1 − cos of the angle between engine and exact, accurate to about 8 digits however small; null where one of them is 0. */
  readonly cosineDistance: number | null;
  /** engine − local: what this operation made. */
  readonly local: ErrorPart;
  /** local − exact: what its inputs brought. `local` + `inherited` (+ `weights`) is the error, element by element. */
  readonly inherited: ErrorPart;
  /** exact − original: what the weights' smaller format did to this value and all before it, in exact arithmetic. Null without original weights. */
  readonly weights: ErrorPart | null;
  /** Of the local error. */
  readonly localBound: BoundCheck;
  /** Of the error since the embedding, `weights` left out: infinite behind the first norms of most models. */
  readonly bound: BoundCheck;
  /** The positions with the largest relative error, worst first; those without error are left out. */
  readonly worstPositions: readonly WorstPosition[];
  /** The element with the largest error. */
  readonly worstElement: { readonly index: readonly number[]; readonly engine: number; readonly exact: number } | null;
}

/** Upper ends of the bins of `histogram`, which has one more at its end: everything beyond. 2^23 ULP is no digit right. */
export const ULP_BINS: readonly number[] = [0, ...Array.from({ length: 17 }, (_, power) => 2 ** power)];

const WORST_POSITIONS = 3;

/** All figures of one value. */
export function valueErrors(value: ComparedValue): ValueErrors {
  const { counts, index } = selectComparable(value);
  const { engine, exact, local, original } = value;
  const { data } = original ?? exact;
  const truth = pick(data, index);
  const { error: arithmetic, made, brought } = splitError(value, index);
  const error = original ? Float64Array.from(index, (i) => engine[i] - data[i]) : arithmetic;
  const rounded = Float64Array.from(index, (i) => exact.data[i] - data[i]);
  const scale = rootMeanSquare(truth);
  const shareOf = (part: Float64Array) => quotient(dot(part, error), dot(error, error));
  const [madeShare, roundedShare] = [shareOf(made), shareOf(rounded)];
  const isWhole = counts.compared + counts.masked === counts.total;
  const bounds = { local: pick(local.bound, index), exact: pick(exact.bound, index) };
  return {
    counts,
    rms: scale,
    error: errorSize(error, scale),
    elementwise: elementwise(error, truth),
    ulps: ulpFigures(index, engine, data),
    cosineDistance: cosineDistance(error, truth),
    local: { ...errorSize(made, scale), share: madeShare },
    inherited: {
      ...errorSize(brought, scale),
      share: madeShare === null ? null : 1 - madeShare - (roundedShare ?? 0),
    },
    weights: original ? { ...errorSize(rounded, scale), share: roundedShare } : null,
    localBound: checkBound(made, bounds.local, isWhole),
    bound: checkBound(arithmetic, bounds.exact, isWhole),
    worstPositions: worstPositions(value, index, { error, truth }),
    worstElement: worstElement({ ...value, exact: original ?? exact }, index, error),
  };
}

/** The errors of some elements (all when absent): engine − exact = (engine − local) + (local − exact). */
export function splitError(
  { engine, exact, local }: Pick<ComparedValue, 'engine' | 'exact' | 'local'>,
  index: Uint32Array = Uint32Array.from(exact.data.keys()),
): Record<'error' | 'made' | 'brought', Float64Array> {
  return {
    error: Float64Array.from(index, (i) => engine[i] - exact.data[i]),
    made: Float64Array.from(index, (i) => engine[i] - local.data[i]),
    brought: Float64Array.from(index, (i) => local.data[i] - exact.data[i]),
  };
}

function pick(data: Float64Array, index: Uint32Array): Float64Array {
  return Float64Array.from(index, (i) => data[i]);
}

/** Flat indices of the elements that are numbers three times, and counts of the others. */
function selectComparable({ shape, axes, engine, exact, local, original }: ComparedValue): {
  counts: ElementCounts;
  index: Uint32Array;
} {
  const keys = axes.at(-1) === 'key_pos' && axes.at(-2) === 'query_pos' ? shape[shape.length - 1] : 0;
  const isFuture = (i: number) => keys > 0 && i % keys > Math.floor(i / keys) % keys;
  const index = new Uint32Array(engine.length);
  const counts = { total: engine.length, masked: 0, nan: 0, infinite: 0, unreferenced: 0, notFiniteMade: 0 };
  let compared = 0;
  for (let i = 0; i < engine.length; i++) {
    const [got, want, made] = [engine[i], exact.data[i], local.data[i]];
    if (isFuture(i) && (got === 0 || got === Number.NEGATIVE_INFINITY) && got === want && got === made) counts.masked++;
    else if (!Number.isFinite(got)) {
      counts[Number.isNaN(got) ? 'nan' : 'infinite']++;
      if (Number.isFinite(made)) counts.notFiniteMade++;
    } else if (![want, made, original?.data[i] ?? 0].every(Number.isFinite)) counts.unreferenced++;
    else index[compared++] = i;
  }
  return { counts: { ...counts, compared }, index: index.subarray(0, compared) };
}

/** a / b where there is such a number. 0 / 0 is none. */
function quotient(a: number, b: number): number | null {
  return finite(a / b);
}

function finite(x: number): number | null {
  return Number.isFinite(x) ? x : null;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function rootMeanSquare(x: Float64Array): number | null {
  return x.length === 0 ? null : Math.sqrt(dot(x, x) / x.length);
}

function largestMagnitude(x: Float64Array): number {
  return x.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
}

/** An error in units of a scale: no error is 0 in any unit. */
function relativeTo(scale: number | null, error: number | null): number | null {
  if (scale === null || error === null) return null;
  return error === 0 ? 0 : quotient(error, scale);
}

function errorSize(error: Float64Array, scale: number | null): ErrorSize {
  const max = error.length === 0 ? null : largestMagnitude(error);
  const rms = rootMeanSquare(error);
  return { max, rms, relativeMax: relativeTo(scale, max), relativeRms: relativeTo(scale, rms) };
}

function elementwise(error: Float64Array, truth: Float64Array): ValueErrors['elementwise'] {
  const relative = error.map((e, i) => e / truth[i]).filter((_, i) => truth[i] !== 0);
  if (relative.length === 0) return { max: null, rms: null };
  return { max: finite(largestMagnitude(relative)), rms: finite(rootMeanSquare(relative) ?? 0) };
}

function ulpFigures(index: Uint32Array, engine: ArrayLike<number>, exact: Float64Array): ValueErrors['ulps'] {
  const distances = index.map((i) => normalSteps(engine[i], Math.fround(exact[i]))).sort();
  const histogram = new Array<number>(ULP_BINS.length + 1).fill(0);
  for (const distance of distances) {
    // 0 | 1 | 2 | 3, 4 | 5 … 8 | …
    const bin = distance === 0 ? 0 : 33 - Math.clz32(distance - 1);
    histogram[Math.min(bin, ULP_BINS.length)]++;
  }
  if (distances.length === 0) return { median: null, max: null, histogram };
  const middle = distances.length / 2;
  const median = (distances[Math.ceil(middle) - 1] + distances[Math.floor(middle)]) / 2;
  return { median, max: distances[distances.length - 1], histogram };
}

/**
 * 1 − cos of the angle between x and x + e. As 1 − dot it would be rounded to 10⁻¹⁶, of which float32 errors leave nothing: they
 * are of the size of 10⁻¹⁴. Here it is sin² / (1 + cos), and the sine comes from the part of e that stands upright on x.
 */
export function cosineDistance(e: Float64Array, x: Float64Array): number | null {
  const sum = x.map((one, i) => one + e[i]);
  const lengths = Math.sqrt(dot(x, x)) * Math.sqrt(dot(sum, sum));
  if (!(lengths > 0)) return null;
  const cosine = dot(x, sum) / lengths;
  if (cosine < 0) return finite(1 - cosine);
  const along = dot(e, x) / dot(x, x);
  const upright = e.map((one, i) => one - along * x[i]);
  return finite(dot(upright, upright) / dot(sum, sum) / (1 + cosine));
}

function checkBound(error: Float64Array, bound: Float64Array, isWhole: boolean): BoundCheck {
  let [max, ratio, outside, unbounded] = [0, 0, 0, 0];
  for (let i = 0; i < error.length; i++) {
    const magnitude = Math.abs(error[i]);
    max = Math.max(max, bound[i]);
    if (bound[i] === Number.POSITIVE_INFINITY) unbounded++;
    else if (magnitude > 0) ratio = Math.max(ratio, magnitude / bound[i]);
    if (!(magnitude <= bound[i])) outside++;
  }
  return {
    within: isWhole && outside === 0 && unbounded === 0,
    max: finite(max),
    ratio: unbounded < error.length ? finite(ratio) : null,
    outside,
    unbounded,
  };
}

/** Sums of squares by position, then the largest quotients. */
function worstPositions(
  { shape, axes }: ComparedValue,
  index: Uint32Array,
  { error, truth }: { error: Float64Array; truth: Float64Array },
): WorstPosition[] {
  const posAxis = Math.max(axes.indexOf('pos'), axes.indexOf('query_pos'));
  const [rowStride, posStride] = [strideOf(shape, axes.indexOf('batch')), strideOf(shape, posAxis)];
  const positions = shape[posAxis];
  const sums = Array.from({ length: shape[axes.indexOf('batch')] * positions }, () => ({
    error: 0,
    truth: 0,
    count: 0,
  }));
  index.forEach((flat, i) => {
    const row = Math.floor(flat / rowStride);
    const sum = sums[row * positions + (Math.floor(flat / posStride) % positions)];
    sum.error += error[i] * error[i];
    sum.truth += truth[i] * truth[i];
    sum.count++;
  });
  const badness = (at: number) => sums[at].error / sums[at].truth; // infinite where the truth is 0
  return Array.from(sums.keys())
    .filter((at) => sums[at].error > 0)
    .sort((a, b) => (badness(a) === badness(b) ? a - b : badness(b) - badness(a)))
    .slice(0, WORST_POSITIONS)
    .map((at) => ({
      row: Math.floor(at / positions),
      pos: at % positions,
      rms: Math.sqrt(sums[at].error / sums[at].count),
      relativeRms: finite(Math.sqrt(badness(at))),
    }));
}

/** Elements from one index of an axis to the next. */
function strideOf(shape: readonly number[], axis: number): number {
  return shape.slice(axis + 1).reduce((product, length) => product * length, 1);
}

function worstElement(
  { shape, engine, exact }: Pick<ComparedValue, 'shape' | 'engine'> & { readonly exact: Pick<ReferenceValue, 'data'> },
  index: Uint32Array,
  error: Float64Array,
): ValueErrors['worstElement'] {
  if (index.length === 0) return null;
  const worst = error.reduce((at, one, i) => (Math.abs(one) > Math.abs(error[at]) ? i : at), 0);
  if (error[worst] === 0) return null;
  const flat = index[worst];
  return {
    index: shape.map((length, axis) => Math.floor(flat / strideOf(shape, axis)) % length),
    engine: engine[flat],
    exact: exact.data[flat],
  };
}
