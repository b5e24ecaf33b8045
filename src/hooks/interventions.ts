// Interventions: what a user writes into a value. Each is a description; `writes.ts` turns those of a run into edits of its plan, and
// the GPU does the work (`kernels/edit.ts`), in the same pass.
import { EDIT_PARAMETERS } from '../engine/plan.ts';
import { type EditOp, parameterName } from '../kernels/edit.ts';
import { checkFormat, type NumberFormat } from '../kernels/formats.ts';
import { ActivationCache, CachedValue } from './activation_cache.ts';
import type { HookNames } from './names.ts';
import {
  AXIS_OF_SHORT,
  type AxisSelection,
  type Place,
  type Selection,
  selectedIndices,
  stridesOf,
} from './selection.ts';
import type { Tensor } from './tensor.ts';

/** Numbers to write: one for all, or as many as the last axes of the selection have elements, row-major. */
export type Values = number | readonly number[] | Float32Array | Tensor;

/** A value on its way through a run, as a function of the user's sees it. */
export interface HookedValue extends Omit<Place, 'limits'> {
  /** Positions of each row that came before this run (in a key-value cache): index 0 along `pos` is the next one. */
  readonly firstPos: readonly number[];
  /** Row-major; masked attention scores are −Infinity. Changing it has no effect: return an array or call `write`. */
  readonly data: Float32Array<ArrayBuffer>;
  /** Replaces the whole value. The function may as well return the elements. */
  write(data: ArrayLike<number>): void;
}

/**
 * Reads and changes a value in JavaScript, at once or asynchronously: the run stops there. Returns an array of numbers that
 * replaces the value, or nothing to leave it as it is (or as `write` made it).
 */
export type HookFunction = (value: HookedValue) => unknown;

/** The mean of a captured value, seen as [outer, rows, columns], over its rows: computed on the GPU when the run begins. */
export interface MeanOf {
  readonly kind: 'mean';
  readonly source: CachedValue;
  readonly outer: number;
  readonly rows: number;
  readonly columns: number;
}

/** Where an operand of an edit comes from, and which of its indices goes where. */
export interface Operand {
  /** −Infinity among numbers means a masked score. `value`: what is being edited. */
  readonly data: Float32Array<ArrayBuffer> | CachedValue | MeanOf | 'value';
  readonly elements: number;
  readonly strides: readonly number[];
  /** For each axis, the operand's index for each selected index. */
  readonly sources: readonly (readonly number[])[];
}

/** A description of an edit; made by `zeroAblate`, `add`, … */
export interface Intervention {
  readonly kind: 'intervention';
  readonly op: EditOp;
  readonly selection: Selection;
  readonly parameters: readonly number[];
  readonly expression: string;
  /** Given the value and its selected indices. Null where the op has no operand. */
  readonly operand: ((place: Place, targets: readonly (readonly number[])[]) => Operand) | null;
  /** Whether it writes NaN, which is allowed and reported. */
  readonly writesNaN: boolean;
}

/** Where, and what: a name, glob, list or predicate, and an intervention or a function. */
export type HookEntry = readonly [where: HookNames, what: Intervention | HookFunction];

function intervention(op: EditOp, selection: Selection, rest: Partial<Intervention> = {}): Intervention {
  return {
    kind: 'intervention',
    op,
    selection,
    parameters: [],
    expression: '',
    operand: null,
    writesNaN: false,
    ...rest,
  };
}

/**
 * Sets the selected elements to 0.
 * @example
 * await model.run(tokens, { hooks: [['blocks.2.attn.hook_z', zeroAblate({ head: 3 })]] });
 */
export function zeroAblate(selection: Selection = {}): Intervention {
  return intervention('zero', selection);
}

/**
 * Multiplies the selected elements by k. Masked attention scores stay masked.
 * @example
 * ['blocks.0.mlp.hook_post', scale(0.5, { neuron: [1, 2] })]
 */
export function scale(k: number, selection: Selection = {}): Intervention {
  return intervention('scale', selection, { parameters: [k], writesNaN: Number.isNaN(k) });
}

