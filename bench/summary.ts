// A result in a few sentences, for RESULTS.md and the head of the report: every number in them is the table's. What was not measured is not
// mentioned.
import { FREE_RATIO } from './free_matmul.ts';
import { DECODE_GROWTH, PREFILL_GROWTH } from './growth.ts';
import { kernelRates } from './kernels.ts';
import { copyBandwidth } from './limits.ts';
import { MAIN_LENGTH, RUN } from './measure.ts';
import { CONTEXTS, DECODE, EDIT_RATIO, SWEEP_LENGTH, SWEEP_RATIO } from './measure_edits.ts';
import { ORDER_RATIO, REPRODUCIBLE_RATIO } from './measure_numerics.ts';
import type { BenchmarkResult, RuntimeResult, Timing } from './result.ts';

/** One sentence, or a few that belong together, for each thing that was found; of the first runtime. */
export function summary({ requirements, runtimes }: BenchmarkResult): string[] {
  const [runtime] = runtimes;
  return [
    requirementsMet(requirements),
    ...runsAndPeers(runtime),
    ...ratios(runtime),
    ...limitsAndShares(runtime),
    ...whereTimeGoes(runtime),
    ...loading(runtime),
  ].filter((sentence) => sentence !== '');
}

const two = (value: number) => value.toFixed(2);
const brief = (value: number) => String(Number(value.toPrecision(3)));
const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

function requirementsMet(requirements: BenchmarkResult['requirements']): string {
  if (requirements.length === 0) return '';
  const missed = requirements.filter(({ met }) => !met);
  if (missed.length === 0) return `**All ${requirements.length} requirements are met.**`;
  return `**${missed.length} of ${requirements.length} requirements are not met**: ${missed.map(({ name }) => name).join('; ')}.`;
}

const timed = (timings: readonly Timing[], what: string, by = 'hyaline') =>
  timings.filter(({ engine, name }) => engine === by && name === what);

/** How many times as long another engine takes at each length that both have. */
function factors(timings: readonly Timing[], what: string, engine: string): number[] {
  const ours = new Map(timed(timings, what).map(({ tokens, median }) => [tokens, median]));
  return timed(timings, what, engine).flatMap(({ tokens, median }) => {
    const own = ours.get(tokens);
    return own === undefined ? [] : [median / own];
  });
}

function runsAndPeers({ timings }: RuntimeResult): string[] {
  const run = timed(timings, RUN).find(({ tokens }) => tokens === MAIN_LENGTH);
  const decodes = timed(timings, DECODE);
  const sentences = run ? [`A run of ${MAIN_LENGTH} tokens takes ${brief(run.median)} ms.`] : [];
  if (decodes.length > 0) {
    const each = decodes.map(({ tokens, median }) => `${brief(median)} ms behind ${tokens}`);
    sentences.push(`A token decoded through the key-value cache takes ${each.join(' and ')} others.`);
  }
  for (const engine of new Set(timings.map(({ engine }) => engine))) {
    if (engine === 'hyaline') continue;
    const parts = [
      ['runs', factors(timings, RUN, engine)],
      ['decoding', factors(timings, DECODE, engine)],
    ] as const;
    const told = parts.flatMap(([what, all]) => {
      return all.length > 0
        ? [`${brief(Math.min(...all))} to ${brief(Math.max(...all))} times our time at ${what}`]
        : [];
    });
    if (told.length > 0) sentences.push(`${engine} takes ${told.join(', ')}.`);
  }
  return sentences;
}

function ratios({ captureRatio, ratios = [] }: RuntimeResult): string[] {
  const ratio = (what: string, length: number) =>
    ratios.find(({ name, tokens }) => name === what && tokens === length)?.median;
  const told = (value: number | undefined, text: (value: string) => string) =>
    value === undefined ? '' : text(two(value));
  const edits = CONTEXTS.map((context) => ratio(EDIT_RATIO, context)).filter((value) => value !== undefined);
  return [
    told(captureRatio?.median, (value) => `Capturing everything takes ${value} × the time of capturing nothing.`),
    edits.length > 0 ? `An edit at each step of decoding makes it ${edits.map(two).join(' and ')} times as long.` : '',
    told(ratio(SWEEP_RATIO, SWEEP_LENGTH), (value) => `A sweep of 16 edits is ${value} times as fast as 16 runs.`),
    told(
      ratio(REPRODUCIBLE_RATIO, MAIN_LENGTH),
      (value) => `The same bits on every adapter (reproducible mode) cost ${value} ×.`,
    ),
    told(
      ratio(ORDER_RATIO, MAIN_LENGTH),
      (value) => `Products in a fixed order of sums take ${value} × the time of the same kernels without one.`,
    ),
    told(
      ratio(FREE_RATIO, 512),
      (value) => `A product of 512³ has ${value} × the speed of the best tile that may add in any order.`,
    ),
    told(
      ratio(PREFILL_GROWTH, 512),
      (value) => `A token of a prompt of 512 takes ${value} × the time of one of a prompt of 64.`,
    ),
    told(
      ratio(DECODE_GROWTH, 512),
      (value) => `A token decoded behind 512 others takes ${value} × the time of one behind 64.`,
    ),
  ];
}

function limitsAndShares({ limits, kernels = [] }: RuntimeResult): string[] {
  if (!limits) return [];
  const share = (rows: (count: number) => boolean) => {
    const products = kernels.filter((kernel) => kernel.matrixBytes > 0 && rows(kernel.rows));
    return products.map((kernel) => kernelRates(kernel, limits).share).sort((a, b) => a - b);
  };
  const told = (what: string, shares: readonly number[]) =>
    shares.length > 0 ? `${what} reach ${percent(shares[0])} to ${percent(shares[shares.length - 1])} of that` : '';
  const parts = [
    told(
      'products of one row',
      share((count) => count === 1),
    ),
    told(
      'of many',
      share((count) => count > 1),
    ),
  ];
  const reached = parts.filter(Boolean).join(', ');
  return [
    `The adapter copies ${brief(copyBandwidth(limits))} GB/s and does ${brief(limits.fma.median)} GFLOP/s of multiply-adds${reached && `; ${reached}`}.`,
  ];
}

function whereTimeGoes({ profiles }: RuntimeResult): string[] {
  return profiles.map(({ name, kernels }) => {
    const most = kernels
      .filter(({ share }) => share >= 0.05)
      .map(({ kernel, share }) => `\`${kernel}\` ${percent(share)}`);
    return `A ${name.replace(', ', ' of ')} spends its time in ${most.join(', ')}, everything else less than 5 % each.`;
  });
}

function loading({ loads }: RuntimeResult): string[] {
  const time = (what: string) => loads.find(({ name }) => name === what)?.median;
  const [load, compile, again] = [time('load'), time('compile'), time('secondLoad')];
  if (load === undefined || compile === undefined || again === undefined) return [];
  return [
    `A first load takes ${brief(load)} ms, of which ${brief(compile)} are compilation; a second one on the same device takes ${brief(again)}.`,
  ];
}
