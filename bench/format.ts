// A result as text for a terminal. Pure: the same result gives the same text, so RESULTS.md can be checked against it.

import { kernelRates } from './kernels.ts';
import type { Quartiles } from './quartiles.ts';
import { judged } from './requirements.ts';
import type { BenchmarkResult, Growth, LoadSample, RuntimeResult } from './result.ts';

const LOADS: Readonly<Record<keyof LoadSample, string>> = {
  device: 'adapter and device',
  download: 'load: read the files',
  upload: 'load: weights to the GPU',
  compile: 'load: compile the pipelines',
  load: 'load, in all',
  firstRun: 'first run, 64 tokens',
  warmRun: 'third run, 64 tokens',
  secondLoad: 'load again, same device',
};

export function formatResult(result: BenchmarkResult): string {
  return [
    ...formatHead(result),
    ...result.runtimes.flatMap((runtime) => ['', ...formatRuntime(runtime)]),
    '',
    ...formatRequirements(result),
  ].join('\n');
}

/** What was measured, where and when. */
export function formatHead({ machine, load, versions, ...result }: BenchmarkResult): string[] {
  const commit = result.commit
    ? `commit ${result.commit.slice(0, 10)}${result.modified ? ', modified' : ''}`
    : 'no commit';
  const loads = load && `load average ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} at the end`;
  return [
    `Hyaline benchmark: ${result.model}, ${result.date}, ${commit}${result.quick ? ', QUICK: not for comparing' : ''}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}${loads ? `; ${loads}` : ''}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `milliseconds of wall time: medians of ${result.repetitions} rounds in turns, and quartiles`,
  ];
}

export function whereItRan({ runtime, version }: RuntimeResult): string {
  if (runtime === 'page') return `A page in ${version}`;
  return runtime === 'chrome' ? `Headless Chrome (${version})` : `Node ${version} on Dawn`;
}

/** Everything that one runtime measured. */
export function formatRuntime(result: RuntimeResult): string[] {
  const { adapter, fingerprint, checks, captureRatio, ratios = [], peers, skipped = [] } = result;
  const tables = [
    formatTimings(result),
    formatLoads(result),
    formatPlans(result),
    formatLimits(result),
    formatKernels(result),
    formatGrowth(result),
    ...formatProfiles(result),
  ];
  const [timings, ...others] = tables;
  return [
    whereItRan(result),
    `adapter: ${adapter.text}`,
    ...(fingerprint ? [`fingerprint ${fingerprint.id}: ${fingerprint.summary}`] : []),
    `checks before timing: ${checks.filter(({ passed }) => passed).length} of ${checks.length} passed`,
    '',
    ...timings,
    ...(captureRatio ? [`everything captured against nothing, 64 tokens: ${formatRatio(captureRatio)}`] : []),
    ...ratios.map(({ name, tokens, ...ratio }) => `${name}, ${tokens} tokens: ${formatRatio(ratio)}`),
    ...cpuNote(result),
    ...peers.filter(({ notRun }) => notRun).map(({ name, notRun }) => `${name}: not run: ${notRun}`),
    ...others.flatMap((table) => (table.length > 0 ? ['', ...table] : [])),
    ...(result.profileProblem ? ['', `no profile: ${result.profileProblem}`] : []),
    ...(skipped.length > 0 ? ['', ...skipped.map((what) => `not measured: ${what}`)] : []),
  ];
}

function formatTimings({ timings }: RuntimeResult): string[] {
  const own = new Map(
    timings.flatMap(({ engine, name, tokens, median }) =>
      engine === 'hyaline' ? [[`${name} ${tokens}`, median]] : [],
    ),
  );
  const against = (key: string, engine: string, median: number) => {
    const ours = own.get(key);
    return engine === 'hyaline' || ours === undefined ? '' : `${(median / ours).toPrecision(2)} ×`;
  };
  const times = timings.map(({ engine, name, tokens, ...times }) => [
    engine,
    name,
    String(tokens),
    ...spread(times),
    against(`${name} ${tokens}`, engine, times.median),
  ]);
  return align([['engine', 'what', 'tokens', 'median', 'lower', 'upper', 'to hyaline'], ...times], 2);
}

/** Where a software adapter is slower than the same CPU without it: whoever reads the table has to know. */
function cpuNote({ adapter, timings }: RuntimeResult): string[] {
  if (!adapter.isFallback) return [];
  const isOnCpu = (engine: string) => /\bWASM\b/.test(engine);
  const isFaster = ({ name, tokens, median }: RuntimeResult['timings'][number]) =>
    timings.every(
      (other) => other.name !== name || other.tokens !== tokens || isOnCpu(other.engine) || other.median > median,
    );
  return [...new Set(timings.map(({ engine }) => engine))].filter(isOnCpu).map((engine) => {
    const rows = timings.filter((timing) => timing.engine === engine);
    const count = `${rows.filter(isFaster).length} of ${rows.length} rows`;
    return `${engine}, on the same CPU without this software adapter: faster than every engine on it in ${count}`;
  });
}

function formatLoads({ runtime, loads }: RuntimeResult): string[] {
  const fresh = { chrome: 'in a fresh browser', node: 'in a fresh process', page: 'in this page' }[runtime];
  const rows = loads.map(({ name, samples, ...times }) => [LOADS[name], ...spread(times)]);
  return align([[`${fresh} (${loads[0]?.samples.length ?? 0})`, 'median', 'lower', 'upper'], ...rows]);
}

function formatPlans({ plans, weights, memory }: RuntimeResult): string[] {
  const costs = plans.map(({ name, dispatches, values, buffers, bytes }) => [
    name,
    String(dispatches),
    String(values),
    String(buffers),
    megabytes(bytes),
  ]);
  return [
    ...align([
      ['plan', 'dispatches', 'values', 'buffers', 'MB'],
      ...costs,
      ['weights', '', '', String(weights.buffers), megabytes(weights.bytes)],
    ]),
    ...(memory?.gpu.map(({ model, bytes }) => `held on the GPU in the end, ${model}: ${megabytes(bytes)} MB`) ?? []),
    ...(memory?.host ? [`held on the host: ${megabytes(memory.host)} MB`] : []),
  ];
}

function formatLimits({ limits }: RuntimeResult): string[] {
  if (!limits) return [];
  const microseconds = ({ median, lower, upper }: Quartiles) => [median, lower, upper].map((ms) => figures(1000 * ms));
  const rates = ({ median, lower, upper }: Quartiles) => [median, lower, upper].map(figures);
  const clock = limits.timestamps ? 'timestamps' : 'wall time';
  return align([
    [`the adapter's limits, by ${clock}`, 'median', 'lower', 'upper'],
    ...limits.copy.map(({ bytes, ...rate }) => [`copy of ${figures(bytes / 2 ** 20)} MiB, GB/s`, ...rates(rate)]),
    ['multiply-adds, GFLOP/s', ...rates(limits.fma)],
    ['a dispatch in a pass, µs', ...microseconds(limits.dispatch)],
    ['from a submission to the CPU, µs', ...microseconds(limits.roundTrip)],
  ]);
}

