// What `hyaline doctor` says about tilings.
import { expect, test } from 'vitest';
import { formatTilings, formatTuned } from '../../src/cli/doctor_tilings.ts';

test('tilings in use: what most products have, then the others with theirs', () => {
  expect(
    formatTilings([
      { pos: 1, tiling: 'register 1x4', origin: 'default', products: ['matmul 128x128', 'unembed 128x2048'] },
      { pos: 64, tiling: 'register 16x8', origin: 'remembered', products: ['unembed 128x2048'] },
      { pos: 64, tiling: 'register 8x8', origin: 'default', products: ['matmul 128x128', 'matmul 128x512'] },
    ]),
  ).toEqual([
    'tilings, 1 token: register 1x4 (default)',
    'tilings, 64 tokens: register 8x8 (default); register 16x8 (remembered): unembed 128x2048',
  ]);
});

test('tuned: how many were measured, and what changed by how much', () => {
  const name = 'unembed 128x2048, 32 rows or more, fast';
  const medianMs = { 'register 8x8': 3, 'register 16x8': 2 };
  expect(
    formatTuned([
      { name, before: 'register 8x8', best: 'register 16x8', medianMs },
      {
        name: 'matmul 8x8, 1 row, fast',
        before: 'register 1x4',
        best: 'register 1x4',
        medianMs: { 'register 1x4': 1 },
      },
    ]),
  ).toEqual([
    'tuned: 2 products measured, 1 with another tiling now',
    '- unembed 128x2048, 32 rows or more, fast: register 8x8 → register 16x8, 1.50 × as fast',
  ]);
  expect(formatTuned([])).toEqual(['tuned: 0 products measured, 0 with another tiling now']);
});
