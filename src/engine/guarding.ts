// What reproducible numerics need on an adapter, from what was measured of it: kernels/prelude.ts says what there is to choose.
import type { Guarding } from '../kernels/prelude.ts';
import type { FingerprintProperties } from './fingerprint/properties.ts';
import { adapterFingerprint } from './fingerprint.ts';

/** What has to be known. */
type Rounding = Pick<
  FingerprintProperties,
  | 'rounding'
  | 'barrierFromUniform'
  | 'sums'
  | 'sumsOfProducts'
  | 'split'
  | 'subnormalInputs'
  | 'subnormalSums'
  | 'subnormalProducts'
>;

/** Measured once per device: about 0.3 s where its shaders are not compiled yet. */
export async function measureGuarding(device: GPUDevice): Promise<Guarding> {
  return guardingOf(await adapterFingerprint(device));
}

/**
 * `reproducible` where the adapter by itself adds in order and flushes subnormal numbers, `guarded` anywhere else.
 * @throws Error where no guard helps: sums and products that are not rounded to nearest even, or a barrier that is seen through
 */
export function guardingOf(measured: Rounding): Guarding {
  if (measured.rounding !== 'nearest even' || !measured.barrierFromUniform) {
    const reason =
      measured.rounding === 'nearest even'
        ? 'its compiler fuses products that were kept apart from their sums'
        : `it rounds sums and products otherwise than to nearest even (measured: ${measured.rounding})`;
    throw new Error(`device: reproducible numerics are not possible on this adapter: ${reason}. Run with 'fast'.`);
  }
  const isInOrder = measured.sums === 'in order' && measured.sumsOfProducts === 'in order' && measured.split;
  const flushes = [measured.subnormalInputs, measured.subnormalSums, measured.subnormalProducts];
  return isInOrder && flushes.every((answer) => answer === 'flushed') ? 'reproducible' : 'guarded';
}
