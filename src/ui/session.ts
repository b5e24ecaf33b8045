// What is behind the page: its state, the model, and the runs of the prompt before and after the changes. Whoever shows something of it
// listens to `change`. Everything that takes long can be overtaken by what the user does next. No DOM here.
import { describeAdapter, type LoadProgress, Model, requestDevice } from '../index.ts';
import { hooksOf } from './edits.ts';
import { LiveRun, type PageModel, type PageRun } from './page_run.ts';
import { EMBEDDED_MODELS, type PageState } from './state.ts';

export type Phase = LoadProgress['phase'];

/** `ready` and `failed` are where work has ended. */
export type Activity = 'loading' | 'running' | 'ready' | 'failed';

export interface Status {
  readonly activity: Activity;
  readonly text: string;
}

export interface PhaseProgress {
  readonly loaded: number;
  readonly total: number;
  readonly elapsedMs: number;
}

/** The prompt's run without changes, with them (null where there are none), and the second prompt's. */
export interface Runs {
  readonly before: PageRun | null;
  readonly after: PageRun | null;
  readonly second: PageRun | null;
}

const NO_RUNS: Runs = { before: null, after: null, second: null };

/** What another state of these makes necessary. */
const RUN_KEYS = ['prompt', 'second', 'edits', 'numerics'] as const satisfies readonly (keyof PageState)[];

/** A device that is lost this often within a minute is not asked for again. */
const MOST_LOSSES = 3;

export class Session extends EventTarget {
  state: PageState;
  status: Status = { activity: 'loading', text: 'Looking for an adapter …' };
  /** What did not work, until the next thing does. */
  problem: string | null = null;
  runs: Runs = NO_RUNS;
  device: GPUDevice | null = null;
  /** What stands behind the runs: a live model, or what a recording says of its own. */
  shown: PageModel | null = null;
  model: Model | null = null;
  readonly phases = new Map<Phase, PhaseProgress>();
  private files: readonly File[] = [];
  private work: AbortController | null = null;
  private readonly losses: number[] = [];

  constructor(state: PageState) {
    super();
    this.state = state;
  }

  /** The run that is shown: with the changes, where there are any. */
  get run(): PageRun | null {
    return this.runs.after ?? this.runs.before;
  }

  /** Gets a device and loads the state's model. */
  async start(): Promise<void> {
    await this.overtake(async (signal) => {
      await this.acquireDevice();
      await this.load(this.state.model, [], signal);
      await this.runAll(signal);
    });
  }

  /** Changes the state; loads and runs again what follows from it. Another model changes it when that model is there. */
  async update(change: Partial<PageState>): Promise<void> {
    const previous = this.state;
    const next = { ...previous, ...change };
    if (next.model !== previous.model) return this.open(next.model, [], next);
    this.state = next;
    this.announce();
    if (RUN_KEYS.some((key) => JSON.stringify(previous[key]) !== JSON.stringify(next[key]))) await this.rerun();
  }

  /** Runs the prompt again. */
  async rerun(): Promise<void> {
    if (!this.model) return;
    await this.overtake((signal) => this.runAll(signal));
  }

  /**
   * Loads another model; the one before stays until this one is there, so that a broken file loses nothing.
   * @param name as `PageState.model`; with files of the user's, `files:NAME`
   */
  async open(name: string, files: readonly File[] = [], state: Partial<PageState> = {}): Promise<void> {
    await this.overtake(async (signal) => {
      if (!this.device) await this.acquireDevice();
      await this.load(name, files, signal);
      this.state = { ...this.state, ...state, model: name };
      await this.runAll(signal);
    });
  }

  /** Ends what is under way; the state stays. */
  cancel(): void {
    this.work?.abort(new DOMException('Stopped.', 'AbortError'));
  }

  private async acquireDevice(): Promise<void> {
    const device = await requestDevice();
    this.device = device;
    device.lost.then(({ message, reason }) => {
      if (this.device === device) this.recover(message || reason);
    });
  }

  /** A lost device takes model and runs with it: another is asked for, and the same state built again. */
  private async recover(message: string): Promise<void> {
    const now = performance.now();
    this.losses.push(now);
    const { files } = this;
    this.forget();
    if (this.losses.filter((at) => now - at < 60_000).length > MOST_LOSSES) {
      this.fail(
        new Error(`The GPU device was lost ${MOST_LOSSES + 1} times within a minute (${message}). Reload the page.`),
      );
      return;
    }
    this.say('loading', `The GPU device was lost (${message}). Starting again …`);
    await this.overtake(async (signal) => {
      await this.acquireDevice();
      await this.load(this.state.model, files, signal);
      await this.runAll(signal);
    });
  }

