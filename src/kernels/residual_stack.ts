// residual_stack: vectors of the residual stream, picked out of wherever they lie, normalised by a frozen scale, and their dot
// products with a direction.
//   v = x[element, row, :]  (· factor[row, element]),   vectors = (v − mean v) / scale[row],   projected = Σ vectors · direction
// A component is an element of x and the rows of `rows`: a head of hook_result, all of hook_mlp_out, a row of W_out that its neuron
// multiplies, a bias (row_stride 0). The mean is subtracted where the norm centres; without `scale` nothing is divided.
// direction − minus is what is projected onto, times `gain` where the norm's own is wanted.
// Runs with batch the number of components and pos that of rows.
// Order: segments and blocks along d_model (kernel.ts), one invocation per block; the dot product is divided once, at its end.
// Source of the method: TransformerLens, ActivationCache.apply_ln_to_stack and logit_attrs.
// Cost: 4 to 12 bytes read, 0 to 4 written, 3 flops per element and projection, about 20 more for a stored vector.
import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';
import { divide, divideTruth } from './functions/divide.ts';
import {
  BLOCK,
  dotRoundings,
  gamma,
  type Kernel,
  type KernelTruth,
  linearWorkgroups,
  SEGMENT,
  SMALLEST_NORMAL,
  sumRoundings,
  U,
} from './kernel.ts';

const WORKGROUP = 32;

export const residualStack: Kernel = {
  name: 'residual_stack',
  bindings: () => [
    { name: 'x', role: 'input', shape: ['x_elements'], element: 'f32' },
    { name: 'elements', role: 'input', shape: ['batch'], element: 'u32' },
    { name: 'rows', role: 'input', shape: ['pos'], element: 'u32' },
    { name: 'factor', role: 'input', shape: ['factor_elements'], element: 'f32' },
    { name: 'scale', role: 'input', shape: ['source_rows'], element: 'f32' },
    { name: 'direction', role: 'input', shape: ['direction_rows', 'd_model'], element: 'f32' },
    { name: 'minus', role: 'input', shape: ['direction_rows', 'd_model'], element: 'f32' },
    { name: 'gain', role: 'weight', shape: ['d_model'], element: 'f32' },
    { name: 'vectors', role: 'output', shape: ['batch', 'pos', 'd_model'], element: 'f32' },
    { name: 'projected', role: 'output', shape: ['batch', 'pos'], element: 'f32' },
  ],
  functions: () => [divide],
  wgsl: ({ dims, options, has }) => wgsl`
const blocks = ${Math.ceil(dims.d_model / BLOCK)}u;
var<workgroup> partial: array<f32, blocks>;
var<private> first: u32;
var<private> direction_first: u32;
var<private> times: f32;

fn value(i: u32) -> f32 {
  #if ${has('factor')}
  return product(times, x[first + i]);
  #else
  return x[first + i];
  #endif
}

#if ${options.centred}
fn sum_block(begin: u32, end: u32) -> f32 {
  var block = 0.0;
  for (var start = begin; start < end; start += ${SEGMENT}u) {
    var segment = value(start);
    for (var i = start + 1u; i < min(start + ${SEGMENT}u, end); i++) { segment = plus(segment, value(i)); }
    block = plus(block, segment);
  }
  return block;
}
#endif

#if ${has('projected')}
fn direction_at(i: u32) -> f32 {
  var d = direction[direction_first + i];
  #if ${has('minus')}
  d = plus(d, -minus[direction_first + i]);
  #endif
  #if ${has('gain')}
  d = product(d, gain[i]);
  #endif
  return d;
}

fn dot_block(begin: u32, end: u32, mean: f32) -> f32 {
  var block = 0.0;
  for (var start = begin; start < end; start += ${SEGMENT}u) {
    var segment = product(plus(value(start), -mean), direction_at(start));
    for (var i = start + 1u; i < min(start + ${SEGMENT}u, end); i++) {
      segment = mul_add(plus(value(i), -mean), direction_at(i), segment);
    }
    block = plus(block, segment);
  }
  return block;
}
#endif

// Every invocation adds all partial sums in order, so that all know the total.
fn total() -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < blocks; i++) { sum = plus(sum, partial[i]); }
  return sum;
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let index = workgroup.y * workgroups.x + workgroup.x;
  // Workgroups beyond the last vector repeat it and store nothing: barriers stay in uniform control flow.
  let is_stored = index < run.batch * run.pos;
  let vector = min(index, run.batch * run.pos - 1u);
  let element = elements[vector / run.pos];
  let row = rows[vector % run.pos];
  first = element * component_stride + row * row_stride;
  #if ${has('factor')}
  times = factor[row * factor_stride + element];
  #endif
  var mean = 0.0;
  #if ${options.centred}
  for (var i = local; i < blocks; i += ${WORKGROUP}u) {
    partial[i] = sum_block(i * ${BLOCK}u, min((i + 1u) * ${BLOCK}u, d_model));
  }
  workgroupBarrier();
  mean = divide(total(), f32(d_model));
  workgroupBarrier();
  #endif
  #if ${has('projected')}
  direction_first = (vector % run.pos) * direction_stride;
  for (var i = local; i < blocks; i += ${WORKGROUP}u) {
    partial[i] = dot_block(i * ${BLOCK}u, min((i + 1u) * ${BLOCK}u, d_model), mean);
  }
  workgroupBarrier();
  #if ${has('scale')}
  if (is_stored && local == 0u) { projected[index] = stored(divide(total(), scale[row])); }
  #else
  if (is_stored && local == 0u) { projected[index] = stored(total()); }
  #endif
  #endif
  #if ${has('vectors')}
  if (!is_stored) { return; }
  for (var i = local; i < d_model; i += ${WORKGROUP}u) {
    #if ${has('scale')}
    vectors[index * d_model + i] = stored(divide(plus(value(i), -mean), scale[row]));
    #else
    vectors[index * d_model + i] = stored(value(i) - mean);
    #endif
  }
  #endif
}
`,
  workgroups: ({ batch, pos }) => linearWorkgroups(batch * pos, 1),
};

