// attention: z = softmax(q·k·scale, causal) · v in one dispatch, without a pattern in memory. It stands for `attention_scores`,
// `attention_pattern` and `attention_values`, with their bits; where somebody asks for scores or pattern, those run instead.
//
// A workgroup takes tiles of query positions of one head (4, or 1 where there are few), one after another. A tile's scores stay in a
// scratch buffer that is as long as a few hundred tiles, whatever the text's length. (Workgroup memory would hold short rows only, and
// software adapters clear it by code that is as long as it is.)
//   1. scores: an invocation takes keys, and has all rows of each: a dot product over d_head;
//   2. softmax: an invocation takes segments of 8 keys: scale, soft cap, mask and maximum of each row, then exponentials and their sum;
//      one adds the sums of a row's segments;
//   3. values: an invocation takes four (or one) elements of d_head, and has all rows.
// Keys behind the last row's own position weigh 0 and are left out: to add 0 changes no bit of such a sum, as none is −0. Where v has
// NaN or infinities that is no longer so: in the three kernels 0 · v makes every earlier row NaN, here those of the same tile or segment.
// `invocations` in a workgroup are an option: they change no bit. As many as run in step are best where barriers are dear (a software
// adapter), more where a workgroup should keep a whole processor busy.
// Order: as in the three kernels (segments and blocks, kernel.ts). Rows are the lanes of vectors, so no order depends on the tile.
// Cost: 4·d_head flops per query and key, an exponential and a division; k and v are read once per tile of rows.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { attentionPatternTruth, SOFTMAX_TERMS } from './attention_pattern.ts';
import { attentionScoresTruth } from './attention_scores.ts';
import { attentionValuesTruth } from './attention_values.ts';
import { divide } from './functions/divide.ts';
import { exponential } from './functions/exponential.ts';
import { hyperbolicTangent } from './functions/hyperbolic_tangent.ts';
import {
  BLOCK,
  type Dims,
  type Kernel,
  type KernelTruth,
  type Options,
  SEGMENT,
  SMALLEST_NORMAL,
  vectorizable,
  wgslFloat,
} from './kernel.ts';
import { LANES, range } from './register_tile.ts';

/** Most workgroups: so many tiles have room in the scratch buffer. */
const MAX_WORKGROUPS = 256;

/** Query positions of a tile: those of four are the lanes of a vector. */
const rowsOf = ({ pos }: Dims): 1 | 4 => (pos >= 6 ? 4 : 1);

/** Keys of which an invocation computes the scores at a time. */
const KEYS = 4;

/**
 * Sizes of the scratch buffer: for each workgroup the scores of a tile, what its segments come to, and its queries.
 * @param maxBytes what the buffer may hold: fewer workgroups where a text is very long
 * @returns null where not even one fits
 */
export function attentionScratch(dims: Dims, maxBytes = Number.POSITIVE_INFINITY): Dims | null {
  const rows = rowsOf(dims);
  const segments = Math.ceil(dims.keys / SEGMENT);
  const tileWords = segments * (SEGMENT + 1) + dims.d_head;
  const needed = Math.ceil(dims.pos / rows) * dims.batch * dims.n_heads;
  const tiles = Math.min(needed, MAX_WORKGROUPS, Math.floor(maxBytes / (4 * rows * tileWords)));
  return tiles > 0 ? { tiles, tile_words: tileWords } : null;
}

export const attention: Kernel = {
  name: 'attention',
  bindings: ({ d_head, pos }) => [
    vectorizable('q', 'input', ['batch', 'pos', 'n_heads', 'd_head'], d_head),
    vectorizable('k_rows', 'input', ['batch', 'key_stride', 'n_key_value_heads', 'd_head'], d_head),
    vectorizable('v', 'input', ['batch', 'key_stride', 'n_key_value_heads', 'd_head'], d_head),
    { name: 'first_pos', role: 'input', shape: ['batch'], element: 'u32' },
    {
      name: 'scratch',
      role: 'scratch',
      shape: ['tiles', 'tile_words'],
      element: rowsOf({ pos }) > 1 ? 'vec4f' : 'f32',
    },
    { name: 'out', role: 'output', shape: ['batch', 'pos', 'n_heads', 'd_head'], element: 'f32' },
  ],
  functions: ({ softCap }) => [divide, exponential, ...(softCap ? [hyperbolicTangent] : [])],
  wgsl: ({ dims, options }) => source(dims, options),
  workgroups: ({ tiles }) => [tiles, 1, 1],
};

