// `<hyaline-logit-lens>`: what the model would predict after each block, at each position. Not for other values than the residual stream.
import { css, html, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { styleMap } from 'lit/directives/style-map.js';
import { type LensRow, logitLens, type TokenProbability } from '../index.ts';
import { define, HyalineElement, themeStyles } from './element.ts';
import { Latest } from './latest.ts';
import type { Colouring } from './picture.ts';
import { legend, legendStyles, shade } from './shade.ts';
import { liveRun, notCaptured, type ShownModel, type ShownRun } from './shown_run.ts';
import { formatProbability, quoteToken } from './text.ts';
import { textOfToken, visibleToken } from './token_text.ts';

/** Detail of `<hyaline-logit-lens>`'s event `hyaline-select`. */
export interface LensSelection {
  /** The block after which this is predicted; null for a value outside of the blocks. */
  readonly layer: number | null;
  readonly pos: number;
  /** The most probable token. */
  readonly token: TokenProbability;
}

/** Positions that are unembedded at once: bounds the memory that logits of a large vocabulary take. */
const POSITIONS_AT_ONCE = 64;

const PROBABILITIES: Colouring = { map: 'viridis', low: 0, high: 1 };

/** A cell of the table, counted from its upper left. */
interface Cell {
  readonly row: number;
  readonly column: number;
}

/**
 * The logit lens as a table, layer × position, coloured by the probability of the token on top; the last row is the model itself.
 * Hover or focus shows the `k` most probable.
 * @fires hyaline-select - `LensSelection`: a cell was clicked, or Enter pressed on it
 * @cssproperty --hyaline-max-height - of the table; 70vh
 * @example
 * const lens = document.querySelector('hyaline-logit-lens');
 * Object.assign(lens, { model, run: await model.runWithCache(text, { names: 'blocks.*.hook_resid_post' }) });
 */
export class HyalineLogitLens extends HyalineElement {
  static override properties: PropertyDeclarations = {
    run: { attribute: false },
    model: { attribute: false },
    rows: { attribute: false },
    k: { type: Number },
    batch: { type: Number },
    layer: { type: Number },
    pos: { type: Number },
    shown: { state: true },
    message: { state: true },
    isBusy: { state: true },
    active: { state: true },
    open: { state: true },
  };

  static override styles = [
    themeStyles,
    legendStyles,
    css`
      .scroll {
        overflow: auto;
        max-height: var(--hyaline-max-height, 70vh);
      }
      [aria-busy='true'] {
        opacity: 0.6;
      }
      table {
        border-collapse: separate;
        border-spacing: 1px;
      }
      th {
        padding: 1px 6px 1px 0;
        background: var(--_ground);
        color: var(--_muted);
        font-weight: normal;
        text-align: left;
        white-space: nowrap;
      }
      thead th {
        position: sticky;
        top: 0;
      }
      tbody th,
      thead th:first-child {
        position: sticky;
        left: 0;
        z-index: 1;
      }
      thead th:first-child {
        z-index: 2;
      }
      td,
      thead th:not(:first-child) {
        max-width: 9ch;
        min-width: 5ch;
        overflow: hidden;
        padding: 2px 4px;
        font: 12px / 1.35 var(--_mono);
        text-align: left;
        text-overflow: ellipsis;
        white-space: pre;
      }
      thead small {
        display: block;
        font: 10px / 1.2 var(--_font);
      }
      td {
        border-radius: 2px;
        cursor: pointer;
      }
      tbody tr:last-child :is(td, th) {
        border-top: 2px solid var(--_ground);
      }
      [aria-selected='true'] {
        outline: 2px solid var(--_accent);
        box-shadow: inset 0 0 0 2px var(--_ground);
      }
      .foot {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 16px;
        min-height: 18px;
        margin-top: 4px;
        color: var(--_muted);
        font-size: 12px;
      }
      [popover] {
        inset: auto;
        min-width: 150px;
        margin: 0;
        padding: 6px 8px;
        border: 1px solid var(--_line);
        border-radius: 6px;
        background: var(--_ground);
        color: var(--_ink);
        box-shadow: 0 3px 12px rgb(0 0 0 / 0.2);
        pointer-events: none;
      }
      [popover] p {
        margin: 0 0 4px;
        color: var(--_muted);
        font-size: 11px;
      }
      ol {
        margin: 0;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        justify-content: space-between;
        gap: 16px;
        padding: 1px 4px;
        background: linear-gradient(var(--_bar) 0 0) left / calc(100% * var(--share)) 100% no-repeat;
        font: 12px / 1.4 var(--_mono);
        white-space: pre;
      }
    `,
  ];

  /** The run; it must have captured `blocks.*.hook_resid_post`. */
  declare run: ShownRun | null;
  /** The model of the run: it computes the rows, and words the tokens. */
  declare model: ShownModel | null;
  /** What `logitLens` gave, to show instead of computing it. */
  declare rows: readonly LensRow[] | null;
  /** Tokens for each cell. Default 5. */
  declare k: number;
  /** Which row of the run. Default 0. */
  declare batch: number;
  /** The chosen cell; null for none. */
  declare layer: number | null;
  declare pos: number | null;
  declare private shown: LensTable;
  declare private message: string;
  declare private isBusy: boolean;
  /** The cell that the keyboard reaches. */
  declare private active: Cell;
  /** The cell whose tokens are shown. */
  declare private open: Cell | null;
  private readonly latest = new Latest();

  constructor() {
    super();
    this.run = null;
    this.model = null;
    this.rows = null;
    this.k = 5;
    this.batch = 0;
    this.layer = null;
    this.pos = null;
    this.shown = new LensTable([]);
    this.message = '';
    this.isBusy = false;
    this.active = { row: 0, column: 0 };
    this.open = null;
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (['run', 'model', 'rows', 'k', 'batch'].some((name) => changed.has(name))) void this.compute();
  }

  /** Shows `rows`, or what the model says; nothing that is out of date by then. */
  private async compute(): Promise<void> {
    const isLatest = this.latest.begin();
    const { rows, run } = this;
    this.open = null;
    if (rows) return this.show(rows.filter(({ batch }) => batch === this.batch));
    const live = liveRun(this.model, run);
    if (!run || !live) return this.show([], run ? 'There are no rows for this recorded run.' : 'No run yet.');
    const { nLayers } = live.model.config;
    const names = Array.from({ length: nLayers }, (_, layer) => `blocks.${layer}.hook_resid_post`);
    const missing = notCaptured(run, names);
    if (missing) return this.show([], missing);
    this.isBusy = true;
    const { batch, k } = this;
    try {
      const positions = run.cache.tokens?.[batch]?.length ?? run.cache.get(names[0]).shape[1];
      const computed: LensRow[] = [];
      for (let from = 0; from < positions; from += POSITIONS_AT_ONCE) {
        const pos = { from, to: Math.min(from + POSITIONS_AT_ONCE, positions) };
        computed.push(...(await logitLens(live.model, live.cache, { k, batch, pos })));
        if (!isLatest()) return;
      }
      this.show(computed);
    } catch (error) {
      if (isLatest()) this.show([], error instanceof Error ? error.message : String(error));
    }
  }

  private show(rows: readonly LensRow[], message = 'No rows.'): void {
    this.shown = new LensTable(rows);
    this.message = rows.length > 0 ? '' : message;
    this.isBusy = false;
    const { names, positions } = this.shown;
    if (this.active.row >= names.length || this.active.column >= positions.length) {
      this.active = { row: Math.max(names.length - 1, 0), column: Math.max(positions.length - 1, 0) };
    }
  }

  protected override render(): TemplateResult {
    const { shown } = this;
    if (shown.names.length === 0) {
      return html`<div class="foot" role="status">${this.isBusy ? 'Computing …' : this.message}</div>`;
    }
    const inputs = [shown, this.isBusy, this.active, this.layer, this.pos];
    return html`
      <div class="scroll" @scroll=${this.close} @pointerleave=${this.close}>
        ${guard(inputs, () => this.table())}
      </div>
      <div class="foot"><span>top token after each block</span>${legend('probability', PROBABILITIES)}</div>
      <div popover="manual" id="top">${this.openTokens()}</div>
    `;
  }

  private table(): TemplateResult {
    const { shown } = this;
    const ids = this.run?.cache.tokens?.[this.batch];
    const heading = (pos: number) => {
      const id = ids?.[pos];
      return html`<th scope="col"><small>${pos}</small>${id === undefined ? '' : visibleToken(textOfToken(this.model, id))}</th>`;
    };
    return html`<table role="grid" aria-label="Logit lens" aria-busy=${this.isBusy}
      @click=${this.onClick} @keydown=${this.onKey} @pointerover=${this.onPoint} @focusin=${this.onPoint} @focusout=${this.close}>
      <thead><tr><th scope="col">block</th>${shown.positions.map(heading)}</tr></thead>
      <tbody>${shown.names.map(
        (name, row) => html`<tr><th scope="row">${this.rowName(row)}</th>
        ${shown.positions.map((_, column) => this.cell({ row, column }, name))}</tr>`,
      )}</tbody>
    </table>`;
  }

  /** The last block's number has a word behind it: its row is what the model predicts. */
  private rowName(row: number): string {
    const { layers, names } = this.shown;
    const layer = layers[row];
    if (layer === null) return names[row];
    return layer + 1 === this.model?.config.nLayers ? `${layer} = model` : String(layer);
  }

  private cell(cell: Cell, name: string): TemplateResult {
    const { shown, active } = this;
    const pos = shown.positions[cell.column];
    const top = shown.at(cell)?.top[0];
    if (!top) return html`<td></td>`;
    return html`<td role="gridcell" data-row=${cell.row} data-column=${cell.column} tabindex=${isSame(active, cell) ? 0 : -1}
      style=${styleMap(shade(PROBABILITIES, top.probability))}
      aria-selected=${this.pos === pos && this.layer === shown.layers[cell.row]}
      aria-label=${`${name}, position ${pos}: ${tokenInWords(top)}`} aria-describedby="top"
      >${visibleToken(top.text)}</td>`;
  }

  /** The k tokens of the cell that is pointed at. */
  private openTokens(): TemplateResult | string {
    const found = this.open && this.shown.at(this.open);
    if (!found) return '';
    return html`<p>${found.name}, position ${found.pos}</p>
      <ol>${found.top.map(
        (token) => html`<li style=${styleMap({ '--share': String(token.probability) })}
          ><span>${quoteToken(token.text)}</span><span>${formatProbability(token.probability)}</span></li>`,
      )}</ol>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has('pos') || changed.has('shown')) this.showChosenColumn();
    if (!changed.has('open')) return;
    const panel = this.renderRoot.querySelector<HTMLElement>('[popover]');
    const cell = this.open && this.cellElement(this.open);
    if (!panel) return;
    panel.togglePopover(Boolean(cell));
    if (cell) placeBeside(panel, cell.getBoundingClientRect());
  }

  /** Scrolls the table, and nothing around it, to the chosen position. */
  private showChosenColumn(): void {
    const column = this.pos === null ? -1 : this.shown.positions.indexOf(this.pos);
    const cell = this.cellElement({ row: 0, column })?.getBoundingClientRect();
    const frame = this.renderRoot.querySelector('.scroll');
    const rowNames = this.renderRoot.querySelector('thead th')?.getBoundingClientRect();
    if (!cell || !frame || !rowNames) return;
    const beyond = cell.right - frame.getBoundingClientRect().right;
    frame.scrollLeft += beyond > 0 ? beyond : Math.min(cell.left - rowNames.right, 0);
  }

  private cellElement({ row, column }: Cell): HTMLElement | null {
    return this.renderRoot.querySelector(`[data-row="${row}"][data-column="${column}"]`);
  }

  private onPoint(event: Event): void {
    const cell = cellOf(event);
    if (!isSame(cell, this.open)) this.open = cell;
  }

  private close(): void {
    this.open = null;
  }

  private onClick(event: Event): void {
    const cell = cellOf(event);
    if (cell) this.select(cell);
  }

  private select(cell: Cell): void {
    const row = this.shown.at(cell);
    if (!row) return;
    this.active = cell;
    this.layer = row.layer;
    this.pos = row.pos;
    this.emit<LensSelection>('hyaline-select', { layer: row.layer, pos: row.pos, token: row.top[0] });
  }

  private async onKey(event: KeyboardEvent): Promise<void> {
    const { row, column } = cellOf(event) ?? this.active;
    if (event.key === 'Escape') return this.close();
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      return this.select({ row, column });
    }
    const last = { row: this.shown.names.length - 1, column: this.shown.positions.length - 1 };
    const to = {
      ArrowUp: { row: row - 1, column },
      ArrowDown: { row: row + 1, column },
      ArrowLeft: { row, column: column - 1 },
      ArrowRight: { row, column: column + 1 },
      Home: { row, column: 0 },
      End: { row, column: last.column },
    }[event.key];
    if (!to) return;
    event.preventDefault();
    this.active = {
      row: Math.min(Math.max(to.row, 0), last.row),
      column: Math.min(Math.max(to.column, 0), last.column),
    };
    await this.updateComplete;
    this.cellElement(this.active)?.focus();
  }
}

/** Rows of a lens by value and position. */
class LensTable {
  /** Of the values, in the order of the rows. */
  readonly names: readonly string[];
  readonly layers: readonly (number | null)[];
  readonly positions: readonly number[];
  private readonly cells: ReadonlyMap<string, LensRow>;

  constructor(rows: readonly LensRow[]) {
    const layerOf = new Map(rows.map(({ name, layer }) => [name, layer]));
    this.names = [...layerOf.keys()];
    this.layers = [...layerOf.values()];
    this.positions = [...new Set(rows.map(({ pos }) => pos))].sort((a, b) => a - b);
    this.cells = new Map(rows.map((row) => [`${row.name} ${row.pos}`, row]));
  }

  at({ row, column }: Cell): LensRow | undefined {
    return this.cells.get(`${this.names[row]} ${this.positions[column]}`);
  }
}

const isSame = (a: Cell | null, b: Cell | null) => a?.row === b?.row && a?.column === b?.column;

const tokenInWords = ({ text, probability }: TokenProbability) =>
  `${quoteToken(text)} ${formatProbability(probability)}`;

function cellOf({ target }: Event): Cell | null {
  const found = target instanceof Element ? target.closest<HTMLElement>('[data-row]') : null;
  return found ? { row: Number(found.dataset.row), column: Number(found.dataset.column) } : null;
}

/** Below the cell, or above it where there is no room; inside of the window. */
function placeBeside(panel: HTMLElement, { left, top, bottom }: DOMRect): void {
  const { width, height } = panel.getBoundingClientRect();
  const below = bottom + 4 + height <= innerHeight;
  panel.style.left = `${Math.max(Math.min(left, innerWidth - width - 8), 0)}px`;
  panel.style.top = `${below ? bottom + 4 : Math.max(top - 4 - height, 0)}px`;
}

define('hyaline-logit-lens', HyalineLogitLens);

declare global {
  interface HTMLElementTagNameMap {
    'hyaline-logit-lens': HyalineLogitLens;
  }
}
