// Numbers that are kept to compare with: where each is, and what it is. No DOM here.
import type { Model } from '../index.ts';
import { hooksOf } from './edits.ts';
import { idsOf, LiveRun, type PageRun } from './page_run.ts';
import type { Runs } from './session.ts';
import { elementOf, valueIn } from './shown_values.ts';
import type { Edit, PageState, Pin } from './state.ts';

/** The selected number of the state. */
export function pinOf({ model, prompt, numerics, second, hook, ...state }: PageState, index: Pin['index']): Pin {
  const edits = state.edits.filter(({ isOn }) => isOn);
  return { model, prompt, numerics, edits, second: edits.some(takesFromSecond) ? second : '', hook, index };
}

function takesFromSecond({ kind, direction }: Edit): boolean {
  return kind === 'patch' || direction?.from === 'difference';
}

export function isSamePin(a: Pin, b: Pin): boolean {
  return keyOf(a) === keyOf(b);
}

export function keyOf({ model, prompt, numerics, edits, second, hook, index }: Pin): string {
  const place = Object.entries(index).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([model, prompt, numerics, edits, second, hook, place]);
}

/**
 * The run on the page that holds a pinned number; null where none does.
 * @param state what these runs are of
 */
export function runOfPin(pin: Pin, state: PageState, runs: Runs): PageRun | null {
  const { model, prompt, numerics, edits } = pin;
  if (model !== state.model || numerics !== state.numerics) return null;
  if (edits.length > 0) return isSamePin(pin, pinOf({ ...state, hook: pin.hook }, pin.index)) ? runs.after : null;
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
 * @throws Error where that run cannot be had
 */
export async function numberByRunning(model: Model, pin: Pin): Promise<number> {
  const { numerics } = pin;
  const made: { destroy(): void }[] = [];
  const whole = async (prompt: string) => {
    const { cache } = await LiveRun.of(model, prompt, { numerics });
    made.push(cache);
    return cache;
  };
  try {
    const before = pin.second === '' ? null : await whole(pin.prompt);
    const second = pin.second === '' ? null : await whole(pin.second);
    const hooks = await hooksOf(pin.edits, { model, before, second });
    const options = { hooks, numerics, capture: pin.hook, logits: 'none' } as const;
    const { cache } = await model.run([idsOf(model, pin.prompt)], options);
    made.push(cache);
    const value = cache.get(pin.hook);
    const element = elementOf(value, pin.index);
    if (element === null) throw new Error('This run has no such position.');
    return (await value.read()).data[element];
  } finally {
    for (const cache of made) cache.destroy();
  }
}

/** In words: `blocks.0.attn.hook_q [pos 3, head_index 2, d_head 7]`. */
export function placeOf({ hook, index }: Pick<Pin, 'hook' | 'index'>): string {
  const at = Object.entries(index).filter(([axis]) => axis !== 'batch');
  return `${hook} [${at.map(([axis, i]) => `${axis} ${i}`).join(', ')}]`;
}
