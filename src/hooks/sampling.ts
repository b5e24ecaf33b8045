// Choosing the next token from logits: the usual filters, and random numbers that are the same on every machine.

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
  /** Natural logarithm of the probability that the model gives this token, before any filter. */
  readonly logProb: number;
}

/** @throws Error that lists every option out of its range */
export function checkSampling(options: SamplingOptions): void {
  const { temperature = 0, topK = 1, topP = 1, minP = 0, repetitionPenalty = 1, seed = 0 } = options;
  const problems = [
    temperature >= 0 && temperature < Number.POSITIVE_INFINITY ? '' : `temperature ${temperature} (0 or more)`,
    Number.isInteger(topK) && topK >= 1 ? '' : `topK ${topK} (a whole number from 1)`,
    topP > 0 && topP <= 1 ? '' : `topP ${topP} (above 0, at most 1)`,
    minP >= 0 && minP <= 1 ? '' : `minP ${minP} (0 to 1)`,
    repetitionPenalty > 0 && repetitionPenalty < Number.POSITIVE_INFINITY
      ? ''
      : `repetitionPenalty ${repetitionPenalty} (above 0)`,
    Number.isSafeInteger(seed) ? '' : `seed ${seed} (a whole number)`,
  ].filter((problem) => problem !== '');
  if (problems.length > 0) throw new Error(`generate: options out of range: ${problems.join(', ')}.`);
}

/**
 * The next token of one row. Probabilities are computed in float64; among equally probable tokens the lowest id comes first.
 * @param logits of one position
 * @param text ids that the row already has, for the repetition penalty
 * @param uniform in [0, 1): where in the cumulative distribution the draw falls
 */
export function chooseToken(
  logits: Float32Array,
  text: readonly number[],
  options: SamplingOptions,
  uniform: number,
): Choice {
  const { temperature = 0, topK = logits.length, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const logTotal = logSumExp(logits);
  const scores = Float64Array.from(logits);
  if (repetitionPenalty !== 1) {
    for (const id of new Set(text))
      scores[id] = scores[id] > 0 ? scores[id] / repetitionPenalty : scores[id] * repetitionPenalty;
  }
  const choice = (token: number): Choice => ({ token, logProb: logits[token] - logTotal });
  if (temperature === 0) return choice(scores.reduce((best, score, id) => (score > scores[best] ? id : best), 0));

  const ids = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
  const maximum = scores[ids[0]];
  const weights = ids.map((id) => Math.exp((scores[id] - maximum) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let kept = 0;
  let mass = 0;
  while (kept < Math.min(topK, ids.length) && (kept === 0 || (mass < topP * total && weights[kept] >= minP)))
    mass += weights[kept++];
  let rest = uniform * mass;
  for (let i = 0; i < kept; i++) {
    rest -= weights[i];
    if (rest < 0) return choice(ids[i]);
  }
  return choice(ids[kept - 1]);
}

function logSumExp(logits: Float32Array): number {
  const maximum = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - maximum);
  return maximum + Math.log(total);
}

/**
 * A uniform number in [0, 1) that depends on nothing but its arguments: Philox4x32-10, counter (step, row), key seed.
 * Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
 * @example
 * uniformAt(7, { step: 0, row: 0 }); // always the same number
 */
export function uniformAt(seed: number, { step, row }: { step: number; row: number }): number {
  const [first, second] = philox([step >>> 0, row >>> 0, 0, 0], [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0]);
  return (first * 2 ** 21 + (second >>> 11)) / 2 ** 53;
}

/** Ten rounds of Philox4x32. */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(0xd2511f53, a);
    const [high1, low1] = multiply(0xcd9e8d57, c);
    [a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}

/** High and low 32 bits of a product of two u32, by their halves of 16 bits. */
function multiply(a: number, b: number): [number, number] {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const first = aHigh * bLow + ((aLow * bLow) >>> 16);
  const second = aLow * bHigh + (first & 0xffff);
  return [aHigh * bHigh + (first >>> 16) + (second >>> 16), Math.imul(a, b) >>> 0];
}