export const attentionTruth: KernelTruth = {
  reference: (inputs, dims, options) => {
    const { out: scores } = attentionScoresTruth.reference(inputs, dims, options);
    const { out: pattern } = attentionPatternTruth.reference({ scores }, dims, {});
    return attentionValuesTruth.reference({ pattern, v: inputs.v }, dims, {});
  },
  // Errors of the scores (at most e in a row) change each weight by a factor within exp(±2e); pattern and values add their own.
  tolerance: (inputs, dims, options) => {
    const { out: scores } = attentionScoresTruth.reference(inputs, dims, options);
    const { out: ofScores } = attentionScoresTruth.tolerance(inputs, dims, options);
    const { out: pattern } = attentionPatternTruth.reference({ scores }, dims, {});
    const { out: ofPattern } = attentionPatternTruth.tolerance({ scores }, dims, {});
    const error = patternErrors(pattern, ofScores, ofPattern, dims.keys);
    const largest = pattern.map((share, i) => share + error[i]);
    const absolute = inputs.v.map(Math.abs);
    const { out: inherited } = attentionValuesTruth.reference({ pattern: error, v: absolute }, dims, {});
    const { out: own } = attentionValuesTruth.tolerance({ pattern: largest, v: inputs.v }, dims, {});
    return { out: own.map((bound, i) => bound + inherited[i]) };
  },
};

/** What the pattern is off by: its own error, and that of scores that are off. */
function patternErrors(pattern: Float64Array, ofScores: Float64Array, own: Float64Array, keys: number): Float64Array {
  const errors = new Float64Array(pattern.length);
  for (let first = 0; first < pattern.length; first += keys) {
    let worst = 0;
    for (let key = first; key < first + keys; key++) if (pattern[key] > 0) worst = Math.max(worst, ofScores[key]);
    const factor = Math.expm1(2 * worst);
    for (let key = first; key < first + keys; key++) {
      errors[key] = own[key] * (1 + factor) + pattern[key] * factor + (pattern[key] > 0 ? SMALLEST_NORMAL : 0);
    }
  }
  return errors;
}

