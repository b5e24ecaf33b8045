// Choosing the next token from logits, in float64: what the kernel `sample` does on the GPU, said plainly, and the truth that it is
// held to. Not a kernel.

/** The largest float32 number. */
const LARGEST = 3.4028234663852886e38;

export interface SamplingOptions {
  /** 0 (the default) takes the most probable token; above 0 the logits are divided by it and a token is drawn. */
  readonly temperature?: number;
  /** Draw among the k most probable tokens only. */
  readonly topK?: number;
  /** Draw among the fewest most probable tokens that have this probability together. */
  readonly topP?: number;
  /** Draw among tokens that are at least this probable compared with the most probable one. */
  readonly minP?: number;
  /** Divides positive and multiplies negative logits of tokens that the text already has (1: no change). */
  readonly repetitionPenalty?: number;
  /** Same seed, same prompt, same model: same text (default 0). */
  readonly seed?: number;
}

export interface Choice {
  readonly token: number;
  /** Natural logarithm of the probability that the model gives this token, before any filter; of a choice on the GPU within 3·10⁻⁶. */
  readonly logProb: number;
}

/**
 * The next token of one row. Probabilities are computed in float64; among equally probable tokens the lowest id comes first.
 * @param logits of one position
 * @param text ids that the row already has, for the repetition penalty
 * @param uniform in [0, 1): where in the cumulative distribution the draw falls
 */
export function chooseToken(
  logits: ArrayLike<number>,
  text: readonly number[],
  options: SamplingOptions,
  uniform: number,
): Choice {
  const { temperature = 0, topK = logits.length, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const logTotal = logSumExp(logits);
  const scores = penalized(logits, text, repetitionPenalty);
  const choice = (token: number): Choice => ({ token, logProb: logits[token] - logTotal });
  if (temperature === 0) return choice(scores.reduce((best, score, id) => (score > scores[best] ? id : best), 0));

  const ids = byScore(scores);
  const weights = ids.map((id) => Math.exp((scores[id] - scores[ids[0]]) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // What min_p says of the score itself: exp of a difference next to 0 is 1.
  const lowest = scores[ids[0]] - temperature * Math.log(1 / minP);
  let kept = 0;
  let mass = 0;
  while (kept < Math.min(topK, ids.length) && (kept === 0 || (mass < topP * total && scores[ids[kept]] >= lowest)))
    mass += weights[kept++];
  let rest = uniform * mass;
  for (let i = 0; i < kept; i++) {
    rest -= weights[i];
    if (rest < 0) return choice(ids[i]);
  }
  return choice(ids[kept - 1]);
}

/** Ids in the order of a draw: highest score first, equal ones by their id. */
export function byScore(scores: ArrayLike<number>): number[] {
  return Array.from({ length: scores.length }, (_, id) => id).sort((a, b) => scores[b] - scores[a] || a - b);
}

/**
 * Logits with the repetition penalty: one float32 product each, with the penalty or with its reciprocal, which are float32 too, and no
 * larger than the largest of those: so the scores are exactly those of the GPU.
 */
export function penalized(logits: ArrayLike<number>, text: Iterable<number>, penalty: number): Float64Array {
  const scores = Float64Array.from(logits);
  if (penalty === 1) return scores;
  const factor = Math.fround(penalty);
  const inverse = Math.fround(1 / factor);
  for (const id of new Set(text)) {
    scores[id] = Math.min(Math.fround(scores[id] * (scores[id] > 0 ? inverse : factor)), LARGEST);
  }
  return scores;
}

function logSumExp(logits: ArrayLike<number>): number {
  let maximum = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) maximum = Math.max(maximum, logits[id]);
  let total = 0;
  for (let id = 0; id < logits.length; id++) total += Math.exp(logits[id] - maximum);
  return maximum + Math.log(total);
}
