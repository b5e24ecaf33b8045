// `npm run bench`: measures the engine in headless Chrome (the sources) and in Node (the built package); see bench/README.md.
//   --runtime chrome|node   one of them only
//   --peers                 also other engines, in the same page; installs them in bench/ the first time
//   --profile               also the share of each kernel, by timestamp queries
//   --quick                 few repetitions; the result goes to bench/results/local/
//   --repetitions N         instead of 25
//   --json FILE             where the result goes
//   --from FILE             measures nothing: prints the table of a result

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';
import { root, runNpm, runPackage } from './run.mjs';
import { dependencyState } from './setup.mjs';

const USAGE =
  'usage: npm run bench -- [--runtime chrome|node] [--peers] [--profile] [--quick] [--repetitions N] [--json FILE]';
const bench = join(root, 'bench');

function readOptions() {
  const { values } = parseArgs({
    options: {
      runtime: { type: 'string' },
      peers: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      repetitions: { type: 'string' },
      json: { type: 'string' },
      from: { type: 'string' },
    },
  });
  const { runtime, quick, repetitions = quick ? '3' : '25' } = values;
  if (runtime !== undefined && !['chrome', 'node'].includes(runtime)) {
    throw new Error(`there is no runtime "${runtime}". ${USAGE}`);
  }
  if (!/^[1-9]\d{0,3}$/.test(repetitions)) {
    throw new Error(`--repetitions must be a whole number from 1 to 9999, got "${repetitions}".`);
  }
  return { ...values, runtimes: runtime ? [runtime] : ['chrome', 'node'], repetitions: Number(repetitions) };
}

/** The built package is what Node measures: it must be what the sources say. */
async function build() {
  const built = join(root, 'dist', 'index.js');
  const files = readdirSync(join(root, 'src'), { recursive: true }).filter((file) => file.endsWith('.ts'));
  const newest = Math.max(...files.map((file) => statSync(join(root, 'src', file)).mtimeMs));
  if (existsSync(built) && statSync(built).mtimeMs >= newest) return;
  if ((await runPackage('typescript', ['-p', 'tsconfig.build.json'])) !== 0)
    throw new Error('the build failed; its message is above.');
}

async function installPeers() {
  if (dependencyState(bench) === 'current') return;
  console.error('bench: installing the peers in bench/ …');
  const code = await runNpm(['ci', '--prefix', bench, '--ignore-scripts', '--no-audit', '--no-fund']);
  if (code !== 0) throw new Error(`the peers could not be installed: npm ci failed with exit code ${code}.`);
}

const importBench = async (file) =>
  (await runnerImport(join(bench, file), { configFile: false, logLevel: 'silent' })).module;

async function main() {
  const options = readOptions();
  if (options.from) {
    const { formatResult } = await importBench('format.ts');
    console.log(formatResult(JSON.parse(readFileSync(options.from, 'utf8'))));
    return;
  }
  if (options.runtimes.includes('node')) await build();
  if (options.peers) await installPeers();
  const { runBenchmark } = await importBench('run.ts');
  await runBenchmark({ ...options, root, shared: join(dirname(root), 'shared') });
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