function source(dims: Dims, { scale, softCap, invocations }: Options): string {
  const rows = rowsOf(dims);
  const step = Number(invocations);
  const cap = wgslFloat(softCap ? Number(softCap) : 1);
  const isVector = rows > 1;
  // The type that holds one number of each row, and the words for it.
  const [type, word] = isVector ? ['vec4f', '4'] : ['f32', ''];
  const eachKey = (f: (c: number) => string) => range(KEYS).map(f).join('\n');
  // A row's places in the scratch buffer: a lane of a vector where there are several.
  const ofRow = (index: string) => (isVector ? `scratch[${index}][row]` : `scratch[${index}]`);
  const scoreAt = ofRow('base + key');
  const partialAt = (segment: string) => ofRow(`partial + ${segment}`);
  const isWhole = dims.d_head % 4 === 0;

  return wgsl`
const row_stride = n_key_value_heads * ${isWhole ? 'd_head_vec4' : 'd_head'};
var<workgroup> row_maximum: array<f32, ${rows}>;
var<workgroup> row_total: array<f32, ${rows}>;

fn score_of(dot: f32, key: u32, position: u32) -> f32 {
  var score = product(dot, ${wgslFloat(Number(scale))});
  #if ${softCap}
  score = ${cap} * hyperbolic_tangent(divide(score, ${cap}));
  #endif
  return select(materialised(score), masked, key > position);
}
${SOFTMAX_TERMS}

@compute @workgroup_size(${step})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row_tiles: u32 = (run.pos + ${rows - 1}u) / ${rows}u;
  for (var tile = workgroup.x; tile < row_tiles * run.batch * n_heads; tile += workgroups.x) {
    attend(tile, workgroup.x, local);
    storageBarrier();
  }
}

fn attend(tile: u32, place: u32, local: u32) {
  let row_tiles: u32 = (run.pos + ${rows - 1}u) / ${rows}u;
  let head = tile / row_tiles % n_heads;
  let batch = tile / (row_tiles * n_heads);
  let row0 = tile % row_tiles * ${rows}u;
  let position0 = first_pos[batch] + row0;
  // Rows behind the last are the last one again, and are not stored.
  let last_row = run.pos - 1u;
  let key_count = min(run.keys, first_pos[batch] + min(row0 + ${rows - 1}u, last_row) + 1u);
  let segment_count = (key_count + ${SEGMENT - 1}u) / ${SEGMENT}u;
  let first_key = (batch * run.key_stride * n_key_value_heads + head / (n_heads / n_key_value_heads)) * ${isWhole ? 'd_head_vec4' : 'd_head'};
  // In the scratch buffer: scores [key, row], then one number of each segment [segment, row], then the queries [d_head, row].
  let segment_room = (run.keys + ${SEGMENT - 1}u) / ${SEGMENT}u;
  let base = place * (segment_room * ${SEGMENT + 1}u + d_head);
  let partial = base + segment_room * ${SEGMENT}u;
  let queries = partial + segment_room;

  #if ${isVector}
  for (var d = local; d < d_head; d += ${step}u) {
    scratch[queries + d] = vec4f(${range(rows)
      .map((row) => query(`(batch * run.pos + min(row0 + ${row}u, last_row)) * n_heads + head`, isWhole))
      .join(', ')});
  }
  storageBarrier();
  #else
  let q_base = ((batch * run.pos + row0) * n_heads + head) * ${isWhole ? 'd_head_vec4' : 'd_head'};
  #endif

  for (var key = local * ${KEYS}u; key < key_count; key += ${step * KEYS}u) {
    // Keys behind the last are the last one again; behind key_count all rows are masked.
    ${eachKey((c) => `let k_base_${c} = first_key + min(key + ${c}u, run.keys - 1u) * row_stride;`)}
    ${eachKey((c) => `var total_${c} = ${type}(0.0);`)}
    for (var start = 0u; start < d_head; start += ${BLOCK}u) {
      let end = min(start + ${BLOCK}u, d_head);
      ${eachKey((c) => `var block_${c} = ${type}(0.0);`)}
      for (var d = start; d < end; d += ${SEGMENT}u) {
        ${dotSegment(rows, dims.d_head)}
      }
      ${eachKey((c) => `total_${c} = plus${word}(total_${c}, block_${c});`)}
    }
    ${eachKey((c) => `scratch[base + key + ${c}u] = total_${c};`)}
  }
  storageBarrier();

  // From here to the values, a row at a time. One invocation has all rows of a key: WGSL lets a write of one lane touch the others.
  for (var segment = local; segment < segment_count; segment += ${step}u) {
    let end = min(segment * ${SEGMENT}u + ${SEGMENT}u, key_count);
    for (var row = 0u; row < ${rows}u; row++) {
      var maximum = masked;
      for (var key = segment * ${SEGMENT}u; key < end; key++) {
        let score = score_of(${scoreAt}, key, position0 + row);
        ${scoreAt} = score;
        maximum = max(maximum, score);
      }
      ${partialAt('segment')} = maximum;
    }
  }
  storageBarrier();
  for (var row = local; row < ${rows}u; row += ${step}u) {
    var maximum = ${partialAt('0u')};
    for (var segment = 1u; segment < segment_count; segment++) { maximum = max(maximum, ${partialAt('segment')}); }
    row_maximum[row] = maximum;
  }
  workgroupBarrier();

  for (var segment = local; segment < segment_count; segment += ${step}u) {
    let end = min(segment * ${SEGMENT}u + ${SEGMENT}u, key_count);
    for (var row = 0u; row < ${rows}u; row++) {
      let maximum = row_maximum[row];
      var sum = 0.0;
      for (var key = segment * ${SEGMENT}u; key < end; key++) {
        let term = weight(${scoreAt}, maximum);
        ${scoreAt} = term;
        sum = plus(sum, term);
      }
      ${partialAt('segment')} = sum;
    }
  }
  storageBarrier();
  for (var row = local; row < ${rows}u; row += ${step}u) {
    var total = 0.0;
    for (var start = 0u; start < segment_count; start += ${BLOCK / SEGMENT}u) {
      var block = 0.0;
      for (var segment = start; segment < min(start + ${BLOCK / SEGMENT}u, segment_count); segment++) {
        block = plus(block, ${partialAt('segment')});
      }
      total = plus(total, block);
    }
    row_total[row] = total;
  }
  workgroupBarrier();

  for (var key = local; key < segment_count * ${SEGMENT}u; key += ${step}u) {
    for (var row = 0u; row < ${rows}u; row++) {
      if (key < key_count) { ${scoreAt} = share(${scoreAt}, row_total[row]); } else { ${scoreAt} = 0.0; }
    }
  }
  storageBarrier();

  for (var d = local * ${isWhole ? 4 : 1}u; d < d_head; d += ${step * (isWhole ? 4 : 1)}u) {
    let v_base = first_key + ${isWhole ? 'd / 4u' : 'd'};
    ${range(rows)
      .map((row) => `var z_${row} = ${isWhole ? 'vec4f' : 'f32'}(0.0);`)
      .join(' ')}
    for (var start = 0u; start < key_count; start += ${BLOCK}u) {
      ${range(rows)
        .map((row) => `var block_${row} = ${isWhole ? 'vec4f' : 'f32'}(0.0);`)
        .join(' ')}
      for (var key = start; key < min(start + ${BLOCK}u, key_count); key += ${SEGMENT}u) {
        ${range(SEGMENT)
          .map(
            (j) =>
              `let v_${j} = v[v_base + min(key + ${j}u, run.keys - 1u) * row_stride]; let w_${j} = scratch[base + key + ${j}u];`,
          )
          .join('\n        ')}
        ${range(rows)
          .map((row) => valueSegment(row, isVector, isWhole ? '4' : ''))
          .join('\n        ')}
      }
      ${range(rows)
        .map((row) => `z_${row} = plus${isWhole ? '4' : ''}(z_${row}, block_${row});`)
        .join(' ')}
    }
    ${range(rows)
      .map(
        (row) =>
          `if (row0 + ${row}u <= last_row) { let to = ((batch * run.pos + row0 + ${row}u) * n_heads + head) * d_head + d; ${storeAt(row, isWhole)} }`,
      )
      .join('\n    ')}
  }
}
`;
}

