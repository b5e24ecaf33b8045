// Loads a model and keeps the time of each phase. No DOM here.
import { type LoadProgress, Model } from '../index.ts';

export type Phase = LoadProgress['phase'];

export interface LoadedModel {
  readonly model: Model;
  readonly phaseMs: Readonly<Record<Phase, number>>;
}

/** As `Model.load`; the time between two reports of progress counts for the phase of the second. */
export async function loadTimed(
  from: string,
  device: GPUDevice,
  onProgress: (progress: LoadProgress, phaseMs: number) => void,
): Promise<LoadedModel> {
  const phaseMs: Record<Phase, number> = { download: 0, upload: 0, compile: 0 };
  let last = performance.now();
  const model = await Model.load(from, {
    device,
    numerics: 'reproducible', // what the page shows, every adapter shows
    onProgress(progress) {
      const now = performance.now();
      phaseMs[progress.phase] += now - last;
      last = now;
      onProgress(progress, phaseMs[progress.phase]);
    },
  });
  return { model, phaseMs };
}
