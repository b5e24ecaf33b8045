// What a pointer and a wheel do to a heatmap: point, select, move, zoom. Keys are the element's own.
import type { HeatmapView } from './heatmap_view.ts';
import type { Window } from './picture.ts';
import { inside, isWhole, type Place } from './zoom.ts';

/** What gestures act on. */
export interface GestureHost {
  view(): HeatmapView | null;
  plot(): HTMLElement;
  /** Shows a part of the cells. */
  look(window: Window): void;
  zoomBy(factor: number, at: Place): void;
  point(at: Place): void;
  select(at: Place): void;
  /** Dragging has begun or ended. */
  changed(): void;
}

/** Movement in CSS pixels that makes a click a drag. */
const DRAG = 4;

export class HeatmapGestures {
  private readonly host: GestureHost;
  private drag: { readonly x: number; readonly y: number; readonly window: Window } | null = null;
  private hasMoved = false;

  constructor(host: GestureHost) {
    this.host = host;
  }

  get isMoving(): boolean {
    return this.drag !== null && this.hasMoved;
  }

  readonly onPointerDown = (event: PointerEvent): void => {
    const view = this.host.view();
    if (!view || event.button !== 0) return;
    this.drag = { x: event.clientX, y: event.clientY, window: view.window };
    this.hasMoved = false;
  };

  readonly onPointerMove = (event: PointerEvent): void => {
    const view = this.host.view();
    if (!view) return;
    if (this.drag && event.buttons === 0) this.end(); // released outside
    if (!this.drag) {
      this.host.point(this.placeOf(event));
      return;
    }
    const { x, y, window } = this.drag;
    const [right, down] = [event.clientX - x, event.clientY - y];
    if (!this.hasMoved) {
      if (Math.hypot(right, down) < DRAG) return;
      this.hasMoved = true;
      this.host.plot().setPointerCapture(event.pointerId);
    }
    if (isWhole(window, view.cells)) return;
    const { clientWidth, clientHeight } = this.host.plot();
    const column = window.column - (right / clientWidth) * window.columns;
    const row = window.row - (down / clientHeight) * window.rows;
    this.host.look(inside({ ...window, row, column }, view.cells));
  };

  readonly onPointerUp = (event: PointerEvent): void => {
    const isClick = this.drag !== null && !this.hasMoved;
    this.end();
    if (isClick) this.host.select(this.placeOf(event));
  };

  readonly onPointerCancel = (): void => this.end();

  readonly onWheel = (event: WheelEvent): void => {
    const view = this.host.view();
    // With everything in view, the page scrolls on.
    if (!view || (event.deltaY > 0 && isWhole(view.window, view.cells))) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.002; // pinching a trackpad is a wheel with Ctrl, in small steps
    this.host.zoomBy(Math.exp(-speed * lines * event.deltaY), this.placeOf(event));
  };

  private end(): void {
    this.drag = null;
    this.host.changed();
  }

  private placeOf({ clientX, clientY }: MouseEvent): Place {
    const plot = this.host.plot();
    const { left, top } = plot.getBoundingClientRect();
    const { clientLeft, clientTop, clientWidth, clientHeight } = plot;
    return { x: (clientX - left - clientLeft) / clientWidth, y: (clientY - top - clientTop) / clientHeight };
  }
}
