// What stands out in a numerics report: the few names and numbers that a summary in words is made of.

import type { PredictionErrors } from './prediction_errors.ts';
import type { InputToken, NumericsValue } from './report.ts';

/** What stands out among the values. Other names of a value (`aliasOf`) are left out. */
export interface Findings {
  /** Values with NaN or infinities, in firing order; `made` of them by the operation itself, from finite inputs. */
  readonly notFinite: readonly { readonly name: string; readonly count: number; readonly made: number }[];
  /** Values that are not `localBound.within`, in firing order. */
  readonly outsideBound: readonly string[];
  /** The value whose error takes most of its bound; null where no bound is finite. */
  readonly closestToBound: { readonly name: string; readonly ratio: number } | null;
  /** Values whose own operation makes the largest errors, in units of the value's RMS: the first three. */
  readonly mostLocal: readonly { readonly name: string; readonly relativeRms: number }[];
  /** Values that make most of the errors of their inputs: the first three. */
  readonly mostAmplified: readonly { readonly name: string; readonly amplification: number }[];
}

export type PositionPrediction = PredictionErrors & InputToken;

/** What the errors of the logits do to predictions. */
export interface Predictions {
  /** How much of the ranking is compared. */
  readonly k: number;
  /** Positions whose most probable next token float64 would change. */
  readonly changed: number;
  /** Positions whose first k tokens are others in float64, or stand in another order. */
  readonly reordered: number;
  /** Positions with a logit that is no finite number: nothing is said of them. */
  readonly notFinite: number;
  /** The position where the first two tokens are the fewest errors apart; null where no margin can be told. */
  readonly closest: PositionPrediction | null;
  /** Over positions, in nats; null where there is none with finite logits. */
  readonly maxDivergence: number | null;
  readonly meanDivergence: number | null;
  readonly positions: readonly PositionPrediction[];
}

const SHOWN = 3;

export function findingsOf(values: readonly NumericsValue[]): Findings {
  const own = values.filter(({ aliasOf }) => aliasOf === null);
  const ratios = ranked(own, ({ localBound }) => localBound.ratio);
  return {
    notFinite: own
      .map(({ name, counts }) => ({ name, count: counts.nan + counts.infinite, made: counts.notFiniteMade }))
      .filter(({ count }) => count > 0),
    outsideBound: own.filter(({ localBound }) => !localBound.within).map(({ name }) => name),
    closestToBound: ratios.map(({ name, figure }) => ({ name, ratio: figure }))[0] ?? null,
    mostLocal: ranked(own, ({ local }) => local.relativeRms)
      .slice(0, SHOWN)
      .map(({ name, figure }) => ({ name, relativeRms: figure })),
    mostAmplified: ranked(own, ({ amplification }) => amplification)
      .slice(0, SHOWN)
      .map(({ name, figure }) => ({ name, amplification: figure })),
  };
}

/** Values by a figure that is there and above 0, largest first. */
function ranked(values: readonly NumericsValue[], figureOf: (value: NumericsValue) => number | null) {
  return values
    .map((value) => ({ name: value.name, figure: figureOf(value) ?? 0 }))
    .filter(({ figure }) => figure > 0)
    .sort((a, b) => b.figure - a.figure);
}

export function summarizePredictions(positions: readonly PositionPrediction[], k: number): Predictions {
  const divergences = positions.flatMap(({ divergence }) => divergence ?? []);
  const told = divergences.length > 0;
  const close = positions
    .filter(({ marginInErrors }) => marginInErrors !== null)
    .sort((a, b) => (a.marginInErrors ?? 0) - (b.marginInErrors ?? 0));
  return {
    k,
    changed: positions.filter(({ exactTop, engineTop }) => exactTop !== engineTop).length,
    reordered: positions.filter(({ swaps, replaced }) => (swaps ?? 0) + (replaced ?? 0) > 0).length,
    notFinite: positions.length - divergences.length,
    closest: close[0] ?? null,
    maxDivergence: told ? divergences.reduce((most, one) => Math.max(most, one)) : null,
    meanDivergence: told ? divergences.reduce((sum, one) => sum + one) / divergences.length : null,
    positions,
  };
}
