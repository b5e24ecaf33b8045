// The benchmark in the page: how long runs of the loaded model take on this adapter, and how near its operations come to what the adapter
// can do at all.
import { html, nothing, type TemplateResult } from 'lit';
import { formatMs } from '../../elements/index.ts';
import { describeAdapter } from '../../index.ts';
import { type BenchmarkResult, benchmark, DECODE, passMs, RUN, RUN_KEEPING_ALL, type Timing } from '../benchmark.ts';
import { download } from '../download.ts';
import { JobView } from '../job_view.ts';
import type { Figure } from '../measure_plots.ts';
import { type RatedOperation, ratedOperations } from '../operations.ts';
import { View } from '../view.ts';

const KEY = 'benchmark';
const WIDTH = 820;

class MeasureView extends JobView {
  static override properties = { ...View.properties, chosen: { state: true } };
  /** What the user chose; null: quick on software adapters. */
  declare chosen: 'quick' | 'thorough' | null;

  constructor() {
    super();
    this.chosen = null;
  }

  override render() {
    const { model, device } = this.session;
    if (!model || !device) return html`<p class="muted">There is nothing to measure without WebGPU.</p>`;
    const { isFallback } = describeAdapter(device);
    const mode = this.chosen ?? (isFallback ? 'quick' : 'thorough');
    const job = this.jobs.get<BenchmarkResult>(model, KEY);
    const choose = (event: Event) => {
      this.chosen = (event.target as HTMLSelectElement).value as 'quick' | 'thorough';
    };
    return html`<section aria-label="Benchmark"><h2>How fast it is here
        <small>Runs of ${this.state.model} in turns, then each of its operations alone. Leave the page alone while it measures.</small></h2>
      ${isFallback ? html`<p id="software">This adapter is software: what is measured here is the processor, not a GPU.</p>` : nothing}
      <div class="row">
        <label>How long <select id="measure-mode" @change=${choose}>
          <option value="quick" .selected=${mode === 'quick'}>quick: seconds</option>
          <option value="thorough" .selected=${mode === 'thorough'}>thorough: longer texts, more rounds</option>
        </select></label>
        ${this.controls({
          of: model,
          key: KEY,
          label: 'Measure',
          isRepeatable: true,
          isDisabled: this.run === null,
          work: (say, signal) =>
            benchmark(model, {
              name: this.state.model,
              tokens: this.run?.ids ?? [0],
              numerics: this.state.numerics,
              isQuick: mode === 'quick',
              say,
              signal,
            }),
        })}
      </div>
      <p class="muted">The full benchmark, with kernels on shapes of real models and other engines in the same rounds, is
        <code>npm run bench</code>; <code>bench/RESULTS.md</code> has recorded results.</p>
      <div aria-live="polite">${job?.state === 'done' ? this.result(job.value) : nothing}</div>
    </section>`;
  }

  private result(result: BenchmarkResult): TemplateResult {
    const figures = this.later(result, 'figures', async () => {
      const { drawFigures } = await import('../measure_plots.ts'); // charts are loaded when there is something to draw
      return drawFigures(result, WIDTH);
    });
    return html`
      <ul class="findings">${findings(result).map((finding) => html`<li>${finding}</li>`)}</ul>
      ${figures.state === 'failed' ? html`<p class="problem">${figures.message}</p>` : nothing}
      <div class="figures">${figures.state === 'done' ? figures.value.map((figure) => this.figure(figure)) : nothing}</div>
      ${timingTable(result.timings)}
      ${operationTable(result)}
      <p class="row"><button id="measure-json" @click=${() => this.saveJson(result)}>Save the numbers as JSON</button>
        <span class="muted">${result.adapter.text}; ${result.numerics} numerics; ${result.date.slice(0, 16).replace('T', ' ')} UTC</span></p>`;
  }

  private figure({ name, title, caption, picture }: Figure): TemplateResult {
    const save = async () => {
      const { svgText } = await import('../measure_plots.ts');
      download(`hyaline-${name}.svg`, new Blob([svgText(picture, this)], { type: 'image/svg+xml' }));
    };
    return html`<figure class=${name}><h3>${title} <button class="link save-svg" @click=${save}>save as SVG</button></h3>
      <figcaption class="muted">${caption}</figcaption><div role="img" aria-label=${title}>${picture}</div></figure>`;
  }

  private saveJson(result: BenchmarkResult): void {
    download(
      `hyaline-benchmark-${result.date.slice(0, 10)}.json`,
      new Blob([JSON.stringify(result, null, 2)], { type: 'application/json' }),
    );
  }
}

