// The errors of a run against float64, as a map and in words. Two float64 passes are computed in a worker.
import { html, nothing, type TemplateResult } from 'lit';
import { formatNumber } from '../../elements/index.ts';
import { type NumericsFigure, type NumericsReport, type NumericsValue, numericsMap } from '../../index.ts';
import { JobView } from '../job_view.ts';
import { NumericsClient } from '../numerics_client.ts';
import type { PageRun } from '../page_run.ts';
import { nameOfToken } from '../token_input.ts';
import { legend, logScale, type MapValue, SHARE_SCALE, valueMap } from '../value_map.ts';

const KEY = 'numerics report';

interface Choice {
  readonly title: string;
  readonly figures: readonly NumericsFigure[];
  /** What the figures are, side by side. */
  readonly parts?: readonly string[];
  readonly isShare?: boolean;
  readonly meaning: string;
}

/** What the map can show, by the word in the link. */
const CHOICES: Readonly<Record<NumericsFigure | 'parts', Choice>> = {
  relativeRms: {
    title: 'relative error',
    figures: ['relativeRms'],
    meaning: 'RMS of the error in units of the RMS of the true value; float32 rounds to 6e-8.',
  },
  parts: {
    title: 'inherited | local error',
    figures: ['inheritedRms', 'localRms'],
    parts: ['inherited', 'local'],
    meaning:
      'Left what the inputs brought, right what the operation itself made, in units of the RMS of the true value.',
  },
  localShare: {
    title: 'local share of the error',
    figures: ['localShare'],
    isShare: true,
    meaning:
      'What the operation itself made of the whole error: 0 all inherited, 1 all its own. Negative: it cancels some.',
  },
  localRms: {
    title: 'local error',
    figures: ['localRms'],
    meaning: 'RMS of the error that the operation itself made, given the engine’s own inputs.',
  },
  inheritedRms: {
    title: 'inherited error',
    figures: ['inheritedRms'],
    meaning: 'RMS of the error that the operation’s inputs brought.',
  },
  amplification: {
    title: 'amplification',
    figures: ['amplification'],
    meaning:
      'Relative inherited error over the largest one among the inputs: what the operation costs before it rounds.',
  },
  medianUlp: {
    title: 'median ULP',
    figures: ['medianUlp'],
    meaning: 'Half of the elements are this many float32 steps or fewer from the true number.',
  },
  maxUlp: {
    title: 'largest ULP',
    figures: ['maxUlp'],
    meaning: 'Steps of the worst element. Near 0 steps are tiny, so many of them may be little.',
  },
  cosineDistance: {
    title: 'cosine distance',
    figures: ['cosineDistance'],
    meaning: '1 − cos of the angle between the value and the true one.',
  },
  boundRatio: {
    title: 'share of the error bound',
    figures: ['boundRatio'],
    isShare: true,
    meaning: 'Largest local error as a part of what the operation’s proven bound allows; above 1 something is broken.',
  },
};

class NumericsErrors extends JobView {
  override willUpdate(): void {
    this.takeRecorded(this.session.runs.before, KEY, (run) => this.work(run));
  }

  override render() {
    const run = this.session.runs.before;
    if (!run) return nothing;
    const job = this.jobs.get<NumericsReport>(run, KEY);
    return html`<section aria-label="Errors against float64">
      <h2>Errors against float64 <small>${this.introduction()}</small></h2>
      ${this.controls({
        of: run,
        key: KEY,
        label: 'Compare with float64',
        isDisabled: !this.session.model,
        work: this.work(run),
      })}
      <div aria-live="polite">${job?.state === 'done' ? this.report(job.value) : nothing}</div>
    </section>`;
  }

  private introduction(): string {
    const edited = this.session.runs.after ? ' Of the run without your changes.' : '';
    return `Every value of the run beside the same pass in float64, computed on the CPU in a worker.${edited}`;
  }

  private work(run: PageRun) {
    const client = NumericsClient.of(this.session);
    const task = client.work({ kind: 'report', tokens: run.ids, numerics: run.numerics });
    return (...[say, signal]: Parameters<typeof task>) => run.analysis(KEY, () => task(say, signal));
  }

  private report(report: NumericsReport): TemplateResult {
    const key = Object.hasOwn(CHOICES, this.state.figure) ? (this.state.figure as keyof typeof CHOICES) : 'relativeRms';
    const choice = CHOICES[key];
    const figures = choice.figures.map((figure) => figuresOf(report, figure));
    const scale = choice.isShare ? SHARE_SCALE : logScale(figures.flatMap((figure) => [...figure.values()]));
    const values = report.values.map((value): MapValue => {
      const cells = figures.map((figure) => {
        const x = figure.get(value.name) ?? null;
        return { text: short(x), title: describe(value), shade: scale.shade(x) };
      });
      return { name: value.name, layer: value.layer, cells };
    });
    const choose = (event: Event) => this.change({ figure: (event.target as HTMLSelectElement).value });
    return html`
      <div class="row">
        <label>Colour <select id="figure" @change=${choose}>
          ${Object.entries(CHOICES).map(
            ([name, { title }]) => html`<option value=${name} .selected=${name === key}>${title}</option>`,
          )}
        </select></label>
        ${legend(scale, short)}
        <span class="muted">${choice.meaning}</span>
      </div>
      <div class=${choice.parts ? nothing : 'beside'}>
        ${valueMap(values, {
          label: `Map of values by block: ${choice.title}`,
          parts: choice.parts,
          selected: this.state.hook,
          choose: (hook) => this.change({ hook, view: 'value' }),
        })}
        <div>
          <ul class="findings">${this.findings(report).map((finding) => html`<li>${finding}</li>`)}</ul>
          ${this.predictions(report)}
        </div>
      </div>`;
  }

