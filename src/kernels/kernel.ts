// What a kernel is, and what it is held to: plain data and pure functions. The plan reads a kernel to allocate, bind and dispatch;
// tests read it to make inputs, and its truth to compare. It never touches a GPUDevice.
import { type Arithmetic, functionsSource, type ScalarFunction } from './prelude.ts';
import { type MatrixBinding, matrixAccess, storedElement } from './weight_access.ts';
import type { MatrixStorage } from './weight_formats.ts';

/**
 * The order of every long sum, part of every kernel's meaning: terms are added in sequence within segments of 8, segment sums in
 * sequence within blocks of 64 (in the output projection: within heads), block sums in sequence. However a sum is tiled or
 * shared out, these are the additions. Blocks are what invocations can share; short segments keep rounding errors small:
 * about √(8 + 8 + n/64) units instead of √n.
 */
export const SEGMENT = 8;
export const BLOCK = 64;

/** What a masked attention score holds on the GPU, where infinities may be assumed away: the lowest float32. */
export const MASKED = -3.4028234663852886e38;

/** Sizes by axis label. Those in `RUN_AXES` belong to a run; every other axis is fixed by the model. */
export type Dims = Readonly<Record<string, number>>;

/** Settings of one use of a kernel that change its WGSL (an activation's name, eps, a scale, …). */
export type Options = Readonly<Record<string, number | string | boolean>>;

export type Role = 'input' | 'weight' | 'output' | 'scratch';

/** Whether a kernel writes a binding: an output, or a scratch buffer, of which nobody reads what it holds afterwards. */
export function isWritable({ role }: Pick<Binding, 'role'>): boolean {
  return role === 'output' || role === 'scratch';
}

/** One storage binding: the declaration that drives WGSL, allocation, bind groups, errors and generated test inputs. */
export interface Binding {
  readonly name: string;
  readonly role: Role;
  /** Axis labels, outermost first; sizes come from `Dims`. */
  readonly shape: readonly string[];
  readonly element: 'f32' | 'vec4f' | 'u32';
}

/** A binding that is read as vec4f where its rows are whole vec4, and as f32 otherwise: the last axis is then `<axis>_vec4`. */
export function vectorizable(name: string, role: Role, shape: readonly string[], rowLength: number): Binding {
  if (rowLength % 4 !== 0) return { name, role, shape, element: 'f32' };
  return { name, role, shape: [...shape.slice(0, -1), `${shape.at(-1)}_vec4`], element: 'vec4f' };
}

/** One use of a kernel: its sizes, its options, and which of its bindings are present. */
export interface Variant {
  readonly dims: Dims;
  readonly options: Options;
  readonly arithmetic: Arithmetic;
  /** Present bindings. An absent bias is zero; an absent output is computed but not stored. */
  readonly has: (binding: string) => boolean;
  /** How matrices are stored, by binding; one that is not here is float32. */
  readonly matrices?: Readonly<Record<string, MatrixStorage>>;
}

/** How a binding of this variant is stored. */
export function storageOf({ matrices }: Variant, binding: string): MatrixStorage {
  return matrices?.[binding] ?? { format: 'f32', summed: 'rows' };
}

/** Float64 arrays by binding name. */
export type Arrays = Readonly<Record<string, Float64Array>>;

/** Sizes of a matrix product: C[rows, columns] = A·B for each of `groups`, with sums over `depth` terms. */
export interface ProductSizes {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly groups: number;
  /** How B lies: `kn` with columns side by side, `nk` with the summed axis side by side. */
  readonly layout: 'kn' | 'nk';
  /** B is a weight: no size but the number of rows depends on the run. */
  readonly hasWeights: boolean;
  /** Columns come in pairs of vec4 that are stored together (`ColumnPairs`). */
  readonly hasPairs?: boolean;
}

