// `hyaline generate`: continues a text; the new text goes to stdout as it comes, everything else to stderr.
import { describeAdapter, type Model, type Numerics, type SamplingOptions, type WeightFormat } from '../index.ts';
import { type Edit, hooksOf } from './edits.ts';
import { openModel } from './open_model.ts';
import { inputTokens } from './tokens.ts';

/** Options as they stand on the command line. */
export interface GenerateCommandOptions extends SamplingOptions {
  readonly tokens?: readonly (readonly number[])[];
  readonly maxNewTokens?: number;
  readonly stop?: readonly string[];
  readonly json?: boolean;
  readonly numerics: Numerics;
  readonly weights: WeightFormat;
  readonly cache?: string;
  readonly bos: boolean;
}

interface GenerateInvocation extends GenerateCommandOptions {
  readonly model: string;
  readonly text?: string;
  readonly edits: readonly Edit[];
}

/** What was generated: with `--json` exactly this, as one JSON object. */
export interface GenerateReport {
  readonly adapter: string;
  readonly model: string;
  readonly numerics: Numerics;
  /** What matrices are stored in. */
  readonly weights: WeightFormat;
  /** Ids of the prompt, and of what was added; the token that ended it is among them. */
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
  /** What each token added to the text ('' inside of a character); joined they are the new text. */
  readonly texts: readonly string[];
  /** Natural logarithms of the probabilities that the model gave to the tokens, before any filter. */
  readonly logProbs: readonly number[];
  readonly finished: 'stop token' | 'stop string' | 'length' | 'context' | null;
  /** Interventions as they stood on the command line. */
  readonly interventions: readonly string[];
  /** `tokensPerSecond`: of the tokens after the first, which also waits for the prompt; null if there is one only. */
  readonly timing: { readonly loadMs: number; readonly firstTokenMs: number; readonly tokensPerSecond: number | null };
}

/** Runs the command; writes to stdout as the tokens come, or with `json` one object at the end. */
export async function generate(options: GenerateInvocation, signal: AbortSignal): Promise<boolean> {
  const hooks = await hooksOf(options.edits);
  const { model, loadMs } = await openModel(options.model, options, signal);
  try {
    const promptTokens = inputTokens(model, options)[0];
    const report = await run(model, promptTokens, { ...options, hooks, loadMs, signal });
    if (options.json) console.log(JSON.stringify(report, null, 2));
    console.error(`hyaline: ${report.adapter}\nhyaline: ${formatTiming(report)}`);
    return true;
  } finally {
    model.destroy();
  }
}

async function run(
  model: Model,
  promptTokens: readonly number[],
  options: GenerateInvocation & { hooks: Awaited<ReturnType<typeof hooksOf>>; loadMs: number; signal: AbortSignal },
): Promise<GenerateReport> {
  const { json, stop, hooks, loadMs, signal, edits } = options;
  const { maxNewTokens, temperature, topK, topP, minP, repetitionPenalty, seed } = options;
  const sampling = { temperature, topK, topP, minP, repetitionPenalty, seed };
  const steps = model.generate([promptTokens], { ...sampling, maxNewTokens, stopStrings: stop, hooks, signal });
  const tokens: number[] = [];
  const texts: string[] = [];
  const logProbs: number[] = [];
  let finished: GenerateReport['finished'] = null;
  const start = performance.now();
  let firstTokenMs = 0;
  try {
    for await (const step of steps) {
      if (tokens.length === 0) firstTokenMs = performance.now() - start;
      tokens.push(step.token);
      texts.push(step.text);
      logProbs.push(step.logProb);
      finished = step.finished;
      if (!json) process.stdout.write(model.tokenizer ? step.text : `${tokens.length > 1 ? ' ' : ''}${step.token}`);
    }
  } finally {
    if (!json && tokens.length > 0) process.stdout.write('\n');
  }
  const laterMs = performance.now() - start - firstTokenMs;
  return {
    adapter: describeAdapter(model.device).text,
    model: options.model,
    numerics: model.numerics,
    weights: model.weightFormat,
    promptTokens,
    tokens,
    texts,
    logProbs,
    finished,
    interventions: edits.map(({ text }) => text),
    timing: {
      loadMs,
      firstTokenMs,
      tokensPerSecond: tokens.length > 1 ? (1000 * (tokens.length - 1)) / laterMs : null,
    },
  };
}

function formatTiming({ tokens, finished, timing, promptTokens }: GenerateReport): string {
  const { loadMs, firstTokenMs, tokensPerSecond } = timing;
  const count = `${tokens.length} ${tokens.length === 1 ? 'token' : 'tokens'} behind ${promptTokens.length}`;
  const rate = tokensPerSecond === null ? '' : `, then ${tokensPerSecond.toFixed(1)} tokens/s`;
  return `${count} (ended by: ${finished}); loaded in ${loadMs.toFixed(0)} ms, first token after ${firstTokenMs.toFixed(0)} ms${rate}`;
}
