// The guided tour's panel: one step of a lesson, beside whatever view it is about. It states numbers and checks them against the runs that
// the page shows; the last step waits for the user's own change, wherever on the page it is made.
import { html, nothing, type TemplateResult } from 'lit';
import { styleMap } from 'lit/directives/style-map.js';
import { LESSONS } from './lessons/index.ts';
import {
  asText,
  type Check,
  type Choice,
  isAsExpected,
  type Lesson,
  printedLike,
  type Step,
} from './lessons/lesson.ts';
import type { Measured } from './lessons/measures.ts';
import { DEFAULT_STATE, type PageState, startOf } from './state.ts';
import { type Later, View } from './view.ts';

/** What a step may set that makes another run of it. */
const OF_RUNS = ['model', 'prompt', 'second', 'edits', 'numerics'] as const satisfies readonly (keyof PageState)[];

/** Everything that is on the page at a step of a lesson. */
export function stateOfStep(lesson: number, step: number): PageState {
  const { model, steps } = LESSONS[lesson];
  return { ...startOf(model), ...steps[step].state, lesson, step };
}

/** The outline around what a step is about, as a style sheet of its own: views are drawn again as they like. */
const outline = new CSSStyleSheet();

export class Tour extends View {
  /** The lesson and step that were shown last. */
  private place = '';