/**
 * Limits the selected elements to [min, max].
 * @example
 * ['blocks.1.mlp.hook_pre', clamp(-1, 1)]
 */
export function clamp(min: number, max: number, selection: Selection = {}): Intervention {
  if (!(min <= max)) throw new Error(`clamp: expected min ≤ max, got ${min} and ${max}.`);
  return intervention('clamp', selection, { parameters: [min, max] });
}

/**
 * Rounds the selected elements to another number format: what a model would compute that kept them in it. To nearest, ties to
 * even; beyond the format's largest finite number, that. In reproducible runs −0 and magnitudes up to 2⁻¹²⁶ become 0, as
 * everything that is stored. Masked attention scores stay masked. `int8` has one scale for each row of the whole last axis,
 * selected or not: largest magnitude / 127.
 * @throws Error naming the formats if it is none of them
 * @example
 * ['blocks.*.mlp.*', round('bf16')]
 */
export function round(format: NumberFormat, selection: Selection = {}): Intervention {
  return intervention(`round_${checkFormat('round', format)}`, selection);
}

/**
 * Replaces the selected elements.
 * @param values a number, or as many as the last axes of the selection have elements (repeated along the axes before)
 * @example
 * ['blocks.0.hook_resid_post', set(vector, { pos: -1 })] // a vector of d_model elements at the last position of every row
 */
export function set(values: Values, selection: Selection = {}): Intervention {
  const data = numbers(values);
  return intervention('set', selection, { operand: repeated('set', data), writesNaN: data.some(Number.isNaN) });
}

/**
 * Adds scale · vector to the selected elements: steering. Masked attention scores stay masked.
 * @param vector as `set`'s values
 * @example
 * ['blocks.1.hook_resid_post', add(direction, { scale: 4, pos: -1 })]
 */
export function add(vector: Values, { scale = 1, ...selection }: Selection & { scale?: number } = {}): Intervention {
  const data = numbers(vector);
  const writesNaN = Number.isNaN(scale) || data.some(Number.isNaN);
  return intervention('add', selection, { parameters: [scale], operand: repeated('add', data), writesNaN });
}

/**
 * Removes the component along a direction (of the last axis; any length but 0): value − (value·d) d, d the unit vector.
 * @example
 * ['blocks.2.hook_resid_post', projectOut(direction)]
 */
export function projectOut(direction: ArrayLike<number>, selection: Selection = {}): Intervention {
  const norm = Math.sqrt(Array.from(direction).reduce((sum, d) => sum + d * d, 0));
  if (!(norm > 0 && norm < Number.POSITIVE_INFINITY)) {
    throw new Error(`projectOut: expected a direction of finite length above 0, got length ${norm}.`);
  }
  const unit = Float32Array.from(direction, (d) => d / norm);
  return intervention('project_out', selection, {
    operand: (place, targets) => {
      if (place.masked) throw new Error(`projectOut: ${place.name} holds masked scores, which have no direction.`);
      const last = place.shape[place.shape.length - 1];
      if (unit.length !== last || targets[targets.length - 1].length !== last) {
        const axis = place.axes[place.axes.length - 1];
        throw new Error(
          `projectOut: ${place.name} needs a direction over the whole of ${axis} (${last} elements), got ${unit.length}.`,
        );
      }
      return { ...repeated('projectOut', unit)(place, targets), sources: targets };
    },
  });
}

/**
 * Replaces the selected elements by those of another run's value of the same name (activation patching).
 * @param cache must hold the value; a cache of one row serves every row
 * @param options `at`: where in the source to look, axis by axis, if not at the same place: one index, or as many as are selected
 * @example
 * ['blocks.0.hook_mlp_out', patchFrom(cleanCache, { pos: 5 })]
 * ['blocks.0.hook_mlp_out', patchFrom(cleanCache, { pos: 5 }, { at: { pos: 3 } })]
 */
