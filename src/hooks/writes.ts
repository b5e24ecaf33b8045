// What the interventions of a run come to: edits of its plan with their numbers. Edits of different rows of a value, as sweeps
// have them, become one dispatch. `interventions.ts` describes, `kernels/edit.ts` does.
import type { EditData, Frame, OperandPart, RunInput } from '../engine/frame.ts';
import type { Graph, GraphValue } from '../engine/graph.ts';
import { EDIT_PARAMETERS, type PlannedWrite, type RunShape, valueShape } from '../engine/plan.ts';
import type { RunRequest, Runtime } from '../engine/runtime.ts';
import { axisMapLength, ROW_FIELDS } from '../kernels/edit.ts';
import { asStored, MASKED } from '../kernels/kernel.ts';
import { mean } from '../kernels/mean.ts';
import type { Numerics } from '../kernels/prelude.ts';
import { CachedValue } from './activation_cache.ts';
import type { HookEntry, HookFunction, Intervention, MeanOf } from './interventions.ts';
import type { HookNames } from './names.ts';
import { axisMap, type Place, selectedIndices, stridesOf, wholeText, withinRun } from './selection.ts';

/** Rows of the batch, which the interventions for them take for the whole batch. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

/** Interventions for some rows, or for all of them. */
export interface RowHooks {
  readonly hooks: readonly HookEntry[];
  readonly rows?: Rows;
}

/** What an edit does to one row: which map, where in which operand it begins, which parameters. */
interface RowEdit {
  readonly row: number;
  readonly map: number;
  /** Index into the operands; −1 where there is none, or where it is the value itself. */
  readonly operand: number;
  readonly begin: number;
  readonly parameters: number;
  /** What an expression takes for row 0, and for position 0. */
  readonly firstRow: number;
  readonly firstPos: number;
}

type OperandData = Float32Array<ArrayBuffer> | CachedValue | MeanOf;

/** One edit on the GPU, of rows that are each touched once. */
interface BufferEdit {
  readonly kind: 'buffers';
  readonly value: GraphValue;
  readonly place: Place;
  readonly op: Intervention['op'];
  readonly expression: string;
  readonly operandIsValue: boolean;
  /** Rows that it reads or writes. */
  readonly touched: Set<number>;
  readonly rows: RowEdit[];
  readonly maps: (readonly number[])[];
  readonly parameters: (readonly number[])[];
  readonly operands: { readonly data: OperandData; readonly elements: number }[];
}

interface FunctionEdit {
  readonly kind: 'javascript';
  readonly value: GraphValue;
  readonly touched: Set<number>;
  readonly calls: ((data: Float32Array<ArrayBuffer>) => Promise<Float32Array<ArrayBuffer>>)[];
}

type Edit = BufferEdit | FunctionEdit;

/** A run that continues a text in a key-value cache: positions each row has before it, and the most that a text can have. */
export interface TextPositions {
  readonly firstPos: readonly number[];
  readonly nCtx: number;
}

/** The edits of a run, checked. */
export interface Writes {
  readonly planned: readonly PlannedWrite[];
  readonly edits: readonly Edit[];
  /** What a reader of the numbers should know, one sentence each; functions of the user's add theirs while the run goes on. */
  readonly warnings: ReadonlySet<string>;
}

/**
 * What these interventions do in a run of this shape, in the order given. In a run that continues a text, positions are those of the
 * text: what is selected before or behind this run's positions is left out.
 * @param select names that this run computes, of those that are meant
 * @throws Error for names, axes, indices, shapes and sources that do not fit, before anything runs
 */
export function planWrites(
  graph: Graph,
  groups: readonly RowHooks[],
  run: RunShape & { readonly text?: TextPositions },
  select: (where: HookNames) => string[],
): Writes {
  const edits: Edit[] = [];
  const warnings = new Set<string>();
  for (const { hooks, rows = { first: 0, count: run.batch } } of groups) {
    for (const entry of hooks) {
      if (!Array.isArray(entry)) throw new Error(`hooks: expected [where, what], got ${typeof entry}.`);
      const [where, what] = entry as HookEntry;
      const names = select(where);
      if (names.length === 0) throw new Error('hooks: a predicate matched no value, so nothing would be written.');
      for (const name of names) {
        const value = graph.values.get(name);
        if (!value) throw new Error(`hooks: no value "${name}".`);
        for (const edit of editsOf(value, { place: placeOf(value, run), text: run.text }, rows, what, warnings))
          append(edits, edit);
      }
    }
  }
  return { planned: edits.map(plannedWrite), edits, warnings };
}

