// What a change of logits does to predictions. Pure functions of numbers: nothing here knows of models.
import { divergence } from './prediction_errors.ts';

/** One token at one position of one row, and its probability. */
export interface TokenChange {
  readonly row: number;
  readonly pos: number;
  readonly token: number;
  /** In the true distribution. */
  readonly want: number;
  /** In the computed one; null where its logits are not finite. */
  readonly got: number | null;
}

/** Computed predictions against true ones. Null: logits that are not finite. */
export interface PredictionFigures {
  /** Kullback–Leibler divergence of the computed distribution from the true one, Σ want · ln(want / got), mean over positions, in nats. */
  readonly meanKl: number | null;
  /** The same, at the position where it is largest. */
  readonly maxKl: number | null;
  /** Share of positions that have the true most probable token (the lowest id among equals). */
  readonly topAgreement: number;
  readonly tokens: readonly TokenChange[];
}

/** A token to follow. */
export type FollowedToken = Pick<TokenChange, 'row' | 'pos' | 'token'>;

/**
 * Figures of logits [batch, pos, width] against true ones, in float64.
 * @param followed tokens whose probabilities are wanted
 * @example
 * predictionFigures([0, Math.log(3)], [0, 0], { pos: 1, width: 2 }, [{ row: 0, pos: 0, token: 1 }]);
 * // meanKl 0.1438, topAgreement 0, tokens [{ …, want: 0.5, got: 0.75 }]
 */
export function predictionFigures(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { pos, width }: { readonly pos: number; readonly width: number },
  followed: readonly FollowedToken[],
): PredictionFigures {
  const divergences: number[] = [];
  let agreeing = 0;
  for (let first = 0; first < want.length; first += width) {
    const [computed, exact] = [logProbabilities(got, first, width), logProbabilities(want, first, width)];
    divergences.push(divergence({ engine: computed, exact }));
    if (highest(computed) === highest(exact)) agreeing++;
  }
  const probability = (logits: ArrayLike<number>, { row, pos: at, token }: FollowedToken) =>
    Math.exp(logProbabilities(logits, (row * pos + at) * width, width)[token]);
  return {
    meanKl: finite(divergences.reduce((sum, x) => sum + x, 0) / divergences.length),
    maxKl: finite(divergences.reduce((most, x) => Math.max(most, x), 0)),
    topAgreement: agreeing / divergences.length,
    tokens: followed.map((token) => ({
      ...token,
      want: probability(want, token),
      got: finite(probability(got, token)),
    })),
  };
}

/** ln of the softmax of `width` logits from first on; NaN where a logit is NaN or +∞. */
function logProbabilities(logits: ArrayLike<number>, first: number, width: number): Float64Array {
  const row = Float64Array.from({ length: width }, (_, i) => logits[first + i]);
  const maximum = row.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
  const total = row.reduce((sum, x) => sum + Math.exp(x - maximum), 0);
  return row.map((x) => x - maximum - Math.log(total));
}

/** Index of the largest, the lowest among equals; −1 if one is NaN. */
function highest(row: Float64Array): number {
  if (row.some(Number.isNaN)) return -1;
  return row.reduce((best, x, i) => (x > row[best] ? i : best), 0);
}

function finite(x: number): number | null {
  return Number.isFinite(x) ? x : null;
}
