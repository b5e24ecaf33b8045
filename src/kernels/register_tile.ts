// The matrix product in registers: one invocation computes `rows` × `columns`·4 elements of C = A·B.
// Not a kernel: it writes `main` for one, from a few index functions. Which tiling a kernel has: tiling.ts.
//
// Order of every sum (see SEGMENT and BLOCK): 8 terms in sequence, starting with the first product; 8 such segments (or a
// head's) in sequence from 0; blocks in sequence from 0. The tile's size never changes a bit.
// Accumulators are named variables: software adapters spill arrays of them (3–5×). A segment is one chain of multiply-adds
// that stays in registers, so accumulators are touched once for 8 terms: on SwiftShader that is 1.1–1.4 × as fast as adding
// every term to its accumulator.
// Source of the method: register blocking, as in any BLAS.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { SEGMENT } from './kernel.ts';
import { isQuantised, type WeightFormat } from './weight_formats.ts';

/** What one invocation computes, and how many of them make a workgroup. */
export interface RegisterTiling {
  readonly rows: number;
  /** Number of vec4 columns. */
  readonly columns: number;
  /** Invocations along columns and along rows. */
  readonly workgroup: readonly [number, number];
}

/** What a kernel says of its product C = A·B, whatever its tiling. */
export interface MatrixProduct {
  /** Terms per block. */
  readonly block: number;
  /** Every block, the last one too, is a whole number of segments; otherwise terms beyond its end are replaced by 0·b. */
  readonly wholeSegments: boolean;
  /** Binding of A, rows contiguous along the summed axis; `vectors`: it is an array<vec4f>. */
  readonly a: { readonly name: string; readonly vectors: boolean };
  /**
   * Binding of B, read by `load_<name>(i)` (kernel.ts). `kn` has columns side by side (stride_n = 1), `nk` has the summed axis side
   * by side (stride_k = 1). `vectors`: it is an array<vec4f> along that contiguous axis, and bases and strides count vec4.
   * `strideOfGroup`: b_stride_k is a function of the group.
   */
  readonly b: {
    readonly name: string;
    readonly layout: 'kn' | 'nk';
    readonly vectors: boolean;
    readonly strideOfGroup?: boolean;
    /** What it is stored in; float32 if absent. Its blocks of scales lie along the summed axis. */
    readonly format?: WeightFormat;
  };
  /** Column groups (vec4 of B) come in pairs whose sums are stored together; `columns` is even. Without it each is stored alone. */
  readonly pairs?: ColumnPairs;
  /** The number of columns is a multiple of 4. Otherwise `kn` vectors have lanes beyond the edge that must not be stored. */
  readonly wholeColumns: boolean;
  /** Each block's sum is a value of its own, and counts as it would be stored. */
  readonly blocksAreValues: boolean;
  /** Each block's sum is handed to `store_block(group, row, block, column, value)`. */
  readonly storeBlocks: boolean;
}

/**
 * Which columns an invocation's column groups are, where they are not simply side by side: pair `p` has two of them, and
 * `store_pair(group, row, column, partner_column, value, partner_value)` gets both sums.
 */
export interface ColumnPairs {
  /** WGSL for the number of pairs of this group. */
  readonly count: string;
  /** WGSL for the first of the four columns on this side (0 or 1) of a pair: a multiple of 4. */
  readonly first: (pair: string, side: number) => string;
  /** The binding that side 1 reads instead of B, of the same layout and format; absent where both sides read B. */
  readonly partner?: string;
}

/** A product in a tiling. */
export type RegisterTile = RegisterTiling & MatrixProduct;

export const range = (n: number) => Array.from({ length: n }, (_, i) => i);
export const LANES = ['x', 'y', 'z', 'w'] as const;
/** A line of WGSL for each. */
export const lines = (of: readonly number[], f: (i: number) => string) => of.map(f).join('\n      ');

/**
 * `main` for a kernel that defines, in WGSL: `row_count()`, `column_count(group)`, `depth()`, `a_base(group, row)`,
 * `b_base(group)`, `b_stride_k` (a constant, or a function of the group: `strideOfGroup`) or `b_stride_n`, and
 * `store(group, row, column, value)` or `store_pair`. Bases and strides count elements of their binding.
 */
