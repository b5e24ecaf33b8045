// Which hooks a user means: exact names, globs and predicates against the values of a model's graph.
import { closest } from 'fastest-levenshtein';
import type { Graph, GraphValue, RunAxis } from '../engine/graph.ts';
import { globMatcher, isGlob } from './globs.ts';
import { kindOf } from './kind_of.ts';

/** A hook, as `model.hooks` lists it. */
export interface Hook {
  readonly name: string;
  /** Axis names, outermost first, e.g. `['batch', 'pos', 'd_model']`. */
  readonly axes: readonly string[];
  /** Sizes; `'batch'`, `'pos'` and `'keys'` are what each run makes them (`keys` is `pos` without a key-value cache). */
  readonly shape: readonly (number | RunAxis)[];
  readonly dtype: 'float32';
  /** Block number, or null outside of the blocks. */
  readonly layer: number | null;
  readonly description: string;
  /** True for names of ours: TransformerLens has none for this value. */
  readonly ours: boolean;
  /** Computed only when asked for by name, glob or predicate: not among the values that `runWithCache` keeps by itself. */
  readonly onDemand: boolean;
  /** The hook whose value this is under another name, or null. */
  readonly aliasOf: string | null;
}

/**
 * A name, a glob (`blocks.*.attn.hook_pattern`; `*` also crosses dots; `?`, `[0-3]`, `{a,b}`), a predicate, or a list of names and globs.
 * A glob means values that are computed on demand only if it matches nothing else (`blocks.*.hook_q_input`).
 */
export type HookNames = string | readonly string[] | ((name: string) => boolean);

export function describeHook(value: GraphValue): Hook {
  return {
    name: value.name,
    axes: value.axes.map(({ name }) => name),
    shape: value.axes.map(({ size }) => size),
    dtype: value.dtype,
    layer: value.layer,
    description: value.description,
    ours: value.ours,
    onDemand: value.onDemand,
    aliasOf: value.aliasOf,
  };
}

/**
 * The names that are meant, in firing order, each once.
 * @throws Error when a name does not exist or a glob matches nothing, with the nearest name that does
 * @example
 * selectHooks(graph, 'blocks.*.hook_resid_post'); // ['blocks.0.hook_resid_post', …]
 */
export function selectHooks(graph: Graph, names: HookNames): string[] {
  const all = [...graph.values.keys()];
  return selectNames(all, names, {
    // `*` does not mean the copies for single heads: a glob that matches other values too leaves out what is computed on demand.
    isUsual: (name) => !graph.values.get(name)?.onDemand,
    missing: (name, nothing) => {
      const last = graph.config.nLayers - 1;
      const blocks = last === 0 ? 'block 0' : `blocks 0–${last}`;
      // A block beyond the last means the last: only then is spelling what is wrong.
      const inRange = name.replace(/^blocks\.(\d+)\./, (_, layer) => `blocks.${Math.min(Number(layer), last)}.`);
      return `hooks: ${nothing}. This model has ${blocks}; did you mean "${closest(inRange, all)}"?`;
    },
  });
}

interface SelectionRules {
  /** A glob that matches some of these means no others. */
  readonly isUsual?: (name: string) => boolean;
  /** The message for a name or glob that means nothing; `nothing` says so. */
  readonly missing: (name: string, nothing: string) => string;
}

/**
 * The names among these that are meant, in their order, each once.
 * @throws Error with the message of `missing`
 */
export function selectNames(all: readonly string[], names: HookNames, rules: SelectionRules): string[] {
  if (typeof names === 'function') return all.filter(names);
  if (typeof names !== 'string' && !Array.isArray(names)) {
    throw new Error(`hooks: expected a name, a glob, a list of them or a predicate, got ${kindOf(names)}.`);
  }
  const wanted = new Set([names].flat().flatMap((name) => matchOne(all, name, rules)));
  return all.filter((name) => wanted.has(name));
}

function matchOne(all: readonly string[], name: string, { isUsual = () => true, missing }: SelectionRules): string[] {
  if (all.includes(name)) return [name];
  if (name === '') throw new Error('hooks: expected a name or a glob, got an empty one.');
  if (typeof name !== 'string') throw new Error(`hooks: expected a name or a glob, got ${kindOf(name)}.`);
  const matches = isGlob(name) ? all.filter(globMatcher(name)) : [];
  const usual = matches.filter(isUsual);
  if (matches.length > 0) return usual.length > 0 ? usual : matches;
  throw new Error(missing(name, isGlob(name) ? `no value matches "${name}"` : `no value "${name}"`));
}
