// The layout of weights on the GPU, there and back.
import { expect, test } from 'vitest';
import type { WeightSpec } from '../../src/engine/config.ts';
import { packWeight, unpackWeight, weightLayout } from '../../src/engine/weights.ts';

const spec = (name: string, ...shape: number[]): WeightSpec => ({ name, shape, axes: [], optional: false });

test.each([
  spec('blocks.0.attn.W_Q', 3, 5, 2),
  spec('blocks.0.attn.W_O', 3, 2, 5),
  spec('blocks.0.mlp.W_out', 7, 5),
  spec('blocks.0.mlp.W_in', 4, 8),
  spec('unembed.W_U', 5, 7),
  spec('embed.W_E', 7, 5),
  spec('embed.W_E', 7, 4),
  spec('pos_embed.W_pos', 3, 5),
  spec('blocks.0.attn.b_Q', 3, 2),
])('$name $shape comes back from the GPU order as it was', (weight) => {
  const count = weight.shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: count }, (_, i) => i + 1);
  const layout = weightLayout(weight, 2 ** 20);
  expect(unpackWeight(weight, packWeight(weight, data, layout), layout)).toEqual(data);
});

test.each([
  spec('blocks.0.attn.W_O', 3, 2, 5),
  spec('blocks.0.mlp.W_in', 4, 8),
  spec('unembed.W_U', 5, 7),
  spec('unembed.W_U', 4, 7),
])('$name $shape lies the same when it comes transposed', (weight) => {
  const columns = weight.shape[weight.shape.length - 1];
  const rows = weight.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: rows * columns }, (_, i) => i + 1);
  const transposed = Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
  const layout = weightLayout(weight, 2 ** 20);
  expect(packWeight(weight, transposed, layout, true)).toEqual(packWeight(weight, data, layout));
});

test('W_Q [head, d_model, d_head] lies as one matrix [d_model, head · d_head], W_U as rows of the vocabulary', () => {
  const query = spec('blocks.0.attn.W_Q', 2, 2, 2);
  const data = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  // Row d_model 0: head 0's (1, 2), head 1's (5, 6). Row 1: (3, 4), (7, 8).
  expect([...packWeight(query, data, weightLayout(query, 1024))]).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
  const unembedding = spec('unembed.W_U', 2, 3);
  // Columns (1, 4), (2, 5), (3, 6), each padded to a vec4.
  expect([...packWeight(unembedding, Float32Array.of(1, 2, 3, 4, 5, 6), weightLayout(unembedding, 1024))]).toEqual([
    1, 4, 0, 0, 2, 5, 0, 0, 3, 6, 0, 0,
  ]);
});
