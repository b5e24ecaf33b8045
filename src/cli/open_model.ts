// Loading a model for a command: progress on stderr, warnings, and how long it took.
import { type LoadOptions, Model } from '../index.ts';
import { progressLine } from './progress.ts';

/** Who asks for it must destroy it. */
export async function openModel(
  source: string,
  { numerics, weights, cache }: Pick<LoadOptions, 'numerics' | 'weights' | 'cache'>,
  signal: AbortSignal,
): Promise<{ model: Model; loadMs: number }> {
  const start = performance.now();
  const progress = progressLine();
  const loading = Model.load(source, { numerics, weights, cache, onProgress: progress.onProgress, signal });
  const model = await loading.finally(() => progress.clear());
  for (const warning of model.warnings) console.error(`hyaline: warning: ${warning}`);
  return { model, loadMs: performance.now() - start };
}
