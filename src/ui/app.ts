// The page's frame: what stands on every tab (model, prompt, tokens, predictions, changes), and the tab itself.
import { html, nothing, type TemplateResult } from 'lit';
import { html as staticHtml, unsafeStatic } from 'lit/static-html.js';
import { formatMs, type TokenSelection } from '../elements/index.ts';
import type { Phase, PhaseProgress } from './session.ts';
import './changes.ts';
import './keep.ts';
import './open_model.ts';
import './predictions.ts';
import './recording_banner.ts';
import { type PageState, VIEWS, type ViewName } from './state.ts';
import { View } from './view.ts';
import { VIEW_ENTRIES } from './views/index.ts';

const PHASES: readonly Phase[] = ['download', 'upload', 'compile'];

export class App extends View {
  static override properties = { ...View.properties, linkProblems: { attribute: false } };
  /** What the link said that was left out, one sentence each; until it is dismissed. */
  declare linkProblems: readonly string[];
  /** Code that was asked for when it was first needed. */
  private readonly parts = new Map<ViewName | 'tour panel', 'loading' | 'loaded' | 'failed'>();

  constructor() {
    super();
    this.linkProblems = [];
  }

  override render(): TemplateResult {
    return html`
      <header>
        <h1>Hyaline</h1>
        <page-model-choice .session=${this.session}></page-model-choice>
        <label>Numerics <select id="numerics" @change=${this.chooseNumerics}>
          ${['reproducible', 'fast'].map((mode) => html`<option ?selected=${mode === this.state.numerics}>${mode}</option>`)}
        </select></label>
        <page-keep .session=${this.session}></page-keep>
        <span id="adapter" title=${this.session.adapterText}>${this.session.adapterText}</span>
        <span id="memory">${this.memoryText()}</span>
      </header>
      <main>
        <page-recording .session=${this.session}></page-recording>
        ${this.linkProblem()}
        <section id="prompt-section" aria-label="Prompt">${this.promptForm()}${this.progress()}${this.tokens()}</section>
        <aside>
          ${this.tour()}
          <section><page-predictions .session=${this.session}></page-predictions></section>
          <section><page-changes .session=${this.session}></page-changes></section>
        </aside>
        <section id="view-section">${this.tabs()}${this.view()}</section>
      </main>
    `;
  }

  private chooseNumerics(event: Event): void {
    this.change({ numerics: (event.target as HTMLSelectElement).value as PageState['numerics'] });
  }

  private memoryText(): string {
    const { model } = this.session;
    return model ? `${(model.memory.bytes / 2 ** 20).toFixed(1)} MiB on the GPU` : '';
  }

  private promptForm(): TemplateResult {
    const isBusy = ['loading', 'running'].includes(this.session.status.activity);
    return html`<form id="form" @submit=${this.submit}>
      <label for="prompt">Prompt</label>
      <input id="prompt" name="prompt" autocomplete="off" spellcheck="false" .value=${this.state.prompt}>
      <button id="run" type="submit">Run</button>
      <button id="stop" type="button" ?disabled=${!isBusy} @click=${() => this.session.cancel()}>Stop</button>
    </form>`;
  }

  private submit(event: SubmitEvent): void {
    event.preventDefault();
    const prompt = String(new FormData(event.target as HTMLFormElement).get('prompt'));
    if (prompt === this.state.prompt) void this.session.rerun();
    else this.change({ prompt });
  }

  private linkProblem(): TemplateResult | typeof nothing {
    if (this.linkProblems.length === 0) return nothing;
    return html`<section id="link-problem" role="alert"><div>${this.linkProblems.map((text) => html`<p>${text}</p>`)}</div>
      <button @click=${() => (this.linkProblems = [])}>Dismiss</button></section>`;
  }

