// statistics: what is needed to know mean, deviation, extremes and norm of any value without copying it to the CPU.
// Every invocation summarises `CHUNK` consecutive elements: count, mean and Σ(x − mean)² of the finite ones, minimum, maximum, and
// how many are NaN, infinite or masked. Mean and squares are those of x·2^−exponent, in which the largest magnitude is between
// 2 and 4: neither 3e38 nor 1e-38 overflows or vanishes, and powers of two cost no rounding. Whoever reads the summaries undoes
// that and merges them in float64. Three passes: counts and extremes, the mean, the squares.
// NaN and infinity are told by their bits: WGSL may assume that a float is neither.
// Source of the merge: Chan, Golub, LeVeque 1983. Cost: 4 bytes (cached for the later passes) and about 10 flops per element.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide } from './functions/divide.ts';
import {
  gamma,
  type Kernel,
  type KernelTruth,
  LINEAR_INDEX,
  linearWorkgroups,
  MASKED,
  SMALLEST_NORMAL,
  U,
} from './kernel.ts';

const WORKGROUP = 64;

/** Elements that one summary covers. */
export const CHUNK = 256;

/** Fields of a summary, in order. */
export const SUMMARY = [
  'count',
  'mean',
  'squares',
  'exponent',
  'minimum',
  'maximum',
  'nan',
  'infinite',
  'masked',
] as const;

const MASKED_BITS = new Uint32Array(Float32Array.of(MASKED).buffer)[0];

/** The exponent of a chunk's scale: 2^exponent ≤ largest magnitude / 2 < 2^(exponent + 1), but −127 at least. */
function scaleExponent(finite: Float64Array): number {
  const largest = finite.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const biased = new Uint32Array(Float32Array.of(largest).buffer)[0] >>> 23;
  return Math.max(biased - 128, -127);
}

/** Runs with batch 1 and pos the number of elements, whatever the value's own axes are. */
export const statistics: Kernel = {
  name: 'statistics',
  bindings: () => [
    { name: 'x', role: 'input', shape: ['batch', 'pos'], element: 'u32' },
    { name: 'out', role: 'output', shape: ['chunks', 'fields'], element: 'f32' },
  ],
  functions: () => [divide],
  wgsl: () => wgsl`
${LINEAR_INDEX}
const masked_bits = ${MASKED_BITS}u;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let chunk = linear_index(workgroup, workgroups, local, ${WORKGROUP}u);
  let begin = chunk * ${CHUNK}u;
  if (begin >= run.batch * run.pos) { return; }
  let end = min(begin + ${CHUNK}u, run.batch * run.pos);
  var count = 0.0;
  var largest = 0u; // magnitude, as bits
  var minimum = 0.0;
  var maximum = 0.0;
  var nan = 0.0;
  var infinite = 0.0;
  var masked = 0.0;
  for (var i = begin; i < end; i++) {
    let bits = x[i];
    let magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) { nan += 1.0; }
    else if (magnitude == 0x7f800000u) { infinite += 1.0; }
    else if (bits == masked_bits) { masked += 1.0; }
    else {
      let value = bitcast<f32>(bits);
      minimum = select(min(minimum, value), value, count == 0.0);
      maximum = select(max(maximum, value), value, count == 0.0);
      count += 1.0;
      largest = max(largest, magnitude);
    }
  }
  // 2^-exponent as float32, from the exponent bits of the largest magnitude; at most 2^127.
  let factor_exponent = min(255u - (largest >> 23u), 254u);
  let factor = bitcast<f32>(factor_exponent << 23u);
  var sum = 0.0;
  for (var i = begin; i < end; i++) {
    let bits = x[i];
    if ((bits & 0x7fffffffu) >= 0x7f800000u || bits == masked_bits) { continue; }
    sum = mul_add(bitcast<f32>(bits), factor, sum);
  }
  var mean = 0.0;
  if (count > 0.0) { mean = divide(sum, count); }
  var squares = 0.0;
  for (var i = begin; i < end; i++) {
    let bits = x[i];
    if ((bits & 0x7fffffffu) >= 0x7f800000u || bits == masked_bits) { continue; }
    let centred = mul_add(bitcast<f32>(bits), factor, -mean);
    squares = mul_add(centred, centred, squares);
  }
  let o = chunk * fields;
  out[o] = count;
  out[o + 1u] = mean;
  out[o + 2u] = squares;
  out[o + 3u] = 127.0 - f32(factor_exponent);
  out[o + 4u] = minimum;
  out[o + 5u] = maximum;
  out[o + 6u] = nan;
  out[o + 7u] = infinite;
  out[o + 8u] = masked;
}
`,
  workgroups: ({ chunks }) => linearWorkgroups(chunks, WORKGROUP),
};

export const statisticsTruth: KernelTruth = {
  reference: ({ x }, { chunks, fields }) => {
    const out = new Float64Array(chunks * fields);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const values = x.subarray(chunk * CHUNK, (chunk + 1) * CHUNK);
      const finite = values.filter((v) => Number.isFinite(v) && v !== MASKED);
      const exponent = scaleExponent(finite);
      const scaled = finite.map((v) => v * 2 ** -exponent);
      const mean = scaled.length > 0 ? scaled.reduce((sum, v) => sum + v, 0) / scaled.length : 0;
      out.set(
        [
          finite.length,
          mean,
          scaled.reduce((sum, v) => sum + (v - mean) ** 2, 0),
          exponent,
          finite.length > 0 ? Math.min(...finite) : 0,
          finite.length > 0 ? Math.max(...finite) : 0,
          values.filter(Number.isNaN).length,
          values.filter((v) => Math.abs(v) === Number.POSITIVE_INFINITY).length,
          values.filter((v) => v === MASKED).length,
        ],
        chunk * fields,
      );
    }
    return { out };
  },
  // Counts, extremes and the exponent are exact; the mean has γ of 256 additions and a division; the squares that error squared,
  // and γ. Whatever is below 2⁻¹²⁶ may be taken as 0: inputs (which the scale may enlarge), scaled elements, sums and the
  // quotient, squares and their sums. What is lost of the elements differs between them, so it also meets their deviations.
  tolerance: ({ x }, dims) => {
    const { out } = statisticsTruth.reference({ x }, dims, {});
    const bound = new Float64Array(out.length);
    for (let chunk = 0; chunk < dims.chunks; chunk++) {
      const finite = x.subarray(chunk * CHUNK, (chunk + 1) * CHUNK).filter((v) => Number.isFinite(v) && v !== MASKED);
      const o = chunk * dims.fields;
      const [count, scale] = [finite.length, 2 ** -scaleExponent(finite)];
      const size = (finite.reduce((sum, v) => sum + Math.abs(v), 0) / Math.max(count, 1)) * scale;
      const lost = SMALLEST_NORMAL * (1 + (finite.some((v) => v !== 0 && Math.abs(v) < SMALLEST_NORMAL) ? scale : 0));
      bound[o + 1] = gamma(CHUNK + 3) * size + lost + 2 * SMALLEST_NORMAL;
      const perElement = bound[o + 1] + U * (size + bound[o + 1]) + lost;
      const squares = out[o + 2];
      bound[o + 2] =
        gamma(CHUNK + 6) * squares +
        2 * lost * Math.sqrt(count * squares) +
        count * (perElement ** 2 + 2 * SMALLEST_NORMAL);
    }
    return { out: bound };
  },
};