export function patchFrom(
  cache: ActivationCache | CachedValue,
  selection: Selection = {},
  { at = {} }: { at?: Selection } = {},
): Intervention {
  return intervention('set', selection, {
    operand: (place, targets) => {
      const source = sourceFor('patchFrom', cache, place);
      const wanted = selectedIndices(source, at);
      const asked = namedAxes(at);
      const selected = namedAxes(selection);
      const sources = targets.map((indices, a) => {
        const axis = source.axes[a];
        const size = source.shape[a];
        if (asked.has(axis)) {
          if (wanted[a].length === 1) return indices.map(() => wanted[a][0]);
          if (wanted[a].length === indices.length) return wanted[a];
          throw new Error(
            `patchFrom: ${place.name}: ${indices.length} elements along ${axis} are selected, but { at } gives ${wanted[a].length}.`,
          );
        }
        if (axis === 'batch' && size === 1) return indices.map(() => 0);
        const mayDiffer = selected.has(axis) && RUN_AXES.has(axis);
        if (size === place.shape[a] || (mayDiffer && indices.every((index) => index < size))) return indices;
        const advice = RUN_AXES.has(axis) ? ' Say which with { at: … }.' : ' Is the cache of another model?';
        throw new Error(
          `patchFrom: ${place.name} has ${place.shape[a]} elements along ${axis}, the source ${size}.${advice}`,
        );
      });
      return { data: source, elements: source.elementCount, strides: stridesOf(source.shape), sources };
    },
  });
}

/** Axes whose sizes a run chooses. */
const RUN_AXES: ReadonlySet<string> = new Set(['batch', 'pos', 'query_pos', 'key_pos']);

/** A cached value to take numbers from. */
function sourceFor(what: string, cache: ActivationCache | CachedValue, place: Place): CachedValue {
  const source = cache instanceof ActivationCache ? cache.get(place.name) : cache;
  if (!(source instanceof CachedValue)) {
    throw new Error(`${what}: expected a cache or a value of a cache, got ${typeof source}.`);
  }
  if (source.axes.join() !== place.axes.join() || source.masked !== place.masked) {
    const [to, from] = [place, source].map(({ name, axes }) => `${name} [${axes.join(', ')}]`);
    throw new Error(`${what}: ${to} cannot take the values of ${from}.`);
  }
  return source;
}

function namedAxes(selection: Selection): Set<string> {
  const named = (Object.entries(selection) as [string, AxisSelection | undefined][]).filter(
    ([, of]) => of !== undefined,
  );
  return new Set(named.map(([key]) => AXIS_OF_SHORT[key] ?? key));
}

/**
 * Gives each row the value of another row of the same batch: resample ablation.
 * @param permutation row i gets what row permutation[i] has
 * @example
 * ['blocks.1.attn.hook_z', swapRows([1, 0], { head: 2 })]
 */
export function swapRows(permutation: readonly number[], selection: Selection = {}): Intervention {
  return intervention('set', selection, {
    operand: (place, targets) => {
      const rows = place.shape[0];
      if (permutation.length !== rows || permutation.some((row) => !Number.isInteger(row) || row < 0 || row >= rows)) {
        throw new Error(
          `swapRows: expected one row of 0 … ${rows - 1} for each of ${rows} rows, got [${permutation.join(', ')}].`,
        );
      }
      const sources = targets.map((indices, axis) => (axis === 0 ? indices.map((row) => permutation[row]) : indices));
      return { data: 'value', elements: 0, strides: stridesOf(place.shape), sources };
    },
  });
}

/**
 * Replaces the selected elements by a mean: one that you bring (as `set`'s values), in the usual case over a data set; or that
 * of a cached value over its rows and positions, which is computed on the GPU whenever the run begins.
 * @param options `over`: axes of the cached value over which to take the mean; `batch` and `pos` (if it has them) when absent
 * @example
 * ['blocks.0.mlp.hook_post', meanAblate(meanOverPrompts, { neuron: 7 })]
 * ['blocks.0.attn.hook_z', meanAblate(cache, { head: 2 })]
 */