/** What the numbers come to, in sentences. */
function findings(result: BenchmarkResult): string[] {
  const { timings, limits, passTokens } = result;
  const find = (name: string) => timings.find((timing) => timing.name === name);
  const whole = passMs(result);
  const operations = ratedOperations(result.operations);
  const alone = operations.reduce((sum, { ms, count }) => sum + ms * count, 0);
  const least = operations.reduce((sum, operation) => sum + leastMs(operation, result) * operation.count, 0);
  const [first] = operations;
  const [decode, kept] = [find(DECODE), find(RUN_KEEPING_ALL)];
  return [
    `A run of ${passTokens} tokens takes ${time(whole)}, which is ${rate(passTokens, whole)} tokens/s; keeping every value on the GPU ` +
      `takes ${time(kept?.median ?? Number.NaN)}.`,
    `Decoding behind ${decode?.tokens} tokens gives ${rate(1, decode?.median ?? Number.NaN)} tokens/s; of each token's ` +
      `${time(decode?.median ?? Number.NaN)} the round trip from a submission to its end known to the page takes ${time(limits.roundTripMs)} at least.`,
    `The operations of that run add up to ${time(alone)} when they are timed alone; at the adapter's best they would take ` +
      `${time(least)} (${percent(least / alone)}). Most time goes to ${first.name}: ${percent(first.share)}.`,
  ];
}

/** What an operation would take at the limit that it meets first. */
function leastMs({ flops, bytes }: RatedOperation, { limits }: BenchmarkResult): number {
  return Math.max(bytes / (1e6 * limits.bandwidth), flops / (1e6 * limits.gigaflops));
}

/** Three digits, however short. */
const time = (ms: number) => (ms < 1 ? `${Number((1000 * ms).toPrecision(3))} µs` : formatMs(ms));
const percent = (share: number) => `${(100 * share).toPrecision(2)} %`;
const rate = (tokens: number, ms: number) => Number(((1000 * tokens) / ms).toPrecision(3)).toLocaleString('en');

function timingTable(timings: readonly Timing[]): TemplateResult {
  const done = ({ name, tokens }: Timing) => (name === DECODE ? 1 : tokens);
  const where = ({ name, tokens }: Timing) => (name === DECODE ? `behind ${tokens}` : `${tokens}`);
  return html`<h3>Runs</h3><div class="scroll" tabindex="0" role="region" aria-label="Runs"><table id="timings">
    <thead><tr><th scope="col">what</th><th scope="col" class="number">tokens</th><th scope="col" class="number">median</th><th scope="col" class="number">quartiles</th>
      <th scope="col" class="number">tokens/s</th></tr></thead>
    <tbody>${timings.map(
      (timing) => html`<tr><td>${timing.name}</td><td class="number">${where(timing)}</td>
        <td class="number median">${time(timing.median)}</td>
        <td class="number">${time(timing.lower)} – ${time(timing.upper)}</td>
        <td class="number">${timing.name === RUN || timing.name === DECODE || timing.name.startsWith('prompt') ? rate(done(timing), timing.median) : ''}</td></tr>`,
    )}</tbody></table></div>`;
}

function operationTable(result: BenchmarkResult): TemplateResult {
  const operations = ratedOperations(result.operations);
  return html`<details><summary>Operation by operation</summary><div class="scroll" tabindex="0" role="region"
    aria-label="Operation by operation"><table id="operations">
    <thead><tr><th scope="col">operation</th><th scope="col" class="number">dispatches</th><th scope="col" class="number">each</th><th scope="col" class="number">share</th>
      <th scope="col" class="number">GFLOP/s</th><th scope="col" class="number">GB/s</th><th scope="col" class="number">of the limit</th></tr></thead>
    <tbody>${operations.map(
      (operation) => html`<tr><td class="name">${operation.name}</td><td class="number">${operation.count}</td>
        <td class="number">${time(operation.ms)}</td><td class="number">${percent(operation.share)}</td>
        <td class="number">${operation.flops > 0 ? operation.rate.toPrecision(3) : '–'}</td>
        <td class="number">${(operation.bytes / (1e6 * operation.ms)).toPrecision(3)}</td>
        <td class="number">${percent(leastMs(operation, result) / operation.ms)}</td></tr>`,
    )}</tbody></table></div></details>`;
}

customElements.define('view-measure', MeasureView);
