// The doctor on tilings: how a model's matrix products are shared out over the GPU, who chose that, and what tuning found.
import type { Model, Plan, TilingName, TilingOrigin, TunedProduct } from '../index.ts';
import { progressLine } from './progress.ts';

/** The products of one run that have the same tiling. */
export interface TilingInUse {
  readonly pos: number;
  readonly tiling: TilingName;
  readonly origin: TilingOrigin;
  /** Kernel and sizes, depth × columns: `matmul 128x512`. */
  readonly products: readonly string[];
}

/** One product whose tiling was measured. */
export type Tuned = Pick<TunedProduct, 'name' | 'before' | 'best' | 'medianMs'>;

/** Rows of a product that say most: one token, a few, many. */
const ROWS = [1, 8, 64];

/** Tilings of runs of a few lengths. */
export function tilingsInUse(model: Model): TilingInUse[] {
  const lengths = ROWS.filter((pos) => pos <= model.config.nCtx);
  return lengths.flatMap((pos) => tilingsOf(model.plan({ pos }), pos));
}

function tilingsOf({ steps }: Plan, pos: number): TilingInUse[] {
  const found = new Map<string, { tiling: TilingName; origin: TilingOrigin; products: Set<string> }>();
  for (const step of steps) {
    if (step.kind !== 'dispatch' || !step.product || !step.tiling) continue;
    const { tiling, origin } = step.tiling;
    const { kernel, sizes } = step.product;
    const key = `${tiling} ${origin}`;
    const same = found.get(key) ?? { tiling, origin, products: new Set<string>() };
    found.set(key, same);
    same.products.add(`${kernel} ${sizes.depth}x${sizes.columns}`);
  }
  return [...found.values()].map(({ products, ...rest }) => ({ pos, ...rest, products: [...products] }));
}

/** Tunes the model, with a line on the terminal that says how far it is. */
export async function tune(model: Model, signal: AbortSignal): Promise<Tuned[]> {
  const progress = progressLine();
  try {
    const onProgress = ({ product, measured }: { product: string; measured: number }) =>
      progress.show(`tuning, ${measured} measured: ${product}`);
    const tuned = await model.tune({ signal, onProgress });
    return tuned.map(({ name, before, best, medianMs }) => ({ name, before, best, medianMs }));
  } finally {
    progress.clear();
  }
}

/** `1 token: register 1x4 (default)`; what only some products have is said with them, behind what most have. */
export function formatTilings(inUse: readonly TilingInUse[]): string[] {
  const lengths = [...new Set(inUse.map(({ pos }) => pos))];
  return lengths.map((pos) => {
    const [most, ...others] = inUse
      .filter((use) => use.pos === pos)
      .sort((a, b) => b.products.length - a.products.length);
    const say = ({ tiling, origin }: TilingInUse) => `${tiling} (${origin})`;
    const rest = others.map((use) => `; ${say(use)}: ${use.products.join(', ')}`);
    return `tilings, ${pos === 1 ? '1 token' : `${pos} tokens`}: ${say(most)}${rest.join('')}`;
  });
}

/** How many products were measured, and those that have another tiling now. */
export function formatTuned(tuned: readonly Tuned[]): string[] {
  const changed = tuned.filter(({ best, before }) => best !== before);
  const lines = changed.map(({ name, before, best, medianMs }) => {
    const gain = (medianMs[before] ?? 0) / (medianMs[best] ?? 1);
    return `- ${name}: ${before} → ${best}, ${gain.toFixed(2)} × as fast`;
  });
  return [`tuned: ${tuned.length} products measured, ${changed.length} with another tiling now`, ...lines];
}
