// What is behind the page: its state, the model, and the runs of the prompt before and after the changes. Whoever shows something of it
// listens to `change`. Everything that takes long can be overtaken by what the user does next. No DOM here.
import { describeAdapter, type HookEntry, type LoadProgress, Model, requestDevice } from '../index.ts';
import { hooksOf } from './edits.ts';
import { idsOf, LiveRun, type PageModel, type PageRun } from './page_run.ts';
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

export interface Recording {
  /** The adapter that computed it, in words. */
  readonly adapter: string;
  /** Why it is shown in the place of a live run; null where the user opened it. */
  readonly because: string | null;
}

interface RecordingFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly name: string;
  readonly because: Recording['because'];
}

/** What is shown where there is no WebGPU; `scripts/recording.mjs` makes it. */
const FIRST_RECORDING = new URL('./recordings/circuit-zoo.safetensors', import.meta.url).href;

const NO_RUNS: Runs = { before: null, after: null, second: null };

/** What another state of these makes necessary. */
const RUN_KEYS = ['prompt', 'second', 'edits', 'numerics'] as const satisfies readonly (keyof PageState)[];

type RunInputs = Pick<PageState, (typeof RUN_KEYS)[number]>;

/** A device that is lost this often within a minute is not asked for again. */
const MOST_LOSSES = 3;

export class Session extends EventTarget {
  state: PageState;
  status: Status = { activity: 'loading', text: 'Looking for an adapter …' };
  /** What did not work, until the next thing does. */
  problem: string | null = null;
  /** What the changes' run said where it is that which did not work: belongs beside them, and is a `problem` too. */
  changesProblem: string | null = null;
  runs: Runs = NO_RUNS;
  device: GPUDevice | null = null;
  /** What stands behind the runs: a live model, or what a recording says of its own. */
  shown: PageModel | null = null;
  model: Model | null = null;
  /** Where no live model stands behind the runs: where they come from. */
  recording: Recording | null = null;
  readonly phases = new Map<Phase, PhaseProgress>();
  private files: readonly File[] = [];
  /** What the runs are of. */
  private ran: RunInputs;
  private work: AbortController | null = null;
  /** A device that is on its way. */
  private acquiring: Promise<void> | null = null;
  private readonly losses: number[] = [];

  constructor(state: PageState) {
    super();
    this.state = state;
    this.ran = state;
  }

  /** The state with what the runs are of, which it is ahead of while others are made, and where they could not be. */
  get shownState(): PageState {
    const { prompt, second, edits, numerics } = this.ran;
    return { ...this.state, prompt, second, edits, numerics };
  }

  /** The run that is shown: with the changes, where there are any. */
  get run(): PageRun | null {
    return this.runs.after ?? this.runs.before;
  }

  /** Gets a device and loads the state's model. */
  async start(): Promise<void> {
    await this.overtake(async (signal) => {
      try {
        await this.acquireDevice();
      } catch (error) {
        return this.showFirstRecording(messageOf(error), signal);
      }
      await this.load(this.state.model, this.files, signal);
      await this.runAll(signal);
    });
  }

  /** Changes the state; loads and runs again what follows from it. Another model changes it when that model is there. */
  async update(change: Partial<PageState>): Promise<void> {
    const previous = this.state;
    const next = { ...previous, ...change };
    const isOtherRun = RUN_KEYS.some((key) => JSON.stringify(previous[key]) !== JSON.stringify(next[key]));
    // A recording stays as it is until a live model takes its place.
    if (next.model !== previous.model || (this.recording && isOtherRun)) return this.open(next.model, [], () => change);
    this.state = next;
    this.announce();
    if (!isOtherRun) return;
    if (this.model) await this.overtake((signal) => this.runAll(signal));
    else if (!this.work) await this.start();
  }

  /** Runs all again, also what is as before; where there is no model yet, tries once more to get one. */
  async rerun(): Promise<void> {
    if (this.recording) return this.open(this.state.model);
    if (!this.model) return this.start();
    await this.overtake((signal) => this.runAll(signal, false));
  }

  /**
   * Loads another model; the one before stays until this one is there, so that a broken file loses nothing.
   * @param name as `PageState.model`; with files of the user's, `files:NAME`
   * @param stateOf what else is changed with it, when it is there
   */
  async open(
    name: string,
    files: readonly File[] = [],
    stateOf: (model: Model) => Partial<PageState> = () => ({}),
  ): Promise<void> {
    await this.overtake(async (signal) => {
      await this.acquireDevice();
      const model = await this.load(name, files, signal);
      this.state = { ...this.state, ...stateOf(model), model: name };
      await this.runAll(signal);
    });
  }

