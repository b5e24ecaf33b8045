// One value in the exact inspector: held against the run before the changes, another prompt, token or value, and against float64; and the
// list of numbers that are pinned.
import { html, nothing, type TemplateResult } from 'lit';
import { type PointedNumber, quoteToken, type ShownValue, type ShownView } from '../../elements/index.ts';
import { positionIn } from '../distribution.ts';
import { Float64Client } from '../float64_client.ts';
import { mapOf, placesOf } from '../model_map.ts';
import type { PageRun } from '../page_run.ts';
import { isSamePin, pinOf } from '../pins.ts';
import { elementOf, repeatedPosition, valueIn } from '../shown_values.ts';
import { COMPARED, EMBEDDED_MODELS } from '../state.ts';
import { type Later, View } from '../view.ts';
import './pinned_numbers.ts';

const BLOCK = /^blocks\.(\d+)\./;

class ValueView extends View {
  static override properties = { ...View.properties, wantsFloat64: { state: true } };
  /** Null: as the model is; the embedded ones are small enough to compute it unasked. */
  declare private wantsFloat64: boolean | null;
  private labels: { readonly of: PageRun; readonly pos: readonly string[] } | null = null;

  constructor() {
    super();
    this.wantsFloat64 = null;
  }

  override render(): TemplateResult {
    const { run } = this;
    if (!run) return html`<p class="muted">There is no run yet.</p>`;
    const value = this.value(run, this.state.hook);
    return html`
      ${this.chooser(run)}
      ${value.state === 'done' ? this.inspector(run, value.value) : this.waiting(value)}
      <pinned-numbers .session=${this.session}></pinned-numbers>`;
  }

  private waiting(value: Exclude<Later<ShownValue>, { state: 'done' }>): TemplateResult {
    return html`<p class="muted" role="status">${value.state === 'pending' ? 'Running once more for this value …' : value.message}</p>`;
  }

  /** A value of a run; one that it did not keep is captured by one more pass. */
  private value(run: PageRun, name: string): Later<ShownValue> {
    if (run.cache.has(name)) return { state: 'done', value: valueIn(run, name) };
    return this.later(run, `value ${name}`, async () => {
      if (!run.capture) throw new Error(`This recorded run does not hold ${name}.`);
      return run.capture(name);
    });
  }

  private get names(): readonly string[] {
    return this.session.model?.hooks.map(({ name }) => name) ?? this.run?.cache.names ?? [];
  }

  private choose(hook: string): void {
    const layer = BLOCK.exec(hook);
    this.change({ hook, ...(layer && { layer: Number(layer[1]) }) });
  }

  // What is looked at

  private chooser(run: PageRun): TemplateResult {
    const { hook } = this.state;
    const known = this.session.shown?.hooks.find(({ name }) => name === hook);
    const about = [known?.description, known?.aliasOf && `the same as ${known.aliasOf} unless written`].filter(Boolean);
    return html`
      <div class="row">
        <label>Value <select id="value-name" @change=${(event: Event) => this.choose((event.target as HTMLSelectElement).value)}>
          ${mapOf(this.names).map(
            (section) =>
              html`<optgroup label=${section.title}>${placesOf(section).map(
                ({ name }) =>
                  html`<option value=${name} ?selected=${name === hook}>${name.replace(BLOCK, '$1: ')}</option>`,
              )}</optgroup>`,
          )}
        </select></label>
        <span class="steps">${this.step(-1, '←', 'The same value of the block before')}${this.step(1, '→', 'The same value of the block after')}</span>
        ${this.comparison(run)}
      </div>
      <p class="muted value-about">${about.join(' · ')}</p>`;
  }

  /** The same value of another block. */
  private step(by: number, arrow: string, label: string): TemplateResult {
    const { hook } = this.state;
    const layer = BLOCK.exec(hook);
    const other = layer && hook.replace(BLOCK, `blocks.${Number(layer[1]) + by}.`);
    const isThere = other !== null && this.names.includes(other);
    return html`<button type="button" aria-label=${label} title=${label} ?disabled=${!isThere}
      @click=${() => this.choose(other ?? hook)}>${arrow}</button>`;
  }

  private comparison(run: PageRun): TemplateResult {
    const { compared, hook } = this.state;
    const { runs } = this.session;
    const pos = positionIn(run, this.state.pos);
    const words: Record<(typeof COMPARED)[number], string> = {
      '': runs.after ? 'before the changes' : 'nothing',
      none: 'nothing',
      second: 'the second prompt',
      token: `its position ${pos} ${quoteToken(run.tokens[pos])}`,
    };
    const offered = COMPARED.filter(
      (name) => (name !== 'none' || runs.after) && (name !== 'second' || runs.second || compared === name),
    );
    const option = (name: string, text: string) =>
      html`<option value=${name} ?selected=${name === compared}>${text}</option>`;
    return html`<label>compared with <select id="value-compared"
      @change=${(event: Event) => this.change({ compared: (event.target as HTMLSelectElement).value })}>
      ${offered.map((name) => option(name, words[name]))}
      <optgroup label="another value">${this.sameShape(run, hook).map((name) => option(name, name))}</optgroup>
    </select></label>`;
  }

