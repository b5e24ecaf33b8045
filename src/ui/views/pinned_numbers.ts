// The list of pinned numbers: each beside the number at the same place of the run that is shown, or beside the selected one.
import { html, nothing, type TemplateResult } from 'lit';
import { formatNumber, shortestDecimal } from '../../elements/index.ts';
import { ulpDistance } from '../../index.ts';
import { describeEdit } from '../edits.ts';
import type { PageRun } from '../page_run.ts';
import { keyOf, numberByRunning, numberIn, pinOf, placeOf, runOfPin } from '../pins.ts';
import type { Pin } from '../state.ts';
import { nameOfToken } from '../token_input.ts';
import { type Later, View } from '../view.ts';

class PinnedNumbers extends View {
  static override properties = { ...View.properties, isBesideSelected: { state: true } };
  declare private isBesideSelected: boolean;

  constructor() {
    super();
    this.isBesideSelected = false;
  }

  override render(): TemplateResult | typeof nothing {
    const { pins } = this.state;
    const { run } = this;
    if (pins.length === 0 || !run) return nothing;
    const choice = (isBesideSelected: boolean, text: string) => html`<label><input type="radio" name="beside"
      .checked=${this.isBesideSelected === isBesideSelected}
      @change=${() => {
        this.isBesideSelected = isBesideSelected;
      }}> ${text}</label>`;
    return html`
      <h3>Pinned numbers</h3>
      <div class="row" role="radiogroup" aria-label="Beside">beside
        ${choice(false, 'the same place in the run that is shown')}${choice(true, 'the selected number')}</div>
      <div class="scroll"><table id="pins">
        <thead><tr><th>place</th><th class="number">pinned</th><th class="number">beside it</th>
          <th class="number">difference</th><th class="number">ULP</th><td></td></tr></thead>
        <tbody>${pins.map((pin) => this.row(pin, run))}</tbody>
      </table></div>`;
  }

  private row(pin: Pin, run: PageRun): TemplateResult {
    const pinned = this.pinned(pin);
    const beside = this.beside(pin, run);
    const both = pinned.state === 'done' && beside.state === 'done' ? [pinned.value, beside.value] : null;
    const cell = (content: unknown) => html`<td class="number">${content}</td>`;
    return html`<tr>
      <td><span class="name">${placeOf(pin)}</span>${this.elsewhere(pin)}</td>
      ${cell(told(pinned))}${cell(told(beside))}
      ${cell(both && formatNumber(both[0] - both[1]))}${cell(both && ulpDistance(both[0], both[1]))}
      <td><button type="button" aria-label="Open ${placeOf(pin)}" @click=${() => this.goTo(pin)}>open</button>
        <button type="button" aria-label="Remove ${placeOf(pin)}" @click=${() => this.unpin(pin)}>remove</button></td>
    </tr>`;
  }

  /** In what the pin's run differs from the one that is shown. */
  private elsewhere(pin: Pin): TemplateResult | typeof nothing {
    const here = pinOf(this.session.shownState, pin.index);
    const differences = [
      pin.model !== here.model && pin.model,
      pin.prompt !== here.prompt && JSON.stringify(pin.prompt),
      pin.numerics !== here.numerics && `${pin.numerics} numerics`,
      JSON.stringify(pin.edits) !== JSON.stringify(here.edits) &&
        (pin.edits.length > 0
          ? pin.edits.map((edit) => describeEdit(edit, (id) => nameOfToken(this.session.shown, id))).join('; ')
          : 'without changes'),
    ].filter((difference) => difference !== false);
    return differences.length > 0 ? html`<div class="muted">${differences.join(', ')}</div>` : nothing;
  }

  private pinned(pin: Pin): Later<number> {
    const { model, runs, shownState } = this.session;
    const run = runOfPin(pin, shownState, runs);
    if (run) return this.later(run, `number ${keyOf(pin)}`, () => numberIn(run, pin));
    if (!model || pin.model !== this.state.model) return { state: 'failed', message: 'in another model: open it' };
    return this.later(model, `number ${keyOf(pin)}`, () => numberByRunning(model, pin));
  }

  private beside(pin: Pin, run: PageRun): Later<number> {
    const { hook, index } = this.state;
    const place = this.isBesideSelected ? { hook, index } : pin;
    return this.later(run, `number ${placeOf(place)}`, () => numberIn(run, place));
  }

  private goTo({ second, ...pin }: Pin): void {
    this.change({ ...pin, ...(second !== '' && { second }), rows: '', columns: '' });
  }

  private unpin(pin: Pin): void {
    this.change({ pins: this.state.pins.filter((other) => keyOf(other) !== keyOf(pin)) });
  }
}

function told(later: Later<number>): TemplateResult | string {
  if (later.state === 'pending') return '…';
  return later.state === 'done'
    ? shortestDecimal(later.value)
    : html`<span class="muted" title=${later.message}>–</span>`;
}

customElements.define('pinned-numbers', PinnedNumbers);
