// What the engine has to reach, and on what: `circuit-zoo`, warm, in headless Chrome on SwiftShader, 2 cores.
import { MAIN_LENGTH, RUN } from './measure.ts';
import { CONTEXTS, DECODE, EDIT_RATIO, SWEEP_LENGTH, SWEEP_RATIO } from './measure_edits.ts';
import { ORDER_RATIO, REPRODUCIBLE_RATIO } from './measure_numerics.ts';
import type { Requirement, RuntimeResult } from './result.ts';

/** Empty where nothing was measured on what the requirements are about. */
export function requirements(
  runtimes: readonly Pick<RuntimeResult, 'runtime' | 'adapter' | 'timings' | 'captureRatio' | 'ratios'>[],
) {
  const chrome = runtimes.find(({ runtime }) => runtime === 'chrome');
  if (!chrome || !/swiftshader/i.test(chrome.adapter.text)) return [];
  const time = (what: string, length: number) =>
    chrome.timings.find(({ engine, name, tokens }) => engine === 'hyaline' && name === what && tokens === length)
      ?.median;
  const ratio = (what: string, length: number) =>
    chrome.ratios?.find(({ name, tokens }) => name === what && tokens === length)?.median;
  const found: Requirement[] = [];
  const add = (name: string, value: number | undefined, { limit, unit }: { limit: number; unit: string }) => {
    if (value !== undefined) found.push({ name, value, limit, unit, met: value <= limit });
  };
  add('a run of 64 tokens', time(RUN, MAIN_LENGTH), { limit: 150, unit: 'ms' });
  add('everything captured against nothing', chrome.captureRatio?.median, { limit: 1.3, unit: '×' });
  for (const context of CONTEXTS) {
    add(`decoding a token behind ${context}`, time(DECODE, context), { limit: 15, unit: 'ms' });
    add(`one edit against none, behind ${context}`, ratio(EDIT_RATIO, context), { limit: 1.1, unit: '×' });
  }
  add(REPRODUCIBLE_RATIO, ratio(REPRODUCIBLE_RATIO, MAIN_LENGTH), { limit: 1.4, unit: '×' });
  add(ORDER_RATIO, ratio(ORDER_RATIO, MAIN_LENGTH), { limit: 1.05, unit: '×' });
  const faster = ratio(SWEEP_RATIO, SWEEP_LENGTH);
  if (faster !== undefined) {
    const name = `${SWEEP_RATIO}, ${SWEEP_LENGTH} tokens`;
    found.push({ name, value: faster, limit: 2.5, atLeast: true, unit: '×', met: faster >= 2.5 });
  }
  return found;
}
