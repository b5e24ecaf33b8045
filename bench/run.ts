// The benchmark from outside: starts the browser and the Node processes that measure, puts their results together, prints and
// writes them. What is measured is in measure.ts.
import { execFileSync, fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { type Browser, launch, type Page } from 'puppeteer';
import { createServer } from 'vite';
import { chromeFlags, findChrome } from '../scripts/chrome.mjs';
import { benchmarkResult, resultName, resultText, runtimeResult } from './assemble.ts';
import { formatResult } from './format.ts';
import type { MeasureOptions, Progress, Say } from './measure.ts';
import type { PeerFiles } from './peers.ts';
import { terminalProgress } from './progress.ts';
import type { BenchmarkResult, LoadSample, Measurement, Peer, RuntimeResult } from './result.ts';
import { updateResultsPage } from './results_page.ts';

const MODEL = 'circuit-zoo';

export interface BenchmarkOptions {
  readonly root: string;
  /** Where the peers' models are, when this is more than a plain clone. */
  readonly shared: string;
  readonly runtimes: readonly ('chrome' | 'node')[];
  readonly peers: boolean;
  readonly quick: boolean;
  readonly repetitions: number;
  /** Models of real shapes as a whole, on software adapters too. */
  readonly shapes: boolean;
  /** Also update the table in RESULTS.md. */
  readonly results: boolean;
  /** Default: results/<date>-<adapter>.json, or results/local/ for a quick run. */
  readonly json?: string;
}

type Job = Omit<MeasureOptions, 'model'>;

/** Measures in every runtime, one after the other, prints the table and writes the result and its report. */
export async function runBenchmark(options: BenchmarkOptions): Promise<void> {
  const { root, quick, repetitions, shapes } = options;
  const before = loadavg()[0];
  const start = performance.now();
  const job: Job = {
    golden: readGolden(root),
    hardware: process.env.HYALINE_ADAPTER === 'hardware',
    quick,
    warmUp: quick ? 1 : 3,
    repetitions,
    shapes,
  };
  const runtimes: RuntimeResult[] = [];
  for (const runtime of options.runtimes) {
    runtimes.push(await (runtime === 'chrome' ? measureInChrome(options, job) : measureInNode(options, job)));
  }
  const text = resultText(
    benchmarkResult(
      {
        ...readCommit(root),
        model: MODEL,
        quick,
        repetitions,
        machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, platform: `${process.platform} ${process.arch}` },
        load: { before, after: loadavg()[0] },
        versions: readVersions(root, runtimes),
      },
      runtimes,
    ),
  );
  const result: BenchmarkResult = JSON.parse(text); // what is written is what is shown, now and with `--from`
  const folder = join(root, 'bench', 'results', quick ? 'local' : '.');
  const file = options.json ?? join(folder, `${resultName(result)}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  console.log(formatResult(result));
  console.log(`\nmeasured in ${((performance.now() - start) / 60_000).toFixed(1)} minutes`);
  console.log(`written: ${relative(process.cwd(), file)}`);
  if (options.results) {
    updateResultsPage(root, basename(file), result);
    console.log('written: bench/RESULTS.md');
  }
  await writeReport(root, file, result);
}

/** The report beside the result: a page without scripts, drawn in Chrome. Without what draws it, a line that says so. */
export async function writeReport(root: string, jsonFile: string, result: BenchmarkResult): Promise<void> {
  const file = jsonFile.replace(/(\.json)?$/, '.html');
  try {
    const html = await withServer(root, (url) =>
      inPage(url, (page) => page.evaluate((result) => globalThis.hyalineBench.report(result), result)),
    );
    writeFileSync(file, html);
    console.log(`written: ${relative(process.cwd(), file)}`);
  } catch (error) {
    console.log(`no report: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Serves the page for people until Ctrl-C. */
export async function servePage(root: string): Promise<void> {
  await withServer(root, async (url) => {
    console.log(`Page: ${url}bench/index.html\nCtrl-C ends.`);
    await new Promise((resolve) => process.once('SIGINT', resolve));
  });
}

function readGolden(root: string): MeasureOptions['golden'] {
  const text = readFileSync(join(root, 'models', MODEL, 'golden.json'), 'utf8');
  const golden: { prompts: { ids: number[]; top5: { token: string }[] }[] } = JSON.parse(text);
  const [{ ids, top5 }] = golden.prompts;
  return { ids, token: top5[0].token };
}

/** A pack says of which commit it was made. */
function readCommit(root: string): { commit: string | null; modified: boolean } {
  const pack = join(root, 'pack.json');
  if (existsSync(pack)) {
    const { commit, modified } = JSON.parse(readFileSync(pack, 'utf8'));
    return { commit, modified };
  }
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return { commit: git('rev-parse', 'HEAD'), modified: git('status', '--porcelain', '--', 'src') !== '' };
  } catch {
    return { commit: null, modified: false };
  }
}

function readVersions(root: string, runtimes: readonly RuntimeResult[]): Record<string, string> {
  const { version, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const dawn = JSON.parse(readFileSync(join(root, 'node_modules', 'webgpu', 'package.json'), 'utf8')).version;
  const versions: Record<string, string> = { hyaline: version };
  for (const { runtime, version, peers } of runtimes) {
    versions[runtime] = version;
    if (runtime === 'node' && 'webgpu' in dependencies) versions['webgpu (Dawn)'] = dawn;
    for (const peer of peers) if (peer.version) versions[peer.name.split(' ')[0]] = peer.version;
  }
  return versions;
}

/** Each load needs a process of its own; the one that measures everything else gives one more sample. */
const loadRepetitions = ({ repetitions, quick }: BenchmarkOptions) => (quick ? 0 : Math.min(15, repetitions) - 1);

async function measureInNode(options: BenchmarkOptions, job: Job): Promise<RuntimeResult> {
  const { say, end } = terminalProgress(options.root, 'node');
  const jobInNode = { ...job, model: join(options.root, 'models', MODEL) };
  try {
    const loads: LoadSample[] = [];
    for (let i = 0; i < loadRepetitions(options); i++) {
      say({ what: `loading in fresh processes, round ${i + 1}`, share: 0 });
      loads.push((await inNode(options, 'load', { options: jobInNode, say })) as LoadSample);
    }
    const measurement = (await inNode(options, 'measure', { options: jobInNode, say })) as Measurement;
    return runtimeResult({ runtime: 'node', version: process.versions.node }, measurement, { loads });
  } finally {
    end();
  }
}

function inNode(
  { root }: BenchmarkOptions,
  kind: 'load' | 'measure',
  { options, say }: { options: MeasureOptions; say: Say },
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = fork(join(root, 'bench', 'node.mjs'), { execArgv: [] });
    child.on('message', (message: { say?: Progress; result?: unknown; problem?: string }) => {
      if (message.say !== undefined) say(message.say);
      else if (message.problem !== undefined) reject(new Error(`node: ${message.problem}`));
      else resolve(message.result);
    });
    child.on('exit', (code, signal) =>
      reject(new Error(`node: the process ended with ${signal ?? code}, unfinished.`)),
    );
    child.send({ kind, options });
  });
}

