// Precision studies: one input, run with values or weights in other number formats on the GPU, and with other arithmetic in the
// emulation, each against the pass in float64 with the weights as they are. Not against the unrounded run in float32: that has
// errors of its own, as large as those that another order of sums makes. It is the first case of every study instead.
import { type HookEntry, round } from '../hooks/interventions.ts';
import { kindOf } from '../hooks/kind_of.ts';
import type { Model } from '../hooks/model.ts';
import type { HookNames } from '../hooks/names.ts';
import { checkRoundable, type RoundedWeights } from '../hooks/rounded_weights.ts';
import type { TokenInput } from '../hooks/tokens.ts';
import type { WeightNames } from '../hooks/weights.ts';
import { checkFormat, largestOf, type NumberFormat } from '../kernels/formats.ts';
import { checkNumerics, type Numerics } from '../kernels/prelude.ts';
import type { Arithmetic } from './emulation/arithmetic.ts';
import { emulateForward } from './emulation/forward.ts';
import { type Measured, measure, merge, type Truth } from './precision_measures.ts';
import { type PrecisionSummary, summarize } from './precision_summary.ts';
import type { FollowedToken } from './prediction_figures.ts';
import { referenceForward } from './reference.ts';

/** A pass on the GPU with values, weights or both in other formats. */
export interface RoundedCase {
  readonly name: string;
  readonly values?: readonly (readonly [where: HookNames, format: NumberFormat])[];
  readonly weights?: readonly (readonly [where: WeightNames, format: NumberFormat])[];
}

/** An emulated pass with another arithmetic; a function of a seed is run with several seeds. */
export interface ArithmeticCase {
  readonly name: string;
  readonly arithmetic: Arithmetic | ((seed: number) => Arithmetic);
}

export type PrecisionCase = RoundedCase | ArithmeticCase;

export interface PrecisionStudyOptions {
  /** Values whose errors are wanted; all that a run has without being asked if absent. */
  readonly names?: HookNames;
  /** Position of the followed tokens; the last (−1) if absent. */
  readonly pos?: number;
  /** The token whose probability is followed, one for all rows or one each; the most probable one in float64 if absent. */
  readonly token?: number | readonly number[];
  /** How many seeds, 0, 1, 2, …, a case that takes seeds is run with: 2 or more, 10 if absent. */
  readonly seeds?: number;
  /** The `rmsRelative` from which on a value counts as broken: 0.01 if absent. */
  readonly threshold?: number;
  /** Of the runs on the GPU; the model's if absent. */
  readonly numerics?: Numerics;
  readonly onProgress?: (progress: StudyProgress) => void;
  /** Checked before every pass. The weights are as they were whenever the study ends. */
  readonly signal?: AbortSignal;
}

export interface StudyProgress {
  /** Passes that are done, of how many. */
  readonly done: number;
  readonly total: number;
  /** The case that the last one belongs to. */
  readonly name: string;
}

export interface CaseResult extends Measured {
  readonly name: string;
  readonly runsOn: 'GPU' | 'emulation';
  /** Passes: 1, or one for each seed. */
  readonly runs: number;
  /**
   * Elements that lie at the largest finite number of the format that they were rounded to: of values, those that came out there;
   * of weights, those that were beyond it. Only where there are some. int8 has no such number.
   */
  readonly saturated: readonly { readonly name: string; readonly count: number }[];
}

/** Plain data: `JSON.stringify` keeps all of it. */
export interface PrecisionStudy {
  readonly tokens: readonly (readonly number[])[];
  readonly numerics: Numerics;
  /** The unrounded run first, then the cases in the order given. */
  readonly cases: readonly CaseResult[];
  readonly summary: PrecisionSummary;
}

/** The name of the case that every study begins with. */
export const UNROUNDED = 'unrounded';

/**
 * Runs each case on these tokens and measures it against float64: the error of every value, and what becomes of the predictions. For
 * a case with seeds, means over seeds with Student's 95 % intervals. The summary says what breaks first, and where.
 * Float64 and emulated passes run on the CPU: for short texts and small models.
 * @param tokens a text, or rows of equal length
 * @throws Error for names, formats and options that do not fit, before anything runs
 * @example
 * const study = await precisionStudy(model, text, [
 *   { name: 'bf16 weights', weights: [['*.W_*', 'bf16']] },
 *   { name: 'fp8 MLP', values: [['blocks.*.mlp.hook_post', 'fp8_e4m3']] },
 *   { name: 'one long chain', arithmetic: sequential },
 *   { name: 'stochastic', arithmetic: stochasticRounding },
 * ]);
 * study.summary.cases[0]; // { name: 'fp8 MLP', meanKl: …, firstBroken: …, kinds: [ … ] }
 */
