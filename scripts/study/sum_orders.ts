// How far the order of sums, and rounding by chance, move the logits. Emulated passes on the CPU: nothing but the order differs.
import {
  type Arithmetic,
  emulateForward,
  pairwise,
  referenceForward,
  reversed,
  segments,
  sequential,
  stochasticRounding,
} from '../../src/index.ts';
import type { Weights } from './precision_loss.ts';
import { largestDistance, mean, relativeDistance, standardDeviation } from './statistics.ts';
import { mostProbable } from './tasks.ts';

export const KERNELS = "the kernels'";

/** Orders beside the kernels' own, which is segments of 8 in blocks of 64. */
const ORDERS: readonly (readonly [name: string, arithmetic: Arithmetic])[] = [
  ['pairwise', pairwise],
  ['segments of 16', segments(16)],
  ['segments of 64', segments(64)],
  ['one chain', sequential],
  ['one chain, reversed', reversed],
];

/** Seeds of stochastic rounding, and Student's 97.5 % quantile for one degree of freedom less. */
export const SEEDS = 20;
export const QUANTILE = 2.093;

/** Logits of one arithmetic, beside float64's and those of the kernels' order. */
export interface Moved {
  /** RMS of the error against float64, in units of the logits' RMS. */
  readonly error: number;
  /** The same of the difference from the kernels' order, and the largest one. */
  readonly distance: number;
  readonly largest: number;
  /** Positions with another most probable token than the kernels' order. */
  readonly otherFirst: number;
}

export interface OrderEffects {
  readonly tokens: number;
  /** Whether the engine's logits, of a reproducible run, are those of the emulated kernels' order, bit for bit. */
  readonly isEngine: boolean;
  readonly orders: readonly (readonly [name: string, moved: Moved])[];
}

/** Passes of one text in every order; the kernels' comes first. Some 4 ns for each multiply-add. */
export function measureOrders(of: Weights, tokens: number[], engine: ArrayLike<number>): OrderEffects {
  const { exact, kernels, emulate, dVocab } = emulated(of, tokens);
  return {
    tokens: tokens.length,
    isEngine: engine.length === kernels.length && kernels.every((x, i) => Object.is(x, engine[i])),
    orders: [[KERNELS, undefined] as const, ...ORDERS].map(([name, arithmetic]) => [
      name,
      moved(emulate(arithmetic), { exact, kernels, dVocab }),
    ]),
  };
}

export interface ChanceEffects {
  readonly tokens: number;
  /** Of round to nearest, in the kernels' order. */
  readonly nearest: Moved;
  /** Of each seed. */
  readonly seeds: readonly Moved[];
  /** Share of logits whose round-to-nearest value, and whose float64 value, are in the 95 % interval that the seeds predict. */
  readonly coversNearest: number;
  readonly coversExact: number;
}

/** Passes of one text with stochastic rounding, in the kernels' order. */
export function measureChance(of: Weights, tokens: number[]): ChanceEffects {
  const { exact, kernels, emulate, dVocab } = emulated(of, tokens);
  const all = Array.from({ length: SEEDS }, (_, seed) => emulate(stochasticRounding(seed + 1)));
  return {
    tokens: tokens.length,
    nearest: moved(kernels, { exact, kernels, dVocab }),
    seeds: all.map((logits) => moved(logits, { exact, kernels, dVocab })),
    coversNearest: coverage(all, kernels),
    coversExact: coverage(all, exact),
  };
}

function emulated({ config, weights }: Weights, tokens: number[]) {
  const emulate = (arithmetic?: Arithmetic) =>
    emulateForward(config, weights, [tokens], { arithmetic }).get('logits')?.data ?? new Float32Array();
  const exact = referenceForward(config, weights, [tokens]).get('logits')?.data ?? new Float64Array();
  return { exact, kernels: emulate(), emulate, dVocab: config.dVocabOut };
}

interface Compared {
  readonly exact: Float64Array;
  readonly kernels: Float32Array;
  readonly dVocab: number;
}

function moved(logits: Float32Array, { exact, kernels, dVocab }: Compared): Moved {
  const firsts = (of: Float32Array) =>
    Array.from({ length: of.length / dVocab }, (_, pos) => mostProbable(of.subarray(pos * dVocab, (pos + 1) * dVocab)));
  const kernelFirsts = firsts(kernels);
  return {
    error: relativeDistance(logits, exact),
    distance: relativeDistance(logits, kernels),
    largest: largestDistance(logits, kernels),
    otherFirst: firsts(logits).filter((token, pos) => token !== kernelFirsts[pos]).length,
  };
}

/** Share of these numbers that lie where one more sample would lie 95 times of 100, if samples are normal. */
export function coverage(samples: readonly ArrayLike<number>[], numbers: ArrayLike<number>): number {
  const spread = QUANTILE * Math.sqrt(1 + 1 / samples.length);
  let inside = 0;
  for (let i = 0; i < numbers.length; i++) {
    const sample = samples.map((one) => one[i]);
    if (Math.abs(numbers[i] - mean(sample)) <= spread * standardDeviation(sample)) inside++;
  }
  return inside / numbers.length;
}
