// What reproducible numerics need on an adapter, from what was measured of it: kernels/prelude.ts says what there is to choose.
import type { Guarding } from '../kernels/prelude.ts';
import type { FingerprintProperties } from './fingerprint/properties.ts';

/** What has to be known. */
type Rounding = Pick<
  FingerprintProperties,
  | 'rounding'
  | 'barrierFromUniform'
  | 'barrierOfBrackets'
  | 'sums'
  | 'sumsOfProducts'
  | 'split'
  | 'sumsWithConstant'
  | 'productsWithConstant'
  | 'subnormalInputs'
  | 'subnormalSums'
  | 'subnormalProducts'
>;

/** What reproducible numerics rely on, and what `guarded` does not rely on any more. */
const RELIED_ON: readonly {
  readonly property: keyof Rounding;
  readonly answer: string | boolean;
  readonly guarded: boolean;
}[] = [
  { property: 'rounding', answer: 'nearest even', guarded: true },
  { property: 'barrierFromUniform', answer: true, guarded: true },
  { property: 'barrierOfBrackets', answer: true, guarded: true },
  { property: 'sums', answer: 'in order', guarded: false },
  { property: 'sumsOfProducts', answer: 'in order', guarded: false },
  { property: 'split', answer: true, guarded: false },
  { property: 'sumsWithConstant', answer: 'in order', guarded: false },
  { property: 'productsWithConstant', answer: 'in order', guarded: false },
  { property: 'subnormalInputs', answer: 'flushed', guarded: false },
  { property: 'subnormalSums', answer: 'flushed', guarded: false },
  { property: 'subnormalProducts', answer: 'flushed', guarded: false },
];

/** Properties of an adapter for which this way of computing may give other bits there than the emulation, as `name: answer`. */
export function unmet(measured: Rounding, guarding: Guarding): string[] {
  return RELIED_ON.filter(({ property, answer, guarded }) => {
    return (guarded || guarding === 'reproducible') && measured[property] !== answer;
  }).map(({ property }) => `${property}: ${measured[property]}`);
}

/** Measured once per device: about 0.3 s where its shaders are not compiled yet. */
export async function measureGuarding(device: GPUDevice): Promise<Guarding> {
  const { adapterFingerprint } = await import('./fingerprint.ts'); // its formulas are not for a bundle of fast numerics alone
  return guardingOf(await adapterFingerprint(device));
}

/**
 * `reproducible` where the adapter by itself adds in order and flushes subnormal numbers, `guarded` anywhere else.
 * @throws Error where no guard helps: sums and products that are not rounded to nearest even, or a barrier that is seen through
 */
export function guardingOf(measured: Rounding): Guarding {
  const reasons = unmet(measured, 'guarded');
  if (reasons.length > 0) {
    throw new Error(
      `device: reproducible numerics are not possible on this adapter (measured: ${reasons.join(', ')}). Run with 'fast'.`,
    );
  }
  return unmet(measured, 'reproducible').length === 0 ? 'reproducible' : 'guarded';
}