  /** What stands out, in sentences. */
  private findings({ findings, predictions }: NumericsReport): (TemplateResult | string)[] {
    const { notFinite, outsideBound, closestToBound, mostLocal, mostAmplified } = findings;
    const value = (name: string) =>
      html`<button class="link" @click=${() => this.change({ hook: name, view: 'value' })}>${name}</button>`;
    const list = (items: readonly TemplateResult[]) => items.map((item, i) => html`${i > 0 ? ', ' : ''}${item}`);
    const sentences: (TemplateResult | string)[] = [];
    for (const { name, count, made } of notFinite)
      sentences.push(
        html`✗ ${value(name)} has ${count} NaN or infinite elements; ${made} of them its operation made itself.`,
      );
    if (outsideBound.length > 0)
      sentences.push(html`✗ Outside of the error bound of its operation: ${list(outsideBound.map(value))}.`);
    else if (closestToBound)
      sentences.push(html`✓ Every value is within the proven error bound of its operation. Closest: ${value(closestToBound.name)},
        whose worst element takes ${percent(closestToBound.ratio)} of its bound.`);
    if (mostLocal.length > 0)
      sentences.push(
        html`The largest errors are made in ${list(
          mostLocal.map(({ name, relativeRms }) => html`${value(name)} (${short(relativeRms)})`),
        )}; float32 rounds to 6e-8.`,
      );
    if (mostAmplified.length > 0)
      sentences.push(
        html`Inherited errors grow most in ${list(
          mostAmplified.map(({ name, amplification }) => html`${value(name)} (× ${amplification.toPrecision(3)})`),
        )}.`,
      );
    const { positions, changed, notFinite: untold, closest, maxDivergence } = predictions;
    sentences.push(
      changed === 0 && untold === 0
        ? `✓ Float64 predicts the same next token at all ${positions.length} positions.`
        : `✗ Float64 predicts another next token at ${changed} of ${positions.length} positions; ${untold} have no finite logits.`,
    );
    if (closest?.marginInErrors != null)
      sentences.push(`The closest call is at position ${closest.pos}, where the first two logits are ${short(closest.marginInErrors)}
        times the largest error apart. Divergence (KL) from float64 is ${short(maxDivergence)} nats at most.`);
    return sentences;
  }

  private predictions({ predictions, tokens }: NumericsReport): TemplateResult {
    const text = (id: number | null) => (id === null ? '–' : nameOfToken(this.session.shown, id));
    return html`<details><summary>Predictions position by position</summary><div class="scroll" tabindex="0" role="region"
      aria-label="Predictions position by position"><table>
      <thead><tr><th scope="col" class="number">position</th><th scope="col">token</th><th scope="col">next in float64</th><th scope="col">next here</th>
        <th scope="col" class="number">margin of logits</th><th scope="col" class="number">in errors</th><th scope="col" class="number">divergence, nats</th></tr></thead>
      <tbody>${predictions.positions.map(
        (position) => html`<tr>
        <td class="number">${position.pos}</td><td class="token">${text(tokens[0][position.pos])}</td>
        <td class="token">${text(position.exactTop)}</td>
        <td class="token">${position.exactTop === position.engineTop ? '✓' : '✗'} ${text(position.engineTop)}</td>
        <td class="number">${short(position.margin)}</td><td class="number">${short(position.marginInErrors)}</td>
        <td class="number">${short(position.divergence)}</td></tr>`,
      )}</tbody></table></div></details>`;
  }
}

/** One figure of every value, by name. */
function figuresOf({ values }: NumericsReport, figure: NumericsFigure): Map<string, number | null> {
  const { layers, rows, outside } = numericsMap(values, figure);
  return new Map([
    ...outside.map(({ name, cell }) => [name, cell] as const),
    ...rows.flatMap(({ name, cells }) => cells.map((cell, i) => [`blocks.${layers[i]}.${name}`, cell] as const)),
  ]);
}

function describe({
  name,
  shape,
  error,
  local,
  inherited,
  ulps,
  localBound,
  aliasOf,
  worstElement,
}: NumericsValue): string {
  const worst = worstElement
    ? `\nworst at [${worstElement.index.join(', ')}]: ${worstElement.engine}, in truth ${formatNumber(worstElement.exact)}`
    : '';
  return (
    `${name} [${shape.join(', ')}]${aliasOf ? `, another name of ${aliasOf}` : ''}\n` +
    `relative error ${short(error.relativeRms)}: inherited ${short(inherited.relativeRms)}, local ${short(local.relativeRms)}\n` +
    `ULP: median ${short(ulps.median)}, largest ${short(ulps.max)}\n` +
    `takes ${localBound.ratio === null ? '–' : percent(localBound.ratio)} of its operation's bound${worst}`
  );
}

const percent = (share: number) => `${(100 * share).toPrecision(3)} %`;

/** Two or three digits: what a cell has room for. */
export function short(x: number | null): string {
  if (x === null) return '–';
  const size = Math.abs(x);
  if (x === 0) return '0';
  return size >= 1e4 || size < 0.01 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
}

customElements.define('numerics-errors', NumericsErrors);
