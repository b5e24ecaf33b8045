// How time grows: with the length of a prompt, with the context behind a token, with rows and with layers. On models of a given shape
// with drawn weights, because the embedded one's context ends too early.
import type * as Hyaline from '../src/index.ts';
import { type Case, elapsedMs, interleave } from './interleave.ts';
import { generateMs } from './measure_edits.ts';
import { ratioQuartiles } from './quartiles.ts';
import type { Growth, Ratio } from './result.ts';
import { drawnModel, type Shape } from './shapes.ts';

type Engine = typeof Hyaline;
type Model = Hyaline.Model;

/** Tokens decoded in a row for one sample, which is their mean. */
const DECODED = 4;
const GENERATED = 16;
/** Rows of each batch, and the prompt of each depth. */
const SHORT = 64;

export interface GrowthOptions {
  readonly shape: Shape;
  /** Lengths of prompts and contexts. */
  readonly lengths: readonly number[];
  /** Rows of 64 tokens. */
  readonly batches: readonly number[];
  /** Depths: each is a model of its own. */
  readonly layers: readonly number[];
  readonly warmUp: number;
  readonly repetitions: number;
  readonly onRound: (done: number) => void;
}

interface GrowthCase extends Pick<Growth, 'kind' | 'at'> {
  readonly time: () => Promise<number>;
}

/** Milliseconds of a run (of a token, where it is decoded), everything in turns; and what the model holds on the GPU in the end. */
export async function measureGrowth(
  engine: Engine,
  device: GPUDevice,
  options: GrowthOptions,
): Promise<{ growth: Growth[]; bytes: number }> {
  const { shape, lengths, batches, layers, ...rounds } = options;
  const model = await engine.Model.load(drawnModel(shape), { device });
  const others: Model[] = [];
  const caches: Hyaline.KeyValueCache[] = [];
  try {
    const cases: GrowthCase[] = lengths.map((at) => ({ kind: 'prefill', at, time: timeRun(model, at, 1) }));
    for (const at of lengths) {
      // The last tokens of the longest context must fit, too.
      const context = Math.min(at, shape.nCtx - DECODED);
      const keyValueCache = model.createKeyValueCache({ capacity: context + DECODED });
      caches.push(keyValueCache);
      await model.run(drawnTokens(model, context), { keyValueCache });
      cases.push({ kind: 'decode', at: context, time: timeDecode(model, keyValueCache) });
    }
    const [shortest] = lengths;
    const prompt = drawnTokens(model, shortest);
    cases.push({ kind: 'generate', at: shortest, time: () => generateMs(model, prompt, GENERATED) });
    for (const at of batches) cases.push({ kind: 'batch', at, time: timeRun(model, SHORT, at) });
    for (const at of layers) {
      const isWhole = at === shape.nLayers;
      const other = isWhole ? model : await engine.Model.load(drawnModel({ ...shape, nLayers: at }), { device });
      if (!isWhole) others.push(other);
      cases.push({ kind: 'layers', at, time: timeRun(other, SHORT, 1) });
    }
    const named = cases.map(({ kind, at, time }): Case => ({ name: kind, engine: 'hyaline', tokens: at, time }));
    const timings = await interleave(named, rounds);
    const growth = timings.map(({ name, tokens, engine: _, ...timing }): Growth => {
      return { model: shape.name, kind: name as Growth['kind'], at: tokens, ...timing };
    });
    return { growth, bytes: model.memory.bytes };
  } finally {
    for (const cache of caches) cache.destroy();
    for (const other of [model, ...others]) other.destroy();
  }
}

const drawnTokens = ({ config }: Model, count: number) =>
  Array.from({ length: count }, (_, i) => (i * 7919) % config.dVocab);

function timeRun(model: Model, pos: number, batch: number) {
  const rows = Array.from({ length: batch }, () => drawnTokens(model, pos));
  return () => elapsedMs(() => model.run(rows));
}

function timeDecode(model: Model, keyValueCache: Hyaline.KeyValueCache) {
  const [context] = keyValueCache.lengths;
  return async () => {
    keyValueCache.truncate(context);
    const elapsed = await elapsedMs(async () => {
      for (let i = 0; i < DECODED; i++) await model.run([i], { keyValueCache });
    });
    return elapsed / DECODED;
  };
}

export const PREFILL_GROWTH = 'a token of a prompt of 512 against one of 64';
export const DECODE_GROWTH = 'a token decoded behind 512 against behind 64';

/** How much longer a token takes where there are 512 instead of 64: quotients of turns in the same rounds. */
export function growthRatios(growth: readonly Growth[], model: string): Ratio[] {
  const samples = (kind: Growth['kind'], at: number) =>
    growth.find((one) => one.model === model && one.kind === kind && one.at === at)?.samples;
  const ratio = (name: string, kind: Growth['kind'], tokensPerSample: (at: number) => number): Ratio[] => {
    const [short, long] = [samples(kind, 64), samples(kind, 512)];
    if (!short || !long) return [];
    const perToken = (values: readonly number[], at: number) => values.map((ms) => ms / tokensPerSample(at));
    return [{ name, tokens: 512, ...ratioQuartiles(perToken(short, 64), perToken(long, 512)) }];
  };
  return [...ratio(PREFILL_GROWTH, 'prefill', (at) => at), ...ratio(DECODE_GROWTH, 'decode', () => 1)];
}
