// Kernels that stand for several, in float32 arithmetic: the emulated kernels that they stand for, one after the other, each storing
// what the next one reads.
import type { EmulatedInputs, EmulatedKernel } from '../../src/numerics/emulation/emulated_kernel.ts';
import { FORWARD_KERNELS } from '../../src/numerics/emulation/forward_kernels.ts';

const { matmul, activation, rotary, cache_append, attention_scores, attention_pattern, attention_values, add } =
  FORWARD_KERNELS;

/** A product, and its addition to a residual where there is one. */
const plusResidual =
  (product: EmulatedKernel): EmulatedKernel =>
  (inputs, dims, options, arithmetic) => {
    const outputs = product(inputs, dims, options, arithmetic);
    if (!inputs.residual) return outputs;
    const sum = add({ a: inputs.residual, b: outputs.out }, dims, {}, arithmetic);
    return { ...outputs, out: sum.out };
  };

const neurons: EmulatedKernel = ({ x, W, b, W_linear, b_in }, dims, options, arithmetic) => {
  const pre = matmul({ x, W, b }, dims, {}, arithmetic).out;
  const pre_linear = W_linear && matmul({ x, W: W_linear }, dims, {}, arithmetic).out;
  const { post } = activation({ pre, pre_linear, b_in }, { ...dims, d_mlp: dims.d_out }, options, arithmetic);
  return { post };
};

const qkvProjection: EmulatedKernel = (inputs, dims, options, arithmetic) => {
  const { x, W, b, first_pos, cos, sin } = inputs;
  const { d_in, d_head, half, k_first, v_first, k_bias, v_bias } = dims;
  const part = (heads: number, first: number, bias: number, isTurned: boolean) => {
    const d_out = heads * d_head;
    const d_out_vec4 = Math.ceil(d_out / 4);
    const partDims = { ...dims, d_out, d_out_vec4, n_heads: heads };
    const operands: EmulatedInputs = {
      ...{ x, W: W?.subarray(4 * first, 4 * (first + d_in * d_out_vec4)) },
      b: b?.subarray(bias, bias + d_out),
    };
    const { out } = matmul(operands, partDims, options, arithmetic);
    return isTurned ? rotary({ x: out, first_pos, cos, sin }, partDims, {}, arithmetic).out : out;
  };
  const q = part(dims.n_heads, 0, 0, half > 0);
  const k = part(dims.n_key_value_heads, k_first, k_bias, half > 0);
  const v = part(dims.n_key_value_heads, v_first, v_bias, false);
  const cached = (rows: Float32Array) => cache_append({ x: rows, first_pos }, dims, {}, arithmetic).cache;
  return { q, k, v, ...(first_pos && { k_cache: cached(k), v_cache: cached(v) }) };
};

const attention: EmulatedKernel = ({ q, k_rows, v, first_pos }, dims, options, arithmetic) => {
  const scores = attention_scores({ q, k_rows, first_pos }, dims, options, arithmetic).out;
  const pattern = attention_pattern({ scores }, dims, {}, arithmetic).out;
  return attention_values({ pattern, v }, dims, {}, arithmetic);
};

export const FUSED_KERNELS: Readonly<Record<string, EmulatedKernel>> = {
  neurons,
  qkv_projection: qkvProjection,
  attention,
  matmul: plusResidual(matmul),
  output_projection: plusResidual(FORWARD_KERNELS.output_projection),
};