  private forget(): void {
    this.model = null;
    this.shown = null;
    this.device = null;
    this.runs = NO_RUNS;
  }

  private async load(name: string, files: readonly File[], signal: AbortSignal): Promise<void> {
    this.say('loading', `Loading ${name} …`);
    this.phases.clear();
    let last = performance.now();
    const { device } = this;
    if (!device) throw new Error('device: there is none.');
    const model = await Model.load(locationOf(name, files), {
      device,
      numerics: this.state.numerics,
      signal,
      onProgress: ({ phase, file, loaded, total }) => {
        const now = performance.now();
        this.phases.set(phase, { loaded, total, elapsedMs: (this.phases.get(phase)?.elapsedMs ?? 0) + now - last });
        last = now;
        this.say('loading', `Loading ${name}: ${phase} ${file ?? ''} …`);
      },
    });
    this.destroyRuns(NO_RUNS);
    this.model?.destroy();
    this.model = model;
    this.shown = model;
    this.files = files;
  }

  private async runAll(signal: AbortSignal): Promise<void> {
    const { model } = this;
    if (!model) return;
    const { prompt, second, edits, numerics } = this.state;
    this.say('running', 'Running …');
    const made: PageRun[] = [];
    const run = async (text: string, hooks?: Parameters<typeof LiveRun.of>[2]['hooks']) => {
      const result = await LiveRun.of(model, text, { hooks, numerics, signal });
      made.push(result);
      return result;
    };
    try {
      const before = await run(prompt);
      const other = second.trim() === '' ? null : await run(second);
      const hooks = await hooksOf(edits, { model, before: before.cache, second: other?.cache ?? null });
      const after = hooks.length > 0 ? await run(prompt, hooks) : null;
      signal.throwIfAborted();
      this.destroyRuns({ before, after, second: other });
    } catch (error) {
      for (const result of made) result.destroy();
      throw error;
    }
    const counted = `${this.runs.before?.ids.length} tokens, ${this.runs.before?.cache.names.length} values kept`;
    this.say('ready', `${counted}. Forward pass ${this.run?.elapsedMs?.toFixed(0)} ms.`);
  }

  /** Puts runs in the place of the ones before, whose memory is given back. */
  private destroyRuns(next: Runs): void {
    const previous = this.runs;
    this.runs = next;
    this.announce(); // whoever shows the ones before lets go of them
    for (const run of Object.values(previous)) run?.destroy();
  }

  /** What the user does last counts: earlier work is aborted, and its end is of no interest. */
  private async overtake(what: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.work?.abort(new DOMException('Overtaken.', 'AbortError'));
    const work = new AbortController();
    this.work = work;
    this.problem = null;
    try {
      await what(work.signal);
    } catch (error) {
      if (this.work !== work) return;
      if (work.signal.aborted) this.say(this.run ? 'ready' : 'failed', 'Stopped.');
      else if (this.device) this.fail(error);
      else if (!this.losses.length) this.fail(error);
    } finally {
      if (this.work === work) this.work = null;
    }
  }

  /** Shows what went wrong; what is on screen stays. */
  fail(error: unknown): void {
    this.problem = error instanceof Error ? error.message : String(error);
    this.say('failed', 'That did not work:');
  }

  private say(activity: Activity, text: string): void {
    this.status = { activity, text };
    this.announce();
  }

  private announce(): void {
    this.dispatchEvent(new Event('change'));
  }

  /** The adapter in words, and what the model holds on it. */
  get adapterText(): string {
    return this.device ? describeAdapter(this.device).text : 'no adapter';
  }
}

function locationOf(name: string, files: readonly File[]): string | readonly File[] {
  if (name.startsWith('files:')) {
    if (files.length > 0) return files;
    throw new Error(
      `The link names files of somebody's machine (${name.slice(6)}). Open them by "Open files", or choose a model.`,
    );
  }
  return (EMBEDDED_MODELS as readonly string[]).includes(name) ? `./models/${name}/` : name;
}
