// How kernels read a matrix in WGSL, whatever it is stored in (weight_formats.ts has the layouts): `load_<name>(i)`, written for one
// binding of one variant. i counts elements of the binding as the kernel declares it, vec4f or f32.
// A quantised matrix also has `scale_<name>(i)` and `scaled_<name>(i, scale)`, which `load_<name>(i)` is made of: elements that are known
// to lie in one block need its scale once.
//
// Halves are decoded in integers: WGSL lets `unpack2x16float` take f16's subnormal numbers as 0, and many small weights and scales are.
// Only fast numerics let it, for f16 matrices. code · scale is exact; as a product that feeds others it has the barrier that
// `product` has, so that no compiler makes (x · code) · scale of it.
import type { Arithmetic } from './prelude.ts';
import { elementWords, isQuantised, type MatrixStorage, SCALE_BLOCK, type StoredMatrix } from './weight_formats.ts';

/** What a kernel declares: a binding's name, what it reads at once, and the matrix in elements. */
export interface MatrixBinding {
  readonly name: string;
  readonly element: 'f32' | 'vec4f';
  readonly rows: number;
  readonly rowStride: number;
}

/** The type of the binding's array elements in WGSL. */
export function storedElement(element: 'f32' | 'vec4f', { format }: MatrixStorage): string {
  if (format === 'f32') return element;
  return format === 'f16' && element === 'vec4f' ? 'vec2u' : 'u32';
}

const HALVES = /* wgsl */ `
fn half(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = bitcast<f32>((magnitude << 13u) + 0x38000000u);
  let value = select(normal, f32(magnitude) * 0x1p-24f, magnitude < 0x0400u);
  return bitcast<f32>(bitcast<u32>(value) | ((bits & 0x8000u) << 16u));
}
fn halves4(words: vec2u) -> vec4f {
  return vec4f(half(words.x), half(words.x >> 16u), half(words.y), half(words.y >> 16u));
}`;

/** WGSL of the functions that read these matrices. */
export function matrixAccess(
  bindings: readonly { readonly binding: MatrixBinding; readonly storage: MatrixStorage }[],
  arithmetic: Arithmetic,
): string {
  const text = bindings.map(({ binding, storage }) => access(binding, storage, arithmetic)).join('\n');
  return /\bhal(f|ves4)\(/.test(text) ? `${HALVES.trim()}\n${text}` : text;
}

function access(binding: MatrixBinding, storage: MatrixStorage, arithmetic: Arithmetic): string {
  const { name, element } = binding;
  const { format, summed } = storage;
  if (format === 'f32') return load(binding, `${name}[i]`);
  if (!isQuantised(format)) return load(binding, arithmetic === 'fast' ? unpacked(binding) : halves(binding));
  const scaleType = element === 'vec4f' && summed === 'rows' ? 'vec4f' : 'f32';
  const exact = `${codes(binding, format)} * scale`;
  const [bits, zero] = element === 'vec4f' ? ['vec4u', 'vec4u(run.zero)'] : ['u32', 'run.zero'];
  const value = arithmetic === 'fast' ? exact : `bitcast<${element}>(bitcast<${bits}>(${exact}) ^ ${zero})`;
  return [
    `fn scale_${name}(i: u32) -> ${scaleType} { ${scale(binding, storage)} }`,
    `fn scaled_${name}(i: u32, scale: ${scaleType}) -> ${element} { return ${value}; }`,
    load(binding, `scaled_${name}(i, scale_${name}(i))`),
  ].join('\n');
}

function load({ name, element }: MatrixBinding, value: string): string {
  return `fn load_${name}(i: u32) -> ${element} { return ${value}; }`;
}

function unpacked({ name, element }: MatrixBinding): string {
  if (element === 'f32') return `unpack2x16float(${name}[i >> 1u] >> (16u * (i & 1u))).x`;
  return `vec4f(unpack2x16float(${name}[i].x), unpack2x16float(${name}[i].y))`;
}

function halves({ name, element }: MatrixBinding): string {
  return element === 'f32' ? `half(${name}[i >> 1u] >> (16u * (i & 1u)))` : `halves4(${name}[i])`;
}

/** The codes of element i: shifted to the upper end of an i32 and, with their sign, down again. */
function codes({ name, element }: MatrixBinding, format: 'q8' | 'q4'): string {
  if (element === 'f32') {
    return format === 'q8'
      ? `f32(bitcast<i32>(${name}[i >> 2u] << (24u - 8u * (i & 3u))) >> 24u)`
      : `f32(bitcast<i32>(${name}[i >> 3u] << (28u - 4u * (i & 7u))) >> 28u)`;
  }
  return format === 'q8'
    ? `vec4f(bitcast<vec4i>(vec4u(${name}[i]) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u))`
    : `vec4f(bitcast<vec4i>(vec4u(${name}[i >> 1u] >> (16u * (i & 1u))) << vec4u(28u, 24u, 20u, 16u)) >> vec4u(28u))`;
}

/** Statements that return the scale of element i; for a vec4f across columns, of each of the four. */
function scale({ name, element, rows, rowStride }: MatrixBinding, storage: MatrixStorage): string {
  const matrix: StoredMatrix = { ...storage, rows, rowStride };
  const first = elementWords(matrix);
  const width = element === 'vec4f' ? 4 : 1;
  const row = rowStride / width; // elements of the binding in a row
  if (storage.summed === 'columns') {
    const blocks = Math.ceil(rowStride / SCALE_BLOCK);
    const s = `let s = (i / ${row}u) * ${blocks}u + (i % ${row}u) / ${SCALE_BLOCK / width}u;`;
    return `${s} return half(${name}[${first}u + (s >> 1u)] >> (16u * (s & 1u)));`;
  }
  const s = `(i / ${SCALE_BLOCK * row}u) * ${row}u + i % ${row}u`;
  if (width === 1) return `let s = ${s}; return half(${name}[${first}u + (s >> 1u)] >> (16u * (s & 1u)));`;
  return `let w = ${first}u + 2u * (${s}); return halves4(vec2u(${name}[w], ${name}[w + 1u]));`;
}