export function registerTileMain(tile: RegisterTile): string {
  const rows = range(tile.rows);
  const columns = range(tile.columns);
  const each = (f: (m: number, n: number) => string) => rows.flatMap((m) => columns.map((n) => f(m, n))).join('\n');

  return wgsl`
@compute @workgroup_size(${tile.workgroup[0]}, ${tile.workgroup[1]})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row0 = id.y * ${tile.rows}u;
  let group = id.z;
  ${tile.pairs ? `let pair0 = id.x * ${tile.columns / 2}u;` : `let column0 = id.x * ${tile.columns * 4}u;`}
  if (row0 >= row_count() || ${tile.pairs ? `pair0 >= ${tile.pairs.count}` : 'column0 >= column_count(group)'}) { return; }
  // Rows and columns beyond the edge are the last one again: they compute and store the same value in the same place.
  let last_row = row_count() - 1u;
  let last_column = column_count(group) - 1u;
  let b_first = b_base(group);
  ${stepOfB(tile)}
  ${lines(rows, (m) => `let row_${m} = min(row0 + ${m}u, last_row); let a_${m} = a_base(group, row_${m});`)}
  ${lines(range(4 * tile.columns), (c) => `let column_${c} = ${columnIndex(tile, c)};`)}
  ${lines(columns, (n) => columnBases(tile, n))}
  ${each((m, n) => `var total_${m}_${n} = vec4f(0.0);`)}
  for (var start = 0u; start < depth(); start += ${tile.block}u) {
    let end = min(start + ${tile.block}u, depth());
    ${each((m, n) => `var block_${m}_${n} = vec4f(0.0);`)}
    for (var k = start; k < end; k += ${SEGMENT}u) {
      ${lines(columns, (n) => loadColumns(tile, n))}
      ${lines(rows, (m) => `${loadRow(tile, m)}\n${columns.map((n) => chain(m, n)).join('\n')}`)}
    }
    #if ${tile.blocksAreValues}
    ${each((m, n) => `block_${m}_${n} = stored4(block_${m}_${n});`)}
    #endif
    #if ${tile.storeBlocks}
    ${each((m, n) => storeTile(tile, n, (column, lane) => `store_block(group, row_${m}, start / ${tile.block}u, ${column}, block_${m}_${n}.${lane});`))}
    #endif
    ${each((m, n) => `total_${m}_${n} = plus4(total_${m}_${n}, block_${m}_${n});`)}
  }
  ${rows.flatMap((m) => storeTotals(tile, m)).join('\n')}
}
`;
}

/** `s_m_n`: one segment, eight multiply-adds that stay in registers. */
export function segmentSum(m: number, n: number): string {
  const adds = range(SEGMENT)
    .slice(1)
    .map((j) => `s_${m}_${n} = mul_add4(a_${m}_${j}, b_${n}_${j}, s_${m}_${n});`);
  return `var s_${m}_${n} = product4(a_${m}_0, b_${n}_0); ${adds.join(' ')}`;
}

/** One segment, added to its block. */
export function chain(m: number, n: number): string {
  return `${segmentSum(m, n)} block_${m}_${n} = plus4(block_${m}_${n}, s_${m}_${n});`;
}

/** `a_m_0 … a_m_7`: the segment's terms of one row of A, 0 beyond the block's end. */
export function loadRow({ a, wholeSegments }: Pick<MatrixProduct, 'a' | 'wholeSegments'>, m: number): string {
  const guarded = (j: number, value: string) => (wholeSegments ? value : `select(0.0, ${value}, k + ${j}u < end)`);
  const vectors = a.vectors
    ? range(SEGMENT / 4).map((v) => `let v_${m}_${v} = ${a.name}[a_${m} + k / 4u + ${v}u];`)
    : [];
  const terms = range(SEGMENT).map((j) => {
    const value = a.vectors ? `v_${m}_${Math.floor(j / 4)}.${LANES[j % 4]}` : `${a.name}[a_${m} + k + ${j}u]`;
    return `let a_${m}_${j} = ${guarded(j, value)};`;
  });
  return [...vectors, ...terms].join(' ');
}

/** Where column group n of B begins: one base, or one for each of its four columns. */
export function columnBases({ b }: Pick<MatrixProduct, 'b'>, n: number): string {
  if (isVectorOfColumns(b)) return `let b_${n} = b_first + column_${n * 4} / 4u;`;
  return range(4)
    .map((c) => `let b_${n}_c${c} = b_first + column_${n * 4 + c} * b_stride_n;`)
    .join(' ');
}

/** What decides how terms of B are read. */
type ProductOfColumns = Pick<MatrixProduct, 'b' | 'pairs' | 'wholeSegments' | 'block'>;

