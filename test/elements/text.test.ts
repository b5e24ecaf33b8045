import { expect, test } from 'vitest';
import { formatMs, formatNumber, formatProbability, quoteToken } from '../../src/elements/text.ts';

test('a token keeps its spaces visible and cannot control a terminal', () => {
  expect(quoteToken(' Mary')).toBe('" Mary"');
  expect(quoteToken('a"\n\u001b[31m')).toBe('"a\\"\\n\\u001b[31m"');
  expect(quoteToken('\u009b\u202e\u200b')).toBe('"\\u009b\\u202e\\u200b"');
  expect(quoteToken('é 日')).toBe('"é 日"');
});

test('numbers have four significant digits, or an exponent where they are far from 1', () => {
  expect([0, -0.0010651, 19.93, 99999, 123456, 0.000999, -4e-9].map(formatNumber)).toEqual([
    '0',
    '-0.001065',
    '19.93',
    '1.000e+5',
    '1.23e+5',
    '9.99e-4',
    '-4.00e-9',
  ]);
});

test('a small probability does not read as zero', () => {
  expect([0.99972, 0.00139, 0.00014, 0].map(formatProbability)).toEqual(['0.9997', '0.0014', '1.4e-4', '0.0000']);
});

test('times are in milliseconds below a second', () => {
  expect([0.06, 33.81, 426.4, 1610].map(formatMs)).toEqual(['0.1 ms', '33.8 ms', '426 ms', '1.61 s']);
});
