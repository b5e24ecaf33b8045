// Where every head looks, in the run and in the one before the changes beside it.
import { html, type TemplateResult } from 'lit';
import type { AttentionSelection, HeadScore } from '../../elements/index.ts';
import { duplicateTokenScore, inductionScore, previousTokenScore, type Tensor } from '../../index.ts';
import { ablateHead } from '../edits.ts';
import type { PageRun } from '../page_run.ts';
import { type Later, View } from '../view.ts';

/** As `HeadScore`, in numbers that JSON keeps. */
interface KeptScore extends Omit<HeadScore, 'scores'> {
  readonly scores: Omit<Tensor, 'data'> & { readonly data: readonly number[] };
}

class AttentionView extends View {
  /** The chosen query and key: of this view alone. */
  static override properties = { ...View.properties, query: { state: true }, key: { state: true } };
  declare private query: number | null;
  declare private key: number | null;
  private readonly shownScores = new WeakMap<readonly KeptScore[], readonly HeadScore[]>();

  constructor() {
    super();
    [this.query, this.key] = [null, null];
  }

  override render(): TemplateResult {
    const { before, after } = this.session.runs;
    if (!before) return html`<p class="muted">There is no run yet.</p>`;
    const { layer, head, edits } = this.state;
    const edit = ablateHead(layer, head);
    const isOff = edits.some((other) => JSON.stringify(other) === JSON.stringify(edit));
    const { config } = this.session.shown ?? {};
    const exists = config && layer < config.nLayers && head < config.nHeads;
    return html`<div class="row"><button id="ablate-head" ?disabled=${isOff || !exists || !this.session.model}
        @click=${() => this.change({ edits: [...edits, edit] })}>Zero head ${layer}.${head}</button>
        <span class="muted">adds it to the changes; before and after stand side by side</span></div>
      <div class="before-after">
      ${this.attention(before, after ? 'before the changes' : '')}${after ? this.attention(after, 'after the changes') : ''}</div>`;
  }

  private scores(run: PageRun): Later<readonly KeptScore[]> {
    return this.later(run, 'head scores', () =>
      run.analysis('head scores', async (model, cache) => {
        const kept = (name: string, label: string, scores: Tensor): KeptScore => {
          return { name, label, scores: { ...scores, data: [...scores.data] } };
        };
        const tokens = [run.ids];
        return [
          kept('previous token', 'prev', await previousTokenScore(model, cache)),
          kept('duplicate token', 'dup', await duplicateTokenScore(model, cache, { tokens })),
          kept('induction', 'ind', await inductionScore(model, cache, { tokens })),
        ];
      }),
    );
  }

  private asShown(kept: readonly KeptScore[]): readonly HeadScore[] {
    const shown =
      this.shownScores.get(kept) ??
      kept.map((score) => ({ ...score, scores: { ...score.scores, data: Float32Array.from(score.scores.data) } }));
    this.shownScores.set(kept, shown);
    return shown;
  }

  private attention(run: PageRun, caption: string): TemplateResult {
    const scores = this.scores(run);
    const { layer, head } = this.state;
    const within = (pos: number | null) => (pos !== null && pos < run.ids.length ? pos : null);
    return html`<figure><figcaption class="muted">${caption}</figcaption>
      ${
        scores.state === 'pending'
          ? html`<p class="muted" role="status">Computing …</p>`
          : html`<hyaline-attention .model=${this.session.shown} .run=${run} .layer=${layer} .head=${head}
              .scores=${scores.state === 'done' ? this.asShown(scores.value) : []}
              .query=${within(this.query)} .key=${within(this.key)} @hyaline-select=${this.onSelect}></hyaline-attention>`
      }</figure>`;
  }

  private onSelect({ detail }: CustomEvent<AttentionSelection>): void {
    const { layer, head, query, key } = detail;
    [this.query, this.key] = [query, key];
    this.change({
      layer,
      head,
      hook: `blocks.${layer}.attn.hook_pattern`,
      rows: '',
      columns: '',
      index: { head_index: head, ...(query !== null && key !== null && { query_pos: query, key_pos: key }) },
    });
  }
}

customElements.define('view-attention', AttentionView);
