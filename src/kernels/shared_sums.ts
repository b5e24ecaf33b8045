// The matrix product for a few rows, for GPUs: the invocations of a workgroup share each sum. Where there are few elements of C and long
// sums, one invocation per element would leave most of a GPU idle, and what a product of few rows costs is reading B once.
// Not a kernel: it writes `main` for one (tiling.ts).
//
// Order of every sum: that of register_tile.ts. An invocation computes whole segments or whole blocks; their sums meet in workgroup
// memory, where one invocation adds a block's segments in sequence, and one the blocks.
// Neighbouring invocations read what lies side by side: columns where B has columns side by side (`kn`), parts of one column's sum
// where that is contiguous (`nk`). All fits into what WebGPU guarantees: 16 KiB and 256 invocations.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { SEGMENT } from './kernel.ts';
import {
  chain,
  columnBases,
  columnIndex,
  LANES,
  lines,
  loadColumns,
  loadRow,
  type MatrixProduct,
  range,
  segmentSum,
  stepOfB,
} from './register_tile.ts';

export interface SharedSums {
  readonly rows: number;
  /** Number of vec4 columns of one invocation. */
  readonly columns: number;
  /** Invocations side by side along the columns. */
  readonly across: number;
  /** Invocations that share a sum: at least rows · columns. */
  readonly parts: number;
  /** What an invocation computes at a time. */
  readonly unit: 'segment' | 'block';
  /** Segments or blocks of a sum that workgroup memory holds at a time; of segments, the whole blocks among them are used. */
  readonly units: number;
}

export type SharedSumsTile = SharedSums & MatrixProduct;

/** Bytes of workgroup memory. */
export function sharedSumsBytes({ rows, columns, across, units }: SharedSums): number {
  return 16 * rows * columns * across * (units + 1);
}

