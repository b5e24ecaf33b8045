// A result as text for a terminal. Pure: the same result gives the same text, so RESULTS.md can be checked against it.
import type { Quartiles } from './quartiles.ts';
import type { BenchmarkResult, LoadSample, RuntimeResult } from './result.ts';

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
  const { machine, load, versions, repetitions } = result;
  const commit = result.commit
    ? `commit ${result.commit.slice(0, 10)}${result.modified ? ', modified' : ''}`
    : 'no commit';
  return [
    `Hyaline benchmark: ${result.model}, ${result.date}, ${commit}${result.quick ? ', QUICK: not for comparing' : ''}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}; load average ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} at the end`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `milliseconds of wall time: medians of ${repetitions} rounds in turns, and quartiles`,
    ...result.runtimes.flatMap((runtime) => ['', ...formatRuntime(runtime)]),
    '',
    ...formatRequirements(result),
  ].join('\n');
}

function formatRuntime(result: RuntimeResult): string[] {
  const {
    runtime,
    adapter,
    fingerprint,
    checks,
    timings,
    captureRatio,
    ratios = [],
    loads,
    plans,
    weights,
    peers,
    profiles,
  } = result;
  const where = runtime === 'chrome' ? `Headless Chrome (${result.version})` : `Node ${result.version} on Dawn`;
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
  const fresh = runtime === 'chrome' ? 'in a fresh browser' : 'in a fresh process';
  const loadRows = loads.map(({ name, samples, ...times }) => [LOADS[name], ...spread(times)]);
  const costs = plans.map(({ name, dispatches, values, buffers, bytes }) => [
    name,
    String(dispatches),
    String(values),
    String(buffers),
    megabytes(bytes),
  ]);
  return [
    where,
    `adapter: ${adapter.text}`,
    ...(fingerprint ? [`fingerprint ${fingerprint.id}: ${fingerprint.summary}`] : []),
    `checks before timing: ${checks.filter(({ passed }) => passed).length} of ${checks.length} passed`,
    '',
    ...align([['engine', 'what', 'tokens', 'median', 'lower', 'upper', 'to hyaline'], ...times], 2),
    ...(captureRatio ? [`everything captured against nothing, 64 tokens: ${formatRatio(captureRatio)}`] : []),
    ...ratios.map(({ name, tokens, ...ratio }) => `${name}, ${tokens} tokens: ${formatRatio(ratio)}`),
    ...cpuNote(result),
    ...peers.filter(({ notRun }) => notRun).map(({ name, notRun }) => `${name}: not run: ${notRun}`),
    '',
    ...align([[`${fresh} (${loads[0]?.samples.length ?? 0})`, 'median', 'lower', 'upper'], ...loadRows]),
    '',
    ...align([
      ['plan', 'dispatches', 'values', 'buffers', 'MB'],
      ...costs,
      ['weights', '', '', String(weights.buffers), megabytes(weights.bytes)],
    ]),
    ...profiles.flatMap(({ name, kernels, slowest }) => [
      '',
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
    ]),
    ...(result.profileProblem ? ['', `no profile: ${result.profileProblem}`] : []),
  ];
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

function formatRequirements({ requirements }: BenchmarkResult): string[] {
  if (requirements.length === 0)
    return ['requirements: none for what was measured (they are for Chrome on SwiftShader)'];
  return align(
    [
      ['requirement (Chrome on SwiftShader)', 'limit', 'measured', ''],
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

function formatRatio({ median, lower, upper }: Quartiles): string {
  return `${median.toFixed(2)} × (${lower.toFixed(2)}–${upper.toFixed(2)})`;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(2);
