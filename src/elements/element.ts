// The base of Hyaline's custom elements: Lit, with the project's CSS variables and their defaults.
import { type CSSResultGroup, css, LitElement, unsafeCSS } from 'lit';

/**
 * Variables that a page may set on any element or above it, and what they are if it does not. Light or dark is the page's own
 * `color-scheme`.
 */
export const THEME = {
  '--hyaline-ground': 'light-dark(#ffffff, #1e2125)',
  '--hyaline-ink': 'light-dark(#1c1f22, #e6e7e8)',
  '--hyaline-muted': 'light-dark(#5b6167, #9aa1a9)',
  '--hyaline-line': 'light-dark(#d9dbd8, #3a3f46)',
  '--hyaline-accent': 'light-dark(#14726d, #4cc3b5)',
  '--hyaline-on-accent': 'light-dark(#ffffff, #10211f)',
  '--hyaline-bar': 'light-dark(#cfe9e5, #23504b)',
  '--hyaline-problem': 'light-dark(#a32020, #ff9c92)',
  '--hyaline-font': 'system-ui, "Liberation Sans", sans-serif',
  '--hyaline-mono': 'ui-monospace, "DejaVu Sans Mono", monospace',
} as const;

const themed = unsafeCSS(
  Object.entries(THEME)
    .map(([name, value]) => `--_${name.slice('--hyaline-'.length)}: var(${name}, ${value});`)
    .join('\n'),
);

/** Styles of elements use `var(--_ink)`, `var(--_line)` and so on. Light or dark is the page's `color-scheme`, which elements inherit. */
export const themeStyles: CSSResultGroup = css`
  :host {
    ${themed}
    display: block;
    background: var(--_ground);
    color: var(--_ink);
    font-family: var(--_font);
    font-size: 13px;
  }
  :host([hidden]) {
    display: none;
  }
  .unseen {
    position: absolute;
    overflow: hidden;
    width: 1px;
    height: 1px;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  :is(button, input, select, canvas, [tabindex]):focus-visible {
    outline: 2px solid var(--_accent);
    outline-offset: 1px;
  }
`;

/** Base class: nothing but the theme, and typed events that cross shadow roots. */
export abstract class HyalineElement extends LitElement {
  static override styles: CSSResultGroup = themeStyles;

  /** Tells the page what the user chose or points at. */
  protected emit<Detail>(type: string, detail: Detail): void {
    this.dispatchEvent(new CustomEvent<Detail>(type, { detail, bubbles: true, composed: true }));
  }
}

/** Registers an element once, however often its module is loaded. */
export function define(name: string, element: CustomElementConstructor): void {
  if (!customElements.get(name)) customElements.define(name, element);
}
