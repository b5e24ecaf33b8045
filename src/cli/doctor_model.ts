// The doctor's second opinion: how one model lies on the adapter, what it would need, and whether it runs.
import { Model, type Plan } from '../index.ts';
import { type TilingInUse, type Tuned, tilingsInUse, tune } from './doctor_tilings.ts';
import { progressLine } from './progress.ts';
import { abortable } from './stop.ts';

/** What a pass of so many tokens needs, or why it cannot run. */
export interface PassNeeds {
  readonly pos: number;
  /** Whether every value is captured, or the logits only. */
  readonly captured: 'logits' | 'everything';
  readonly dispatches?: number;
  /** Of all buffers of the pass, weights left out. */
  readonly bytes?: number;
  readonly error?: string;
}

export interface ModelFindings {
  readonly source: string;
  readonly ok: boolean;
  /** Why it does not load or run. */
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly hooks?: number;
  readonly weightBytes?: number;
  /** Buffers that W_E was cut into: more than 1 where it exceeds the adapter's largest binding. */
  readonly embeddingPieces?: number;
  /** As `embeddingPieces`, of W_U; 0 where it is W_E. */
  readonly unembeddingPieces?: number;
  readonly passes?: readonly PassNeeds[];
  /** How its matrix products are shared out over the GPU. */
  readonly tilings?: readonly TilingInUse[];
  /** What tuning found, where it was asked for. */
  readonly tuned?: readonly Tuned[];
  readonly loadMs?: number;
  /** Of the trial run, twice: the first compiles what loading has not. */
  readonly run?: { readonly pos: number; readonly coldMs: number; readonly warmMs: number };
}

const TRIAL_TOKENS = 8;

/** Loads a model, tunes it if asked to, and runs it. Whatever goes wrong is in the findings, not an exception. */
export async function examineModel(
  source: string,
  device: GPUDevice,
  signal: AbortSignal,
  isTuned = false,
): Promise<ModelFindings> {
  try {
    const start = performance.now();
    const progress = progressLine();
    const loading = Model.load(source, { device, signal, onProgress: progress.onProgress });
    const model = await loading.finally(() => progress.clear());
    try {
      const loadMs = performance.now() - start;
      const tuned = isTuned ? { tuned: await tune(model, signal) } : {};
      return { source, ok: true, ...(await abortable(examineLoaded(model), signal)), ...tuned, loadMs };
    } finally {
      model.destroy();
    }
  } catch (error) {
    signal.throwIfAborted();
    return { source, ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

async function examineLoaded(model: Model): Promise<Omit<ModelFindings, 'source' | 'ok'>> {
  const { warnings, hooks, config } = model;
  const weightBytes = model.memory.bytes; // nothing is at rest yet: weights are all it holds
  const pos = Math.min(TRIAL_TOKENS, config.nCtx);
  const plan = model.plan({ pos });
  const tokens = Array.from({ length: pos }, (_, i) => i % config.dVocab);
  const run = { pos, coldMs: await timeRun(model, tokens), warmMs: await timeRun(model, tokens) };
  return {
    warnings,
    hooks: hooks.length,
    weightBytes,
    embeddingPieces: piecesOf(plan, 'embed.W_E'),
    unembeddingPieces: piecesOf(plan, 'unembed.W_U'),
    passes: [
      passNeeds(model, pos, 'logits'),
      ...(pos < config.nCtx ? [passNeeds(model, config.nCtx, 'logits')] : []),
      passNeeds(model, config.nCtx, 'everything'),
    ],
    tilings: tilingsInUse(model),
    run,
  };
}

async function timeRun(model: Model, tokens: readonly number[]): Promise<number> {
  const start = performance.now();
  await model.run(tokens);
  return performance.now() - start;
}

function passNeeds(model: Model, pos: number, captured: PassNeeds['captured']): PassNeeds {
  try {
    const usual = new Set(model.hooks.filter(({ onDemand }) => !onDemand).map(({ name }) => name));
    const { steps, slots } = model.plan({
      pos,
      names: captured === 'everything' ? (name) => usual.has(name) : undefined,
    });
    return { pos, captured, dispatches: steps.length, bytes: slots.reduce((a, b) => a + b, 0) };
  } catch (error) {
    return { pos, captured, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Buffers that a weight was cut into, as a pass binds them; 0 where the pass does not use it. */
function piecesOf(plan: Plan, weight: string): number {
  const resources = plan.steps.flatMap((step) => (step.kind === 'dispatch' ? step.resources : []));
  const pieces = resources.map((resource) =>
    resource.kind === 'weight' && resource.name === weight ? resource.piece : -1,
  );
  return 1 + Math.max(-1, ...pieces);
}