function placeOf(value: GraphValue, run: RunShape): Place {
  const { name, masked } = value;
  return { name, masked, axes: value.axes.map((axis) => axis.name), shape: valueShape(value, run) };
}

interface InRun {
  readonly place: Place;
  readonly text?: TextPositions;
}

/** The edits of one value by one entry: one, or one for the rows of each length that a text has. */
function editsOf(
  value: GraphValue,
  { place, text }: InRun,
  rows: Rows,
  what: Intervention | HookFunction,
  warnings: Set<string>,
): Edit[] {
  const all = Array.from({ length: rows.count }, (_, i) => rows.first + i);
  const seen: Place = { ...place, shape: [rows.count, ...place.shape.slice(1)] };
  const warn = () => warnings.add(`hooks: NaN was written to ${value.name}`);
  if (typeof what === 'function') {
    const rowElements = place.shape.slice(1).reduce((a, b) => a * b, 1);
    const [begin, end] = [rows.first * rowElements, (rows.first + rows.count) * rowElements];
    const call = async (data: Float32Array<ArrayBuffer>) => {
      const firstPos = text?.firstPos ?? new Array<number>(rows.count).fill(0);
      const written = await callHook(seen, firstPos, what, data.slice(begin, end));
      if (written?.some(Number.isNaN)) warn();
      if (written) data.set(written, begin);
      return data;
    };
    return [{ kind: 'javascript', value, touched: new Set(all), calls: [call] }];
  }
  if (what?.kind !== 'intervention') {
    throw new Error(`hooks: ${value.name}: expected an intervention or a function, got ${typeof what}.`);
  }
  const distinct = [...new Set(text?.firstPos ?? [0])];
  const edits = distinct.flatMap((firstPos) => {
    const isMine = (row: number) => !text || text.firstPos[row] === firstPos;
    return bufferEdits(value, { place, text }, { rows, firstPos, isMine }, what);
  });
  if (edits.length > 0 && what.writesNaN) warn();
  return edits;
}

function bufferEdits(
  value: GraphValue,
  { place, text }: InRun,
  { rows, firstPos, isMine }: { rows: Rows; firstPos: number; isMine: (row: number) => boolean },
  what: Intervention,
): BufferEdit[] {
  const run: Place = { ...place, shape: [rows.count, ...place.shape.slice(1)] };
  const seen = text ? wholeText(run, firstPos, text.nCtx) : run;
  const all = Array.from({ length: rows.count }, (_, i) => rows.first + i);
  const selected = selectedIndices(seen, what.selection);
  const empty = seen.axes.find((_, axis) => selected[axis].length === 0);
  if (empty && !text) {
    throw new Error(`hooks: ${value.name}: no index along ${empty} is selected, so nothing would be written.`);
  }
  const operand = what.operand?.(seen, selected) ?? {
    data: null,
    elements: 0,
    strides: place.shape.map(() => 0),
    sources: selected,
  };
  const { data, elements } = operand;
  const operandIsValue = data === 'value';
  const strides = operandIsValue ? stridesOf(run.shape) : operand.strides;
  const within = withinRun(run, firstPos, selected, operand.sources);
  const mine = within.targets[0].flatMap((row, i) => (isMine(row) ? [i] : []));
  if (mine.length === 0 || within.targets.some((indices) => indices.length === 0)) return [];
  const targets = [mine.map((i) => within.targets[0][i]), ...within.targets.slice(1)];
  // The value itself is this run's: its own positions, of other rows.
  const others = operandIsValue ? targets.slice(1) : within.sources.slice(1);
  const sources = [mine.map((i) => within.sources[0][i]), ...others];
  const firstRow = operandIsValue ? rows.first : 0;
  return [
    {
      kind: 'buffers',
      value,
      place,
      op: what.op,
      expression: what.expression,
      operandIsValue,
      touched: new Set(operandIsValue ? all : targets[0].map((row) => rows.first + row)),
      rows: targets[0].map((row, i) => ({
        row: rows.first + row,
        map: 0,
        operand: data === null || operandIsValue ? -1 : 0,
        begin: (firstRow + sources[0][i]) * strides[0],
        parameters: 0,
        firstRow: rows.first,
        firstPos,
      })),
      maps: [axisMap(place.shape.slice(1), targets.slice(1), sources.slice(1), strides.slice(1))],
      parameters: [what.parameters],
      operands: data === null || data === 'value' ? [] : [{ data, elements }],
    },
  ];
}

