// The model as a map: the residual stream from the embedding to the unembedding, each block's branches beside it, and every value a place
// with the statistics of this run. Those of folded blocks are not computed, but for what stands for them.
import { html, nothing, type TemplateResult } from 'lit';
import { classMap } from 'lit/directives/class-map.js';
import { styleMap } from 'lit/directives/style-map.js';
import { formatNumber } from '../../elements/index.ts';
import type { Hook, Statistics } from '../../index.ts';
import { type MapSection, mapOf, type Place, type PlaceGroup, placesOf, type Stage, summaryOf } from '../model_map.ts';
import type { PageRun } from '../page_run.ts';
import { type Later, View } from '../view.ts';

/** A model of at most this many blocks is unfolded from the start. */
const FEW_BLOCKS = 2;

/** A value in both runs; `after` is null where nothing is changed. */
interface PlaceStatistics {
  readonly before: Later<Statistics>;
  readonly after: Later<Statistics> | null;
}

class ModelView extends View {
  static override properties = {
    ...View.properties,
    filter: { state: true },
    toggled: { state: true },
    pointed: { state: true },
  };
  declare filter: string;
  /** Blocks that are not as they are at the start: unfolded or folded by the user. */
  declare toggled: ReadonlySet<number>;
  /** The place that is pointed at or has the focus. */
  declare pointed: string | null;
  private model: {
    readonly of: object;
    readonly sections: MapSection[];
    readonly hooks: ReadonlyMap<string, Hook>;
  } | null = null;
  /** Standard deviations between which colours run, of the places that are shown. */
  private range: readonly [number, number] = [1, 1];
  private edited: ReadonlySet<string> = new Set();
  /** The one place that Tab reaches; arrows lead to the others. */
  private reachable: string | null | undefined;

  constructor() {
    super();
    this.filter = '';
    this.toggled = new Set();
    this.pointed = null;
  }

  override render(): TemplateResult {
    const { run } = this;
    if (!run) return html`<p class="muted">There is no run yet.</p>`;
    const { sections } = this.map(run);
    const matches = this.matcher();
    const shown = sections.filter((section) => placesOf(section).some(matches));
    this.edited = this.editedNames();
    const visible = shown.flatMap((section) => this.visiblePlaces(section, matches));
    this.range = this.rangeOf(visible);
    this.reachable = [this.pointed, this.state.hook].find((name) => visible.some((place) => place.name === name));
    this.reachable ??= visible[0]?.name;
    return html`
      <p class="muted map-about">Every box is a value of this run, with its mean ± standard deviation: choose one to look inside.
        The Tour shows what can be found.</p>
      <div class="row map-tools">
        <label>Find <input type="search" .value=${this.filter} placeholder="attn, *.hook_z …" @input=${this.onFilter}></label>
        <button type="button" @click=${() => this.unfold(true)}>Unfold all</button>
        <button type="button" @click=${() => this.unfold(false)}>Fold all</button>
        ${this.legend()}
      </div>
      <div class="map" role="group" aria-label="Values of the model" @keydown=${this.onKey} @pointerover=${this.onPoint}
        @focusin=${this.onPoint} @pointerleave=${() => this.point(null)}>
        ${shown.map((section) => this.section(section, matches))}
        ${shown.length === 0 ? html`<p class="muted">No value has this in its name.</p>` : nothing}
      </div>
      ${this.details(run)}`;
  }

  /** Sections and hooks, read once for each model. */
  private map(run: PageRun) {
    const { model, shown } = this.session;
    const of = model ?? run;
    if (this.model?.of !== of) {
      const names = model ? model.hooks.map(({ name }) => name) : run.cache.names;
      const hooks = new Map((shown?.hooks ?? []).map((hook) => [hook.name, hook]));
      this.model = { of, sections: mapOf(names), hooks };
      this.toggled = new Set();
    }
    return this.model;
  }

  private editedNames(): ReadonlySet<string> {
    const { model, shownState } = this.session;
    const names = shownState.edits.filter(({ isOn }) => isOn).map(({ hook }) => hook);
    try {
      return new Set(model && names.length > 0 ? model.hookNames(names) : names);
    } catch {
      return new Set(names); // the run says what is wrong with them
    }
  }

