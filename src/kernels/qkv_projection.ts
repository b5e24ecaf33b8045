// qkv_projection: queries, keys and values of all heads in one dispatch, q | k | v = x · [W_Q | W_K | W_V] + [b_Q | b_K | b_V].
// It stands for three uses of `matmul`, with their bits; and, where the model turns queries and keys by their position (`half` > 0), for
// two of `rotary`; and, where a key-value cache takes the keys or the values, for `cache_append`: then `k_cache` or `v_cache` is bound.
// The three matrices lie one behind the other in one buffer, each with columns side by side, padded to whole vec4: k_first and
// v_first say at which vec4 keys' and values' begin, and at which element of b their biases.
// With rotary an invocation has the two columns that are turned together: i and i + half of a head, or neighbours that pass through.
// Order: segments and blocks along d_in (kernel.ts), then the bias, then as in rotary.ts.
// Cost: 2·d_in flops per element; x is read once per tile of columns.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { cacheAppendTruth } from './cache_append.ts';
import {
  type Arrays,
  BLOCK,
  type Dims,
  type Kernel,
  type KernelTruth,
  type ProductSizes,
  SEGMENT,
  vectorizable,
} from './kernel.ts';
import { multiply, productBound } from './matmul.ts';
import { rotaryTruth } from './rotary.ts';
import { productMain, productWorkgroups, tilingOf } from './tiling.ts';

const sizes = (dims: Dims): ProductSizes => ({
  rows: dims.batch * dims.pos,
  columns: dims.n_heads * dims.d_head,
  depth: dims.d_in,
  groups: 3,
  layout: 'kn',
  hasWeights: true,
  hasPairs: dims.half > 0,
});

/** Whether rotary pairs of this head size are whole vec4, as a tile needs them. */
export function hasWholePairs(dHead: number, half: number): boolean {
  return dHead % 8 === 0 && half % 4 === 0;
}

export const qkvProjection: Kernel = {
  name: 'qkv_projection',
  bindings: ({ d_in }) => [
    vectorizable('x', 'input', ['batch', 'pos', 'd_in'], d_in),
    { name: 'W', role: 'weight', shape: ['qkv_vec4'], element: 'vec4f' },
    { name: 'b', role: 'weight', shape: ['qkv_biases'], element: 'f32' },
    { name: 'first_pos', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'cos', role: 'weight', shape: ['n_ctx', 'half'], element: 'f32' },
    { name: 'sin', role: 'weight', shape: ['n_ctx', 'half'], element: 'f32' },
    { name: 'q', role: 'output', shape: ['batch', 'pos', 'n_heads', 'd_head'], element: 'f32' },
    { name: 'k', role: 'output', shape: ['batch', 'pos', 'n_key_value_heads', 'd_head'], element: 'f32' },
    { name: 'k_cache', role: 'output', shape: ['batch', 'key_stride', 'n_key_value_heads', 'd_head'], element: 'f32' },
    { name: 'v', role: 'output', shape: ['batch', 'pos', 'n_key_value_heads', 'd_head'], element: 'f32' },
    { name: 'v_cache', role: 'output', shape: ['batch', 'key_stride', 'n_key_value_heads', 'd_head'], element: 'f32' },
  ],
  functions: () => [],
  wgsl: ({ dims, options, has }) => wgsl`
const q_width = n_heads * d_head;
const kv_width = n_key_value_heads * d_head;
const Q = 0u;
const K = 1u;
fn row_count() -> u32 { return run.batch * run.pos; }
fn column_count(part: u32) -> u32 { return select(kv_width, q_width, part == Q); }
fn depth() -> u32 { return d_in; }
fn a_base(part: u32, row: u32) -> u32 { return row * ${dims.d_in % 4 === 0 ? 'd_in / 4u' : 'd_in'}; }
fn b_base(part: u32) -> u32 { return select(select(v_first, k_first, part == K), 0u, part == Q); }
fn b_stride_k(part: u32) -> u32 { return (column_count(part) + 3u) / 4u; }

fn with_bias(part: u32, column: u32, value: f32) -> f32 {
  #if ${has('b')}
  return plus(value, b[select(select(v_bias, k_bias, part == K), 0u, part == Q) + column]);
  #else
  return value;
  #endif
}

#if ${has('first_pos')}
fn position_of(row: u32) -> u32 { return first_pos[row / run.pos] + row % run.pos; }
#endif

#if ${has('k_cache') || has('v_cache')}
// Where a row of keys or values goes in the cache: nowhere if it only pads a shorter row and lies behind its end.
fn cache_row(row: u32) -> u32 {
  return select(row / run.pos * run.key_stride + position_of(row), 0xffffffffu, position_of(row) >= run.key_stride);
}
#endif

fn put(part: u32, row: u32, column: u32, value: f32) {
  if (part == Q) {
    q[row * q_width + column] = value;
  } else if (part == K) {
    ${putInto('k', has('k_cache'))}
  } else {
    ${putInto('v', has('v_cache'))}
  }
}
#if ${dims.half > 0}
// Pairs of whole vec4: first those that are turned, then neighbours.
const pairs_of_head = d_head / 8u;
const turned_pairs = half / 4u;
fn pair_column(pair: u32, side: u32) -> u32 {
  let within = pair % pairs_of_head;
  let turned = within * 4u + side * half;
  let passed = 2u * half + (within - turned_pairs) * 8u + side * 4u;
  return pair / pairs_of_head * d_head + select(passed, turned, within < turned_pairs);
}
fn store_pair(part: u32, row: u32, column: u32, partner: u32, value: f32, partner_value: f32) {
  let low = materialised(with_bias(part, column, value));
  let high = materialised(with_bias(part, partner, partner_value));
  let d = column % d_head;
  if (part > K || d >= half) {
    put(part, row, column, low);
    put(part, row, partner, high);
    return;
  }
  let angle = min(position_of(row), n_ctx - 1u) * half + d;
  put(part, row, column, stored(mul_add(low, cos[angle], -product(high, sin[angle]))));
  put(part, row, partner, stored(mul_add(high, cos[angle], product(low, sin[angle]))));
}
#else
fn store(part: u32, row: u32, column: u32, value: f32) {
  put(part, row, column, stored(with_bias(part, column, value)));
}
#endif
${productMain(tilingOf(options, sizes(dims)), {
  block: BLOCK,
  wholeSegments: dims.d_in % SEGMENT === 0,
  a: { name: 'x', vectors: dims.d_in % 4 === 0 },
  b: { name: 'W', layout: 'kn', vectors: true, strideOfGroup: true },
  ...(dims.half > 0 && {
    pairs: { count: '(column_count(group) / 8u)', first: (pair, side) => `pair_column(${pair}, ${side}u)` },
  }),
  wholeColumns: (dims.n_heads * dims.d_head) % 4 === 0 && (dims.n_key_value_heads * dims.d_head) % 4 === 0,
  blocksAreValues: false,
  storeBlocks: false,
})}
`,
  workgroups: (dims, options) => productWorkgroups(tilingOf(options, sizes(dims)), sizes(dims)),
  product: sizes,
};

