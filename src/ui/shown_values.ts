// Values of runs as views hand them to elements: the same object each time it is asked for, so that nothing is read or drawn twice.
import { type ShownValue, shownTensor } from '../elements/index.ts';
import type { Tensor } from '../index.ts';
import type { PageRun } from './page_run.ts';

const ofRuns = new WeakMap<PageRun, Map<string, ShownValue>>();
const ofTensors = new WeakMap<object, ShownValue>();
const repeated = new WeakMap<ShownValue, Map<number, ShownValue>>();

/** @throws Error where the run does not hold the value */
export function valueIn(run: PageRun, name: string): ShownValue {
  const values = ofRuns.get(run) ?? new Map<string, ShownValue>();
  ofRuns.set(run, values);
  const value = values.get(name) ?? run.cache.get(name);
  values.set(name, value);
  return value;
}

/** What `make` gives for a result that has been computed, made once. */
export function tensorOf(result: object, make: () => Tensor): ShownValue {
  const value = ofTensors.get(result) ?? shownTensor(make());
  ofTensors.set(result, value);
  return value;
}

/** Where a value's positions run along; −1 where it has none. */
function positionAxis({ axes }: ShownValue): number {
  return axes.findIndex((axis) => axis === 'pos' || axis === 'query_pos');
}

/** The value with what one position holds at every position: to hold all others against it. Null where there is no such position. */
export function repeatedPosition(value: ShownValue, pos: number): ShownValue | null {
  const axis = positionAxis(value);
  if (axis < 0 || pos >= value.shape[axis]) return null;
  const known = repeated.get(value) ?? new Map<number, ShownValue>();
  repeated.set(value, known);
  const { name, shape, axes } = value;
  const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const made = known.get(pos) ?? {
    name,
    shape,
    axes,
    read: async () => {
      const tensor = await value.read();
      const data = tensor.data.map((_, i) => {
        const at = Math.floor(i / stride) % shape[axis];
        return tensor.data[i + (pos - at) * stride];
      });
      return { ...tensor, data };
    },
  };
  known.set(pos, made);
  return made;
}

/** The element at an index along every axis, by name; null where one is missing or outside. Axes of length 1 need none. */
export function elementOf(
  value: Pick<ShownValue, 'shape' | 'axes'>,
  index: Readonly<Record<string, number>>,
): number | null {
  let element = 0;
  for (const [axis, name] of value.axes.entries()) {
    const length = value.shape[axis];
    const at = index[name] ?? (length === 1 ? 0 : Number.NaN);
    if (!(at >= 0 && at < length)) return null;
    element = element * length + at;
  }
  return element;
}
