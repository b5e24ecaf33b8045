// Large tables of cases run in full in Node. Chrome has the same WebGPU (Dawn, on the same adapter), and takes every n-th.
import { isNode } from '../src/engine/node.ts';

/** All cases in Node; in Chrome the first and every n-th after it. */
export function inChromeEvery<T>(n: number, cases: readonly T[]): T[] {
  return cases.filter((_, i) => isNode() || i % n === 0);
}
