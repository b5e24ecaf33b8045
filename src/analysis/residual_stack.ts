// A stack of components of the residual stream: what decompositions give and attributions take. The vectors stay where the run
// left them on the GPU; `read` and `project` move results only. Which components: one file per decomposition. How they are
// computed: stack_dispatch.ts.
import type { ActivationCache, CachedValue } from '../hooks/activation_cache.ts';
import type { Model } from '../hooks/model.ts';
import { type Selection, selectedIndices } from '../hooks/selection.ts';
import type { Tensor } from '../hooks/tensor.ts';
import type { Numerics } from '../kernels/prelude.ts';
import { computePart, type Directions, type StackNorm, type StackOutput, type StackPart } from './stack_dispatch.ts';

/** Selected rows and positions of a run; the axes stay, so a single one leaves an axis of 1. */
export type RowSelection = Pick<Selection, 'batch' | 'pos'>;

interface Parts {
  readonly model: Model;
  readonly cache: ActivationCache;
  readonly parts: readonly StackPart[];
  readonly selection: RowSelection;
  /** A last component: this value minus all others. */
  readonly remainderOf?: CachedValue;
  readonly norm?: StackNorm;
}

/**
 * Components of the residual stream, [component, batch, pos, d_model], not copied: valid until the cache is destroyed.
 * @example
 * const stack = decomposeResid(model, cache, { pos: -1 });
 * stack.labels; // ['embed', 'pos_embed', '0_attn_out', …]
 * const { data, shape } = await stack.read(); // [component, batch, 1, d_model]
 */
export class ResidualStack {
  readonly model: Model;
  readonly cache: ActivationCache;
  /** A name for each component, as TransformerLens writes them. */
  readonly labels: readonly string[];
  /** [component, batch, pos, d_model] */
  readonly shape: readonly number[];
  /** @internal */
  readonly norm: StackNorm;
  private readonly given: Parts;
  /** Row-major indices into [batch, pos] of the run. */
  private readonly rows: Uint32Array<ArrayBuffer>;
  private readonly sourceRows: number;

  /** @internal Made by `decomposeResid` and its like. @throws Error where the cache is another model's, or nothing is selected */
  constructor(given: Parts) {
    const { model, cache, parts, selection, remainderOf } = given;
    if (cache.runtime !== model.runtime) {
      throw new Error('analysis: this cache belongs to another model. Give the model that it is a cache of.');
    }
    this.given = given;
    this.model = model;
    this.cache = cache;
    this.norm = given.norm ?? { kind: 'none' };
    this.labels = [...parts.flatMap(({ labels }) => labels), ...(remainderOf ? ['remainder'] : [])];
    const [batch, pos] = streamOf(given).shape;
    const place = { name: 'the residual stream', axes: ['batch', 'pos'], shape: [batch, pos], masked: false };
    const [rows, positions] = selectedIndices(place, { batch: selection.batch, pos: selection.pos });
    if (rows.length * positions.length === 0) throw new Error('analysis: no position is selected.');
    this.sourceRows = batch * pos;
    this.rows = Uint32Array.from(rows.flatMap((row) => positions.map((position) => row * pos + position)));
    this.shape = [this.labels.length, rows.length, positions.length, model.config.dModel];
  }

  /** @internal Those of the run that the components are of. */
  get numerics(): Numerics {
    return streamOf(this.given).numerics;
  }

  /** @internal The same components under a norm. */
  withNorm(norm: StackNorm): ResidualStack {
    return new ResidualStack({ ...this.given, norm });
  }

  /** The vectors, [component, batch, pos, d_model]. Copies all of them: for many neurons, `project` instead. */
  async read(): Promise<Tensor> {
    const data = await this.collect('vectors');
    return { name: 'residual stack', data, shape: this.shape, axes: ['component', 'batch', 'pos', 'd_model'] };
  }

  /**
   * Dot products with a direction, [component, batch, pos]: only they are copied. Allocates and frees what it needs.
   * @param direction d_model numbers
   * @example
   * const onto = await stackHeadResults(model, cache, { applyLn: true }).project(direction);
   */
  async project(direction: ArrayLike<number>): Promise<Tensor> {
    const { dModel } = this.model.config;
    if (direction.length !== dModel) {
      throw new Error(`project: expected a direction of ${dModel} elements (d_model), got ${direction.length}.`);
    }
    const { memory } = this.model.runtime;
    return memory.withStorage('direction', Float32Array.from(direction), (buffer) =>
      this.projectOnto({ direction: buffer, rows: 1 }),
    );
  }

  /** @internal `project` for directions on the GPU: one for all, or one for each selected row and position. */
  async projectOnto(directions: Directions): Promise<Tensor> {
    const data = await this.collect('projected', directions);
    return { name: 'projections', data, shape: this.shape.slice(0, 3), axes: ['component', 'batch', 'pos'] };
  }

  /** One output of all components. All parts at once: their waits overlap. */
  private async collect(output: StackOutput, directions?: Directions): Promise<Float32Array<ArrayBuffer>> {
    const { given, model, norm, rows, sourceRows } = this;
    const { parts, remainderOf } = given;
    const rowWidth = rows.length * (output === 'vectors' ? model.config.dModel : 1);
    const result = new Float32Array(this.labels.length * rowWidth);
    const remainder: StackPart[] = remainderOf
      ? [{ labels: ['remainder'], elements: [0], source: { kind: 'value', value: remainderOf } }]
      : [];
    const pieces = [...parts, ...remainder].flatMap((part) => this.pieces(part));
    const how = norm.kind === 'frozen' ? { ...norm, scale: norm.scale.buffer } : norm;
    // Every value of the cache is of the same run: it stays until all is computed, even if the cache is destroyed meanwhile.
    const { numerics } = this;
    const release = streamOf(given).hold();
    const computed = model.runtime.memory.withStorage('rows', rows, async (rowBuffer) => {
      let at = 0;
      const reads = pieces.map(async (part) => {
        const begin = at * rowWidth;
        at += part.elements.length;
        const use = { numerics, output, norm: how, directions, rows: rowBuffer, rowCount: rows.length, sourceRows };
        result.set(await computePart(model, part, use), begin);
      });
      // The buffers are in use until all have ended, also when one fails.
      for (const outcome of await Promise.allSettled(reads)) if (outcome.status === 'rejected') throw outcome.reason;
    });
    await computed.finally(release);
    if (remainderOf) subtractOthers(result, rowWidth);
    return result;
  }

  /** A part in pieces whose vectors fit one binding. */
  private pieces(part: StackPart): StackPart[] {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.model.device.limits;
    const bytes = 4 * this.rows.length * this.model.config.dModel;
    const most = Math.max(1, Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / bytes));
    return Array.from({ length: Math.ceil(part.elements.length / most) }, (_, i) => ({
      ...part,
      elements: part.elements.slice(i * most, (i + 1) * most),
    }));
  }
}

/** A value of the stack with axes batch and pos. */
function streamOf({ parts, remainderOf, cache }: Parts): CachedValue {
  for (const { source } of parts) {
    if (source.kind === 'value') return source.value;
    if (source.kind === 'weighted') return source.factor;
  }
  return remainderOf ?? cache.get('hook_embed');
}

/** The last component becomes what the others leave of it, in float64. */
function subtractOthers(components: Float32Array, width: number): void {
  const last = components.length - width;
  for (let i = 0; i < width; i++) {
    let rest = components[last + i];
    for (let at = i; at < last; at += width) rest -= components[at];
    components[last + i] = rest;
  }
}