  /** Shows a recorded session in the place of what is shown; what is no recording changes nothing. */
  async openRecording(file: File): Promise<void> {
    await this.overtake(async (signal) => {
      const recording = { bytes: new Uint8Array(await file.arrayBuffer()), name: file.name, because: null };
      await this.showRecording(recording, signal);
    });
  }

  private async showFirstRecording(because: string, signal: AbortSignal): Promise<void> {
    const response = await fetch(FIRST_RECORDING, { signal });
    if (!response.ok) throw new Error(`${because} Nor could a recording be shown: ${response.status} ${response.url}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    await this.showRecording({ bytes, name: 'circuit-zoo.safetensors', because }, signal);
  }

  private async showRecording({ bytes, name, because }: RecordingFile, signal: AbortSignal): Promise<void> {
    const { openRecording } = await import('./recording.ts');
    const { state, runs, shown, adapter } = await openRecording(bytes, name);
    signal.throwIfAborted();
    const { model, state: wanted } = this;
    // A link to the same run keeps what it selects.
    const isSame = [...RUN_KEYS, 'model' as const].every(
      (key) => JSON.stringify(wanted[key]) === JSON.stringify(state[key]),
    );
    this.state = isSame ? wanted : { ...state, view: wanted.view };
    this.model = null;
    this.shown = shown;
    this.recording = { adapter, because };
    this.destroyRuns(runs);
    model?.destroy();
    this.phases.clear();
    this.say(
      'ready',
      `A recording: ${inTokens(runs.before?.ids.length ?? 0)}, ${runs.before?.cache.names.length} values.`,
    );
  }

  /** Ends what is under way; the state stays. */
  cancel(): void {
    this.work?.abort(new DOMException('Stopped.', 'AbortError'));
  }

  /** One device, however many ask for it before it is there. */
  private async acquireDevice(): Promise<void> {
    if (this.device) return;
    this.acquiring ??= this.requestDevice().finally(() => {
      this.acquiring = null;
    });
    await this.acquiring;
  }

  private async requestDevice(): Promise<void> {
    const device = await requestDevice();
    this.device = device;
    device.lost.then(({ message, reason }) => {
      if (this.device === device) this.recover(message || reason);
    });
  }

  /** A lost device takes model and runs with it: another is asked for, and the same state built again. */
  private async recover(message: string): Promise<void> {
    if (this.recording) {
      this.device = null; // a live model asks for another
      return;
    }
    const now = performance.now();
    this.losses.push(now);
    this.forget();
    if (this.losses.filter((at) => now - at < 60_000).length > MOST_LOSSES) {
      this.work?.abort();
      this.work = null; // what it says of its end is of no interest
      this.fail(
        new Error(`The GPU device was lost ${MOST_LOSSES + 1} times within a minute (${message}). Reload the page.`),
      );
      return;
    }
    this.say('loading', `The GPU device was lost (${message}). Starting again …`);
    await this.overtake(async (signal) => {
      await this.acquireDevice();
      await this.load(this.state.model, this.files, signal);
      await this.runAll(signal);
    });
  }

  private forget(): void {
    this.model = null;
    this.shown = null;
    this.device = null;
    this.runs = NO_RUNS;
  }

  private async load(name: string, files: readonly File[], signal: AbortSignal): Promise<Model> {
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
        if (signal.aborted) return;
        const now = performance.now();
        this.phases.set(phase, { loaded, total, elapsedMs: (this.phases.get(phase)?.elapsedMs ?? 0) + now - last });
        last = now;
        this.say('loading', `Loading ${name}: ${phase} ${file ?? ''} …`);
      },
    });
    if (signal.aborted) model.destroy(); // it was there before it heard of that
    signal.throwIfAborted();
    this.destroyRuns(NO_RUNS);
    this.model?.destroy();
    this.model = model;
    this.shown = model;
    this.recording = null;
    this.files = files;
    return model;
  }

  /**
   * Runs what the state says. Runs without changes stay if their tokens are the same, with all that has been computed from them: then a
   * slider of a change costs one pass. Changes that do not work leave what was shown, or the prompt without them where it is another.
   */
  private async runAll(signal: AbortSignal, mayKeep = true): Promise<void> {
    const { model, runs: shown, ran: shownOf } = this;
    if (!model) return;
    const { prompt, second, edits, numerics } = this.state;
    this.say('running', 'Running …');
    const made = new Set<PageRun>();
    const run = async (text: string, hooks?: readonly HookEntry[]) => {
      const result = await LiveRun.of(model, text, { hooks, numerics, signal });
      made.add(result);
      return result;
    };
    const keepOrRun = async (known: PageRun | null, text: string) => {
      const isSame = known?.numerics === numerics && String(known.ids) === String(idsOf(model, text));
      return isSame && mayKeep && known instanceof LiveRun ? known : run(text);
    };
    try {
      const before = await keepOrRun(shown.before, prompt);
      const other = second.trim() === '' ? null : await keepOrRun(shown.second, second).catch(ofSecond);
      let after: PageRun | null = null;
      let changes = edits;
      try {
        const hooks = await hooksOf(edits, { model, before: before.cache, second: other?.cache ?? null });
        after = hooks.length > 0 ? await run(prompt, hooks) : null;
      } catch (error) {
        signal.throwIfAborted();
        this.changesProblem = messageOf(error);
        after = before === shown.before ? shown.after : null;
        changes = after ? shownOf.edits : [];
      }
      signal.throwIfAborted();
      this.destroyRuns({ before, after, second: other }, { prompt, second, edits: changes, numerics });
    } catch (error) {
      for (const result of made) result.destroy();
      throw error;
    }
    if (this.changesProblem !== null) throw new Error(this.changesProblem);
    const counted = `${inTokens(this.runs.before?.ids.length ?? 0)}, ${this.runs.before?.cache.names.length} values kept`;
    this.say('ready', `${counted}. Forward pass ${this.run?.elapsedMs?.toFixed(0)} ms.`);
  }

  /** Puts runs in the place of the ones before, whose memory is given back. */
  private destroyRuns(next: Runs, inputs: RunInputs = this.state): void {
    const previous = this.runs;
    this.runs = next;
    this.ran = inputs;
    this.announce(); // whoever shows the ones before lets go of them
    const kept = new Set(Object.values(next));
    for (const run of Object.values(previous)) if (!kept.has(run)) run?.destroy();
  }

  /** What the user does last counts: earlier work is aborted, and its end is of no interest. */
  private async overtake(what: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.work?.abort(new DOMException('Overtaken.', 'AbortError'));
    const work = new AbortController();
    this.work = work;
    this.problem = null;
    this.changesProblem = null;
    try {
      await what(work.signal);
    } catch (error) {
      if (this.work !== work) return;
      if (work.signal.aborted) this.say(this.run ? 'ready' : 'failed', 'Stopped.');
      else this.fail(error);
    } finally {
      if (this.work === work) this.work = null;
    }
  }

  /** Shows what went wrong; what is on screen stays. */
  fail(error: unknown): void {
    this.problem = messageOf(error);
    const what = this.changesProblem !== null ? 'The changes' : 'That';
    this.say('failed', `${what} did not work${this.run ? '; what is shown is the last run that did.' : ':'}`);
  }

  private say(activity: Activity, text: string): void {
    this.status = { activity, text };
    this.announce();
  }

  private announce(): void {
    this.dispatchEvent(new Event('change'));
  }

  /** Where the model was loaded from, for whoever loads it again: a folder's URL relative to the page, a name on the hub, or files. */
  get location(): string | readonly File[] {
    return locationOf(this.state.model, this.files);
  }

  /** The adapter in words, and what the model holds on it. */
  get adapterText(): string {
    return this.device ? describeAdapter(this.device).text : 'no adapter';
  }
}

function inTokens(count: number): string {
  return `${count} ${count === 1 ? 'token' : 'tokens'}`;
}

/** Says that it is the second prompt which did not work. */
function ofSecond(error: unknown): never {
  if (error instanceof Error && error.name !== 'AbortError') error.message = `Second prompt: ${error.message}`;
  throw error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function locationOf(name: string, files: readonly File[]): string | readonly File[] {
  if (name.startsWith('files:')) {
    if (files.length > 0) return files;
    throw new Error(
      `The link names files of somebody's machine (${name.slice(6)}). Open them by "Open another", or choose a model.`,
    );
  }
  return (EMBEDDED_MODELS as readonly string[]).includes(name) ? `./models/${name}/` : name;
}
