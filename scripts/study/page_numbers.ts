// How docs/precision.md writes numbers and names.

const UNIT_ROUNDOFF = 2 ** -24;

/** In units of float32's unit roundoff; '' for what is not there. */
export function inUnits(x: number | null | undefined): string {
  return x === null || x === undefined ? '' : (x / UNIT_ROUNDOFF).toFixed(1);
}

/** Without the sign, which stands in the table's head or behind. */
export function percent(share: number | null, digits = 1): string {
  if (share === null) return '';
  const text = (100 * share).toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text; // no "-0"
}

/** `1.2e-6`; 0 as `0`. */
export function scientific(x: number): string {
  return x === 0 ? '0' : x.toExponential(1);
}

/** From the least to the most: `1.2 to 3.4`. */
export function spread(all: readonly number[]): string {
  return `${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)}`;
}

/** `attn.hook_q` of `blocks.1.attn.hook_q`. */
export function kindOf(name: string): string {
  return name.replace(/^blocks\.\d+\./, '');
}

/** The block's number, or null outside of the blocks. */
export function layerOf(name: string): number | null {
  const block = /^blocks\.(\d+)\./.exec(name);
  return block && Number(block[1]);
}