export const residualStackTruth: KernelTruth = {
  reference: ({ x, elements, rows, factor, scale, direction, minus, gain }, dims, { centred }) => {
    const { batch, pos, d_model } = dims;
    const vectors = new Float64Array(batch * pos * d_model);
    const projected = new Float64Array(batch * pos);
    for (let component = 0; component < batch; component++) {
      for (let r = 0; r < pos; r++) {
        const [element, row] = [elements[component], rows[r]];
        const at = component * pos + r;
        const times = factor ? factor[row * dims.factor_stride + element] : 1;
        const first = element * dims.component_stride + row * dims.row_stride;
        let mean = 0;
        for (let d = 0; centred && d < d_model; d++) mean += (times * x[first + d]) / d_model;
        for (let d = 0; d < d_model; d++) {
          const vector = (times * x[first + d] - mean) / (scale ? scale[row] : 1);
          vectors[at * d_model + d] = vector;
          const i = r * dims.direction_stride + d;
          if (direction) projected[at] += vector * (direction[i] - (minus ? minus[i] : 0)) * (gain ? gain[d] : 1);
        }
      }
    }
    return { vectors, projected };
  },
  // v has one rounding (its product); the mean γ of those, its additions and a division; the difference another: e per element.
  // A direction has two (its difference, its product). The dot product has γ of its terms besides, and a division at its end.
  // Whatever is below 2⁻¹²⁶ may be taken as 0: a factor (which the other one multiplies), a product, a sum, a quotient.
  tolerance: (inputs, dims, { centred }) => {
    const { x, elements, rows, factor, scale, direction, minus, gain } = inputs;
    const { batch, pos, d_model } = dims;
    const vectors = new Float64Array(batch * pos * d_model);
    const projected = new Float64Array(batch * pos);
    const ofMean = gamma(sumRoundings(d_model) + 2 * divideTruth.maxUlp + 1);
    const ofDivision = scale ? 2 * U * divideTruth.maxUlp * 1.001 : 0;
    for (let component = 0; component < batch; component++) {
      for (let r = 0; r < pos; r++) {
        const [element, row] = [elements[component], rows[r]];
        const at = component * pos + r;
        const times = factor ? factor[row * dims.factor_stride + element] : 1;
        const first = element * dims.component_stride + row * dims.row_stride;
        const values = x.subarray(first, first + d_model).map((v) => times * v);
        const largest = x.subarray(first, first + d_model).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        const tiny = SMALLEST_NORMAL * (factor ? 2 + Math.abs(times) + largest : 1);
        const mean = centred ? values.reduce((sum, v) => sum + v, 0) / d_model : 0;
        const meanMagnitude = values.reduce((sum, v) => sum + Math.abs(v), 0) / d_model;
        const ofCentre = centred ? ofMean * meanMagnitude + 3 * SMALLEST_NORMAL + tiny : 0;
        const s = scale ? scale[row] : 1;
        let sum = 0;
        let magnitude = 0;
        let error = 0;
        for (let d = 0; d < d_model; d++) {
          const centredValue = Math.abs(values[d] - mean);
          const rounded = (factor ? U * Math.abs(values[d]) : 0) + ofCentre;
          const e = rounded + (centred ? U * (centredValue + rounded) : 0) + tiny + SMALLEST_NORMAL;
          vectors[at * d_model + d] = (e + ofDivision * (centredValue + e)) / s + SMALLEST_NORMAL * (1 + 1 / s);
          if (!direction) continue;
          const i = r * dims.direction_stride + d;
          const g = Math.abs(gain ? gain[d] : 1);
          const difference = direction[i] - (minus ? minus[i] : 0);
          const onto = Math.abs(difference) * g;
          const ofDirection = 2.001 * U * onto + SMALLEST_NORMAL * (2 + 2 * g + Math.abs(difference));
          sum += (values[d] - mean) * difference * (gain ? gain[d] : 1);
          magnitude += (centredValue + e) * (onto + ofDirection);
          error += e * (onto + ofDirection) + centredValue * ofDirection;
          error += SMALLEST_NORMAL * (2 + centredValue + onto);
        }
        error += gamma(dotRoundings(d_model)) * magnitude;
        projected[at] = (error + ofDivision * (Math.abs(sum) + error)) / s + SMALLEST_NORMAL * (1 + 1 / s);
      }
    }
    return { vectors, projected };
  },
};
