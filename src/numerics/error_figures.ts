// How far computed numbers are from true ones, in a few figures. Pure functions of numbers: nothing here knows of models.

/** Errors of a value's elements. Null: there is no such number (an element that is not finite, an error beside nothing but zeros). */
export interface ErrorFigures {
  /** √(Σ(got − want)² / Σ want²): the error's size as a share of the value's. */
  readonly rmsRelative: number | null;
  /** Largest |got − want| / |want| of an element that is not 0. Cancellation makes it large without harm. */
  readonly maxRelative: number | null;
  /** Largest |got − want| of an element that is not 0, in units in the last place of float32 at want. */
  readonly maxUlp: number | null;
  /** Elements that are NaN or infinite in one of the two only. A masked score, −∞ in both, counts nowhere. */
  readonly notFinite: number;
}

/** The distance between float32 numbers as large as x: 2⁻²³ at 1, and 2⁻¹⁴⁹ below the normal numbers. */
export function ulpOf(x: number): number {
  doubles[0] = x;
  const exponent = ((words[1] >>> 20) & 0x7ff) - 1023;
  return 2 ** (Math.max(exponent, -126) - 23);
}

const doubles = new Float64Array(1);
const words = new Uint32Array(doubles.buffer);

/**
 * Figures of computed numbers against true ones.
 * @throws Error if they are not as many
 * @example
 * errorFigures([1.25, 0], [1, 0]); // { rmsRelative: 0.25, maxRelative: 0.25, maxUlp: 2097152, notFinite: 0 }
 */
export function errorFigures(got: ArrayLike<number>, want: ArrayLike<number>): ErrorFigures {
  if (got.length !== want.length) {
    throw new Error(`errorFigures: ${got.length} numbers cannot be compared with ${want.length}.`);
  }
  let [errors, squares, maxRelative, maxUlp, notFinite] = [0, 0, 0, 0, 0];
  for (let i = 0; i < want.length; i++) {
    if (Object.is(got[i], want[i]) && !Number.isFinite(want[i])) continue;
    if (!Number.isFinite(got[i]) || !Number.isFinite(want[i])) {
      notFinite++;
      continue;
    }
    const error = Math.abs(got[i] - want[i]);
    errors += error * error;
    squares += want[i] * want[i];
    if (want[i] === 0) continue;
    maxRelative = Math.max(maxRelative, error / Math.abs(want[i]));
    maxUlp = Math.max(maxUlp, error / ulpOf(want[i]));
  }
  if (notFinite > 0) return { rmsRelative: null, maxRelative: null, maxUlp: null, notFinite };
  const rmsRelative = errors === 0 ? 0 : Math.sqrt(errors / squares);
  return { rmsRelative: finite(rmsRelative), maxRelative: finite(maxRelative), maxUlp: finite(maxUlp), notFinite };
}

/** JSON has no infinities. */
function finite(x: number): number | null {
  return Number.isFinite(x) ? x : null;
}
