// What a fingerprint says, and how it comes from the results of the probes. Pure: the same results give the same
// fingerprint.
import { BUILTIN_FUNCTIONS, type BuiltinName, largestError, sampleOf } from './builtin_functions.ts';
import { behaviourOf, type Probe } from './cases.ts';
import type { Grouping } from './constants.ts';
import type { Roundings } from './multiply_add.ts';
import { QUESTIONS } from './questions.ts';
import type { Rounding } from './rounding.ts';
import type { SubgroupOrder } from './subgroups.ts';
import type { Subnormals } from './subnormals.ts';
import { summaryOf } from './summary.ts';
import type { Order } from './sums.ts';

/**
 * One of the behaviours that can be told apart; `mixed` where an adapter treats formulas or vectors in different ways,
 * `other` where the results are none of those expected.
 */
export type Answer<Behaviour extends string> = Behaviour | 'mixed' | 'other';

/** What an adapter does with float32 numbers, found by computing with numbers that no compiler knows. Plain JSON. */
export interface FingerprintProperties {
  /** Of the questions: properties and ids of different versions cannot be compared. */
  readonly version: 1;

  /**
   * How a sum, a difference and a product are rounded. WGSL allows either neighbour of the exact result. Anything but
   * `nearest even` gives other bits than every other adapter, and about twice the error.
   */
  readonly rounding: Answer<Rounding>;
  /**
   * Plain `a*b + c`: `one rounding` where the compiler contracts it to a fused multiply-add. Such an adapter gives
   * other last bits than one of `two roundings`, mostly more accurate ones; `mixed` means that the bits depend on how
   * an expression is written.
   */
  readonly multiplyAdd: Answer<Roundings>;
  /**
   * The built-in `fma(a, b, c)`, which WGSL lets be a product and a sum. All dot products of the fast mode are chains
   * of it: with `one rounding` each term is rounded once, with `two roundings` twice. That is why the fast mode's last
   * bits differ between adapters.
   */
  readonly fma: Answer<Roundings>;
  /**
   * Whether a product keeps its own rounding when its bits pass `^ zero` with a zero from a uniform buffer before it is
   * added to something, and no common factor of two such products is taken out. The same bits on every adapter depend
   * on it: where it does not hold, products are treated as in `multiplyAdd` and `commonFactor`.
   */
  readonly barrierFromUniform: boolean;
  /** The same with a zero from a storage buffer. */
  readonly barrierFromStorage: boolean;
  /**
   * Whether what passes `^ zero` also keeps its place among sums, products and constants: `0.7 + (a + b)` with barred
   * brackets, and the like. It is what makes up for the regroupings that follow here.
   */
  readonly barrierOfBrackets: boolean;
  /**
   * The order in which `a + b + … + h` is added, in one expression and in loops. `in order` is as written; anything
   * else means that sums are reassociated: a sum of many terms has other last bits, and no order that a kernel
   * specifies can be relied on.
   */
  readonly sums: Answer<Order>;
  /**
   * The same of products that pass `^ zero` each; `fused` where they are contracted with the additions all the same.
   */
  readonly sumsOfProducts: Answer<Order | 'fused'>;
  /**
   * `0.7 + (a + b)`: whether the constant is added to the sum, or `with the first` or `with the second` of the terms. A
   * kernel that needs its brackets, as for the 1 that is added last to an exponential, is less accurate where they are
   * not kept.
   */
  readonly sumsWithConstant: Answer<Grouping>;
  /** The same of `0.7*(a*b)`. */
  readonly productsWithConstant: Answer<Grouping>;
  /**
   * `(a + 0.7) + 0.1` and `(a*0.7)*0.1`: `together` where the compiler makes one constant of both; then one rounding is
   * left out.
   */
  readonly twoConstants: Answer<'in order' | 'together'>;
  /** `a / 0.7`: `multiplied` by the reciprocal, which is rounded, so that the quotient is not correctly rounded. */
  readonly divisionByConstant: Answer<'divided' | 'multiplied'>;
  /**
   * Plain `a*b + a*c`, with a loaded or constant a: `factored` where the compiler makes it `a*(b + c)`, fused where it
   * contracts one of the products. What was an exact product, of a split number for example, is then rounded.
   */
  readonly commonFactor: Answer<'computed' | 'factored' | 'first fused' | 'second fused'>;
  /**
   * The same of chains of `fma` with a common factor; `fused` is what an adapter with a fused `fma` should say.
   * `factored` harms what is computed with more than 24 bits: polynomials, residuals of quotients.
   */
  readonly commonFactorOfFma: Answer<'computed' | 'factored' | 'fused'>;
  /** `(a + b) − a` of loaded numbers: `folded` where the compiler makes it b. Then compensated sums do nothing. */
  readonly cancellation: Answer<'computed' | 'folded'>;
  /** `(a + 2^24) − 2^24`: where it is `folded` to a, adding a large constant does not round to whole numbers. */
  readonly constantCancellation: Answer<'computed' | 'folded'>;
  /** Whether Knuth's two-sum gives the exact error of an addition: double-float arithmetic needs it. */
  readonly twoSum: boolean;
  /**
   * Whether x minus its upper 12 bits (by a mask) is exactly the rest. Our division corrects its quotient with such
   * halves: without it the quotient can be off in its last place.
   */
  readonly split: boolean;

