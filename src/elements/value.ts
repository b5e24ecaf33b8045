// `<hyaline-value>`: everything about one value: its picture, its statistics, and any number of it down to the bits, beside the truth in
// float64 and another run's. The picture is `<hyaline-heatmap>`.
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import type { Statistics } from '../index.ts';
import { elementOfIndex } from './axes_shown.ts';
import { commonColouring, differenceOf, haveSameShape } from './compared_values.ts';
import { define, HyalineElement } from './element.ts';
import './heatmap.ts';
import type { DeviceOwner, ShownView } from './heatmap.ts';
import { type AxisLabels, indexText } from './heatmap_view.ts';
import { type Histogram, histogramOf } from './histogram.ts';
import type { Colouring, Window } from './picture.ts';
import type { ShownValue } from './shown_value.ts';
import { numberAt, type PointedNumber, paintableOf, statisticsOf, tensorOf } from './value_numbers.ts';
import { type Inspected, renderHistogram, renderNumber, renderStatistics } from './value_parts.ts';
import { valueStyles } from './value_styles.ts';

/** Which of two values is in the picture. */
export type Shows = 'value' | 'compared' | 'difference';

type Index = Readonly<Record<string, number>>;

const SHOWS: Readonly<Record<Shows, string>> = { value: 'this', compared: 'compared', difference: 'difference' };

/** What has been worked out of the value that is shown. */
interface Summary {
  readonly statistics: Statistics;
  readonly histogram: Histogram;
}

/**
 * The exact inspector of a value: heatmap, statistics, histogram, and the number that is pointed at or selected: as the shortest decimal that
 * names it, in hexadecimal, as bits in their three parts, with its unit in the last place (ULP). With a `reference`, its float64 number and the
 * error against it; with a `compared` value, the other number, the difference, and how many float32 steps lie between.
 *
 * @property model - whose device draws; null where values have no buffer. Anything with a `device`
 * @property value - what to inspect, or null
 * @property compared - a value of the same shape beside it (another prompt, a run with an intervention), or null
 * @property reference - the same numbers in float64, row-major, or null
 * @property rows, columns, index, labels, zoom, selected - as of `<hyaline-heatmap>`
 * @property colouring - map and range, or null: automatic, and common to both where one is compared
 * @property shows - 'value', 'compared' or 'difference': what is in the picture
 *
 * @fires hyaline-point - `PointedNumber` of `value`
 * @fires hyaline-select - `PointedNumber` of `value`
 * @fires hyaline-view - `ShownView`
 *
 * @csspart number - the table of one number
 * @csspart statistics - the table of all
 * @csspart heatmap - the heatmap, whose CSS variables apply
 * @example
 * const inspector = document.createElement('hyaline-value');
 * Object.assign(inspector, { model, value: clean.get(name), compared: ablated.get(name), labels: { pos: tokens } });
 */
export class HyalineValue extends HyalineElement {
  static override styles = [HyalineElement.styles, valueStyles];
  static override properties = {
    model: { attribute: false },
    value: { attribute: false },
    compared: { attribute: false },
    reference: { attribute: false },
    rows: {},
    columns: {},
    index: { attribute: false },
    colouring: { attribute: false },
    labels: { attribute: false },
    zoom: { attribute: false },
    selected: { attribute: false },
    shows: {},
    pointed: { state: true },
    inspected: { state: true },
    summary: { state: true },
    common: { state: true },
  };
  declare model: DeviceOwner | null;
  declare value: ShownValue | null;
  declare compared: ShownValue | null;
  declare reference: Float64Array | null;
  declare rows: string;
  declare columns: string;
  declare index: Index;
  declare colouring: Colouring | null;
  declare labels: AxisLabels;
  declare zoom: Window | null;
  declare selected: Index | null;
  declare shows: Shows;
  /** Under the pointer, or where the keyboard is. */
  declare protected pointed: Index | null;
  declare protected inspected: Inspected | null;
  declare protected summary: Summary | null;
  /** Colours that serve both values. */
  declare protected common: Colouring | null;

  private difference: ShownValue | null = null;
  private work: Promise<unknown> = Promise.resolve();

  constructor() {
    super();
    this.model = null;
    this.value = null;
    this.compared = null;
    this.reference = null;
    this.rows = '';
    this.columns = '';
    this.index = {};
    this.colouring = null;
    this.labels = {};
    this.zoom = null;
    this.selected = null;
    this.shows = 'value';
    this.pointed = null;
    this.inspected = null;
    this.summary = null;
    this.common = null;
  }

  /** Also waits for the picture, the statistics and the number. */
  protected override async getUpdateComplete(): Promise<boolean> {
    await super.getUpdateComplete();
    await this.work;
    await this.renderRoot.querySelector('hyaline-heatmap')?.updateComplete;
    return super.getUpdateComplete();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const before = changed.get('value');
    if (before && this.value && !haveSameShape(before, this.value) && !changed.has('zoom')) this.zoom = null;
    if (changed.has('value') || changed.has('compared')) {
      const { value, other } = this;
      this.difference = value && other && differenceOf(value, other);
      if (!other) this.shows = 'value';
    }
  }

