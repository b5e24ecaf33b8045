// The benchmark from outside: starts the browser and the Node processes that measure, puts their results together, prints and
// writes them. What is measured is in measure.ts.
import { execFileSync, fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { type Browser, launch, type Page } from 'puppeteer';
import { createServer } from 'vite';
import { chromeFlags, findChrome } from '../scripts/chrome.mjs';
import { formatResult } from './format.ts';
import type { MeasureOptions } from './measure.ts';
import type { PeerFiles } from './peers.ts';
import { quartiles } from './quartiles.ts';
import { requirements } from './requirements.ts';
import type { BenchmarkResult, LoadSample, LoadTiming, Measurement, Peer, RuntimeResult } from './result.ts';

const MODEL = 'circuit-zoo';

export interface BenchmarkOptions {
  readonly root: string;
  /** Where the peers' models are, when this is more than a plain clone. */
  readonly shared: string;
  readonly runtimes: readonly RuntimeResult['runtime'][];
  readonly peers: boolean;
  readonly profile: boolean;
  readonly quick: boolean;
  readonly repetitions: number;
  /** Default: results/<date>-<adapter>.json, or results/local/ for a quick run. */
  readonly json?: string;
}

type Job = Omit<MeasureOptions, 'model'>;

/** Measures in every runtime, one after the other, prints the table and writes the result. */
export async function runBenchmark(options: BenchmarkOptions): Promise<void> {
  const { root, quick, repetitions } = options;
  const before = loadavg()[0];
  const job: Job = {
    golden: readGolden(root),
    hardware: process.env.HYALINE_ADAPTER === 'hardware',
    warmUp: quick ? 1 : 3,
    repetitions,
    profile: options.profile,
  };
  const runtimes: RuntimeResult[] = [];
  for (const runtime of options.runtimes) {
    runtimes.push(await (runtime === 'chrome' ? measureInChrome(options, job) : measureInNode(options, job)));
  }
  const result: BenchmarkResult = {
    format: 1,
    date: new Date().toISOString().slice(0, 10),
    ...readCommit(root),
    model: MODEL,
    quick,
    repetitions,
    machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, platform: `${process.platform} ${process.arch}` },
    load: { before, after: loadavg()[0] },
    versions: readVersions(root, runtimes),
    runtimes,
    requirements: requirements(runtimes),
  };
  const { vendor, architecture } = runtimes[0].adapter;
  const adapter =
    `${vendor} ${architecture}`
      .trim()
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-') || 'unnamed';
  const folder = join(root, 'bench', 'results', quick ? 'local' : '.');
  const file = options.json ?? join(folder, `${result.date}-${adapter}.json`);
  mkdirSync(dirname(file), { recursive: true });
  const text = JSON.stringify(result, roundedNumber, 1).replace(/\[[-\d.,\s]+\]/g, onOneLine);
  writeFileSync(file, `${text}\n`);
  console.log(formatResult(JSON.parse(text))); // what was written: `--from` prints the same
  console.log(`\nwritten: ${relative(process.cwd(), file)}`);
}

/** Times are not known to the nanosecond. */
function roundedNumber(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toFixed(4)) : value;
}

/** Samples one below the other would be most of the file. */
const onOneLine = (numbers: string) => numbers.replace(/\s+/g, ' ').replace('[ ', '[').replace(' ]', ']');

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

/** One line that changes on a terminal; elsewhere a line for each step, without the rounds. */
function sayIn(runtime: string): (line: string) => void {
  return (line) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${runtime}: ${line}`);
    else if (!line.startsWith('round')) console.error(`${runtime}: ${line}`);
  };
}

function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

function loadTimings(samples: readonly LoadSample[]): LoadTiming[] {
  const names = ['device', 'download', 'upload', 'compile', 'load', 'firstRun', 'warmRun', 'secondLoad'] as const;
  return names.map((name) => {
    const values = samples.map((sample) => sample[name]);
    return { name, ...quartiles(values), samples: values };
  });
}

/** Each load needs a process of its own; the one that measures everything else gives one more sample. */
const loadRepetitions = ({ repetitions, quick }: BenchmarkOptions) => (quick ? 0 : Math.min(15, repetitions) - 1);

function withLoads({ firstLoad, ...measurement }: Measurement, others: readonly LoadSample[]) {
  return { ...measurement, loads: loadTimings([...others, firstLoad]) };
}

async function measureInNode(options: BenchmarkOptions, job: Job): Promise<RuntimeResult> {
  const say = sayIn('node');
  const jobInNode = { ...job, model: join(options.root, 'models', MODEL) };
  const samples: LoadSample[] = [];
  for (let i = 0; i < loadRepetitions(options); i++) {
    say(`round ${i + 1} of ${loadRepetitions(options)}, loading in a fresh process`);
    samples.push((await inNode(options, 'load', { options: jobInNode, say })) as LoadSample);
  }
  const measurement = (await inNode(options, 'measure', { options: jobInNode, say })) as Measurement;
  endProgress();
  return { runtime: 'node', version: process.versions.node, ...withLoads(measurement, samples) };
}

function inNode(
  { root }: BenchmarkOptions,
  kind: 'load' | 'measure',
  { options, say }: { options: MeasureOptions; say: (line: string) => void },
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = fork(join(root, 'bench', 'node.mjs'), { execArgv: [] });
    child.on('message', (message: { say?: string; result?: unknown; problem?: string }) => {
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

async function measureInChrome(options: BenchmarkOptions, job: Job): Promise<RuntimeResult> {
  const { root } = options;
  const say = sayIn('chrome');
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
    const url = server.resolvedUrls?.local[0] ?? '';
    const jobInPage: MeasureOptions = { ...job, model: `${url}models/${MODEL}/` };

    const samples: LoadSample[] = [];
    for (let i = 0; i < loadRepetitions(options); i++) {
      say(`round ${i + 1} of ${loadRepetitions(options)}, loading in a fresh browser`);
      await inPage(url, async (page) => {
        samples.push(await page.evaluate((options) => globalThis.hyalineBench.measureLoad(options), jobInPage));
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
      const peers = options.peers ? measurement.peers : [NOT_ASKED_FOR];
      return { runtime: 'chrome' as const, version, ...withLoads(measurement, samples), peers };
    });
  } finally {
    endProgress();
    await server.close();
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
  return { modules: `${url}bench/node_modules/`, onnx: existsSync(onnx) ? onnxUrl : null };
}
