// edit: what an intervention makes of a value: out = op(value, operand) where selected, value elsewhere.
// Every row of the batch has its own numbers, so that one edit serves rows that are edited differently: where its map begins
// (0: the row is left alone), where its operand and its parameters begin, and what an expression takes for row and position 0. A map holds, for every axis but the batch, the stride
// in the operand, then 1 + the operand's index for each of the value's, 0 where it is not selected: one mechanism for all
// selections, for values of another position or row, and for broadcasting (stride 0). The value itself can be the operand.
//
// Ops: zero, set (operand), add (value + k·operand), scale (k·value), clamp (to [k₀, k₁]), project_out (value − (value·d)·d for
// a unit vector d along the last axis), round_… (to another number format: formats.ts), and an expression of the user's.
// A masked attention score is −∞: adding to it, scaling or rounding it leaves it masked, setting it unmasks it; nothing goes below.
// One or two roundings per element (project_out: a dot product in the order of kernel.ts). Cost: 8 to 12 bytes per element;
// project_out and round_int8 read the whole last axis for each.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { formatWgsl, NUMBER_FORMATS, type NumberFormat, roundTo } from './formats.ts';
import {
  type Arrays,
  BLOCK,
  dotRoundings,
  gamma,
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  MASKED,
  SEGMENT,
  SMALLEST_NORMAL,
  U,
  wgslFloat,
} from './kernel.ts';

const WORKGROUP = 64;

export type RoundOp = `round_${NumberFormat}`;
export type EditOp = 'zero' | 'set' | 'add' | 'scale' | 'clamp' | 'project_out' | RoundOp | 'expression';

/** The format that an op rounds to; null for any other op. */
export function formatOf(op: string): NumberFormat | null {
  return NUMBER_FORMATS.find((format) => op === `round_${format}`) ?? null;
}

/** Ops that leave a masked score masked. */
function keepsMasked(op: string): boolean {
  return op === 'add' || op === 'scale' || op === 'project_out' || formatOf(op) !== null;
}

/** Ops that round nothing, or by a rule that has one result. */
function isExact(op: EditOp): boolean {
  return op === 'zero' || op === 'set' || op === 'clamp' || formatOf(op) !== null;
}

/** One axis of the edited value: its name in WGSL, and its size where the run does not choose it. */
export interface EditAxis {
  readonly name: string;
  readonly size: number | 'batch' | 'pos' | 'keys';
}

/**
 * Numbers by row at the beginning of the map: where its map, its operand and its parameters begin; the row that an expression
 * calls 0, and the position that it calls its first.
 */
export const ROW_FIELDS = 5;

/** Words of a map's part for the axes of this shape, which leaves out the batch. */
export function axisMapLength(shape: readonly number[]): number {
  return shape.reduce((length, size) => length + 1 + size, 0);
}

/** How the line before an expression ends in the kernel's text. */
export const EXPRESSION_MARK = 'return ( // expression';

/** Parameter `index` as an expression names it. */
export const parameterName = (index: number) => `parameter_${index}`;

const WGSL_OP: Readonly<Record<EditOp, string>> = {
  zero: 'return 0.0;',
  set: 'return operand[at];',
  add: 'return mul_add(parameters[given], operand[at], value);',
  scale: 'return value * parameters[given];',
  clamp: 'return select(clamp(value, parameters[given], parameters[given + 1u]), value, is_nan(value));',
  project_out: 'return mul_add(-along(first, direction), operand[at], value);',
  round_f16: 'return round_to(value);',
  round_bf16: 'return round_to(value);',
  round_tf32: 'return round_to(value);',
  round_fp8_e4m3: 'return round_to(value);',
  round_fp8_e5m2: 'return round_to(value);',
  round_int8: 'return round_to(value, largest_of(first));',
  expression: '',
};