  /**
   * A subnormal float32 that is only loaded and stored. Where it is `flushed`, not even a copy of a value keeps its
   * bits.
   */
  readonly subnormalCopies: Answer<Subnormals>;
  /** A subnormal number as a factor, as a term, and compared with 0; `flushed`: it counts as 0. */
  readonly subnormalInputs: Answer<Subnormals>;
  /** A difference of normal numbers that is subnormal; where it is `flushed`, x − y can be 0 though x ≠ y. */
  readonly subnormalSums: Answer<Subnormals>;
  /** A product of normal numbers that is subnormal; `flushed`: it is 0. */
  readonly subnormalProducts: Answer<Subnormals>;
  /**
   * A product less than half a step below 2^-126: `rounded up` to 2^-126, or 0: always (`flushed`), or unless 24 bits
   * would round it up as well (`flushed after rounding`). Where subnormal results are defined as 0, this is the one
   * place where adapters still differ.
   */
  readonly productsJustBelowNormal: Answer<'rounded up' | 'flushed after rounding' | 'flushed'>;

  /**
   * Whether zeros have the sign of IEEE 754: of a copy, of −0 + −0 and other sums, of products, of `x*0.0`, of `x +
   * 0.0` (+0 for −0) and of `x − x`. Where one does not, −0 and 0 differ in their bits from other adapters; the numbers
   * are equal.
   */
  readonly zeroSigns: Readonly<Record<'copy' | 'sum' | 'product' | 'timesZero' | 'plusZero' | 'minusItself', boolean>>;
  /**
   * `x − x` of infinity and NaN: `computed` is NaN; `folded`, the compiler took it for 0, so that x looks like a
   * number.
   */
  readonly selfDifference: Answer<'computed' | 'folded'>;
  /** The same of `x*0.0` with the constant 0. */
  readonly timesZero: Answer<'computed' | 'folded'>;
  /** What an overflowing sum or product is. `largest finite` hides the overflow from what follows. */
  readonly overflow: Answer<'infinity' | 'largest finite'>;
  /**
   * Whether `x != x` tells NaN from numbers. If not (Dawn compiles it to a comparison that is false for NaN), only the
   * bits tell it.
   */
  readonly nanByComparison: boolean;
  /** Whether the bits tell NaN from numbers, as all kernels ask. If not, a NaN in a model passes for a number. */
  readonly nanByBits: boolean;
  /** Whether ∞ − ∞ and 0·∞ of loaded numbers are NaN. If not, they look like numbers. */
  readonly nanMade: boolean;
  /**
   * Whether sums and products of loaded NaN are NaN. If not, a broken weight does not show in what is computed from it.
   */
  readonly nanPassed: boolean;
  /**
   * `min` and `max` of a NaN and a number, in either place: the `number`, `NaN`, the `first` argument or the `second`.
   * But with `NaN` a maximum hides NaN, so kernels tell it by the bits.
   */
  readonly minMaxOfNan: Answer<'number' | 'NaN' | 'first' | 'second'>;

  /**
   * The built-in tanh of ±100 and beyond: `NaN` where it is a quotient of exponentials that overflow. Kernels do not
   * use it.
   */
  readonly tanhOfLarge: Answer<'±1' | 'NaN'>;
  /** Errors of the built-in functions, none of which kernels use. */
  readonly builtinErrors: BuiltinErrors;

  /** Invocations in a subgroup of this shader; null where the device has no subgroups, or they are not of one size. */
  readonly subgroupSize: number | null;
  /**
   * The order of `subgroupAdd`; null without subgroups. Kernels that used it would have other sums on each kind of
   * adapter.
   */
  readonly subgroupAdd: SubgroupOrder | 'other' | null;
}

/**
 * The largest distance to the correctly rounded result, in float32 steps (0: correctly rounded), on 2,048 fixed
 * arguments; 'not finite' where a result is NaN or infinite.
 *
 * | function | arguments |
 * | --- | --- |
 * | `exp` | ±[0, 20], even |
 * | `log` | [2^-4, 2^4], by ratio |
 * | `tanh` | ±[⅛, 10], even |
 * | `tanhNearZero` | tanh on ±[2^-20, ⅛], by ratio |
 * | `sin`, `cos` | ±[0, π], even |
 * | `sqrt`, `inverseSqrt` | [2^-40, 2^40], by ratio |
 * | `divide` | `x / y`, both of ±[2^-40, 2^40], by ratio |
 */
export type BuiltinErrors = Readonly<Record<BuiltinName, number | 'not finite'>>;

