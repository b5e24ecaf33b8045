// What `npm start` prints, as plain data, measured in the page. Formatting is the script's.
import { formatMs, formatNumber, formatProbability, quoteToken } from '../elements/index.ts';
import { describeAdapter, logitLens, type Model, type TokenProbability } from '../index.ts';
import { type PageRun, predictions } from './page_run.ts';
import type { Phase, Session } from './session.ts';

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
const LENS_TOKENS = 3;
const TOP = 5;

/**
 * Measures warm runs on top of what the page has done already.
 * @throws Error where there is no live run
 */
export async function createReport({ model, runs: { before: run }, phases, shownState }: Session): Promise<Report> {
  if (!model || !run) throw new Error('page: there is no run to report yet.');
  const warmRunMs: number[] = [];
  const warmRunKeepingAllMs: number[] = [];
  for (let i = -1; i < WARM_RUNS; i++) {
    const plain = await elapsedMs(() => model.run(run.ids));
    const keepingAll = await elapsedMs(async () => (await model.runWithCache(run.ids)).cache.destroy());
    if (i < 0) continue; // the first of each makes buffers
    warmRunMs.push(plain);
    warmRunKeepingAllMs.push(keepingAll);
  }
  const { nLayers, nHeads, dModel, dVocab } = model.config;
  const { text, isFallback } = describeAdapter(model.device);
  const withProbability = ({ text, probability }: TokenProbability) =>
    `${quoteToken(text)} ${formatProbability(probability)}`;
  const phaseMs = (phase: Phase) => phases.get(phase)?.elapsedMs ?? 0;
  const lens = await run.analysis('lens at the end', (of, cache) => logitLens(of, cache, { k: LENS_TOKENS }));
  return {
    name: shownState.model,
    model: `${nLayers} layers, ${nHeads} heads, d_model ${dModel}, ${dVocab} tokens`,
    adapter: { text, isFallback },
    times: {
      download: formatMs(phaseMs('download')),
      upload: formatMs(phaseMs('upload')),
      load: formatMs(phaseMs('download') + phaseMs('upload')),
      compile: formatMs(phaseMs('compile')),
      firstRun: formatMs(run.elapsedMs ?? 0),
      warmRun: formatMs(median(warmRunMs)),
      warmRunKeepingAll: formatMs(median(warmRunKeepingAllMs)),
    },
    warmRuns: WARM_RUNS,
    prompt: shownState.prompt,
    tokenCount: run.ids.length,
    top: predictions(model, run, TOP).map(({ text, probability, logit }) => [
      quoteToken(text),
      formatProbability(probability),
      logit.toFixed(3),
    ]),
    lens: lens.map(({ layer, top }) => ({ layer, top: top.map(withProbability) })),
    valueCount: run.cache.names.length,
    values: await representativeValues(model, run),
  };
}

/** One of each kind, through the depth of the model. */
async function representativeValues({ config }: Model, run: PageRun): Promise<string[][]> {
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
  return Promise.all(
    names
      .filter((name) => run.cache.has(name))
      .map(async (name) => {
        const { mean, std, min, max } = await run.statistics(name);
        return [name, `[${run.cache.get(name).shape.join(', ')}]`, ...[mean, std, min, max].map(formatNumber)];
      }),
  );
}

async function elapsedMs(f: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await f();
  return performance.now() - start;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}
