// Activation patching as a map: the prompt's run with one value at a time taken from the second prompt's, and how far that moves the
// answer. A cell can be made a change.
import { html, nothing, type TemplateResult } from 'lit';
import {
  type Colouring,
  formatNumber,
  type PointedNumber,
  quoteToken,
  type ShownValue,
  shownTensor,
} from '../../elements/index.ts';
import { describeEdit } from '../edits.ts';
import {
  PATCH_KINDS,
  type PatchingMap,
  type PatchingRequest,
  patchingRequest,
  patchOfCell,
  recovery,
  runPatching,
} from '../patching.ts';
import { FIRST_PROMPTS } from '../state.ts';
import { nameOfToken } from '../token_input.ts';
import { type Later, View } from '../view.ts';

/** A second prompt for the first one of the embedded model: the names change places. */
const EXAMPLE = 'When John and Mary went to the store, Mary gave a drink to';

/** Recovery of −1 … 1 in colours; beyond, the ends. */
const RECOVERY_COLOURS: Colouring = { map: 'diverging', low: -1, high: 1 };

/** A sweep that was begun, until another takes its place. */
interface Job {
  readonly request: PatchingRequest;
  readonly work: AbortController;
  done: number;
  total: number;
  result: Later<PatchingMap>;
  /** Pictures of the result. */
  shown: { readonly recovery: ShownValue; readonly raw: ShownValue } | null;
}

class PatchingView extends View {
  static override properties = { ...View.properties, isRaw: { state: true }, cell: { state: true } };
  declare private isRaw: boolean;
  /** The chosen cell, by axis. */
  declare private cell: Readonly<Record<string, number>> | null;
  private job: Job | null = null;

  constructor() {
    super();
    this.isRaw = false;
    this.cell = null;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.endJob();
  }