  /** Part of a name; * and ? stand for anything. */
  private matcher(): (place: Place) => boolean {
    const words = this.filter.trim().replace(/[.+^$()|[\]{}\\]/g, '\\$&');
    const expression = new RegExp(words.replaceAll('*', '.*').replaceAll('?', '.'), 'i');
    return ({ name }) => expression.test(name);
  }

  private isUnfolded({ layer }: MapSection): boolean {
    if (layer === null || this.filter.trim() !== '') return true;
    const blocks = this.model?.sections.filter(({ layer }) => layer !== null).length ?? 0;
    const isAtFirst = blocks <= FEW_BLOCKS || layer === this.state.layer;
    return isAtFirst !== this.toggled.has(layer);
  }

  private unfold(isUnfolded: boolean): void {
    const sections = this.model?.sections ?? [];
    this.toggled = new Set();
    const different = sections.filter((section) => this.isUnfolded(section) !== isUnfolded);
    this.toggled = new Set(different.flatMap(({ layer }) => layer ?? []));
  }

  private toggle(layer: number): void {
    const toggled = new Set(this.toggled);
    if (!toggled.delete(layer)) toggled.add(layer);
    this.toggled = toggled;
  }

  private visiblePlaces(section: MapSection, matches: (place: Place) => boolean): Place[] {
    return (this.isUnfolded(section) ? placesOf(section) : summaryOf(section)).filter(matches);
  }

  private statisticsOf(name: string): PlaceStatistics | null {
    const { before, after } = this.session.runs;
    if (!before?.cache.has(name)) return null;
    const of = (run: PageRun) => this.later(run, name, () => run.statistics(name));
    return { before: of(before), after: after && of(after) };
  }

  private rangeOf(places: readonly Place[]): readonly [number, number] {
    const stds = places
      .map(({ name }) => doneOf(this.shownOf(this.statisticsOf(name)))?.std ?? 0)
      .filter((std) => std > 0);
    return [Math.min(...stds), Math.max(...stds)];
  }

  /** Those with the edits, where there are any. */
  private shownOf(statistics: PlaceStatistics | null): Later<Statistics> | null {
    return statistics && (statistics.after ?? statistics.before);
  }

  private legend(): TemplateResult | typeof nothing {
    const [low, high] = this.range;
    const { after } = this.session.runs;
    return html`<span class="map-legend">
      <span class="map-mark on-demand">computed when asked for</span>
      ${after ? html`<span class="map-mark changed">changed</span>` : nothing}
      ${this.edited.size > 0 ? html`<span class="map-mark edited">edited</span>` : nothing}
      <span>std ${high > 0 ? formatShort(low) : '–'} <span class="map-scale"></span> ${high > 0 ? formatShort(high) : '–'}</span>
    </span>`;
  }

  private section(section: MapSection, matches: (place: Place) => boolean): TemplateResult {
    const { layer, title, stages } = section;
    const isUnfolded = this.isUnfolded(section);
    const heading =
      layer === null
        ? html`<span class="map-title">${title}</span>`
        : html`<button type="button" class="map-title" aria-expanded=${isUnfolded} @click=${() => this.toggle(layer)}>${title}</button>`;
    return html`<section class="map-section ${isUnfolded ? 'unfolded' : ''}" aria-label=${title}>
      <div class="map-head">${heading}</div>
      ${
        isUnfolded
          ? stages.map((stage) => this.stage(stage, matches))
          : html`<div class="stage"><div class="spine"></div>
            <div class="branch">${summaryOf(section).map((place) => this.place(place))}</div></div>`
      }
    </section>`;
  }