/** `main` for a kernel that defines what `registerTileMain` says. */
export function sharedSumsMain(tile: SharedSumsTile): string {
  const { across, parts, units, block, b, pairs } = tile;
  // A head may have more segments than fit.
  const unit = Math.ceil(block / SEGMENT) <= units ? tile.unit : 'block';
  const rows = range(tile.rows);
  const columns = range(tile.columns);
  const each = (f: (m: number, n: number) => string) => rows.flatMap((m) => columns.map((n) => f(m, n))).join('\n');
  /** Sums of the workgroup's tile, in vec4; and what is stored together: one of them, or a pair. */
  const sums = tile.rows * tile.columns * across;
  const sides = pairs ? 2 : 1;
  const items = sums / sides;
  const groups = tile.columns / sides;
  const eachSide = (f: (side: number) => string) => range(sides).map(f).join(' ');
  const unitsPerBlock = unit === 'segment' ? Math.ceil(block / SEGMENT) : 1;
  const blocks = Math.floor(units / unitsPerBlock);
  const columnsFirst = b.layout === 'kn';
  const at = (u: string, item: string) =>
    columnsFirst ? `sums[(${u}) * ${sums}u + ${item}]` : `sums[(${item}) * ${blocks * unitsPerBlock + 1}u + ${u}]`;
  const keep = (name: string) =>
    each((m, n) => `${at('unit', `${(m * tile.columns + n) * across}u + column_place`)} = ${name}_${m}_${n};`);
  const [size, columnPlace, part] = columnsFirst
    ? [`${across}, ${parts}`, 'local.x', 'local.y']
    : [`${parts}, ${across}`, 'local.y', 'local.x'];
  const storeItem = (store: (column: string, lane: string) => string) =>
    LANES.map((lane, c) => `if (item_column_0 + ${c}u <= last_column) { ${store(`+ ${c}u`, lane)} }`).join(' ');
  const storeTotal = (offset: string, lane: string) => {
    const columns = range(sides).map((side) => `item_column_${side} ${offset}`);
    const values = range(sides).map((side) => `total_${side}.${lane}`);
    return `${pairs ? 'store_pair' : 'store'}(group, item_row, ${[...columns, ...values].join(', ')});`;
  };
  return wgsl`
var<workgroup> sums: array<vec4f, ${sums * (blocks * unitsPerBlock + 1)}>;

@compute @workgroup_size(${size})
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let column_place = ${columnPlace};
  let part = ${part};
  let row0 = workgroup.y * ${tile.rows}u;
  let group = workgroup.z;
  let place0 = workgroup.x * ${across}u;
  ${pairs ? `let pair0 = (place0 + column_place) * ${groups}u;` : `let column0 = (place0 + column_place) * ${4 * groups}u;`}
  if (place0 * ${groups}u >= ${pairs ? pairs.count : '(column_count(group) + 3u) / 4u'}) { return; }
  // Rows and columns beyond the edge are the last one again, and not stored.
  let last_row = row_count() - 1u;
  let last_column = column_count(group) - 1u;
  let b_first = b_base(group);
  ${stepOfB(tile)}
  ${lines(rows, (m) => `let a_${m} = a_base(group, min(row0 + ${m}u, last_row));`)}
  ${lines(range(4 * tile.columns), (c) => `let column_${c} = ${columnIndex(tile, c)};`)}
  ${lines(columns, (n) => columnBases(tile, n))}
  // Of the workgroup's sums, the one or the pair that this invocation adds up and stores.
  let is_adder = index < ${items}u;
  let item_row = row0 + index / ${groups * across}u;
  let item_group = (place0 + index % ${across}u) * ${groups}u + index / ${across}u % ${groups}u;
  let is_stored = is_adder && item_row < row_count()${pairs ? ` && item_group < ${pairs.count}` : ''};
  ${eachSide((side) => `let item_column_${side} = ${pairs ? pairs.first('item_group', side) : '4u * item_group'};`)}
  ${eachSide((side) => `let item_${side} = (index / ${across}u * ${sides}u + ${side}u) * ${across}u + index % ${across}u;`)}
  let block_count = (depth() + ${block - 1}u) / ${block}u;
  ${eachSide((side) => `var total_${side} = vec4f(0.0);`)}
  for (var first = 0u; first < block_count; first += ${blocks}u) {
    for (var unit = part; unit < ${blocks * unitsPerBlock}u; unit += ${parts}u) {
      let start = (first + unit / ${unitsPerBlock}u) * ${block}u;
      let end = min(start + ${block}u, depth());
      #if ${unit === 'segment'}
      let k = start + unit % ${unitsPerBlock}u * ${SEGMENT}u;
      if (k < end) {
        ${lines(columns, (n) => loadColumns(tile, n))}
        ${lines(rows, (m) => `${loadRow(tile, m)}\n${columns.map((n) => segmentSum(m, n)).join('\n')}`)}
        ${keep('s')}
      }
      #else
      ${each((m, n) => `var block_${m}_${n} = vec4f(0.0);`)}
      for (var k = start; k < end; k += ${SEGMENT}u) {
        ${lines(columns, (n) => loadColumns(tile, n))}
        ${lines(rows, (m) => `${loadRow(tile, m)}\n${columns.map((n) => chain(m, n)).join('\n')}`)}
      }
      ${keep('block')}
      #endif
    }
    workgroupBarrier();
    #if ${unit === 'segment'}
    // Each block's segments in sequence; the block's sum then lies where its first segment's lay.
    for (var i = index; i < ${blocks * sums}u; i += ${parts * across}u) {
      let item = i % ${sums}u;
      let first_unit = i / ${sums}u * ${unitsPerBlock}u;
      let start = (first + i / ${sums}u) * ${block}u;
      let end = min(start + ${block}u, depth());
      var block = vec4f(0.0);
      for (var u = 0u; start + u * ${SEGMENT}u < end; u++) { block = plus4(block, ${at('first_unit + u', 'item')}); }
      ${at('first_unit', 'item')} = block;
    }
    workgroupBarrier();
    #endif
    // Blocks in sequence.
    if (is_adder) {
      for (var i = 0u; i < min(${blocks}u, block_count - first); i++) {
        ${eachSide((side) => `var block_${side} = ${at(`i * ${unitsPerBlock}u`, `item_${side}`)};`)}
        #if ${tile.blocksAreValues}
        ${eachSide((side) => `block_${side} = stored4(block_${side});`)}
        #endif
        #if ${tile.storeBlocks}
        if (is_stored) { ${storeItem((offset, lane) => `store_block(group, item_row, first + i, item_column_0 ${offset}, block_0.${lane});`)} }
        #endif
        ${eachSide((side) => `total_${side} = plus4(total_${side}, block_${side});`)}
      }
    }
    workgroupBarrier();
  }
  if (is_stored) { ${storeItem(storeTotal)} }
}
`;
}
