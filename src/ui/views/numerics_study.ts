// Precision studies: what predictions and values would be if weights or values had fewer bits. Each is computed in a worker against float64,
// and what was studied stays in the table, to be compared.
import { html, nothing, type TemplateResult } from 'lit';
import { formatProbability, quoteToken } from '../../elements/index.ts';
import type { CaseResult, Model, NumberFormat, PrecisionStudy } from '../../index.ts';
import { JobView } from '../job_view.ts';
import type { Job } from '../jobs.ts';
import { NumericsClient } from '../numerics_client.ts';
import type { Rounding, StudyResult } from '../numerics_tasks.ts';
import type { PageRun } from '../page_run.ts';
import { FORMATS, type StudyChoice } from '../state.ts';
import { nameOfToken } from '../token_input.ts';
import { legend, logScale, type MapValue, valueMap } from '../value_map.ts';
import { short } from './numerics_errors.ts';

const PREFIX = 'study ';

/** Bits of sign, exponent and fraction. */
const MEANINGS: Readonly<Record<NumberFormat | '', string>> = {
  '': 'as they are (f32: 1 + 8 + 23 bits)',
  tf32: 'tf32 (1 + 8 + 10 bits)',
  f16: 'f16 (1 + 5 + 10 bits)',
  bf16: 'bf16 (1 + 8 + 7 bits)',
  int8: 'int8 (8 bits and a scale)',
  fp8_e4m3: 'fp8 e4m3 (1 + 4 + 3 bits)',
  fp8_e5m2: 'fp8 e5m2 (1 + 5 + 2 bits)',
};
const STEPS = ['', ...FORMATS] as const;

class NumericsStudy extends JobView {
  override willUpdate(): void {
    this.takeRecorded(this.session.runs.before, this.key, (run) => this.work(run));
  }

  override render() {
    const run = this.session.runs.before;
    const { model } = this.session;
    if (!run || (!model && !run.offers(this.key))) return nothing;
    const job = this.jobs.get<StudyResult>(run, this.key);
    return html`<section aria-label="Precision study"><h2>Fewer bits <small>Numbers rounded to a smaller format on the GPU, everything else as
      it is; against float64 with the weights as they are.</small></h2>
      ${this.choices()}
      ${this.controls({
        of: run,
        key: this.key,
        label: 'Study',
        isDisabled: !this.state.study.weightFormat && !this.state.study.valueFormat,
        work: this.work(run),
      })}
      ${this.table(run)}
      <div aria-live="polite">${job?.state === 'done' ? this.result(job.value, run) : nothing}</div></section>`;
  }

  private get key(): string {
    return PREFIX + JSON.stringify(this.state.study);
  }

  /** Changes what is studied; where something has been studied already, studies it. */
  private choose(change: Partial<StudyChoice>, isFinal: boolean): void {
    const run = this.session.runs.before;
    const study = { ...this.state.study, ...change };
    const others = run ? this.studies(run) : [];
    this.change({ study });
    if (!isFinal || !run || others.length === 0 || !(study.weightFormat || study.valueFormat)) return;
    for (const { key, job } of others) if (job.state === 'pending') this.jobs.stop(run, key);
    this.jobs.start(run, this.key, this.work(run));
  }

