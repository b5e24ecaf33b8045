// `<hyaline-attention>`: where every head looks. All patterns small, one large, and lines from token to token. Not for scores before the
// softmax: `<hyaline-heatmap>` shows any value.
import { html, nothing, type PropertyDeclarations, type PropertyValues, type TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { keyed } from 'lit/directives/keyed.js';
import { styleMap } from 'lit/directives/style-map.js';
import type { Tensor } from '../index.ts';
import { drawLines, type HeadPattern, type LineEnd, linesOf, tokenColumn, weightAt } from './attention_lines.ts';
import { attentionStyles } from './attention_styles.ts';
import { define, HyalineElement, themeStyles } from './element.ts';
import { shortestDecimal } from './float32_text.ts';
import { type HeadScore, headScores, SCORES } from './head_scores.ts';
import { Latest } from './latest.ts';
import { type Colouring, cellsOf, type Picture, type Rectangle, wholeWindow } from './picture.ts';
import { legend, legendStyles } from './shade.ts';
import { liveRun, notCaptured, type ShownModel, type ShownRun } from './shown_run.ts';
import type { ShownValue } from './shown_value.ts';
import { quoteToken } from './text.ts';
import { textOfToken, visibleToken } from './token_text.ts';
import { tensorOf } from './value_numbers.ts';
import { ValuePainter } from './value_painter.ts';

/** Detail of `<hyaline-attention>`'s event `hyaline-select`. */
export interface AttentionSelection {
  readonly layer: number;
  readonly head: number;
  /** Null while none is chosen. */
  readonly query: number | null;
  readonly key: number | null;
}

interface LayerPattern {
  readonly layer: number;
  /** [batch, head_index, query_pos, key_pos] */
  readonly value: ShownValue;
}

interface Cell {
  readonly query: number;
  readonly key: number;
}

const WEIGHTS: Colouring = { map: 'viridis', low: 0, high: 1 };

/** In CSS pixels. */
const LARGE_PX = 288;
const GAP_PX = 6;
const smallPx = (nHeads: number) => (nHeads <= 6 ? 76 : nHeads <= 8 ? 64 : 52);

/**
 * Attention: all heads of all layers as small patterns with their scores, the chosen one large, and its lines between tokens.
 * Rows look, columns are looked at. Patterns on the GPU are drawn from their buffers; only the chosen block's is read.
 * @fires hyaline-select - `AttentionSelection`: a head, a cell of the large pattern or a token was clicked, or chosen by keyboard
 * @cssproperty --hyaline-max-height - of all heads, and of the lines; 540px
 * @example
 * const attention = document.querySelector('hyaline-attention');
 * Object.assign(attention, { model, run: await model.runWithCache(text, { names: 'blocks.*.attn.hook_pattern' }) });
 */
export class HyalineAttention extends HyalineElement {
  static override properties: PropertyDeclarations = {
    run: { attribute: false },
    model: { attribute: false },
    scores: { attribute: false },
    batch: { type: Number },
    layer: { type: Number },
    head: { type: Number },
    query: { type: Number },
    key: { type: Number },
    numbers: { state: true },
    computedScores: { state: true },
    problem: { state: true },
    cell: { state: true },
    end: { state: true },
  };

  static override styles = [themeStyles, legendStyles, attentionStyles];

  /** The run; it must have captured `blocks.*.attn.hook_pattern`, of some blocks at least. */
  declare run: ShownRun | null;
  /** The model of the run: it has the GPU that draws, computes the scores and words the tokens. */
  declare model: ShownModel | null;
  /** Scores to show instead of computing previous-token, duplicate-token and induction scores. */
  declare scores: readonly HeadScore[] | null;
  /** Which row of the run. Default 0. */
  declare batch: number;
  /** The chosen head. Default 0.0. */
  declare layer: number;
  declare head: number;
  /** The chosen query and key, counted in the pattern; null for none. */
  declare query: number | null;
  declare key: number | null;
  /** The pattern of the chosen layer, read. */
  declare private numbers: Tensor | null;
  declare private computedScores: readonly HeadScore[];
  declare private problem: string;
  /** What is pointed at in the large pattern. */
  declare private cell: Cell | null;
  /** The token that is pointed at beside the lines. */
  declare private end: LineEnd | null;
  private patterns: readonly LayerPattern[] = [];
  private labels: readonly string[] = [];
  private readonly painters = new Map<HTMLCanvasElement, ValuePainter>();
  private readonly reading = new Latest();
  private readonly scoring = new Latest();
  private readonly paintingSmall = new Latest();
  private readonly paintingLarge = new Latest();

  constructor() {
    super();
    this.run = null;
    this.model = null;
    this.scores = null;
    this.batch = 0;
    this.layer = 0;
    this.head = 0;
    this.query = null;
    this.key = null;
    this.numbers = null;
    this.computedScores = [];
    this.problem = '';
    this.cell = null;
    this.end = null;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated && this.run) this.requestUpdate('run', null); // painters went when it was taken out of the page
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const painter of this.painters.values()) painter.destroy();
    this.painters.clear();
  }

  protected override willUpdate(changed: PropertyValues): void {
    const hasChanged = (...names: string[]) => names.some((name) => changed.has(name));
    if (hasChanged('run', 'model', 'batch')) this.collect();
    this.forgetOutside();
    if (hasChanged('run', 'model', 'scores')) void this.computeScores();
    if (hasChanged('run', 'layer')) void this.readNumbers();
  }

  /** The patterns that the run has, and a label for each token. */
  private collect(): void {
    const { run, model } = this;
    [this.patterns, this.labels, this.cell, this.end, this.problem] = [[], [], null, null, run ? '' : 'No run yet.'];
    if (!run) return;
    try {
      this.patterns = run.cache.names.flatMap((name) => {
        const match = /^blocks\.(\d+)\.attn\.hook_pattern$/.exec(name);
        return match ? [{ layer: Number(match[1]), value: run.cache.get(name) }] : [];
      });
      const layers = Array.from({ length: model?.config.nLayers ?? 1 }, (_, layer) => layer);
      this.problem = notCaptured(run, this.patterns.length > 0 && !model ? [] : layers.map(nameOf)) ?? '';
      const ids = run.cache.tokens?.[this.batch] ?? [];
      this.labels = ids.map((id) => textOfToken(model, id));
    } catch (error) {
      this.fail(error);
    }
  }

  /** A query and a key of a longer run are none of this one's. */
  private forgetOutside(): void {
    if (!this.chosen) return;
    const [, , queries, keys] = this.chosen.value.shape;
    if (this.query !== null && !(this.query >= 0 && this.query < queries)) this.query = null;
    if (this.key !== null && !(this.key >= 0 && this.key < keys)) this.key = null;
  }

  private fail(error: unknown): void {
    this.problem = error instanceof Error ? error.message : String(error);
  }

  private async computeScores(): Promise<void> {
    const isLatest = this.scoring.begin();
    this.computedScores = [];
    const live = this.scorable;
    if (!live) return;
    try {
      const scores = await headScores(live.model, live.cache);
      if (isLatest()) this.computedScores = scores;
    } catch (error) {
      if (isLatest()) this.fail(error);
    }
  }

  /** The run, where scores can be computed from it and nobody gave them. */
  private get scorable(): ReturnType<typeof liveRun> {
    const live = this.scores ? null : liveRun(this.model, this.run);
    return live && this.patterns.length === live.model.config.nLayers ? live : null;
  }

  private async readNumbers(): Promise<void> {
    const isLatest = this.reading.begin();
    this.numbers = null;
    try {
      const numbers = this.chosen ? await tensorOf(this.chosen.value) : null;
      if (isLatest()) this.numbers = numbers;
    } catch (error) {
      if (isLatest()) this.fail(error);
    }
  }

  /** The pattern of the chosen layer; of the first that there is where that was not captured. */
  private get chosen(): LayerPattern | undefined {
    return this.patterns.find(({ layer }) => layer === this.layer) ?? this.patterns[0];
  }

  private get nHeads(): number {
    return this.patterns[0]?.value.shape[1] ?? 0;
  }

  /** The chosen head, or the nearest that there is. */
  private get chosenHead(): number {
    return Math.min(Math.max(this.head, 0), this.nHeads - 1);
  }

  /** The numbers of the chosen head, once they are read. */
  private get pattern(): HeadPattern | null {
    if (!this.numbers) return null;
    const [rows, nHeads, queries, keys] = this.numbers.shape;
    if (this.batch >= rows) return null;
    const first = (this.batch * nHeads + this.chosenHead) * queries * keys;
    return { weights: this.numbers.data.subarray(first, first + queries * keys), queries, keys };
  }

  protected override render(): TemplateResult {
    const { chosen, problem } = this;
    if (!chosen) return html`<div class="foot" role="status">${problem}</div>`;
    const size = smallPx(this.nHeads);
    const scoreRows = this.scores?.length ?? (this.scorable ? SCORES : 0); // their place is kept while they are computed
    const sizes = {
      '--heads': String(this.nHeads),
      '--size': `${size}px`,
      '--large': `${LARGE_PX}px`,
      '--score-rows': String(scoreRows),
    };
    const { run, model, scores, computedScores, numbers, batch, query, end } = this;
    const head = this.chosenHead;
    return html`<div class="parts" style=${styleMap(sizes)}>
      <div class="heads">${guard([run, model, scores, computedScores, batch, chosen.layer, head], () => this.heads(chosen.layer))}</div>
      <div>${this.large(chosen)}</div>
      <div>${guard([run, model, numbers, batch, head, query, this.key, end], () => this.lines(chosen))}</div>
    </div>
    <div class="foot" role="status">${problem}</div>`;
  }

  private heads(chosenLayer: number): TemplateResult {
    const scores = this.scores ?? this.computedScores;
    const heads = Array.from({ length: this.nHeads }, (_, head) => head);
    return html`<div class="title">all heads, block by block</div>
      <div class="scroll" role="listbox" aria-label="Heads" @click=${this.onHeadClick} @keydown=${this.onHeadKey}>
        ${this.patterns.map(
          ({ layer }) => html`<div class="layer" role="group" aria-label=${`Block ${layer}`}>
            <span aria-hidden="true">${layer}</span>
            <div class="strip" role="presentation">
              ${keyed(this.device, html`<canvas data-layer=${layer} aria-hidden="true"></canvas>`)}
              ${heads.map((head) => this.headOption(layer, head, layer === chosenLayer && head === this.chosenHead, scores))}
            </div>
          </div>`,
        )}
      </div>
      <div class="foot">
        ${legend('weight', WEIGHTS)}
        ${scores.map(({ name, label }) => html`<span>${label}: ${name}</span>`)}
      </div>`;
  }

  private headOption(layer: number, head: number, isChosen: boolean, scores: readonly HeadScore[]): TemplateResult {
    const shown = scores.map(({ label, scores: { data } }) => ({ label, score: data[layer * this.nHeads + head] }));
    return html`<div class="head" role="option" data-layer=${layer} data-head=${head} tabindex=${isChosen ? 0 : -1}
      aria-selected=${isChosen} title=${`head ${layer}.${head}`}
    ><span class="unseen">head ${layer}.${head}</span>${shown.map(
      ({ label, score }) =>
        html`<div class="score" style=${styleMap({ '--share': String(score) })}><span>${label}</span><span>${score.toFixed(2)}</span></div>`,
    )}</div>`;
  }

  private large({ layer, value }: LayerPattern): TemplateResult {
    const [, , queries, keys] = value.shape;
    const cell = this.shownCell;
    const cursor = cell && {
      left: `${(100 * cell.key) / keys}%`,
      top: `${(100 * cell.query) / queries}%`,
      width: `${100 / keys}%`,
      height: `${100 / queries}%`,
    };
    return html`<div class="title">head ${layer}.${this.chosenHead}: rows look at columns</div>
      <div class="large" role="application" tabindex="0" aria-describedby="readout"
        aria-label=${`Pattern of head ${layer}.${this.chosenHead}. Arrow keys move over queries and keys, Enter chooses.`}
        @pointermove=${this.onPoint} @pointerleave=${this.onLeave} @click=${this.onCellClick} @keydown=${this.onCellKey}>
        ${keyed(this.device, html`<canvas aria-hidden="true"></canvas>`)}
        ${cursor ? html`<div class="cursor" style=${styleMap(cursor)}></div>` : nothing}
      </div>
      <output id="readout">${cell ? this.readout(cell) : 'Point at a cell, or use the arrow keys.'}</output>`;
  }

  private get shownCell(): Cell | null {
    const { cell, query, key } = this;
    return cell ?? (query !== null && key !== null ? { query, key } : null);
  }

  /** The weight of a cell, and between which tokens. */
  private readout({ query, key }: Cell): TemplateResult {
    const weight = this.pattern?.weights[query * this.pattern.keys + key];
    const name = (pos: number) => (this.labels[pos] === undefined ? '' : quoteToken(this.labels[pos]));
    return html`${query} <code>${name(query)}</code> looks at ${key} <code>${name(key)}</code><br>
      <span class="number">${weight === undefined ? '…' : shortestDecimal(weight)}</span>`;
  }

  /** Two columns of tokens, and lines between them once the numbers are read. */
  private lines({ value }: LayerPattern): TemplateResult {
    const { pattern } = this;
    const [, , queries, keys] = value.shape;
    const end = this.end ?? (this.query === null ? null : ({ side: 'query', pos: this.query } as const));
    const column = (side: LineEnd['side'], count: number, chosen: number | null) => {
      const labels = Array.from({ length: count }, (_, pos) => visibleToken(this.labels[pos] ?? String(pos)));
      const weightOf = (pos: number) => pattern && weightAt(pattern, end, { side, pos });
      return tokenColumn(side, labels, { focusable: Math.min(chosen ?? 0, count - 1), chosen, weightOf });
    };
    return html`<div class="title">from each query to the keys that it looks at</div>
      <div class="scroll">
        <div class="lines" @pointerover=${this.onEnd} @focusin=${this.onEnd} @pointerleave=${this.onEndLeave}
          @focusout=${this.onEndLeave} @click=${this.onEndClick} @keydown=${this.onEndKey}>
          ${column('query', queries, this.query)}
          ${drawLines(pattern ? linesOf(pattern, end) : [], Math.max(queries, keys))}
          ${column('key', keys, this.key)}
        </div>
      </div>`;
  }

  /** Where patterns are drawn from their buffers; null where they have none. */
  private get device(): GPUDevice | null {
    try {
      return (this.patterns[0]?.value.buffer && this.model?.device) ?? null;
    } catch {
      return null; // the values are gone; reading says so
    }
  }

  protected override updated(changed: PropertyValues): void {
    for (const [canvas, painter] of this.painters) {
      if (canvas.isConnected) continue;
      painter.destroy();
      this.painters.delete(canvas);
    }
    if (['run', 'model', 'batch'].some((name) => changed.has(name))) this.paintSmall();
    if (['run', 'model', 'batch', 'layer', 'head'].some((name) => changed.has(name))) this.paintLarge();
  }

  private paintSmall(): void {
    const isLatest = this.paintingSmall.begin();
    const [size, step] = [smallPx(this.nHeads), smallPx(this.nHeads) + GAP_PX];
    const heads = Array.from({ length: this.nHeads }, (_, head) => head);
    const total = { width: step * this.nHeads - GAP_PX, height: size };
    for (const canvas of this.renderRoot.querySelectorAll<HTMLCanvasElement>('.strip canvas')) {
      const found = this.patterns.find(({ layer }) => layer === Number(canvas.dataset.layer));
      const places = heads.map((head) => ({ head, place: { x: head * step, y: 0, width: size, height: size } }));
      if (found) void this.paint(canvas, found, total, places, isLatest);
    }
  }

  private paintLarge(): void {
    const isLatest = this.paintingLarge.begin();
    const canvas = this.renderRoot.querySelector<HTMLCanvasElement>('.large canvas');
    const size = { width: LARGE_PX, height: LARGE_PX };
    const places = [{ head: this.chosenHead, place: { x: 0, y: 0, ...size } }];
    if (canvas && this.chosen) void this.paint(canvas, this.chosen, size, places, isLatest);
  }

  /** Paints heads of a layer at places of a canvas, all in CSS pixels. */
  private async paint(
    canvas: HTMLCanvasElement,
    { value }: LayerPattern,
    size: { readonly width: number; readonly height: number },
    places: readonly { readonly head: number; readonly place: Rectangle }[],
    isLatest: () => boolean,
  ): Promise<void> {
    try {
      const width = Math.round(size.width * devicePixelRatio);
      const height = Math.round(size.height * devicePixelRatio);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const painter = this.painters.get(canvas) ?? new ValuePainter(canvas, this.device);
      this.painters.set(canvas, painter);
      const pictures = places.map(({ head, place }) => pictureOf(value, this.batch, head, inDevicePixels(place)));
      await painter.paint(value, pictures, isLatest);
    } catch (error) {
      if (isLatest()) this.fail(error);
    }
  }

  private select(selection: Partial<AttentionSelection>): void {
    const { query, key } = this;
    const layer = this.chosen?.layer ?? 0;
    const detail: AttentionSelection = { layer, head: this.chosenHead, query, key, ...selection };
    Object.assign(this, detail);
    this.emit<AttentionSelection>('hyaline-select', detail);
  }

  private onHeadClick(event: Event): void {
    const option = closest(event, '[data-head]');
    if (option) this.select({ layer: Number(option.dataset.layer), head: Number(option.dataset.head) });
  }

  private async onHeadKey(event: KeyboardEvent): Promise<void> {
    const row = this.patterns.findIndex(({ layer }) => layer === this.chosen?.layer);
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    const { layer } = this.patterns[clamp(row + move.down, this.patterns.length)];
    this.select({ layer, head: clamp(this.chosenHead + move.right, this.nHeads) });
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>('[data-head][tabindex="0"]')?.focus();
  }

  private onPoint(event: PointerEvent): void {
    this.cell = this.cellAt(event);
  }

  private onLeave(): void {
    this.cell = null;
  }

  private onCellClick(event: PointerEvent): void {
    this.select(this.cellAt(event));
  }

  private cellAt({ clientX, clientY, currentTarget }: MouseEvent): Cell {
    const { left, top, width, height } = (currentTarget as Element).getBoundingClientRect();
    const [, , queries, keys] = this.chosen?.value.shape ?? [0, 0, 1, 1];
    return {
      query: clamp(Math.floor(((clientY - top) / height) * queries), queries),
      key: clamp(Math.floor(((clientX - left) / width) * keys), keys),
    };
  }

  private onCellKey(event: KeyboardEvent): void {
    const [, , queries, keys] = this.chosen?.value.shape ?? [0, 0, 1, 1];
    const from = this.shownCell ?? { query: this.query ?? queries - 1, key: this.key ?? 0 };
    const move = MOVES[event.key];
    if (event.key === 'Enter' || event.key === ' ') this.select(from);
    else if (move && !this.shownCell) this.cell = from;
    else if (move)
      this.cell = { query: clamp(from.query + move.down, queries), key: clamp(from.key + move.right, keys) };
    else return;
    event.preventDefault();
  }

  private onEnd(event: Event): void {
    const option = closest(event, '[data-side]');
    const end = option && { side: option.dataset.side as LineEnd['side'], pos: Number(option.dataset.pos) };
    if (end && (end.side !== this.end?.side || end.pos !== this.end.pos)) this.end = end;
  }

  private onEndLeave(): void {
    this.end = null;
  }

  private onEndClick(event: Event): void {
    const option = closest(event, '[data-side]');
    if (option) this.selectEnd(option.dataset.side as LineEnd['side'], Number(option.dataset.pos));
  }

  /** Chooses a token on one side; once more: no token. */
  private selectEnd(side: LineEnd['side'], pos: number): void {
    this.select({ [side]: this[side] === pos ? null : pos });
  }

  private onEndKey(event: KeyboardEvent): void {
    const option = closest(event, '[data-side]');
    if (!option) return;
    const side = option.dataset.side as LineEnd['side'];
    const pos = Number(option.dataset.pos);
    const move = MOVES[event.key];
    if (event.key === 'Enter' || event.key === ' ') this.selectEnd(side, pos);
    else if (move?.down) this.focusEnd(side, pos + move.down);
    else if (move) this.focusEnd(move.right > 0 ? 'key' : 'query', pos);
    else return;
    event.preventDefault();
  }

  private focusEnd(side: LineEnd['side'], pos: number): void {
    this.renderRoot.querySelector<HTMLElement>(`[data-side="${side}"][data-pos="${pos}"]`)?.focus();
  }
}