export const qkvProjectionTruth: KernelTruth = {
  reference: (inputs, dims) => ofParts(inputs, dims, (part, partDims) => turned(part, inputs, partDims, multiplyOf)),
  // As matmul; with rotary its errors are turned too, by sines and cosines of at most 1, and rotary's own are added.
  tolerance: (inputs, dims) =>
    ofParts(inputs, dims, (part, partDims) => {
      const bound = productBound(part.operands, partDims);
      if (!part.isTurned) return bound;
      const x = multiplyOf(part.operands, partDims).map((value, i) => Math.abs(value) + bound[i]);
      const angles = { first_pos: inputs.first_pos, cos: inputs.cos, sin: inputs.sin };
      const own = rotaryTruth.tolerance({ x, ...angles }, partDims, {}).out;
      // |cos|·e + |sin|·e': the turn of the errors with nothing cancelled.
      const { half, d_head } = partDims;
      return own.map((error, i) => {
        const d = i % d_head;
        const partner = d < half ? i + half : i - half;
        return error + bound[i] + (d < 2 * half ? bound[partner] : 0);
      });
    }),
};

const putInto = (name: 'k' | 'v', isCached: boolean) =>
  isCached
    ? `let to = cache_row(row); if (to != 0xffffffffu) { ${name}_cache[to * kv_width + column] = value; }`
    : `${name}[row * kv_width + column] = value;`;

interface Part {
  /** x, W and b of one of the three products. */
  readonly operands: Arrays;
  readonly isTurned: boolean;
}

const multiplyOf = (operands: Arrays, dims: Dims) => multiply(operands, dims, (v) => v);

/** The product of one part, turned by the position where it is queries or keys of a model with rotary. */
function turned(part: Part, inputs: Arrays, dims: Dims, product: typeof multiplyOf): Float64Array {
  const x = product(part.operands, dims);
  if (!part.isTurned) return x;
  return rotaryTruth.reference({ x, first_pos: inputs.first_pos, cos: inputs.cos, sin: inputs.sin }, dims, {}).out;
}

/** What `of` makes of each of the three products, as outputs; caches hold nothing but the new rows. */
function ofParts(
  { x, W, b, first_pos }: Arrays,
  dims: Dims,
  of: (part: Part, dims: Dims) => Float64Array,
): Record<string, Float64Array> {
  const { d_in, d_head, n_heads, n_key_value_heads, k_first, v_first, k_bias, v_bias } = dims;
  const part = (heads: number, first: number, bias: number, canTurn: boolean) => {
    const d_out = heads * d_head;
    const d_out_vec4 = Math.ceil(d_out / 4);
    const operands = {
      x,
      W: W.subarray(4 * first, 4 * (first + d_in * d_out_vec4)),
      ...(b && { b: b.subarray(bias, bias + d_out) }),
    };
    const partDims = { ...dims, d_out, d_out_vec4, n_heads: heads };
    return of({ operands, isTurned: canTurn && dims.half > 0 }, partDims);
  };
  const q = part(n_heads, 0, 0, true);
  const k = part(n_key_value_heads, k_first, k_bias, true);
  const v = part(n_key_value_heads, v_first, v_bias, false);
  const cached = (x: Float64Array) => cacheAppendTruth.reference({ x, first_pos }, dims, {}).cache;
  return { q, k, v, ...(first_pos && { k_cache: cached(k), v_cache: cached(v) }) };
}
