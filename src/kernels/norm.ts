// norm: LayerNorm and RMSNorm over d_model.
//   LN:  mean = Σx / d,  scale = √(Σ(x − mean)² / d + eps),  normalized = (x − mean) / scale,  out = normalized·w + b
//   RMS: mean = 0, the rest the same without b.
// Produces scale [batch, pos, 1], normalized and out [batch, pos, d_model]; each is stored only if somebody wants it, and the
// scale or the normalized value can be given instead of computed (somebody edited it).
// `Pre` forms have no w: their output is `normalized`.
// Two passes (mean, then centred squares), never E[x²] − E[x]²: at mean 1000 the one-pass form loses every digit.
// Order: segments and blocks along d_model (kernel.ts). Many rows have an invocation each; of a few, each has a workgroup, with an
// invocation for each segment. The bits are the same.
// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450; Zhang, Sennrich 2019, arXiv:1910.07467.
// Cost: 4 bytes read (cached for the later passes), 4 to 8 written, about 25 flops per element (the division is ours).
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide, divideTruth } from './functions/divide.ts';
import { squareRoot, squareRootTruth } from './functions/square_root.ts';
import {
  BLOCK,
  type Dims,
  gamma,
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  SEGMENT,
  SMALLEST_NORMAL,
  sumRoundings,
  U,
  type Variant,
  wgslFloat,
} from './kernel.ts';

/** Invocations in a workgroup: of one row, or with a row each. */
const WORKGROUP = 32;

/** From so many rows on, each row has one invocation: nobody waits for others at barriers. */
const MANY_ROWS = 64;

const hasInvocationPerRow = ({ batch, pos, copies = 1 }: Dims) => batch * pos * copies >= MANY_ROWS;

/** Rows are positions, or copies of each (one for each head) where there is such an axis. */
const rows = (dims: Dims, last: string) => ['batch', 'pos', ...('copies' in dims ? ['copies'] : []), last];

export const norm: Kernel = {
  name: 'norm',
  bindings: (dims) => [
    { name: 'x', role: 'input', shape: rows(dims, 'd_model'), element: 'f32' },
    { name: 'w', role: 'weight', shape: ['d_model'], element: 'f32' },
    { name: 'b', role: 'weight', shape: ['d_model'], element: 'f32' },
    { name: 'given_scale', role: 'input', shape: rows(dims, 'one'), element: 'f32' },
    { name: 'given_normalized', role: 'input', shape: rows(dims, 'd_model'), element: 'f32' },
    { name: 'scale', role: 'output', shape: rows(dims, 'one'), element: 'f32' },
    { name: 'normalized', role: 'output', shape: rows(dims, 'd_model'), element: 'f32' },
    { name: 'out', role: 'output', shape: rows(dims, 'd_model'), element: 'f32' },
  ],
  functions: () => [divide, squareRoot],
  wgsl: ({ dims, options, has }) => wgsl`
${LINEAR_INDEX}
fn row_count() -> u32 { return run.batch * run.pos * ${dims.copies ?? 1}u; }

#if ${options.centred}
fn sum_segment(begin: u32, end: u32) -> f32 {
  var segment = x[begin];
  for (var i = begin + 1u; i < end; i++) { segment = plus(segment, x[i]); }
  return segment;
}
#endif

fn square_segment(begin: u32, end: u32, mean: f32) -> f32 {
  let leading = plus(x[begin], -mean);
  var segment = product(leading, leading);
  for (var i = begin + 1u; i < end; i++) {
    let centred = plus(x[i], -mean);
    segment = mul_add(centred, centred, segment);
  }
  return segment;
}

fn scale_of(squares: f32) -> f32 { return square_root(plus(divide(squares, f32(d_model)), ${wgslFloat(Number(options.eps))})); }

fn store_scale(row: u32, row_scale: f32) {
  #if ${has('scale')}
  scale[row] = stored(row_scale);
  #endif
}

// Element i of the row that begins at first.
fn store_element(first: u32, i: u32, mean: f32, row_scale: f32) {
  #if ${has('given_normalized')}
  let value = given_normalized[first + i];
  #else
  let value = stored(divide(plus(x[first + i], -mean), row_scale));
  #endif
  #if ${has('normalized')}
  normalized[first + i] = value;
  #endif
  #if ${has('out') && has('b')}
  out[first + i] = stored(mul_add(value, w[i], b[i]));
  #elif ${has('out')}
  out[first + i] = stored(value * w[i]);
  #endif
}

#if ${hasInvocationPerRow(dims)}
${invocationPerRow(Boolean(options.centred), has)}
#else
${workgroupPerRow(Boolean(options.centred), has, dims.d_model)}
#endif
`,
  workgroups: (dims) =>
    linearWorkgroups(dims.batch * dims.pos * (dims.copies ?? 1), hasInvocationPerRow(dims) ? WORKGROUP : 1),
};