  private stage({ stream, branch, sum }: Stage, matches: (place: Place) => boolean): TemplateResult | typeof nothing {
    const groups = branch
      .map(({ module, places }) => ({ module, places: places.filter(matches) }))
      .filter(({ places }) => places.length > 0);
    const shownStream = stream && matches(stream) ? stream : null;
    const shownSum = sum && matches(sum) ? sum : null;
    if (!shownStream && !shownSum && groups.length === 0) return nothing;
    return html`
      <div class="stage">
        <div class="spine">${shownStream ? this.place(shownStream) : nothing}</div>
        <div class="branch">${groups.map((group) => this.group(group))}</div>
      </div>
      ${
        shownSum
          ? html`<div class="stage"><div class="spine sum"><span aria-hidden="true">+</span></div>
            <div class="branch sum">${this.place(shownSum)}</div></div>`
          : nothing
      }`;
  }

  private group({ module, places }: PlaceGroup): TemplateResult {
    return html`<div class="group">${module ? html`<span class="module">${module}</span>` : nothing}
      ${places.map((place) => this.place(place))}</div>`;
  }

  private place({ name, shortName }: Place): TemplateResult {
    const statistics = this.statisticsOf(name);
    const hook = this.model?.hooks.get(name);
    const shown = doneOf(this.shownOf(statistics));
    const isEdited = this.edited.has(name);
    const isChanged = hasChanged(statistics);
    const classes = {
      place: true,
      'on-demand': statistics === null,
      alias: hook?.aliasOf != null,
      edited: isEdited,
      changed: isChanged,
    };
    const words = [
      name,
      isEdited && 'edited',
      isChanged && 'changed',
      statistics === null && 'computed when asked for',
    ];
    return html`<button type="button" class=${classMap(classes)} data-name=${name}
      tabindex=${name === this.reachable ? 0 : -1} aria-current=${name === this.state.hook ? 'true' : 'false'}
      aria-description=${words.filter(Boolean).join(', ')} style=${styleMap({ '--share': String(this.shareOf(shown)) })}
      @click=${() => this.select(name)}
      ><span class="place-name">${shortName}</span>${
        statistics ? html`<span class="place-numbers">${numbersOf(statistics)}</span>` : nothing
      }</button>`;
  }

  /** 0 … 1 from the smallest standard deviation that is shown to the largest, by their logarithms. */
  private shareOf(statistics: Statistics | null): number {
    const [low, high] = this.range;
    if (!statistics || !(statistics.std > 0) || !(high > low)) return 0;
    return Math.log(statistics.std / low) / Math.log(high / low);
  }

  private select(hook: string): void {
    const layer = /^blocks\.(\d+)\./.exec(hook);
    const at = layer ? { layer: Number(layer[1]) } : {};
    this.change({ ...at, hook, rows: '', columns: '', index: {}, view: 'value' });
  }

  /** What is known of the place that is pointed at, or else of the selected value. */
  private details(run: PageRun): TemplateResult {
    const name = this.pointed ?? this.state.hook;
    const hook = this.model?.hooks.get(name);
    const value = run.cache.has(name) ? run.cache.get(name) : null;
    const shape = (value?.shape ?? hook?.shape ?? []).join(', ');
    const axes = (value?.axes ?? hook?.axes ?? []).join(', ');
    const about = [hook?.description, hook?.aliasOf && `the same as ${hook.aliasOf} unless written`].filter(Boolean);
    return html`<div class="map-details">
      <div><span class="name">${name}</span> <span class="muted">[${shape}] ${axes}${about.map((text) => ` · ${text}`)}</span></div>
      ${this.figures(name)}
    </div>`;
  }

  private figures(name: string): TemplateResult {
    const statistics = this.statisticsOf(name);
    if (!statistics)
      return html`<div class="muted">Computed when asked for: its own view runs the prompt once more for it.</div>`;
    const line = (label: string, later: Later<Statistics>) =>
      html`<div class="figures">${label}${figuresOf(later)}</div>`;
    if (!statistics.after) return line('', statistics.before);
    return html`${line('before ', statistics.before)}${line('after ', statistics.after)}`;
  }

  private onFilter(event: Event): void {
    this.filter = (event.target as HTMLInputElement).value;
  }

  private onPoint({ target }: Event): void {
    const place = target instanceof Element ? target.closest<HTMLElement>('.place') : null;
    if (place) this.point(place.dataset.name ?? null);
  }

