// Direct logit attribution: what each component of the residual stream says for a token, at the selected position as bars and at all of
// them as a heatmap; and that everything adds up to the logit.
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { type Colouring, type PointedNumber, quoteToken } from '../../elements/index.ts';
import {
  type AskedTokens,
  type Attribution,
  attributionKey,
  attributionOf,
  type Bar,
  barsAt,
  componentOf,
  largestOf,
  sumOf,
} from '../attribution.ts';
import { distributionAt, positionIn } from '../distribution.ts';
import type { PageRun } from '../page_run.ts';
import { tensorOf } from '../shown_values.ts';
import { nameOfToken, tokenInput } from '../token_input.ts';
import { type Later, View } from '../view.ts';

const MOST_BARS = 24;

/** What the chart shows; the same object draws nothing again. */
interface Chart {
  readonly bars: readonly Bar[];
  /** The same components before the edits. */
  readonly before: readonly Bar[] | null;
}

class AttributionView extends View {
  static override properties = {
    ...View.properties,
    isSorted: { state: true },
  };
  declare isSorted: boolean;
  private chart: Chart | null = null;
  private drawn = '';
  private colours: Colouring = { map: 'diverging', low: 0, high: 0 };

  constructor() {
    super();
    this.isSorted = true;
  }

  override render(): TemplateResult {
    const { run } = this;
    this.chart = null;
    if (!run || !this.session.shown) return html`<p class="muted">There is no run yet.</p>`;
    const { runs } = this.session;
    const asked = this.asked(run);
    const shown = this.attribution(run, asked);
    const before = runs.after && runs.before && this.attribution(runs.before, asked);
    return html`${this.form(run, asked)}${this.result(run, shown, before)}`;
  }

  /** The tokens that the page asks about; without an answer the one that was the most probable before the changes. */
  private asked(run: PageRun): AskedTokens {
    const { answer, wrong } = this.state;
    const before = this.session.runs.before ?? run;
    const count = run.logits.shape[2];
    const known = (id: number | null) => (id !== null && id < count ? id : null);
    const mostProbable = () => distributionAt(before, positionIn(before, this.state.pos)).top(1)[0];
    return { answer: known(answer) ?? mostProbable(), wrong: known(wrong) };
  }

  private attribution(run: PageRun, asked: AskedTokens): Later<Attribution> {
    const key = attributionKey(asked);
    return this.later(run, key, () =>
      run.analysis(key, (model, cache) => attributionOf(model, cache, { ...asked, logits: run.logits })),
    );
  }

  private form(run: PageRun, { answer, wrong }: AskedTokens): TemplateResult {
    const { model, shown } = this.session;
    const pos = positionIn(run, this.state.pos);
    const field = (which: 'answer' | 'wrong', token: number | null) =>
      tokenInput({
        label: which === 'answer' ? 'Token' : 'Token to subtract',
        id: `attributed-${which}`,
        model,
        shown,
        token,
        placeholder: 'nothing',
        choose: (chosen) => this.change({ [which]: chosen }),
      });
    return html`<div class="row">
      <span>Logit of</span>${field('answer', answer)}<span>less that of</span>${field('wrong', wrong)}
      <span class="muted">after ${nameOfToken(shown, run.ids[pos])}, position ${pos}</span>
      <label><input type="checkbox" .checked=${this.isSorted} @change=${this.chooseOrder}> largest first</label>
    </div>`;
  }

  private chooseOrder(event: Event): void {
    this.isSorted = (event.target as HTMLInputElement).checked;
  }

  private result(run: PageRun, shown: Later<Attribution>, before: Later<Attribution> | null): TemplateResult {
    if (shown.state === 'pending') return html`<p class="muted" role="status">Computing …</p>`;
    if (shown.state === 'failed') return html`<p class="muted" role="status">${shown.message}</p>`;
    const pos = positionIn(run, this.state.pos);
    const earlier = before?.state === 'done' ? before.value : null;
    const bars = barsAt(shown.value, pos);
    const chosen = this.isSorted ? largestOf(bars, MOST_BARS) : bars;
    this.chart = { bars: chosen, before: earlier && barsAt(earlier, pos) };
    return html`
      ${this.sums(shown.value, earlier, pos)}
      <div class="attribution ${earlier ? 'compared' : ''}">
        <figure><figcaption class="muted">at the selected position${earlier ? '; lines: before the changes' : ''}</figcaption>
          <div class="bars"></div>${this.selected(shown.value)}</figure>
        ${(earlier ? [earlier, shown.value] : [shown.value]).map((attribution) => this.heatmap(attribution, run, earlier))}
      </div>`;
  }

