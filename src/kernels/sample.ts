// sample: the next token of each row, from the logits of one of its positions. choose_token.ts says it plainly, in float64.
//   score = logit, or with a repetition penalty its product; weight = exp((score − largest score) / temperature)
//   greedy: the largest score, the lowest id among equals: exact.
//   drawn: in the order of falling scores, equal ones by their id, the first token at which the weights add up to more than u times
//   those of all tokens that are kept (top_k, top_p, min_p); u is Philox4x32-10 of seed, step and row.
// `token` is what the next run reads. `choice` holds it again (exact below 2²⁴), its logit, the largest logit, and the model's own
// total Σ exp(logit − largest logit): its probability is exp(logit − largest) / total.
//
// Weights count in whole units of 2⁻⁴⁰ (they are at most 1, so 64 bits hold the sum of 2²⁴), rounded down. Sums of whole numbers are
// exact: they have no order, and what lies before a token in the cumulative distribution is the same however it is added up. Nothing is
// sorted: draw.ts searches scores by whole numbers of 32 bits that grow with them.
// One workgroup per row. Cost: the most probable token, 2 passes over the logits and an exponential for each; a draw, another
// exponential and at most 12 passes; 10 more for each of top_k and top_p. A row whose `at` is NOBODY is left alone. Where the
// largest logit is not finite, as `choice` says then, the token means nothing.
// Source: Holtzman et al. 2020, "The curious case of neural text degeneration" (top_p); Keskar et al. 2019, "CTRL" (the penalty).
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { chooseToken } from './choose_token.ts';
import { DRAW, DRAW_FUNCTIONS } from './draw.ts';
import { exponential, exponentialTruth } from './functions/exponential.ts';
import { type Dims, type Kernel, type KernelTruth, SMALLEST_NORMAL, U, wgslFloat } from './kernel.ts';
import { PHILOX } from './philox.ts';
import { CHOICE_FIELDS, FARTHEST, NOBODY, PARAMETERS, rowOf, UNIT } from './sample_parameters.ts';
import { WHOLE_NUMBERS } from './whole_numbers.ts';

/** Long rows have many invocations. The bits are the same. */
const workgroupSize = ({ d_vocab_out }: Dims) => (d_vocab_out >= 4096 ? 256 : 64);

/** Sums of a workgroup. */
const SUMS = ['model_total', 'weight_total', 'token_total', 'weight_kept'] as const;

export const sample: Kernel = {
  name: 'sample',
  bindings: () => [
    { name: 'logits', role: 'input', shape: ['batch', 'pos', 'd_vocab_out'], element: 'f32' },
    { name: 'parameters', role: 'input', shape: ['batch', 'parameter_fields'], element: 'u32' },
    // 1 for each token that the row's text has; absent without a repetition penalty.
    { name: 'seen', role: 'input', shape: ['batch', 'd_vocab_out'], element: 'u32' },
    // Absent in the greedy variant.
    { name: 'weights', role: 'output', shape: ['batch', 'd_vocab_out'], element: 'f32' },
    { name: 'token', role: 'output', shape: ['batch'], element: 'u32' },
    { name: 'choice', role: 'output', shape: ['batch', 'choice_fields'], element: 'f32' },
  ],
  functions: () => [exponential],
  wgsl: ({ dims, options, has }) => wgsl`
${WHOLE_NUMBERS}
${PHILOX}
const invocations = ${workgroupSize(dims)}u;
const nobody = ${NOBODY}u;
${PARAMETERS.map((name, i) => `const ${name} = ${i}u;`).join('\n')}
${SUMS.map((name, i) => `const ${name} = ${i}u;`).join('\n')}
var<workgroup> sums_low: array<atomic<u32>, ${SUMS.length}>;
var<workgroup> sums_high: array<atomic<u32>, ${SUMS.length}>;
var<workgroup> most: atomic<u32>;
var<workgroup> most_logit: atomic<u32>;
var<workgroup> first_of_most: atomic<u32>; // all bits turned around, so that the lowest id is the largest number

fn add_to(sum: u32, part: vec2u) {
  if ((part.x | part.y) == 0u) { return; }
  let before = atomicAdd(&sums_low[sum], part.x);
  atomicAdd(&sums_high[sum], part.y + select(0u, 1u, before + part.x < before));
}
fn sum_of(sum: u32) -> vec2u { return vec2u(atomicLoad(&sums_low[sum]), atomicLoad(&sums_high[sum])); }

// A whole number that is larger for a larger x, the same for both zeros, and largest for a NaN.
fn order_of(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if (is_nan(x)) { return 0xffffffffu; }
  if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}
fn number_of(order: u32) -> f32 { return bitcast<f32>(select(~order, order & 0x7fffffffu, order >= 0x80000000u)); }

// With the penalty, rounded once, and no larger than the largest finite number.
fn score_of(row: u32, id: u32, logit: f32) -> f32 {
  #if ${has('seen')}
  if (seen[row * d_vocab_out + id] == 0u) { return logit; }
  let factor = parameters[row * parameter_fields + select(penalty, inverse_penalty, logit > 0.0)];
  let bits = bitcast<u32>(product(logit, bitcast<f32>(factor))) ^ run.zero;
  return bitcast<f32>(select(bits, 0x7f7fffffu, bits == 0x7f800000u));
  #else
  return logit;
  #endif
}

// Whether a distance, 0 or negative, is at most so much; by the bits, as it may be infinite or NaN.
fn is_near(distance: f32, most_bits: u32) -> bool { return (bitcast<u32>(distance) & 0x7fffffffu) <= most_bits; }

// In units of 2⁻⁴⁰. All of this is exact but for the last conversion, which rounds down.
fn in_units(weight: f32) -> vec2u {
  let high = u32(weight * 256.0);
  return vec2u(u32((weight * 256.0 - f32(high)) * 4294967296.0), high);
}

#if ${!options.greedy}
${DRAW_FUNCTIONS}
#endif

@compute @workgroup_size(${workgroupSize(dims)})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.x;
  let given = row * parameter_fields;
  if (parameters[given + at] == nobody) { return; }
  let first = (row * run.pos + parameters[given + at]) * d_vocab_out;

  var best = 0u;
  var best_logit = 0u;
  var best_id = 0u;
  for (var id = local; id < d_vocab_out; id += invocations) {
    let logit = logits[first + id];
    let order = order_of(score_of(row, id, logit));
    best_logit = max(best_logit, order_of(logit));
    if (order > best) {
      best = order;
      best_id = id;
    }
  }
  atomicMax(&most, best);
  atomicMax(&most_logit, best_logit);
  workgroupBarrier();
  let largest_order = atomicLoad(&most);
  if (best == largest_order) { atomicMax(&first_of_most, ~best_id); }

  let largest_logit = number_of(atomicLoad(&most_logit));
  var part = vec2u(0u);
  for (var id = local; id < d_vocab_out; id += invocations) {
    let distance = plus(logits[first + id], -largest_logit);
    if (is_near(distance, bitcast<u32>(${wgslFloat(FARTHEST)}))) { part = plus_whole(part, in_units(exponential(distance))); }
  }
  add_to(model_total, part);
  workgroupBarrier();
  var chosen = ~atomicLoad(&first_of_most);
  #if ${!options.greedy}
${DRAW}
  #endif

  if (local == 0u) {
    token[row] = chosen;
    let total = sum_of(model_total);
    let fraction = f32(((total.y & 0xffu) << 16u) | (total.x >> 16u)) * 5.9604644775390625e-8; // 2⁻²⁴
    let out = row * choice_fields;
    choice[out] = f32(chosen);
    choice[out + 1u] = stored(logits[first + chosen]);
    choice[out + 2u] = stored(largest_logit);
    choice[out + 3u] = stored(plus(f32(total.y >> 8u), fraction));
  }
}
`,
  workgroups: ({ batch }) => [batch, 1, 1],
};

