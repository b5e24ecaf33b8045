// Work that takes long and that the user starts, watches and may stop. It goes on while another tab is looked at, and its result is kept
// with what it is about (a run, a model) as long as that is there. No DOM here.
import type { Session } from './session.ts';

export interface Progress {
  readonly text: string;
  /** From 0 to 1; null where nobody knows. */
  readonly share: number | null;
}

export type Job<T> =
  | { readonly state: 'pending'; readonly progress: Progress }
  | { readonly state: 'done'; readonly value: T }
  | { readonly state: 'failed'; readonly message: string };

/** Does the work; says how far it is; ends early when the signal says so. */
export type Work<T> = (say: (progress: Progress) => void, signal: AbortSignal) => Promise<T>;

interface Entry {
  job: Job<unknown>;
  readonly controller: AbortController;
}

const jobsOf = new WeakMap<Session, Jobs>();

/** Whoever shows jobs listens to `change`. */
export class Jobs extends EventTarget {
  private readonly entries = new WeakMap<object, Map<string, Entry>>();

  /** Those of a session. */
  static of(session: Session): Jobs {
    const jobs = jobsOf.get(session) ?? new Jobs();
    jobsOf.set(session, jobs);
    return jobs;
  }

  /** What is known of a job; null where it was not started, or was stopped. */
  get<T>(of: object, key: string): Job<T> | null {
    return (this.entries.get(of)?.get(key)?.job as Job<T> | undefined) ?? null;
  }

  /** Keys of what was started and not stopped, in that order. */
  keys(of: object): string[] {
    return [...(this.entries.get(of)?.keys() ?? [])];
  }

  /** Starts a job, unless it is under way or done. */
  start<T>(of: object, key: string, work: Work<T>): void {
    if (['pending', 'done'].includes(this.get(of, key)?.state ?? '')) return;
    const entries = this.entries.get(of) ?? new Map<string, Entry>();
    this.entries.set(of, entries);
    const controller = new AbortController();
    const entry: Entry = { job: { state: 'pending', progress: { text: 'Starting …', share: null } }, controller };
    entries.set(key, entry);
    const settle = (job: Job<T>) => {
      if (entries.get(key) !== entry) return; // stopped: its end is of no interest
      entry.job = job;
      this.announce();
    };
    work((progress) => settle({ state: 'pending', progress }), controller.signal).then(
      (value) => settle({ state: 'done', value }),
      (error) => settle({ state: 'failed', message: error instanceof Error ? error.message : String(error) }),
    );
    this.announce();
  }

  /** Ends a job that is under way, for the user at once. */
  stop(of: object, key: string): void {
    const entry = this.entries.get(of)?.get(key);
    if (entry?.job.state !== 'pending') return;
    this.entries.get(of)?.delete(key);
    entry.controller.abort(new DOMException('Stopped.', 'AbortError'));
    this.announce();
  }

  /** Forgets a job's result, so that it can be done again. */
  forget(of: object, key: string): void {
    this.stop(of, key);
    this.entries.get(of)?.delete(key);
    this.announce();
  }

  private announce(): void {
    this.dispatchEvent(new Event('change'));
  }
}
