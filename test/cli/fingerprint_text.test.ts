// What the doctor says of a fingerprint, for adapters of every kind.
import { expect, test } from 'vitest';
import { explainFingerprint } from '../../src/cli/fingerprint_text.ts';
import type { Fingerprint } from '../../src/index.ts';

/** SwiftShader's. */
const FLUSHING: Fingerprint = {
  id: 'dceaca36',
  summary: 'a·b+c not fused, …',
  version: 1,
  rounding: 'nearest even',
  multiplyAdd: 'two roundings',
  fma: 'two roundings',
  barrierFromUniform: true,
  barrierFromStorage: true,
  barrierOfBrackets: true,
  sums: 'in order',
  sumsOfProducts: 'in order',
  sumsWithConstant: 'in order',
  productsWithConstant: 'in order',
  twoConstants: 'together',
  divisionByConstant: 'multiplied',
  commonFactor: 'factored',
  commonFactorOfFma: 'computed',
  cancellation: 'computed',
  constantCancellation: 'folded',
  twoSum: true,
  split: true,
  subnormalCopies: 'kept',
  subnormalInputs: 'flushed',
  subnormalSums: 'flushed',
  subnormalProducts: 'flushed',
  productsJustBelowNormal: 'flushed after rounding',
  zeroSigns: { copy: true, sum: true, product: true, timesZero: false, plusZero: false, minusItself: true },
  selfDifference: 'computed',
  timesZero: 'folded',
  overflow: 'infinity',
  nanByComparison: false,
  nanByBits: true,
  nanMade: true,
  nanPassed: true,
  minMaxOfNan: 'number',
  tanhOfLarge: 'NaN',
  builtinErrors: {
    exp: 15,
    log: 165,
    tanh: 4,
    tanhNearZero: 520987,
    sin: 45924,
    cos: 38328,
    sqrt: 0,
    inverseSqrt: 1,
    divide: 0,
  },
  subgroupSize: 4,
  subgroupAdd: 'pairwise',
};

test('an adapter that fuses nothing and flushes', () => {
  expect(explainFingerprint(FLUSHING)).toEqual([
    'fma is a product and a sum, so each term of a dot product is rounded twice; adapters that fuse it give other last bits',
    'sums are added in order and the rounding barrier holds, as the same bits on every adapter need it; ' +
      'what does not pass it is rearranged by algebra',
    'numbers below 2^-126 (1.2e-38) count as 0, and copies keep them',
    'NaN comes through sums and products, an overflow is infinite; x != x does not tell NaN in WGSL of your own',
    'largest errors of built-in functions, which no kernel uses, in ULP: exp 15, log 165, tanh 4, tanh near 0 520987, ' +
      'sin 45924, cos 38328, sqrt 0, inverseSqrt 1, division 0',
  ]);
});

test('an adapter that fuses, reassociates and loses NaN', () => {
  const [dotProducts, otherAdapters, subnormals, nan, builtins] = explainFingerprint({
    ...FLUSHING,
    fma: 'one rounding',
    rounding: 'toward zero',
    barrierFromUniform: false,
    sums: 'pairwise',
    subnormalInputs: 'kept',
    subnormalCopies: 'flushed',
    nanPassed: false,
    builtinErrors: { ...FLUSHING.builtinErrors, exp: 'not finite' },
  });
  expect(dotProducts).toMatch(/^fma is fused, so each term of a dot product is rounded once; /);
  expect(otherAdapters).toBe(
    'bits cannot be made the same as on other adapters: rounding is toward zero, not to the nearest even, ' +
      'products are contracted through the rounding barrier, sums are not added in the order in which they are written',
  );
  expect(subnormals).toBe('numbers below 2^-126 (1.2e-38) count as 0 in some operations, and copies lose them');
  expect(nan).toBe('NaN can be LOST: what is computed from a broken number may look right');
  expect(builtins).toContain('exp NOT FINITE, log 165');
});

test('an adapter that follows IEEE 754', () => {
  const kept = { subnormalInputs: 'kept', subnormalSums: 'kept', subnormalProducts: 'kept' } as const;
  const plain = { twoConstants: 'in order', commonFactor: 'computed' } as const;
  const [, others, subnormals, nan] = explainFingerprint({ ...FLUSHING, ...kept, ...plain, nanByComparison: true });
  expect(others).toBe(
    'sums are added in order and the rounding barrier holds, as the same bits on every adapter need it',
  );
  expect(subnormals).toBe('numbers below 2^-126 (1.2e-38) are computed with, and copies keep them');
  expect(nan).toBe('NaN comes through sums and products, an overflow is infinite');
  expect(explainFingerprint({ ...FLUSHING, fma: 'mixed' })[0]).toMatch(
    /^fma is fused in some expressions and not in others, /,
  );
  expect(explainFingerprint({ ...FLUSHING, barrierOfBrackets: false })[1]).toMatch(/: brackets are not kept by /);
  expect(explainFingerprint({ ...FLUSHING, sumsOfProducts: 'fused' })[1]).toMatch(
    /^bits cannot be made the same .*: sums are not /,
  );
});
