// Work that takes long and that the user starts, watches and may stop. It goes on while another tab is looked at, and ends with what it is
// about (a run, a model, a device) where that is replaced; its result is kept as long. No DOM here.
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
  /** What was there when it was started again. */
  readonly before: Entry | null;
}

const jobsOf = new WeakMap<Session, Jobs>();

/** Whoever shows jobs listens to `change`. */
export class Jobs extends EventTarget {
  private readonly entries = new WeakMap<object, Map<string, Entry>>();
  /** What jobs that are under way are about. */
  private readonly busy = new Set<object>();

  private constructor(session: Session) {
    super();
    session.addEventListener('change', () => {
      const { model, device, runs } = session;
      const there = new Set<object | null>([model, device, ...Object.values(runs)]);
      for (const of of this.busy) if (!there.has(of)) this.stopAll(of); // nobody could see its result, or stop it
    });
  }

  /** Those of a session. */
  static of(session: Session): Jobs {
    const jobs = jobsOf.get(session) ?? new Jobs(session);
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
    if (this.get(of, key)?.state !== 'done') this.restart(of, key, work);
  }

  /** Does a job once more, unless it is under way; the result before comes back if it is stopped. */
  restart<T>(of: object, key: string, work: Work<T>): void {
    if (this.get(of, key)?.state === 'pending') return;
    const entries = this.entries.get(of) ?? new Map<string, Entry>();
    this.entries.set(of, entries);
    const controller = new AbortController();
    const entry: Entry = {
      job: { state: 'pending', progress: { text: 'Starting …', share: null } },
      controller,
      before: entries.get(key) ?? null,
    };
    entries.delete(key); // the last one in their order
    entries.set(key, entry);
    const settle = (job: Job<T>) => {
      if (entries.get(key) !== entry) return; // stopped: its end is of no interest
      entry.job = job;
      this.note(of);
      this.announce();
    };
    this.busy.add(of);
    work((progress) => settle({ state: 'pending', progress }), controller.signal).then(
      (value) => settle({ state: 'done', value }),
      (error) => settle({ state: 'failed', message: error instanceof Error ? error.message : String(error) }),
    );
    this.announce();
  }

  /** Ends a job that is under way, for the user at once. */
  stop(of: object, key: string): void {
    const entries = this.entries.get(of);
    const entry = entries?.get(key);
    if (!entries || entry?.job.state !== 'pending') return;
    if (entry.before) entries.set(key, entry.before);
    else entries.delete(key);
    entry.controller.abort(new DOMException('Stopped.', 'AbortError'));
    this.note(of);
    this.announce();
  }

  private stopAll(of: object): void {
    for (const key of this.keys(of)) this.stop(of, key);
  }

  /** Keeps `busy` true. */
  private note(of: object): void {
    if (!this.keys(of).some((key) => this.get(of, key)?.state === 'pending')) this.busy.delete(of);
  }

  private announce(): void {
    this.dispatchEvent(new Event('change'));
  }
}
