// Weights rounded to another number format, in place, and put back. The values of a run are rounded by `round` (interventions.ts).
import type { ModelConfig, WeightSpec } from '../engine/config.ts';
import type { Runtime } from '../engine/runtime.ts';
import { packWeight, unpackWeight } from '../engine/weights.ts';
import { checkFormat, largestOf, type NumberFormat, roundGroups } from '../kernels/formats.ts';
import { selectWeights, type WeightNames } from './weights.ts';

/** What rounding did to one weight. */
export interface RoundedWeight {
  readonly name: string;
  readonly elements: number;
  /** Elements that the format does not hold exactly. */
  readonly changed: number;
  /** Of these, elements beyond the format's largest finite number, which became it. */
  readonly saturated: number;
}

/** A weight in GPU order as it was. */
interface Original {
  readonly name: string;
  readonly before: Float32Array<ArrayBuffer>;
}

/** And as it becomes. */
interface Change extends Original {
  readonly after: Float32Array<ArrayBuffer>;
}

/** Weights that are rounded until `restore()`; made by `model.roundWeights`. */
export class RoundedWeights {
  readonly format: NumberFormat;
  /** In forward order. Absent biases are not among them. */
  readonly weights: readonly RoundedWeight[];
  private readonly putBack: (which: RoundedWeights) => void;

  /** @internal */
  constructor(format: NumberFormat, weights: readonly RoundedWeight[], putBack: (which: RoundedWeights) => void) {
    this.format = format;
    this.weights = weights;
    this.putBack = putBack;
  }

  /**
   * Puts the bits back that were there before, for every run from now on; the second time it does nothing.
   * @throws Error if one of the weights has been rounded once more and not restored since
   */
  restore(): void {
    this.putBack(this);
  }

  [Symbol.dispose](): void {
    this.restore();
  }
}

/** The roundings of one model's weights. */
export class WeightRoundings {
  private readonly runtime: Runtime;
  private readonly config: ModelConfig;
  /** What has not been restored, oldest first. */
  private readonly active = new Map<RoundedWeights, readonly Original[]>();
  private isBusy = false;

  constructor(runtime: Runtime, config: ModelConfig) {
    this.runtime = runtime;
    this.config = config;
  }

  /** `model.roundWeights`. Everything is computed before anything is written. */
  async round(
    where: WeightNames,
    format: NumberFormat,
    { signal }: { readonly signal?: AbortSignal },
  ): Promise<RoundedWeights> {
    checkFormat('weights', format);
    const specs = selectWeights(this.config, where);
    if (specs.length === 0) throw new Error('weights: the predicate matched no weight, so nothing would be rounded.');
    for (const { name } of specs) checkRoundable(name, format, this.runtime);
    if (this.isBusy) throw new Error('weights: they are being rounded already. Wait for that first.');
    this.isBusy = true;
    try {
      const weights: RoundedWeight[] = [];
      const changes: Change[] = [];
      for (const spec of specs) {
        signal?.throwIfAborted();
        const rounded = await this.rounded(spec, format);
        if (rounded) weights.push(rounded.report);
        if (rounded) changes.push(rounded.change);
      }
      signal?.throwIfAborted();
      await this.write(changes);
      const result = new RoundedWeights(format, weights, (which) => this.restore(which));
      this.active.set(
        result,
        changes.map(({ name, before }) => ({ name, before })),
      );
      return result;
    } finally {
      this.isBusy = false;
    }
  }

  private async rounded(spec: WeightSpec, format: NumberFormat) {
    const { name } = spec;
    const layout = this.runtime.weight(name)?.layout;
    const before = await this.runtime.readWeight(name);
    if (!layout || !before) return null;
    const data = unpackWeight(spec, before, layout);
    const after = roundGroups(format, data, channelOf(spec));
    const largest = largestOf(format) ?? Number.POSITIVE_INFINITY;
    const report: RoundedWeight = {
      name,
      elements: data.length,
      changed: data.reduce((count, x, i) => count + Number(x !== after[i] && !Number.isNaN(x)), 0),
      saturated: data.reduce((count, x) => count + Number(Math.abs(x) > largest), 0),
    };
    const change: Change = { name, before, after: packWeight(spec, after, layout) };
    return { report, change };
  }

  private async write(changes: readonly Change[]): Promise<void> {
    const { runtime } = this;
    try {
      await runtime.memory.scoped('rounding weights', () => {
        for (const { name, after } of changes) runtime.writeWeight(name, after);
      });
    } catch (error) {
      for (const { name, before } of changes) runtime.writeWeight(name, before);
      throw error;
    }
  }

  private restore(which: RoundedWeights): void {
    const originals = this.active.get(which);
    if (!originals) return;
    if (this.isBusy) throw new Error('weights: they are being rounded just now. Wait for that, then restore.');
    const all = [...this.active];
    const names = new Set(originals.map(({ name }) => name));
    for (const [later, laterOriginals] of all.slice(all.findIndex(([rounded]) => rounded === which) + 1)) {
      const shared = laterOriginals.find(({ name }) => names.has(name));
      if (!shared) continue;
      throw new Error(`weights: ${shared.name} has been rounded to ${later.format} since. Restore that first.`);
    }
    for (const { name, before } of originals) this.runtime.writeWeight(name, before);
    this.active.delete(which);
  }
}

/** @throws Error where the rounded numbers would be rounded once more, to what the weight is stored in */
export function checkRoundable(name: string, format: NumberFormat, runtime: Runtime): void {
  const stored = runtime.weight(name)?.layout.format ?? 'f32';
  if (stored === 'f32') return;
  throw new Error(
    `weights: ${name} is stored as ${stored}, so it cannot be rounded to ${format}. Load the model with weights 'f32'.`,
  );
}

/** By index in TransformerLens's layout: the output channel, whose numbers share a scale in int8. */
function channelOf({ name, shape }: WeightSpec): (index: number) => number {
  const last = shape[shape.length - 1];
  if (/\.W_[QKV]$/.test(name)) {
    const perHead = shape[1] * last;
    return (index) => Math.floor(index / perHead) * last + (index % last);
  }
  if (/\.W_(O|in|gate|out|U)$/.test(name)) return (index) => index % last;
  // What a token or a position gets; for a tied unembedding also what makes one logit.
  if (/\.W_(E|pos)$/.test(name)) return (index) => Math.floor(index / last);
  return () => 0;
}
