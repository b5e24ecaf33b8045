// The benchmark in Node alone, from a pack: no browser, no peers. Writes benchmark.json into the folder that is
// given. `--quick`: few repetitions.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runBenchmark } from '../run.ts';

const [folder, ...flags] = process.argv.slice(2);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quick = flags.includes('--quick');
await runBenchmark({
  root,
  shared: root,
  runtimes: ['node'],
  peers: false,
  quick,
  repetitions: quick ? 3 : 25,
  shapes: false,
  results: false,
  json: join(folder, 'benchmark.json'),
});
process.exit(process.exitCode ?? 0);
