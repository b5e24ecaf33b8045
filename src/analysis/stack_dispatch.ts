// How the components of a residual stack are computed: where their vectors lie, and the kernel dispatched on them.
import type { CachedValue } from '../hooks/activation_cache.ts';
import type { Model } from '../hooks/model.ts';
import type { Kernel, Variant } from '../kernels/kernel.ts';
import { norm } from '../kernels/norm.ts';
import type { Numerics } from '../kernels/prelude.ts';
import { residualStack } from '../kernels/residual_stack.ts';
import { writeWeightRows } from './weight_rows.ts';

/** Components that lie together. */
export interface StackPart {
  readonly labels: readonly string[];
  /** Which element of the value or weight each component is: a head, a row of W_out; 0 where there is one. */
  readonly elements: readonly number[];
  /**
   * `value`: [batch, pos, d_model] or [batch, pos, element, d_model]; `weighted`: rows of a weight, each times its neuron;
   * `vector`: the same at every position.
   */
  readonly source:
    | { readonly kind: 'value'; readonly value: CachedValue }
    | { readonly kind: 'weighted'; readonly weight: string; readonly factor: CachedValue }
    | { readonly kind: 'vector'; readonly read: () => Promise<Float32Array<ArrayBuffer>> };
}

/** What a stack has been divided by. `frozen`: a scale of the cache; `final`: the whole final norm, its statistics computed anew. */
export type StackNorm<Scale = CachedValue> =
  | { readonly kind: 'none' }
  | { readonly kind: 'frozen'; readonly centred: boolean; readonly scale: Scale }
  | { readonly kind: 'final' };

/** What vectors are projected onto, on the GPU: one row for all, or one for each selected row and position. */
export interface Directions {
  readonly direction: GPUBuffer;
  readonly minus?: GPUBuffer;
  readonly gain?: GPUBufferBinding;
  readonly rows: number;
}

export type StackOutput = 'vectors' | 'projected';

export interface StackUse {
  /** Those of the run that the components are of. */
  readonly numerics: Numerics;
  readonly output: StackOutput;
  readonly norm: StackNorm<GPUBuffer>;
  readonly directions?: Directions;
  /** Indices of the selected rows among `sourceRows`. */
  readonly rows: GPUBuffer;
  readonly rowCount: number;
  readonly sourceRows: number;
}

/** Where vectors lie; sizes by the kernel's axis labels. */
interface Place {
  readonly buffers: { readonly x: GPUBuffer | GPUBufferBinding; readonly factor?: GPUBuffer };
  readonly sizes: {
    readonly x_elements: number;
    readonly component_stride: number;
    readonly row_stride: number;
    readonly factor_stride: number;
    readonly factor_elements: number;
  };
}

/** A matrix of float32 on the GPU. */
interface MatrixRows {
  readonly buffer: GPUBuffer | GPUBufferBinding;
  readonly rows: number;
  readonly rowStride: number;
}

const UNWEIGHTED = { factor_stride: 1, factor_elements: 1 };

/** One output of the components of a part, on the CPU: [component, row] of vectors or of dot products. */
export async function computePart(model: Model, part: StackPart, use: StackUse): Promise<Float32Array<ArrayBuffer>> {
  const { source } = part;
  if (source.kind === 'weighted') {
    return withRows(model, source.weight, use.numerics, (rows) =>
      computeAt(model, part.elements, weightedPlace(source, rows), use),
    );
  }
  if (source.kind === 'value') return computeAt(model, part.elements, valuePlace(source, model.config.dModel), use);
  const vector = await source.read();
  const sizes = { ...UNWEIGHTED, x_elements: vector.length, component_stride: 0, row_stride: 0 };
  return model.runtime.memory.withStorage('vector', vector, (x) =>
    computeAt(model, part.elements, { buffers: { x }, sizes }, use),
  );
}

/** Runs `f` with the rows of a matrix in float32, and how many elements one is from the next: its own buffer, or one that is freed. */
async function withRows<T>(
  model: Model,
  name: string,
  numerics: Numerics,
  f: (x: MatrixRows) => Promise<T>,
): Promise<T> {
  const weight = model.runtime.weight(name);
  if (!weight) throw new Error(`analysis: this model has no weight ${name}.`);
  const { rows, rowStride, format } = weight.layout;
  if (format === 'f32') return f({ buffer: weight.buffers[0], rows, rowStride });
  const { dModel } = model.config;
  return model.runtime.memory.withStorage(name, 4 * rows * dModel, async (buffer) => {
    const ids = Uint32Array.from({ length: rows }, (_, row) => row);
    await writeWeightRows(model, name, { ids, numerics }, buffer);
    return f({ buffer, rows, rowStride: dModel });
  });
}

function valuePlace({ value }: Extract<StackPart['source'], { kind: 'value' }>, dModel: number): Place {
  const { buffer, shape, elementCount } = value;
  const width = shape.length === 4 ? shape[2] : 1;
  const strides = { component_stride: dModel, row_stride: width * dModel };
  return { buffers: { x: buffer }, sizes: { ...UNWEIGHTED, ...strides, x_elements: elementCount } };
}

