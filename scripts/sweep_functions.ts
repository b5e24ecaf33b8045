// The error of every scalar function over a dense sample of its float32 arguments, in both modes, against float64; and in reproducible
// mode against its emulation, bit for bit. Gives docs/functions.md. Needs a WebGPU adapter in Node.
import { measureGuarding } from '../src/engine/guarding.ts';
import { describeAdapter, requestDevice, ulp } from '../src/index.ts';
import type { Arithmetic, FunctionTruth } from '../src/kernels/prelude.ts';
import { CHECKED_FUNCTIONS, type CheckedFunction, evaluatePairs } from '../test/kernels/scalar_functions.ts';
import { markdownTable } from './hook_table.ts';

const SMALLEST_NORMAL = 2 ** -126;
const LARGEST = 3.4028234663852886e38;
const AT_ONCE = 2 ** 18;
const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

export interface Sweep {
  readonly name: string;
  readonly numerics: 'fast' | 'reproducible';
  readonly count: number;
  readonly maxUlp: number;
  /** Where that is. */
  readonly at: readonly number[];
  readonly bound: number;
  /** Results that differ from the emulation; null in fast mode, which promises no bits. */
  readonly notEmulated: number | null;
}

/**
 * Sweeps every function over about 2 · `count` arguments in each mode: every k-th float32 of the domain, of either sign, and evenly
 * spaced ones; the second one of a quotient is drawn.
 */
export async function sweepFunctions(
  count: number,
  onSwept: (sweep: Sweep) => void,
): Promise<{ adapter: string; sweeps: Sweep[] }> {
  const device = await requestDevice();
  const reproducible = await measureGuarding(device);
  const sweeps: Sweep[] = [];
  for (const f of CHECKED_FUNCTIONS) {
    for (const numerics of ['fast', 'reproducible'] as const) {
      const arithmetic = numerics === 'fast' ? 'fast' : reproducible;
      const sweep = await sweepFunction(device, { f, numerics, arithmetic }, count);
      sweeps.push(sweep);
      onSwept(sweep);
    }
  }
  const adapter = describeAdapter(device).text;
  device.destroy();
  return { adapter, sweeps };
}

interface Swept {
  readonly f: CheckedFunction;
  readonly numerics: Sweep['numerics'];
  readonly arithmetic: Arithmetic;
}

async function sweepFunction(device: GPUDevice, swept: Swept, count: number): Promise<Sweep> {
  const { f, numerics, arithmetic } = swept;
  let worst = { error: -1, at: [] as readonly number[] };
  let notEmulated = 0;
  let done = 0;
  const pairs = new Float32Array(2 * AT_ONCE);
  const args = denseArguments(f.domain, count);
  for (let next = args.next(); !next.done; ) {
    let filled = 0;
    for (; !next.done && filled < AT_ONCE; next = args.next()) pairs.set(next.value, 2 * filled++);
    const results = await evaluatePairs(device, f, pairs.slice(0, 2 * filled), arithmetic);
    for (let i = 0; i < filled; i++) {
      const list = pairs.subarray(2 * i, 2 * i + f.domain.length);
      if (numerics === 'reproducible' && !Object.is(results[i], Math.fround(f.emulate(...list)))) notEmulated++;
      const want = f.reference(...list);
      if (Math.abs(want) < SMALLEST_NORMAL || Math.abs(want) > LARGEST) continue; // 0, or the largest number
      done++;
      const error = Math.abs(results[i] - want) / ulp(want);
      if (!(error <= worst.error)) worst = { error, at: [...list] };
      if (Number.isNaN(worst.error)) throw new Error(`${f.name}(${[...list].join(', ')}) is ${results[i]}.`);
    }
  }
  return {
    ...{ name: f.name, numerics, count: done, maxUlp: worst.error, at: worst.at, bound: f.maxUlp },
    notEmulated: numerics === 'fast' ? null : notEmulated,
  };
}

/** Float32 arguments in the domain: every k-th of all of them, then evenly spaced ones, about `count` of each. */
function* denseArguments(domain: FunctionTruth['domain'], count: number): Generator<readonly number[], void> {
  const [low, high] = domain[0].map(Math.fround);
  let state = 1;
  const withSecond = (x: number): number[] => {
    if (domain.length === 1) return [x];
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes, ch. 7
    const [from, to] = [bitsOf(1e-30), bitsOf(domain[1][1])];
    return [x, (state & 1 ? -1 : 1) * fromBits(from + Math.floor((state / 2 ** 32) * (to - from)))];
  };
  const halves = low < 0 ? [-1, 1] : [1];
  for (const sign of halves) {
    const [first, last] = [Math.max(low * sign, SMALLEST_NORMAL), sign < 0 ? -low : high].map(bitsOf);
    const step = Math.max(1, Math.floor(((last - first) * halves.length) / count));
    for (let bits = first; bits <= last; bits += step) yield withSecond(sign * fromBits(bits));
  }
  for (let i = 0; i <= count; i++) {
    const x = Math.fround(low + (high - low) * (i / count));
    if (x >= low && x <= high && Math.abs(x) >= SMALLEST_NORMAL) yield withSecond(x);
  }
}

function bitsOf(x: number): number {
  floats[0] = x;
  return words[0];
}

function fromBits(bits: number): number {
  words[0] = bits;
  return floats[0];
}

/** docs/functions.md. */
export function functionsPage({ adapter, sweeps }: { adapter: string; sweeps: readonly Sweep[] }): string {
  const lines = sweeps.map(({ name, numerics, count, maxUlp, at, bound, notEmulated }) => [
    `\`${name}\``,
    numerics,
    String(count),
    maxUlp.toFixed(2),
    String(bound),
    `\`${at.map((x) => x.toPrecision(9)).join(', ')}\``,
    notEmulated === null ? '' : String(notEmulated),
  ]);
  const head = ['function', 'mode', 'arguments', 'largest error, ULP', 'bound', 'at', 'differ from the emulation'];
  const total = sweeps.reduce((sum, { count }) => sum + count, 0);
  return `<!-- Written by "npm run sweep"; do not edit. -->

# Errors of the scalar functions

Kernels use no built-in division, root or transcendental function: adapters' own differ, and some are far off. These are ours
(src/kernels/functions), each swept over every k-th float32 of its domain, of either sign, from 2⁻¹²⁶ up, and over evenly spaced
ones: ${total} results against float64, in units of the last place of the correctly rounded one. In reproducible mode every result is compared with an emulation in
float32 arithmetic (src/numerics/emulation/functions.ts) as well, bit for bit.

Adapter: ${adapter} (in Node).

${markdownTable([head, ...lines])}
`;
}
