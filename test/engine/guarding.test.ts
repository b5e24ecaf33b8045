import { expect, test } from 'vitest';
import { guardingOf } from '../../src/engine/guarding.ts';

const SWIFTSHADER: Parameters<typeof guardingOf>[0] = {
  rounding: 'nearest even',
  barrierFromUniform: true,
  barrierOfBrackets: true,
  sums: 'in order',
  sumsOfProducts: 'in order',
  split: true,
  sumsWithConstant: 'in order',
  productsWithConstant: 'in order',
  subnormalInputs: 'flushed',
  subnormalSums: 'flushed',
  subnormalProducts: 'flushed',
};

test('an adapter that flushes and adds in order needs no guards', () => {
  expect(guardingOf(SWIFTSHADER)).toBe('reproducible');
});

test.each<[string, Partial<typeof SWIFTSHADER>]>([
  ['subnormal products are kept', { subnormalProducts: 'kept' }],
  ['subnormal sums are kept', { subnormalSums: 'kept' }],
  ['subnormal inputs are treated in different ways', { subnormalInputs: 'mixed' }],
  ['sums are reordered', { sums: 'other' }],
  ['sums of products are reordered', { sumsOfProducts: 'other' }],
  ['a split is folded', { split: false }],
  ['constants of a sum are added first', { sumsWithConstant: 'other' }],
  ['constants of a product are multiplied first', { productsWithConstant: 'other' }],
])('guarded where %s', (_, measured) => {
  expect(guardingOf({ ...SWIFTSHADER, ...measured })).toBe('guarded');
});

test('where no guard helps it says why', () => {
  expect(() => guardingOf({ ...SWIFTSHADER, rounding: 'other' })).toThrow(
    "device: reproducible numerics are not possible on this adapter (measured: rounding: other). Run with 'fast'.",
  );
  expect(() => guardingOf({ ...SWIFTSHADER, barrierFromUniform: false })).toThrow('barrierFromUniform: false');
  expect(() => guardingOf({ ...SWIFTSHADER, barrierOfBrackets: false })).toThrow('barrierOfBrackets: false');
});
