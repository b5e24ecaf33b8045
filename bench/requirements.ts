// What the engine has to reach, and on what. On SwiftShader in headless Chrome: times and ratios of `circuit-zoo`, warm, on two cores. On
// hardware: shares of what the adapter can do.
import { FREE_RATIO } from './free_matmul.ts';
import { DECODE_GROWTH, PREFILL_GROWTH } from './growth.ts';
import { kernelRates } from './kernels.ts';
import { copyBandwidth } from './limits.ts';
import { MAIN_LENGTH, RUN } from './measure.ts';
import { CONTEXTS, DECODE, EDIT_RATIO, SWEEP_LENGTH, SWEEP_RATIO } from './measure_edits.ts';
import { ORDER_RATIO, REPRODUCIBLE_RATIO } from './measure_numerics.ts';
import type { KernelTiming, Requirement, RuntimeResult } from './result.ts';
import { GPT2_SMALL } from './shapes.ts';

type Measured = Pick<
  RuntimeResult,
  'runtime' | 'adapter' | 'timings' | 'captureRatio' | 'ratios' | 'limits' | 'kernels' | 'growth'
>;

const PEER = 'onnxruntime-web WebGPU';
/** A row of a matrix this large has to come from memory. */
const LARGE_MATRIX_BYTES = 32e6;
const LARGE_PRODUCT = 1024;

/** The runtime that the requirements are about: one on hardware, or else Chrome on SwiftShader. */
export function judged<T extends Pick<RuntimeResult, 'runtime' | 'adapter'>>(runtimes: readonly T[]): T | undefined {
  const chromeFirst = [...runtimes].sort((a, b) => a.runtime.localeCompare(b.runtime));
  return (
    chromeFirst.find(({ adapter }) => !adapter.isFallback) ??
    chromeFirst.find(({ runtime, adapter }) => runtime === 'chrome' && /swiftshader/i.test(adapter.text))
  );
}

/** Empty where nothing was measured on what the requirements are about; what was not measured is left out. */
export function requirements(runtimes: readonly Measured[]): Requirement[] {
  const measured = judged(runtimes);
  if (!measured) return [];
  return measured.adapter.isFallback ? onSwiftShader(measured) : onHardware(measured);
}

/** A list that a value that was not measured (undefined) does not get into. */
class List {
  readonly found: Requirement[] = [];

  atMost(name: string, value: number | undefined, limit: number, unit: string): void {
    if (value !== undefined) this.found.push({ name, value, limit, unit, met: value <= limit });
  }

  atLeast(name: string, value: number | undefined, limit: number, unit: string): void {
    if (value !== undefined) this.found.push({ name, value, limit, atLeast: true, unit, met: value >= limit });
  }
}

function onSwiftShader({ timings, ratios, captureRatio }: Measured): Requirement[] {
  const time = (what: string, length: number, by = 'hyaline') =>
    timings.find(({ engine, name, tokens }) => engine === by && name === what && tokens === length)?.median;
  const ratio = (what: string, length: number) =>
    ratios?.find(({ name, tokens }) => name === what && tokens === length)?.median;
  const faster = (what: string, length: number) => {
    const [theirs, ours] = [time(what, length, PEER), time(what, length)];
    return theirs !== undefined && ours !== undefined ? theirs / ours : undefined;
  };
  const list = new List();
  list.atMost('a run of 64 tokens', time(RUN, MAIN_LENGTH), 150, 'ms');
  list.atLeast(`a run of 64 tokens, faster than ${PEER}`, faster(RUN, MAIN_LENGTH), 6, '×');
  list.atMost('everything captured against nothing', captureRatio?.median, 1.2, '×');
  for (const context of CONTEXTS) {
    list.atMost(`decoding a token behind ${context}`, time(DECODE, context), 15, 'ms');
    list.atLeast(`decoding behind ${context}, faster than ${PEER}`, faster(DECODE, context), 15, '×');
    list.atMost(`one edit against none, behind ${context}`, ratio(EDIT_RATIO, context), 1.1, '×');
  }
  list.atMost(PREFILL_GROWTH, ratio(PREFILL_GROWTH, 512), 1.5, '×');
  list.atMost(DECODE_GROWTH, ratio(DECODE_GROWTH, 512), 1.5, '×');
  list.atMost(REPRODUCIBLE_RATIO, ratio(REPRODUCIBLE_RATIO, MAIN_LENGTH), 1.4, '×');
  list.atMost(ORDER_RATIO, ratio(ORDER_RATIO, MAIN_LENGTH), 1.05, '×');
  list.atLeast(FREE_RATIO, ratio(FREE_RATIO, 512), 0.8, '×');
  list.atLeast(`${SWEEP_RATIO}, ${SWEEP_LENGTH} tokens`, ratio(SWEEP_RATIO, SWEEP_LENGTH), 2.5, '×');
  return list.found;
}

function onHardware({ limits, kernels = [], growth = [], ratios }: Measured): Requirement[] {
  if (!limits) return [];
  const list = new List();
  const worst = (chosen: readonly KernelTiming[], rate: (kernel: KernelTiming) => number) =>
    chosen.length > 0 ? 100 * Math.min(...chosen.map(rate)) : undefined;
  const products = kernels.filter(({ matrixBytes }) => matrixBytes > 0);
  const rows = products.filter((kernel) => kernel.rows === 1 && kernel.matrixBytes >= LARGE_MATRIX_BYTES);
  const bandwidth = (kernel: KernelTiming) => kernelRates(kernel, limits).gigabytesPerSecond / copyBandwidth(limits);
  list.atLeast('one row by a matrix of 32 MB or more, of the copy bandwidth', worst(rows, bandwidth), 60, '%');
  const squares = products.filter(
    (kernel) => kernel.rows >= LARGE_PRODUCT && kernel.matrixBytes >= 4 * LARGE_PRODUCT ** 2,
  );
  const peak = (kernel: KernelTiming) => kernelRates(kernel, limits).gigaflops / limits.fma.median;
  list.atLeast('products from 1,024³ on, of the multiply-add peak', worst(squares, peak), 45, '%');
  const generated = growth.find(({ model, kind }) => model === GPT2_SMALL.name && kind === 'generate');
  list.atLeast(`${GPT2_SMALL.name}, generating`, generated && 1000 / generated.median, 300, 'tokens/s');
  for (const name of [PREFILL_GROWTH, DECODE_GROWTH]) {
    list.atMost(name, ratios?.find((ratio) => ratio.name === name)?.median, 1.5, '×');
  }
  return list.found;
}