/** The kernel that edits values with these axes. Its dims are those of the run and `elements`. */
export function edit(axes: readonly EditAxis[], op: EditOp, expression = ''): Kernel {
  const sizes = axes.map(({ size }) => (typeof size === 'number' ? `${size}u` : `run.${size}`));
  const last = sizes[sizes.length - 1];
  const format = formatOf(op);
  return {
    name: 'edit',
    bindings: () => [
      { name: 'values', role: 'input', shape: ['elements'], element: 'f32' },
      { name: 'map', role: 'input', shape: ['map_length'], element: 'u32' },
      { name: 'operand', role: 'input', shape: ['operand_length'], element: 'f32' },
      { name: 'parameters', role: 'input', shape: ['parameter_count'], element: 'f32' },
      { name: 'out', role: 'output', shape: ['elements'], element: 'f32' },
    ],
    functions: () => [],
    wgsl: ({ options }) => wgsl`
${LINEAR_INDEX}
#if ${op === 'project_out'}
// The component of the values from first on along the unit vector that begins at direction.
fn along(first: u32, direction: u32) -> f32 {
  var total = 0.0;
  for (var start = 0u; start < ${last}; start += ${BLOCK}u) {
    var block = 0.0;
    for (var k = start; k < min(start + ${BLOCK}u, ${last}); k += ${SEGMENT}u) {
      var segment = product(values[first + k], operand[direction + k]);
      for (var i = k + 1u; i < min(k + ${SEGMENT}u, min(start + ${BLOCK}u, ${last})); i++) {
        segment = mul_add(values[first + i], operand[direction + i], segment);
      }
      block = plus(block, segment);
    }
    total = plus(total, block);
  }
  return total;
}
#endif

${format === null ? '' : formatWgsl(format, last, Boolean(options.masked))}

#if ${op === 'expression'}
fn edited(value: f32, given: u32, ${axes.map(({ name }) => `${name}: u32`).join(', ')}) -> f32 {
  ${parametersOf(expression)
    .map((index) => `let ${parameterName(index)} = parameters[given + ${index}u];`)
    .join('\n  ')}
  ${EXPRESSION_MARK}
${expression}
  );
}
#else
// at: this element's operand; given: the row's first parameter; first: where the last axis begins; direction: the row's operand.
fn edited(value: f32, at: u32, given: u32, first: u32, direction: u32) -> f32 { ${WGSL_OP[op]} }
#endif

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let element = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (element >= ${sizes.join(' * ')}) { return; }
  var rest = element;
  ${axes
    .map((_, a) => axes.length - 1 - a)
    .map((a) => `let index_${a} = rest % ${sizes[a]}; rest = rest / ${sizes[a]};`)
    .join('\n  ')}
  var begin = map[index_0 * ${ROW_FIELDS}u];
  let direction = map[index_0 * ${ROW_FIELDS}u + 1u];
  let given = map[index_0 * ${ROW_FIELDS}u + 2u];
  var selected = begin > 0u;
  var at = direction;
  ${axes
    .slice(1)
    .map(
      (_, i) => `if (selected) {
    let to = map[begin + 1u + index_${i + 1}];
    selected = to > 0u;
    at += (max(to, 1u) - 1u) * map[begin];
    begin += 1u + ${sizes[i + 1]};
  }`,
    )
    .join('\n  ')}
  let value = values[element];
  #if ${options.masked && keepsMasked(op)}
  selected = selected && value > ${wgslFloat(MASKED)};
  #endif
  if (!selected) { out[element] = value; return; }
  #if ${op === 'expression'}
  let result = edited(value, given, ${axes.map(expressionIndex).join(', ')});
  #else
  let result = edited(value, at, given, element - index_${axes.length - 1}, direction);
  #endif
  #if ${options.masked}
  out[element] = stored(select(max(result, ${wgslFloat(MASKED)}), result, is_nan(result)));
  #else
  out[element] = stored(result);
  #endif
}
`,
    workgroups: ({ elements }) => linearWorkgroups(elements, WORKGROUP),
  };
}

/** An axis's index as an expression sees it: rows of its own batch, positions of the text. */
function expressionIndex({ name }: EditAxis, axis: number): string {
  const field = (offset: number) => `map[index_0 * ${ROW_FIELDS}u + ${offset}u]`;
  if (axis === 0) return `index_0 - ${field(3)}`;
  return name === 'pos' || name === 'query_pos' ? `index_${axis} + ${field(4)}` : `index_${axis}`;
}

/** The parameters that an expression names, each once. */
function parametersOf(expression: string): number[] {
  const indices = [...expression.matchAll(/\bparameter_(\d+)\b/g)].map(([, index]) => Number(index));
  return [...new Set(indices)].sort((a, b) => a - b);
}

