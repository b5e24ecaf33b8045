// The fields of one change: what is done, to which value, where in it, by how much or along which direction.
import { html, nothing, type TemplateResult } from 'lit';
import type { Hook, Model } from '../index.ts';
import { wordOfAxis } from './edits.ts';
import { type Direction, EDIT_KINDS, type Edit, type EditKind } from './state.ts';
import { tokenInput } from './token_input.ts';

export const KIND_TITLES: Readonly<Record<EditKind, string>> = {
  zero: 'zero',
  scale: 'scale',
  add: 'add a direction',
  projectOut: 'project a direction out',
  patch: 'patch from the second prompt',
  set: 'set to a number',
  wgsl: 'WGSL expression',
};

const DIRECTION_TITLES: Readonly<Record<Direction['from'], string>> = {
  unembed: 'unembedding of tokens',
  embed: 'embedding of tokens',
  difference: 'second prompt − prompt',
  numbers: 'numbers',
};

/** Where a slider begins, ends, and its steps. Numbers beyond it can be typed. */
export const SLIDERS: Readonly<Partial<Record<EditKind, readonly [number, number, number]>>> = {
  scale: [-2, 2, 0.05],
  add: [-20, 20, 0.25],
  set: [-10, 10, 0.1],
};

export interface ChangeFormOptions {
  readonly edit: Edit;
  readonly model: Model;
  /** The token that a new direction goes towards. */
  readonly likely: number;
  /** Another edit in its place; `soon`: after a moment, as for a slider that is still moving. */
  readonly replace: (to: Edit, soon?: boolean) => void;
}

/** The values of a model by name, for fields that ask for one. */
const HOOK_LIST = 'hook-names';

export function hookList({ hooks, config }: Model): TemplateResult {
  const ofAllLayers = (name: string) => name.replace(/^blocks\.0\./, 'blocks.*.');
  const globs = config.nLayers > 1 ? hooks.filter(({ layer }) => layer === 0).map(({ name }) => ofAllLayers(name)) : [];
  const names = [...hooks.map(({ name }) => name), ...globs];
  return html`<datalist id=${HOOK_LIST}>${names.map((name) => html`<option value=${name}></option>`)}</datalist>`;
}

export function changeForm(options: ChangeFormOptions): TemplateResult {
  const { edit, replace } = options;
  const kind = ({ target }: Event) => {
    const chosen = (target as HTMLSelectElement).value as EditKind;
    const direction = edit.direction ?? (needsDirection(chosen) ? firstDirection(options) : null);
    replace({ ...edit, kind: chosen, direction });
  };
  return html`<div class="fields">
    <label>what <select class="kind" @change=${kind}>
      ${EDIT_KINDS.map((name) => html`<option value=${name} ?selected=${name === edit.kind}>${KIND_TITLES[name]}</option>`)}
    </select></label>
    <label>value <input class="hook" type="text" list=${HOOK_LIST} autocomplete="off" spellcheck="false" .value=${edit.hook}
      @change=${(event: Event) => replace({ ...edit, hook: textOf(event) })}></label>
    ${edit.kind === 'wgsl' ? expressionField(options) : placeFields(options)}
    ${SLIDERS[edit.kind] ? amountFields(options) : nothing}
    ${needsDirection(edit.kind) ? directionFields(options) : nothing}
  </div>`;
}

export function needsDirection(kind: EditKind): boolean {
  return kind === 'add' || kind === 'projectOut';
}

/** A direction to begin with: towards the likely token. */
export function firstDirection({ likely }: Pick<ChangeFormOptions, 'likely'>): Direction {
  return { from: 'unembed', token: likely, minus: null };
}

/** The hook that a name or the first of a glob means; null where there is none. */
export function hookNamed(model: Model, name: string): Hook | null {
  try {
    const [first] = model.hookNames(name);
    return model.hooks.find((hook) => hook.name === first) ?? null;
  } catch {
    return null; // the run says what is wrong with it
  }
}

/** One field for each axis but the batch, which is one row here. */
function placeFields({ edit, model, replace }: ChangeFormOptions): TemplateResult | typeof nothing {
  const hook = hookNamed(model, edit.hook);
  if (!hook) return nothing;
  const isWhole = edit.kind === 'projectOut'; // along the last axis
  const axes = (isWhole ? hook.axes.slice(0, -1) : hook.axes).filter((axis) => axis !== 'batch');
  return html`<div class="change-places">${axes.map((axis) => {
    const word = wordOfAxis(axis);
    const size = hook.shape[hook.axes.indexOf(axis)];
    return html`<label>${word} <input class="change-place" data-axis=${word} type="text" inputmode="numeric" placeholder="all"
      title=${typeof size === 'number' ? `0–${size - 1}, such as 3 or 0,2 or 4-7` : 'such as 3 or 0,2 or 4-7; −1 is the last'}
      .value=${edit.at[word] ?? edit.at[axis] ?? ''}
      @change=${(event: Event) => {
        const { [axis]: _, [word]: __, ...others } = edit.at;
        const text = textOf(event).replace('−', '-');
        replace({ ...edit, at: text === '' ? others : { ...others, [word]: text } });
      }}></label>`;
  })}</div>`;
}

