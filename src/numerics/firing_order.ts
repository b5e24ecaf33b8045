// In which order values fire and along which axes they lie, by their names alone: files hold neither. Both come from the graph. Not
// for a model that is at hand, which has them in `model.hooks`.
import type { ModelConfig } from '../engine/config.ts';
import { buildGraph, type GraphValue } from '../engine/graph.ts';

/** A model of one block with every value that any model has, but for what its kind of position embedding decides. */
const EVERY_VALUE: Omit<ModelConfig, 'positionalEmbeddingType'> = {
  modelType: 'every value',
  nLayers: 1,
  dModel: 2,
  nCtx: 1,
  nHeads: 1,
  nKeyValueHeads: 1,
  dHead: 2,
  dMlp: 1,
  dVocab: 1,
  dVocabOut: 1,
  actFn: 'silu',
  gatedMlp: true,
  attnOnly: false,
  normalizationType: 'LN',
  finalNormalizationType: 'LN',
  eps: 1,
  rotaryDim: 2,
  rotaryBase: 1,
  attnScale: 1,
  attnScoresSoftCap: null,
  outputLogitsSoftCap: 1,
  tiedEmbedding: false,
  bosTokenId: null,
};

interface KnownValues {
  /** In firing order; those of the blocks as block 0 has them. */
  readonly order: readonly string[];
  readonly values: ReadonlyMap<string, GraphValue>;
}

let known: KnownValues | null = null;

function knownValues(): KnownValues {
  if (!known) {
    const graphs = (['standard', 'rotary'] as const).map((positionalEmbeddingType) =>
      buildGraph({ ...EVERY_VALUE, positionalEmbeddingType }, () => true),
    );
    const values = new Map(graphs.flatMap((graph) => [...graph.values]));
    known = { order: mergeOrders(graphs.map((graph) => [...graph.values.keys()])), values };
  }
  return known;
}

/** One order in which each of these orders is kept: a name that is new stands behind the one before it. */
export function mergeOrders(orders: readonly (readonly string[])[]): string[] {
  const merged: string[] = [];
  for (const order of orders) {
    order.forEach((name, index) => {
      if (!merged.includes(name)) merged.splice(index === 0 ? 0 : merged.indexOf(order[index - 1]) + 1, 0, name);
    });
    const places = order.map((name) => merged.indexOf(name));
    const back = places.findIndex((place, index) => index > 0 && place < places[index - 1]);
    if (back >= 0)
      throw new Error(
        `hooks: ${order[back]} fires after ${order[back - 1]} in one architecture and before it in another.`,
      );
  }
  return merged;
}

const BLOCK = /^blocks\.(\d+)\./;

/**
 * These names in the order in which a model computes the values; names that no model has come last, as they stood.
 * @example
 * firingOrder(['logits', 'loss', 'blocks.10.hook_mlp_out', 'blocks.9.hook_mlp_out', 'hook_embed']);
 * // ['hook_embed', 'blocks.9.hook_mlp_out', 'blocks.10.hook_mlp_out', 'logits', 'loss']
 */
export function firingOrder(names: Iterable<string>): string[] {
  const { order } = knownValues();
  const places = Array.from(names, (name) => {
    const index = order.indexOf(name.replace(BLOCK, 'blocks.0.'));
    const isKnown = index >= 0;
    return { name, index: isKnown ? index : order.length, block: isKnown ? Number(BLOCK.exec(name)?.[1] ?? -1) : -1 };
  });
  // What is in blocks stands together in the order: there the block decides first.
  places.sort((a, b) => (a.block >= 0 && b.block >= 0 && a.block - b.block) || a.index - b.index);
  return places.map(({ name }) => name);
}

/** The axes of the value of this name, or null where no model has one. */
export function axesOf(name: string): readonly string[] | null {
  const value = knownValues().values.get(name.replace(BLOCK, 'blocks.0.'));
  return value?.axes.map((axis) => axis.name) ?? null;
}
