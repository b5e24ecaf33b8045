// How `<hyaline-value>` looks.
import { css } from 'lit';

export const valueStyles = css`
  * {
    box-sizing: border-box;
  }
  .head {
    display: flex;
    flex-wrap: wrap;
    align-items: baseline;
    gap: 2px 12px;
    min-height: 24px;
    margin-bottom: 4px;
  }
  .name {
    font-family: var(--_mono);
    font-weight: 600;
    overflow-wrap: anywhere;
  }
  .shape {
    color: var(--_muted);
  }
  fieldset {
    display: flex;
    gap: 10px;
    margin: 0 0 0 auto;
    padding: 0;
    border: 0;
  }
  fieldset label {
    display: inline-flex;
    align-items: center;
    gap: 3px;
  }
  input[type='radio'] {
    margin: 0;
    accent-color: var(--_accent);
  }
  .details {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr));
    gap: 10px 28px;
    margin-top: 8px;
    padding-top: 8px;
    border-top: 1px solid var(--_line);
  }
  dl {
    display: grid;
    grid-template-columns: 76px minmax(0, 1fr);
    gap: 1px 10px;
    align-content: start;
    margin: 0;
    line-height: 18px;
  }
  dl.statistics {
    grid-template-columns: 76px minmax(0, 1fr) 60px minmax(0, 1fr);
  }
  dt {
    color: var(--_muted);
  }
  dd {
    margin: 0;
    min-height: 18px;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    font-variant-numeric: tabular-nums;
  }
  .exact {
    font-family: var(--_mono);
  }
  .parts {
    white-space: normal;
    overflow-wrap: anywhere;
  }
  .decimal {
    font-weight: 600;
  }
  .exponent {
    color: var(--_accent);
  }
  .sign,
  .fraction {
    color: var(--_ink);
  }
  .muted {
    color: var(--_muted);
  }
  .wrong {
    color: var(--_problem);
    font-weight: 600;
  }
  sup {
    font-size: 0.75em;
    line-height: 0;
  }
  .chart {
    height: 80px;
    margin-top: 8px;
  }
  .histogram {
    display: block;
    width: 100%;
    height: 60px;
    border-bottom: 1px solid var(--_line);
  }
  .count {
    fill: var(--_accent);
  }
  .reach {
    fill: transparent;
  }
  g:hover .reach {
    fill: var(--_bar);
  }
  .ends {
    display: flex;
    justify-content: space-between;
    color: var(--_muted);
    font-size: 11px;
    line-height: 18px;
    font-variant-numeric: tabular-nums;
  }
`;
