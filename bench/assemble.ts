// Puts a result together from what was measured: the same for the page, where one person measures, and for the command.
import { quartiles } from './quartiles.ts';
import { requirements } from './requirements.ts';
import type { BenchmarkResult, LoadSample, LoadTiming, Measurement, Peer, RuntimeResult } from './result.ts';

/** What one runtime measured, with the loads of other browsers or processes, and peers that could not even be started. */
export function runtimeResult(
  where: Pick<RuntimeResult, 'runtime' | 'version'>,
  { firstLoad, ...measurement }: Measurement,
  { loads = [], skippedPeers = [] }: { loads?: readonly LoadSample[]; skippedPeers?: readonly Peer[] } = {},
): RuntimeResult {
  const peers = [...measurement.peers, ...skippedPeers];
  return { ...where, ...measurement, loads: loadTimings([...loads, firstLoad]), peers };
}

function loadTimings(samples: readonly LoadSample[]): LoadTiming[] {
  const names = ['device', 'download', 'upload', 'compile', 'load', 'firstRun', 'warmRun', 'secondLoad'] as const;
  return names.map((name) => {
    const values = samples.map((sample) => sample[name]);
    return { name, ...quartiles(values), samples: values };
  });
}

/** @param head everything that is not measured in a runtime */
export function benchmarkResult(
  head: Omit<BenchmarkResult, 'format' | 'date' | 'runtimes' | 'requirements'>,
  runtimes: readonly RuntimeResult[],
): BenchmarkResult {
  const date = new Date().toISOString().slice(0, 10);
  return { format: 1, date, ...head, runtimes, requirements: requirements(runtimes) };
}

/** As it is written: times are not known to the nanosecond, and samples one below the other would be most of the file. */
export function resultText(result: BenchmarkResult): string {
  const rounded = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
  const onOneLine = (numbers: string) => numbers.replace(/\s+/g, ' ').replace('[ ', '[').replace(' ]', ']');
  return `${JSON.stringify(result, rounded, 1).replace(/\[[-\d.,e\s]+\]/g, onOneLine)}\n`;
}

/** `2026-11-20-google-swiftshader`: the name of a result's files. */
export function resultName({ date, runtimes }: BenchmarkResult): string {
  const { vendor, architecture } = runtimes[0].adapter;
  const adapter = `${vendor} ${architecture}`
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
  return `${date}-${adapter || 'unnamed'}`;
}
