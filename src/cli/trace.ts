// `hyaline trace`: one forward pass, what it predicts, and statistics or all numbers of the values inside.
import {
  type ActivationCache,
  adapterFingerprint,
  describeAdapter,
  digestValues,
  type Fingerprint,
  type HookEntry,
  type Model,
  type Numerics,
  type Statistics,
  type Tensor,
  type TokenProbability,
  topTokens,
  type ValueDigests,
  type WeightFormat,
  writeSafetensors,
} from '../index.ts';
import { type Edit, hooksOf } from './edits.ts';
import { openModel } from './open_model.ts';
import { openOutputFile } from './output_file.ts';
import { abortable } from './stop.ts';
import { inputTokens } from './tokens.ts';
import { formatTrace } from './trace_text.ts';

/** Options as they stand on the command line. */
export interface TraceOptions {
  readonly tokens?: readonly (readonly number[])[];
  readonly hooks?: readonly string[];
  readonly out?: string;
  readonly digest?: boolean;
  readonly json?: boolean;
  readonly numerics: Numerics;
  readonly weights: WeightFormat;
  readonly cache?: string;
  readonly bos: boolean;
}

interface TraceInvocation extends TraceOptions {
  readonly model: string;
  readonly text?: string;
  /** Interventions, in the order in which they apply. */
  readonly edits: readonly Edit[];
  readonly version: string;
}

/** What a trace found: with `--json` exactly this, as one JSON object. */
export interface TraceReport {
  /** In plain words. */
  readonly adapter: string;
  /** What the adapter does to float32 numbers; only for `--json` and `--out`, which hold numbers to compare. */
  readonly fingerprint?: Fingerprint;
  /** `model.config`, where it came from, and what loading noticed. */
  readonly model: Model['config'] & { readonly source: string; readonly warnings: readonly string[] };
  readonly numerics: Numerics;
  /** What matrices are stored in. */
  readonly weights: WeightFormat;
  /** Ids, [batch, pos]. */
  readonly tokens: readonly (readonly number[])[];
  /** The same as text, or null where the model has no tokenizer. */
  readonly tokenTexts: readonly (readonly string[])[] | null;
  /** Interventions as they stood on the command line. */
  readonly interventions: readonly string[];
  /** For each row the most probable next tokens; none where its logits are not finite. */
  readonly top: readonly (readonly TokenProbability[])[];
  /** Captured values in firing order; the logits are always the last. */
  readonly values: readonly TracedValue[];
  /** With `--digest`: of the captured values, or without `--hooks` of every value that is computed without being asked for. */
  readonly digest?: ValueDigests;
  readonly timing: { readonly loadMs: number; readonly runMs: number };
}

interface TracedValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly axes: readonly string[];
  /** Masked scores, NaN and infinities are counted and left out of the rest. */
  readonly stats: Statistics;
}

const LOGITS = 'logits';
const TOP = 5;

/** Runs the command; prints on stdout. */
export async function trace(options: TraceInvocation, signal: AbortSignal): Promise<boolean> {
  const entries = await hooksOf(options.edits);
  const out = options.out === undefined ? null : await openOutputFile(options.out);
  try {
    const { model, loadMs } = await openModel(options.model, options, signal);
    try {
      const tokens = inputTokens(model, options);
      const { report, tensors } = await abortable(runTrace(model, tokens, { ...options, entries, loadMs }), signal);
      await out?.commit(traceFile(report, tensors, options));
      console.log(options.json ? JSON.stringify(report, null, 2) : formatTrace(report));
      if (out) console.error(`hyaline: wrote ${tensors.length} values to ${options.out}`);
      return true;
    } finally {
      model.destroy();
    }
  } finally {
    await out?.discard();
  }
}

async function runTrace(
  model: Model,
  tokens: readonly (readonly number[])[],
  {
    hooks = [],
    out,
    digest,
    json,
    loadMs,
    entries,
    edits,
    model: source,
  }: TraceInvocation & { entries: HookEntry[]; loadMs: number },
): Promise<{ report: TraceReport; tensors: Tensor[] }> {
  const runStart = performance.now();
  const shown = model.hookNames([...hooks, LOGITS]);
  const names = digest && hooks.length === 0 ? undefined : shown; // undefined: all that are not on demand
  const { logits, cache, warnings } = await model.runWithCache(tokens, { names, hooks: entries });
  const runMs = performance.now() - runStart;
  for (const warning of warnings) console.error(`hyaline: warning: ${warning}`);
  const values: TracedValue[] = [];
  const tensors: Tensor[] = [];
  for (const name of shown) {
    values.push(await describeValue(cache, name));
    if (out !== undefined) tensors.push(await cache.read(name));
  }
  const { tokenizer } = model;
  const report: TraceReport = {
    adapter: describeAdapter(model.device).text,
    fingerprint: json || out !== undefined ? await adapterFingerprint(model.device) : undefined,
    model: { source, ...model.config, warnings: model.warnings },
    numerics: model.numerics,
    weights: model.weightFormat,
    tokens,
    tokenTexts: tokenizer && tokens.map((row) => row.map((id) => tokenizer.tokenText(id))),
    interventions: edits.map(({ text }) => text),
    top: tokens.map((_, batch) => predict(model, logits, batch)),
    values,
    ...(digest && { digest: await digestValues(cache) }),
    timing: { loadMs, runMs },
  };
  return { report, tensors };
}

async function describeValue(cache: ActivationCache, name: string): Promise<TracedValue> {
  const value = cache.get(name);
  return { name, shape: value.shape, axes: value.axes, stats: await value.stats() };
}

function predict(model: Model, logits: Tensor, batch: number): TokenProbability[] {
  const [, pos, dVocab] = logits.shape;
  const end = (batch + 1) * pos * dVocab;
  if (logits.data.subarray(end - dVocab, end).every(Number.isFinite)) return topTokens(model, logits, TOP, { batch });
  console.error(`hyaline: warning: row ${batch}: its logits hold NaN or infinities, so it predicts nothing`);
  return [];
}

function traceFile(report: TraceReport, tensors: readonly Tensor[], options: TraceInvocation): Uint8Array {
  const metadata = {
    format: 'pt',
    tokens: JSON.stringify(report.tokens),
    model: options.model,
    hyaline: options.version,
    adapter: report.adapter,
    numerics: report.numerics,
    fingerprint: JSON.stringify(report.fingerprint),
    ...(report.weights !== 'f32' && { weights: report.weights }),
    ...(report.interventions.length > 0 && { interventions: report.interventions.join(' ') }),
  };
  return writeSafetensors(
    tensors.map(({ name, shape, data }) => ({ name, dtype: 'F32', shape, data })),
    metadata,
  );
}
