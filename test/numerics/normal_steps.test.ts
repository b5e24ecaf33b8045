import { expect, test } from 'vitest';
import { normalSteps } from '../../src/numerics/normal_steps.ts';

test('counts the float32 numbers from one to another, over 0 and to infinity', () => {
  expect(normalSteps(1, 1)).toBe(0);
  expect(normalSteps(1, 1 + 2 ** -23)).toBe(1);
  expect(normalSteps(1, 1 - 2 ** -24)).toBe(1); // numbers are twice as dense below a power of two
  expect(normalSteps(4, 2)).toBe(2 ** 23);
  expect(normalSteps(0, 2 ** -126)).toBe(1);
  expect(normalSteps(-(2 ** -126), 2 ** -126 * (1 + 2 ** -23))).toBe(3);
  const largest = 2 ** 128 - 2 ** 104;
  expect(normalSteps(largest, Number.POSITIVE_INFINITY)).toBe(1);
  expect(normalSteps(-largest, largest)).toBe(2 * 254 * 2 ** 23); // 254 exponents on either side
});

test('takes subnormals and both zeros for 0', () => {
  expect(normalSteps(0, -0)).toBe(0);
  expect(normalSteps(2 ** -127, -(2 ** -149))).toBe(0);
});
