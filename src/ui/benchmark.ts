// The page's benchmark: runs of the model that is loaded, in turns, and its operations under the roofline of this adapter. Plain data comes
// out. The full benchmark, with other engines beside it, is `npm run bench`. No DOM here.
import { describeAdapter, type Model, type Numerics } from '../index.ts';
import type { Progress } from './jobs.ts';
import { type Limits, measureLimits } from './limits.ts';
import { measureOperations, type Operation } from './operations.ts';

export interface BenchmarkOptions {
  /** The page's name for the model. */
  readonly name: string;
  /** Ids; texts of other lengths are these again and again, because what a run costs does not depend on which tokens they are. */
  readonly tokens: readonly number[];
  readonly numerics: Numerics;
  /** As little as shows something, in seconds. */
  readonly isQuick: boolean;
  readonly say: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

export interface Timing {
  readonly name: string;
  /** Of the run, or behind which one is decoded. */
  readonly tokens: number;
  /** Milliseconds. */
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
  readonly samples: readonly number[];
}

export interface BenchmarkResult {
  readonly version: 1;
  /** ISO 8601. */
  readonly date: string;
  readonly browser: string;
  readonly adapter: { readonly text: string; readonly isFallback: boolean };
  readonly model: string;
  readonly numerics: Numerics;
  readonly isQuick: boolean;
  readonly limits: Limits;
  readonly timings: readonly Timing[];
  /** Of a run of `passTokens`. */
  readonly operations: readonly Operation[];
  readonly passTokens: number;
}

export const RUN = 'run';
export const RUN_KEEPING_ALL = 'run, every value kept';
export const DECODE = 'decode, per token';
/** With how many tokens at a time. */
export const prefill = (chunk: number) => `prompt in pieces of ${chunk}`;

/** Milliseconds of a run as long as that of the operations. */
export function passMs({ timings, passTokens }: BenchmarkResult): number {
  return timings.find(({ name, tokens }) => name === RUN && tokens === passTokens)?.median ?? Number.NaN;
}

const LENGTHS = [1, 16, 64, 192];
const QUICK_LENGTHS = [1, 16];
const DECODED = 8;

interface Case {
  readonly name: string;
  readonly tokens: number;
  /** Milliseconds of one turn. */
  readonly time: () => Promise<number>;
}

/** Measures the adapter, then runs in turns, then single operations. */
export async function benchmark(model: Model, options: BenchmarkOptions): Promise<BenchmarkResult> {
  const { isQuick, numerics, say, signal } = options;
  const adapter = describeAdapter(model.device);
  const clock = { passMs: isQuick ? 10 : 30, passes: isQuick ? 3 : 7, signal };
  say({ text: 'what the adapter can do at its best', share: 0 });
  const limits = await measureLimits(model.device, adapter.isFallback, clock);
  const lengths = lengthsOf(model, isQuick);
  const passTokens = lengths.filter((length) => length <= 64).at(-1) ?? lengths[0];
  say({ text: 'first runs', share: 0.05 });
  const { cases, destroy } = casesOf(model, { ...options, lengths, passTokens });
  try {
    const timings = await interleave(cases, {
      rounds: isQuick ? 3 : 11,
      signal,
      onRound: (done, of) => say({ text: `round ${done} of ${of}`, share: 0.1 + (0.6 * done) / of }),
    });
    const plan = model.plan({ pos: passTokens, numerics });
    const operations = await measureOperations(model, plan, clock, (done, total) =>
      say({ text: `operation ${done + 1} of ${total}`, share: 0.7 + (0.3 * done) / total }),
    );
    return {
      version: 1,
      date: new Date().toISOString(),
      browser: navigator.userAgent,
      adapter: { text: adapter.text, isFallback: adapter.isFallback },
      model: options.name,
      numerics,
      isQuick,
      limits,
      timings,
      operations,
      passTokens,
    };
  } finally {
    destroy();
  }
}

/** Lengths that the model can run. */
function lengthsOf({ config }: Model, isQuick: boolean): number[] {
  return [...new Set((isQuick ? QUICK_LENGTHS : LENGTHS).map((length) => Math.min(length, config.nCtx)))];
}

function casesOf(
  model: Model,
  {
    tokens,
    numerics,
    isQuick,
    lengths,
    passTokens,
  }: BenchmarkOptions & { readonly lengths: readonly number[]; readonly passTokens: number },
): { cases: Case[]; destroy: () => void } {
  const ofLength = (length: number) => Array.from({ length }, (_, i) => tokens[i % tokens.length]);
  const cache = model.createKeyValueCache();
  const inPieces = (from: number, to: number, chunk: number) => async () => {
    cache.truncate(from);
    const text = ofLength(to);
    const start = performance.now();
    for (let at = from; at < to; at += chunk) {
      const piece = text.slice(at, Math.min(at + chunk, to));
      await model.run(piece, { keyValueCache: cache, numerics, logits: 'last' });
    }
    return performance.now() - start;
  };
  const decoded = Math.min(DECODED, model.config.nCtx - 1);
  const contexts = [...new Set([16, ...(isQuick ? [] : [128])].map((at) => Math.min(at, model.config.nCtx - decoded)))];
  const decode = (context: number) => async () => {
    if (cache.lengths[0] < context) await inPieces(0, context, context)();
    return (await inPieces(context, context + decoded, 1)()) / decoded;
  };
  const chunks = [...new Set([passTokens, ...(isQuick ? [] : [16, 4])])].filter((chunk) => chunk <= passTokens);
  const run = (length: number) => () => elapsedMs(() => model.run(ofLength(length), { numerics }));
  return {
    cases: [
      ...lengths.map((length) => ({ name: RUN, tokens: length, time: run(length) })),
      {
        name: RUN_KEEPING_ALL,
        tokens: passTokens,
        time: () =>
          elapsedMs(async () => (await model.runWithCache(ofLength(passTokens), { numerics })).cache.destroy()),
      },
      ...contexts.map((context) => ({ name: DECODE, tokens: context, time: decode(context) })),
      ...chunks.map((chunk) => ({ name: prefill(chunk), tokens: passTokens, time: inPieces(0, passTokens, chunk) })),
    ],
    destroy: () => cache.destroy(),
  };
}

/** Rounds in which each case has one turn, after one to warm up; each begins with another, so that a slower moment is so for all. */
async function interleave(
  cases: readonly Case[],
  { rounds, signal, onRound }: { rounds: number; signal: AbortSignal; onRound: (done: number, of: number) => void },
): Promise<Timing[]> {
  const samples = cases.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (let turn = 0; turn < cases.length; turn++) {
      signal.throwIfAborted();
      const which = (turn + round + 1) % cases.length;
      const ms = await cases[which].time();
      if (round >= 0) samples[which].push(ms);
    }
    onRound(round + 1, rounds);
  }
  return cases.map(({ name, tokens }, which) => ({
    name,
    tokens,
    ...quartiles(samples[which]),
    samples: samples[which],
  }));
}

/** Linear between neighbours. */
function quartiles(samples: readonly number[]): Pick<Timing, 'median' | 'lower' | 'upper'> {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => {
    const index = share * (sorted.length - 1);
    const below = sorted[Math.floor(index)];
    return below + (sorted[Math.ceil(index)] - below) * (index % 1);
  };
  return { median: at(0.5), lower: at(0.25), upper: at(0.75) };
}

async function elapsedMs(what: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await what();
  return performance.now() - start;
}