/** Adds an edit: to one of the same kind whose rows are others, unless an edit between the two has touched its rows. */
function append(edits: Edit[], edit: Edit): void {
  for (const before of [...edits].reverse()) {
    if (before.value !== edit.value) continue;
    if ([...edit.touched].some((row) => before.touched.has(row))) break;
    if (!merge(before, edit)) continue;
    for (const row of edit.touched) before.touched.add(row);
    return;
  }
  edits.push(edit);
}

function merge(into: Edit, edit: Edit): boolean {
  if (into.kind === 'javascript' && edit.kind === 'javascript') {
    into.calls.push(...edit.calls);
    return true;
  }
  if (into.kind !== 'buffers' || edit.kind !== 'buffers') return false;
  const isSame =
    into.op === edit.op && into.expression === edit.expression && into.operandIsValue === edit.operandIsValue;
  if (!isSame) return false;
  const operands = edit.operands.map((operand) => {
    const known = into.operands.findIndex(({ data }) => isSameData(data, operand.data));
    return known >= 0 ? known : into.operands.push(operand) - 1;
  });
  for (const row of edit.rows) {
    into.rows.push({
      ...row,
      map: into.maps.length + row.map,
      operand: row.operand < 0 ? -1 : operands[row.operand],
      parameters: into.parameters.length + row.parameters,
    });
  }
  into.maps.push(...edit.maps);
  into.parameters.push(...edit.parameters);
  return true;
}

/** The same numbers in the same place: needed once. */
function isSameData(a: OperandData, b: OperandData): boolean {
  return a === b || (a instanceof CachedValue && b instanceof CachedValue && a.buffer === b.buffer);
}

function plannedWrite(edit: Edit): PlannedWrite {
  const none = { operandElements: 0, operandIsValue: false, maps: 0, parameterSets: 0, expression: '' };
  const { name } = edit.value;
  if (edit.kind === 'javascript') return { ...none, name, op: 'javascript' };
  const { op, expression, operandIsValue, operands, maps, parameters } = edit;
  return {
    name,
    op,
    expression,
    operandIsValue,
    operandElements: operands.reduce((sum, { elements }) => sum + elements, 0),
    maps: maps.length,
    parameterSets: parameters.length,
  };
}

/** Runs a request with these edits: `Runtime.run`. Means of other runs' values are computed first, on the GPU. */
export async function runWithWrites(
  runtime: Runtime,
  request: Omit<RunRequest, 'writes'>,
  input: Omit<RunInput, 'edits'>,
  { planned, edits }: Writes,
): Promise<Frame> {
  const means: GPUBuffer[] = [];
  // Other runs' values stay where they are until this run has been submitted, whatever happens to their caches.
  const releases = edits.flatMap(sourcesOf).map((source) => source.hold());
  try {
    const data: EditData[] = [];
    const numerics = request.numerics ?? runtime.numerics;
    for (const edit of edits) data.push(await editData({ runtime, numerics, means }, edit));
    return await runtime.run({ ...request, writes: planned }, { ...input, edits: data });
  } finally {
    for (const buffer of means) runtime.memory.destroy(buffer);
    for (const release of releases) release();
  }
}

/** Other runs' values that an edit reads. */
function sourcesOf(edit: Edit): CachedValue[] {
  if (edit.kind === 'javascript') return [];
  return edit.operands.flatMap(({ data }) => {
    if (data instanceof CachedValue) return [data];
    return data instanceof Float32Array ? [] : [data.source];
  });
}

