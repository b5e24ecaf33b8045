// Large tables of cases run in full in Node. Chrome has the same WebGPU (Dawn, on the same adapter), and takes every n-th.
import { isNode } from '../src/engine/node.ts';
import type { TilingRequest } from '../src/engine/tilings.ts';

/** All cases in Node; in Chrome the first and every n-th after it. */
export function inChromeEvery<T>(n: number, cases: readonly T[]): T[] {
  return cases.filter((_, i) => isNode() || i % n === 0);
}

/** Tilings of models that have the default in Chrome, where others have what compiles fastest; in Node as all others. */
export const DEFAULT_IN_CHROME: TilingRequest | undefined = isNode() ? undefined : 'default';