export const normTruth: KernelTruth = {
  reference: ({ x, w, b, given_scale, given_normalized }, { d_model }, { centred, eps }) => {
    const rows = x.length / d_model;
    const scale = new Float64Array(rows);
    const normalized = new Float64Array(x.length);
    const out = new Float64Array(x.length);
    for (let row = 0; row < rows; row++) {
      let mean = 0;
      for (let d = 0; centred && d < d_model; d++) mean += x[row * d_model + d] / d_model;
      let variance = 0;
      for (let d = 0; d < d_model; d++) variance += (x[row * d_model + d] - mean) ** 2 / d_model;
      scale[row] = Math.sqrt(variance + Number(eps));
      for (let d = 0; d < d_model; d++) {
        const i = row * d_model + d;
        normalized[i] = (x[i] - mean) / (given_scale ? given_scale[row] : scale[row]);
        out[i] = (given_normalized ? given_normalized[i] : normalized[i]) * (w ? w[d] : 1) + (b ? b[d] : 0);
      }
    }
    return { scale, normalized, out };
  },
  // The computed mean is mean + δ, |δ| ≤ γ·mean|x| over the additions and the division. Σ(x − mean − δ)² is Σ(x − mean)² + d·δ²,
  // exactly: the scale belongs to s'² = scale² + δ², which no error of the mean makes smaller. All terms are positive, so rounding
  // is relative: centring (twice, squared), squaring, additions, division, eps and its addition, half of it after the square root,
  // which adds its own ULPs. normalized' = (x − mean − δ)/s' differs from normalized by δ/s' and |x − mean|·(1/scale − 1/s'), and
  // has the roundings of centring, of s' and of the division. Whatever is below 2⁻¹²⁶ may be taken as 0.
  tolerance: ({ x, w, b }, { d_model }, { centred, eps }) => {
    const {
      scale: s,
      normalized: z,
      out: y,
    } = normTruth.reference({ x, w, b } as never, { d_model }, { centred, eps });
    const ulp = 2 * U;
    const ofMean = gamma(sumRoundings(d_model) + 2 * divideTruth.maxUlp);
    const ofSquare = gamma(3 + sumRoundings(d_model) + 2 * divideTruth.maxUlp + 2);
    const scale = new Float64Array(s.length);
    const normalized = new Float64Array(x.length);
    const out = new Float64Array(x.length);
    for (let row = 0; row < s.length; row++) {
      const values = x.subarray(row * d_model, (row + 1) * d_model);
      const meanMagnitude = values.reduce((sum, v) => sum + Math.abs(v), 0) / d_model;
      const delta = centred ? ofMean * meanMagnitude + 3 * SMALLEST_NORMAL : 0;
      const shifted = Math.sqrt(s[row] ** 2 + delta ** 2);
      const shift = delta ** 2 / (shifted + s[row]);
      const rounding = 0.501 * (ofSquare + (4 * SMALLEST_NORMAL) / s[row] ** 2) + ulp * squareRootTruth.maxUlp;
      scale[row] = shift + shifted * rounding;
      for (let d = 0; d < d_model; d++) {
        const i = row * d_model + d;
        const exact = (delta + Math.abs(z[i]) * shift) / shifted;
        const rounded = (Math.abs(z[i]) + exact) * (rounding + U + ulp * divideTruth.maxUlp) * 1.001;
        normalized[i] = exact + rounded + SMALLEST_NORMAL * (1 + 2 / s[row]);
        const gain = Math.abs(w ? w[d] : 1);
        const roundings = 1.001 * U * ((Math.abs(z[i]) + 2 * normalized[i]) * gain + Math.abs(y[i]));
        out[i] = normalized[i] * gain + roundings + SMALLEST_NORMAL * (4 + Math.abs(z[i]));
      }
    }
    return { scale, normalized, out };
  },
};

