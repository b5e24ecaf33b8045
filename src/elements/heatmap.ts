// `<hyaline-heatmap>`: any two axes of a value as rows and columns, drawn from the hook's buffer, and the exact number of a cell. What is
// shown of which value is worked out in `heatmap_view.ts` and `zoom.ts`.
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { elementAt } from './axes_shown.ts';
import { define, HyalineElement } from './element.ts';
import { type Drawn, HeatmapCanvas } from './heatmap_canvas.ts';
import { HeatmapGestures } from './heatmap_gestures.ts';
import {
  type AxisActions,
  renderAxes,
  renderColumnLabels,
  renderLegend,
  renderMarks,
  renderReadout,
  renderRowLabels,
} from './heatmap_parts.ts';
import { heatmapStyles } from './heatmap_styles.ts';
import { type AxisLabels, describeView, type HeatmapView, heatmapView } from './heatmap_view.ts';
import type { Colouring, Window } from './picture.ts';
import type { ShownValue } from './shown_value.ts';
import { numberAt, type PointedNumber, paintableOf, tensorOf } from './value_numbers.ts';
import { type Cell, cellAt, cellByKey, isWhole, type Place, revealing, zoomed } from './zoom.ts';

/** Where numbers on the GPU are drawn: a `Model` is one. */
export interface DeviceOwner {
  readonly device: GPUDevice;
}

/** What the user looks at: `hyaline-view` carries it. */
export interface ShownView {
  readonly rows: string;
  readonly columns: string;
  readonly index: Readonly<Record<string, number>>;
  readonly zoom: Window | null;
}

/** How much larger cells get by a key or a button. */
const STEP = 1.5;

/**
 * Any two axes of a value as a picture, drawn by WebGPU straight from the run's buffer, with sliders for its other axes. A value without a
 * buffer (read before, or recorded) is drawn from its numbers. Colours go from the value's own minimum and maximum; NaN is magenta, masked
 * attention scores are left out. A pixel that covers several cells shows the one that stands out most.
 *
 * Wheel, `+` and `−` zoom, dragging moves, a double click or Escape shows everything. Arrow keys go from cell to cell (with Shift by ten,
 * Home and End along the row), Enter selects.
 *
 * The number of a cell comes from the value itself (`read()`, once, when the first is pointed at). Whoever frees the run's cache gets a
 * message in the picture's place, not an exception.
 *
 * @property model - whose device draws; null where values have no buffer. Anything with a `device`
 * @property value - what to show, or null
 * @property rows, columns - names of axes; '' lets the heatmap choose
 * @property index - along the other axes, by name; 0 where absent
 * @property colouring - map and range, or null for automatic ones
 * @property labels - texts for indices by axis (tokens for `pos`, which also serve `query_pos` and `key_pos`)
 * @property zoom - the part of the cells that is looked at, or null for all
 * @property selected - index of the marked element by axis, or null
 *
 * @fires hyaline-point - `PointedNumber`: the pointer or the cell cursor is on it
 * @fires hyaline-select - `PointedNumber`: clicked, or Enter
 * @fires hyaline-view - `ShownView`: the user chose axes, an index or a part
 *
 * @cssproperty --hyaline-heatmap-height - of the picture; 320px
 * @cssproperty --hyaline-heatmap-labels - width of the row labels; 72px
 * @csspart plot - the picture
 * @csspart controls - what is above it
 * @csspart foot - legend and number below it
 * @example
 * const heatmap = document.createElement('hyaline-heatmap');
 * Object.assign(heatmap, { model, value: cache.get('blocks.0.attn.hook_pattern'), index: { head_index: 2 } });
 * heatmap.addEventListener('hyaline-select', ({ detail }) => console.log(detail.index, detail.value));
 */
export class HyalineHeatmap extends HyalineElement {
  static override styles = [HyalineElement.styles, heatmapStyles];
  static override properties = {
    model: { attribute: false },
    value: { attribute: false },
    rows: {},
    columns: {},
    index: { attribute: false },
    colouring: { attribute: false },
    labels: { attribute: false },
    zoom: { attribute: false },
    selected: { attribute: false },
    cursor: { state: true },
    point: { state: true },
    drawn: { state: true },
    problem: { state: true },
    unread: { state: true },
    size: { state: true },
  };
  declare model: DeviceOwner | null;
  declare value: ShownValue | null;
  declare rows: string;
  declare columns: string;
  declare index: Readonly<Record<string, number>>;
  declare colouring: Colouring | null;
  declare labels: AxisLabels;
  declare zoom: Window | null;
  declare selected: Readonly<Record<string, number>> | null;
  /** The cell under the pointer or where the keyboard is. */
  declare protected cursor: Cell | null;
  /** Its number, once it has been read. */
  declare protected point: PointedNumber | null;
  /** What is on the canvas. */
  declare protected drawn: Drawn | null;
  /** Why there is no picture. */
  declare protected problem: string;
  /** Why there is no number. */
  declare protected unread: string;
  /** Of the plot in CSS pixels. */
  declare protected size: { width: number; height: number };