function weightedPlace(
  source: Extract<StackPart['source'], { kind: 'weighted' }>,
  { buffer, rows, rowStride }: MatrixRows,
): Place {
  return {
    buffers: { x: buffer, factor: source.factor.buffer },
    sizes: {
      x_elements: rows * rowStride,
      component_stride: rowStride,
      row_stride: 0,
      factor_stride: source.factor.shape[2],
      factor_elements: source.factor.elementCount,
    },
  };
}

async function computeAt(
  model: Model,
  elements: readonly number[],
  place: Place,
  use: StackUse,
): Promise<Float32Array<ArrayBuffer>> {
  if (use.norm.kind === 'final') return computeNormed(model, elements, place, use);
  const { memory } = model.runtime;
  const count = elements.length * use.rowCount * (use.output === 'vectors' ? model.config.dModel : 1);
  return memory.withStorage(use.output, 4 * count, async (out) => {
    await dispatchStack(model, elements, place, use, out);
    return new Float32Array(await memory.read(out, 4 * count));
  });
}

/** Two steps: the vectors as they are, each normed by its own statistics, then read or projected from where they lie now. */
async function computeNormed(
  model: Model,
  elements: readonly number[],
  place: Place,
  use: StackUse,
): Promise<Float32Array<ArrayBuffer>> {
  const { memory } = model.runtime;
  const { dModel } = model.config;
  const count = elements.length * use.rowCount * dModel;
  return memory.withStorage('vectors', 4 * count, async (vectors) => {
    await dispatchStack(model, elements, place, { ...use, output: 'vectors', norm: { kind: 'none' } }, vectors);
    return memory.withStorage('normed vectors', 4 * count, async (normed) => {
      await dispatchFinalNorm(model, use, { vectors, normed, components: elements.length });
      if (use.output === 'vectors') return new Float32Array(await memory.read(normed, 4 * count));
      const inOrder = Array.from({ length: Math.max(elements.length, use.rowCount) }, (_, i) => i);
      const sizes = { ...UNWEIGHTED, x_elements: count, component_stride: use.rowCount * dModel, row_stride: dModel };
      return memory.withStorage('rows', Uint32Array.from(inOrder.slice(0, use.rowCount)), (rows) =>
        computeAt(
          model,
          inOrder.slice(0, elements.length),
          { buffers: { x: normed }, sizes },
          { ...use, rows, norm: { kind: 'none' } },
        ),
      );
    });
  });
}

async function dispatchStack(
  model: Model,
  elements: readonly number[],
  { buffers, sizes }: Place,
  { numerics, output, norm: how, directions, rows, rowCount, sourceRows }: StackUse,
  out: GPUBuffer,
): Promise<void> {
  const { runtime, config } = model;
  const onto = output === 'projected' ? directions : undefined;
  await runtime.memory.withStorage('elements', Uint32Array.from(elements), (elementBuffer) =>
    dispatchPresent(
      model,
      residualStack,
      {
        dims: {
          ...sizes,
          batch: elements.length,
          pos: rowCount,
          d_model: config.dModel,
          source_rows: sourceRows,
          direction_rows: onto?.rows ?? 1,
          direction_stride: (onto?.rows ?? 1) > 1 ? config.dModel : 0,
        },
        options: { centred: how.kind === 'frozen' && how.centred },
        numerics,
      },
      {
        ...buffers,
        elements: elementBuffer,
        rows,
        scale: how.kind === 'frozen' ? how.scale : undefined,
        direction: onto?.direction,
        minus: onto?.minus,
        gain: onto?.gain,
        [output]: out,
      },
    ),
  );
}

async function dispatchFinalNorm(
  model: Model,
  { numerics, rowCount }: StackUse,
  { vectors, normed, components }: { vectors: GPUBuffer; normed: GPUBuffer; components: number },
): Promise<void> {
  const { runtime, config } = model;
  const type = config.finalNormalizationType;
  const isAffine = type === 'LN' || type === 'RMS';
  await dispatchPresent(
    model,
    norm,
    {
      dims: { batch: components, pos: rowCount, d_model: config.dModel, one: 1 },
      options: { centred: type === 'LN' || type === 'LNPre', eps: config.eps },
      numerics,
    },
    {
      x: vectors,
      w: isAffine ? runtime.weight('ln_final.w')?.buffers[0] : undefined,
      b: isAffine ? runtime.weight('ln_final.b')?.buffers[0] : undefined,
      [isAffine ? 'out' : 'normalized']: normed,
    },
  );
}

/** Dispatches a kernel whose absent bindings are those without a buffer. */
async function dispatchPresent(
  { runtime }: Model,
  kernel: Kernel,
  how: Pick<Variant, 'dims' | 'options'> & Pick<StackUse, 'numerics'>,
  buffers: Readonly<Record<string, GPUBuffer | GPUBufferBinding | undefined>>,
): Promise<void> {
  const present: Record<string, GPUBuffer | GPUBufferBinding> = {};
  for (const [name, buffer] of Object.entries(buffers)) if (buffer) present[name] = buffer;
  await runtime.dispatch(kernel, { ...how, has: (binding) => binding in present }, present);
}