const MOVES: Readonly<Record<string, { readonly down: number; readonly right: number } | undefined>> = {
  ArrowUp: { down: -1, right: 0 },
  ArrowDown: { down: 1, right: 0 },
  ArrowLeft: { down: 0, right: -1 },
  ArrowRight: { down: 0, right: 1 },
};

const nameOf = (layer: number) => `blocks.${layer}.attn.hook_pattern`;

const clamp = (index: number, count: number) => Math.min(Math.max(index, 0), count - 1);

function pictureOf(value: ShownValue, batch: number, head: number, place: Rectangle): Picture {
  const cells = cellsOf(value, { rows: 'query_pos', columns: 'key_pos', index: { batch, head_index: head } });
  return { cells, window: wholeWindow(cells), colouring: WEIGHTS, place };
}

/** Whole pixels of the canvas for a rectangle in CSS pixels. */
function inDevicePixels({ x, y, width, height }: Rectangle): Rectangle {
  const [left, top] = [x, y].map((at) => Math.floor(at * devicePixelRatio));
  const [right, bottom] = [x + width, y + height].map((at) => Math.floor(at * devicePixelRatio));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function closest({ target }: Event, selector: string): HTMLElement | null {
  return target instanceof Element ? target.closest<HTMLElement>(selector) : null;
}

define('hyaline-attention', HyalineAttention);

declare global {
  interface HTMLElementTagNameMap {
    'hyaline-attention': HyalineAttention;
  }
}
