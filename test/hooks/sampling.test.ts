import { expect, test } from 'vitest';
import { checkSampling } from '../../src/hooks/sampling.ts';
import { chooseToken } from '../../src/kernels/choose_token.ts';
import { philox, uniformAt } from '../../src/kernels/philox.ts';

test('Philox4x32-10 gives the known answers of Random123', () => {
  const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  const ones = 0xffffffff;
  expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
  expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

test('uniform numbers depend on seed, step and row, and fill [0, 1)', () => {
  const numbers = Array.from({ length: 4000 }, (_, step) => uniformAt(5, { step, row: 0 }));
  expect(new Set([...numbers, uniformAt(5, { step: 0, row: 1 }), uniformAt(6, { step: 0, row: 0 })]).size).toBe(4002);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  // The mean of 4000 uniform numbers has a standard deviation of 1/√(12·4000) = 0.0046: within 5 of those.
  expect(Math.abs(numbers.reduce((a, b) => a + b) / 4000 - 0.5)).toBeLessThan(0.023);
});

// Probabilities 1/2, 1/4, 1/8, 1/8.
const LOGITS = Float32Array.from([8, 2, 4, 2], Math.log);

test('greedy takes the largest, the lowest id among equals, and says its probability', () => {
  expect(chooseToken(LOGITS, [], {}, 0.99)).toEqual({ token: 0, logProb: expect.closeTo(Math.log(0.5), 6) });
  expect(chooseToken(Float32Array.of(1, 3, 3), [], {}, 0).token).toBe(1);
});

test('a draw falls where the cumulative probabilities say, most probable first', () => {
  const draw = (uniform: number, options = {}) =>
    chooseToken(LOGITS, [], { temperature: 1, ...options }, uniform).token;
  expect([0, 0.49, 0.51, 0.74, 0.76, 0.86, 0.88, 0.999].map((u) => draw(u))).toEqual([0, 0, 2, 2, 1, 1, 3, 3]);
  // topK 2 leaves 1/2 and 1/4: two thirds and one third.
  expect([0.66, 0.67, 0.999].map((u) => draw(u, { topK: 2 }))).toEqual([0, 2, 2]);
  // 1/2 + 1/4 reach 0.7; 1/2 alone reaches 0.4.
  expect([0.66, 0.67].map((u) => draw(u, { topP: 0.7 }))).toEqual([0, 2]);
  expect(draw(0.999, { topP: 0.4 })).toBe(0);
  // Half as probable as the most probable one: 1/4 stays, 1/8 goes.
  expect(draw(0.999, { minP: 0.4 })).toBe(2);
  // Temperature 1/2 squares the odds: 64, 16, 4, 4 of 88.
  expect([0.72, 0.73].map((u) => draw(u, { temperature: 0.5 }))).toEqual([0, 2]);
});

test('the repetition penalty divides positive logits and multiplies negative ones, of tokens in the text', () => {
  const logits = Float32Array.of(2, 1.5, -1, -1.5);
  expect(chooseToken(logits, [0], { repetitionPenalty: 2 }, 0).token).toBe(1);
  expect(chooseToken(logits, [0, 1], { repetitionPenalty: 10 }, 0).token).toBe(0); // 0.2 and 0.15 are still the largest
  expect(chooseToken(Float32Array.of(-1, -1.5), [0], { repetitionPenalty: 2 }, 0).token).toBe(1);
  // The probability told is the model's own.
  expect(chooseToken(LOGITS, [0], { repetitionPenalty: 100 }, 0)).toEqual({
    token: 2,
    logProb: expect.closeTo(Math.log(0.25), 6),
  });
});

test('options out of range are refused, all at once', () => {
  expect(() =>
    checkSampling({ temperature: -1, topK: 0, topP: 2, minP: -0.1, repetitionPenalty: 0, seed: 0.5 }),
  ).toThrow(
    'generate: options out of range: temperature -1 (0 or more), topK 0 (a whole number from 1), topP 2 (above 0, at most 1), ' +
      'minP -0.1 (0 to 1), repetitionPenalty 0 (above 0), seed 0.5 (a whole number).',
  );
  expect(() => checkSampling({ temperature: Number.NaN })).toThrow('temperature NaN');
});
