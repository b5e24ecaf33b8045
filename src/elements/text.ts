// Numbers and tokens as text, the same on the page and in the terminal.

// Controls that JSON leaves alone: C1 and what changes the direction of writing.
const INVISIBLE = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * A token in quotes, with its spaces visible and control characters escaped.
 * @example
 * quoteToken(' Mary\n'); // '" Mary\\n"'
 */
export function quoteToken(text: string): string {
  return JSON.stringify(text).replace(INVISIBLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Four significant digits; very large and very small ones with an exponent. */
export function formatNumber(x: number): string {
  const size = Math.abs(x);
  if (x === 0) return '0';
  return size >= 1e5 || size < 1e-3 ? x.toExponential(2) : x.toPrecision(4);
}

/** Four decimals; small ones with an exponent, so that none reads as impossible. */
export function formatProbability(p: number): string {
  return p >= 0.001 || p === 0 ? p.toFixed(4) : p.toExponential(1);
}

export function formatMs(elapsedMs: number): string {
  return elapsedMs < 1000 ? `${elapsedMs.toFixed(elapsedMs < 100 ? 1 : 0)} ms` : `${(elapsedMs / 1000).toFixed(2)} s`;
}