/** Stores the elements of z that an invocation has of a row. */
function storeAt(row: number, isWhole: boolean): string {
  if (!isWhole) return `out[to] = stored(z_${row});`;
  return LANES.map((lane, i) => `out[to + ${i}u] = stored(z_${row}.${lane});`).join(' ');
}

/** Element d of this row of the queries. */
function query(row: string, isWhole: boolean): string {
  return isWhole ? `q[(${row}) * d_head_vec4 + d / 4u][d % 4u]` : `q[(${row}) * d_head + d]`;
}

/** Eight terms of the dot products of an invocation's keys with all rows; 0 beyond d_head. */
function dotSegment(rows: number, dHead: number): string {
  const isWhole = dHead % 4 === 0;
  const wholeSegments = dHead % SEGMENT === 0;
  const word = rows > 1 ? '4' : '';
  const at = (j: number) => (wholeSegments ? `(d + ${j}u)` : `min(d + ${j}u, d_head - 1u)`);
  /** `name_0 … name_7`: eight elements of a row that begins at `base`. */
  const terms = (name: string, binding: string, base: string) => [
    ...(isWhole
      ? range(SEGMENT / 4).map((i) => `let ${name}_quad_${i} = ${binding}[${base} + ${at(4 * i)} / 4u];`)
      : []),
    ...range(SEGMENT).map((j) => {
      const term = isWhole ? `${name}_quad_${Math.floor(j / 4)}.${LANES[j % 4]}` : `${binding}[${base} + ${at(j)}]`;
      return `let ${name}_${j} = ${wholeSegments ? term : `select(0.0, ${term}, d + ${j}u < d_head)`};`;
    }),
  ];
  const queries =
    rows > 1 ? range(SEGMENT).map((j) => `let q_${j} = scratch[queries + ${at(j)}];`) : terms('q', 'q', 'q_base');
  // A segment: a chain of multiply-adds that begins with the first product, added to its block.
  const chain = (c: number) => {
    const adds = range(SEGMENT)
      .slice(1)
      .map((j) => `s_${c} = mul_add${word}(k_${c}_${j}, q_${j}, s_${c});`);
    return `var s_${c} = product${word}(k_${c}_0, q_0); ${adds.join(' ')} block_${c} = plus${word}(block_${c}, s_${c});`;
  };
  return [...queries, ...range(KEYS).flatMap((c) => [...terms(`k_${c}`, 'k_rows', `k_base_${c}`), chain(c)])].join(
    '\n        ',
  );
}

/** Eight terms of z of one row. */
function valueSegment(row: number, isVector: boolean, word: string): string {
  const of = (j: number) => (isVector ? `w_${j}.${LANES[row]}` : `w_${j}`);
  const adds = range(SEGMENT)
    .slice(1)
    .map((j) => `s_${row} = mul_add${word}(${of(j)}, v_${j}, s_${row});`);
  return `var s_${row} = product${word}(${of(0)}, v_0); ${adds.join(' ')} block_${row} = plus${word}(block_${row}, s_${row});`;
}