export function meanAblate(
  mean: Values | ActivationCache | CachedValue,
  selection: Selection = {},
  { over = ['batch', 'pos'] }: { over?: readonly ('batch' | 'pos')[] } = {},
): Intervention {
  if (!(mean instanceof ActivationCache || mean instanceof CachedValue)) return set(mean, selection);
  return intervention('set', selection, {
    operand: (place, targets) => {
      const source = sourceFor('meanAblate', mean, place);
      if (source.masked) throw new Error(`meanAblate: ${source.name} holds masked scores, which have no mean.`);
      // batch comes first, then pos: what is outside of the rows, the rows, and what is inside.
      const averaged = source.axes.map((axis) => (over as readonly string[]).includes(axis));
      const [first, last] = [averaged.indexOf(true), averaged.lastIndexOf(true)];
      if (first < 0) throw new Error(`meanAblate: ${source.name} has no axis ${over.join(' or ')}.`);
      const size = (from: number, to: number) => source.shape.slice(from, to).reduce((a, b) => a * b, 1);
      const [outer, rows, columns] = [size(0, first), size(first, last + 1), size(last + 1, source.shape.length)];
      const kept = source.shape.map((length, axis) => (averaged[axis] ? 1 : length));
      const sources = targets.map((indices, axis) => {
        if (kept[axis] === 1) return indices.map(() => 0);
        if (kept[axis] === place.shape[axis]) return indices;
        throw new Error(
          `meanAblate: ${place.name} has ${place.shape[axis]} elements along ${place.axes[axis]}, the source ${kept[axis]}.`,
        );
      });
      const data: MeanOf = { kind: 'mean', source, outer, rows, columns };
      return { data, elements: outer * columns, strides: stridesOf(kept), sources };
    },
  });
}

/**
 * An edit written in WGSL: an expression over `value` (f32) and the indices along the value's axes (`batch`, `pos`,
 * `head_index`, … u32), compiled into the run. Numbers that are put in do not compile it again. Where a score is masked, `value` is the
 * lowest float32, and what is not above that is masked again.
 * @example
 * ['blocks.3.mlp.hook_post', wgsl`select(value, ${k} * value, pos > 2u)`]
 */
export function wgsl(strings: TemplateStringsArray, ...values: readonly number[]): Intervention {
  if (values.length > EDIT_PARAMETERS)
    throw new Error(`wgsl: at most ${EDIT_PARAMETERS} numbers can be put in, got ${values.length}.`);
  const stranger = values.find((value) => typeof value !== 'number');
  if (stranger !== undefined) throw new Error(`wgsl: only numbers can be put in, got ${typeof stranger}.`);
  const expression = strings.reduce((text, part, i) => `${text}${parameterName(i - 1)}${part}`);
  if (expression.trim() === '') throw new Error('wgsl: expected an expression over `value`, got nothing.');
  return intervention('expression', {}, { expression, parameters: values, writesNaN: values.some(Number.isNaN) });
}

function numbers(values: Values): Float32Array<ArrayBuffer> {
  if (typeof values === 'number') return Float32Array.of(values);
  const data = 'data' in values ? values.data : values;
  return Float32Array.from(data as ArrayLike<number>);
}

/** An operand that has the shape of the selection's last axes and is repeated along those before. */
function repeated(what: string, data: Float32Array<ArrayBuffer>): NonNullable<Intervention['operand']> {
  return (place, targets) => {
    const counts = targets.map((indices) => indices.length);
    let first = counts.length;
    let elements = 1;
    while (elements < data.length && first > 0) elements *= counts[--first];
    if (elements !== data.length) {
      const sizes = place.axes.map((axis, a) => `${axis} ${counts[a]}`).join(', ');
      throw new Error(
        `${what}: ${data.length} values do not fit ${place.name}, of which [${sizes}] are selected. ` +
          'Give one number, or as many as its last axes have.',
      );
    }
    const strides = stridesOf(counts).map((stride, axis) => (axis < first ? 0 : stride));
    const sources = counts.map((count, axis) => Array.from({ length: count }, (_, i) => (axis < first ? 0 : i)));
    return { data, elements, strides, sources };
  };
}
