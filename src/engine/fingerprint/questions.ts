// Every question to an adapter with its probes, in the order of the dispatch. The answer is what all probes of a
// question agree on.
import type { Probe } from './cases.ts';
import {
  BARRIER_OF_BRACKETS,
  DIVISION_BY_CONSTANT,
  PRODUCTS_WITH_CONSTANT,
  SUMS_WITH_CONSTANT,
  TWO_CONSTANTS,
} from './constants.ts';
import { BARRIER_FROM_STORAGE, BARRIER_FROM_UNIFORM, FMA, MULTIPLY_ADD } from './multiply_add.ts';
import { ROUNDING } from './rounding.ts';
import {
  MIN_MAX_OF_NAN,
  NAN_BY_BITS,
  NAN_BY_COMPARISON,
  NAN_MADE,
  NAN_PASSED,
  OVERFLOW,
  SELF_DIFFERENCE,
  TANH_OF_LARGE,
  TIMES_ZERO,
  ZERO_SIGNS,
} from './special_values.ts';
import {
  PRODUCTS_JUST_BELOW_NORMAL,
  SUBNORMAL_COPIES,
  SUBNORMAL_INPUTS,
  SUBNORMAL_PRODUCTS,
  SUBNORMAL_SUMS,
} from './subnormals.ts';
import {
  CANCELLATION,
  COMMON_FACTOR,
  COMMON_FACTOR_OF_FMA,
  CONSTANT_CANCELLATION,
  SPLIT,
  SUMS,
  SUMS_OF_PRODUCTS,
  TWO_SUM,
} from './sums.ts';

export const QUESTIONS = {
  rounding: ROUNDING,
  multiplyAdd: MULTIPLY_ADD,
  fma: FMA,
  barrierFromUniform: BARRIER_FROM_UNIFORM,
  barrierFromStorage: BARRIER_FROM_STORAGE,
  barrierOfBrackets: BARRIER_OF_BRACKETS,
  sums: SUMS,
  sumsOfProducts: SUMS_OF_PRODUCTS,
  sumsWithConstant: SUMS_WITH_CONSTANT,
  productsWithConstant: PRODUCTS_WITH_CONSTANT,
  twoConstants: TWO_CONSTANTS,
  divisionByConstant: DIVISION_BY_CONSTANT,
  commonFactor: COMMON_FACTOR,
  commonFactorOfFma: COMMON_FACTOR_OF_FMA,
  cancellation: CANCELLATION,
  constantCancellation: CONSTANT_CANCELLATION,
  twoSum: TWO_SUM,
  split: SPLIT,
  subnormalCopies: SUBNORMAL_COPIES,
  subnormalInputs: SUBNORMAL_INPUTS,
  subnormalSums: SUBNORMAL_SUMS,
  subnormalProducts: SUBNORMAL_PRODUCTS,
  productsJustBelowNormal: PRODUCTS_JUST_BELOW_NORMAL,
  signOfCopy: ZERO_SIGNS.copy,
  signOfSum: ZERO_SIGNS.sum,
  signOfProduct: ZERO_SIGNS.product,
  signTimesZero: ZERO_SIGNS.timesZero,
  signPlusZero: ZERO_SIGNS.plusZero,
  signMinusItself: ZERO_SIGNS.minusItself,
  selfDifference: SELF_DIFFERENCE,
  timesZero: TIMES_ZERO,
  overflow: OVERFLOW,
  nanByComparison: NAN_BY_COMPARISON,
  nanByBits: NAN_BY_BITS,
  nanMade: NAN_MADE,
  nanPassed: NAN_PASSED,
  minMaxOfNan: MIN_MAX_OF_NAN,
  tanhOfLarge: TANH_OF_LARGE,
} as const satisfies Record<string, readonly Probe[]>;