  /** Values of the shape of this one, the same of other blocks first. */
  private sameShape(run: PageRun, hook: string): string[] {
    const { compared } = this.state;
    const isName = !(COMPARED as readonly string[]).includes(compared);
    if (!run.cache.has(hook)) return isName ? [compared] : [];
    const shape = valueIn(run, hook).shape.join();
    const kind = hook.replace(BLOCK, '');
    const others = run.cache.names.filter((name) => name !== hook && valueIn(run, name).shape.join() === shape);
    const same = others.filter((name) => name.replace(BLOCK, '') === kind);
    return [...new Set([...(isName ? [compared] : []), ...same, ...others])];
  }

  // The inspector

  private inspector(run: PageRun, value: ShownValue): TemplateResult {
    const { rows, columns, index } = this.state;
    const selected = elementOf(value, index) === null ? null : index;
    const reference = this.reference(run, value.name);
    return html`
      <hyaline-value .model=${this.session.model} .value=${value} .compared=${this.compared(run, value)}
        .reference=${reference?.state === 'done' ? reference.value : null} .rows=${rows} .columns=${columns} .index=${index}
        .selected=${selected} .labels=${this.labelsOf(run)}
        @hyaline-select=${this.onSelect} @hyaline-view=${this.onView}></hyaline-value>
      <div class="row">
        ${this.pinButton(selected)}
        ${this.float64Choice(reference)}
      </div>`;
  }

  private labelsOf(run: PageRun): { readonly pos: readonly string[] } {
    if (this.labels?.of !== run) this.labels = { of: run, pos: run.tokens.map(quoteToken) };
    return this.labels;
  }

  private compared(run: PageRun, value: ShownValue): ShownValue | null {
    const { compared, pos } = this.state;
    const { before, second } = this.session.runs;
    const of = (other: PageRun | null, name: string) => {
      const found = other && this.value(other, name);
      return found?.state === 'done' ? found.value : null;
    };
    if (compared === 'none') return null;
    if (compared === '') return run === before ? null : of(before, value.name);
    if (compared === 'second') return of(second, value.name);
    if (compared === 'token') return repeatedPosition(value, positionIn(run, pos));
    return this.names.includes(compared) ? of(run, compared) : null;
  }

  private onSelect({ detail }: CustomEvent<PointedNumber>): void {
    this.change({ index: detail.index });
  }

  private onView({ detail }: CustomEvent<ShownView>): void {
    const { rows, columns, index } = detail;
    this.change({ rows, columns, index: { ...this.state.index, ...index } });
  }

  private pinButton(selected: Readonly<Record<string, number>> | null): TemplateResult {
    const { pins } = this.state;
    const pin = selected && pinOf(this.session.shownState, selected);
    const isPinned = pin !== null && pins.some((other) => isSamePin(other, pin));
    return html`<button type="button" id="pin" ?disabled=${!pin || isPinned}
      @click=${() => pin && this.change({ pins: [...pins, pin] })}
      >${isPinned ? 'Pinned' : pin ? 'Pin this number' : 'Select a number to pin it'}</button>`;
  }

  // float64

  private get showsFloat64(): boolean {
    return this.wantsFloat64 ?? (EMBEDDED_MODELS as readonly string[]).includes(this.state.model);
  }

  /** Null where it is not wanted, or could not be compared. */
  private reference(run: PageRun, name: string): Later<Float64Array> | null {
    if (!this.showsFloat64 || this.session.runs.after) return null;
    return this.later(run, `float64 ${name}`, async () => Float64Client.of(this.session).value(run, name));
  }

  private float64Choice(reference: Later<Float64Array> | null): TemplateResult {
    const words = {
      pending: 'computing in a worker …',
      done: 'of every element, by a pass that shares no code with the engine',
    };
    const told = this.session.runs.after
      ? 'not with changes: the float64 pass knows nothing of them'
      : reference?.state === 'failed'
        ? reference.message
        : reference && words[reference.state];
    return html`<label><input id="wants-float64" type="checkbox" .checked=${this.showsFloat64}
        @change=${(event: Event) => {
          this.wantsFloat64 = (event.target as HTMLInputElement).checked;
        }}> float64 reference</label>
      <span class="muted" id="float64-state" role="status">${told ?? nothing}</span>`;
  }
}

customElements.define('view-value', ValueView);
