// How the elements of a matrix product are shared out over invocations: the tilings there are, by name, and which one serves where
// nobody chose. Not a kernel, and no WGSL of its own: a kernel says what its product is (`MatrixProduct`), a tiling writes its `main`.
//
// A tiling never changes a bit: all make the same additions in the same order (see SEGMENT and BLOCK). So the choice is free, and
// belongs to whoever knows the adapter: the plan hands it to kernels as the option `tiling`.
import type { Options, ProductSizes } from './kernel.ts';
import { type MatrixProduct, type RegisterTiling, registerTileMain } from './register_tile.ts';

export type Tiling = { readonly kind: 'register' } & RegisterTiling;

/** By name: what one invocation computes, rows × columns. */
export const TILINGS = {
  'register 1x4': { kind: 'register', rows: 1, columns: 1, workgroup: [32, 1] },
  'register 8x8': { kind: 'register', rows: 8, columns: 2, workgroup: [8, 4] },
} as const satisfies Readonly<Record<string, Tiling>>;

export type TilingName = keyof typeof TILINGS;

export function isTilingName(name: unknown): name is TilingName {
  return typeof name === 'string' && Object.hasOwn(TILINGS, name);
}

/** The tiling where nobody chose one: eight rows where there are enough, one for a few. */
export function defaultTiling({ rows }: Pick<ProductSizes, 'rows'>): TilingName {
  return rows >= 6 ? 'register 8x8' : 'register 1x4';
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

function withPairs(tiling: Tiling): Tiling {
  return tiling.columns % 2 === 0 ? tiling : { ...tiling, columns: 2 * tiling.columns };
}

/** Rows and columns of C that one workgroup computes. */
export function tileOfWorkgroup({ rows, columns, workgroup }: Tiling): { rows: number; columns: number } {
  return { rows: rows * workgroup[1], columns: 4 * columns * workgroup[0] };
}

/** Workgroups that cover rows × columns, for each of the groups. */
export function productWorkgroups(tiling: Tiling, { rows, columns, groups }: ProductSizes): [number, number, number] {
  const tile = tileOfWorkgroup(tiling);
  return [Math.ceil(columns / tile.columns), Math.ceil(rows / tile.rows), groups];
}

/** `main` of a product in a tiling; what the kernel defines beside it: see `registerTileMain`. */
export function productMain(tiling: Tiling, product: MatrixProduct): string {
  return registerTileMain({ ...tiling, ...product });
}
