// The properties of an adapter in one line.
import type { BuiltinErrors, FingerprintProperties } from './properties.ts';

/**
 * `a·b+c not fused, fma not fused, rounding barrier holds, subnormals kept, sums in order, two-sum intact, NaN told by
 * …`.
 */
export function summaryOf(properties: FingerprintProperties): string {
  const { rounding, sums, sumsOfProducts, commonFactor, commonFactorOfFma, split } = properties;
  const { overflow, nanMade, nanPassed, nanByBits } = properties;
  const factored = [commonFactor, commonFactorOfFma].filter((answer) => answer === 'factored').length;
  const exceptions: [boolean, string][] = [
    [rounding !== 'nearest even', `rounding ${rounding}`],
    [areRegrouped(properties), 'constants regrouped'],
    [factored > 0, `common factors taken out${factored > 1 ? ', of fma too' : ''}`],
    [!split, 'splits by bits NOT exact'],
    [overflow !== 'infinity', 'no infinities'],
    [!(nanMade && nanPassed), 'NaN LOST in sums or products'],
  ];
  return [
    `a·b+c ${fusion(properties.multiplyAdd)}`,
    `fma ${fusion(properties.fma)}`,
    `rounding barrier ${barrier(properties)}`,
    `subnormals ${subnormals(properties)}`,
    `sums ${sums === 'in order' && sumsOfProducts === 'in order' ? 'in order' : 'NOT in order'}`,
    `two-sum ${properties.twoSum ? 'intact' : 'folded'}`,
    ...exceptions.flatMap(([isSo, text]) => (isSo ? [text] : [])),
    `NaN ${properties.nanByComparison ? 'told by x != x' : nanByBits ? 'told by its bits alone' : 'NOT told'}`,
    worstBuiltin(properties.builtinErrors),
  ].join(', ');
}

function fusion(roundings: FingerprintProperties['fma']): string {
  const words = { 'one rounding': 'fused', 'two roundings': 'not fused', mixed: 'fused in places', other: 'unclear' };
  return words[roundings];
}

/** Whether an expression with constants is not computed as it is written. */
function areRegrouped(properties: FingerprintProperties): boolean {
  const { sumsWithConstant, productsWithConstant, twoConstants } = properties;
  return [sumsWithConstant, productsWithConstant, twoConstants].some((answer) => answer !== 'in order');
}

function barrier({ barrierFromUniform, barrierFromStorage, barrierOfBrackets }: FingerprintProperties): string {
  if (barrierFromUniform && barrierFromStorage) return barrierOfBrackets ? 'holds' : 'holds for products only';
  if (barrierFromUniform || barrierFromStorage) return `holds from ${barrierFromUniform ? 'uniforms' : 'storage'} only`;
  return 'FAILS';
}

function subnormals({
  subnormalCopies,
  subnormalInputs,
  subnormalSums,
  subnormalProducts,
}: FingerprintProperties): string {
  const computed = new Set([subnormalInputs, subnormalSums, subnormalProducts]);
  if (computed.size > 1) return 'flushed in part';
  return subnormalCopies === subnormalInputs ? subnormalCopies : `${subnormalInputs} (copies ${subnormalCopies})`;
}

function worstBuiltin(errors: BuiltinErrors): string {
  const size = (error: number | 'not finite') => (error === 'not finite' ? Number.POSITIVE_INFINITY : error);
  const [[name, error]] = Object.entries(errors).sort(([, x], [, y]) => size(y) - size(x));
  const what = name === 'tanhNearZero' ? 'tanh near 0' : name;
  return error === 'not finite' ? `built-in ${what} NOT finite` : `built-in ${what} up to ${error} ULP off`;
}
