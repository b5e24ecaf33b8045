// How the elements of a matrix product are shared out over invocations: the tilings there are, by name, and which one serves where
// nobody chose. Not a kernel, and no WGSL of its own: a kernel says what its product is (`MatrixProduct`), a tiling writes its `main`.
//
// A tiling never changes a bit: all make the same additions in the same order (see SEGMENT and BLOCK). So the choice is free, and
// belongs to whoever knows the adapter: the plan hands it to kernels as the option `tiling`.
import type { Options, ProductSizes } from './kernel.ts';
import { type MatrixProduct, type RegisterTiling, registerTileMain } from './register_tile.ts';
import { type SharedSums, sharedSumsMain } from './shared_sums.ts';
import { type WorkgroupTiling, workgroupTileMain } from './workgroup_tile.ts';

export type Tiling =
  | ({ readonly kind: 'register' } & RegisterTiling)
  | ({ readonly kind: 'workgroup' } & WorkgroupTiling)
  | ({ readonly kind: 'shared' } & SharedSums);

/**
 * By name. `register`: rows × columns of C that one invocation computes. `workgroup`: those of one workgroup. `shared`: those of one
 * workgroup whose invocations share sums, by blocks or by segments.
 */
export const TILINGS = {
  'register 1x4': { kind: 'register', rows: 1, columns: 1, workgroup: [32, 1] },
  'register 4x4': { kind: 'register', rows: 4, columns: 1, workgroup: [8, 4] },
  'register 4x8': { kind: 'register', rows: 4, columns: 2, workgroup: [8, 4] },
  'register 8x8': { kind: 'register', rows: 8, columns: 2, workgroup: [8, 4] },
  'register 16x8': { kind: 'register', rows: 16, columns: 2, workgroup: [8, 4] },
  'workgroup 16x64': { kind: 'workgroup', rows: 2, columns: 1, workgroup: [16, 8], slab: 32 },
  'workgroup 32x32': { kind: 'workgroup', rows: 4, columns: 1, workgroup: [8, 8], slab: 32 },
  'workgroup 64x64': { kind: 'workgroup', rows: 8, columns: 1, workgroup: [16, 8], slab: 16 },
  'workgroup 128x64': { kind: 'workgroup', rows: 8, columns: 1, workgroup: [16, 16], slab: 16 },
  'workgroup 128x128': { kind: 'workgroup', rows: 8, columns: 2, workgroup: [16, 16], slab: 8 },
  'shared 1x64 by blocks': { kind: 'shared', rows: 1, columns: 1, across: 16, parts: 16, unit: 'block', units: 16 },
  'shared 4x64 by blocks': { kind: 'shared', rows: 4, columns: 1, across: 16, parts: 8, unit: 'block', units: 8 },
  'shared 1x32 by segments': { kind: 'shared', rows: 1, columns: 1, across: 8, parts: 32, unit: 'segment', units: 64 },
  'shared 4x16 by segments': { kind: 'shared', rows: 4, columns: 1, across: 4, parts: 32, unit: 'segment', units: 32 },
} as const satisfies Readonly<Record<string, Tiling>>;

export type TilingName = keyof typeof TILINGS;

export function isTilingName(name: unknown): name is TilingName {
  return typeof name === 'string' && Object.hasOwn(TILINGS, name);
}

/** What computes: a GPU, or a CPU that does as if it were one. */
export type AdapterKind = 'hardware' | 'software';

/** From so many multiply-adds on, a larger tile earns what it costs to compile on software adapters. */
const LARGE_PRODUCT = 2 ** 25;

/** Workgroups that a GPU should have at least, so that all of it works. */
const ENOUGH_WORKGROUPS = 64;

/**
 * The tiling where nobody chose one. On software adapters: sixteen or eight rows in registers where there are enough, one for a
 * few; workgroup memory is slower there than the caches that it imitates. On GPUs: tiles in workgroup memory for many rows, shared sums
 * for a few where they are long.
 */