  private progress(): TemplateResult {
    const { status, changesProblem, phases } = this.session;
    const problem = changesProblem === null ? this.session.problem : null; // that stands beside the changes
    const bar = (phase: Phase) => {
      const shown = phases.get(phase);
      const share = shown && shown.total > 0 ? shown.loaded / shown.total : 0;
      return html`<div><dt>${phase}</dt><dd>${shown ? progressText(phase, shown) : '–'}</dd>
        <dd><progress .value=${share} aria-label=${phase}></progress></dd></div>`;
    };
    return html`
      <div class="progress">
        <p id="status" role="status">${status.text}</p>
        <dl id="phases">${PHASES.map(bar)}</dl>
      </div>
      <p id="problem" role="alert" ?hidden=${problem === null}>${problem}</p>`;
  }

  private tokens(): TemplateResult {
    const { run, session, state } = this;
    const selected = run && (state.pos < 0 ? run.ids.length + state.pos : Math.min(state.pos, run.ids.length - 1));
    const select = ({ detail }: CustomEvent<TokenSelection>) => {
      this.change({ pos: detail.pos === (run?.ids.length ?? 0) - 1 ? -1 : detail.pos });
    };
    return html`<hyaline-tokens id="tokens" .model=${session.shown} .run=${run} .selected=${selected}
      @hyaline-select=${select}></hyaline-tokens>`;
  }

  private tour(): TemplateResult | typeof nothing {
    if (this.state.lesson < 0) return nothing;
    const isLoaded = this.isLoaded('tour panel', () => import('./tour.ts'));
    return isLoaded ? html`<page-tour .session=${this.session}></page-tour>` : nothing;
  }

  /** Asks for code once, and draws again when it is there; what could not be had is asked for again by its tab. */
  private isLoaded(part: ViewName | 'tour panel', load: () => Promise<unknown>): boolean {
    const state = this.parts.get(part);
    if (state === undefined) {
      this.parts.set(part, 'loading');
      load().then(
        () => {
          this.parts.set(part, 'loaded');
          this.requestUpdate();
        },
        (error) => {
          this.parts.set(part, 'failed');
          this.session.fail(error);
        },
      );
    }
    return state === 'loaded';
  }

  private tabs(): TemplateResult {
    const choose = (view: ViewName) => () => {
      if (this.parts.get(view) === 'failed') this.parts.delete(view);
      this.change({ view });
    };
    return html`<div role="tablist" aria-label="Views" @keydown=${this.walkTabs}>
      ${VIEWS.filter((name) => VIEW_ENTRIES[name]).map(
        (name) => html`<button role="tab" id="tab-${name}" aria-selected=${name === this.state.view}
          aria-controls="view" tabindex=${name === this.state.view ? 0 : -1} @click=${choose(name)}>${VIEW_ENTRIES[name]?.title}</button>`,
      )}
    </div>`;
  }

  /** Tabs are one stop of the Tab key; arrows, Home and End go to others, and show them. */
  private walkTabs(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own: Alt and an arrow go back
    const tabs = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[role="tab"]')];
    const at = tabs.indexOf(event.target as HTMLElement);
    const last = tabs.length - 1;
    const to = { ArrowLeft: at > 0 ? at - 1 : last, ArrowRight: at < last ? at + 1 : 0, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    tabs[to].focus();
    tabs[to].click();
  }

  private view(): TemplateResult | typeof nothing {
    const name = this.state.view;
    const entry = VIEW_ENTRIES[name];
    if (!entry) return nothing;
    if (!this.isLoaded(name, entry.load)) return html`<div id="view" role="tabpanel"></div>`;
    const tag = unsafeStatic(entry.tag); // one of ours
    return html`<div id="view" role="tabpanel" aria-labelledby="tab-${name}">
      ${staticHtml`<${tag} .session=${this.session}></${tag}>`}</div>`;
  }
}

/** Bytes, or pipelines for `compile`, and the time that they have taken so far. */
function progressText(phase: Phase, { loaded, total, elapsedMs }: PhaseProgress): string {
  const amount = (count: number) => (phase === 'compile' ? String(count) : `${(count / 1e6).toFixed(1)} MB`);
  return `${amount(loaded)}${total > loaded ? ` of ${amount(total)}` : ''}, ${formatMs(elapsedMs)}`;
}

customElements.define('hyaline-app', App);
