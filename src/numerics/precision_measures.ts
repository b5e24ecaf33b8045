// The figures of one pass of a precision study against float64, and of several passes together.
import { confidenceInterval, type Interval } from './confidence.ts';
import { type ErrorFigures, errorFigures } from './error_figures.ts';
import { type FollowedToken, type PredictionFigures, predictionFigures } from './prediction_figures.ts';

/** Errors of one value. Of several seeds: the mean of rmsRelative, with its interval, and the largest of the others. */
export interface StudyErrors extends ErrorFigures {
  readonly name: string;
  /** Block number, or null outside of the blocks. */
  readonly layer: number | null;
  readonly interval?: Interval;
}

/** What became of the predictions. Of several seeds: means with their intervals, and the largest maxKl. */
export interface CasePrediction extends PredictionFigures {
  readonly interval?: {
    readonly meanKl: Interval | null;
    readonly topAgreement: Interval;
    /** Of `tokens`' computed probabilities. */
    readonly tokens: readonly (Interval | null)[];
  };
}

/** One pass's values by name. */
export type Values = ReadonlyMap<string, ArrayLike<number>>;

/** What passes are measured against. */
export interface Truth {
  readonly values: Values;
  /** Values whose errors are wanted, in firing order. */
  readonly hooks: readonly { readonly name: string; readonly layer: number | null }[];
  readonly followed: readonly FollowedToken[];
  /** Of the logits [batch, pos, width]. */
  readonly sizes: { readonly pos: number; readonly width: number };
}

/** One case's figures. */
export interface Measured {
  readonly values: readonly StudyErrors[];
  readonly prediction: CasePrediction;
}

/** The figures of one pass. */
export function measure(values: Values, { values: exact, hooks, followed, sizes }: Truth): Measured {
  const pair = (name: string) => {
    const [got, want] = [values.get(name), exact.get(name)];
    if (!got || !want) throw new Error(`precisionStudy: no value "${name}" in both passes.`);
    return [got, want] as const;
  };
  return {
    values: hooks.map(({ name, layer }) => ({ name, layer, ...errorFigures(...pair(name)) })),
    prediction: predictionFigures(...pair('logits'), sizes, followed),
  };
}

/** One pass's figures as they are; of several passes, means with intervals and the largest. */
export function merge(passes: readonly Measured[]): Measured {
  if (passes.length === 1) return passes[0];
  const [{ values, prediction }] = passes;
  const predictions = passes.map((pass) => pass.prediction);
  const all = (of: (figures: PredictionFigures) => number | null) => complete(predictions.map(of));
  const meanKl = interval(all((figures) => figures.meanKl));
  const topAgreement = confidenceInterval(predictions.map((figures) => figures.topAgreement));
  const tokens = prediction.tokens.map((_, i) => interval(all((figures) => figures.tokens[i].got)));
  return {
    values: values.map((value, i) => {
      const own = passes.map((pass) => pass.values[i]);
      const rms = interval(complete(own.map(({ rmsRelative }) => rmsRelative)));
      return {
        ...value,
        rmsRelative: rms?.mean ?? null,
        maxRelative: most(own.map(({ maxRelative }) => maxRelative)),
        maxUlp: most(own.map(({ maxUlp }) => maxUlp)),
        notFinite: Math.max(...own.map(({ notFinite }) => notFinite)),
        ...(rms && { interval: rms }),
      };
    }),
    prediction: {
      meanKl: meanKl?.mean ?? null,
      maxKl: most(predictions.map(({ maxKl }) => maxKl)),
      topAgreement: topAgreement.mean,
      tokens: prediction.tokens.map((token, i) => ({ ...token, got: tokens[i]?.mean ?? null })),
      interval: { meanKl, topAgreement, tokens },
    },
  };
}

/** All numbers, or null if one is missing. */
function complete(numbers: readonly (number | null)[]): number[] | null {
  const present = numbers.filter((x) => x !== null);
  return present.length === numbers.length ? present : null;
}

const interval = (numbers: readonly number[] | null) => (numbers ? confidenceInterval(numbers) : null);

/** The largest number; null if one is missing. */
function most(numbers: readonly (number | null)[]): number | null {
  const present = complete(numbers);
  return present && Math.max(...present);
}