function invocationPerRow(centred: boolean, has: Variant['has']): string {
  return wgsl`
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  if (row >= row_count()) { return; }
  let first = row * d_model;
  var mean = 0.0;
  #if ${centred && !has('given_normalized')}
  ${sumOfRow('sum', (begin, end) => `sum_segment(${begin}, ${end})`)}
  mean = divide(sum, f32(d_model));
  #endif
  #if ${has('given_normalized')}
  let row_scale = 1.0; // not needed any more
  #elif ${has('given_scale')}
  let row_scale = given_scale[row];
  #else
  ${sumOfRow('squares', (begin, end) => `square_segment(${begin}, ${end}, mean)`)}
  let row_scale = scale_of(squares);
  #endif
  store_scale(row, row_scale);
  for (var i = 0u; i < d_model; i++) { store_element(first, i, mean, row_scale); }
}
`;
}

/** WGSL that adds up the segments of the row that begins at `first`. */
function sumOfRow(sum: string, segment: (begin: string, end: string) => string): string {
  return wgsl`
  var ${sum} = 0.0;
  for (var begin = 0u; begin < d_model; begin += ${BLOCK}u) {
    var block = 0.0;
    for (var start = begin; start < min(begin + ${BLOCK}u, d_model); start += ${SEGMENT}u) {
      block = plus(block, ${segment('first + start', `first + min(start + ${SEGMENT}u, d_model)`)});
    }
    ${sum} = plus(${sum}, block);
  }
`;
}

function workgroupPerRow(centred: boolean, has: Variant['has'], d_model: number): string {
  return wgsl`
const segments = ${Math.ceil(d_model / SEGMENT)}u;
var<workgroup> partial: array<f32, segments>;
var<workgroup> row_total: f32;

// One invocation adds the partial sums, in order, and all know the total: on adapters that run invocations one after another that
// is less work than each for itself.
fn total(local: u32) -> f32 {
  workgroupBarrier();
  if (local == 0u) {
    var sum = 0.0;
    for (var start = 0u; start < segments; start += ${BLOCK / SEGMENT}u) {
      var block = 0.0;
      for (var i = start; i < min(start + ${BLOCK / SEGMENT}u, segments); i++) { block = plus(block, partial[i]); }
      sum = plus(sum, block);
    }
    row_total = sum;
  }
  workgroupBarrier();
  return row_total;
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let row = linear_index(workgroup, workgroups, 0u, 1u);
  // Workgroups beyond the last row repeat it and store nothing: barriers stay in uniform control flow.
  let is_stored = row < row_count();
  let first = min(row, row_count() - 1u) * d_model;
  var mean = 0.0;
  #if ${centred && !has('given_normalized')}
  for (var i = local; i < segments; i += ${WORKGROUP}u) {
    partial[i] = sum_segment(first + i * ${SEGMENT}u, first + min((i + 1u) * ${SEGMENT}u, d_model));
  }
  mean = divide(total(local), f32(d_model));
  #endif
  #if ${has('given_normalized')}
  let row_scale = 1.0; // not needed any more
  #elif ${has('given_scale')}
  let row_scale = given_scale[min(row, row_count() - 1u)];
  #else
  for (var i = local; i < segments; i += ${WORKGROUP}u) {
    partial[i] = square_segment(first + i * ${SEGMENT}u, first + min((i + 1u) * ${SEGMENT}u, d_model), mean);
  }
  let row_scale = scale_of(total(local));
  #endif
  if (!is_stored) { return; }
  if (local == 0u) { store_scale(row, row_scale); }
  for (var i = local; i < d_model; i += ${WORKGROUP}u) { store_element(first, i, mean, row_scale); }
}
`;
}