  private choices(): TemplateResult {
    const { study } = this.state;
    const last = (this.session.shown?.config.nLayers ?? 1) - 1;
    const formatSlider = (what: 'weight' | 'value') => {
      const field = `${what}Format` as const;
      const read = (event: Event, isFinal: boolean) =>
        this.choose({ [field]: STEPS[Number((event.target as HTMLInputElement).value)] }, isFinal);
      return html`<label>${what}s <input type="range" id="study-${what}-format" min="0" max=${STEPS.length - 1} step="1"
          .value=${String(STEPS.indexOf(study[field]))} aria-valuetext=${MEANINGS[study[field]]}
          @input=${(event: Event) => read(event, false)} @change=${(event: Event) => read(event, true)}>
        <output>${MEANINGS[study[field]]}</output></label>`;
    };
    const glob = (what: 'weights' | 'values', list: readonly string[]) => html`<label>which
      <input id="study-${what}" list="study-${what}-names" spellcheck="false" autocomplete="off" .value=${study[what]}
        @change=${(event: Event) => this.choose({ [what]: (event.target as HTMLInputElement).value }, true)}>
      <datalist id="study-${what}-names">${list.map((name) => html`<option value=${name}></option>`)}</datalist></label>`;
    const block = (end: 'first' | 'last') => {
      const at = end === 'last' && (study.last < 0 || study.last > last) ? last : Math.min(study[end], last);
      const read = (event: Event, isFinal: boolean) => {
        const to = Number((event.target as HTMLInputElement).value);
        this.choose({ [end]: end === 'last' && to === last ? -1 : to }, isFinal);
      };
      return html`<label>${end === 'first' ? 'blocks from' : 'to'} <input type="range" id="study-${end}" min="0" max=${last} step="1"
        .value=${String(at)} @input=${(event: Event) => read(event, false)} @change=${(event: Event) => read(event, true)}>
        <output>${at}</output></label>`;
    };
    return html`<div class="study">
      <div class="row">${formatSlider('weight')}${glob('weights', ['*.W_*', 'blocks.*.attn.W_*', 'blocks.*.mlp.W_*', 'embed.W_E', 'unembed.W_U'])}</div>
      <div class="row">${formatSlider('value')}${glob('values', [
        'blocks.*.hook_resid_post',
        'blocks.*.attn.hook_pattern',
        'blocks.*.attn.hook_z',
        'blocks.*.mlp.hook_post',
        'logits',
      ])}</div>
      ${last > 0 ? html`<div class="row">${block('first')}${block('last')}</div>` : nothing}
    </div>`;
  }

  private work(run: PageRun) {
    const { study } = this.state;
    const key = this.key;
    const client = NumericsClient.of(this.session);
    const { model } = this.session;
    return (...[say, signal]: Parameters<ReturnType<typeof client.work<'study'>>>) =>
      run.analysis(key, async () => {
        if (!model) throw new Error('There is no model to study.');
        const rounding = (what: 'weights' | 'values'): Rounding => {
          const format = study[what === 'weights' ? 'weightFormat' : 'valueFormat'];
          return format ? { names: namesOf(model, study, what), format } : null;
        };
        const { ids: tokens, numerics } = run;
        const [weights, values] = [rounding('weights'), rounding('values')];
        return client.work({ kind: 'study', name: nameOf(study), tokens, numerics, weights, values })(say, signal);
      });
  }

  private studies(run: PageRun): { key: string; choice: StudyChoice; job: Job<StudyResult> }[] {
    return this.jobs.keys(run).flatMap((key) => {
      const job = key.startsWith(PREFIX) ? this.jobs.get<StudyResult>(run, key) : null;
      return job ? [{ key, choice: JSON.parse(key.slice(PREFIX.length)), job }] : [];
    });
  }