/** `b_n_0 … b_n_7`: the segment's terms of four columns of B, as vec4f. Beyond the block's end any element will do. */
export function loadColumns(tile: ProductOfColumns, n: number): string {
  const { b, wholeSegments } = tile;
  const at = (j: number) => (wholeSegments ? `(k + ${j}u)` : `min(k + ${j}u, end - 1u)`);
  if (isVectorOfColumns(b)) {
    const { scale, load } = segmentOf(tile, n, `${n}`, `b_${n} + k * b_step`);
    return [scale, ...range(SEGMENT).map((j) => `let b_${n}_${j} = ${load(`b_${n} + ${at(j)} * b_step`)};`)].join(' ');
  }
  const segments = range(4).map((c) => {
    const first = `b_${n}_c${c} + ${b.vectors ? 'k / 4u' : 'k * b_stride_k'}`;
    return segmentOf(tile, n, `${n}_c${c}`, first);
  });
  // Contiguous along the summed axis: four terms are read at once and transposed in registers.
  const quads =
    b.vectors &&
    range(SEGMENT / 4).flatMap((v) =>
      segments.map(({ load }, c) => `let q_${n}_${v}_${c} = ${load(`b_${n}_c${c} + ${at(v * 4)} / 4u`)};`),
    );
  const terms = range(SEGMENT).map((j) => {
    const lane = (c: number) =>
      quads
        ? `q_${n}_${Math.floor(j / 4)}_${c}.${LANES[j % 4]}`
        : segments[c].load(`b_${n}_c${c} + ${at(j)} * b_stride_k`);
    return `let b_${n}_${j} = vec4f(${range(4).map(lane).join(', ')});`;
  });
  return [...segments.map(({ scale }) => scale), ...(quads || []), ...terms].join(' ');
}

/**
 * How a segment's terms are read: one scale for all of them where they lie in one block of scales, which segments do that begin at a
 * multiple of their length.
 */
function segmentOf({ b, pairs, block }: ProductOfColumns, n: number, suffix: string, first: string) {
  const name = n % 2 === 1 ? (pairs?.partner ?? b.name) : b.name;
  const isOneBlock = isQuantised(b.format ?? 'f32') && block % SEGMENT === 0;
  return {
    scale: isOneBlock ? `let scale_${suffix} = scale_${name}(${first});` : '',
    load: (i: string) => (isOneBlock ? `scaled_${name}(${i}, scale_${suffix})` : `load_${name}(${i})`),
  };
}

/** Each vec4 of B is one term of four columns: columns come and go four at a time. */
export function isVectorOfColumns(b: RegisterTile['b']): boolean {
  return b.layout === 'kn' && b.vectors;
}

/** Column of this invocation's tile; beyond the edge the last one, the last four, or the last pair's. */
export function columnIndex({ b, pairs }: Pick<MatrixProduct, 'b' | 'pairs'>, column: number): string {
  const lane = column % 4;
  if (pairs) {
    const pair = `min(pair0 + ${Math.floor(column / 8)}u, ${pairs.count} - 1u)`;
    return `${pairs.first(pair, Math.floor(column / 4) % 2)} + ${lane}u`;
  }
  return isVectorOfColumns(b)
    ? `min(column0 + ${column - lane}u, last_column & ~3u) + ${lane}u`
    : `min(column0 + ${column}u, last_column)`;
}

/** `b_step`: from one term of B to the next, where each is a vec4 of columns. */
export function stepOfB({ b }: Pick<MatrixProduct, 'b'>): string {
  if (!isVectorOfColumns(b)) return '';
  return `let b_step = ${b.strideOfGroup ? 'b_stride_k(group)' : 'b_stride_k'};`;
}

/** Stores the finished sums of row m. */
function storeTotals(tile: RegisterTile, m: number): string[] {
  const groups = range(tile.columns);
  if (!tile.pairs) {
    return groups.map((n) =>
      storeTile(tile, n, (column, lane) => `store(group, row_${m}, ${column}, total_${m}_${n}.${lane});`),
    );
  }
  return groups
    .filter((n) => n % 2 === 0)
    .map((n) =>
      storeTile(tile, n, (column, lane) => {
        const partner = `column_${(n + 1) * 4 + (LANES as readonly string[]).indexOf(lane)}`;
        const values = `total_${m}_${n}.${lane}, total_${m}_${n + 1}.${lane}`;
        return `store_pair(group, row_${m}, ${column}, ${partner}, ${values});`;
      }),
    );
}

function storeTile(
  { b, wholeColumns }: RegisterTile,
  n: number,
  store: (column: string, lane: string) => string,
): string {
  return LANES.map((lane, c) => {
    const column = `column_${n * 4 + c}`;
    const text = store(column, lane);
    return wholeColumns || !isVectorOfColumns(b) ? text : `if (${column} <= last_column) { ${text} }`;
  }).join(' ');
}
