// What `npm start` prints, as plain data, measured in the page. Formatting is the script's.

import { formatMs, formatNumber, formatProbability, quoteToken } from '../elements/text.ts';
import { describeAdapter, type Model, type TokenProbability } from '../index.ts';
import type { LoadedModel, Phase } from './load.ts';
import type { Trace } from './trace.ts';

/** Numbers as text, in the page's format: the script prints them as they are. */
export interface Report {
  readonly name: string;
  readonly model: string;
  readonly adapter: { readonly text: string; readonly isFallback: boolean };
  readonly times: Readonly<Record<Phase | 'load' | 'firstRun' | 'warmRun' | 'warmRunKeepingAll', string>>;
  readonly warmRuns: number;
  readonly prompt: string;
  readonly tokenCount: number;
  readonly top: readonly (readonly [token: string, probability: string, logit: string])[];
  readonly lens: readonly { readonly layer: number | null; readonly top: readonly string[] }[];
  readonly valueCount: number;
  /** Name, shape, mean, std, min, max of some. */
  readonly values: readonly (readonly string[])[];
}

const WARM_RUNS = 5;

/** Measures warm runs on top of what the page has done already. */
export async function createReport(name: string, { model, phaseMs }: LoadedModel, trace: Trace): Promise<Report> {
  const warmRunMs: number[] = [];
  const warmRunKeepingAllMs: number[] = [];
  for (let i = -1; i < WARM_RUNS; i++) {
    const plain = await elapsedMs(() => model.run(trace.ids));
    const keepingAll = await elapsedMs(async () => (await model.runWithCache(trace.ids)).cache.destroy());
    if (i < 0) continue; // the first of each makes buffers
    warmRunMs.push(plain);
    warmRunKeepingAllMs.push(keepingAll);
  }
  const { nLayers, nHeads, dModel, dVocab } = model.config;
  const { text, isFallback } = describeAdapter(model.device);
  const withProbability = ({ text, probability }: TokenProbability) =>
    `${quoteToken(text)} ${formatProbability(probability)}`;
  return {
    name,
    model: `${nLayers} layers, ${nHeads} heads, d_model ${dModel}, ${dVocab} tokens`,
    adapter: { text, isFallback },
    times: {
      download: formatMs(phaseMs.download),
      upload: formatMs(phaseMs.upload),
      load: formatMs(phaseMs.download + phaseMs.upload),
      compile: formatMs(phaseMs.compile),
      firstRun: formatMs(trace.runMs),
      warmRun: formatMs(median(warmRunMs)),
      warmRunKeepingAll: formatMs(median(warmRunKeepingAllMs)),
    },
    warmRuns: WARM_RUNS,
    prompt: trace.prompt,
    tokenCount: trace.ids.length,
    top: trace.top
      .slice(0, 5)
      .map(({ text, probability, logit }) => [quoteToken(text), formatProbability(probability), logit.toFixed(3)]),
    lens: trace.lens.map(({ layer, top }) => ({ layer, top: top.map(withProbability) })),
    valueCount: trace.values.length,
    values: representativeValues(model, trace),
  };
}

/** One of each kind, through the depth of the model. */
function representativeValues({ config }: Model, { values }: Trace): string[][] {
  const last = config.nLayers - 1;
  const middle = Math.floor(last / 2);
  const names = [
    'hook_embed',
    'blocks.0.attn.hook_q',
    `blocks.${middle}.attn.hook_pattern`,
    `blocks.${middle}.mlp.hook_post`,
    `blocks.${last}.hook_resid_post`,
    'logits',
  ];
  return values
    .filter(({ hook }) => names.includes(hook.name))
    .map(({ hook, shape, statistics: { mean, std, min, max } }) => [
      hook.name,
      `[${shape.join(', ')}]`,
      ...[mean, std, min, max].map(formatNumber),
    ]);
}

async function elapsedMs(f: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await f();
  return performance.now() - start;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}
