// Types of size.mjs.

export interface Part {
  /** Of the minified code. */
  readonly bytes: number;
  readonly gzip: number;
  /** Bytes before minification by file: `src/…` or `node_modules/…`. */
  readonly modules: ReadonlyMap<string, number>;
  readonly text: string;
}

export interface Bundle {
  readonly atFirst: Part;
  readonly onDemand: Part;
}

export interface MeasuredBundle extends Bundle {
  readonly title: string;
  /** In kB, gzipped. */
  readonly limits: { readonly atFirst: number; readonly all: number };
}

export const BUNDLES: readonly { readonly title: string; readonly code: string }[];
export function bundle(code: string): Promise<Bundle>;
export function measureSizes(): Promise<MeasuredBundle[]>;
export function isWithin(size: MeasuredBundle): boolean;
export function sizeTable(sizes: readonly MeasuredBundle[]): string;

export interface MeasuredPage {
  /** Of all that the page may load. */
  readonly all: Bundle;
  /** Of a build without packages. */
  readonly withoutPackages: Bundle;
  /** Of a build without packages and without the library. */
  readonly own: Bundle;
}

export const PAGE_LIMITS: { readonly own: number; readonly atFirst: number };
export function measurePage(): Promise<MeasuredPage>;
export function isPageWithin(page: MeasuredPage): boolean;
export function pageLine(page: MeasuredPage): string;