/** What an adapter does with float32 numbers, with a line for people and an id that is the same where all of it is. */
export interface Fingerprint extends FingerprintProperties {
  /** Eight hexadecimal digits, a hash of all properties: two machines with the same id gave the same answers. */
  readonly id: string;
  /** One line: `a·b+c not fused, fma not fused, subnormals kept, sums in order, …`. */
  readonly summary: string;
}

/** The results of every case of a probe, or of a built-in function's sample. */
export type ReadResults = (what: Probe | BuiltinName) => readonly Float32Array[];

/** The fingerprint that these results are. */
export function fingerprintOf(
  read: ReadResults,
  subgroups: { readonly size: number | null; readonly order: SubgroupOrder | 'other' } | null,
): Fingerprint {
  const ask = <Behaviour extends string>(probes: readonly Probe<Behaviour>[]) => answerOf(probes, read);
  const properties: FingerprintProperties = {
    version: 1,
    rounding: ask(QUESTIONS.rounding),
    multiplyAdd: ask(QUESTIONS.multiplyAdd),
    fma: ask(QUESTIONS.fma),
    barrierFromUniform: ask(QUESTIONS.barrierFromUniform) === 'two roundings',
    barrierFromStorage: ask(QUESTIONS.barrierFromStorage) === 'two roundings',
    barrierOfBrackets: ask(QUESTIONS.barrierOfBrackets) === 'in order',
    sums: ask(QUESTIONS.sums),
    sumsOfProducts: ask(QUESTIONS.sumsOfProducts),
    sumsWithConstant: ask(QUESTIONS.sumsWithConstant),
    productsWithConstant: ask(QUESTIONS.productsWithConstant),
    twoConstants: ask(QUESTIONS.twoConstants),
    divisionByConstant: ask(QUESTIONS.divisionByConstant),
    commonFactor: ask(QUESTIONS.commonFactor),
    commonFactorOfFma: ask(QUESTIONS.commonFactorOfFma),
    cancellation: ask(QUESTIONS.cancellation),
    constantCancellation: ask(QUESTIONS.constantCancellation),
    twoSum: ask(QUESTIONS.twoSum) === 'exact',
    split: ask(QUESTIONS.split) === 'exact',
    subnormalCopies: ask(QUESTIONS.subnormalCopies),
    subnormalInputs: ask(QUESTIONS.subnormalInputs),
    subnormalSums: ask(QUESTIONS.subnormalSums),
    subnormalProducts: ask(QUESTIONS.subnormalProducts),
    productsJustBelowNormal: ask(QUESTIONS.productsJustBelowNormal),
    zeroSigns: {
      copy: ask(QUESTIONS.signOfCopy) === 'kept',
      sum: ask(QUESTIONS.signOfSum) === 'kept',
      product: ask(QUESTIONS.signOfProduct) === 'kept',
      timesZero: ask(QUESTIONS.signTimesZero) === 'kept',
      plusZero: ask(QUESTIONS.signPlusZero) === 'kept',
      minusItself: ask(QUESTIONS.signMinusItself) === 'kept',
    },
    selfDifference: ask(QUESTIONS.selfDifference),
    timesZero: ask(QUESTIONS.timesZero),
    overflow: ask(QUESTIONS.overflow),
    nanByComparison: ask(QUESTIONS.nanByComparison) === 'right',
    nanByBits: ask(QUESTIONS.nanByBits) === 'right',
    nanMade: ask(QUESTIONS.nanMade) === 'kept',
    nanPassed: ask(QUESTIONS.nanPassed) === 'kept',
    minMaxOfNan: ask(QUESTIONS.minMaxOfNan),
    tanhOfLarge: ask(QUESTIONS.tanhOfLarge),
    builtinErrors: builtinErrors(read),
    subgroupSize: subgroups?.size ?? null,
    subgroupAdd: subgroups?.order ?? null,
  };
  return { id: idOf(properties), summary: summaryOf(properties), ...properties };
}

/** What all probes of a question agree on. */
export function answerOf<Behaviour extends string>(
  probes: readonly Probe<Behaviour>[],
  read: ReadResults,
): Answer<Behaviour> {
  const behaviours = new Set(probes.map((probe) => behaviourOf(probe, read(probe))));
  if (behaviours.has('other')) return 'other';
  return behaviours.size === 1 ? [...behaviours][0] : 'mixed';
}

function builtinErrors(read: ReadResults): BuiltinErrors {
  const names = Object.keys(BUILTIN_FUNCTIONS) as BuiltinName[];
  const errors = names.map((name) => {
    const builtin = BUILTIN_FUNCTIONS[name];
    return [name, largestError(builtin, sampleOf(builtin), read(name))];
  });
  return Object.fromEntries(errors) as BuiltinErrors;
}

/** A hash of the properties as JSON. */
export function idOf(properties: FingerprintProperties): string {
  return fnv1a(JSON.stringify(properties));
}

/** FNV-1a of a text as UTF-8, 32 bits as hexadecimal digits. */
export function fnv1a(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
