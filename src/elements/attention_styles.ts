// How `<hyaline-attention>` looks.
import { css } from 'lit';

export const attentionStyles = css`
  .parts {
    display: flex;
    flex-wrap: wrap;
    gap: 12px 24px;
    align-items: flex-start;
  }
  .scroll {
    overflow: auto;
    max-width: 100%;
    max-height: var(--hyaline-max-height, 540px);
    padding: 2px;
  }
  .parts > div {
    max-width: 100%;
  }
  .title {
    margin-bottom: 6px;
    color: var(--_muted);
    font-size: 12px;
  }
  .foot {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 16px;
    min-height: 16px;
    margin-top: 6px;
    color: var(--_muted);
    font-size: 11px;
  }

  /* all heads */
  .heads .foot {
    width: 0;
    min-width: 100%; /* as wide as the patterns, not as wide as the words */
  }
  .layer {
    display: flex;
    gap: 6px;
    margin-bottom: 6px;
  }
  .layer > span {
    width: 16px;
    padding-top: 2px;
    color: var(--_muted);
    font-size: 11px;
    text-align: right;
  }
  .strip {
    position: relative;
    display: grid;
    grid-template-columns: repeat(var(--heads), var(--size));
    gap: 6px;
  }
  .strip canvas {
    position: absolute;
    width: 100%;
    height: var(--size);
  }
  .head {
    position: relative;
    min-height: calc(13px * var(--score-rows));
    padding-top: calc(var(--size) + 2px);
    cursor: pointer;
  }
  .head::before {
    position: absolute;
    inset: 0 0 auto;
    height: var(--size);
    outline: 1px solid var(--_line);
    content: '';
  }
  .head:hover::before {
    outline-color: var(--_accent);
  }
  .head[aria-selected='true']::before {
    outline: 2px solid var(--_accent);
    outline-offset: 1px;
  }
  .score {
    display: flex;
    justify-content: space-between;
    overflow: hidden;
    margin-top: 1px;
    padding: 0 2px;
    background: linear-gradient(var(--_bar) 0 0) left / calc(100% * var(--share)) 100% no-repeat;
    font-size: 10px;
    line-height: 12px;
    font-variant-numeric: tabular-nums;
  }

  /* the chosen head */
  .large {
    position: relative;
    width: var(--large);
    height: var(--large);
    outline: 1px solid var(--_line);
    cursor: crosshair;
    touch-action: manipulation;
  }
  .large canvas {
    width: 100%;
    height: 100%;
  }
  .cursor {
    position: absolute;
    outline: 2px solid #fff;
    box-shadow: 0 0 0 3px #000;
    pointer-events: none;
  }
  output {
    display: block;
    width: var(--large);
    min-height: 34px;
    margin-top: 6px;
    font-size: 12px;
    font-variant-numeric: tabular-nums;
  }
  code {
    font-family: var(--_mono);
    white-space: pre-wrap;
  }

  /* lines */
  .lines {
    display: flex;
    width: max-content;
  }
  .lines [role='option'] {
    position: relative;
    display: flex;
    gap: 6px;
    align-items: center;
    box-sizing: border-box;
    max-width: 18ch;
    padding: 0 4px;
    border-radius: 3px;
    font: 12px var(--_mono);
    white-space: pre;
    cursor: pointer;
  }
  .lines [role='option'] span {
    overflow: hidden;
    text-overflow: ellipsis;
  }
  .lines small {
    min-width: 2ch;
    color: var(--_muted);
    font: 10px var(--_font);
    text-align: right;
  }
  .query [role='option'] {
    flex-direction: row-reverse;
    background: linear-gradient(var(--_bar) 0 0) right / calc(100% * var(--share)) 100% no-repeat;
  }
  .key [role='option'] {
    background: linear-gradient(var(--_bar) 0 0) left / calc(100% * var(--share)) 100% no-repeat;
  }
  .lines [role='option']:hover,
  .lines [aria-selected='true'] {
    color: var(--_accent);
    font-weight: 600;
  }
  svg {
    flex: none;
  }
  line {
    stroke: var(--_accent);
    stroke-width: 1.5px;
  }
`;
