// The prompt continued, token by token, without the changes and with them. It begins by itself and again whenever what decides it is
// another, so that the link of what is shown gives the same text; a slider steers it.
import { html, nothing, type TemplateResult } from 'lit';
import { classMap } from 'lit/directives/class-map.js';
import { styleMap } from 'lit/directives/style-map.js';
import { formatProbability } from '../../elements/index.ts';
import type { ActivationCache } from '../../index.ts';
import { firstDirection, SLIDERS } from '../change_form.ts';
import { distributionAt } from '../distribution.ts';
import { describeEdit, hooksOf } from '../edits.ts';
import { type AddedToken, Generation } from '../generation.ts';
import { MovingEdit } from '../moving_edit.ts';
import { LiveRun, type PageRun } from '../page_run.ts';
import { createEdit, type Direction, type Edit, type PageState } from '../state.ts';
import { nameOfToken } from '../token_input.ts';
import { View } from '../view.ts';

type Side = 'before' | 'after';
const SIDES: readonly Side[] = ['before', 'after'];
const TITLES: Readonly<Record<Side, string>> = { before: 'Without changes', after: 'With changes' };

/** What a generation is of: another run, or other settings, make another one. */
interface Job {
  readonly run: PageRun;
  readonly settings: string;
  readonly generation: Generation;
}

const SETTINGS = [
  { key: 'maxNewTokens', title: 'new tokens', min: 1, step: 1 },
  { key: 'temperature', title: 'temperature', min: 0, step: 0.1 },
  { key: 'topK', title: 'top k (0: all)', min: 0, step: 1 },
  { key: 'seed', title: 'seed', min: 0, step: 1 },
] as const satisfies readonly { readonly key: keyof PageState; title: string; min: number; step: number }[];

class GenerateView extends View {
  static override properties = { ...View.properties, isStopped: { state: true }, steered: { state: true } };
  /** The user's stop: nothing begins by itself until they say so. */
  declare private isStopped: boolean;
  /** Which of the changes that add a direction the slider moves. */
  declare private steered: number;
  private jobs: Partial<Record<Side, Job>> = {};
  /** One text after the other. */
  private turn: Promise<void> = Promise.resolve();
  private readonly moving = new MovingEdit();

  constructor() {
    super();
    this.isStopped = false;
    this.steered = 0;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.moving.end();
    this.drop(...SIDES);
  }

  private get settings(): string {
    const { maxNewTokens, temperature, topK, seed } = this.state;
    return [maxNewTokens, temperature, topK, seed].join(' ');
  }

  /** Ends what is no longer asked for; begins what is, once its runs are there. */
  protected override willUpdate(): void {
    const { runs, status, model } = this.session;
    for (const side of SIDES) {
      const [run, job] = [runs[side], this.jobs[side]];
      if (job && job.run === run && job.settings === this.settings) continue;
      this.drop(side);
      if (run && model && status.activity === 'ready' && !this.isStopped && this.isConnected) this.begin(side, run);
    }
  }

  private drop(...sides: readonly Side[]): void {
    for (const side of sides) {
      this.jobs[side]?.generation.stop();
      delete this.jobs[side];
    }
  }

  private begin(side: Side, run: PageRun): void {
    const { model, runs, shownState } = this.session;
    if (!model) return;
    const { edits, numerics, maxNewTokens, temperature, topK, seed } = shownState;
    const sources = { model, before: liveCache(runs.before), second: liveCache(runs.second) };
    const generation = new Generation({
      model,
      ids: run.ids,
      hooks: async () => (side === 'before' ? [] : hooksOf(edits, sources)),
      options: { numerics, maxNewTokens, temperature, topK: topK === 0 ? undefined : topK, seed },
    });
    this.jobs[side] = { run, settings: this.settings, generation };
    this.turn = this.turn.then(() => generation.run(() => this.requestUpdate()));
  }

  override render(): TemplateResult {
    const { model, runs } = this.session;
    if (!runs.before) return html`<p class="muted">There is no run yet.</p>`;
    if (!model) return html`<p class="muted">This is a recording: there is no model that could go on.</p>`;
    const isBusy = SIDES.some((side) => ['waiting', 'running'].includes(this.jobs[side]?.generation.state ?? ''));
    return html`
      <div class="row">
        ${SETTINGS.map(
          ({ key, title, min, step }) => html`<label>${title}
            <input class="setting" id=${key} type="number" min=${min} step=${step} .value=${String(this.state[key])}
              @change=${(event: Event) => this.set(key, event.target as HTMLInputElement)}></label>`,
        )}
        <button type="button" id="generate" class="primary" ?disabled=${isBusy} @click=${this.again}>Generate</button>
        <button type="button" id="generate-stop" ?disabled=${!isBusy} @click=${this.stop}>Stop</button>
      </div>
      ${this.steering()}
      <div class="sides">${SIDES.filter((side) => runs[side]).map((side) => this.side(side))}</div>
      ${this.table()}`;
  }

  private set(key: (typeof SETTINGS)[number]['key'], input: HTMLInputElement): void {
    if (input.value !== '' && input.reportValidity()) this.change({ [key]: Number(input.value) });
  }

  private again(): void {
    this.isStopped = false;
    this.drop(...SIDES);
    this.requestUpdate();
  }

