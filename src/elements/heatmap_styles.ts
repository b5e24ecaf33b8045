// How `<hyaline-heatmap>` looks. Every size is reserved before there is anything to show.
import { css } from 'lit';

export const heatmapStyles = css`
  :host {
    --_height: var(--hyaline-heatmap-height, 320px);
    --_rows: var(--hyaline-heatmap-labels, 72px);
  }
  * {
    box-sizing: border-box;
  }
  .controls {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 4px 14px;
    min-height: 26px;
    margin-bottom: 6px;
    color: var(--_muted);
  }
  .controls label {
    display: inline-flex;
    align-items: center;
    gap: 5px;
  }
  .controls output {
    min-width: 3ch;
    color: var(--_ink);
    font-variant-numeric: tabular-nums;
    white-space: pre;
  }
  .zoom {
    display: flex;
    gap: 2px;
    margin-left: auto;
  }
  select,
  button {
    min-height: 24px;
    padding: 1px 6px;
    border: 1px solid var(--_line);
    border-radius: 4px;
    background: var(--_ground);
    color: var(--_ink);
    font: inherit;
  }
  button {
    min-width: 24px;
    cursor: pointer;
  }
  button:disabled {
    color: var(--_muted);
    cursor: default;
    opacity: 0.6;
  }
  input[type='range'] {
    width: 110px;
    accent-color: var(--_accent);
  }
  .frame {
    display: grid;
    grid-template-columns: var(--_rows) minmax(0, 1fr);
    grid-template-rows: var(--_height) 20px;
  }
  .frame.square {
    grid-template-columns: var(--_rows) minmax(0, var(--_height));
  }
  .plot {
    position: relative;
    overflow: hidden;
    border: 1px solid var(--_line);
    cursor: crosshair;
    touch-action: pan-x pan-y;
  }
  .plot.zoomed {
    touch-action: none;
  }
  .plot.moving {
    cursor: grabbing;
  }
  .surface,
  .surface canvas {
    display: block;
    width: 100%;
    height: 100%;
    image-rendering: pixelated;
  }
  .surface.stale {
    visibility: hidden;
  }
  .mark {
    position: absolute;
    pointer-events: none;
    outline: 1px solid var(--_ground);
    box-shadow: 0 0 0 2px var(--_ink);
  }
  .mark.selected {
    box-shadow: 0 0 0 3px var(--_accent);
  }
  .message {
    position: absolute;
    inset: 0;
    display: grid;
    place-content: center;
    padding: 12px;
    color: var(--_muted);
    text-align: center;
    pointer-events: none;
  }
  .labels {
    position: relative;
    overflow: hidden;
    color: var(--_muted);
    font-size: 11px;
    line-height: 14px;
    font-variant-numeric: tabular-nums;
  }
  .labels.columns {
    grid-column: 2;
    overflow: visible;
  }
  .labels span {
    position: absolute;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: pre;
  }
  .labels.rows span {
    right: 6px;
    max-width: calc(100% - 6px);
    translate: 0 -50%;
  }
  .labels.columns span {
    top: 3px;
    text-align: center;
    translate: -50% 0;
  }
  .foot {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 18px;
    min-height: 18px;
    margin-top: 4px;
    font-variant-numeric: tabular-nums;
  }
  .legend {
    display: flex;
    align-items: center;
    gap: 6px;
    color: var(--_muted);
  }
  .bar {
    width: 110px;
    height: 10px;
    border-radius: 2px;
  }
  .nan {
    width: 10px;
    height: 10px;
    border-radius: 2px;
    margin-left: 6px;
  }
  .readout {
    flex: 1 1 220px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: pre;
    text-align: right;
  }
  .readout.hint {
    color: var(--_muted);
  }
  .readout.wrapped {
    white-space: normal;
  }
  .readout b {
    font-weight: 600;
  }
`;