  private point(name: string | null): void {
    this.pointed = name;
  }

  /** Arrows go from place to place: left and right in firing order, up and down to the nearest one of the next line. */
  private onKey(event: KeyboardEvent): void {
    const places = [...this.querySelectorAll<HTMLElement>('.place')];
    const at = places.indexOf(event.target as HTMLElement);
    if (at < 0) return;
    const to = { ArrowLeft: places[at - 1], ArrowRight: places[at + 1], Home: places[0], End: places.at(-1) }[
      event.key
    ];
    const next = to ?? nearestBeyond(places, places[at], { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0);
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

/** The place above (−1) or below (1) that is nearest to this one: on the next line, and there the closest. */
function nearestBeyond(places: readonly HTMLElement[], from: HTMLElement, direction: number): HTMLElement | undefined {
  if (direction === 0) return undefined;
  const { left, top } = from.getBoundingClientRect();
  const distances = places.map((place) => {
    const box = place.getBoundingClientRect();
    const down = direction * (box.top - top);
    return { place, distance: down > 1 ? 100 * down + Math.abs(box.left - left) : Number.POSITIVE_INFINITY };
  });
  const nearest = distances.reduce((a, b) => (b.distance < a.distance ? b : a));
  return Number.isFinite(nearest.distance) ? nearest.place : undefined;
}

function doneOf<T>(later: Later<T> | null): T | null {
  return later?.state === 'done' ? later.value : null;
}

const FIGURES = ['mean', 'std', 'min', 'max', 'norm', 'nanCount', 'infiniteCount', 'maskedCount', 'count'] as const;

/** Whether some statistic differs between the runs. */
function hasChanged(statistics: PlaceStatistics | null): boolean {
  const [before, after] = [doneOf(statistics?.before ?? null), doneOf(statistics?.after ?? null)];
  return before !== null && after !== null && FIGURES.some((figure) => !Object.is(before[figure], after[figure]));
}

/** Mean and standard deviation; where edits change them, the standard deviation before and after. Counts of what is no number come first. */
function numbersOf(statistics: PlaceStatistics): TemplateResult | string {
  const shown = statistics.after ?? statistics.before;
  if (shown.state === 'pending') return '…';
  if (shown.state === 'failed') return 'none';
  const { mean, std, nanCount, infiniteCount } = shown.value;
  if (nanCount + infiniteCount > 0) return html`<span class="strange">${strangeOf(shown.value)}</span>`;
  const before = doneOf(statistics.before);
  if (before && hasChanged(statistics)) return `${formatShort(before.std)} → ${formatShort(std)}`;
  return `${formatShort(mean)} ± ${formatShort(std)}`;
}

function strangeOf({ nanCount, infiniteCount }: Statistics): string {
  const counts = [nanCount > 0 && `${nanCount} NaN`, infiniteCount > 0 && `${infiniteCount} ∞`];
  return counts.filter(Boolean).join(', ');
}

function figuresOf(later: Later<Statistics>): TemplateResult | string {
  if (later.state === 'pending') return 'computing …';
  if (later.state === 'failed') return later.message;
  const { mean, std, min, max, norm, maskedCount, count } = later.value;
  const strange = strangeOf(later.value);
  const figure = (label: string, x: number) => html`<span>${label} <b>${formatNumber(x)}</b></span>`;
  return html`${figure('mean', mean)}${figure('std', std)}${figure('min', min)}${figure('max', max)}${figure('norm', norm)}
    <span>${count} numbers${maskedCount > 0 ? `, ${maskedCount} masked` : ''}</span>
    ${strange ? html`<span class="strange">${strange}</span>` : nothing}`;
}

/** Three significant digits, two below 1: for places. */
function formatShort(x: number): string {
  const size = Math.abs(x);
  if (x === 0) return '0';
  if (size >= 1e4 || size < 1e-3) return x.toExponential(0);
  return x.toPrecision(size < 1 ? 2 : 3);
}

customElements.define('view-model', ModelView);
