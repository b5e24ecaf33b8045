// The numerics report: one run of a model compared with float64, value by value, each error split into what its own operation made
// and what its inputs brought. The figures of one value are in `value_errors.ts`, those of predictions in `prediction_errors.ts`.
//
// Two float64 passes go beside the run. One knows nothing of it: the truth. The other is given the run's own float32 values, so each
// of its values is what one operation makes of the engine's inputs. The engine's value less the second is the operation's error. Where
// weights are stored in less than float32, a third has those that they were made from: then that is the truth, and the first less it
// is what the smaller weights do.

import { type ModelConfig, type WeightSpec, weightSpecs } from '../engine/config.ts';
import { buildGraph, type Graph, LOGITS } from '../engine/graph.ts';
import type { Model } from '../hooks/model.ts';
import type { HookNames } from '../hooks/names.ts';
import type { RunOptions } from '../hooks/run_options.ts';
import type { TokenInput } from '../hooks/tokens.ts';
import { checkFigure, type NumericsFigure, type NumericsMap, numericsMap } from './error_map.ts';
import { type Findings, findingsOf, type Predictions, summarizePredictions } from './findings.ts';
import { predictionErrors } from './prediction_errors.ts';
import { referenceValues } from './reference.ts';
import { ULP_BINS, type ValueErrors, valueErrors, type WorstPosition } from './value_errors.ts';

export interface NumericsOptions {
  /** Values that the report lists; all are compared in any case. All when absent. */
  readonly names?: HookNames;
  /** How many of the most probable tokens the ranking is compared of: 5 when absent. */
  readonly k?: number;
  /** The figure of `map`: `relativeRms` when absent. */
  readonly figure?: NumericsFigure;
  /**
   * The weights before they were stored in less (`readWeights`), by name: then they are the truth, and each value's `weights` is the part of its
   * error that their smaller format makes. Without them the truth has the weights that the model computes with.
   */
  readonly originalWeights?: ReadonlyMap<string, Float32Array>;
  /** Options of the run, as `model.run` takes them. Interventions and parts of a model cannot be compared. */
  readonly run?: Omit<RunOptions, keyof typeof UNSUPPORTED | 'signal'>;
  readonly onProgress?: (progress: NumericsProgress) => void;
  /** Checked before every weight and every value. The float64 passes of one value do not stop halfway. */
  readonly signal?: AbortSignal;
}

export interface NumericsProgress {
  readonly phase: 'weights' | 'values';
  /** What has just been read or compared. */
  readonly name: string;
  readonly done: number;
  readonly total: number;
}

/** A token of the input: its id, and its text where the model has a tokenizer. */
export interface InputToken {
  readonly token: number;
  readonly text: string | null;
}

/** One value's errors, and what it is. */
export interface NumericsValue extends Omit<ValueErrors, 'worstPositions'> {
  readonly name: string;
  readonly shape: readonly number[];
  readonly axes: readonly string[];
  /** Block number, or null outside of the blocks. */
  readonly layer: number | null;
  /** The value that this is under another name: then it has no error of its own. */
  readonly aliasOf: string | null;
  /**
   * Relative RMS of the inherited error over the largest relative RMS error among the operation's inputs: how much of relative
   * accuracy the operation costs before it rounds anything. Null where no input has an error, and with original weights, whose part
   * of the inputs' errors is not in it.
   */
  readonly amplification: number | null;
  readonly worstPositions: readonly (WorstPosition & InputToken)[];
}

/**
 * What a run's errors are, as plain data: `JSON.stringify` changes nothing. There is no NaN and no infinity in it; null stands for a
 * number that does not exist, and each figure says when that is. NaN and infinities of the run are in `counts` and `findings`.
 */
export interface NumericsReport {
  /** Ids, [batch, pos]. */
  readonly tokens: readonly (readonly number[])[];
  /** The same as text, or null where the model has no tokenizer. */
  readonly tokenTexts: readonly (readonly string[])[] | null;
  /** Upper ends of the bins of every `ulps.histogram`; its last bin is beyond. */
  readonly ulpBins: readonly number[];
  /** In firing order. */
  readonly values: readonly NumericsValue[];
  readonly predictions: Predictions;
  /** About all values, listed or not. */
  readonly findings: Findings;
  readonly map: NumericsMap;
}