  protected override updated(changed: PropertyValues): void {
    const has = (...names: string[]) => names.some((name) => changed.has(name));
    const work: Promise<void>[] = [];
    if (has('value')) work.push(this.summarize());
    if (has('value', 'compared')) work.push(this.findColours());
    if (has('value', 'compared', 'reference', 'selected', 'pointed', 'labels')) work.push(this.inspect());
    if (work.length > 0) this.work = Promise.all([this.work, ...work]);
  }

  /** The compared value, if it can be. */
  private get other(): ShownValue | null {
    const { value, compared } = this;
    return value && compared && haveSameShape(value, compared) ? compared : null;
  }

  // A value that is gone is explained by the heatmap; what is below it stays empty.

  private async summarize(): Promise<void> {
    const { value } = this;
    if (!value) {
      this.summary = null;
      return;
    }
    const summary = await this.quietly(async () => {
      const [statistics, data] = await Promise.all([statisticsOf(value), paintableOf(value)]);
      return { statistics, histogram: await histogramOf(data, statistics) };
    });
    if (value === this.value) this.summary = summary;
  }

  private async findColours(): Promise<void> {
    const { value, other } = this;
    const find = async (a: ShownValue, b: ShownValue) => commonColouring(await statisticsOf(a), await statisticsOf(b));
    const common = value && other && (await this.quietly(() => find(value, other)));
    if (value === this.value && other === this.other) this.common = common;
  }

  private async inspect(): Promise<void> {
    const { value, other, reference, labels } = this;
    const index = this.pointed ?? this.selected;
    const at = value && index && elementOfIndex(value, index);
    if (at === null || !value) {
      this.inspected = null;
      return;
    }
    const inspected = await this.quietly(async (): Promise<Inspected> => {
      const [tensor, beside] = await Promise.all([tensorOf(value), other && tensorOf(other)]);
      const number = numberAt(tensor, at);
      return {
        where: indexText(value, number.index, labels),
        number,
        compared: beside && numberAt(beside, at),
        reference: reference?.[at] ?? null,
      };
    });
    if (value === this.value && other === this.other && index === (this.pointed ?? this.selected)) {
      this.inspected = inspected;
    }
  }

  private async quietly<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch {
      return null;
    }
  }

  /** What the heatmap tells, as numbers of `value`, whichever is in the picture. */
  private async tell(event: CustomEvent<PointedNumber>): Promise<void> {
    event.stopPropagation();
    const { value } = this;
    const { index } = event.detail;
    this.pointed = index;
    if (event.type === 'hyaline-select') this.selected = index;
    const at = value && elementOfIndex(value, index);
    const tensor = value && (await this.quietly(() => tensorOf(value)));
    if (tensor && at !== null) this.emit<PointedNumber>(event.type, numberAt(tensor, at));
  }

  private onView({ detail }: CustomEvent<ShownView>): void {
    const { rows, columns, index, zoom } = detail;
    Object.assign(this, { rows, columns, index, zoom });
  }

  protected override render(): TemplateResult {
    const { value, other, compared } = this;
    const shown = { value, compared: other, difference: this.difference }[this.shows] ?? value;
    const colouring = this.colouring ?? (this.shows === 'difference' ? null : this.common);
    const shape = value?.shape.map((length, i) => `${value.axes[i]} ${length}`).join(' × ');
    const rows = { compared: compared !== null, reference: this.reference !== null };
    return html`
      <div class="head">
        <span class="name">${value?.name}</span> <span class="shape">${shape}</span>
        ${compared ? this.renderChoice() : nothing}
      </div>
      <hyaline-heatmap
        part="heatmap"
        exportparts="plot, controls, foot"
        .model=${this.model}
        .value=${shown}
        .rows=${this.rows}
        .columns=${this.columns}
        .index=${this.index}
        .colouring=${colouring}
        .labels=${this.labels}
        .zoom=${this.zoom}
        .selected=${this.selected}
        @hyaline-point=${this.tell}
        @hyaline-select=${this.tell}
        @hyaline-view=${this.onView}
        @pointerleave=${() => {
          this.pointed = null;
        }}
      ></hyaline-heatmap>
      <div class="details">
        ${renderNumber(this.inspected, rows)}
        <div>
          ${renderStatistics(this.summary?.statistics ?? null)}
          <div class="chart">${this.summary ? renderHistogram(this.summary.histogram) : nothing}</div>
        </div>
      </div>`;
  }

  private renderChoice(): TemplateResult {
    if (!this.other) return html`<span class="wrong">The compared value has another shape.</span>`;
    const choice = (shows: Shows) => html`
      <label>
        <input
          type="radio"
          name="shows"
          .checked=${live(this.shows === shows)}
          @change=${() => {
            this.shows = shows;
          }}
        />
        ${SHOWS[shows]}
      </label>`;
    return html`<fieldset aria-label="In the picture">${(Object.keys(SHOWS) as Shows[]).map(choice)}</fieldset>`;
  }
}

define('hyaline-value', HyalineValue);

declare global {
  interface HTMLElementTagNameMap {
    'hyaline-value': HyalineValue;
  }
}
