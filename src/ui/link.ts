// The page's state in its address, and back. It stands behind the #, which browsers send to nobody: prompts stay on the machine. What
// is as at the start is left out; what does not fit is said and left out, so that a mangled link opens a page and not an error.
import { DEFAULT_STATE, EDIT_KINDS, FORMATS, type PageState, startOf, VIEWS } from './state.ts';

const LONGEST_QUOTE = 60;

/** Numbers, texts and choices stand as they are; lists and records as JSON. */
export function linkOf(state: PageState): string {
  const parameters = new URLSearchParams();
  const start = { ...startOf(state.model), model: DEFAULT_STATE.model };
  for (const key of Object.keys(DEFAULT_STATE) as (keyof PageState)[]) {
    const [value, usual] = [state[key], start[key]].map(asText);
    if (value !== usual) parameters.set(key, value);
  }
  return `#${parameters}`;
}

export interface ReadLink {
  readonly state: PageState;
  /** What was left out, one sentence each. */
  readonly problems: readonly string[];
}

/**
 * @param hash with or without its #
 * @example
 * readLink('#prompt=Hello&view=lens').state.view; // 'lens'
 */
export function readLink(hash: string): ReadLink {
  const parameters = new URLSearchParams(hash.replace(/^#/, ''));
  const problems: string[] = [];
  const read: Record<string, unknown> = {};
  for (const [key, text] of parameters) {
    const fits = Object.hasOwn(CHECKS, key) && CHECKS[key as keyof PageState]; // nothing that every object has
    const value = parse(text, DEFAULT_STATE[key as keyof PageState]);
    if (!fits) problems.push(`The link says ${quoted(key)}, which this page does not know.`);
    else if (!fits(value)) problems.push(`The link's ${key} is ${quoted(text)}, which cannot be.`);
    else read[key] = value;
  }
  const model = typeof read.model === 'string' ? read.model : DEFAULT_STATE.model;
  return { state: { ...startOf(model), ...read }, problems };
}

/** In quotes, as much as fits in a sentence. */
function quoted(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}

function asText(value: PageState[keyof PageState]): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function parse(text: string, usual: unknown): unknown {
  if (typeof usual === 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // fits nothing
  }
}

type Check = (value: unknown) => boolean;

/** Changes and pins: a pin of another prompt is a run of its own, and nobody can look at more. */
const MOST = 100;

const isText: Check = (value) => typeof value === 'string';
const isCount: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const isInteger: Check = (value) => Number.isInteger(value);
const isFiniteNumber: Check = (value) => Number.isFinite(value);
const isOneOf =
  (choices: readonly string[]): Check =>
  (value) =>
    choices.includes(value as string);
const isRecordOf =
  (fits: Check): Check =>
  (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(fits);
const isListOf =
  (fits: Check, most = Number.POSITIVE_INFINITY): Check =>
  (value) =>
    Array.isArray(value) && value.length <= most && value.every(fits);
const isNullOr =
  (fits: Check): Check =>
  (value) =>
    value === null || fits(value);
const has =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(fields).every(([key, fits]) => fits((value as Record<string, unknown>)[key]));

const isDirection: Check = (value) =>
  has({ from: isOneOf(['unembed', 'embed']), token: isCount, minus: isNullOr(isCount) })(value) ||
  has({ from: isOneOf(['difference']), pos: isNullOr(isInteger) })(value) ||
  has({ from: isOneOf(['numbers']), numbers: isListOf(isFiniteNumber) })(value);

const isEdit = has({
  kind: isOneOf(EDIT_KINDS),
  hook: isText,
  at: isRecordOf(isText),
  amount: isFiniteNumber,
  direction: isNullOr(isDirection),
  expression: isText,
  isOn: (value) => typeof value === 'boolean',
});

const isNumerics = isOneOf(['fast', 'reproducible']);

const isPin = has({
  model: isText,
  prompt: isText,
  numerics: isNumerics,
  edits: isListOf(isEdit, MOST),
  second: isText,
  hook: isText,
  index: isRecordOf(isCount),
});

const isStudy = has({
  weights: isText,
  weightFormat: isOneOf(['', ...FORMATS]),
  values: isText,
  valueFormat: isOneOf(['', ...FORMATS]),
  first: isCount,
  last: (value) => isInteger(value) && (value as number) >= -1,
});

const CHECKS: Readonly<Record<keyof PageState, Check>> = {
  model: (value) => isText(value) && value !== '',
  prompt: isText,
  second: isText,
  numerics: isNumerics,
  view: isOneOf(VIEWS),
  pos: isInteger,
  hook: isText,
  rows: isText,
  columns: isText,
  index: isRecordOf(isCount),
  compared: isText,
  layer: isCount,
  head: isCount,
  answer: isNullOr(isCount),
  wrong: isNullOr(isCount),
  edits: isListOf(isEdit, MOST),
  pins: isListOf(isPin, MOST),
  patchKind: isText,
  maxNewTokens: (value) => isCount(value) && (value as number) > 0,
  temperature: (value) => isFiniteNumber(value) && (value as number) >= 0,
  topK: isCount,
  seed: isCount,
  figure: isText,
  study: isStudy,
  lesson: (value) => isInteger(value) && (value as number) >= -1,
  step: isCount,
};
