// `npm run bench`: measures the engine in headless Chrome (the sources) and in Node (the built package); see bench/README.md.
//   --runtime chrome|node   one of them only
//   --peers                 also other engines, in the same page; installs them in bench/ the first time
//   --quick                 as little as shows that it works; the result goes to bench/results/local/
//   --repetitions N         instead of 25
//   --shapes                GPT-2 small as a whole, on a software adapter too
//   --results               also updates the table in bench/RESULTS.md
//   --json FILE             where the result goes; its report goes beside it
//   --from FILE             measures nothing: prints the table of a result; with --results updates RESULTS.md, with --report
//   --report                its report
//   --page                  measures nothing: serves the page that measures in your own browser

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';
import { root, runNpm, runPackage } from './run.mjs';
import { dependencyState } from './setup.mjs';

const USAGE =
  'usage: npm run bench -- [--runtime chrome|node] [--peers] [--quick] [--shapes] [--repetitions N] [--results] [--json FILE]';
const bench = join(root, 'bench');

function readOptions() {
  const flag = { type: 'boolean', default: false };
  const { values } = parseArgs({
    options: {
      runtime: { type: 'string' },
      peers: flag,
      quick: flag,
      repetitions: { type: 'string' },
      shapes: flag,
      results: flag,
      json: { type: 'string' },
      from: { type: 'string' },
      report: flag,
      page: flag,
    },
  });
  const { runtime, quick, repetitions = quick ? '2' : '25', results, json, from } = values;
  if (runtime !== undefined && !['chrome', 'node'].includes(runtime)) {
    throw new Error(`there is no runtime "${runtime}". ${USAGE}`);
  }
  if (!/^[1-9]\d{0,3}$/.test(repetitions)) {
    throw new Error(`--repetitions must be a whole number from 1 to 9999, got "${repetitions}".`);
  }
  if (results && (quick || json || (from && resolve(dirname(from)) !== join(bench, 'results')))) {
    throw new Error('--results is for whole measurements, and for files of bench/results.');
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

/** What a folder's package.json asks for; gives npm's exit code. */
async function install(what, folder) {
  if (dependencyState(folder) === 'current') return 0;
  console.error(`bench: installing ${what} …`);
  return runNpm(['ci', '--prefix', folder, '--silent', '--ignore-scripts', '--no-audit', '--no-fund']);
}

/** Without it there are tables, but no progress bar and no plots: the end of the output says so. */
const installReport = () => install('what shows progress and plots, in bench/report', join(bench, 'report'));

async function installPeers() {
  const code = await install('the peers, in bench', bench);
  if (code !== 0) throw new Error(`the peers could not be installed: npm ci failed with exit code ${code}.`);
}

const importBench = async (file) =>
  (await runnerImport(join(bench, file), { configFile: false, logLevel: 'silent' })).module;

/** A result that is there already. */
async function show({ from, results, report }) {
  const result = JSON.parse(readFileSync(from, 'utf8'));
  const { formatResult } = await importBench('format.ts');
  console.log(formatResult(result));
  if (results) (await importBench('results_page.ts')).updateResultsPage(root, basename(from), result);
  if (!report) return;
  await installReport();
  await (await importBench('run.ts')).writeReport(root, from, result);
}

async function main() {
  const options = readOptions();
  if (options.from) return show(options);
  await installReport();
  if (options.page) return (await importBench('run.ts')).servePage(root);
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