  /** Everything that was studied of this run, and the unrounded run to compare. */
  private table(run: PageRun): TemplateResult | typeof nothing {
    const done = this.studies(run).flatMap(({ choice, job }) =>
      job.state === 'done' ? [{ choice, study: job.value.study }] : [],
    );
    if (done.length === 0) return nothing;
    const row = (which: CaseResult, { summary }: PrecisionStudy, choice: StudyChoice | null) => {
      const { meanKl, maxKl, topAgreement, tokens } = which.prediction;
      const kept = Math.round(topAgreement * run.ids.length);
      const broken = summary.cases.find(({ name }) => name === which.name)?.firstBroken;
      const isShown = choice !== null && PREFIX + JSON.stringify(choice) === this.key;
      return html`<tr aria-selected=${isShown}>
        <td>${choice ? html`<button class="link" @click=${() => this.change({ study: choice })}>${which.name}</button>` : 'nothing rounded'}</td>
        <td class="number">${short(meanKl)}</td><td class="number">${short(maxKl)}</td>
        <td class="number">${kept} of ${run.ids.length}</td>
        <td class="number">${tokens[0].got === null ? '–' : formatProbability(tokens[0].got)}</td>
        <td class="name">${broken?.name ?? '–'}</td></tr>`;
    };
    const [{ study: first }] = done;
    const { token, want } = first.cases[0].prediction.tokens[0];
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Studies"><table id="studies">
      <thead><tr><th scope="col">rounded</th><th scope="col" class="number">mean KL, nats</th><th scope="col" class="number">largest</th>
        <th scope="col" class="number">first tokens</th><th scope="col" class="number">P(${nameOfToken(this.session.shown, token)})</th>
        <th scope="col">first error of 1 %</th></tr></thead>
      <tbody>
        <tr><td>float64</td><td class="number">0</td><td class="number">0</td><td class="number">all</td>
          <td class="number">${formatProbability(want)}</td><td class="name">–</td></tr>
        ${row(first.cases[0], first, null)}${done.map(({ choice, study }) => row(study.cases[1], study, choice))}
      </tbody></table></div>`;
  }

  private result({ study, first }: StudyResult, run: PageRun): TemplateResult {
    const [, { values, saturated }] = study.cases;
    const scale = logScale(values.map(({ rmsRelative }) => rmsRelative));
    const cells = values.map(({ name, layer, rmsRelative, maxRelative, notFinite }): MapValue => {
      const title = `${name}\nrelative error ${short(rmsRelative)}, of one element at most ${short(maxRelative)}\n${notFinite} not finite`;
      return { name, layer, cells: [{ text: short(rmsRelative), title, shade: scale.shade(rmsRelative) }] };
    });
    const changed = first.flatMap(({ before, after }, pos) => (before.id === after.id ? [] : [{ before, after, pos }]));
    const title =
      changed.length === 0
        ? 'Every position keeps its most probable token'
        : `Another most probable token at ${changed.length} of ${first.length} positions`;
    return html`
      <div class="row"><h3>Errors by value</h3>${legend(scale, short)}
        <span class="muted">RMS of the error in units of the RMS of the true value.</span></div>
      <div class="beside">
        ${valueMap(cells, {
          label: 'Map of errors by block',
          selected: this.state.hook,
          choose: (hook) => this.change({ hook, view: 'value' }),
        })}
        <div>
          <h3>${title}</h3>
          <ul class="findings">${changed.map(
            ({ before, after, pos }) => html`<li>After ${pos} <span class="token">${quoteToken(run.tokens[pos])}</span>:
              <span class="token">${quoteToken(before.text)}</span> ${formatProbability(before.probability)} →
              <span class="token">${quoteToken(after.text)}</span> ${formatProbability(after.probability)}</li>`,
          )}
          ${saturated.map(
            ({
              name,
              count,
            }) => html`<li>${count} elements of <span class="name">${name}</span> are beyond the format's largest
              number.</li>`,
          )}</ul>
        </div>
      </div>`;
  }
}

/** In words: what stands in the table. */
function nameOf({ weights, weightFormat, values, valueFormat, first, last }: StudyChoice): string {
  const parts = [weightFormat && `${weights} ${weightFormat}`, valueFormat && `${values} ${valueFormat}`].filter(
    Boolean,
  );
  const blocks = first > 0 || last >= 0 ? `, blocks ${first}–${last < 0 ? 'last' : last}` : '';
  return parts.join(' and ') + blocks;
}

/**
 * Names that are meant, without those of other blocks.
 * @throws Error where there are none
 */
function namesOf(model: Model, { first, last, ...study }: StudyChoice, what: 'weights' | 'values'): string[] {
  const names = what === 'weights' ? model.weightNames(study.weights) : model.hookNames(study.values);
  const isMeant = (name: string) => {
    const layer = Number(/^blocks\.(\d+)\./.exec(name)?.[1] ?? first);
    return layer >= first && (last < 0 || layer <= last);
  };
  const meant = names.filter(isMeant);
  if (meant.length === 0)
    throw new Error(`No ${what} "${study[what]}" in the blocks from ${first} on to ${last < 0 ? 'the last' : last}.`);
  return meant;
}

customElements.define('numerics-study', NumericsStudy);