export interface Kernel {
  /** The word that also names the file, the WGSL label, the test and the benchmark. */
  readonly name: string;
  /** Every binding it can have, in binding order. Binding 0 of the group is the run's uniforms. */
  readonly bindings: (dims: Dims) => readonly Binding[];
  readonly functions: (options: Options) => readonly ScalarFunction[];
  /**
   * WGSL after the declarations: functions of its own and `main`. Matrices of weights are read by `load_<binding>(i)`, which
   * `kernelSource` writes; i counts elements of the binding.
   */
  readonly wgsl: (variant: Variant) => string;
  readonly workgroups: (dims: Dims, options: Options) => readonly [number, number, number];
  /** Of a kernel that is a matrix product: its sizes, by which a tiling is chosen. It takes the option `tiling` (tiling.ts). */
  readonly product?: (dims: Dims, options: Options) => ProductSizes;
}

/**
 * What a kernel is held to. Its file exports it beside the kernel, as `<kernel>Truth`, and not as a part of it: tests compare with it,
 * and what is bundled for a page has none of it.
 */
export interface KernelTruth {
  /** What the kernel computes in float64, plainly; returns every output. */
  readonly reference: (inputs: Arrays, dims: Dims, options: Options) => Record<string, Float64Array>;
  /**
   * Bound on |float32 − float64| per output element given exact float32 inputs, as `{ [output]: bounds }`.
   * u = 2⁻²⁴; the derivation stands beside each kernel.
   */
  readonly tolerance: (inputs: Arrays, dims: Dims, options: Options) => Record<string, Float64Array>;
}

/** Unit roundoff of float32. */
export const U = 2 ** -24;

/**
 * Axes that each run chooses: rows, new positions per row, positions that can be looked at (`keys`: those in a key-value cache
 * and the new ones), rows of keys from one row of the batch to the next (`key_stride`: the cache's capacity), and positions of which
 * logits are computed (`outputs`: all new ones, or one). Without a cache `keys` and `key_stride` are `pos`.
 */
export const RUN_AXES = ['batch', 'pos', 'keys', 'key_stride', 'outputs'] as const;

/** Uniforms of a run, the same for all of its dispatches: 32 bytes. `zero` is 0: what no compiler can know. */
export const RUN_UNIFORMS = [...RUN_AXES, 'zero', 'reserved_0', 'reserved_1'] as const;

/** The contents of the uniform buffer. */
export function runUniforms(run: Readonly<Record<(typeof RUN_AXES)[number], number>>): Uint32Array<ArrayBuffer> {
  const uniforms = new Uint32Array(RUN_UNIFORMS.length);
  RUN_AXES.forEach((axis, i) => {
    uniforms[i] = run[axis];
  });
  return uniforms;
}

/** Their declaration in WGSL. */
export const RUN_STRUCT = `struct Run { ${RUN_UNIFORMS.map((name) => `${name}: u32`).join(', ')} }
@group(0) @binding(0) var<uniform> run: Run;`;

/** The bindings of a variant that are present, in order: entry i is `@binding(i + 1)`. */
export function presentBindings(kernel: Kernel, variant: Variant): Binding[] {
  return kernel.bindings(variant.dims).filter(({ name, role }) => role === 'scratch' || variant.has(name));
}

/** A binding that the kernel's text reads by `load_<name>(i)`, with its last axis as columns; null for another. */
function matrixBinding({ name, role, element, shape }: Binding, dims: Dims, text: string): MatrixBinding | null {
  if (isWritable({ role }) || element === 'u32' || !new RegExp(`\\b(load|scaled)_${name}\\(`).test(text)) return null;
  const [columns, ...rows] = shape.map((axis) => dims[axis]).reverse();
  const rowStride = columns * (element === 'vec4f' ? 4 : 1);
  return { name, element, rows: rows.reduce((a, b) => a * b, 1), rowStride };
}

/**
 * The final WGSL of one variant, as it is compiled: uniforms, bindings with their shapes, model sizes as constants,
 * the scalar functions, what reads matrices, then the kernel's own text.
 */