  private readonly canvas = new HeatmapCanvas();
  private painting: Promise<void> = Promise.resolve();
  private pointings = 0;
  /** Rows and columns that the zoom is of. */
  private zoomOf: string | null = null;
  private readonly gestures = new HeatmapGestures({
    view: () => this.view(),
    plot: () => this.plot,
    look: (window) => this.look(window),
    zoomBy: (factor, at) => this.zoomBy(factor, at),
    point: (at) => void this.pointAt(at, 'hyaline-point'),
    select: (at) => void this.pointAt(at, 'hyaline-select'),
    changed: () => this.requestUpdate(),
  });
  private readonly observer = new ResizeObserver(([{ contentRect }]) => {
    this.size = { width: contentRect.width, height: contentRect.height };
  });

  constructor() {
    super();
    this.model = null;
    this.value = null;
    this.rows = '';
    this.columns = '';
    this.index = {};
    this.colouring = null;
    this.labels = {};
    this.zoom = null;
    this.selected = null;
    this.cursor = null;
    this.point = null;
    this.drawn = null;
    this.problem = '';
    this.unread = '';
    this.size = { width: 0, height: 0 };
  }

  /** The picture's pixels, as they are on the canvas. Waits for the GPU. */
  async pixels(): Promise<ImageData> {
    await this.updateComplete;
    return this.canvas.pixels();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.observer.disconnect();
    this.canvas.destroy();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) {
      this.observer.observe(this.plot);
      this.requestUpdate('size'); // paints again
    }
  }

  /** Also waits for the picture. */
  protected override async getUpdateComplete(): Promise<boolean> {
    let painting: Promise<void>;
    let isComplete: boolean;
    await super.getUpdateComplete();
    do {
      painting = this.painting;
      await painting;
      isComplete = await super.getUpdateComplete();
    } while (painting !== this.painting); // another one has taken its place
    return isComplete;
  }

  protected override willUpdate(changed: PropertyValues): void {
    const view = this.view();
    const zoomOf = view && `${view.rows} ${view.columns} ${view.cells.rows} ${view.cells.columns}`;
    if (this.zoomOf !== null && zoomOf !== this.zoomOf && !changed.has('zoom')) this.zoom = null;
    if (zoomOf !== this.zoomOf) this.cursor = null;
    this.zoomOf = zoomOf;
    if (['value', 'rows', 'columns', 'index'].some((name) => changed.has(name))) {
      this.point = null;
      this.unread = '';
      this.pointings++;
    }
  }

  protected override firstUpdated(): void {
    this.observer.observe(this.plot);
  }

  protected override updated(changed: PropertyValues): void {
    const picture = ['model', 'value', 'rows', 'columns', 'index', 'colouring', 'zoom', 'size'];
    if (picture.some((name) => changed.has(name))) this.painting = this.paint();
  }

  private get plot(): HTMLElement {
    return this.renderRoot.querySelector('.plot') as HTMLElement;
  }

  private view(): HeatmapView | null {
    return heatmapView(this.value, this);
  }

  private async paint(): Promise<void> {
    const view = this.view();
    const { value } = this;
    try {
      const surface = this.renderRoot.querySelector<HTMLElement>('.surface');
      if (!view || !surface || !this.isConnected) this.canvas.destroy();
      else {
        const device = this.model?.device ?? null;
        const drawn = await this.canvas.paint({ view, device, colouring: this.colouring, surface });
        if (drawn) this.drawn = drawn;
      }
      if (value === this.value) this.problem = '';
    } catch (error) {
      if (value === this.value && this.isConnected) this.problem = messageOf(error);
    }
  }

  // Pointing

  /** Tells the number of a cell, or of an element where a pixel shows one of several. Reads the value the first time. */
  private async pointAt(at: Cell | Place, type: 'hyaline-point' | 'hyaline-select'): Promise<void> {
    const view = this.view();
    if (!view) return;
    const pointing = ++this.pointings;
    if ('row' in at) this.cursor = at;
    try {
      const [tensor, data] = await Promise.all([tensorOf(view.value), paintableOf(view.value)]);
      if (pointing !== this.pointings || !this.isConnected) return;
      const element = 'row' in at ? elementAt(view.cells, at) : this.canvas.elementUnder(view, data, at);
      const point = numberAt(tensor, element);
      this.cursor = { row: point.index[view.rows] ?? 0, column: point.index[view.columns] ?? 0 };
      this.point = point;
      this.unread = '';
      if (type === 'hyaline-select') this.selected = point.index;
      this.emit<PointedNumber>(type, point);
    } catch (error) {
      if (pointing === this.pointings) this.unread = messageOf(error);
    }
  }

  // Zooming

  /** Around a place, or around the cursor. */
  private zoomBy(factor: number, at?: Place): void {
    const view = this.view();
    if (!view) return;
    const { window, cells } = view;
    const centre = this.cursor && {
      x: (this.cursor.column + 0.5 - window.column) / window.columns,
      y: (this.cursor.row + 0.5 - window.row) / window.rows,
    };
    const isInView = centre && centre.x >= 0 && centre.x <= 1 && centre.y >= 0 && centre.y <= 1;
    const focus = at ?? (isInView ? centre : { x: 0.5, y: 0.5 });
    this.look(zoomed(window, cells, { factor, at: focus, size: this.size }));
  }

  private look(window: Window | null): void {
    const view = this.view();
    if (!view) return;
    this.zoom = window && !isWhole(window, view.cells) ? window : null;
    this.tellView();
  }

  private tellView(): void {
    const view = this.view();
    if (!view) return;
    const { rows, columns, index } = view;
    this.emit<ShownView>('hyaline-view', { rows, columns, index, zoom: this.zoom });
  }

  private readonly axisActions: AxisActions = {
    chooseAxis: (as, name) => {
      const view = this.view();
      if (!view) return;
      const [other, before] = as === 'rows' ? [view.columns, view.rows] : [view.rows, view.columns];
      const swapped = other === name ? before : other;
      [this.rows, this.columns] = as === 'rows' ? [name, swapped] : [swapped, name];
      this.tellView();
    },
    chooseIndex: (axis, index) => {
      this.index = { ...this.index, [axis]: index };
      this.tellView();
    },
  };

  private onKeyDown(event: KeyboardEvent): void {
    const view = this.view();
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = this.cursor ?? cellAt(view.window, view.cells, { x: 0, y: 0 });
    const to = cellByKey(event, cell, view.cells);
    if (to) {
      // The first key shows where the cursor is.
      const target = this.cursor ? to : cell;
      const window = revealing(view.window, view.cells, target);
      if (window.row !== view.window.row || window.column !== view.window.column) this.look(window);
      void this.pointAt(target, 'hyaline-point');
    } else if (event.key === 'Enter' || event.key === ' ') void this.pointAt(cell, 'hyaline-select');
    else if (event.key === '+' || event.key === '=') this.zoomBy(STEP);
    else if (event.key === '-') this.zoomBy(1 / STEP);
    else if (event.key === 'Escape' && this.zoom) this.look(null);
    else return;
    event.preventDefault();
  }

  protected override render(): TemplateResult {
    const view = this.view();
    const isZoomed = view !== null && !isWhole(view.window, view.cells);
    const isSquare = view?.rows.endsWith('pos') && view.columns.endsWith('pos');
    const message = this.problem || (view ? '' : 'Nothing to show.');
    return html`
      <div class="controls" part="controls">
        ${view ? renderAxes(view, this.labels, this.axisActions) : nothing}
        <span class="zoom">
          <button type="button" aria-label="Zoom in" ?disabled=${!view} @click=${() => this.zoomBy(STEP)}>+</button>
          <button type="button" aria-label="Zoom out" ?disabled=${!isZoomed} @click=${() => this.zoomBy(1 / STEP)}>−</button>
          <button type="button" ?disabled=${!isZoomed} @click=${() => this.look(null)}>all</button>
        </span>
      </div>
      <div class="frame ${isSquare ? 'square' : ''}">
        <div class="labels rows" aria-hidden="true">${view ? renderRowLabels(view, this.labels, this.size) : nothing}</div>
        <div
          class="plot ${isZoomed ? 'zoomed' : ''} ${this.gestures.isMoving && isZoomed ? 'moving' : ''}"
          part="plot"
          role="application"
          aria-roledescription="heatmap"
          aria-label=${view ? describeView(view) : 'nothing to show'}
          tabindex="0"
          @pointerdown=${this.gestures.onPointerDown}
          @pointermove=${this.gestures.onPointerMove}
          @pointerup=${this.gestures.onPointerUp}
          @pointercancel=${this.gestures.onPointerCancel}
          @dblclick=${() => this.look(null)}
          @wheel=${this.gestures.onWheel}
          @keydown=${this.onKeyDown}
        >
          <div class="surface ${message ? 'stale' : ''}"></div>
          ${view && !message ? renderMarks(view, this.selected, this.cursor) : nothing}
          ${message ? html`<div class="message" role="status">${message}</div>` : nothing}
        </div>
        <div class="labels columns" aria-hidden="true">
          ${view ? renderColumnLabels(view, this.labels, this.size) : nothing}
        </div>
      </div>
      <div class="foot" part="foot">
        <span class="legend">${this.drawn ? renderLegend(this.drawn.colouring, this.drawn.nanCount) : nothing}</span>
        ${view ? renderReadout(view, this.labels, this.point, this.unread) : nothing}
      </div>`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

define('hyaline-heatmap', HyalineHeatmap);

declare global {
  interface HTMLElementTagNameMap {
    'hyaline-heatmap': HyalineHeatmap;
  }
}