  override connectedCallback(): void {
    super.connectedCallback();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, outline];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== outline);
  }

  private get lesson(): Lesson | undefined {
    return LESSONS[this.state.lesson];
  }

  private get step(): Step | undefined {
    return this.lesson?.steps[this.state.step];
  }

  override updated(): void {
    const place = this.step ? `${this.state.lesson} ${this.state.step}` : '';
    if (place !== '' && place !== this.place) this.scrollIntoView({ block: 'nearest' }); // on a phone the view may fill the screen
    this.place = place;
    const at = this.step?.look?.at;
    outline.replaceSync(at ? `${at} { outline: 2px solid var(--hyaline-accent); outline-offset: 3px }` : '');
  }

  override render(): TemplateResult | typeof nothing {
    const { lesson, step } = this;
    if (!lesson || !step) return nothing;
    const at = this.state.step;
    return html`<section class="tour" aria-labelledby="step-title">
      <div class="row"><span class="muted">${lesson.title}, ${at + 1} of ${lesson.steps.length}</span>
        <button class="quiet" @click=${this.leave} aria-label="Leave the lesson">✕</button></div>
      <h2 id="step-title">${step.title}</h2>
      ${step.text.map((paragraph) => html`<p>${paragraph}</p>`)}
      ${step.look ? html`<p class="look"><b>Look at</b> ${step.look.words}</p>` : nothing}
      ${this.checks(step)}${step.task ? this.task(step) : nothing}
      <nav>
        <button ?disabled=${at === 0} @click=${() => this.go(this.state.lesson, at - 1)}>Back</button>
        ${at + 1 < lesson.steps.length ? html`<button class="primary" @click=${() => this.go(this.state.lesson, at + 1)}>Next</button>` : this.ending()}
        ${this.isSetUp(step) ? nothing : html`<button @click=${() => this.go(this.state.lesson, at)}>Set up again</button>`}
      </nav>
    </section>`;
  }

  private ending(): TemplateResult {
    const next = this.state.lesson + 1;
    return next < LESSONS.length
      ? html`<button @click=${() => this.go(next, 0)}>Next lesson: ${LESSONS[next].title}</button>`
      : html`<button @click=${this.leave}>To the contents</button>`;
  }

  private go(lesson: number, step: number): void {
    this.change(stateOfStep(lesson, step));
  }

  private readonly leave = (): void => {
    this.change({ lesson: DEFAULT_STATE.lesson, step: 0, view: 'tour' });
  };

  /** Whether the runs are those that the step is about; in a task the edits are the user's. */
  private isSetUp(step: Step): boolean {
    const wanted = stateOfStep(this.state.lesson, this.state.step);
    return OF_RUNS.every((key) => {
      if (key === 'edits') return step.task || asText(wanted.edits) === asText(this.state.edits);
      return wanted[key] === this.state[key];
    });
  }

  /** The runs of this state; null while they are made. */
  private get measured(): (Measured & { readonly of: object }) | null {
    const { runs, shown, status, run } = this.session;
    if (!['ready', 'failed'].includes(status.activity) || !shown || !run) return null;
    return { ...runs, model: shown, of: run };
  }

  private checks(step: Step): TemplateResult | typeof nothing {
    if (step.checks.length === 0) return nothing;
    return html`<ul class="checks" aria-live="polite">${step.checks.map((check) => this.check(check))}</ul>`;
  }

  private check(check: Check): TemplateResult {
    const result = this.measure(check);
    const holds = result.state === 'done' && isAsExpected(result.value, check.expected);
    const mark = result.state === 'pending' ? '…' : holds ? '✓' : '✗';
    return html`<li class=${result.state === 'pending' ? 'pending' : holds ? 'holds' : 'fails'}>
      <span class="tick" aria-hidden="true">${mark}</span> ${check.what}: <b>${check.expected}</b>
      <span class="muted">${this.outcome(result, check, holds)}</span></li>`;
  }

  private outcome(result: Later<number>, { expected }: Check, holds: boolean): string {
    if (result.state === 'pending') return 'measuring …';
    if (result.state === 'failed') return `could not be measured: ${result.message}`;
    return holds ? 'as expected' : `expected; it is ${printedLike(expected, result.value)} here`;
  }

  private measure(check: Check): Later<number> {
    const { measured } = this;
    if (!measured) return { state: 'pending' };
    return this.later(measured.of, `${this.state.lesson} ${this.state.step} ${check.what}`, () =>
      check.measure(measured),
    );
  }

  private task(step: Step): TemplateResult | typeof nothing {
    const { task } = step;
    if (!task) return nothing;
    const choices = this.choices(task.choices);
    return html`<p class="ask">${task.ask}</p>
      ${choices.state === 'done' ? this.buttons(choices.value, task.layout) : html`<p class="muted">${choices.state === 'failed' ? choices.message : 'computing …'}</p>`}
      <div class="verdict" aria-live="polite">${choices.state === 'done' ? this.verdict(choices.value, task.check) : nothing}</div>`;
  }

  private choices(given: NonNullable<Step['task']>['choices']): Later<readonly Choice[]> {
    if (typeof given !== 'function') return { state: 'done', value: given };
    const { measured } = this;
    if (!measured) return { state: 'pending' };
    // The first run: whatever is chosen, it stays, with what is computed from it.
    const of = measured.before ?? measured.of;
    return this.later(of, `choices of ${this.state.lesson}`, () => given(measured));
  }

  private chosen(choices: readonly Choice[]): Choice | null {
    const edits = asText(this.state.edits);
    return choices.find((choice) => asText(choice.edits) === edits) ?? null;
  }

  private buttons(choices: readonly Choice[], layout: string): TemplateResult {
    const chosen = this.chosen(choices);
    const highest = Math.max(...choices.map(({ share }) => share ?? 0));
    return html`<div class="choices ${layout}" role="group" aria-label="Choices" @keydown=${layout === 'bars' ? this.walk : nothing}>
      ${choices.map(
        (choice, i) => html`<button aria-pressed=${choice === chosen} aria-label=${choice.description ?? choice.label}
          title=${choice.description ?? nothing} tabindex=${layout === 'bars' && i !== Math.max(choices.indexOf(chosen ?? choices[0]), 0) ? -1 : 0}
          data-tick=${layout === 'bars' && Number(choice.label) % 10 === 0 ? choice.label : nothing}
          style=${styleMap(choice.share === undefined ? {} : { '--share': String(choice.share / highest) })}
          @click=${() => this.change({ edits: choice.edits })}>${layout === 'bars' ? nothing : choice.label}</button>`,
      )}</div>`;
  }

  /** Bars are one stop of the Tab key; arrows walk along them. */
  private readonly walk = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const bars = [...(event.currentTarget as HTMLElement).querySelectorAll('button')];
    const next = by && bars[bars.indexOf(event.target as HTMLButtonElement) + by];
    if (!next) return;
    event.preventDefault();
    next.focus();
  };

  private verdict(choices: readonly Choice[], check: Check): TemplateResult | typeof nothing {
    const { edits } = this.state;
    if (!edits.some(({ isOn }) => isOn)) return nothing;
    const result = this.measure(check);
    if (result.state !== 'done') return html`<p class="muted">${this.outcome(result, check, false)}</p>`;
    const chosen = this.chosen(choices);
    const holds = isAsExpected(result.value, check.expected);
    const isRight = chosen?.isRight === true && holds;
    const got = html`${check.what}: <b>${printedLike(check.expected, result.value)}</b>`;
    const says = chosen?.says ?? 'This is none of the changes that were asked for.';
    return html`<p class=${isRight ? 'holds' : 'fails'}><span class="tick" aria-hidden="true">${isRight ? '✓' : '✗'}</span>
      ${isRight ? 'Right:' : chosen?.isRight ? `Right, but expected ${check.expected}:` : 'Not this one:'} ${got}. ${says}</p>`;
  }
}

customElements.define('page-tour', Tour);
