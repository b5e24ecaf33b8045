// The matrix product in workgroup memory, for GPUs and many rows: a workgroup computes a tile of C = A·B, a slab of the summed axis at
// a time. Its invocations stage the slab's terms of A and B in workgroup memory, each read once from a buffer, and multiply them from
// there in registers. Not a kernel: it writes `main` for one (tiling.ts).
//
// Order of every sum: that of register_tile.ts, by the same chains of multiply-adds. A slab is a part of a block, so that segments and
// blocks begin where they always do.
// Workgroup memory: rows of A are contiguous along the summed axis, in vec4, so that a segment is two reads that the invocations of one
// row share; rows of B lie along the columns, side by side for neighbouring invocations. Both are one vec4 longer than they need, so
// that neighbouring rows begin in different banks. All fits into what WebGPU guarantees: 16 KiB and 256 invocations.
// Source of the method: the tiled product of the CUDA C++ Programming Guide (shared memory), with register tiles as in CUTLASS's
// description of its hierarchy.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { SEGMENT } from './kernel.ts';
import {
  chain,
  isVectorOfColumns,
  LANES,
  lines,
  type MatrixProduct,
  type RegisterTiling,
  range,
  stepOfB,
} from './register_tile.ts';

/** A register tiling whose workgroup shares terms: rows and vec4 columns of one invocation lie `workgroup` apart. */
export interface WorkgroupTiling extends RegisterTiling {
  /** Terms that are staged at a time: a whole number of segments. */
  readonly slab: number;
}

export type WorkgroupTile = WorkgroupTiling & MatrixProduct;

/** Sizes in workgroup memory, in vec4. */
function strides({ rows, columns, workgroup, slab }: WorkgroupTiling) {
  const [x, y] = workgroup;
  return { tileRows: rows * y, tileColumns: columns * x, aStride: slab / 4 + 1, bStride: columns * x + 1 };
}

/** Bytes of workgroup memory. */
export function workgroupTileBytes(tiling: WorkgroupTiling): number {
  const { tileRows, aStride, bStride } = strides(tiling);
  return 16 * (tileRows * aStride + tiling.slab * bStride);
}

/** `main` for a kernel that defines what `registerTileMain` says. */
export function workgroupTileMain(tile: WorkgroupTile): string {
  const { workgroup, slab, block, pairs } = tile;
  const [x, y] = workgroup;
  const { tileRows, tileColumns, aStride, bStride } = strides(tile);
  const rows = range(tile.rows);
  const columns = range(tile.columns);
  const each = (f: (m: number, n: number) => string) => rows.flatMap((m) => columns.map((n) => f(m, n))).join('\n');
  return wgsl`
var<workgroup> a_tile: array<vec4f, ${tileRows * aStride}>;
var<workgroup> b_tile: array<vec4f, ${slab * bStride}>;

@compute @workgroup_size(${x}, ${y})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let row0 = workgroup.y * ${tileRows}u;
  let group = workgroup.z;
  ${pairs ? `let pair0 = workgroup.x * ${tileColumns / 2}u;` : `let column0 = workgroup.x * ${4 * tileColumns}u;`}
  if (${pairs ? `pair0 >= ${pairs.count}` : 'column0 >= column_count(group)'}) { return; }
  // Rows and columns beyond the edge are staged as the last one again, and not stored.
  let last_row = row_count() - 1u;
  let last_column = column_count(group) - 1u;
  let b_first = b_base(group);
  ${stepOfB(tile)}
  ${lines(rows, (m) => `let row_${m} = row0 + ${m * y}u + local.y;`)}
  ${each((m, n) => `var total_${m}_${n} = vec4f(0.0);`)}
  for (var start = 0u; start < depth(); start += ${block}u) {
    let end = min(start + ${block}u, depth());
    ${each((m, n) => `var block_${m}_${n} = vec4f(0.0);`)}
    for (var slab = start; slab < end; slab += ${slab}u) {
      for (var i = index; i < ${tileRows * (slab / 4)}u; i += ${x * y}u) {
        ${stageA(tile, aStride)}
      }
      ${lines(columns, (n) => stageB(tile, n, bStride))}
      workgroupBarrier();
      for (var k = 0u; k < min(${slab}u, end - slab); k += ${SEGMENT}u) {
        ${lines(columns, (n) => readColumns(n, x, bStride))}
        ${lines(rows, (m) => `${readRow(m, y, aStride)}\n${columns.map((n) => chain(m, n)).join('\n')}`)}
      }
      workgroupBarrier();
    }
    #if ${tile.blocksAreValues}
    ${each((m, n) => `block_${m}_${n} = stored4(block_${m}_${n});`)}
    #endif
    #if ${tile.storeBlocks}
    ${lines(rows, (m) =>
      storeRow(tile, m, (column, lane, n) => {
        return `store_block(group, row_${m}, start / ${block}u, ${column}, block_${m}_${n}.${lane});`;
      }),
    )}
    #endif
    ${each((m, n) => `total_${m}_${n} = plus4(total_${m}_${n}, block_${m}_${n});`)}
  }
  ${lines(rows, (m) =>
    storeRow(tile, m, (column, lane, n, partner) => {
      const sum = `total_${m}_${n}.${lane}`;
      if (!partner) return `store(group, row_${m}, ${column}, ${sum});`;
      return `store_pair(group, row_${m}, ${column}, ${partner}, ${sum}, total_${m}_${n + 1}.${lane});`;
    }),
  )}
}
`;
}