function expressionField({ edit, model, replace }: ChangeFormOptions): TemplateResult {
  const axes = hookNamed(model, edit.hook)?.axes ?? [];
  return html`<label class="wide">expression <textarea class="expression" rows="2" spellcheck="false" .value=${edit.expression}
      @change=${(event: Event) => replace({ ...edit, expression: textOf(event) })}></textarea></label>
    <p class="muted">WGSL over <code>value</code> (f32) and the indices ${axes.join(', ')} (u32), such as
      <code>select(value, 0.0, pos &gt; 2u)</code></p>`;
}

function amountFields({ edit, replace }: ChangeFormOptions): TemplateResult {
  const [min, max, step] = SLIDERS[edit.kind] ?? [0, 1, 0.01];
  const to = (event: Event, soon: boolean) => {
    const amount = Number.parseFloat((event.target as HTMLInputElement).value);
    if (Number.isFinite(amount)) replace({ ...edit, amount }, soon);
  };
  const title = edit.kind === 'set' ? 'number' : edit.kind === 'scale' ? 'factor' : 'amount';
  return html`<div class="amount"><label>${title} <input class="number-field" type="number" step="any" .value=${String(edit.amount)}
      @change=${(event: Event) => to(event, false)}></label>
    <input class="slider" type="range" min=${min} max=${max} step=${step} aria-label=${`${title}, by slider`}
      .value=${String(edit.amount)} @input=${(event: Event) => to(event, true)}></div>`;
}

function directionFields(options: ChangeFormOptions): TemplateResult {
  const { edit, replace, model } = options;
  const direction = edit.direction ?? firstDirection(options);
  const from = ({ target }: Event) => {
    const chosen = (target as HTMLSelectElement).value as Direction['from'];
    replace({ ...edit, direction: another(chosen, direction, options) });
  };
  return html`<label>direction <select class="direction" @change=${from}>
      ${Object.entries(DIRECTION_TITLES).map(
        ([name, title]) => html`<option value=${name} ?selected=${name === direction.from}>${title}</option>`,
      )}</select></label>
    ${directionDetails(direction, model, (to) => replace({ ...edit, direction: to }))}`;
}

/** A direction of another kind, with what of this one still has a meaning. */
function another(from: Direction['from'], direction: Direction, options: ChangeFormOptions): Direction {
  if (from === 'difference') return { from, pos: null };
  if (from === 'numbers') return { from, numbers: [] };
  const isOfTokens = direction.from === 'unembed' || direction.from === 'embed';
  return isOfTokens ? { ...direction, from } : { from, token: options.likely, minus: null };
}

function directionDetails(direction: Direction, model: Model, replace: (to: Direction) => void): TemplateResult {
  if (direction.from === 'difference') {
    const { pos } = direction;
    const to = (event: Event) => {
      const text = textOf(event).replace('−', '-');
      if (/^-?\d*$/.test(text)) replace({ from: 'difference', pos: text === '' ? null : Number(text) });
    };
    return html`<label>position <input class="change-place" type="text" inputmode="numeric" placeholder="mean over all"
      .value=${pos === null ? '' : String(pos)} @change=${to}></label>`;
  }
  if (direction.from === 'numbers') {
    const to = (event: Event) => {
      const numbers = textOf(event)
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(Number);
      if (numbers.every(Number.isFinite)) replace({ from: 'numbers', numbers });
    };
    return html`<label class="wide">numbers <textarea rows="2" spellcheck="false" placeholder="one for each element of the last axis"
      .value=${direction.numbers.join(' ')} @change=${to}></textarea></label>`;
  }
  const { token, minus } = direction;
  return html`<div class="row tokens">
    ${tokenInput({
      ...{ label: 'Towards the token', model, shown: model, token },
      choose: (id) => id !== null && replace({ ...direction, token: id }),
    })} −
    ${tokenInput({
      ...{ label: 'Away from the token', model, shown: model, token: minus, placeholder: 'nothing' },
      choose: (id) => replace({ ...direction, minus: id }),
    })}</div>`;
}

function textOf(event: Event): string {
  return (event.target as HTMLInputElement | HTMLTextAreaElement).value.trim();
}
