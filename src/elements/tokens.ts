// `<hyaline-tokens>`: the tokens that a run read, one of which can be chosen. Not for typing a prompt.
import { css, html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { styleMap } from 'lit/directives/style-map.js';
import { define, HyalineElement, themeStyles } from './element.ts';
import type { Colouring } from './picture.ts';
import { colouringOf, legend, legendStyles, shade } from './shade.ts';
import type { ShownModel, ShownRun } from './shown_run.ts';
import { formatNumber, quoteToken } from './text.ts';
import { textOfToken, tokenBytes, visibleToken } from './token_text.ts';

/** Detail of `<hyaline-tokens>`'s event `hyaline-select`. */
export interface TokenSelection {
  readonly pos: number;
  readonly id: number;
  readonly text: string;
}

/**
 * The tokens of a run: text, id, bytes and position of each; a click or the arrow keys choose one.
 * @fires hyaline-select - `TokenSelection`: a token was clicked, or chosen by arrow keys, Home or End
 * @example
 * const tokens = document.querySelector('hyaline-tokens');
 * Object.assign(tokens, { model, run: await model.runWithCache('The capital of France is') });
 * tokens.addEventListener('hyaline-select', ({ detail }) => console.log(detail.pos, detail.text));
 */
export class HyalineTokens extends HyalineElement {
  static override properties: PropertyDeclarations = {
    run: { attribute: false },
    model: { attribute: false },
    ids: { attribute: false },
    batch: { type: Number },
    selected: { type: Number },
    values: { attribute: false },
    valuesName: { attribute: 'values-name' },
    pointed: { state: true },
  };

  static override styles = [
    themeStyles,
    legendStyles,
    css`
      [role='listbox'] {
        display: flex;
        flex-wrap: wrap;
        gap: 3px;
        padding: 2px;
      }
      [role='option'] {
        position: relative;
        min-width: 24px;
        padding: 2px 5px 1px;
        border: 1px solid var(--_line);
        border-radius: 4px;
        text-align: center;
        cursor: pointer;
      }
      [role='option']:hover {
        border-color: var(--_accent);
      }
      [aria-selected='true'] {
        border-color: var(--_ground);
        box-shadow: 0 0 0 2px var(--_accent);
      }
      .text {
        display: block;
        font: 13px / 1.3 var(--_mono);
        white-space: pre;
      }
      .id {
        display: block;
        color: var(--_muted);
        font-size: 10px;
        font-variant-numeric: tabular-nums;
      }
      .coloured .id {
        color: inherit;
      }
      .foot {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 16px;
        min-height: 18px;
        margin-top: 5px;
        color: var(--_muted);
        font-size: 12px;
      }
      code {
        color: var(--_ink);
        font-family: var(--_mono);
        white-space: pre-wrap;
      }
    `,
  ];

  /** The run whose tokens these are. */
  declare run: ShownRun | null;
  /** Words the tokens; without one they are ids. */
  declare model: ShownModel | null;
  /** Ids to show instead of a run's, of a text that has not run yet. */
  declare ids: readonly number[] | null;
  /** Which row of the run. Default 0. */
  declare batch: number;
  /** The chosen position; null for none. */
  declare selected: number | null;
  /** One number for each token, which colours it: a probability, a loss; null for a token that has none. */
  declare values: readonly (number | null)[] | null;
  /** What these numbers are, for the legend. */
  declare valuesName: string;
  declare private pointed: number | null;
  private tokens: readonly TokenSelection[] = [];
  private colouring: Colouring | null = null;

  constructor() {
    super();
    this.run = null;
    this.model = null;
    this.ids = null;
    this.batch = 0;
    this.selected = null;
    this.values = null;
    this.valuesName = 'value';
    this.pointed = null;
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (['run', 'model', 'ids', 'batch'].some((name) => changed.has(name))) {
      const ids = this.ids ?? this.run?.cache.tokens?.[this.batch] ?? [];
      this.tokens = ids.map((id, pos) => ({ pos, id, text: textOfToken(this.model, id) }));
    }
    const numbers = this.values?.filter((value) => value !== null) ?? [];
    this.colouring = this.values?.length === this.tokens.length ? colouringOf(numbers) : null;
  }

  protected override render(): TemplateResult {
    if (this.tokens.length === 0) return html`<div class="foot" role="status">${this.whyEmpty()}</div>`;
    const focusable = this.tokens[this.selected ?? 0] ? (this.selected ?? 0) : 0;
    return html`
      <div role="listbox" aria-label="Tokens" aria-orientation="horizontal"
        @click=${this.onClick} @keydown=${this.onKey} @pointerover=${this.onPoint} @pointerleave=${this.onLeave}>
        ${repeat(
          this.tokens,
          ({ pos }) => pos,
          (token) => this.option(token, token.pos === focusable),
        )}
      </div>
      <div class="foot">
        ${this.colouring ? legend(this.valuesName, this.colouring) : this.valuesProblem()}
        <div class="detail">${this.detail(this.tokens[this.pointed ?? this.selected ?? -1])}</div>
      </div>
    `;
  }

  private option(token: TokenSelection, isFocusable: boolean): TemplateResult {
    const { pos, id, text } = token;
    const value = this.valueAt(pos);
    const more = `, position ${pos}${value === null ? '' : `, ${this.valuesName} ${formatNumber(value)}`}`;
    return html`<div role="option" data-pos=${pos} tabindex=${isFocusable ? 0 : -1}
      class=${value === null ? '' : 'coloured'}
      style=${styleMap(value === null || !this.colouring ? {} : shade(this.colouring, value))}
      aria-selected=${pos === this.selected}
    ><span class="text">${visibleToken(text)}</span><span class="id">${id}</span><span class="unseen">${more}</span></div>`;
  }

  /** All that is known of one token. */
  private detail(token: TokenSelection | undefined): TemplateResult | typeof nothing {
    if (!token) return nothing;
    const { pos, id, text } = token;
    const bytes = this.model?.tokenizer ? (tokenBytes(text) ?? 'part of a character') : 'unknown';
    const value = this.valueAt(pos);
    return html`position ${pos} · id ${id} · <code>${quoteToken(text)}</code> · bytes <code>${bytes}</code>${
      value === null ? '' : ` · ${this.valuesName} ${formatNumber(value)}`
    }`;
  }

  private valueAt(pos: number): number | null {
    return this.colouring ? (this.values?.[pos] ?? null) : null;
  }

  private whyEmpty(): string {
    if (!this.run && !this.ids) return 'No run yet.';
    if (!this.ids && this.run?.cache.tokens === null) return 'The tokens of this run are not known.';
    return 'No tokens.';
  }

  private valuesProblem(): string | typeof nothing {
    if (!this.values) return nothing;
    return `values: expected one number for each of ${this.tokens.length} tokens, got ${this.values.length}.`;
  }

  private select(pos: number): void {
    const token = this.tokens[pos];
    if (!token) return;
    this.selected = pos;
    this.emit<TokenSelection>('hyaline-select', token);
  }

  private onClick(event: Event): void {
    const pos = positionOf(event);
    if (pos !== null) this.select(pos);
  }

  private onPoint(event: Event): void {
    this.pointed = positionOf(event);
  }

  private onLeave(): void {
    this.pointed = null;
  }

  private async onKey(event: KeyboardEvent): Promise<void> {
    const from = positionOf(event) ?? 0;
    const last = this.tokens.length - 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last, Enter: from, ' ': from }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.pointed = null;
    this.select(Math.min(Math.max(to, 0), last));
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  }
}

/** The position of the token that an event is of. */
function positionOf(event: Event): number | null {
  const option = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-pos]') : null;
  return option ? Number(option.dataset.pos) : null;
}

define('hyaline-tokens', HyalineTokens);

declare global {
  interface HTMLElementTagNameMap {
    'hyaline-tokens': HyalineTokens;
  }
}