const DEFAULT_K = 5;

/** What a run can be given that float64 knows nothing of. */
const UNSUPPORTED = {
  hooks: 'interventions are not supported',
  keyValueCache: 'the text is run whole',
  capture: 'every value is captured in any case',
  startAtLayer: 'the model is run whole',
  stopAtLayer: 'the model is run whole',
} as const;

/**
 * Runs a model once with every value captured, and compares each with float64. Copies all weights and values to the CPU, one value at
 * a time, and computes the pass twice there: seconds for a small model. Other work of the page or process goes on between values.
 * @param tokens whatever `model.run` takes
 * @throws Error beginning with `numerics: ` for options that cannot be; as `model.run` for tokens
 * @example
 * const { values, predictions } = await numericsReport(model, 'The capital of France is');
 * values.find(({ name }) => name === 'logits').error.relativeRms; // in units of the logits' RMS
 * predictions.changed; // positions where float64 would predict another token
 */
export async function numericsReport(
  model: Model,
  tokens: TokenInput,
  options: NumericsOptions = {},
): Promise<NumericsReport> {
  const { run = {}, onProgress, signal, originalWeights } = options;
  checkOptions(options);
  if (originalWeights) checkWeights(originalWeights, weightSpecs(model.config));
  const isListed = listedNames(model, options.names);
  const { batch, pos, ids } = model.tokenBatch(tokens, run);
  const rows = Array.from({ length: batch }, (_, row) => [...ids.subarray(row * pos, (row + 1) * pos)]);
  const { cache } = await model.runWithCache(rows, { ...run, signal });
  try {
    const weights = new Map<string, Float32Array>();
    const specs = weightSpecs(model.config);
    for (const { name } of specs) {
      signal?.throwIfAborted();
      weights.set(name, (await model.weight(name)).data);
      onProgress?.({ phase: 'weights', name, done: weights.size, total: specs.length });
    }
    const read = async (name: string) => (await cache.read(name)).data; // waits for the GPU: others get their turn
    const { tokenizer } = model;
    const tokenText = tokenizer && ((id: number) => tokenizer.tokenText(id));
    return await reportOnRun(
      { config: model.config, weights, tokens: rows, read, tokenText },
      { ...options, isListed },
    );
  } finally {
    cache.destroy();
  }
}

/** A run to compare, wherever its values come from. */
export interface RecordedRun {
  readonly config: ModelConfig;
  /** By TransformerLens's names. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly tokens: number[][];
  /** A value of the run; masked scores are −Infinity. */
  readonly read: (name: string) => Float32Array | Promise<Float32Array>;
  readonly tokenText: ((id: number) => string) | null;
}

