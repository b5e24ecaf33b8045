// Who chooses a product's tiling, and where what was measured is kept.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { rememberedTilings, rememberTilings, tilingFile } from '../../src/engine/tiling_store.ts';
import { checkTilingRequest, type Product, productClass, Tilings } from '../../src/engine/tilings.ts';
import { candidateTilings, defaultTiling, isTilingName, type TilingName } from '../../src/kernels/tiling.ts';

const product = (rows: number, sizes: Partial<Product['sizes']> = {}): Product => ({
  kernel: 'matmul',
  sizes: { rows, columns: 512, depth: 128, groups: 1, layout: 'kn', hasWeights: true, ...sizes },
  arithmetic: 'fast',
});

test.each([
  [1, '1 row'],
  [2, '2 to 5 rows'],
  [5, '2 to 5 rows'],
  [6, '6 to 31 rows'],
  [31, '6 to 31 rows'],
  [32, '32 rows or more'],
  [9999, '32 rows or more'],
])('%d rows are of the class "%s"', (rows, name) => {
  expect(productClass(product(rows))).toBe(`matmul 128x512, ${name}, fast`);
});

test('several products of one dispatch are another class than one of them', () => {
  expect(productClass(product(1, { groups: 3 }))).toBe('matmul 3 · 128x512, 1 row, fast');
});

describe('choosing', () => {
  const one = product(1);
  const remembered = new Map<string, TilingName>([[productClass(one), 'register 4x4']]);

  test('what is given goes before what is tuned, that before what is remembered, that before the default', () => {
    const tilings = new Tilings('software', 'remembered', remembered);
    expect(tilings.choose(one)).toEqual({ tiling: 'register 4x4', origin: 'remembered' });
    expect(tilings.choose(product(2))).toEqual({ tiling: 'register 1x4', origin: 'default' });
    tilings.tune(new Map([[productClass(one), 'register 8x8']]));
    expect(tilings.choose(one)).toEqual({ tiling: 'register 8x8', origin: 'tuned' });
    const given = new Tilings('software', 'workgroup 32x32', remembered);
    expect(given.choose(one)).toEqual({ tiling: 'workgroup 32x32', origin: 'given' });
  });

  test('a function may leave the choice to what is remembered', () => {
    const choose = ({ sizes }: Product) => (sizes.rows === 2 ? 'register 4x8' : null);
    const tilings = new Tilings('software', choose, remembered);
    expect(tilings.choose(product(2))).toEqual({ tiling: 'register 4x8', origin: 'given' });
    expect(tilings.choose(one)).toEqual({ tiling: 'register 4x4', origin: 'remembered' });
  });

  test('the default forgets what is remembered', () => {
    expect(new Tilings('software', 'default', remembered).choose(one)).toEqual({
      tiling: 'register 1x4',
      origin: 'default',
    });
  });

  test('a request is one of these or an error', () => {
    for (const request of ['remembered', 'default', 'register 8x8', () => null]) checkTilingRequest(request);
    expect(() => checkTilingRequest('fastest')).toThrow('load: tilings is');
    expect(() => checkTilingRequest(3)).toThrow('got 3.');
  });
});

test('software adapters have registers only, GPUs share memory; and candidates begin with the default', () => {
  for (const rows of [1, 3, 8, 20, 64, 1000]) {
    for (const layout of ['kn', 'nk'] as const) {
      for (const [columns, depth] of [
        [128, 128],
        [512, 768],
        [50257, 768],
      ]) {
        const { sizes } = product(rows, { columns, depth, layout });
        for (const adapter of ['software', 'hardware'] as const) {
          const candidates = candidateTilings(sizes, adapter);
          expect(candidates[0]).toBe(defaultTiling(sizes, adapter));
          expect(candidates.every(isTilingName)).toBe(true);
          expect(new Set(candidates).size).toBe(candidates.length);
          if (adapter === 'software') expect(candidates.join()).not.toMatch(/workgroup|shared/);
        }
      }
    }
  }
  expect(defaultTiling(product(64).sizes)).toBe('register 8x8');
  expect(defaultTiling(product(512, { depth: 512 }).sizes)).toBe('register 16x8');
  expect(defaultTiling(product(1, { depth: 768 }).sizes, 'hardware')).toBe('shared 1x64 by blocks');
  expect(defaultTiling(product(64, { columns: 4096 }).sizes, 'hardware')).toBe('workgroup 64x64');
});

describe('what was measured is kept', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hyaline-tilings-'));
    vi.stubEnv('XDG_CACHE_HOME', folder);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  test('for each adapter, beside what was kept before', () => {
    expect(rememberedTilings('a GPU').size).toBe(0);
    rememberTilings('a GPU', new Map([['x', 'register 1x4']]));
    rememberTilings('a GPU', new Map([['y', 'register 8x8']]));
    rememberTilings('another', new Map([['x', 'workgroup 64x64']]));
    expect(Object.fromEntries(rememberedTilings('a GPU'))).toEqual({ x: 'register 1x4', y: 'register 8x8' });
    expect(Object.fromEntries(rememberedTilings('another'))).toEqual({ x: 'workgroup 64x64' });
    expect(tilingFile()).toBe(join(folder, 'hyaline', 'tilings.json'));
  });

  test.each(['', 'null', '[]', '{"a GPU": 3}', '{"a GPU": {"x": "register 3x3", "y": 5}}', '{"a GPU": {"x": '])(
    'a file that holds %j counts as empty, and is written anew',
    (text) => {
      mkdirSync(dirname(tilingFile()), { recursive: true });
      writeFileSync(tilingFile(), text);
      expect(rememberedTilings('a GPU').size).toBe(0);
      rememberTilings('a GPU', new Map([['z', 'register 8x8']]));
      expect(Object.fromEntries(rememberedTilings('a GPU'))).toEqual({ z: 'register 8x8' });
      expect(JSON.parse(readFileSync(tilingFile(), 'utf8'))['a GPU'].z).toBe('register 8x8');
    },
  );

  test('where nothing can be written, nothing happens', () => {
    vi.stubEnv('XDG_CACHE_HOME', join(folder, 'file'));
    writeFileSync(join(folder, 'file'), 'not a folder');
    rememberTilings('a GPU', new Map([['x', 'register 1x4']]));
    expect(rememberedTilings('a GPU').size).toBe(0);
  });
});
