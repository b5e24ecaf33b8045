// The functions that WGSL has built in, on a fixed sample of arguments, against the correctly rounded result.
import { type Inputs, Random } from './cases.ts';
import { bitsOfFloat, floatOfBits, stepsBetween } from './float32.ts';

/**
 * How a sample lies in its interval: evenly, or evenly among the float32 numbers there, which is about evenly by ratio.
 */
type Spacing = 'even' | 'by ratio';

interface BuiltinFunction {
  /** WGSL of the function of the vec4f `x` (and `y`). */
  readonly wgsl: string;
  /** The same in float64. */
  readonly reference: (x: number, y: number) => number;
  /** Of the magnitude of every argument. */
  readonly interval: readonly [number, number];
  readonly spacing: Spacing;
  /** Arguments of either sign. */
  readonly signed: boolean;
}

/** Arguments of each function. */
export const SAMPLE = 2048;

const { PI } = Math;

/** The intervals are those in the docstring of `BuiltinErrors`. */
export const BUILTIN_FUNCTIONS = {
  exp: { wgsl: 'exp(x)', reference: Math.exp, interval: [0, 20], spacing: 'even', signed: true },
  log: { wgsl: 'log(x)', reference: Math.log, interval: [2 ** -4, 2 ** 4], spacing: 'by ratio', signed: false },
  tanh: { wgsl: 'tanh(x)', reference: Math.tanh, interval: [0.125, 10], spacing: 'even', signed: true },
  tanhNearZero: {
    wgsl: 'tanh(x)',
    reference: Math.tanh,
    interval: [2 ** -20, 0.125],
    spacing: 'by ratio',
    signed: true,
  },
  sin: { wgsl: 'sin(x)', reference: Math.sin, interval: [0, PI], spacing: 'even', signed: true },
  cos: { wgsl: 'cos(x)', reference: Math.cos, interval: [0, PI], spacing: 'even', signed: true },
  sqrt: { wgsl: 'sqrt(x)', reference: Math.sqrt, interval: [2 ** -40, 2 ** 40], spacing: 'by ratio', signed: false },
  inverseSqrt: {
    wgsl: 'inverseSqrt(x)',
    reference: (x) => 1 / Math.sqrt(x),
    interval: [2 ** -40, 2 ** 40],
    spacing: 'by ratio',
    signed: false,
  },
  divide: {
    wgsl: 'x / y',
    reference: (x, y) => x / y,
    interval: [2 ** -40, 2 ** 40],
    spacing: 'by ratio',
    signed: true,
  },
} as const satisfies Record<string, BuiltinFunction>;

export type BuiltinName = keyof typeof BUILTIN_FUNCTIONS;

/**
 * The arguments: eight numbers for four results, first four x, then four y. No function that engines round differently.
 */
export function sampleOf({ interval: [low, high], spacing, signed }: BuiltinFunction): Inputs[] {
  const random = new Random();
  const [lowBits, highBits] = [bitsOfFloat(low), bitsOfFloat(high)];
  const place = () => (random.below(2 ** 12) * 2 ** 12 + random.below(2 ** 12)) * 2 ** -24;
  const magnitude = () =>
    spacing === 'even'
      ? Math.fround(low + (high - low) * place())
      : floatOfBits(lowBits + Math.floor((highBits - lowBits) * place()));
  const draw = () => (signed ? random.sign() : 1) * magnitude();
  return Array.from({ length: SAMPLE / 4 }, () => Float32Array.from({ length: 8 }, draw));
}

/**
 * The largest distance between a result and the correctly rounded one, in float32 steps; 'not finite' where a result is
 * NaN or infinite, which the truth is nowhere.
 * @param results for each of the inputs four numbers
 */
export function largestError(
  { reference }: BuiltinFunction,
  sample: readonly Inputs[],
  results: readonly ArrayLike<number>[],
): number | 'not finite' {
  let largest = 0;
  for (const [i, x] of sample.entries()) {
    for (let lane = 0; lane < 4; lane++) {
      const got = results[i][lane];
      if (!Number.isFinite(got)) return 'not finite';
      largest = Math.max(largest, stepsBetween(got, Math.fround(reference(x[lane], x[4 + lane]))));
    }
  }
  return largest;
}