type RunSizes = Readonly<Record<'batch' | 'pos' | 'keys', number>>;

function shapeOf(axes: readonly EditAxis[], run: RunSizes): number[] {
  return axes.map(({ size }) => (typeof size === 'number' ? size : run[size]));
}

/** What an edit is held to, but for one by an expression. */
export function editTruth(axes: readonly EditAxis[], op: EditOp): KernelTruth {
  return {
    reference: (inputs, { batch, pos, keys = pos }, options) => ({
      out: editReference(inputs, axes, { batch, pos, keys }, op, Boolean(options.masked)),
    }),
    // set, zero, clamp, a format and a choice of elements are exact; add and scale round once or twice; a projection as its dot product.
    tolerance: (inputs, { batch, pos, keys = pos }, options) => {
      const { values } = inputs;
      const out = editReference(inputs, axes, { batch, pos, keys }, op, Boolean(options.masked));
      if (isExact(op)) return { out: new Float64Array(values.length) };
      const width = shapeOf(axes, { batch, pos, keys })[axes.length - 1];
      const largest = (numbers?: Float64Array) =>
        (numbers ?? new Float64Array()).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const underflow = SMALLEST_NORMAL * (3 + width * largest(inputs.operand) + largest(inputs.parameters));
      return {
        out: out.map((result, i) => {
          const change = Math.abs(result - values[i]);
          const first = i - (i % width);
          const direction = inputs.map[Math.floor((i * batch) / values.length) * ROW_FIELDS + 1];
          let magnitude = 0;
          for (let k = 0; op === 'project_out' && k < width; k++) {
            magnitude += Math.abs(values[first + k] * inputs.operand[direction + k]);
          }
          const along =
            gamma(dotRoundings(width)) * magnitude * Math.abs(inputs.operand?.[direction + (i % width)] ?? 0);
          return 2 * U * (Math.abs(result) + change) + along + underflow;
        }),
      };
    },
  };
}

function editReference(
  { values, map, operand, parameters }: Arrays,
  axes: readonly EditAxis[],
  run: RunSizes,
  op: EditOp,
  masked: boolean,
): Float64Array {
  const shape = shapeOf(axes, run);
  const width = shape[shape.length - 1];
  const format = formatOf(op);
  return values.map((value, element) => {
    let rest = element;
    const index = shape.map(() => 0);
    for (let a = shape.length - 1; a >= 0; a--) {
      index[a] = rest % shape[a];
      rest = Math.floor(rest / shape[a]);
    }
    const [first, direction, given] = map.subarray(index[0] * ROW_FIELDS, (index[0] + 1) * ROW_FIELDS);
    if (first === 0) return value;
    let begin = first;
    let at = direction;
    for (let a = 1; a < shape.length; a++) {
      const to = map[begin + 1 + index[a]];
      if (to === 0) return value;
      at += (to - 1) * map[begin];
      begin += 1 + shape[a];
    }
    if (masked && value <= MASKED && keepsMasked(op)) return value;
    if (format === 'int8') {
      const start = element - (element % width);
      return roundTo(format, value, largestMagnitude(values.subarray(start, start + width), masked));
    }
    if (format) return roundTo(format, value);
    switch (op) {
      case 'zero':
        return 0;
      case 'set':
        return operand[at];
      case 'add':
        return value + parameters[given] * operand[at];
      case 'scale':
        return value * parameters[given];
      case 'clamp':
        return Math.min(Math.max(value, parameters[given]), parameters[given + 1]);
      case 'project_out': {
        const start = element - (element % width);
        let along = 0;
        for (let k = 0; k < width; k++) along += values[start + k] * operand[direction + k];
        return value - along * operand[at];
      }
      default:
        throw new Error('edit: an expression has no reference');
    }
  });
}

/** The largest finite magnitude, without masked scores. */
function largestMagnitude(row: Float64Array, masked: boolean): number {
  const counts = (x: number) => Number.isFinite(x) && !(masked && x === MASKED);
  return row.reduce((largest, x) => (counts(x) ? Math.max(largest, Math.abs(x)) : largest), 0);
}
