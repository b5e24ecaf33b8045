// The map of a model: every value has one place, and the stream is found in every architecture.
import { expect, test } from 'vitest';
import { buildGraph } from '../../src/engine/graph.ts';
import { mapOf, placesOf, summaryOf } from '../../src/ui/model_map.ts';
import { parseConfig } from '../architectures.ts';
import { TINY_CONFIGS } from '../models/tiny.ts';

const namesOf = (raw: string) => [...buildGraph(parseConfig(TINY_CONFIGS[raw]), () => true).values.keys()];

test.each(Object.keys(TINY_CONFIGS))(
  '%s: every value has one place, in a section for each block and one at each end',
  (raw) => {
    const names = namesOf(raw);
    const sections = mapOf(names);
    const { nLayers } = parseConfig(TINY_CONFIGS[raw]);
    const blocks = Array.from({ length: nLayers }, (_, layer) => layer);
    expect(sections.map(({ layer }) => layer)).toEqual([null, ...blocks, null]);
    expect(
      sections
        .flatMap(placesOf)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...names].sort());
  },
);

test.each(Object.keys(TINY_CONFIGS))(
  '%s: a block is its stream, and branches that end in what they add to it',
  (raw) => {
    const { attnOnly } = parseConfig(TINY_CONFIGS[raw]);
    for (const { layer, stages } of mapOf(namesOf(raw))) {
      if (layer === null) continue;
      const stream = stages.map(({ stream }) => stream?.shortName);
      const sums = stages.map(({ sum }) => sum?.name ?? null);
      const block = `blocks.${layer}`;
      expect(stream).toEqual(attnOnly ? ['resid_pre', 'resid_post'] : ['resid_pre', 'resid_mid', 'resid_post']);
      expect(sums).toEqual([`${block}.hook_attn_out`, ...(attnOnly ? [] : [`${block}.hook_mlp_out`]), null]);
    }
  },
);

test('a folded block is what it adds, and the stream at its end', () => {
  const [, block] = mapOf(namesOf('gpt2'));
  expect(summaryOf(block).map(({ shortName }) => shortName)).toEqual(['attn_out', 'mlp_out', 'resid_post']);
});

test('neighbours of a module stand together, whatever fires between them', () => {
  const [, block] = mapOf(namesOf('gpt2'));
  expect(block.stages[0].branch.map(({ module }) => module)).toEqual(['', 'ln1', 'attn']);
});
