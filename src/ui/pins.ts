// Numbers that are kept to compare with: where each is, and what it is. No DOM here.
import type { Model } from '../index.ts';
import { hooksOf } from './edits.ts';
import { idsOf, type PageRun } from './page_run.ts';
import type { Runs } from './session.ts';
import { elementOf, valueIn } from './shown_values.ts';
import type { PageState, Pin } from './state.ts';

/** The selected number of the state. */
export function pinOf({ model, prompt, edits, hook }: PageState, index: Pin['index']): Pin {
  return { model, prompt, edits: edits.filter(({ isOn }) => isOn), hook, index };
}

export function isSamePin(a: Pin, b: Pin): boolean {
  return keyOf(a) === keyOf(b);
}

export function keyOf({ model, prompt, edits, hook, index }: Pin): string {
  const place = Object.entries(index).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([model, prompt, edits, hook, place]);
}

/**
 * The run on the page that holds a pinned number; null where none does.
 * @param state what these runs are of
 */
export function runOfPin({ model, prompt, edits }: Pin, state: PageState, runs: Runs): PageRun | null {
  if (model !== state.model) return null;
  const changes = JSON.stringify(state.edits.filter(({ isOn }) => isOn));
  if (edits.length > 0) return prompt === state.prompt && JSON.stringify(edits) === changes ? runs.after : null;
  if (prompt === state.prompt) return runs.before;
  return prompt === state.second ? runs.second : null;
}

/**
 * One number of a run.
 * @throws Error where the run has no such value, or the value no such element
 */
export async function numberIn(run: PageRun, { hook, index }: Pick<Pin, 'hook' | 'index'>): Promise<number> {
  const value = run.cache.has(hook) ? valueIn(run, hook) : await run.capture?.(hook);
  if (!value) throw new Error(`This run does not hold ${hook}.`);
  const element = elementOf(value, index);
  if (element === null) throw new Error('This run has no such position.');
  return (await value.read()).data[element];
}

/**
 * A pinned number of another prompt or with other changes, by a run of its own, freed at once.
 * @throws Error where that run cannot be had, as with changes that take numbers from another prompt
 */
export async function numberByRunning(model: Model, pin: Pin, numerics: PageState['numerics']): Promise<number> {
  const hooks = await hooksOf(pin.edits, { model, before: null, second: null });
  const options = { hooks, numerics, capture: pin.hook, logits: 'none' } as const;
  const { cache } = await model.run([idsOf(model, pin.prompt)], options);
  try {
    const value = cache.get(pin.hook);
    const element = elementOf(value, pin.index);
    if (element === null) throw new Error('This run has no such position.');
    return (await value.read()).data[element];
  } finally {
    cache.destroy();
  }
}

/** In words: `blocks.0.attn.hook_q [pos 3, head_index 2, d_head 7]`. */
export function placeOf({ hook, index }: Pick<Pin, 'hook' | 'index'>): string {
  const at = Object.entries(index).filter(([axis]) => axis !== 'batch');
  return `${hook} [${at.map(([axis, i]) => `${axis} ${i}`).join(', ')}]`;
}
