// What an adapter's fingerprint means for the numbers that are computed on it, in sentences.
import type { Fingerprint } from '../index.ts';

/** One sentence each, without an end: dot products, other adapters, tiny numbers, NaN, built-in functions. */
export function explainFingerprint(fingerprint: Fingerprint): string[] {
  return [
    explainDotProducts(fingerprint),
    explainOtherAdapters(fingerprint),
    explainSubnormals(fingerprint),
    explainNaN(fingerprint),
    explainBuiltins(fingerprint),
  ];
}

function explainDotProducts({ fma }: Fingerprint): string {
  const sentences = {
    'one rounding':
      'fma is fused, so each term of a dot product is rounded once; adapters that do not fuse it give other last bits',
    'two roundings':
      'fma is a product and a sum, so each term of a dot product is rounded twice; adapters that fuse it give other last bits',
    mixed:
      'fma is fused in some expressions and not in others, so the last bits of dot products depend on how a kernel is compiled',
    other:
      'fma is neither a fused multiply-add nor a product and a sum: the last bits of dot products are this adapter’s own',
  };
  return sentences[fma];
}

function explainOtherAdapters(fingerprint: Fingerprint): string {
  const { rounding, barrierFromUniform, barrierOfBrackets, sums, sumsOfProducts } = fingerprint;
  const problems: [boolean, string][] = [
    [rounding !== 'nearest even', `rounding is ${rounding}, not to the nearest even`],
    [!barrierFromUniform, 'products are contracted through the rounding barrier'],
    [!barrierOfBrackets, 'brackets are not kept by the rounding barrier'],
    [sums !== 'in order' || sumsOfProducts !== 'in order', 'sums are not added in the order in which they are written'],
  ];
  const found = problems.flatMap(([isSo, text]) => (isSo ? [text] : []));
  if (found.length > 0) return `bits cannot be made the same as on other adapters: ${found.join(', ')}`;
  const holds = 'sums are added in order and the rounding barrier holds, as the same bits on every adapter need it';
  return isRearranged(fingerprint) ? `${holds}; what does not pass it is rearranged by algebra` : holds;
}

/** Whether a compiler moves constants, takes out common factors or cancels terms. */
function isRearranged(fingerprint: Fingerprint): boolean {
  const { sumsWithConstant, productsWithConstant, twoConstants, commonFactor, commonFactorOfFma } = fingerprint;
  const isMoved = [sumsWithConstant, productsWithConstant, twoConstants].some((answer) => answer !== 'in order');
  const isFactored = [commonFactor, commonFactorOfFma].includes('factored');
  return isMoved || isFactored || fingerprint.cancellation === 'folded' || !fingerprint.twoSum;
}

function explainSubnormals(fingerprint: Fingerprint): string {
  const { subnormalCopies, subnormalInputs, subnormalSums, subnormalProducts } = fingerprint;
  const answers = new Set([subnormalInputs, subnormalSums, subnormalProducts]);
  const isKept = answers.size === 1 && answers.has('kept');
  const isFlushed = answers.size === 1 && answers.has('flushed');
  const computed = isKept ? 'are computed with' : isFlushed ? 'count as 0' : 'count as 0 in some operations';
  const copied = subnormalCopies === 'kept' ? 'copies keep them' : 'copies lose them';
  return `numbers below 2^-126 (1.2e-38) ${computed}, and ${copied}`;
}

function explainNaN({ nanByBits, nanMade, nanPassed, overflow, nanByComparison }: Fingerprint): string {
  if (!nanByBits || !nanMade || !nanPassed)
    return 'NaN can be LOST: what is computed from a broken number may look right';
  const infinity = overflow === 'infinity' ? 'an overflow is infinite' : 'an overflow is NOT infinite';
  const test = nanByComparison ? '' : '; x != x does not tell NaN in WGSL of your own';
  return `NaN comes through sums and products, ${infinity}${test}`;
}

function explainBuiltins({ builtinErrors }: Fingerprint): string {
  const named = { tanhNearZero: 'tanh near 0', divide: 'division' } as Partial<Record<string, string>>;
  const errors = Object.entries(builtinErrors).map(([name, error]) => {
    return `${named[name] ?? name} ${error === 'not finite' ? 'NOT FINITE' : error}`;
  });
  return `largest errors of built-in functions, which no kernel uses, in ULP: ${errors.join(', ')}`;
}