  /** That the parts add up to the whole, in numbers. */
  private sums(shown: Attribution, earlier: Attribution | null, pos: number): TemplateResult {
    const row = (label: string, attribution: Attribution) => {
      const sum = sumOf(barsAt(attribution, pos));
      const total = sum + attribution.constant;
      const logit = attribution.logits[pos];
      return html`<tr><th scope="row">${label}</th>
        ${[sum, attribution.constant, total, logit].map((x) => html`<td class="number">${x.toFixed(4)}</td>`)}
        <td class="number">${(total - logit).toExponential(1)}</td></tr>`;
    };
    const { runs } = this.session;
    const cap = this.session.shown?.config.outputLogitsSoftCap === null ? '' : ', before its soft cap';
    return html`<div class="scroll"><table class="sums"><thead><tr><td></td><th class="number">components</th>
      <th class="number">+ final norm's bias, b_U</th><th class="number">= sum</th>
      <th class="number">the model's logit${cap}</th><th class="number">difference</th></tr></thead>
      <tbody>${earlier ? row('before', earlier) : nothing}${row(runs.after ? 'after' : '', shown)}</tbody></table></div>`;
  }

  private heatmap(attribution: Attribution, run: PageRun, earlier: Attribution | null): TemplateResult {
    const { labels, positions, values } = attribution;
    const caption = !earlier
      ? 'at every position'
      : attribution === earlier
        ? 'before the changes'
        : 'after the changes';
    const value = tensorOf(attribution, () => {
      const shape = [labels.length, positions];
      return { name: 'attribution', data: Float32Array.from(values), shape, axes: ['component', 'pos'] };
    });
    const largest = [...values, ...(earlier?.values ?? [])].reduce((most, x) => Math.max(most, Math.abs(x) || 0), 0);
    const texts = { component: labels, pos: run.tokens.map(quoteToken) };
    return html`<figure><figcaption class="muted">${caption}</figcaption>
      <hyaline-heatmap .model=${this.session.model} .value=${value} rows="component" columns="pos" .labels=${texts}
        .colouring=${this.colouring(largest)} @hyaline-select=${this.onCell}></hyaline-heatmap></figure>`;
  }

  /** The same object for the same number, so that nothing is drawn again. */
  private colouring(largest: number): Colouring {
    if (this.colours.high !== largest) this.colours = { map: 'diverging', low: -largest, high: largest };
    return this.colours;
  }

  private onCell({ detail }: CustomEvent<PointedNumber>): void {
    const { run } = this;
    const attribution = run && this.attribution(run, this.asked(run));
    if (attribution?.state !== 'done') return;
    this.select(attribution.value.labels[detail.index.component], detail.index.pos);
  }

  private select(label: string, pos?: number): void {
    const component = componentOf(label);
    if (!component) return;
    const { hook, layer, head } = component;
    this.change({
      hook,
      rows: '',
      columns: '',
      index: head === null ? {} : { head_index: head },
      ...(layer !== null && { layer }),
      ...(head !== null && { head }),
      ...(pos !== undefined && { pos }),
    });
  }

  /** Where a selected component is looked at. */
  private selected({ labels }: Attribution): TemplateResult {
    const { hook, head, layer } = this.state;
    if (!labels.some((label) => componentOf(label)?.hook === hook)) {
      return html`<p class="muted">Choose a bar to select its head or value.</p>`;
    }
    const isHead = hook.endsWith('.attn.hook_result');
    return html`<p class="row muted"><span>Selected: <span class="name">${hook}</span>${isHead ? ` head ${head}` : ''}</span>
      <button type="button" @click=${() => this.change({ view: 'value' })}>Its numbers</button>
      ${
        isHead
          ? html`<button type="button" @click=${() => this.change({ view: 'attention', layer, head })}>Where it looks</button>`
          : nothing
      }</p>`;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    void this.draw();
  }

  private async draw(): Promise<void> {
    const { chart } = this;
    const drawn = JSON.stringify(chart);
    const place = this.querySelector('.bars');
    if (!chart || !place) return;
    if (drawn !== this.drawn || !place.firstChild) {
      this.drawn = drawn;
      const { barChart } = await import('../bar_chart.ts');
      if (this.drawn !== drawn) return;
      place.replaceChildren(barChart({ ...chart, select: ({ label }) => this.select(label) }));
    }
    const { hook, head } = this.state;
    for (const rect of place.querySelectorAll<SVGElement>('[data-label]')) {
      const component = componentOf(rect.dataset.label ?? '');
      const isSelected = component?.hook === hook && (component.head === null || component.head === head);
      rect.setAttribute('aria-pressed', String(isSelected));
    }
  }
}

customElements.define('view-attribution', AttributionView);
