// The digests of the shown run's values, beside those that are recorded of the embedded models: one of both kinds is the same bits.
import { html, nothing, type TemplateResult } from 'lit';
import { digestValues, type ValueDigests } from '../../index.ts';
import { JobView } from '../job_view.ts';
import { EMBEDDED_MODELS } from '../state.ts';
import { type MapValue, valueMap } from '../value_map.ts';

const KEY = 'digests';

/** `digests.json` beside an embedded model. */
interface Recorded {
  readonly command: string;
  readonly tokens: readonly (readonly number[])[];
  readonly numerics: string;
  readonly total: string;
  readonly values: Readonly<Record<string, string>>;
}

class NumericsDigests extends JobView {
  override render() {
    const { run } = this;
    if (!run) return nothing;
    const own = this.later(run, KEY, () => run.analysis(KEY, (_, cache) => digestValues(cache)));
    const recorded = this.recorded();
    return html`<section aria-label="Digests"><h2>Digests <small>SHA-256 of every value's bits: two runs with the same digests are the
      same, on any two machines.</small></h2>
      <div aria-live="polite">
      ${own.state === 'pending' ? html`<p class="muted">computing …</p>` : nothing}
      ${own.state === 'failed' ? html`<p class="problem">${own.message}</p>` : nothing}
      ${own.state === 'done' ? this.verdict(own.value, recorded?.state === 'done' ? recorded.value : null) : nothing}
      ${recorded?.state === 'failed' ? html`<p class="problem">${recorded.message}</p>` : nothing}
      </div></section>`;
  }

  /** Null where the model is none of ours. */
  private recorded() {
    const { model } = this.state;
    if (!(EMBEDDED_MODELS as readonly string[]).includes(model)) return null;
    return this.later(this.session.shown ?? this, 'recorded digests', async (): Promise<Recorded> => {
      const response = await fetch(`./models/${model}/digests.json`);
      if (!response.ok)
        throw new Error(`The recorded digests could not be fetched: ${response.status} ${response.url}`);
      return response.json();
    });
  }

  private verdict(own: ValueDigests, recorded: Recorded | null): TemplateResult {
    const total = html`<p>Total of this run: <code class="digest">${own.total}</code></p>`;
    if (!recorded) {
      return html`${total}<p class="muted">No digests are recorded of this model; compare the total with another machine's
        (<code>hyaline trace … --digest</code> prints it).</p>`;
    }
    const { run } = this;
    if (JSON.stringify(recorded.tokens) !== JSON.stringify([run?.ids]))
      return html`${total}${this.elsewhere(recorded)}`;
    const why = this.session.runs.after ? 'changes' : (run?.numerics ?? 'reproducible');
    return html`${sentence(own.values, recorded, why)}${total}${this.comparison(own.values, recorded)}`;
  }

  private comparison(values: ValueDigests['values'], recorded: Recorded): TemplateResult {
    const layerOf = (name: string) => Number(/^blocks\.(\d+)\./.exec(name)?.[1] ?? Number.NaN);
    const cells = values.map(({ name, sha256 }): MapValue => {
      const [layer, expected] = [layerOf(name), recorded.values[name]];
      const isSame = sha256 === expected;
      const title = `${name}\n${sha256}\n${isSame ? 'as recorded' : `recorded: ${expected ?? 'none'}`}`;
      const cell = { text: `${isSame ? '✓' : '✗'} ${sha256.slice(0, 8)}`, title, shade: null };
      return { name, layer: Number.isNaN(layer) ? null : layer, cells: [cell] };
    });
    return html`<details id="digest-values"><summary>Value by value</summary>${valueMap(cells, {
      label: 'Digests by block: ✓ as recorded, ✗ other bits',
      selected: this.state.hook,
      choose: (hook) => this.change({ hook, view: 'value' }),
    })}</details>`;
  }

  /** The recorded digests are of another input: they can be checked all the same. */
  private elsewhere(recorded: Recorded): TemplateResult | typeof nothing {
    const { model } = this.session;
    if (!model) return nothing;
    const key = `recorded prompt, ${this.state.numerics}`;
    const { numerics } = this.state;
    const job = this.jobs.get<ValueDigests>(model, key);
    const work = async () => {
      const { cache } = await model.runWithCache(
        recorded.tokens.map((row) => [...row]),
        { numerics },
      );
      try {
        return await digestValues(cache);
      } finally {
        cache.destroy();
      }
    };
    return html`<p class="muted">Recorded are the digests of another input: <code>${recorded.command}</code></p>
      ${this.controls({ of: model, key, label: 'Check the recorded input', work })}
      ${job?.state === 'done' ? html`${sentence(job.value.values, recorded, numerics)}${this.comparison(job.value.values, recorded)}` : nothing}`;
  }
}

/** Why bits may differ. */
const REASONS = {
  changes: 'That is what your changes do: values before the first of them keep their bits.',
  fast: 'Fast mode allows each adapter its own rounding; the reproducible mode has to give the recorded bits.',
  reproducible:
    'In reproducible mode every adapter should give them: this one does something that its fingerprint may explain. Please report it.',
} as const;

function sentence(values: ValueDigests['values'], recorded: Recorded, why: keyof typeof REASONS): TemplateResult {
  const expected = Object.keys(recorded.values).length;
  const differing = values.filter(({ name, sha256 }) => recorded.values[name] !== sha256);
  const missing = Object.keys(recorded.values).filter((name) => !values.some((value) => value.name === name));
  if (differing.length === 0 && missing.length === 0) {
    return html`<p class="digest-verdict" data-verdict="same">✓ All ${expected} values have the recorded bits.</p>`;
  }
  return html`<p class="digest-verdict" data-verdict="other">✗ ${differing.length + missing.length} of ${expected} values have other bits than the
    recorded ones, from ${differing[0]?.name ?? missing[0]} on. ${REASONS[why]}</p>`;
}

customElements.define('numerics-digests', NumericsDigests);