function formatKernels({ limits, kernels = [] }: RuntimeResult): string[] {
  if (!limits || kernels.length === 0) return [];
  const rows = kernels.map((timing) => {
    const { ms, gigabytesPerSecond, gigaflops, share, limitedBy } = kernelRates(timing, limits);
    return [
      timing.shape,
      timing.kernel,
      timing.value.replace(/^blocks\.\d+\./, ''),
      timing.context > 0 ? `${timing.rows} + ${timing.context}` : String(timing.rows),
      figures(1000 * ms),
      figures(1000 * timing.wall.median),
      figures(gigabytesPerSecond),
      timing.flops > 0 ? figures(gigaflops) : '',
      `${(100 * share).toFixed(0)} %`,
      limitedBy,
    ];
  });
  const head = ['kernels of', 'kernel', 'value', 'rows', 'µs', 'wall µs', 'GB/s', 'GFLOP/s', 'share', 'of'];
  return align([head, ...rows], 3, 9);
}

function formatGrowth({ growth = [] }: RuntimeResult): string[] {
  if (growth.length === 0) return [];
  const whats: Readonly<Record<Growth['kind'], (at: number) => [string, string]>> = {
    prefill: (at) => [`a run of ${at} tokens`, figures(at)],
    decode: (at) => [`a token behind ${at}`, '1'],
    generate: (at) => [`a token generated behind ${at}`, '1'],
    batch: (at) => [`a run of ${at} × 64 tokens`, figures(64 * at)],
    layers: (at) => [`a run of 64 tokens, ${at} layers`, '64'],
  };
  const rows = growth.map(({ model, kind, at, ...times }) => {
    const [what, tokens] = whats[kind](at);
    return [
      model,
      what,
      ...spread(times),
      figures(times.median / Number(tokens)),
      figures((1000 * Number(tokens)) / times.median),
    ];
  });
  return align([['growth of', 'what', 'median', 'lower', 'upper', 'ms per token', 'tokens/s'], ...rows], 2);
}

function formatProfiles({ profiles }: RuntimeResult): string[][] {
  return profiles.map(({ name, kernels, slowest }) => [
    ...align([
      [`profile: ${name}`, 'dispatches', 'median', 'share'],
      ...kernels.map(({ kernel, dispatches, median, share }) => [
        kernel,
        String(dispatches),
        formatMs(median),
        `${(100 * share).toFixed(1)} %`,
      ]),
    ]),
    `slowest: ${slowest
      .slice(0, 4)
      .map(({ label, median }) => `${label} ${formatMs(median)}`)
      .join(', ')}`,
  ]);
}

export function formatRequirements({ requirements, runtimes }: BenchmarkResult): string[] {
  const runtime = judged(runtimes);
  if (!runtime || requirements.length === 0) {
    return ['requirements: none for what was measured (they are for Chrome on SwiftShader, and for hardware)'];
  }
  const program = { chrome: 'Chrome', node: 'Node', page: 'a page' }[runtime.runtime];
  const where = `${program} on ${runtime.adapter.isFallback ? 'SwiftShader' : 'hardware'}`;
  return align(
    [
      [`requirement (${where})`, 'limit', 'measured', ''],
      ...requirements.map(({ name, limit, atLeast, value, unit, met }) => [
        name,
        `${atLeast ? '≥' : '≤'} ${limit} ${unit}`,
        `${unit === '×' ? value.toFixed(2) : formatMs(value)} ${unit}`,
        met ? 'met' : 'NOT MET',
      ]),
    ],
    1,
    3,
  );
}

/** Columns padded to their widest cell; those from `firstRight` up to `endRight` are flush right. */
function align(rows: readonly (readonly string[])[], firstRight = 1, endRight = Number.POSITIVE_INFINITY): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const isRight = (column: number) => column >= firstRight && column < endRight;
  return rows.map((row) =>
    row
      .map((cell, column) => (isRight(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('   ')
      .trimEnd(),
  );
}

const spread = ({ median, lower, upper }: Quartiles) => [median, lower, upper].map(formatMs);

function formatMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}

/** Three figures, without an exponent. */
function figures(value: number): string {
  return value >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function formatRatio({ median, lower, upper }: Quartiles): string {
  return `${median.toFixed(2)} × (${lower.toFixed(2)}–${upper.toFixed(2)})`;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(2);
