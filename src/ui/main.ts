// The page: loads the embedded model, runs a prompt, shows every value. `hyaline` in the console holds what it shows.

import { formatMs } from '../elements/text.ts';
import { describeAdapter, type Model, requestDevice } from '../index.ts';
import { loadTimed } from './load.ts';
import { byId, element, hookTable, lensTable, nextTokenTable, patternGrid } from './render.ts';
import { createReport, type Report } from './report.ts';
import { type Trace, traceModel } from './trace.ts';

declare global {
  /** For the console, and for `npm start`. Present once the model is loaded. */
  var hyaline: { readonly model: Model; trace: Trace | null; readonly report: () => Promise<Report> } | undefined;
}

const MODEL = 'circuit-zoo';
const DEFAULT_PROMPT = 'When Mary and John went to the store, John gave a drink to';

const form = byId<HTMLFormElement>('form');
const prompt = byId<HTMLInputElement>('prompt');
const button = byId<HTMLButtonElement>('run');

/** Also for CSS, tests and `npm start`: `ready` and `failed` are where work has ended. */
function setState(state: 'loading' | 'running' | 'ready' | 'failed', status: string): void {
  document.documentElement.dataset.state = state;
  byId('status').textContent = status;
}

function showProblem(error: unknown): void {
  const problem = byId('problem');
  problem.textContent = error instanceof Error ? error.message : String(error);
  problem.hidden = false;
  setState('failed', 'That did not work:');
}

const bars = new Map(
  ['download', 'upload', 'compile', 'run'].map((phase) => {
    const bar = element('progress');
    bar.value = 0;
    bar.setAttribute('aria-label', phase);
    const time = element('dd', {}, '–');
    byId('phases').append(element('div', {}, element('dt', {}, phase), time, bar));
    return [phase, { bar, time }];
  }),
);

function showPhase(phase: string, share: number, elapsedMs: number): void {
  const shown = bars.get(phase);
  if (!shown) return;
  shown.bar.value = share;
  shown.time.textContent = formatMs(elapsedMs);
}

async function load(): Promise<void> {
  setState('loading', 'Loading the model …');
  const device = await requestDevice();
  byId('adapter').textContent = describeAdapter(device).text;
  device.lost.then(({ message }) =>
    showProblem(`The GPU device was lost${message && ` (${message})`}. Reload the page.`),
  );
  const loaded = await loadTimed(`./models/${MODEL}/`, device, ({ phase, file, loaded, total }, phaseMs) => {
    showPhase(phase, total > 0 ? loaded / total : 0, phaseMs);
    byId('status').textContent = `Loading the model: ${phase} ${file ?? ''} …`;
  });
  const report = async () => {
    if (!hyaline?.trace) throw new Error('page: there is no run to report yet.');
    return createReport(MODEL, loaded, hyaline.trace);
  };
  byId('adapter').textContent += `; ${loaded.model.numerics} numerics`;
  globalThis.hyaline = { model: loaded.model, trace: null, report };
}

async function run(): Promise<void> {
  if (!hyaline) return;
  button.disabled = true;
  byId('problem').hidden = true;
  setState('running', 'Running …');
  try {
    hyaline.trace?.cache.destroy();
    hyaline.trace = null;
    const trace = await traceModel(hyaline.model, prompt.value);
    hyaline.trace = trace;
    show(trace);
    button.disabled = false;
    setState(
      'ready',
      `Tokens: ${trace.ids.length}. Values kept: ${trace.values.length}. Analysis: ${formatMs(trace.analysisMs)}.`,
    );
  } catch (error) {
    button.disabled = false;
    showProblem(error);
  }
}

function show(trace: Trace): void {
  showPhase('run', 1, trace.runMs);
  byId('next').replaceChildren(nextTokenTable(trace.top));
  byId('lens').replaceChildren(lensTable(trace.lens));
  const cell = byId('cell');
  cell.textContent = 'Dark is 0, yellow is 1. Point at a picture to read it.';
  byId('patterns').style.setProperty('--heads', String(trace.patterns[0]?.shape[1] ?? 1));
  byId('patterns').replaceChildren(
    ...patternGrid(trace, (text) => {
      cell.textContent = text;
    }),
  );
  byId('count').textContent = `${trace.values.length} hooks, statistics from the GPU`;
  byId('hooks').replaceChildren(hookTable(trace.values));
}

byId('model').textContent = MODEL;
prompt.value = new URLSearchParams(location.search).get('prompt') ?? DEFAULT_PROMPT;
form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!button.disabled) run();
});
load().then(run, showProblem);
