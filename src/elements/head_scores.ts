// Which kind of head each head is like: the scores under the small patterns of `<hyaline-attention>`.
import {
  type ActivationCache,
  duplicateTokenScore,
  inductionScore,
  type Model,
  previousTokenScore,
  type Tensor,
} from '../index.ts';

/** One score of every head, 0 … 1. */
export interface HeadScore {
  /** What it looks for: `previous token`. */
  readonly name: string;
  /** The same in a few letters, for small places: `prev`. */
  readonly label: string;
  /** [layer, head_index] */
  readonly scores: Tensor;
}

/** How many `headScores` gives at most. */
export const SCORES = 3;

/**
 * Previous-token, duplicate-token and induction scores of a run; the last two only where its tokens are known and its rows equally long.
 * Computed on the GPU; the mean over the rows of the run.
 * @throws Error where a pattern was not captured
 */
export async function headScores(model: Model, cache: ActivationCache): Promise<HeadScore[]> {
  const previous = { name: 'previous token', label: 'prev', scores: await previousTokenScore(model, cache) };
  const { tokens } = cache;
  if (!tokens || tokens.some(({ length }) => length !== tokens[0].length)) return [previous];
  return [
    previous,
    { name: 'duplicate token', label: 'dup', scores: await duplicateTokenScore(model, cache, { tokens }) },
    { name: 'induction', label: 'ind', scores: await inductionScore(model, cache, { tokens }) },
  ];
}
