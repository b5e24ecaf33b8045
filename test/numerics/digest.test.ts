// Digests against Node's own SHA-256 of bytes and lines that are written out here.
import { createHash } from 'node:crypto';
import { afterEach, expect, test, vi } from 'vitest';
import { digestValues, SafetensorsFile, writeSafetensors } from '../../src/index.ts';

afterEach(() => vi.unstubAllGlobals());

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');

const EMBED = { name: 'hook_embed', shape: [1, 1, 2], data: Float32Array.of(1, -0) };
const SCORES = { name: 'blocks.0.attn.hook_attn_scores', shape: [1, 1, 1, 1], data: Float32Array.of(-Infinity) };
// 1 is 0x3f800000, −0 is 0x80000000 and −∞ 0xff800000, the lowest byte first.
const EMBED_BYTES = Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0x80);
const SCORES_BYTES = Uint8Array.of(0, 0, 0x80, 0xff);

test('a digest is that of the bytes, and the total that of the lines in firing order', async () => {
  const [embed, scores] = [EMBED_BYTES, SCORES_BYTES].map(sha256);
  const total = sha256(`hook_embed [1, 1, 2] ${embed}\nblocks.0.attn.hook_attn_scores [1, 1, 1, 1] ${scores}\n`);
  const digests = {
    values: [
      { name: 'hook_embed', shape: [1, 1, 2], sha256: embed },
      { name: 'blocks.0.attn.hook_attn_scores', shape: [1, 1, 1, 1], sha256: scores },
    ],
    total,
  };
  const tensors = [SCORES, EMBED]; // as Python sorts them
  expect(await digestValues(tensors)).toEqual(digests);
  expect(await digestValues(new Map(tensors.map((tensor) => [tensor.name, tensor])))).toEqual(digests);
  const file = writeSafetensors(tensors.map((tensor) => ({ ...tensor, dtype: 'F32' })));
  expect(await digestValues(await SafetensorsFile.open(file, 'f'))).toEqual(digests);
});

test('a digest sees the sign of a zero, the payload of a NaN, the shape and the name', async () => {
  const nan = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer);
  const x = { name: 'x', shape: [1], data: Float32Array.of(0) };
  const others = [
    x,
    { ...x, data: Float32Array.of(-0) },
    { ...x, data: nan(0x7fc00000) },
    { ...x, data: nan(0xffc00001) },
    { ...x, shape: [1, 1] },
    { ...x, name: 'y' },
  ];
  const totals = await Promise.all(others.map(async (tensor) => (await digestValues([tensor])).total));
  expect(new Set(totals).size).toBe(others.length);
});

test('a view of a longer buffer is hashed as what it shows', async () => {
  const data = Float32Array.of(5, 1, -0, 5).subarray(1, 3);
  expect((await digestValues([{ ...EMBED, data }])).values[0].sha256).toBe(sha256(EMBED_BYTES));
});

test('no values have the digest of an empty text', async () => {
  expect(await digestValues([])).toEqual({ values: [], total: sha256('') });
});

test.each([
  ['float64', [{ ...EMBED, data: Float64Array.of(1, 2) }], 'hook_embed is F64; digests are of float32 numbers (F32).'],
  ['a name that stands twice', [EMBED, EMBED], '"hook_embed" stands there twice.'],
  ['a wrong length', [{ ...EMBED, shape: [3] }], 'hook_embed: expected 3 elements for [3], got 2.'],
  ['no array', [{ ...EMBED, data: [1, 2] }], 'hook_embed: expected a Float32Array or a Float64Array, got Array.'],
  [
    'no shape',
    [{ name: 'hook_embed', data: EMBED.data }],
    'expected tensors with name, shape and data, got one without a shape (hook_embed).',
  ],
  ['no tensor', [7], 'expected tensors with name, shape and data, got number.'],
  ['a hole', [null], 'expected tensors with name, shape and data, got null.'],
  ['no values', 'hook_embed', 'expected a cache, a safetensors file, a Map or a list of tensors, got string.'],
])('%s is refused', async (_, values, message) => {
  await expect(digestValues(values as never)).rejects.toThrow(`digest: ${message}`);
});

test('a page without a secure context is told what to do', async () => {
  vi.stubGlobal('crypto', {});
  await expect(digestValues([EMBED])).rejects.toThrow(
    'digest: there is no crypto.subtle here; browsers have it in secure contexts only. Open the page by https or on localhost.',
  );
});
