// Two values of one shape beside each other: their difference as a value to show, and colours that serve both.
import type { Statistics } from '../index.ts';
import { automaticColouring } from './heatmap_view.ts';
import type { Colouring } from './picture.ts';
import type { ShownValue } from './shown_value.ts';
import { isMasked, tensorOf } from './value_numbers.ts';

export function haveSameShape(a: ShownValue, b: ShownValue): boolean {
  return a.shape.join() === b.shape.join() && a.axes.join() === b.axes.join();
}

/** `a − b`, rounded to float32, from both values' numbers; what is masked in both stays masked. */
export function differenceOf(a: ShownValue, b: ShownValue): ShownValue {
  const { name, shape, axes } = a;
  const masked = isMasked(a);
  const read = async () => {
    const [of, minus] = await Promise.all([tensorOf(a), tensorOf(b)]);
    const data = of.data.map((x, i) =>
      masked && x === Number.NEGATIVE_INFINITY && minus.data[i] === x ? x : x - minus.data[i],
    );
    return { name, data, shape, axes };
  };
  return { name, shape, axes, read };
}

/** Colours from the smaller minimum to the larger maximum: the same number has the same colour in both. */
export function commonColouring(a: Statistics, b: Statistics): Colouring {
  return automaticColouring({ ...a, min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });
}
