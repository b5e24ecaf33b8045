// Which options of sampling there can be. How a token is chosen: `kernels/choose_token.ts`, and on the GPU `kernels/sample.ts`.
import type { SamplingOptions } from '../kernels/choose_token.ts';

/** @throws Error that lists every option out of its range */
export function checkSampling(options: SamplingOptions): void {
  const { temperature = 0, topK = 1, topP = 1, minP = 0, repetitionPenalty = 1, seed = 0 } = options;
  const problems = [
    temperature >= 0 && temperature < Number.POSITIVE_INFINITY ? '' : `temperature ${temperature} (0 or more)`,
    Number.isInteger(topK) && topK >= 1 ? '' : `topK ${topK} (a whole number from 1)`,
    topP > 0 && topP <= 1 ? '' : `topP ${topP} (above 0, at most 1)`,
    minP >= 0 && minP <= 1 ? '' : `minP ${minP} (0 to 1)`,
    repetitionPenalty > 0 && repetitionPenalty < Number.POSITIVE_INFINITY
      ? ''
      : `repetitionPenalty ${repetitionPenalty} (above 0)`,
    Number.isSafeInteger(seed) ? '' : `seed ${seed} (a whole number)`,
  ].filter((problem) => problem !== '');
  if (problems.length > 0) throw new Error(`generate: options out of range: ${problems.join(', ')}.`);
}
