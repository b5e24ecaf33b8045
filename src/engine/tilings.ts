// Which tiling each matrix product has on a device, and who chose it. Choosing never changes a bit of a result (kernels/tiling.ts).
// Measuring is the tuner's (tuner.ts), keeping it between loads the store's (tiling_store.ts).
import type { ProductSizes } from '../kernels/kernel.ts';
import type { Arithmetic } from '../kernels/prelude.ts';
import { type AdapterKind, defaultTiling, isTilingName, TILINGS, type TilingName } from '../kernels/tiling.ts';
import type { WeightFormat } from '../kernels/weight_formats.ts';

/**
 * Who chose: the rule for this kind of adapter, an earlier measurement that was kept, one of this load, or the caller.
 */
export type TilingOrigin = 'default' | 'remembered' | 'tuned' | 'given';

/** One matrix product of a plan. */
export interface Product {
  readonly kernel: string;
  readonly sizes: ProductSizes;
  readonly arithmetic: Arithmetic;
  /** What its matrix of weights is stored in; float32 if absent. */
  readonly format?: WeightFormat;
}

export interface TilingChoice {
  readonly tiling: TilingName;
  readonly origin: TilingOrigin;
}

/**
 * What the caller wants. `remembered`: what was measured on this adapter, and the default for all else. `default`: the default for all.
 * A tiling's name: that one for all. A function: what it says, and what is remembered where it says nothing.
 */
export type TilingRequest =
  | 'remembered'
  | 'default'
  | TilingName
  | ((product: Product) => TilingName | null | undefined);

/** Row counts from which on another tiling may be the best one, and one of each class that the tuner measures. */
export const ROW_CLASSES = [
  { from: 1, measured: 1, name: '1 row' },
  { from: 2, measured: 4, name: '2 to 5 rows' },
  { from: 6, measured: 16, name: '6 to 31 rows' },
  { from: 32, measured: 64, name: '32 rows or more' },
] as const;

/** Products that share a choice, in words: `matmul 128x512, 1 row, fast`; with their number where one dispatch computes several. */
export function productClass({ kernel, sizes, arithmetic, format = 'f32' }: Product): string {
  const rows = ROW_CLASSES.findLast(({ from }) => sizes.rows >= from) ?? ROW_CLASSES[0];
  const count = sizes.groups === 1 ? '' : `${sizes.groups} · `;
  return `${kernel} ${count}${sizes.depth}x${sizes.columns}, ${rows.name}, ${arithmetic}${format === 'f32' ? '' : `, ${format}`}`;
}

/** @throws Error if it is nothing of the kind */
export function checkTilingRequest(request: unknown): TilingRequest {
  if (request === 'remembered' || request === 'default' || isTilingName(request)) return request;
  if (typeof request === 'function') return request as TilingRequest;
  throw new Error(
    `load: tilings is 'remembered', 'default', a function, or one of ${Object.keys(TILINGS).join(', ')}; got ${JSON.stringify(request)}.`,
  );
}

export class Tilings {
  readonly adapter: AdapterKind;
  private readonly request: TilingRequest;
  private readonly remembered: ReadonlyMap<string, TilingName>;
  private readonly tuned = new Map<string, TilingName>();

  /** @param remembered by class */
  constructor(
    adapter: AdapterKind,
    request: TilingRequest = 'default',
    remembered: ReadonlyMap<string, TilingName> = new Map(),
  ) {
    this.adapter = adapter;
    this.request = request;
    this.remembered = request === 'default' ? new Map() : remembered;
  }

  /**
   * The tiling of a product. Only products with weights have what was measured: the sizes of the others depend on the run, and
   * measuring one of them tells nothing about the next.
   */
  choose(product: Product): TilingChoice {
    const { request } = this;
    const given = typeof request === 'function' ? request(product) : request;
    if (given && given !== 'default' && given !== 'remembered') return { tiling: given, origin: 'given' };
    const name = productClass(product);
    const tuned = this.tuned.get(name);
    if (tuned) return { tiling: tuned, origin: 'tuned' };
    const remembered = this.remembered.get(name);
    if (remembered) return { tiling: remembered, origin: 'remembered' };
    return { tiling: defaultTiling(product.sizes, this.adapter), origin: 'default' };
  }

  /** Takes what was measured. */
  tune(measured: ReadonlyMap<string, TilingName>): void {
    for (const [name, tiling] of measured) this.tuned.set(name, tiling);
  }
}
