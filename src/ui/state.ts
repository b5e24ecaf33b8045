// What the page shows, as plain data: a link holds all of it (`link.ts`), and the same state gives the same numbers. No DOM, no GPU here.
import type { NumberFormat, Numerics } from '../index.ts';

/** Tabs, in their order. */
export const VIEWS = [
  'model',
  'value',
  'attention',
  'lens',
  'attribution',
  'patching',
  'generate',
  'numerics',
  'measure',
  'tour',
] as const;
export type ViewName = (typeof VIEWS)[number];

/** The run before the changes, where there are any; nothing; the second prompt's run; the value's own vector at the selected position. */
export const COMPARED = ['', 'none', 'second', 'token'] as const;

export const EMBEDDED_MODELS = ['circuit-zoo', 'modular-addition'] as const;

/** Prompts that the embedded models begin with. */
export const FIRST_PROMPTS: Readonly<Record<string, string>> = {
  'circuit-zoo': 'When Mary and John went to the store, John gave a drink to',
  'modular-addition': '37 90 113',
};

/** A direction in a value's last axis, by where it comes from. */
export type Direction =
  /** The unembedding of a token, less that of another: towards the one and away from the other. */
  | { readonly from: 'unembed'; readonly token: number; readonly minus: number | null }
  /** The embedding of a token, less that of another. */
  | { readonly from: 'embed'; readonly token: number; readonly minus: number | null }
  /** The second prompt's value less the first one's: at one position of both, or between their means over positions. */
  | { readonly from: 'difference'; readonly pos: number | null }
  | { readonly from: 'numbers'; readonly numbers: readonly number[] };

export const EDIT_KINDS = ['zero', 'scale', 'add', 'projectOut', 'patch', 'set', 'wgsl'] as const;
export type EditKind = (typeof EDIT_KINDS)[number];

/** One intervention of the list. */
export interface Edit {
  readonly kind: EditKind;
  /** A hook's name, or a glob. */
  readonly hook: string;
  /** Indices along axes, by the words of `Selection`: `{ head: '0', pos: '2-5' }`; an axis that is absent is taken whole. */
  readonly at: Readonly<Record<string, string>>;
  /** `scale`'s factor, `add`'s scale, `set`'s number. */
  readonly amount: number;
  readonly direction: Direction | null;
  /** Of `wgsl`. */
  readonly expression: string;
  readonly isOn: boolean;
}

/** A number that is kept to compare with. */
export interface Pin {
  readonly model: string;
  readonly prompt: string;
  readonly numerics: Numerics;
  readonly edits: readonly Edit[];
  /** The second prompt, where the edits take numbers from it; else ''. */
  readonly second: string;
  readonly hook: string;
  /** Index along every axis, by name. */
  readonly index: Readonly<Record<string, number>>;
}

/** What a precision study rounds: weights and values by name or glob, in blocks first … last (−1: the last one), to formats ('': not). */
export interface StudyChoice {
  readonly weights: string;
  readonly weightFormat: NumberFormat | '';
  readonly values: string;
  readonly valueFormat: NumberFormat | '';
  readonly first: number;
  readonly last: number;
}

/** Number formats, from the finest to the coarsest. */
export const FORMATS = ['tf32', 'f16', 'bf16', 'int8', 'fp8_e4m3', 'fp8_e5m2'] as const satisfies NumberFormat[];

export interface PageState {
  /** An embedded model's name, `hf:owner/name@revision`, or `files:NAME` for files of the user's, which no link can hold. */
  readonly model: string;
  /** Text, or token ids for a model without a tokenizer. */
  readonly prompt: string;
  /** Where patches and differences come from; empty: there is none. */
  readonly second: string;
  readonly numerics: Numerics;
  readonly view: ViewName;
  /** The selected position; −1 is the last. */
  readonly pos: number;
  /** The selected value. */
  readonly hook: string;
  /** Its axes that are rows and columns ('' where the page chooses), and the index along the others. */
  readonly rows: string;
  readonly columns: string;
  readonly index: Readonly<Record<string, number>>;
  /** What the selected value is held against: another value's name, or one of `COMPARED`. */
  readonly compared: string;
  /** The selected head. */
  readonly layer: number;
  readonly head: number;
  /** Tokens whose logits are asked about, by id; null: the most probable one, and none to compare with. */
  readonly answer: number | null;
  readonly wrong: number | null;
  readonly edits: readonly Edit[];
  readonly pins: readonly Pin[];
  /** Of the view `patching`. */
  readonly patchKind: string;
  /** Of the view `generate`. */
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly seed: number;
  /** Of the view `numerics`: what its map shows, and what its study rounds. */
  readonly figure: string;
  readonly study: StudyChoice;
  /** Of the tour; −1: none. */
  readonly lesson: number;
  readonly step: number;
}

export const DEFAULT_STATE: PageState = {
  model: 'circuit-zoo',
  prompt: FIRST_PROMPTS['circuit-zoo'],
  second: '',
  numerics: 'reproducible', // what the page shows, every adapter shows
  view: 'model',
  pos: -1,
  hook: 'blocks.0.hook_resid_post',
  rows: '',
  columns: '',
  index: {},
  compared: '',
  layer: 0,
  head: 0,
  answer: null,
  wrong: null,
  edits: [],
  pins: [],
  patchKind: 'resid_pre',
  maxNewTokens: 32,
  temperature: 0,
  topK: 0,
  seed: 0,
  figure: 'relativeRms',
  study: {
    weights: '*.W_*',
    weightFormat: 'bf16',
    values: 'blocks.*.hook_resid_post',
    valueFormat: '',
    first: 0,
    last: -1,
  },
  lesson: -1,
  step: 0,
};

/** What the page begins with for a model. */
export function startOf(model: string): PageState {
  const isKnown = Object.hasOwn(FIRST_PROMPTS, model); // `constructor` is a name that somebody may ask for
  return { ...DEFAULT_STATE, model, prompt: isKnown ? FIRST_PROMPTS[model] : DEFAULT_STATE.prompt };
}

/** An edit with what it does not need left at its neutral value. */
export function createEdit(kind: EditKind, hook: string, rest: Partial<Edit> = {}): Edit {
  const amount = kind === 'scale' ? 0.5 : kind === 'add' ? 4 : 0;
  return { kind, hook, at: {}, amount, direction: null, expression: 'value * 0.5', isOn: true, ...rest };
}
