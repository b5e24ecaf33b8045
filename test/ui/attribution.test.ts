// What the page makes of an attribution: bars, their order and sums, and what they stand for.
import { expect, test } from 'vitest';
import { barsAt, componentOf, largestOf, sumOf } from '../../src/ui/attribution.ts';

const BARS = [1, -4, 0.5, 2, -0.25].map((value, i) => ({ label: `L0H${i}`, value }));

test('bars are the components at one position', () => {
  const attribution = {
    labels: ['embed', 'bias'],
    values: [1, 2, 3, 4, 5, 6],
    positions: 3,
    constant: 0,
    logits: [5, 7, 9],
  };
  expect(barsAt(attribution, 1)).toEqual([
    { label: 'embed', value: 2 },
    { label: 'bias', value: 5 },
  ]);
});

test('the largest come first, and what is left out is one bar, so that the sum stays', () => {
  const largest = largestOf(BARS, 3);
  expect(largest.map(({ label, value }) => [label, value])).toEqual([
    ['L0H1', -4],
    ['L0H3', 2],
    ['3 others', 1.25],
  ]);
  expect(sumOf(largest)).toBe(sumOf(BARS));
  expect(largestOf(BARS, 5)).toHaveLength(5);
});

test.each([
  ['L2H13', { hook: 'blocks.2.attn.hook_result', layer: 2, head: 13 }],
  ['11_mlp_out', { hook: 'blocks.11.hook_mlp_out', layer: 11, head: null }],
  ['pos_embed', { hook: 'hook_pos_embed', layer: null, head: null }],
  ['bias', null],
  ['3 others', null],
])('%s is selected as what it is', (label, component) => {
  expect(componentOf(label)).toEqual(component);
});
