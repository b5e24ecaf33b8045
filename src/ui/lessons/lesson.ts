// What a lesson of the tour is: steps that each set what the page shows, state numbers and check them against the run, and a last one
// that waits for the user's own click. Plain descriptions; `tour.ts` shows them.
import type { Edit, PageState } from '../state.ts';
import type { Measure } from './measures.ts';

/** A number that a lesson states. */
export interface Check {
  /** What it is, in words. */
  readonly what: string;
  /** The number as it is printed: what is measured has to round to it. Runs are reproducible, so every adapter gives the same. */
  readonly expected: string;
  readonly measure: Measure;
}

/** Something that the user may do in the last step. */
export interface Choice {
  readonly label: string;
  /** What it is for screen readers, where the label is short. */
  readonly description?: string;
  /** 0 … 1: drawn as a bar, where the choices are a spectrum. */
  readonly share?: number;
  /** What is changed. Whoever makes the same changes elsewhere on the page has chosen it too. */
  readonly edits: readonly Edit[];
  readonly isRight: boolean;
  /** What follows, in words. */
  readonly says: string;
}

export interface Task {
  readonly ask: string;
  /** Four rows of four heads, a row of buttons, or bars. */
  readonly layout: 'heads' | 'row' | 'bars';
  readonly choices: readonly Choice[] | ((run: Parameters<Measure>[0]) => Promise<readonly Choice[]>);
  /** What the right choice makes of a number; it is measured for the others too, so that they see why not. */
  readonly check: Check;
}

export interface Step {
  readonly title: string;
  /** Paragraphs. */
  readonly text: readonly string[];
  /** What the page shows, beyond what the lesson's model begins with. */
  readonly state: Partial<PageState>;
  /** What is outlined, as CSS selectors, and what is to be seen there. */
  readonly look?: { readonly at: string; readonly words: string };
  readonly checks: readonly Check[];
  readonly task?: Task;
}

export interface Lesson {
  readonly title: string;
  /** A sentence or two for the contents. */
  readonly about: string;
  readonly model: string;
  readonly steps: readonly Step[];
}

/** Whether a measured number is what was stated: NaN is not. */
export function isAsExpected(got: number, expected: string): boolean {
  return printedLike(expected, got) === expected;
}

/** A number with as many decimals as another one that is printed. */
export function printedLike(expected: string, x: number): string {
  return x.toFixed(expected.split('.')[1]?.length ?? 0);
}

/** The edits that are switched on, as text: the same text means the same changes. */
export function asText(edits: readonly Edit[]): string {
  const parts = edits
    .filter(({ isOn }) => isOn)
    .map(({ kind, hook, at, amount, direction, expression }) => {
      const places = Object.entries(at).filter(([, indices]) => indices.trim() !== '');
      const numbers = ['add', 'scale', 'set'].includes(kind) ? amount : null;
      return [kind, hook, places.sort(), numbers, direction, kind === 'wgsl' ? expression : null];
    });
  return JSON.stringify(parts);
}
