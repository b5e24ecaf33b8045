// The page of the benchmark. `npm run bench` drives it through `hyalineBench`; a person opens it and presses the button.
import * as engine from '../src/index.ts';
import { benchmarkResult, resultName, resultText, runtimeResult } from './assemble.ts';
import { type MeasureOptions, measure, measureLoad, type Progress } from './measure.ts';
import { type PeerFiles, peerCases } from './peers.ts';
import { loadPlot, type PlotLibrary } from './report/plot_library.ts';
import { reportBody, reportHtml } from './report/report.ts';
import type { BenchmarkResult, LoadSample, Measurement } from './result.ts';

interface Bench {
  readonly measure: (options: MeasureOptions, peers: PeerFiles | null) => Promise<Measurement>;
  readonly measureLoad: (options: MeasureOptions) => Promise<LoadSample>;
  /** A result as a page of its own. */
  readonly report: (result: BenchmarkResult) => Promise<string>;
}

declare global {
  var hyalineBench: Bench;
  /** Given by the benchmark: shows progress in its terminal. */
  var benchSays: (progress: Progress) => void;
}

const MODEL = 'circuit-zoo';
const REPETITIONS = 15;
const plotFolder = new URL('report/node_modules/', document.baseURI).href;

globalThis.hyalineBench = {
  measure: (options, peers) =>
    measure(engine, options, {
      ...(peers && { peers: (context) => peerCases(peers, context) }),
      say: globalThis.benchSays,
    }),
  measureLoad: (options) => measureLoad(engine, options),
  report: async (result) => reportHtml(result, await loadPlot(plotFolder)),
};

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`bench: the page has no #${id}.`);
  return found as T;
}

const button = element<HTMLButtonElement>('measure');
const bar = element<HTMLProgressElement>('progress');
const doing = element('doing');
const shown = element('result');
const exports = element('exports');

button.addEventListener('click', async () => {
  button.disabled = true;
  bar.hidden = false;
  doing.className = '';
  exports.replaceChildren();
  try {
    const result = await measureHere(({ what, share }) => {
      bar.value = share;
      doing.textContent = what;
    });
    await show(result);
    doing.textContent = 'Measured.';
  } catch (error) {
    doing.className = 'problem';
    doing.textContent = error instanceof Error ? error.message : String(error);
  }
  bar.hidden = true;
  button.disabled = false;
});

/** Measures in this tab: no peers, one load, and whatever adapter the browser gives. */
async function measureHere(say: (progress: Progress) => void): Promise<BenchmarkResult> {
  const quick = element<HTMLInputElement>('quick').checked;
  const folder = new URL(`../models/${MODEL}/`, document.baseURI).href;
  const golden: { prompts: { ids: number[]; top5: { token: string }[] }[] } = await (
    await fetch(`${folder}golden.json`)
  ).json();
  const [{ ids, top5 }] = golden.prompts;
  const repetitions = quick ? 2 : REPETITIONS;
  const shapes = element<HTMLInputElement>('shapes').checked;
  const warmUp = quick ? 1 : 3;
  const options: MeasureOptions = {
    model: folder,
    golden: { ids, token: top5[0].token },
    hardware: true,
    quick,
    warmUp,
    repetitions,
    shapes,
  };
  const measurement = await measure(engine, options, { say });
  const { hardwareConcurrency, platform } = navigator;
  const [version] = navigator.userAgent.match(/(Chrome|Firefox|Version)\/[\d.]+/) ?? [navigator.userAgent];
  return benchmarkResult(
    {
      commit: null,
      modified: false,
      model: MODEL,
      quick,
      repetitions,
      machine: { cpu: 'unknown processor', cores: hardwareConcurrency, platform },
      load: null,
      versions: { browser: version },
    },
    [runtimeResult({ runtime: 'page', version }, measurement)],
  );
}

async function show(result: BenchmarkResult): Promise<void> {
  const text = resultText(result);
  const asWritten: BenchmarkResult = JSON.parse(text);
  const name = resultName(asWritten);
  offer(`${name}.json`, text, 'application/json');
  let plot: PlotLibrary | null = null;
  try {
    plot = await loadPlot(plotFolder);
    offer(`${name}.html`, reportHtml(asWritten, plot), 'text/html');
  } catch (error) {
    exports.append(document.createTextNode(error instanceof Error ? error.message : String(error)));
  }
  shown.innerHTML = reportBody(asWritten, plot);
}

/** A link that saves this text. */
function offer(name: string, text: string, type: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.textContent = name;
  exports.append(link, ' ');
}