export async function precisionStudy(
  model: Model,
  tokens: TokenInput,
  cases: readonly PrecisionCase[],
  options: PrecisionStudyOptions = {},
): Promise<PrecisionStudy> {
  const { seeds = 10, threshold = 0.01, signal, onProgress } = options;
  signal?.throwIfAborted();
  const numerics = checkNumerics(options.numerics ?? model.numerics);
  const { rows, names, follow } = checkStudy(model, tokens, cases, options);
  const total = 2 + cases.reduce((sum, which) => sum + runsOf(which, seeds), 0);
  let done = 0;
  const step = async (name: string) => {
    onProgress?.({ done: ++done, total, name });
    // What waits for the event loop, an abort among it, gets its turn between passes on the CPU.
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
  };

  const weights = await weightsOf(model);
  const exact = referenceForward(model.config, weights, rows);
  const values = new Map([...exact].map(([name, { data }]) => [name, data]));
  const hooks = model.hooks.filter(({ name }) => names.has(name));
  const sizes = { pos: rows[0].length, width: model.config.dVocabOut };
  const truth = { values, hooks, sizes, followed: follow(values.get('logits') ?? []) };
  await step('float64');

  const results: CaseResult[] = [];
  for (const which of [{ name: UNROUNDED }, ...cases]) {
    const { name } = which;
    if (!('arithmetic' in which)) {
      results.push(await roundedResult(model, rows, which, truth, { numerics, signal }));
      await step(name);
      continue;
    }
    const passes: Measured[] = [];
    for (let seed = 0; seed < runsOf(which, seeds); seed++) {
      const arithmetic = typeof which.arithmetic === 'function' ? which.arithmetic(seed) : which.arithmetic;
      const emulated = emulateForward(model.config, weights, rows, { arithmetic });
      passes.push(measure(new Map([...emulated].map(([value, { data }]) => [value, data])), truth));
      await step(name);
    }
    results.push({ name, runsOn: 'emulation', runs: passes.length, ...merge(passes), saturated: [] });
  }
  return { tokens: rows, numerics, cases: results, summary: summarize(results, threshold) };
}

const runsOf = (which: PrecisionCase, seeds: number) =>
  'arithmetic' in which && typeof which.arithmetic === 'function' ? seeds : 1;

/** What a study runs on, once everything about it has been checked. */
interface CheckedStudy {
  readonly rows: number[][];
  readonly names: ReadonlySet<string>;
  /** The followed tokens, given the true logits. */
  readonly follow: (logits: ArrayLike<number>) => FollowedToken[];
}

function checkStudy(
  model: Model,
  tokens: TokenInput,
  cases: readonly PrecisionCase[],
  options: PrecisionStudyOptions,
): CheckedStudy {
  const { seeds = 10, threshold = 0.01 } = options;
  if (!Array.isArray(cases)) fail(`expected a list of cases, got ${kindOf(cases)}.`);
  if (!Number.isInteger(seeds) || seeds < 2) fail(`expected 2 seeds or more, got ${seeds}.`);
  if (!(threshold > 0)) fail(`expected a threshold above 0, got ${threshold}.`);
  const { batch, pos, ids } = model.tokenBatch(tokens);
  const seen = new Set([UNROUNDED]);
  for (const which of cases) {
    if (seen.has(which.name)) fail(`there are two cases "${which.name}"; each needs a name of its own.`);
    seen.add(which.name);
    if ('arithmetic' in which) checkArithmetic(which);
    else checkRounded(model, which);
  }
  const onDemand = new Set(model.hooks.filter((hook) => hook.onDemand).map(({ name }) => name));
  const names = model.hookNames(options.names ?? ((name) => !onDemand.has(name)));
  const unknown = names.find((name) => onDemand.has(name));
  if (unknown) fail(`${unknown} is computed on demand only, and not in float64.`);
  const rows = Array.from({ length: batch }, (_, row) => Array.from(ids.subarray(row * pos, (row + 1) * pos)));
  return { rows, names: new Set(names), follow: followedTokens({ batch, pos }, model.config.dVocabOut, options) };
}