export function defaultTiling(sizes: ProductSizes, adapter: AdapterKind = 'software'): TilingName {
  const { rows, columns, depth, groups, layout } = sizes;
  if (adapter === 'software') {
    if (rows < 6) return 'register 1x4';
    return rows >= 32 && rows * columns * depth >= LARGE_PRODUCT ? 'register 16x8' : 'register 8x8';
  }
  if (rows < 6) {
    if (depth < 256) return 'register 1x4';
    if (layout === 'kn') return rows === 1 ? 'shared 1x64 by blocks' : 'shared 4x64 by blocks';
    return rows === 1 ? 'shared 1x32 by segments' : 'shared 4x16 by segments';
  }
  if (rows <= 16) return 'workgroup 16x64';
  const workgroups = Math.ceil(rows / 64) * Math.ceil(columns / 64) * groups;
  return workgroups >= ENOUGH_WORKGROUPS ? 'workgroup 64x64' : 'workgroup 32x32';
}

/** Tilings worth trying for a product of these sizes, the default first. */
export function candidateTilings(sizes: ProductSizes, adapter: AdapterKind): TilingName[] {
  const { rows, depth, layout } = sizes;
  const others: TilingName[] = [];
  if (rows === 1) others.push('register 1x4');
  else if (rows < 6) others.push('register 1x4', 'register 4x4');
  else others.push('register 8x8', rows < 32 ? 'register 4x8' : 'register 16x8');
  if (adapter === 'hardware') {
    if (rows === 1) others.push(layout === 'kn' ? 'shared 1x64 by blocks' : 'shared 1x32 by segments');
    else if (rows < 6) others.push(layout === 'kn' ? 'shared 4x64 by blocks' : 'shared 4x16 by segments');
    else if (rows < 32) others.push('workgroup 16x64', 'workgroup 32x32');
    else others.push('workgroup 32x32', 'workgroup 64x64', 'workgroup 128x64', 'workgroup 128x128');
    if (rows === 1 && layout === 'kn' && depth <= 1024) others.push('shared 1x32 by segments');
  }
  return [...new Set([defaultTiling(sizes, adapter), ...others])];
}

/**
 * The tiling of one use of a kernel: its option `tiling`, or the default. Where columns come in pairs it has an even number of column
 * groups.
 * @throws Error if there is none of that name
 */
export function tilingOf(options: Options, sizes: ProductSizes): Tiling {
  const name = options.tiling ?? defaultTiling(sizes);
  if (!isTilingName(name)) {
    throw new Error(`kernels: no tiling "${name}". There are ${Object.keys(TILINGS).join(', ')}.`);
  }
  return sizes.hasPairs ? withPairs(TILINGS[name]) : TILINGS[name];
}

/** Twice the columns of an invocation; where a workgroup shares memory, on half as many invocations, so that all of it still fits. */
function withPairs(tiling: Tiling): Tiling {
  if (tiling.columns % 2 === 0) return tiling;
  const columns = 2 * tiling.columns;
  if (tiling.kind === 'register') return { ...tiling, columns };
  if (tiling.kind === 'shared') return { ...tiling, columns, across: tiling.across / 2 };
  return { ...tiling, columns, workgroup: [tiling.workgroup[0] / 2, tiling.workgroup[1]] };
}

/** Rows and columns of C that one workgroup computes. */
export function tileOfWorkgroup(tiling: Tiling): { rows: number; columns: number } {
  const { rows, columns } = tiling;
  const [x, y] = tiling.kind === 'shared' ? [tiling.across, 1] : tiling.workgroup;
  return { rows: rows * y, columns: 4 * columns * x };
}

/** Invocations of one workgroup. */
export function workgroupSize(tiling: Tiling): number {
  return tiling.kind === 'shared' ? tiling.across * tiling.parts : tiling.workgroup[0] * tiling.workgroup[1];
}

/** Workgroups that cover rows × columns, for each of the groups. */
export function productWorkgroups(tiling: Tiling, { rows, columns, groups }: ProductSizes): [number, number, number] {
  const tile = tileOfWorkgroup(tiling);
  return [Math.ceil(columns / tile.columns), Math.ceil(rows / tile.rows), groups];
}

/** `main` of a product in a tiling; what the kernel defines beside it: see `registerTileMain`. */
export function productMain(tiling: Tiling, product: MatrixProduct): string {
  if (tiling.kind === 'workgroup') return workgroupTileMain({ ...tiling, ...product });
  if (tiling.kind === 'shared') return sharedSumsMain({ ...tiling, ...product });
  return registerTileMain({ ...tiling, ...product });
}