  /** What the state asks for, or why nothing can be asked. */
  private request(): PatchingRequest | string | null {
    const { before, second } = this.session.runs;
    if (!before) return null;
    try {
      return patchingRequest(this.state, { before, second }, (id) => nameOfToken(this.session.shown, id));
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Begins what is asked for, and ends what no longer is. */
  protected override willUpdate(): void {
    const request = this.request();
    const isAsked = request !== null && typeof request !== 'string';
    const { job } = this;
    if (isAsked && job?.request.key === request.key && job.request.corrupted === request.corrupted) return;
    this.endJob();
    if (isAsked) this.begin(request);
  }

  private endJob(): void {
    this.job?.work.abort(new DOMException('Overtaken.', 'AbortError'));
    this.job = null;
  }

  private begin(request: PatchingRequest): void {
    const work = new AbortController();
    const job: Job = { request, work, done: 0, total: 0, result: { state: 'pending' }, shown: null };
    this.job = job;
    this.cell = null;
    const onProgress = ({ done, total }: { done: number; total: number }) => {
      Object.assign(job, { done, total });
      this.requestUpdate();
    };
    runPatching(request, { signal: work.signal, onProgress })
      .then(
        (map) => Object.assign(job, { result: { state: 'done', value: map }, shown: picturesOf(map) }),
        (error) => {
          const stopped = `Stopped after ${job.done} of ${job.total || 'all'} patches.`;
          const message = work.signal.aborted ? stopped : error instanceof Error ? error.message : String(error);
          job.result = { state: 'failed', message };
        },
      )
      .then(() => this.requestUpdate());
  }

  private again(): void {
    if (this.job) this.begin(this.job.request);
    this.requestUpdate();
  }

  override render(): TemplateResult {
    const { state } = this;
    const request = this.request();
    const kinds = Object.entries(PATCH_KINDS);
    return html`
      <div class="row">
        <label>Patch <select id="patch-kind" @change=${this.chooseKind}>
          ${kinds.map(([kind, { title }]) => html`<option value=${kind} ?selected=${kind === state.patchKind}>${title}</option>`)}
        </select></label>
        <label>Show <select id="patch-shows" @change=${this.chooseFigure}>
          <option value="recovery" ?selected=${!this.isRaw}>recovery</option>
          <option value="raw" ?selected=${this.isRaw}>logit difference</option>
        </select></label>
        <button type="button" id="swap-prompts" ?disabled=${state.second.trim() === ''} @click=${this.swap}
          title="Patch the second prompt with values of this one">Swap the prompts</button>
      </div>
      ${request === null ? html`<p class="muted">There is no run yet.</p>` : typeof request === 'string' ? this.why(request) : this.sweep(request)}`;
  }

  private chooseKind({ target }: Event): void {
    this.change({ patchKind: (target as HTMLSelectElement).value });
  }

  private chooseFigure({ target }: Event): void {
    this.isRaw = (target as HTMLSelectElement).value === 'raw';
  }

  private swap(): void {
    this.change({ prompt: this.state.second, second: this.state.prompt });
  }

  private why(message: string): TemplateResult {
    const hasExample = this.state.prompt === FIRST_PROMPTS['circuit-zoo'] && this.state.second.trim() === '';
    return html`<p id="patching-message" role="status">${message}</p>
      ${hasExample ? html`<button type="button" id="patch-example" @click=${() => this.change({ second: EXAMPLE })}>Take “${EXAMPLE}”</button>` : nothing}`;
  }

  private sweep({ tokens, corrupted, clean }: PatchingRequest): TemplateResult {
    const { job, session } = this;
    const names = tokens.map((id) => nameOfToken(session.shown, id));
    const { numerics } = session.model ?? {};
    const isOther = numerics !== undefined && numerics !== this.state.numerics;
    const differing = corrupted.tokens.flatMap((token, i) =>
      corrupted.ids[i] === clean.ids[i] ? [] : `${i} ${quoteToken(token)} ← ${quoteToken(clean.tokens[i])}`,
    );
    return html`
      <p class="muted">Metric: logit of ${names[0]} − logit of ${names[1]} after the last token${isOther ? `, in ${numerics} numerics, which the model was loaded with` : ''}.
        The prompts differ at ${differing.join(', ') || 'no position'}.</p>
      ${job ? this.progress(job) : nothing}
      ${job?.result.state === 'done' ? this.map(job, job.result.value) : html`<div class="patching-space"></div>`}`;
  }

  private progress(job: Job): TemplateResult {
    const { result, done, total } = job;
    const isPending = result.state === 'pending';
    const text = isPending
      ? `${done} of ${total || '…'} patches`
      : result.state === 'failed'
        ? result.message
        : `0 is ${formatNumber(result.value.corrupted)} as in the prompt, 1 is ${formatNumber(result.value.clean)} as in the second one`;
    return html`<div class="row patching-progress">
      <button type="button" id="patch-cancel" ?disabled=${!isPending} @click=${() => job.work.abort()}>Cancel</button>
      <button type="button" id="patch-again" ?disabled=${result.state !== 'failed'} @click=${this.again}>Run</button>
      <progress aria-label="Patches that are done" max="1" .value=${total > 0 ? done / total : isPending ? 0 : 1}></progress>
      <span id="patch-status" role="status" aria-busy=${isPending}>${text}</span>
    </div>`;
  }

  private map(job: Job, map: PatchingMap): TemplateResult {
    const { session, isRaw, cell } = this;
    const others = map.axes.filter((axis) => axis !== 'layer');
    const labels = { pos: job.request.corrupted.tokens.map((token) => quoteToken(token).slice(1, -1)) };
    return html`<hyaline-heatmap id="patching-map" .model=${session.model} .value=${isRaw ? job.shown?.raw : job.shown?.recovery}
        .rows=${'layer'} .columns=${others[0]} .labels=${labels} .selected=${cell}
        .colouring=${isRaw ? null : RECOVERY_COLOURS}
        @hyaline-select=${({ detail }: CustomEvent<PointedNumber>) => (this.cell = detail.index)}></hyaline-heatmap>
      ${this.proposal(job, map)}`;
  }

  /** The chosen cell in numbers, and the change that does the same. */
  private proposal(job: Job, map: PatchingMap): TemplateResult {
    const { cell } = this;
    const edit = cell && patchOfCell(job.request.kind, cell);
    if (!cell || !edit) return html`<p class="muted">Choose a cell to make it a change.</p>`;
    const at = map.axes.reduce((offset, axis, i) => offset * map.shape[i] + cell[axis], 0);
    const metric = map.data[at];
    return html`<div class="row">
      <button type="button" id="patch-add" class="primary" @click=${() => this.change({ edits: [...this.state.edits, edit] })}>Make this change</button>
      <span id="patch-cell" role="status"><span class="name">${describeEdit(edit, String)}</span>:
        recovery <b>${recovery(metric, map).toFixed(4)}</b>, logit difference <b>${metric.toFixed(3)}</b></span>
    </div>`;
  }
}

function picturesOf(map: PatchingMap): Job['shown'] {
  const { shape, axes } = map;
  const picture = (name: string, data: readonly number[]) =>
    shownTensor({ name, shape, axes, data: Float32Array.from(data) });
  return {
    recovery: picture(
      'recovery',
      map.data.map((metric) => recovery(metric, map)),
    ),
    raw: picture('logit difference', map.data),
  };
}

customElements.define('view-patching', PatchingView);