/** The report on a run that has been made. Values are asked for in firing order, each once, and dropped before the next. */
export async function reportOnRun(
  { config, weights, tokens, read, tokenText }: RecordedRun,
  {
    k = DEFAULT_K,
    figure = 'relativeRms',
    onProgress,
    signal,
    originalWeights,
    isListed = () => true,
  }: Omit<NumericsOptions, 'names' | 'run'> & { readonly isListed?: (name: string) => boolean },
): Promise<NumericsReport> {
  const graph = buildGraph(config, () => true);
  const inputs = inputsOf(graph);
  const total = [...graph.values.values()].filter(({ onDemand }) => !onDemand).length;
  const values = new Map<string, NumericsValue>();
  const tokenAt = ({ row, pos }: { row: number; pos: number }): InputToken => {
    return { token: tokens[row][pos], text: tokenText?.(tokens[row][pos]) ?? null };
  };
  let predictions = summarizePredictions([], k);

  const truth = referenceValues(config, weights, tokens);
  const oneByOne = referenceValues(config, weights, tokens);
  const unrounded = originalWeights && referenceValues(config, originalWeights, tokens);
  let [exact, local, original] = [truth.next(), oneByOne.next(), unrounded?.next()];
  while (!exact.done && !local.done && !original?.done) {
    const { name, shape, axes } = exact.value;
    const engine = await read(name);
    signal?.throwIfAborted();
    const errors = valueErrors({
      shape,
      axes,
      engine,
      exact: exact.value,
      local: local.value,
      original: original?.value,
    });
    if (name === LOGITS) {
      const positions = predictionErrors({ engine, exact: (original ?? exact).value.data }, shape, k);
      predictions = summarizePredictions(
        positions.map((position) => ({ ...position, ...tokenAt(position) })),
        k,
      );
    }
    values.set(name, {
      name,
      shape,
      axes,
      layer: graph.values.get(name)?.layer ?? null,
      aliasOf: graph.values.get(name)?.aliasOf ?? null,
      ...errors,
      amplification: original
        ? null
        : amplification(
            errors,
            inputs(name).map((input) => values.get(input)),
          ),
      worstPositions: errors.worstPositions.map((position) => ({ ...position, ...tokenAt(position) })),
    });
    onProgress?.({ phase: 'values', name, done: values.size, total });
    [exact, local, original] = [truth.next(), oneByOne.next(engine), unrounded?.next()];
  }
  const all = [...values.values()];
  const shown = all.filter(({ name }) => isListed(name));
  return {
    tokens,
    tokenTexts: tokenText && tokens.map((row) => row.map(tokenText)),
    ulpBins: ULP_BINS,
    values: shown,
    predictions,
    findings: findingsOf(all),
    map: numericsMap(shown, figure),
  };
}

function checkOptions({ run = {}, k = DEFAULT_K, figure = 'relativeRms', ...rest }: NumericsOptions): void {
  const given: Readonly<Record<string, unknown>> = { ...rest, ...run };
  for (const [option, why] of Object.entries(UNSUPPORTED)) {
    if (given[option] !== undefined) throw new Error(`numerics: there is no report with "${option}": ${why}.`);
  }
  if (!Number.isInteger(k) || k < 1) throw new Error(`numerics: expected k to be a whole number from 1 on, got ${k}.`);
  checkFigure(figure);
}

function checkWeights(weights: ReadonlyMap<string, Float32Array>, specs: readonly WeightSpec[]): void {
  for (const { name, shape, optional } of specs) {
    const [expected, got] = [shape.reduce((a, b) => a * b, 1), weights.get(name)?.length];
    if (got === expected || (got === undefined && optional)) continue;
    throw new Error(`numerics: expected ${expected} original weights ${name}, got ${got ?? 'none'}.`);
  }
}

/** Which values the report lists. The float64 pass has none of those that are computed on demand: they are copies. */
function listedNames(model: Model, names: HookNames | undefined): (name: string) => boolean {
  if (names === undefined) return () => true;
  const asked = model.hookNames(names);
  const onDemand = new Set(model.hooks.filter((hook) => hook.onDemand).map(({ name }) => name));
  const listed = new Set(asked.filter((name) => !onDemand.has(name)));
  if (listed.size === 0) {
    const what = asked.length === 0 ? 'no value is asked for' : `${asked[0]} is computed on demand only, a copy`;
    throw new Error(`numerics: there is nothing to report: ${what}.`);
  }
  return (name) => listed.has(name);
}

/** For each value those that its operation reads: also what the same operation has given before, as a norm's scale. */
function inputsOf(graph: Graph): (name: string) => readonly string[] {
  const inputs = new Map<string, readonly string[]>();
  for (const operation of graph.operations) {
    const outputs = Object.values(operation.outputs);
    const read = Object.values(operation.inputs).filter((name) => graph.values.has(name));
    outputs.forEach((name, i) => {
      inputs.set(name, [...read, ...outputs.slice(0, i)]);
    });
  }
  for (const { name, aliasOf } of graph.values.values()) if (aliasOf !== null) inputs.set(name, [aliasOf]);
  return (name) => inputs.get(name) ?? [];
}

function amplification({ inherited }: ValueErrors, inputs: readonly (NumericsValue | undefined)[]): number | null {
  const largest = inputs.reduce((most, input) => Math.max(most, input?.error.relativeRms ?? 0), 0);
  return largest > 0 && inherited.relativeRms !== null ? inherited.relativeRms / largest : null;
}
