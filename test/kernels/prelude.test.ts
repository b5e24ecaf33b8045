// The words of the prelude as text: what no adapter at hand shows, because none of them fuses or reorders.
import { expect, test } from 'vitest';
import { functionsSource, type Guarding } from '../../src/kernels/prelude.ts';

const WORDS = ['product', 'product4', 'plus', 'plus4', 'mul_add', 'mul_add4'];

/** The body of a word of one line. */
function bodyOf(word: string, arithmetic: Guarding): string {
  const line = functionsSource([], arithmetic)
    .split('\n')
    .find((text) => text.startsWith(`fn ${word}(`));
  return line?.slice(line.indexOf('{')) ?? '';
}

/** A result that goes through the bits of a loaded zero. */
const BARRIER = /rounded4?\(|\^ (?:vec4u\()?run\.zero/g;

test('guarded: every product and every sum goes through the barrier', () => {
  for (const word of WORDS) {
    const body = bodyOf(word, 'guarded');
    const operators = body.match(/ [*+] /g)?.length ?? 0;
    expect(operators, word).toBe(1);
    expect(body.match(BARRIER)?.length, word).toBe(operators);
  }
});

test('guarded: the barrier flushes subnormal numbers', () => {
  const source = functionsSource([], 'guarded');
  expect(source).toContain('bitcast<f32>(select(bits, 0u, (bits & 0x7fffffffu) < 0x00800000u))');
  expect(source).toContain('select(bits, vec4u(0u), (bits & vec4u(0x7fffffffu)) < vec4u(0x00800000u))');
});

test('reproducible: every product does, and the sums of scalar multiply-adds', () => {
  for (const word of ['product', 'product4', 'mul_add']) {
    expect(bodyOf(word, 'reproducible').match(BARRIER)?.length, word).toBe(1);
  }
  expect(bodyOf('mul_add4', 'reproducible')).toMatch(/product4\(a, b\) \+ c/);
});

test('no word fuses but the fast ones', () => {
  expect(functionsSource([], 'fast')).toContain('fma(');
  for (const arithmetic of ['reproducible', 'guarded'] as const) {
    expect(functionsSource([], arithmetic)).not.toContain('fma(');
  }
});