export function kernelSource(kernel: Kernel, variant: Variant): string {
  const bindings = presentBindings(kernel, variant);
  const declarations = bindings.map((binding, index) => {
    const access = isWritable(binding) ? 'read_write' : 'read';
    const storage = storageOf(variant, binding.name);
    const element = binding.element === 'u32' ? 'u32' : storedElement(binding.element, storage);
    const format = storage.format === 'f32' ? '' : ` in ${storage.format}`;
    return `@group(0) @binding(${index + 1}) var<storage, ${access}> ${binding.name}: array<${element}>; // [${binding.shape.join(', ')}]${format}`;
  });
  const text = kernel.wgsl(variant).trim();
  const matrices = bindings.flatMap((declared) => {
    const binding = matrixBinding(declared, variant.dims, text);
    return binding ? [{ binding, storage: storageOf(variant, declared.name) }] : [];
  });
  const constants = Object.entries(variant.dims)
    .filter(([axis]) => !(RUN_AXES as readonly string[]).includes(axis) && new RegExp(`\\b${axis}\\b`).test(text))
    .map(([axis, size]) => `const ${axis} = ${size}u;`);
  return [
    `// ${kernel.name}`,
    RUN_STRUCT,
    declarations.join('\n'),
    constants.join('\n'),
    functionsSource(kernel.functions(variant.options), variant.arithmetic),
    ...(matrices.length > 0 ? [matrixAccess(matrices, variant.arithmetic)] : []),
    text,
  ]
    .join('\n\n')
    .concat('\n');
}

/** Number of elements of a binding. */
export function elementCount(binding: Binding, dims: Dims): number {
  return binding.shape.reduce((count, axis) => count * dims[axis], 1);
}

/** A float32 constant in WGSL that reads back as exactly that float32. */
export function wgslFloat(value: number): string {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

const MAX_WORKGROUPS = 65535;

/** Workgroups for `count` invocations in one line, folded into lines of equal length where one dimension does not reach. */
export function linearWorkgroups(count: number, size: number): [number, number, number] {
  const groups = Math.ceil(count / size);
  const y = Math.max(Math.ceil(groups / MAX_WORKGROUPS), 1);
  return [Math.ceil(groups / y), y, 1];
}

/** WGSL for the index that belongs to `linearWorkgroups`. */
export const LINEAR_INDEX = /* wgsl */ `
fn linear_index(workgroup: vec3u, workgroups: vec3u, local: u32, size: u32) -> u32 {
  return (workgroup.y * workgroups.x + workgroup.x) * size + local;
}
`;

/** γ_n = n·u / (1 − n·u): n roundings change a sum of terms by at most γ_n·Σ|terms| (Higham 2002, §3.1). */
export function gamma(roundings: number): number {
  return (roundings * U) / (1 - roundings * U);
}

/** Most additions that one term of a sum of this length passes through in the fixed order. */
export function sumRoundings(length: number, block: number = BLOCK): number {
  const inBlock = Math.min(length, block);
  return Math.min(inBlock, SEGMENT) + Math.ceil(inBlock / SEGMENT) + Math.ceil(length / block);
}

/** The same for a dot product: its product too. */
export function dotRoundings(length: number, block: number = BLOCK): number {
  return 1 + sumRoundings(length, block);
}

/** The smallest normal float32. WGSL lets adapters take whatever is below it as 0, be it an input or a result. */
export const SMALLEST_NORMAL = 2 ** -126;

/** Numbers that no kernel has stored, as reproducible ones would (`stored` in prelude.ts): magnitudes up to 2⁻¹²⁶ and −0 become 0. */
export function asStored(data: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return data.map((x) => (Math.abs(x) <= SMALLEST_NORMAL ? 0 : x));
}

/**
 * What that can cost a dot product, its bias included: per term a factor of each kind, which the other factor multiplies, its
 * product and its addition; for the bias itself and its addition. Nothing but for numbers about as small as that.
 */
export function dotUnderflow(length: number, a: Float64Array, b: Float64Array): number {
  const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return length * SMALLEST_NORMAL * (largest(a) + largest(b) + 4);
}