export const sampleTruth: KernelTruth = {
  reference: (inputs, dims, { greedy }) => {
    const { batch, d_vocab_out } = dims;
    const weights = new Float64Array(batch * d_vocab_out);
    const token = new Float64Array(batch);
    const choice = new Float64Array(batch * CHOICE_FIELDS);
    for (let row = 0; row < batch; row++) {
      const { logits, text, options, scores, uniform } = rowOf(inputs, dims, row);
      const [highest, largest] = [largestOf(scores), largestOf(logits)];
      scores.forEach((score, id) => {
        weights[row * d_vocab_out + id] = Math.exp((score - highest) / options.temperature);
      });
      token[row] = chooseToken(logits, text, greedy ? { ...options, temperature: 0 } : options, uniform).token;
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
      choice.set([token[row], logits[token[row]], largest, total], row * CHOICE_FIELDS);
    }
    return { weights, token, choice };
  },
  // `weightError` for each weight. The total has the errors of its weights, a unit each for what was rounded down, and in `choice`
  // 2⁻²⁴ and one rounding. The token has no tolerance: where u lies next to a boundary it may be a neighbour
  // (test/kernels/sample.gpu.test.ts says how near), and no case of the table has such a u.
  tolerance: (inputs, dims, options) => {
    const { batch, d_vocab_out } = dims;
    const { weights, choice } = sampleTruth.reference(inputs, dims, options);
    const choiceBounds = new Float64Array(choice.length);
    for (let row = 0; row < batch; row++) {
      const { logits, scores, options } = rowOf(inputs, dims, row);
      const highest = largestOf(scores);
      scores.forEach((score, id) => {
        weights[row * d_vocab_out + id] = weightError((highest - score) / options.temperature, 3);
      });
      const [, logit, largest, total] = choice.subarray(row * CHOICE_FIELDS);
      const flushed = (x: number) => (x !== 0 && Math.abs(x) < SMALLEST_NORMAL ? SMALLEST_NORMAL : 0);
      const error = logits.reduce((sum, x) => sum + weightError(largest - x, 1) + UNIT, 2 ** -24);
      choiceBounds.set([0, flushed(logit), flushed(largest), error + U * (total + error)], row * CHOICE_FIELDS);
    }
    return { weights, token: new Float64Array(batch), choice: choiceBounds };
  },
};

/**
 * Bound on the error of a weight exp(−distance) whose distance has so many roundings (of the difference; of 1/T and of the product):
 * they become a relative error, and the exponential adds its ULPs, of 2u each. Less than a unit may be 0.
 */
export function weightError(distance: number, roundings: number): number {
  if (distance > FARTHEST * (1 - 4 * U)) return Math.exp(-distance) + UNIT;
  return Math.exp(-distance) * (roundings * U * distance + 2 * U * exponentialTruth.maxUlp) * 1.001;
}

function largestOf(numbers: Float64Array): number {
  return numbers.reduce((a, b) => Math.max(a, b));
}