/** The run that edits are for. */
interface EditedRun {
  readonly runtime: Runtime;
  readonly numerics: Numerics;
  /** Buffers to destroy after it. */
  readonly means: GPUBuffer[];
}

async function editData(run: EditedRun, edit: Edit): Promise<EditData> {
  if (edit.kind === 'javascript') {
    const call = async (raw: Float32Array<ArrayBuffer>) => {
      let data = raw;
      for (const next of edit.calls) data = await next(data);
      return data;
    };
    return { kind: 'javascript', call };
  }
  const operands: OperandPart[] = [];
  let offset = 0;
  for (const { data, elements } of edit.operands) {
    operands.push({ data: await operandData(run, edit.place, data), elements, offset });
    offset += elements;
  }
  const [batch, ...shape] = edit.place.shape;
  const length = axisMapLength(shape);
  const map = new Uint32Array(batch * ROW_FIELDS + edit.maps.length * length);
  for (const row of edit.rows) {
    const begin = batch * ROW_FIELDS + row.map * length;
    const operand = row.begin + (operands[row.operand]?.offset ?? 0);
    const { parameters, firstRow, firstPos } = row;
    map.set([begin, operand, parameters * EDIT_PARAMETERS, firstRow, firstPos], row.row * ROW_FIELDS);
  }
  edit.maps.forEach((words, i) => {
    map.set(words, batch * ROW_FIELDS + i * length);
  });
  const parameters = new Float32Array(edit.parameters.length * EDIT_PARAMETERS);
  edit.parameters.forEach((numbers, i) => {
    parameters.set(numbers, i * EDIT_PARAMETERS);
  });
  return { kind: 'buffers', map, parameters: asWritten(run.numerics, parameters), operands };
}

async function operandData(
  { runtime, numerics, means }: EditedRun,
  place: Place,
  data: OperandData,
): Promise<Float32Array<ArrayBuffer> | GPUBuffer> {
  if (data instanceof Float32Array) return asWritten(numerics, toGpu(place, data));
  if (data instanceof CachedValue) return data.buffer;
  const { source, outer, rows, columns } = data;
  const out = runtime.memory.createStorage('mean', 4 * outer * columns);
  means.push(out);
  const variant = { numerics, dims: { batch: outer, pos: rows, columns }, options: {}, has: () => true };
  await runtime.dispatch(mean, variant, { x: source.buffer, out });
  return out;
}

/** Numbers of the user's as they go into a run: into a reproducible one as kernels store. */
function asWritten(numerics: Numerics, data: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return numerics === 'reproducible' ? asStored(data) : data;
}

/** −Infinity is how masked attention scores read; the GPU holds the lowest float32 instead. */
function toGpu({ masked }: Place, data: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return masked ? data.map((v) => (v === Number.NEGATIVE_INFINITY ? MASKED : v)) : data;
}

/** Calls a function of the user's; gives what it wrote, or null. */
async function callHook(
  { masked, ...place }: Place,
  firstPos: readonly number[],
  f: HookFunction,
  raw: Float32Array<ArrayBuffer>,
): Promise<Float32Array<ArrayBuffer> | null> {
  const { name, axes, shape } = place;
  const data = masked ? raw.map((v) => (v === MASKED ? Number.NEGATIVE_INFINITY : v)) : raw;
  let written: Float32Array<ArrayBuffer> | null = null;
  const write = (elements: ArrayLike<number>) => {
    if (elements.length !== data.length) {
      throw new Error(
        `hooks: ${name} has ${data.length} elements [${shape.join(', ')}]; ${elements.length} were written.`,
      );
    }
    written = toGpu({ masked, ...place }, Float32Array.from(elements));
  };
  const returned = await f({ name, axes, shape, firstPos, masked, data, write });
  if (Array.isArray(returned) || returned instanceof Float32Array || returned instanceof Float64Array) write(returned);
  else if (returned !== undefined) {
    throw new Error(
      `hooks: the function for ${name} gave ${typeof returned}; expected an array of numbers or nothing.`,
    );
  }
  return written;
}
