// What a precision study comes to: which case moves the predictions most, which values break first in it, by how much, in which block.
import type { StudyErrors } from './precision_measures.ts';
import type { CaseResult } from './precision_study.ts';

/** A value with its error. */
export type BrokenValue = Pick<StudyErrors, 'name' | 'layer' | 'rmsRelative'>;

/** The block in which a kind of value (`attn.hook_pattern`; outside of blocks the name) has its largest error. */
export interface KindErrors extends BrokenValue {
  readonly kind: string;
}

export interface CaseSummary {
  readonly name: string;
  readonly meanKl: number | null;
  readonly topAgreement: number;
  /** The first value, in firing order, whose rmsRelative reaches the threshold; null if none does. */
  readonly firstBroken: BrokenValue | null;
  /** Worst first. */
  readonly kinds: readonly KindErrors[];
}

export interface PrecisionSummary {
  /** The rmsRelative from which on a value counts as broken. */
  readonly threshold: number;
  /** The case that moves the predictions most first, by meanKl. */
  readonly cases: readonly CaseSummary[];
}

/** Orders the cases of a study and the kinds of values in each. What has no number (null) is worst. */
export function summarize(cases: readonly CaseResult[], threshold: number): PrecisionSummary {
  const summaries = cases.map(({ name, values, prediction }): CaseSummary => {
    const first = values.find(({ rmsRelative }) => size(rmsRelative) >= threshold);
    return {
      name,
      meanKl: prediction.meanKl,
      topAgreement: prediction.topAgreement,
      firstBroken: first ? broken(first) : null,
      kinds: kindsOf(values),
    };
  });
  return { threshold, cases: summaries.sort((a, b) => descending(a.meanKl, b.meanKl)) };
}

function kindsOf(values: readonly StudyErrors[]): KindErrors[] {
  const worst = new Map<string, StudyErrors>();
  for (const value of values) {
    const kind = value.name.replace(/^blocks\.\d+\./, '');
    const before = worst.get(kind);
    if (!before || size(value.rmsRelative) > size(before.rmsRelative)) worst.set(kind, value);
  }
  const kinds = [...worst].map(([kind, value]): KindErrors => ({ kind, ...broken(value) }));
  return kinds.sort((a, b) => descending(a.rmsRelative, b.rmsRelative));
}

function broken({ name, layer, rmsRelative }: StudyErrors): BrokenValue {
  return { name, layer, rmsRelative };
}

const size = (x: number | null) => x ?? Number.POSITIVE_INFINITY;

/** For sorting; equal ones keep their order. */
function descending(a: number | null, b: number | null): number {
  return size(a) === size(b) ? 0 : size(b) - size(a);
}
