// What stands around a heatmap's canvas: choice of axes, sliders, labels of cells, the legend. Templates without state.
import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { styleMap } from 'lit/directives/style-map.js';
import { COLOURS, type ColourMap, colourTable, NAN_COLOUR } from './colours.ts';
import { shortestDecimal } from './float32_text.ts';
import { type AxisLabels, type HeatmapView, indexText, labelOf, labelsOf, longAxes } from './heatmap_view.ts';
import type { Size } from './painting.ts';
import type { Colouring } from './picture.ts';
import { formatNumber } from './text.ts';
import type { PointedNumber } from './value_numbers.ts';
import { type Cell, labelled } from './zoom.ts';

/** What is to happen when an axis is chosen, or an index along one. */
export interface AxisActions {
  chooseAxis(as: 'rows' | 'columns', name: string): void;
  chooseIndex(axis: string, index: number): void;
}

/** Which axes are rows and columns, where there are several to choose from, and a slider for each of the others. */
export function renderAxes(view: HeatmapView, labels: AxisLabels, actions: AxisActions): TemplateResult {
  const axes = longAxes(view);
  const choice = (as: 'rows' | 'columns') => html`
    <label>
      ${as}
      <select @change=${(event: Event) => actions.chooseAxis(as, (event.target as HTMLSelectElement).value)}>
        ${axes.map(({ name }) => html`<option .selected=${live(name === view[as])} value=${name}>${name}</option>`)}
      </select>
    </label>`;
  const others = axes.filter(({ name }) => name !== view.rows && name !== view.columns);
  const areChosen = axes.some(({ name }) => name === view.rows) && axes.some(({ name }) => name === view.columns);
  return html`
    ${areChosen ? html`${choice('rows')}${choice('columns')}` : nothing}
    ${others.map(({ name, length }) => renderSlider(view, labels, { name, length }, actions))}`;
}

function renderSlider(
  view: HeatmapView,
  labels: AxisLabels,
  { name, length }: { name: string; length: number },
  actions: AxisActions,
): TemplateResult {
  const at = view.index[name];
  const label = labelOf(labels, name, at);
  return html`
    <label>
      ${name}
      <input
        type="range"
        min="0"
        max=${length - 1}
        step="1"
        .value=${live(String(at))}
        aria-valuetext=${label === null ? at : `${at} ${label}`}
        @input=${(event: Event) => actions.chooseIndex(name, Number((event.target as HTMLInputElement).value))}
      />
      <output>${label === null ? at : `${at} ${label}`}</output>
    </label>`;
}

/** Labels of rows beside the picture. */
export function renderRowLabels({ rows, window }: HeatmapView, labels: AxisLabels, { height }: Size): TemplateResult[] {
  const cells = labelled({ start: window.row, length: window.rows, pixels: height, apart: 14 });
  return cells.map((cell) => {
    const top = `${(100 * (cell + 0.5 - window.row)) / window.rows}%`;
    return html`<span style=${styleMap({ top })}>${labelOf(labels, rows, cell) ?? cell}</span>`;
  });
}

/** Labels of columns below the picture, with more room where they are texts. */
export function renderColumnLabels(
  { columns, window }: HeatmapView,
  labels: AxisLabels,
  { width }: Size,
): TemplateResult[] {
  const apart = labelsOf(labels, columns) ? 44 : 30;
  const cells = labelled({ start: window.column, length: window.columns, pixels: width, apart });
  const room = cells.length > 1 ? ((cells[1] - cells[0]) * 100) / window.columns : 100;
  return cells.map((cell) => {
    const left = `${(100 * (cell + 0.5 - window.column)) / window.columns}%`;
    const style = styleMap({ left, maxWidth: `${room}%` });
    return html`<span style=${style}>${labelOf(labels, columns, cell) ?? cell}</span>`;
  });
}

/** An outline around a cell, at least a few pixels large. */
function renderMark({ window }: HeatmapView, { row, column }: Cell, kind: string): TemplateResult {
  const style = {
    left: `${(100 * (column - window.column)) / window.columns}%`,
    top: `${(100 * (row - window.row)) / window.rows}%`,
    width: `max(${100 / window.columns}%, 3px)`,
    height: `max(${100 / window.rows}%, 3px)`,
  };
  return html`<div class="mark ${kind}" style=${styleMap(style)}></div>`;
}

/** The marked element, where it is in the picture, and the cell that is pointed at. */
export function renderMarks(view: HeatmapView, selected: Readonly<Record<string, number>> | null, cursor: Cell | null) {
  const { rows, columns, index } = view;
  const isHere = selected && Object.entries(index).every(([axis, i]) => (selected[axis] ?? 0) === i);
  const chosen = isHere ? { row: selected[rows] ?? 0, column: selected[columns] ?? 0 } : null;
  return html`${chosen ? renderMark(view, chosen, 'selected') : nothing}${cursor ? renderMark(view, cursor, '') : nothing}`;
}

/** The number that is pointed at, or why there is none. */
export function renderReadout(view: HeatmapView, labels: AxisLabels, point: PointedNumber | null, problem: string) {
  if (problem) return html`<output class="readout hint wrapped">${problem}</output>`;
  if (!point) return html`<output class="readout hint">Point at a cell, or use the arrow keys.</output>`;
  const where = indexText(view, point.index, labels);
  return html`<output class="readout">${where} = <b>${shortestDecimal(point.value)}</b></output>`;
}

const GRADIENTS: Readonly<Record<ColourMap, string>> = {
  viridis: gradient('viridis'),
  diverging: gradient('diverging'),
};

/** Every sixteenth colour of a map and the last. */
function gradient(map: ColourMap): string {
  const table = colourTable(map);
  const stops = Array.from({ length: 17 }, (_, i) => 4 * Math.min((COLOURS / 16) * i, COLOURS - 1));
  return `linear-gradient(to right, ${stops.map((at) => `rgb(${table.slice(at, at + 3).join(' ')})`).join(', ')})`;
}

const NAN_BACKGROUND = { background: `rgb(${NAN_COLOUR.join(' ')})` };

/** The colours and what they stand for. */
export function renderLegend({ map, low, high }: Colouring, nanCount: number): TemplateResult {
  return html`
    <span>${formatNumber(low)}</span>
    <span class="bar" style=${styleMap({ background: GRADIENTS[map] })}></span>
    <span>${formatNumber(high)}</span>
    ${nanCount > 0 ? html`<span class="nan" style=${styleMap(NAN_BACKGROUND)}></span><span>NaN</span>` : nothing}`;
}
