// What the page asks its numerics worker for, and what comes back: the messages between `numerics_client.ts` and `numerics_worker.ts`.
import type {
  Fingerprint,
  NumberFormat,
  Numerics,
  NumericsReport,
  PrecisionStudy,
  TokenProbability,
} from '../index.ts';
import type { Progress } from './jobs.ts';

interface Input {
  /** Ids of one row. */
  readonly tokens: readonly number[];
  readonly numerics: Numerics;
}

/** Names that are rounded, and to what; null: none. */
export type Rounding = { readonly names: readonly string[]; readonly format: NumberFormat } | null;

export type NumericsTask =
  | { readonly kind: 'fingerprint' }
  | ({ readonly kind: 'report' } & Input)
  | ({ readonly kind: 'study'; readonly name: string; readonly weights: Rounding; readonly values: Rounding } & Input);

export interface StudyResult {
  /** The unrounded run and the one that is studied, against float64. */
  readonly study: PrecisionStudy;
  /** For each position the most probable token of both. */
  readonly first: readonly { readonly before: TokenProbability; readonly after: TokenProbability }[];
}

export interface NumericsResults {
  readonly fingerprint: Fingerprint;
  readonly report: NumericsReport;
  readonly study: StudyResult;
}

/** To the worker. `model` comes first and once: where it loads its model from, when a task needs it. */
export type Request =
  | { readonly kind: 'model'; readonly location: string | readonly File[]; readonly numerics: Numerics }
  | { readonly kind: 'task'; readonly id: number; readonly task: NumericsTask }
  | { readonly kind: 'stop'; readonly id: number };

/** From the worker. */
export type Reply = { readonly id: number } & (
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'result'; readonly result: NumericsResults[NumericsTask['kind']] }
  | { readonly kind: 'error'; readonly message: string }
);
