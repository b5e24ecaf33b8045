// The part of the measurement that is about numerics: what the same bits on every adapter cost, and what a prescribed order of sums.
import type * as Hyaline from '../src/index.ts';
import { type Case, elapsedMs } from './interleave.ts';
import { Matmuls, WITHOUT_ORDER } from './matmuls.ts';
import { ratioOfTurns } from './quartiles.ts';
import type { Ratio, Timing } from './result.ts';

type Model = Hyaline.Model;

const engine = 'hyaline';
const FAST = 'run, fast';
const REPRODUCIBLE = 'run, reproducible';
const PRODUCTS = 'matrix products alone';
const PRODUCTS_REPRODUCIBLE = 'matrix products alone, reproducible';
const PRODUCTS_UNORDERED = 'matrix products alone, in no order';

export const REPRODUCIBLE_RATIO = 'reproducible against fast';
export const PRODUCTS_RATIO = 'reproducible against fast, matrix products alone';
export const ORDER_RATIO = 'a fixed order of sums against none, matrix products alone';

export interface NumericsOptions {
  readonly lengths: readonly number[];
  /** Gives tokens of a length. */
  readonly input: (length: number) => number[];
  /** Matrix products alone, too. */
  readonly products: boolean;
}

/** What to time, each compiled and run once. The products are those of runs that the model keeps: time them before it runs much else. */
export async function numericsCases(model: Model, { lengths, input, products }: NumericsOptions): Promise<Case[]> {
  const cases: Case[] = [];
  for (const tokens of lengths) {
    for (const [name, numerics] of [
      [FAST, 'fast'],
      [REPRODUCIBLE, 'reproducible'],
    ] as const) {
      await model.run(input(tokens), { numerics });
      cases.push({ name, engine, tokens, time: () => elapsedMs(() => model.run(input(tokens), { numerics })) });
    }
    if (!products) continue;
    for (const [name, numerics, rewrite] of [
      [PRODUCTS, 'fast', undefined],
      [PRODUCTS_REPRODUCIBLE, 'reproducible', undefined],
      [PRODUCTS_UNORDERED, 'fast', WITHOUT_ORDER],
    ] as const) {
      const matmuls = await Matmuls.of(model, { tokens: input(tokens), numerics }, rewrite);
      await matmuls.time();
      cases.push({ name, engine, tokens, time: () => matmuls.time() });
    }
  }
  return cases;
}

/** Quotients of turns in the same rounds. */
export function numericsRatios(timings: readonly Timing[], { lengths, products }: NumericsOptions): Ratio[] {
  return lengths.flatMap((tokens) => [
    ratioOfTurns(timings, { name: REPRODUCIBLE_RATIO, tokens, below: FAST, above: REPRODUCIBLE }),
    ...(products
      ? [
          ratioOfTurns(timings, { name: PRODUCTS_RATIO, tokens, below: PRODUCTS, above: PRODUCTS_REPRODUCIBLE }),
          ratioOfTurns(timings, { name: ORDER_RATIO, tokens, below: PRODUCTS_UNORDERED, above: PRODUCTS }),
        ]
      : []),
  ]);
}