/** WGSL for the pair of column group n of the invocation at `place`, and for the number of a column that it has alone. */
function pairAt(tile: WorkgroupTile, n: number, place: string): string {
  return `(pair0 + ${Math.floor(n / 2) * tile.workgroup[0]}u + ${place})`;
}
function columnAt(tile: WorkgroupTile, n: number, place: string): string {
  return `(column0 + ${4 * n * tile.workgroup[0]}u + 4u * ${place})`;
}

/** Stores what one row has within the edges: each column, or each pair of columns. */
function storeRow(
  tile: WorkgroupTile,
  m: number,
  store: (column: string, lane: string, n: number, partner?: string) => string,
): string {
  const { pairs } = tile;
  const groups = range(tile.columns).filter((n) => !pairs || n % 2 === 0);
  const stores = groups.map((n) => {
    const pair = pairAt(tile, n, 'local.x');
    const [first, partner] = pairs
      ? [pairs.first(pair, 0), pairs.first(pair, 1)]
      : [columnAt(tile, n, 'local.x'), null];
    const lanes = LANES.map((lane, c) => {
      const of = (start: string) => `(${start}) + ${c}u`;
      return `if (${of(first)} <= last_column) { ${store(of(first), lane, n, partner === null ? undefined : of(partner))} }`;
    });
    return pairs ? `if (${pair} < ${pairs.count}) { ${lanes.join(' ')} }` : lanes.join(' ');
  });
  return `if (row_${m} < row_count()) { ${stores.join(' ')} }`;
}

/** Four terms of one row of A, 0 beyond the block's end. */
function stageA({ a, slab, wholeSegments }: WorkgroupTile, stride: number): string {
  const first = `a_base(group, min(row0 + i / ${slab / 4}u, last_row))`;
  const terms = range(4).map((j) => {
    const value = a.vectors ? `terms.${LANES[j]}` : `${a.name}[first + min(k + ${j}u, end - 1u)]`;
    return wholeSegments ? value : `select(0.0, ${value}, k + ${j}u < end)`;
  });
  return `let first = ${first};
        let k = slab + 4u * (i % ${slab / 4}u);
        ${a.vectors ? `let terms = ${a.name}[first + min(k, end - 1u) / 4u];` : ''}
        a_tile[i / ${slab / 4}u * ${stride}u + i % ${slab / 4}u] = vec4f(${terms.join(', ')});`;
}

/**
 * Column group n of B for all invocations: one term of four columns at a time; where four terms of a column are one vec4, four of four.
 * Beyond the block's end, its last term.
 */
function stageB(tile: WorkgroupTile, n: number, stride: number): string {
  const { b, pairs, slab, workgroup } = tile;
  const [x, y] = workgroup;
  const name = n % 2 === 1 ? (pairs?.partner ?? b.name) : b.name;
  const loop = (count: number, body: readonly string[]) =>
    `for (var i = index; i < ${count}u; i += ${x * y}u) {\n        ${body.join('\n        ')}\n      }`;
  /** The first of four columns. */
  const first = (place: string) =>
    pairs ? pairs.first(`min(${pairAt(tile, n, place)}, ${pairs.count} - 1u)`, n % 2) : columnAt(tile, n, place);
  if (b.layout === 'nk' && b.vectors) {
    const quads = range(4).map(
      (c) => `let q_${c} = load_${name}(b_first + min(first + ${c}u, last_column) * b_stride_n + k);`,
    );
    const stores = LANES.map((lane, j) => {
      const terms = range(4).map((c) => `q_${c}.${lane}`);
      return `b_tile[at + ${j * stride}u] = vec4f(${terms.join(', ')});`;
    });
    return loop((slab / 4) * x, [
      `let k = min(slab + 4u * (i % ${slab / 4}u), end - 1u) / 4u;`,
      `let first = ${first(`(i / ${slab / 4}u)`)};`,
      ...quads,
      `let at = 4u * (i % ${slab / 4}u) * ${stride}u + ${n * x}u + i / ${slab / 4}u;`,
      ...stores,
    ]);
  }
  const scalars = range(4).map(
    (c) => `load_${name}(b_first + min(first + ${c}u, last_column) * b_stride_n + k * b_stride_k)`,
  );
  const value = isVectorOfColumns(b)
    ? `load_${name}(b_first + min(first, last_column) / 4u + k * b_step)`
    : `vec4f(${scalars.join(', ')})`;
  return loop(slab * x, [
    `let k = min(slab + i / ${x}u, end - 1u);`,
    `let first = ${first(`(i % ${x}u)`)};`,
    `b_tile[i / ${x}u * ${stride}u + ${n * x}u + i % ${x}u] = ${value};`,
  ]);
}

/** `b_n_0 … b_n_7`: the segment's terms of four columns. */
function readColumns(n: number, x: number, stride: number): string {
  return range(SEGMENT)
    .map((j) => `let b_${n}_${j} = b_tile[(k + ${j}u) * ${stride}u + ${n * x}u + local.x];`)
    .join(' ');
}

/** `a_m_0 … a_m_7`: the segment's terms of one row. */
function readRow(m: number, y: number, stride: number): string {
  const at = `(${m * y}u + local.y) * ${stride}u + k / 4u`;
  const vectors = range(SEGMENT / 4).map((v) => `let v_${m}_${v} = a_tile[${at} + ${v}u];`);
  const terms = range(SEGMENT).map((j) => `let a_${m}_${j} = v_${m}_${Math.floor(j / 4)}.${LANES[j % 4]};`);
  return [...vectors, ...terms].join(' ');
}
