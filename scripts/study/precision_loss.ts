// Where a run loses precision: the errors of every value of a text, a test of why softmax amplifies them, and what each value's own
// rounding has of the logits' error. The figures of single values are the engine's own report; what is added here is in float64.
import {
  type Model,
  type ModelConfig,
  type NumericsReport,
  numericsReport,
  type ReferenceValue,
  referenceForward,
} from '../../src/index.ts';
import { dot, mean, relativeDistance, rootMeanSquare } from './statistics.ts';

/** A model as numbers: all that a pass on the CPU needs. */
export interface Weights {
  readonly config: ModelConfig;
  /** By TransformerLens's names. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

export interface WeightedModel extends Weights {
  readonly model: Model;
}

/** A model with its weights on the CPU. */
export async function withWeights(model: Model): Promise<WeightedModel> {
  const weights = new Map<string, Float32Array>();
  for (const name of model.weightNames()) weights.set(name, (await model.weight(name)).data);
  return { model, config: model.config, weights };
}

export interface PrecisionLoss extends RunErrors {
  readonly tokens: number;
  readonly report: NumericsReport;
}

/** One text's errors. Minutes for a hundred tokens of a small model: a float64 pass for each value. */
export async function measurePrecisionLoss(
  { model, ...weights }: WeightedModel,
  tokens: number[],
): Promise<PrecisionLoss> {
  const report = await numericsReport(model, [tokens]);
  const { cache } = await model.runWithCache([tokens]);
  const engine = new Map<string, Float32Array>();
  for (const name of cache.names) engine.set(name, (await cache.read(name)).data);
  cache.destroy();
  const names = report.values.filter(({ aliasOf }) => aliasOf === null).map(({ name }) => name);
  return { tokens: tokens.length, report, ...errorsOfRun(weights, tokens, { names, engine }) };
}

export interface RunErrors {
  /** Of every block. */
  readonly softmax: readonly SoftmaxErrors[];
  readonly scores: readonly ScoreErrors[];
  /** Of every value. */
  readonly budget: readonly BudgetEntry[];
}

/** A run's values. */
export interface EngineValues {
  /** In firing order, without other names of the same. */
  readonly names: readonly string[];
  readonly engine: ReadonlyMap<string, Float32Array>;
}

/** What the report of a run does not say of its errors. */
export function errorsOfRun(
  { config, weights }: Weights,
  tokens: number[],
  { names, engine }: EngineValues,
): RunErrors {
  const pass = (given?: ReadonlyMap<string, Float32Array>) => referenceForward(config, weights, [tokens], given);
  const exact = pass();
  const local = pass(engine);
  const layers = Array.from({ length: config.nLayers }, (_, layer) => layer);
  return {
    softmax: layers.map((layer) => softmaxErrors(layer, { engine, exact, local })),
    scores: layers.map((layer) => scoreErrors(layer, { names, engine, pass })),
    budget: errorBudget({ names, engine, pass }),
  };
}

/** What one block's softmax makes of the errors of its scores. Relative errors are RMS over RMS. */
export interface SoftmaxErrors {
  readonly layer: number;
  /** RMS of the scores that are not masked, and of their errors. */
  readonly scores: number;
  readonly scoresError: number;
  /** Relative error of the pattern that comes from the scores. */
  readonly measured: number;
  /** The same from each score's error: a probability p changes by p·(δ − Σpδ). */
  readonly predicted: number;
  /** The same from `scoresError` alone, as if the errors of all scores were independent and of one size. */
  readonly predictedFromSize: number;
}

interface ThreePasses {
  readonly engine: ReadonlyMap<string, Float32Array>;
  readonly exact: ReadonlyMap<string, ReferenceValue>;
  readonly local: ReadonlyMap<string, ReferenceValue>;
}

function softmaxErrors(layer: number, { engine, exact, local }: ThreePasses): SoftmaxErrors {
  const name = `blocks.${layer}.attn.hook_attn_scores`;
  const pattern = `blocks.${layer}.attn.hook_pattern`;
  const [scores, rounded] = [referenceValue(exact, name), engine.get(name) ?? new Float32Array()];
  const p = referenceValue(exact, pattern);
  const keys = p.shape[3];
  const seen = [...scores.data.keys()].filter((i) => scores.data[i] !== Number.NEGATIVE_INFINITY);
  const errors = Float64Array.from(seen, (i) => rounded[i] - scores.data[i]);
  return {
    layer,
    scores: rootMeanSquare(seen.map((i) => scores.data[i])),
    scoresError: rootMeanSquare(errors),
    measured: relativeDistance(referenceValue(local, pattern).data, p.data),
    ...predictPatternErrors(p.data, { seen, errors, keys }),
  };
}

/** First-order errors of softmax rows of `keys` entries, of which those in `seen` have scores with these errors. */
export function predictPatternErrors(
  p: ArrayLike<number>,
  {
    seen,
    errors,
    keys,
  }: { readonly seen: readonly number[]; readonly errors: ArrayLike<number>; readonly keys: number },
): { readonly predicted: number; readonly predictedFromSize: number } {
  const rows = p.length / keys;
  const [means, squares] = [new Float64Array(rows), new Float64Array(rows)];
  seen.forEach((i, at) => {
    const row = Math.floor(i / keys);
    means[row] += p[i] * errors[at];
    squares[row] += p[i] * p[i];
  });
  let [changes, bySize, total] = [0, 0, 0];
  seen.forEach((i, at) => {
    const row = Math.floor(i / keys);
    changes += (p[i] * (errors[at] - means[row])) ** 2;
    bySize += p[i] * p[i] * (1 - 2 * p[i] + squares[row]); // E[(δᵢ − Σpδ)²] = σ²(1 − 2pᵢ + Σp²)
    total += p[i] * p[i];
  });
  return {
    predicted: Math.sqrt(changes / total),
    predictedFromSize: rootMeanSquare(errors) * Math.sqrt(bySize / total),
  };
}

/** What the rounding of the queries alone, or of the keys alone, does in one block. */
export interface ScoreErrors {
  readonly layer: number;
  readonly queries: MovedScores;
  readonly keys: MovedScores;
  /** What the mean key of each head has of the squared length of all its keys, from 0 to 1. */
  readonly commonKey: number;
}

export interface MovedScores {
  /** RMS of the scores' change. */
  readonly change: number;
  /** Its square's share that is common to all keys of a query, which softmax does not see; of queries with two keys at least. */
  readonly common: number;
  /** RMS of the pattern's change, in units of the pattern's RMS. */
  readonly pattern: number;
}

interface Passes extends EngineValues {
  readonly pass: (given: ReadonlyMap<string, Float32Array>) => Map<string, ReferenceValue>;
}

function scoreErrors(layer: number, { names, engine, pass }: Passes): ScoreErrors {
  const attn = `blocks.${layer}.attn`;
  const engineValues = (of: readonly string[]) =>
    of.map((name) => [name, engine.get(name) ?? new Float32Array()] as const);
  const earlier = engineValues(names.slice(0, names.indexOf(`${attn}.hook_q`)));
  const before = pass(new Map(earlier));
  const sideOf = (side: string) =>
    names.filter((name) => name === `${attn}.hook_${side}` || name === `${attn}.hook_rot_${side}`);
  const moved = (side: string): MovedScores => {
    const after = pass(new Map([...earlier, ...engineValues(sideOf(side))]));
    const scores = [before, after].map((values) => referenceValue(values, `${attn}.hook_attn_scores`));
    const patterns = [before, after].map((values) => referenceValue(values, `${attn}.hook_pattern`).data);
    return { ...changeOfScores(scores[0], scores[1]), pattern: relativeDistance(patterns[1], patterns[0]) };
  };
  const keys = referenceValue(before, sideOf('k').at(-1) ?? '');
  return { layer, queries: moved('q'), keys: moved('k'), commonKey: commonPart(keys) };
}

/** [batch, head_index, query_pos, key_pos] */
function changeOfScores({ data, shape }: ReferenceValue, after: ReferenceValue): Omit<MovedScores, 'pattern'> {
  const length = shape[3];
  const changes: number[] = [];
  let common = 0;
  for (let row = 0; row < data.length / length; row++) {
    const seen = (row % shape[2]) + 1;
    if (seen < 2) continue;
    const change = Array.from({ length: seen }, (_, key) => after.data[row * length + key] - data[row * length + key]);
    common += seen * mean(change) ** 2;
    changes.push(...change);
  }
  return { change: rootMeanSquare(changes), common: common / dot(changes, changes) };
}

/** [batch, pos, head_index, d_head]; of one row. */
export function commonPart({ data, shape: [, pos, heads, dHead] }: Pick<ReferenceValue, 'data' | 'shape'>): number {
  let common = 0;
  for (let i = 0; i < heads * dHead; i++) {
    const entries = Array.from({ length: pos }, (_, p) => data[p * heads * dHead + i]);
    common += pos * mean(entries) ** 2;
  }
  return common / dot(data, data);
}

/** What the rounding of one value does to the logits. */
export interface BudgetEntry {
  readonly name: string;
  /** RMS of the change, in units of the true logits' RMS. */
  readonly relativeRms: number;
  /** ⟨change, error⟩ / ⟨error, error⟩: all of them add up to 1; one is negative where it cancels others. */
  readonly share: number;
}

/**
 * The logits' error as a sum of what each value's rounding makes: of the float64 pass that is given the engine's values up to this
 * one, less the pass that is given those before it. The last value makes the logits.
 */
function errorBudget({ names, engine, pass }: Passes): BudgetEntry[] {
  const given = new Map<string, Float32Array>();
  const logits = (): ArrayLike<number> => referenceValue(pass(given), 'logits').data;
  const exact = logits();
  const last = engine.get('logits') ?? exact;
  const scale = rootMeanSquare(exact);
  const error = Float64Array.from(exact, (x, i) => last[i] - x);
  let before = exact;
  return names.map((name, i) => {
    given.set(name, engine.get(name) ?? new Float32Array());
    const after = i === names.length - 1 ? last : logits();
    const change = Float64Array.from(exact, (_, at) => after[at] - before[at]);
    before = after;
    return { name, relativeRms: rootMeanSquare(change) / scale, share: dot(change, error) / dot(error, error) };
  });
}

function referenceValue(values: ReadonlyMap<string, ReferenceValue>, name: string): ReferenceValue {
  const value = values.get(name);
  if (!value) throw new Error(`study: the float64 pass has no ${name}.`);
  return value;
}
