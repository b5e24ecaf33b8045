// What errors of the logits do to predictions: whether the most probable token would be another one, how far that is away, how the
// ranking of the first k changes, and how far the two distributions are apart. Arrays in, figures out.

/** One position's predictions in float64 and in the engine. Figures are null where a logit is no finite number. */
export interface PredictionErrors {
  readonly row: number;
  readonly pos: number;
  /** The most probable next token in float64, and in the engine. */
  readonly exactTop: number | null;
  readonly engineTop: number | null;
  /** True logit of the first token less that of the second; null where there is only one token. */
  readonly margin: number | null;
  /**
   * `margin` in units of the largest error of the position's logits. Below 2 another first token is possible, above it is not. Null
   * where there is no error or no margin.
   */
  readonly marginInErrors: number | null;
  /** Pairs of float64's first k tokens that the engine has in the other order. */
  readonly swaps: number | null;
  /** How many of float64's first k tokens are not among the engine's. */
  readonly replaced: number | null;
  /** Kullback-Leibler divergence of the engine's distribution from float64's, in nats. */
  readonly divergence: number | null;
}

/** Logits of one position, twice. */
interface Logits {
  readonly engine: ArrayLike<number>;
  readonly exact: ArrayLike<number>;
}

/**
 * Compares the logits of every position.
 * @param shape `[batch, pos, d_vocab_out]`
 * @param k how much of the ranking is looked at
 */
export function predictionErrors(
  { engine, exact }: { readonly engine: Float32Array; readonly exact: Float64Array },
  [batch, pos, dVocab]: readonly number[],
  k: number,
): PredictionErrors[] {
  return Array.from({ length: batch * pos }, (_, at) => {
    const [start, end] = [at * dVocab, (at + 1) * dVocab];
    const logits = { engine: engine.subarray(start, end), exact: exact.subarray(start, end) };
    return { row: Math.floor(at / pos), pos: at % pos, ...comparePosition(logits, k) };
  });
}

function comparePosition({ engine, exact }: Logits, k: number): Omit<PredictionErrors, 'row' | 'pos'> {
  let largestError = 0;
  for (let i = 0; i < exact.length; i++) {
    const error = Math.abs(engine[i] - exact[i]);
    if (!Number.isFinite(error)) return NOT_FINITE;
    largestError = Math.max(largestError, error);
  }
  const ranking = largest(exact, Math.max(k, 2));
  const [first, second] = ranking;
  const top = ranking.slice(0, k);
  const engineRanking = largest(engine, k);
  const margin = second === undefined ? null : exact[first] - exact[second];
  return {
    exactTop: first,
    engineTop: engineRanking[0],
    margin,
    marginInErrors: margin === null || largestError === 0 ? null : margin / largestError,
    swaps: countSwaps(top, engine),
    replaced: top.filter((id) => !engineRanking.includes(id)).length,
    divergence: divergence({ engine, exact }),
  };
}

const NOT_FINITE: Omit<PredictionErrors, 'row' | 'pos'> = {
  exactTop: null,
  engineTop: null,
  margin: null,
  marginInErrors: null,
  swaps: null,
  replaced: null,
  divergence: null,
};

/** Ids of the k largest logits, largest first; of equal ones the smaller id. */
function largest(logits: ArrayLike<number>, k: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (ids.length === k && logits[id] <= logits[ids[k - 1]]) continue;
    let place = ids.length;
    while (place > 0 && logits[id] > logits[ids[place - 1]]) place--;
    ids.splice(place, 0, id);
    if (ids.length > k) ids.pop();
  }
  return ids;
}

/** Pairs of these ids, which are in order, that other logits have in the other order. */
function countSwaps(ids: readonly number[], logits: ArrayLike<number>): number {
  let swaps = 0;
  for (const [rank, first] of ids.entries()) {
    for (const second of ids.slice(rank + 1)) {
      if (logits[second] > logits[first] || (logits[second] === logits[first] && second < first)) swaps++;
    }
  }
  return swaps;
}

/**
 * Σ p·(log p − log q) of p = softmax(x), q = softmax(x + e), in nats. With d = e − Σp·e it is log Σ p·exp(d), and because Σp·d = 0
 * also log(1 + Σ p·(exp(d) − 1 − d)): no term is negative, so that nothing cancels, though the sum is of the size of e².
 */
export function divergence({ engine, exact }: Logits): number {
  const logTotal = logSumOfExponentials(exact);
  const p = Float64Array.from(exact, (x) => Math.exp(x - logTotal));
  const mean = p.reduce((sum, one, i) => (one > 0 ? sum + one * (engine[i] - exact[i]) : sum), 0);
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    if (exact[i] === Number.NEGATIVE_INFINITY) continue; // whatever the other one is
    const d = engine[i] - exact[i] - mean;
    if (d > LARGE) return logSumOfExponentials(engine) - logTotal - mean;
    sum += p[i] * exponentialRemainder(d);
  }
  return Math.log1p(sum);
}

/** An error of a logit beyond which its exponential may overflow. A divergence of that size needs no care for small terms. */
const LARGE = 600;

function logSumOfExponentials(x: ArrayLike<number>): number {
  let maximum = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) maximum = Math.max(maximum, x[i]);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i] - maximum);
  return maximum + Math.log(sum);
}

/** exp(x) − 1 − x = x²/2 · (1 + x/3·(1 + x/4·(1 + …))), without cancellation for small x. */
function exponentialRemainder(x: number): number {
  if (Math.abs(x) > 0.5) return Math.expm1(x) - x;
  let factor = 1;
  for (let n = 16; n >= 3; n--) factor = 1 + (x / n) * factor;
  return 0.5 * x * x * factor;
}
