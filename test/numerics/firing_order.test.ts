// The order of values by their names alone against the graphs of every architecture.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hookRows } from '../../scripts/hook_table.ts';
import { buildGraph } from '../../src/engine/graph.ts';
import { axesOf, firingOrder, mergeOrders } from '../../src/numerics/firing_order.ts';
import { parseConfig } from '../architectures.ts';
import { TINY_CONFIGS } from '../models/tiny.ts';

const LAYERS = 12; // block 10 comes after block 9, which sorting by letters gets wrong

const graphs = Object.entries(TINY_CONFIGS).map(([name, raw]) => {
  const graph = buildGraph({ ...parseConfig(raw), nLayers: LAYERS }, () => true);
  return [name, [...graph.values.values()]] as const;
});

test.each(graphs)('%s: its values in any order come back as they fire, with their axes', (_, values) => {
  const names = values.map(({ name }) => name);
  expect(firingOrder(names.toSorted())).toEqual(names); // as safetensors sorts them
  fc.assert(
    fc.property(fc.shuffledSubarray(names), (some) => {
      const wanted = new Set(some);
      expect(firingOrder(some)).toEqual(names.filter((name) => wanted.has(name)));
    }),
    { numRuns: 20 },
  );
  for (const { name, axes } of values) expect(axesOf(name)).toEqual(axes.map((axis) => axis.name));
});

test('every value of the table of hooks is known', () => {
  const names = hookRows().map(({ name }) => name.replace('{i}', '3'));
  expect(firingOrder(names)).toEqual(names);
  expect(names.filter((name) => axesOf(name) === null)).toEqual([]);
});

test('names that no model has come last, as they stood', () => {
  expect(
    firingOrder(['loss', 'blocks.0.hook_unknown', 'blocks.10.hook_resid_pre', 'a', 'logits', 'blocks.2.hook_mlp_out']),
  ).toEqual(['blocks.2.hook_mlp_out', 'blocks.10.hook_resid_pre', 'logits', 'loss', 'blocks.0.hook_unknown', 'a']);
  expect(firingOrder([])).toEqual([]);
  expect(['loss', 'blocks.0.attn.hook_q_grad', 'blocks.x.hook_resid_pre', ''].map(axesOf)).toEqual([
    null,
    null,
    null,
    null,
  ]);
});

test('orders are merged so that each is kept, or not at all', () => {
  expect(
    mergeOrders([
      ['a', 'c'],
      ['a', 'b', 'c'],
      ['0', 'a', 'c', 'd'],
    ]),
  ).toEqual(['0', 'a', 'b', 'c', 'd']);
  expect(() =>
    mergeOrders([
      ['a', 'b'],
      ['b', 'a'],
    ]),
  ).toThrow('hooks: a fires after b in one architecture');
});
