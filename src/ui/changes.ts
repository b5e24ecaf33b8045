// What the user changes inside of the run: a list of interventions in their order, each with its switch, and the second prompt, which
// patches and differences are taken from.
import { html, nothing, type TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { changeForm, firstDirection, hookList, hookNamed, KIND_TITLES, needsDirection } from './change_form.ts';
import { distributionAt } from './distribution.ts';
import { atIndex, describeEdit } from './edits.ts';
import { MovingEdit } from './moving_edit.ts';
import { createEdit, EDIT_KINDS, type Edit, type EditKind } from './state.ts';
import { nameOfToken } from './token_input.ts';
import { View } from './view.ts';

class Changes extends View {
  static override properties = { ...View.properties, open: { state: true } };
  /** The edit of the state whose fields are shown. */
  declare private open: Edit | null;
  private readonly moving = new MovingEdit();

  constructor() {
    super();
    this.open = null;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.moving.end();
  }

  override render(): TemplateResult {
    const { model, changesProblem } = this.session;
    const { edits } = this;
    return html`
      <h2>Changes <small>inside the run, in this order</small></h2>
      <fieldset ?disabled=${!model} aria-label="Changes">
        <ol id="changes">${edits.map((edit, i) => this.item(edit, i))}</ol>
      </fieldset>
      <p id="changes-problem" class="problem" role="alert" ?hidden=${changesProblem === null}>${changesProblem}</p>
      <div class="row">
        <select id="change-kind" aria-label="Kind of change to add">
          ${EDIT_KINDS.map((kind) => html`<option value=${kind}>${KIND_TITLES[kind]}</option>`)}
        </select>
        <button id="add-change" ?disabled=${!model} @click=${this.add}>Add</button>
        <button id="all-off" ?disabled=${!edits.some(({ isOn }) => isOn)} @click=${this.allOff}>All off</button>
      </div>
      ${this.secondPrompt()}${guard([model], () => (model ? hookList(model) : nothing))}`;
  }

  /** The state's, with the one that a slider is changing as it will be. */
  private get edits(): readonly Edit[] {
    return this.moving.in(this.state.edits);
  }

  private item(edit: Edit, i: number): TemplateResult {
    const { model, shown } = this.session;
    const text = describeEdit(edit, (id) => nameOfToken(shown, id));
    const isOpen = this.open === this.state.edits[i] && model !== null;
    const last = this.state.edits.length - 1;
    const button = (label: string, sign: string, act: () => void, isOff = false) =>
      html`<button class="icon" aria-label=${`${label}: change ${i + 1}`} title=${label} aria-disabled=${isOff}
        @click=${isOff ? nothing : act}>${sign}</button>`;
    return html`<li class=${edit.isOn ? '' : 'off'} data-change=${i}>
      <div class="change-row">
        <input type="checkbox" aria-label=${`Change ${i + 1} is on`} .checked=${edit.isOn}
          @change=${() => this.replace(i, { ...edit, isOn: !edit.isOn })}>
        <button class="plain name" aria-expanded=${isOpen} @click=${() => (this.open = isOpen ? null : this.state.edits[i])}>${text}</button>
        <span class="icons">
          ${button('Earlier', '↑', () => this.move(i, i - 1), i === 0)}${button('Later', '↓', () => this.move(i, i + 1), i === last)}${button('Duplicate', '+', () => this.duplicate(i))}${button('Remove', '×', () => this.takeOut(i))}
        </span>
      </div>
      ${isOpen && model ? changeForm({ edit, model, likely: this.likely(), replace: (to, soon) => this.replace(i, to, soon) }) : nothing}
    </li>`;
  }

  private secondPrompt(): TemplateResult {
    const { second, before } = this.session.runs;
    const lengths = second && before && `${second.ids.length} tokens; the prompt has ${before.ids.length}.`;
    return html`<h3><label for="second">Second prompt</label> <small class="muted">for patches and differences</small></h3>
      <form class="row" @submit=${this.submitSecond}>
        <input id="second" name="second" type="text" autocomplete="off" spellcheck="false" .value=${this.state.second}
          @change=${this.submitSecond}>
        <button id="copy-prompt" type="button" title="Start from a copy of the prompt" @click=${this.copyPrompt}>Copy the prompt</button>
      </form>
      <p class="muted" id="second-length">${lengths || 'None yet.'}</p>`;
  }

  private submitSecond(event: Event): void {
    event.preventDefault();
    const input = this.querySelector<HTMLInputElement>('#second');
    if (input && input.value !== this.state.second) this.change({ second: input.value });
  }

  private copyPrompt(): void {
    this.change({ second: this.state.prompt });
    this.querySelector<HTMLInputElement>('#second')?.focus();
  }

  /** The token that new directions go towards: the answer, or the most probable one. */
  private likely(): number {
    const { before } = this.session.runs;
    return this.state.answer ?? (before ? distributionAt(before, this.state.pos).top(1)[0] : 0);
  }

  private add(): void {
    const { model } = this.session;
    const kind = (this.querySelector('#change-kind') as HTMLSelectElement).value as EditKind;
    const { hook } = this.state;
    if (!model) return;
    const at = this.placeOf(kind, hookNamed(model, hook)?.axes ?? []);
    const direction = needsDirection(kind) ? firstDirection({ likely: this.likely() }) : null;
    const edit = createEdit(kind, hook, { at, direction });
    this.commit([...this.edits, edit], edit);
  }

  /** Where a change begins that is added: at the chosen number, or the chosen head, or everywhere. */
  private placeOf(kind: EditKind, axes: readonly string[]): Edit['at'] {
    const { index, head } = this.state;
    if (kind === 'wgsl') return {};
    if (kind === 'set')
      return atIndex(Object.fromEntries(Object.entries(index).filter(([axis]) => axes.includes(axis))));
    return axes.includes('head_index') ? { head: String(head) } : {};
  }

  private allOff(): void {
    this.commit(this.edits.map((edit) => ({ ...edit, isOn: false })));
  }

  private move(from: number, to: number): void {
    const edits = [...this.edits];
    edits.splice(to, 0, ...edits.splice(from, 1));
    this.commit(edits);
    const label = to < from ? 'Earlier' : 'Later';
    this.updateComplete.then(() =>
      this.querySelector<HTMLElement>(`[data-change="${to}"] [title="${label}"]`)?.focus(),
    );
  }

  private duplicate(i: number): void {
    const { edits } = this;
    const copy = { ...edits[i] };
    this.commit([...edits.slice(0, i + 1), copy, ...edits.slice(i + 1)], copy);
  }

  private takeOut(i: number): void {
    this.commit(this.edits.filter((_, at) => at !== i));
    this.updateComplete.then(() => this.querySelector<HTMLElement>('#add-change')?.focus());
  }

  /** @param soon when nothing else has come for a moment: not every step of a slider is a run */
  private replace(i: number, to: Edit, soon = false): void {
    const edit = this.state.edits[i];
    if (!soon || this.moving.isOther(edit)) {
      this.commit(
        this.edits.map((other, at) => (at === i ? to : other)),
        this.open === edit ? to : this.open,
      );
      return;
    }
    this.moving.move(edit, to, () => this.commit(this.edits));
    this.requestUpdate();
  }

  private commit(edits: readonly Edit[], open = this.open): void {
    this.open = this.moving.follow(open);
    this.moving.end();
    this.change({ edits });
  }
}

customElements.define('page-changes', Changes);
