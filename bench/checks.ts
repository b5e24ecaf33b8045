// What must hold before anything is timed. A comparison passes only if it holds for every element, so NaN fails.
import type { Check } from './result.ts';

/** Every bit of two rows of values. */
export function checkSameBits(name: string, got: Float32Array, want: Float32Array): Check {
  const [a, b] = [got, want].map(({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length));
  const different = a.length === b.length ? a.reduce((count, bits, i) => count + Number(bits !== b[i]), 0) : -1;
  const anyNaN = got.some(Number.isNaN);
  const sizes = different < 0 ? `${a.length} values against ${b.length}` : `${different} of ${a.length} values differ`;
  return { name, passed: different === 0 && !anyNaN, detail: anyNaN ? `${sizes}; some are NaN` : sizes };
}

/** Logits [pos, d_vocab] of two engines: each within `tolerance`, and the same most probable token at each position. */
export function checkLogits(
  name: string,
  { got, want, dVocab, tolerance }: { got: Float32Array; want: ArrayLike<number>; dVocab: number; tolerance: number },
): Check {
  if (got.length !== want.length) {
    return { name, passed: false, detail: `${got.length} values against ${want.length}` };
  }
  let worst = 0;
  let outside = 0;
  got.forEach((value, i) => {
    const error = Math.abs(value - want[i]);
    if (!(error <= tolerance)) outside++;
    if (!(error <= worst)) worst = error;
  });
  let otherTop = 0;
  for (let first = 0; first < got.length; first += dVocab) {
    if (argMax(got, first, dVocab) !== argMax(want, first, dVocab)) otherTop++;
  }
  return {
    name,
    passed: outside === 0 && otherTop === 0,
    detail: `largest difference ${worst.toExponential(1)}, ${otherTop} of ${got.length / dVocab} top tokens differ`,
  };
}

function argMax(values: ArrayLike<number>, first: number, count: number): number {
  let best = first;
  for (let i = first + 1; i < first + count; i++) if (values[i] > values[best]) best = i;
  return best;
}
