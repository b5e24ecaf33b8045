// `hyaline numerics`: one forward pass compared with float64, value by value.
import {
  describeAdapter,
  type Model,
  type Numerics,
  type NumericsFigure,
  type NumericsReport,
  numericsReport,
  readWeights,
  type WeightFormat,
} from '../index.ts';
import { formatNumerics } from './numerics_text.ts';
import { openModel } from './open_model.ts';
import { progressLine } from './progress.ts';
import { abortable } from './stop.ts';
import { inputTokens } from './tokens.ts';

/** Options as they stand on the command line. */
export interface NumericsCommandOptions {
  readonly tokens?: readonly (readonly number[])[];
  readonly hooks?: readonly string[];
  readonly map?: NumericsFigure;
  readonly json?: boolean;
  readonly numerics: Numerics;
  readonly weights: WeightFormat;
  readonly cache?: string;
  readonly bos: boolean;
}

interface NumericsInvocation extends NumericsCommandOptions {
  readonly model: string;
  readonly text?: string;
}

/** What was found: with `--json` exactly this, as one JSON object. */
export interface NumericsCommandReport extends NumericsReport {
  /** In plain words. */
  readonly adapter: string;
  /** `model.config`, where it came from, and what loading noticed. */
  readonly model: Model['config'] & { readonly source: string; readonly warnings: readonly string[] };
  readonly numerics: Numerics;
  /** What matrices are stored in. Where that is less than f32, the truth has the checkpoint's own numbers. */
  readonly weights: WeightFormat;
  readonly timing: { readonly loadMs: number; readonly reportMs: number };
}

/** Runs the command; prints on stdout. False where a value is outside of its bound, or holds NaN or infinities. */
export async function numerics(options: NumericsInvocation, signal: AbortSignal): Promise<boolean> {
  const { model, loadMs } = await openModel(options.model, options, signal);
  const progress = progressLine();
  try {
    const originalWeights =
      options.weights === 'f32' ? undefined : await readWeights(options.model, { signal, cache: options.cache });
    const reportStart = performance.now();
    const comparing = numericsReport(model, inputTokens(model, options), {
      names: options.hooks,
      figure: options.map,
      originalWeights,
      onProgress: ({ phase, name, done, total }) => progress.show(`${WORDS[phase]} ${name}: ${done} of ${total}`),
      signal,
    });
    const report = await abortable(comparing, signal).finally(() => progress.clear());
    const found: NumericsCommandReport = {
      adapter: describeAdapter(model.device).text,
      model: { source: options.model, ...model.config, warnings: model.warnings },
      numerics: model.numerics,
      weights: model.weightFormat,
      ...report,
      timing: { loadMs, reportMs: performance.now() - reportStart },
    };
    console.log(options.json ? JSON.stringify(found, null, 2) : formatNumerics(found, options.map !== undefined));
    const { notFinite, outsideBound } = report.findings;
    return notFinite.length === 0 && outsideBound.length === 0;
  } finally {
    model.destroy();
  }
}

const WORDS = { weights: 'reading', values: 'comparing' } as const;
