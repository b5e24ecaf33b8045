// What a run says of the next token at one position: probabilities, ranks, entropy, in float64. No DOM, no GPU here.
import type { PageRun } from './page_run.ts';

/** softmax of one position's logits. */
export class Distribution {
  /** [d_vocab_out] */
  readonly logits: Float32Array;
  readonly probabilities: Float64Array;
  /** −Σ p ln p. */
  readonly entropyNats: number;

  constructor(logits: Float32Array) {
    this.logits = logits;
    const maximum = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
    const terms = Float64Array.from(logits, (logit) => Math.exp(logit - maximum));
    const total = terms.reduce((sum, term) => sum + term, 0);
    this.probabilities = terms.map((term) => term / total);
    this.entropyNats = this.probabilities.reduce((sum, p) => (p === 0 ? sum : sum - p * Math.log(p)), 0);
  }

  /** The k most probable ids, most probable first; equal ones by their id. One pass, no sorting of the vocabulary. */
  top(k: number): number[] {
    const { logits } = this;
    const best: number[] = [];
    for (let id = 0; id < logits.length; id++) {
      if (best.length === k && !(logits[id] > logits[best[k - 1]])) continue;
      const place = best.findIndex((other) => logits[id] > logits[other]);
      best.splice(place < 0 ? best.length : place, 0, id);
      best.length = Math.min(best.length, k);
    }
    return best;
  }

  /** 1 for the most probable token; equal ones by their id. */
  rank(id: number): number {
    const { logits } = this;
    return logits.reduce(
      (rank, logit, i) => (logit > logits[id] || (logit === logits[id] && i < id) ? rank + 1 : rank),
      1,
    );
  }
}

const kept = new WeakMap<PageRun, Map<number, Distribution>>();

/**
 * Computed once for each position of a run.
 * @param pos counts from the end when negative; one that the run does not have means its last
 */
export function distributionAt(run: PageRun, pos: number): Distribution {
  const at = positionIn(run, pos);
  const distributions = kept.get(run) ?? new Map<number, Distribution>();
  kept.set(run, distributions);
  const known = distributions.get(at);
  if (known) return known;
  const dVocab = run.logits.shape[2];
  const made = new Distribution(run.logits.data.subarray(at * dVocab, (at + 1) * dVocab));
  distributions.set(at, made);
  return made;
}

/** A position of the state's as an index into a run; its last one where it has no such position. */
export function positionIn({ ids }: Pick<PageRun, 'ids'>, pos: number): number {
  const index = pos < 0 ? pos + ids.length : pos;
  return index >= 0 && index < ids.length ? index : ids.length - 1;
}