/** A case rounds values and weights on the GPU, or has another arithmetic in the emulation: not both. */
function checkArithmetic({ name, arithmetic, ...rest }: ArithmeticCase & Partial<RoundedCase>): void {
  if (rest.values || rest.weights) fail(`the case "${name}" has an arithmetic and rounds; make two cases of it.`);
  const { round, sum } = (arithmetic ?? {}) as Partial<Arithmetic>;
  if (typeof arithmetic === 'function' || (typeof round === 'function' && typeof sum === 'function')) return;
  fail(`the case "${name}" needs an arithmetic or a function of a seed, got ${kindOf(arithmetic)}.`);
}

function checkRounded(model: Model, { name, values = [], weights = [] }: RoundedCase): void {
  if (values.length + weights.length === 0) fail(`the case "${name}" rounds nothing.`);
  for (const [, format] of [...values, ...weights]) checkFormat('precisionStudy', format);
  for (const [where, format] of weights) {
    for (const weight of model.weightNames(where)) checkRoundable(weight, format, model.runtime);
  }
  const isEmpty =
    values.some(([where]) => model.hookNames(where).length === 0) ||
    weights.some(([where]) => model.weightNames(where).length === 0);
  if (isEmpty) fail(`a predicate of the case "${name}" matches nothing.`);
}

function followedTokens(
  { batch, pos }: { readonly batch: number; readonly pos: number },
  width: number,
  { pos: at = -1, token }: PrecisionStudyOptions,
): CheckedStudy['follow'] {
  const position = at < 0 ? at + pos : at;
  if (!Number.isInteger(at) || position < 0 || position >= pos) {
    fail(`expected pos to be a whole number of ${-pos} … ${pos - 1}, got ${at}.`);
  }
  const given = token === undefined ? null : [token].flat();
  if (given && given.length !== 1 && given.length !== batch) {
    fail(`expected one token, or one for each of ${batch} rows, got ${given.length}.`);
  }
  const stranger = given?.find((id) => !Number.isInteger(id) || id < 0 || id >= width);
  if (stranger !== undefined) fail(`expected tokens of 0 … ${width - 1}, got ${stranger}.`);
  return (logits) =>
    Array.from({ length: batch }, (_, row) => {
      const first = (row * pos + position) * width;
      const likeliest = () => {
        let best = 0;
        for (let id = 1; id < width; id++) if (logits[first + id] > logits[first + best]) best = id;
        return best;
      };
      return { row, pos: position, token: given ? given[given.length > 1 ? row : 0] : likeliest() };
    });
}

function fail(problem: string): never {
  throw new Error(`precisionStudy: ${problem}`);
}

/** The weights that the GPU has. */
async function weightsOf(model: Model): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const name of model.weightNames()) {
    if (model.runtime.weight(name)) weights.set(name, (await model.weight(name)).data);
  }
  return weights;
}

/** A case on the GPU. Weights are put back whatever happens. */
async function roundedResult(
  model: Model,
  rows: number[][],
  { name, values = [], weights = [] }: RoundedCase,
  truth: Truth,
  { numerics, signal }: { readonly numerics: Numerics; readonly signal?: AbortSignal },
): Promise<CaseResult> {
  const roundings: RoundedWeights[] = [];
  const got = new Map<string, Float32Array>();
  try {
    for (const [where, format] of weights) roundings.push(await model.roundWeights(where, format, { signal }));
    const hooks = values.map(([where, format]): HookEntry => [where, round(format)]);
    const captured = new Set([
      ...truth.hooks.map((hook) => hook.name),
      'logits',
      ...values.flatMap(([where]) => model.hookNames(where)),
    ]);
    const { cache } = await model.runWithCache(rows, { names: [...captured], hooks, numerics, signal });
    try {
      for (const value of cache.names) got.set(value, (await cache.read(value)).data);
    } finally {
      cache.destroy();
    }
  } finally {
    for (const rounding of [...roundings].reverse()) rounding.restore();
  }
  const ofValues = values.flatMap(([where, format]) =>
    model.hookNames(where).map((value) => ({ name: value, count: countAtLargest(got.get(value) ?? [], format) })),
  );
  const ofWeights = roundings.flatMap((rounding) =>
    rounding.weights.map((weight) => ({ name: weight.name, count: weight.saturated })),
  );
  const saturated = [...ofWeights, ...ofValues].filter(({ count }) => count > 0);
  return { name, runsOn: 'GPU', runs: 1, ...measure(got, truth), saturated };
}

function countAtLargest(values: ArrayLike<number>, format: NumberFormat): number {
  const largest = largestOf(format);
  return Array.from(values).filter((x) => Math.abs(x) === largest).length;
}