  private stop(): void {
    this.isStopped = true;
    for (const side of SIDES) this.jobs[side]?.generation.stop();
  }

  /** The changes that a slider can steer. */
  private get directions(): readonly Edit[] {
    return this.state.edits.filter(({ kind }) => kind === 'add');
  }

  private steering(): TemplateResult {
    const { directions } = this;
    const edit = directions[Math.min(this.steered, directions.length - 1)];
    if (!edit) {
      return html`<p class="row"><button type="button" id="steer" @click=${this.addDirection}>Steer it</button>
        <span class="muted">by a direction that is added in the middle of the model${
          this.session.runs.second ? ': from the prompt’s last token to the second one’s' : ''
        }.</span></p>`;
    }
    const shown = this.moving.follow(edit) ?? edit;
    const [min, max, step] = SLIDERS.add ?? [-1, 1, 0.1];
    const words = (of: Edit) => describeEdit(of, (id) => nameOfToken(this.session.shown, id));
    return html`<div class="row steering">
      ${
        directions.length > 1
          ? html`<label>Steer <select id="steered" @change=${(event: Event) => (this.steered = (event.target as HTMLSelectElement).selectedIndex)}>
              ${directions.map((other) => html`<option ?selected=${other === edit}>${words(other)}</option>`)}</select></label>`
          : html`<span class="steered-name">${words(shown)}</span>`
      }
      <label class="slide">amount <input id="steering" type="range" min=${min} max=${max} step=${step} .value=${String(shown.amount)}
        @input=${(event: Event) => this.steer(edit, Number((event.target as HTMLInputElement).value))}></label>
      <output for="steering">${shown.amount}</output>
    </div>`;
  }

  private steer(edit: Edit, amount: number): void {
    this.moving.move(edit, { ...edit, amount, isOn: true }, () => {
      const edits = this.moving.in(this.state.edits);
      this.moving.end();
      this.change({ edits });
    });
    this.requestUpdate();
  }

  private addDirection(): void {
    const { model, runs } = this.session;
    if (!model || !runs.before) return;
    const likely = this.state.answer ?? distributionAt(runs.before, -1).top(1)[0];
    const direction: Direction = runs.second ? { from: 'difference', pos: -1 } : firstDirection({ likely });
    const hook = `blocks.${Math.floor(model.config.nLayers / 2)}.hook_resid_post`;
    this.change({ edits: [...this.state.edits, createEdit('add', hook, { direction, amount: 1 })] });
  }

  private side(side: Side): TemplateResult {
    const generation = this.jobs[side]?.generation;
    const { tokens = [], state, message } = generation ?? {};
    const rate = generation?.rate ?? null;
    const parts = [
      tokens.length === 1 ? '1 token' : `${tokens.length} tokens`,
      ...(rate === null ? [] : [`${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`]),
      ...(state === 'ended' && message ? [message] : state === 'waiting' ? ['waiting'] : []),
    ];
    const isText = this.session.shown?.tokenizer;
    return html`<section class="side" id=${`generated-${side}`}>
      <h3>${TITLES[side]} <small class="muted" role="status" aria-busy=${state === 'running'}>${generation ? parts.join(', ') : 'not yet'}</small></h3>
      ${state === 'failed' ? html`<p class="problem">${message}</p>` : nothing}
      <p class="text"><span class="muted">${this.session.shownState.prompt}</span>${tokens.map(
        (token) => html`<span class="added" title=${`${this.nameOf(token)} ${formatProbability(token.probability)}`}
          style=${styleMap({ '--share': token.probability.toFixed(3) })}>${isText ? token.text : ` ${token.id}`}</span>`,
      )}</p>
    </section>`;
  }

  private nameOf({ id }: AddedToken): string {
    return nameOfToken(this.session.shown, id);
  }

  /** Token by token, side by side. */
  private table(): TemplateResult | typeof nothing {
    const sides = SIDES.filter((side) => this.jobs[side]);
    const texts = sides.map((side) => this.jobs[side]?.generation.tokens ?? []);
    const length = Math.max(0, ...texts.map((tokens) => tokens.length));
    if (length === 0) return nothing;
    const isSame = (i: number) => texts.every((tokens) => tokens[i]?.id === texts[0][i]?.id);
    return html`<div class="generated-tokens" role="region" aria-label="Generated tokens" tabindex="0"><table id="generated">
      <thead><tr><th>step</th>${sides.map((side) => html`<th>${TITLES[side].toLowerCase()}</th><th>probability</th>`)}</tr></thead>
      <tbody>${Array.from(
        { length },
        (_, i) =>
          html`<tr class=${classMap({ differs: !isSame(i) })}><td>${i + 1}</td>${texts.map(({ [i]: token }) =>
            token
              ? html`<td class="token">${this.nameOf(token)}</td><td class="probability"
                style=${styleMap({ '--share': token.probability.toFixed(4) })}>${formatProbability(token.probability)}</td>`
              : html`<td></td><td></td>`,
          )}</tr>`,
      )}</tbody></table></div>`;
  }
}

/** What changes take values from; a recorded run has nothing on the GPU. */
function liveCache(run: PageRun | null): ActivationCache | null {
  return run instanceof LiveRun ? run.cache : null;
}

customElements.define('view-generate', GenerateView);
