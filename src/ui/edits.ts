// From the list of interventions to the hooks of a run. No DOM here.
import {
  type ActivationCache,
  type AxisSelection,
  add,
  type HookEntry,
  type Intervention,
  type Model,
  patchFrom,
  projectOut,
  type Selection,
  scale,
  set,
  wgsl,
  zeroAblate,
} from '../index.ts';
import { createEdit, type Direction, type Edit } from './state.ts';

/** What edits may take numbers from. */
export interface EditSources {
  readonly model: Model;
  /** The prompt's own run, without edits. */
  readonly before: ActivationCache | null;
  /** The second prompt's. */
  readonly second: ActivationCache | null;
}

/**
 * The hooks of the edits that are switched on, in their order.
 * @throws Error beginning with the edit's number, where its numbers cannot be had
 */
export async function hooksOf(edits: readonly Edit[], sources: EditSources): Promise<HookEntry[]> {
  const hooks: HookEntry[] = [];
  for (const [i, edit] of edits.entries()) {
    if (!edit.isOn) continue;
    try {
      for (const name of sources.model.hookNames(edit.hook))
        hooks.push([name, await interventionOf(edit, name, sources)]);
    } catch (error) {
      throw new Error(`Change ${i + 1}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return hooks;
}

async function interventionOf(edit: Edit, name: string, sources: EditSources): Promise<Intervention> {
  const at = selectionOf(edit.at);
  switch (edit.kind) {
    case 'zero':
      return zeroAblate(at);
    case 'scale':
      return scale(edit.amount, at);
    case 'set':
      return set(edit.amount, at);
    case 'add':
      return add(await directionOf(edit.direction, name, sources), { ...at, scale: edit.amount });
    case 'projectOut':
      return projectOut(await directionOf(edit.direction, name, sources), at);
    case 'patch':
      if (!sources.second) throw new Error('patching needs a second prompt to take values from.');
      return patchFrom(sources.second, at);
    case 'wgsl':
      return wgsl(asTemplate(edit.expression));
  }
}

function asTemplate(text: string): TemplateStringsArray {
  return Object.assign([text], { raw: [text] });
}

/**
 * Indices as people write them.
 * @throws Error where the text is no list of numbers and ranges
 * @example
 * selectionOf({ head: '0,2', pos: '3-5' }); // { head: [0, 2], pos: [3, 4, 5] }
 */
export function selectionOf(at: Edit['at']): Selection {
  const entries = Object.entries(at).filter(([, text]) => text.trim() !== '');
  return Object.fromEntries(entries.map(([axis, text]) => [axis, indicesOf(axis, text)]));
}

function indicesOf(axis: string, text: string): AxisSelection {
  const indices = text.split(',').flatMap((part) => {
    const match = /^\s*(-?\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part);
    const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (!match || to < from || to - from > 65_535) {
      throw new Error(`${axis}: expected indices such as 3 or 0,2 or 4-7, got "${text}".`);
    }
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return indices.length === 1 ? indices[0] : indices;
}

/** The numbers of a direction, [last axis]. */
export async function directionOf(
  direction: Direction | null,
  name: string,
  sources: EditSources,
): Promise<Float32Array> {
  if (!direction) throw new Error('choose a direction.');
  if (direction.from === 'numbers') return Float32Array.from(direction.numbers);
  if (direction.from === 'difference') return difference(direction.pos, name, sources);
  const vector = (token: number) => tokenVector(sources.model, direction.from, token);
  const towards = await vector(direction.token);
  if (direction.minus === null) return towards;
  const away = await vector(direction.minus);
  return towards.map((x, i) => x - away[i]);
}

const tokenVectors = new WeakMap<Model, Map<string, Promise<Float32Array>>>();

/** The column of W_U, or the row of W_E, of a token. Read once, as a slider asks for it again and again. */
function tokenVector(model: Model, from: 'embed' | 'unembed', token: number): Promise<Float32Array> {
  const known = tokenVectors.get(model) ?? new Map<string, Promise<Float32Array>>();
  tokenVectors.set(model, known);
  const key = `${from} ${token}`;
  const vector = known.get(key) ?? readTokenVector(model, from, token);
  known.set(key, vector);
  vector.catch(() => known.delete(key)); // it may work the next time
  return vector;
}

async function readTokenVector(model: Model, from: 'embed' | 'unembed', token: number): Promise<Float32Array> {
  const { data, shape } = await model.weight(from === 'embed' ? 'embed.W_E' : 'unembed.W_U');
  const [rows, columns] = shape;
  if (token >= (from === 'embed' ? rows : columns)) throw new Error(`there is no token ${token}.`);
  if (from === 'embed') return data.slice(token * columns, (token + 1) * columns);
  return Float32Array.from({ length: rows }, (_, i) => data[i * columns + token]);
}

async function difference(pos: number | null, name: string, { before, second }: EditSources): Promise<Float32Array> {
  if (!before || !second) throw new Error('a difference of prompts needs a second prompt.');
  const [first, other] = await Promise.all([vectorAt(before, name, pos), vectorAt(second, name, pos)]);
  return other.map((x, i) => x - first[i]);
}

/** The vector at a position, or the mean over positions in float64; over the other axes it has one element each. */
async function vectorAt(cache: ActivationCache, name: string, pos: number | null): Promise<Float32Array> {
  const { data, shape, axes } = await cache.read(name);
  if (axes.length !== 3 || axes[1] !== 'pos') throw new Error(`${name} has no vector for each position.`);
  const [, positions, width] = shape;
  if (pos !== null && !(pos >= -positions && pos < positions)) {
    throw new Error(`there is no position ${pos} in one of the prompts.`);
  }
  const at = pos === null ? Array.from({ length: positions }, (_, p) => p) : [pos < 0 ? pos + positions : pos];
  const mean = new Float64Array(width);
  for (const p of at) for (let i = 0; i < width; i++) mean[i] += data[p * width + i] / at.length;
  return Float32Array.from(mean);
}

/** Sets a head's result to 0. */
export function ablateHead(layer: number, head: number): Edit {
  return createEdit('zero', `blocks.${layer}.attn.hook_z`, { at: { head: String(head) } });
}

/**
 * Indices of an element or a cell as those of an edit; the batch is one row here.
 * @example
 * atIndex({ batch: 0, pos: 3, head_index: 1 }); // { pos: '3', head: '1' }
 */
export function atIndex(index: Readonly<Record<string, number>>): Edit['at'] {
  const axes = Object.keys(index).filter((axis) => axis !== 'batch');
  return Object.fromEntries(axes.map((axis) => [wordOfAxis(axis), String(index[axis])]));
}

/** An axis by the word that `Selection` has for it. */
export function wordOfAxis(axis: string): string {
  return Object.hasOwn(SHORT_AXES, axis) ? SHORT_AXES[axis] : axis;
}

const SHORT_AXES: Readonly<Record<string, string>> = {
  head_index: 'head',
  d_mlp: 'neuron',
  query_pos: 'query',
  key_pos: 'key',
};

/**
 * An edit as people say it.
 * @param nameOf a token's name by its id
 * @example
 * describeEdit(ablateHead(2, 0), String); // 'zero blocks.2.attn.hook_z, head 0'
 */
export function describeEdit(edit: Edit, nameOf: (token: number) => string): string {
  const at = Object.entries(edit.at).filter(([, text]) => text.trim() !== '');
  const where = [edit.hook, ...at.map(([axis, text]) => `${axis} ${text.trim()}`)].join(', ');
  const along = describeDirection(edit.direction, nameOf);
  switch (edit.kind) {
    case 'zero':
      return `zero ${where}`;
    case 'scale':
      return `scale ${where}, by ${edit.amount}`;
    case 'set':
      return `set ${where}, to ${edit.amount}`;
    case 'add':
      return `add ${edit.amount} × (${along}) to ${where}`;
    case 'projectOut':
      return `project (${along}) out of ${where}`;
    case 'patch':
      return `patch ${where}, from the second prompt`;
    case 'wgsl':
      return `${edit.hook} = ${edit.expression}`;
  }
}

function describeDirection(direction: Direction | null, nameOf: (token: number) => string): string {
  if (!direction) return 'no direction yet';
  if (direction.from === 'numbers') return `${direction.numbers.length} numbers`;
  if (direction.from === 'difference') {
    const at = direction.pos === null ? 'mean over positions' : `position ${direction.pos}`;
    return `second prompt − prompt, ${at}`;
  }
  const minus = direction.minus === null ? '' : ` − ${nameOf(direction.minus)}`;
  return `${direction.from} ${nameOf(direction.token)}${minus}`;
}
