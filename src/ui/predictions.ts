// What comes next, before and after the changes: the most probable tokens, entropy, and the tokens that are asked about.
import { html, nothing, type TemplateResult } from 'lit';
import { styleMap } from 'lit/directives/style-map.js';
import { formatProbability } from '../elements/index.ts';
import { type Distribution, distributionAt, positionIn } from './distribution.ts';
import { LIKELY_TOKENS, nameOfToken, tokenInput } from './token_input.ts';
import { View } from './view.ts';

const TOKENS = 8;

/** One number of a run's prediction; null where there is none. */
interface Figure {
  readonly label: unknown;
  readonly number: (of: Distribution) => number | null;
  readonly format: (x: number) => string;
  /** What stands beside the number, of less importance. */
  readonly note?: (of: Distribution) => string;
}

class Predictions extends View {
  static override properties = { ...View.properties, inNats: { state: true } };
  declare private inNats: boolean;

  constructor() {
    super();
    this.inNats = false;
  }

  override render(): TemplateResult {
    const { before: run } = this.session.runs;
    if (!run) return html`<h2>Next token</h2>${this.placeholder()}`;
    const pos = positionIn(run, this.state.pos);
    const before = distributionAt(run, pos);
    const after = this.session.runs.after ? distributionAt(this.session.runs.after, pos) : null;
    return html`
      <h2>Next token <small>after ${nameOfToken(this.session.shown, run.ids[pos])}, position ${pos}</small></h2>
      ${this.mostProbable(before, after)}${this.asked(before, after)}`;
  }

  /** As high as what will stand there. */
  private placeholder(): TemplateResult {
    return html`<table aria-hidden="true"><tbody>${Array.from({ length: TOKENS + 4 }, () => html`<tr><td>&nbsp;</td></tr>`)}</tbody></table>`;
  }

  /** By the larger of both probabilities, so that what was lost is there beside what was won. */
  private mostProbable(before: Distribution, after: Distribution | null): TemplateResult {
    const ids = [...new Set([...before.top(TOKENS), ...(after?.top(TOKENS) ?? [])])];
    const larger = (id: number) => Math.max(before.probabilities[id], after?.probabilities[id] ?? 0);
    ids.sort((a, b) => larger(b) - larger(a) || before.logits[b] - before.logits[a]);
    const shown = ids.slice(0, TOKENS);
    return html`
      <datalist id=${LIKELY_TOKENS}>${shown.map((id) => html`<option value=${nameOfToken(this.session.shown, id)}></option>`)}</datalist>
      <table id="next">
        <thead><tr>${(after ? ['token', 'before', 'after', 'change'] : ['token', 'probability', 'logit', 'id']).map(
          (title, i) => html`<th class=${i > 1 && title !== 'after' ? 'number' : ''}>${title}</th>`,
        )}</tr></thead>
        <tbody>${shown.map((id) => {
          const name = html`<td class="token" title=${`id ${id}`}>${nameOfToken(this.session.shown, id)}</td>`;
          const p = before.probabilities[id];
          if (!after) {
            return html`<tr>${name}${probabilityCell(p)}
              <td class="number">${before.logits[id].toFixed(3)}</td><td class="number">${id}</td></tr>`;
          }
          const q = after.probabilities[id];
          return html`<tr>${name}${probabilityCell(p)}${probabilityCell(q)}${changeCell(q - p, formatProbability)}</tr>`;
        })}</tbody>
      </table>`;
  }

  private asked(before: Distribution, after: Distribution | null): TemplateResult {
    const known = (id: number | null) => (id !== null && id < before.logits.length ? id : null);
    const [chosen, wrong] = [known(this.state.answer), known(this.state.wrong)];
    const answer = chosen ?? before.top(1)[0];
    const { model, shown } = this.session;
    const ofToken = (id: number | null): Pick<Figure, 'number' | 'format' | 'note'> => ({
      number: ({ probabilities }) => (id === null ? null : probabilities[id]),
      format: formatProbability,
      note: (of) => (id === null ? '' : `#${of.rank(id)}`),
    });
    const figures: Figure[] = [
      {
        label: html`<button class="plain" id="entropy-unit" title="Show it in ${this.inNats ? 'bits' : 'nats'}"
          @click=${this.changeUnit}>entropy, ${this.inNats ? 'nats' : 'bits'}</button>`,
        number: ({ entropyNats }) => (this.inNats ? entropyNats : entropyNats / Math.LN2),
        format: formatProbability,
      },
      {
        label: tokenInput({
          ...{ label: 'Answer: probability and rank of a token', id: 'answer', model, shown, token: chosen },
          placeholder: nameOfToken(shown, answer),
          choose: (id) => this.change({ answer: id }),
        }),
        ...ofToken(answer),
      },
      {
        label: tokenInput({
          ...{ label: 'Another token, to compare the answer with', id: 'wrong', model, shown, token: wrong },
          placeholder: 'compare with',
          choose: (id) => this.change({ wrong: id }),
        }),
        ...ofToken(wrong),
      },
      {
        label: 'logit difference',
        number: ({ logits }) => (wrong === null ? null : logits[answer] - logits[wrong]),
        format: (x) => x.toFixed(3),
      },
    ];
    return html`<table id="asked"><tbody>${figures.map((figure) => row(figure, before, after))}</tbody></table>`;
  }

  private changeUnit(): void {
    this.inNats = !this.inNats;
  }
}

function row(
  { label, number, format, note }: Figure,
  before: Distribution,
  after: Distribution | null,
): TemplateResult {
  const cell = (of: Distribution) => {
    const x = number(of);
    return html`<td class="number">${note ? html`<small class="muted">${note(of)}</small> ` : nothing}${x === null ? '–' : format(x)}</td>`;
  };
  if (!after) return html`<tr><th>${label}</th>${cell(before)}</tr>`;
  const [from, to] = [number(before), number(after)];
  const change = from === null || to === null ? html`<td class="number">–</td>` : changeCell(to - from, format);
  return html`<tr><th>${label}</th>${cell(before)}${cell(after)}${change}</tr>`;
}

function probabilityCell(p: number): TemplateResult {
  return html`<td class="probability" style=${styleMap({ '--share': formatShare(p) })}>${formatProbability(p)}</td>`;
}

function changeCell(x: number, format: (x: number) => string): TemplateResult {
  const sign = x > 0 ? '+' : x < 0 ? '−' : '';
  return html`<td class="number change">${sign}${format(Math.abs(x))}</td>`;
}

function formatShare(p: number): string {
  return Number.isFinite(p) ? p.toFixed(4) : '0';
}

customElements.define('page-predictions', Predictions);
