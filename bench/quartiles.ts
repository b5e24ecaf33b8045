// The summary of repeated measurements: median and quartiles. Not for errors of values: those are bounded, not averaged.

import type { Ratio, Timing } from './result.ts';

export interface Quartiles {
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
}

/**
 * Median and quartiles, linear between neighbours.
 * @example
 * quartiles([4, 1, 3, 2, 5]); // { lower: 2, median: 3, upper: 4 }
 */
export function quartiles(samples: readonly number[]): Quartiles {
  if (samples.length === 0) throw new Error('quartiles: expected at least one sample, got none.');
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => {
    const index = share * (sorted.length - 1);
    const below = sorted[Math.floor(index)];
    return below + (sorted[Math.ceil(index)] - below) * (index % 1);
  };
  return { median: at(0.5), lower: at(0.25), upper: at(0.75) };
}

/** Quartiles of b[i] / a[i]: of one round each, so that a machine that gets slower meanwhile does not count. */
export function ratioQuartiles(a: readonly number[], b: readonly number[]): Quartiles {
  if (a.length !== b.length) throw new Error(`quartiles: ${a.length} samples against ${b.length}.`);
  return quartiles(b.map((value, index) => value / a[index]));
}

/** How much longer one thing of ours takes than another, in turns of the same rounds. */
export function ratioOfTurns(
  timings: readonly Timing[],
  { name, tokens, below, above }: { name: string; tokens: number; below: string; above: string },
): Ratio {
  const samples = (what: string) =>
    timings.find((timing) => timing.engine === 'hyaline' && timing.name === what && timing.tokens === tokens)
      ?.samples ?? [];
  return { name, tokens, ...ratioQuartiles(samples(below), samples(above)) };
}
