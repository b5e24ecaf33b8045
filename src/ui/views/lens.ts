// The logit lens of the run, and of the run before the changes beside it.
import { html, type TemplateResult } from 'lit';
import type { LensSelection } from '../../elements/index.ts';
import { type LensRow, logitLens } from '../../index.ts';
import { positionIn } from '../distribution.ts';
import type { PageRun } from '../page_run.ts';
import { type Later, View } from '../view.ts';

const TOP = 5;
/** Positions that are unembedded at once: bounds what their logits take. */
const POSITIONS_AT_ONCE = 64;

class LensView extends View {
  override render(): TemplateResult {
    const { before, after } = this.session.runs;
    if (!before) return html`<p class="muted">There is no run yet.</p>`;
    return html`<div class="before-after">
      ${this.lens(before, after ? 'before the changes' : '')}${after ? this.lens(after, 'after the changes') : ''}</div>`;
  }

  private rows(run: PageRun): Later<LensRow[]> {
    return this.later(run, 'lens', () =>
      run.analysis('lens', async (model, cache) => {
        const rows: LensRow[] = [];
        for (let from = 0; from < run.ids.length; from += POSITIONS_AT_ONCE) {
          const pos = { from, to: Math.min(from + POSITIONS_AT_ONCE, run.ids.length) };
          rows.push(...(await logitLens(model, cache, { k: TOP, pos })));
        }
        return rows;
      }),
    );
  }

  private lens(run: PageRun, caption: string): TemplateResult {
    const rows = this.rows(run);
    const { layer, pos } = this.state;
    return html`<figure><figcaption class="muted">${caption}</figcaption>
      ${
        rows.state === 'done'
          ? html`<hyaline-logit-lens .model=${this.session.shown} .run=${run} .rows=${rows.value} .layer=${layer}
              .pos=${positionIn(run, pos)} @hyaline-select=${this.onSelect}></hyaline-logit-lens>`
          : html`<p class="muted" role="status">${rows.state === 'pending' ? 'Computing …' : rows.message}</p>`
      }</figure>`;
  }

  /** A cell is the stream after a block, at a position. */
  private onSelect({ detail: { layer, pos } }: CustomEvent<LensSelection>): void {
    const stream = layer === null ? {} : { layer, hook: `blocks.${layer}.hook_resid_post` };
    this.change({ pos, ...stream, rows: '', columns: '', index: {} });
  }
}

customElements.define('view-lens', LensView);