/** The repository as the page sees it. */
async function withServer<T>(root: string, use: (url: string) => Promise<T>): Promise<T> {
  const server = await createServer({
    root,
    configFile: join(root, 'vite.config.ts'),
    logLevel: 'silent',
    server: {
      host: 'localhost',
      watch: null,
      hmr: false,
      // Isolated pages have finer clocks, and threads for the WASM peer.
      headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
    },
  });
  try {
    await server.listen();
    return await use(server.resolvedUrls?.local[0] ?? '');
  } finally {
    await server.close();
  }
}

async function measureInChrome(options: BenchmarkOptions, job: Job): Promise<RuntimeResult> {
  const { say, end } = terminalProgress(options.root, 'chrome');
  try {
    return await withServer(options.root, async (url) => {
      const jobInPage: MeasureOptions = { ...job, model: `${url}models/${MODEL}/` };
      const loads: LoadSample[] = [];
      for (let i = 0; i < loadRepetitions(options); i++) {
        say({ what: `loading in fresh browsers, round ${i + 1}`, share: 0 });
        await inPage(url, async (page) => {
          loads.push(await page.evaluate((options) => globalThis.hyalineBench.measureLoad(options), jobInPage));
        });
      }
      return await inPage(url, async (page, browser) => {
        await page.exposeFunction('benchSays', say);
        const measurement = await page.evaluate(
          (options, peers) => globalThis.hyalineBench.measure(options, peers),
          jobInPage,
          peerFiles(options, url),
        );
        const version = await browser.version();
        return runtimeResult({ runtime: 'chrome', version }, measurement, {
          loads,
          skippedPeers: options.peers ? [] : [NOT_ASKED_FOR],
        });
      });
    });
  } finally {
    end();
  }
}

/** Uses a page of a browser with a fresh profile: nothing is compiled or cached in it. */
async function inPage<T>(url: string, use: (page: Page, browser: Browser) => Promise<T>): Promise<T> {
  const executablePath = findChrome();
  if (!executablePath) throw new Error('there is no Chrome on this machine. "npm start" gets one.');
  const browser = await launch({ executablePath, args: chromeFlags(), headless: true, protocolTimeout: 0 });
  try {
    const page = await browser.newPage();
    const failed = new Promise<never>((_, reject) => {
      page.once('pageerror', (error) => reject(error));
      browser.once('disconnected', () => reject(new Error('chrome: the browser ended, unfinished.')));
    });
    failed.catch(() => {}); // also when nobody waits any more
    await page.goto(`${url}bench/index.html`);
    await Promise.race([failed, page.waitForFunction(() => globalThis.hyalineBench !== undefined)]);
    return await Promise.race([failed, use(page, browser)]);
  } finally {
    await browser.close();
  }
}

const NOT_ASKED_FOR: Peer = { name: 'other engines', version: null, notRun: 'not asked for (--peers)', checks: [] };

/** What the page needs of other engines; null where they were not asked for. */
function peerFiles({ shared, peers }: BenchmarkOptions, url: string): PeerFiles | null {
  if (!peers) return null;
  const onnx = join(shared, 'peers', `${MODEL}.onnx`);
  const onnxUrl = `${url}@fs/${onnx.replaceAll('\\', '/').replace(/^\//, '')}`;
  return {
    modules: `${url}bench/node_modules/`,
    config: `${url}models/${MODEL}/config.json`,
    onnx: existsSync(onnx) ? onnxUrl : null,
  };
}
