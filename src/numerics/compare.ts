// Two runs beside each other, of two inputs, edits, adapters, versions or implementations: which values differ, by how much, and with
// which of them it begins. Whether an error is allowed is another question: see `reference.ts` and the tolerances of kernels.
import { closest } from 'fastest-levenshtein';
import type { Dtype } from '../engine/dtypes.ts';
import { type HookNames, selectNames } from '../hooks/names.ts';
import { stridesOf } from '../hooks/selection.ts';
import { compareElements, dtypeProblem, type ElementDifference, type ElementStatistics } from './compare_elements.ts';
import { firingOrder } from './firing_order.ts';
import { type NamedValue, type NamedValues, namedValues } from './named_values.ts';

export interface CompareOptions {
  /** Which values to compare: names, globs or a predicate; when absent all. */
  readonly names?: HookNames;
}

/** One value on both sides. */
export interface ValueComparison extends ElementStatistics {
  readonly name: string;
  readonly shapes: { readonly a: readonly number[]; readonly b: readonly number[] };
  /**
   * As in safetensors files: `F32`, `F64`, … Where they differ the elements are compared as float32 numbers (float64 rounded), and
   * the value is not `same` whatever comes out.
   */
  readonly dtypes: { readonly a: Dtype; readonly b: Dtype };
  /** Axis names, outermost first; null where nobody knows them. */
  readonly axes: readonly string[] | null;
  /** The same shape, dtype and bits. */
  readonly same: boolean;
  /** Why no element was compared, in words: shapes that differ, or dtypes that cannot be compared. All distances are then NaN. */
  readonly problem: string | null;
  /** The first element that differs, row-major, with its index along every axis. */
  readonly first: (ElementDifference & { readonly index: readonly number[] }) | null;
}

export interface Comparison {
  /** Every value is on both sides and the same there, and there is one. */
  readonly same: boolean;
  /** The first value, in firing order, whose shape or elements differ: where the two part ways. Null where there is none. */
  readonly first: ValueComparison | null;
  /** Values that both sides have, in firing order; names that no model has are last. */
  readonly values: readonly ValueComparison[];
  readonly onlyInA: readonly string[];
  readonly onlyInB: readonly string[];
}

/**
 * Compares values by name: two caches, a cache and a file that Python wrote, or a run and its float64 reference. Holds one value of
 * each side at a time. Differences are results; errors are names that no side has, and tensors that are none.
 * @throws Error where a name or glob of `names` means nothing
 * @example
 * const { same, first } = await compare(cache, await SafetensorsFile.open(bytes, 'torch.safetensors'));
 * if (!same && first) console.log(first.name, first.first?.index, first.maxUlp);
 */
export async function compare(a: NamedValues, b: NamedValues, { names }: CompareOptions = {}): Promise<Comparison> {
  const [left, right] = [namedValues(a, 'compare: a'), namedValues(b, 'compare: b')];
  const all = firingOrder(new Set([...left.keys(), ...right.keys()]));
  const missing = (name: string, nothing: string) =>
    `compare: ${nothing} on either side${all.length > 0 ? `; did you mean "${closest(name, all)}"?` : ', which are empty.'}`;
  const selected = names === undefined ? all : selectNames(all, names, { missing });
  const values: ValueComparison[] = [];
  for (const name of selected) {
    const [x, y] = [left.get(name), right.get(name)];
    if (x && y) values.push(await compareValue(x, y));
  }
  const onlyInA = selected.filter((name) => !right.has(name));
  const onlyInB = selected.filter((name) => !left.has(name));
  const allSame = values.every((value) => value.same);
  return {
    same: values.length > 0 && allSame && onlyInA.length + onlyInB.length === 0,
    first: values.find(({ problem, differing }) => problem !== null || differing > 0) ?? null,
    values,
    onlyInA,
    onlyInB,
  };
}

const NOTHING_COMPARED = {
  elements: 0,
  differing: 0,
  nanOnOneSide: 0,
  maxUlp: Number.NaN,
  medianUlp: Number.NaN,
  maxAbs: Number.NaN,
  first: null,
};

async function compareValue(a: NamedValue, b: NamedValue): Promise<ValueComparison> {
  const { name, shape } = a;
  const shapes = { a: shape, b: b.shape };
  const dtypes = { a: a.dtype, b: b.dtype };
  const axes = a.axes ?? b.axes;
  const problem = shapeProblem(a.shape, b.shape) ?? dtypeProblem(a.dtype, b.dtype);
  if (problem !== null) return { name, shapes, dtypes, axes, problem, same: false, ...NOTHING_COMPARED };
  const [aBytes, bBytes] = [await a.readBytes(), await b.readBytes()];
  const { first, ...statistics } = compareElements(
    { dtype: a.dtype, bytes: aBytes },
    { dtype: b.dtype, bytes: bBytes },
  );
  const same = a.dtype === b.dtype && statistics.differing === 0;
  const found = { name, shapes, dtypes, axes, problem, same, ...statistics };
  if (!first) return { ...found, first: null };
  const { at, ...difference } = first;
  const index = stridesOf(shape).map((stride, axis) => Math.floor(at / stride) % shape[axis]);
  return { ...found, first: { index, ...difference } };
}

/** TransformerLens's `remove_batch_dim` is the usual reason. */
function shapeProblem(a: readonly number[], b: readonly number[]): string | null {
  if (a.length === b.length && a.every((size, axis) => size === b[axis])) return null;
  const isWithoutBatch = (shape: readonly number[], other: readonly number[]) => [1, ...shape].join() === other.join();
  const reason = isWithoutBatch(b, a) ? ': b has no batch axis' : isWithoutBatch(a, b) ? ': a has no batch axis' : '';
  return `[${a.join(', ')}] is not the shape [${b.join(', ')}]${reason}`;
}
