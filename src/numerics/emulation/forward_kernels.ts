// The kernels of a forward pass in float32 arithmetic, by name. What each computes is said in src/kernels; here is the same order of
// the same rounded operations, in plain loops.
import { type Arithmetic, BLOCK, MASKED, stored } from './arithmetic.ts';
import { type EmulatedKernel, floats, integers, optional, Sums } from './emulated_kernel.ts';
import { divide, exponential, hyperbolicTangent, normalCumulative, sigmoid, squareRoot } from './functions.ts';

/** Rows `first + row·stride` of A times columns of B, with what is done to a sum before it is stored. */
interface Product {
  readonly groups: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly block?: number;
  readonly a: Float32Array;
  readonly aFirst: (group: number, row: number) => number;
  readonly b: Float32Array;
  readonly bFirst: (group: number, column: number) => number;
  readonly bStride: number;
  readonly store: (group: number, row: number, column: number, sum: number) => void;
}

function multiply(arithmetic: Arithmetic, product: Product): void {
  const { groups, rows, columns, depth, block = BLOCK, a, aFirst, b, bFirst, bStride, store } = product;
  const sums = new Sums(arithmetic, depth);
  for (let group = 0; group < groups; group++) {
    for (let row = 0; row < rows; row++) {
      const ofRow = { data: a, first: aFirst(group, row), stride: 1 };
      for (let column = 0; column < columns; column++) {
        const ofColumn = { data: b, first: bFirst(group, column), stride: bStride };
        store(group, row, column, sums.dot(depth, block, ofRow, ofColumn));
      }
    }
  }
}

const tokenEmbedding: EmulatedKernel = (inputs, { d_model, d_vocab, row_stride }, { firstToken }) => {
  const [tokens, W_E] = [integers(inputs, 'tokens'), floats(inputs, 'W_E')];
  const out = new Float32Array(tokens.length * d_model);
  tokens.forEach((token, row) => {
    const at = token - Number(firstToken);
    if (at < 0 || at >= d_vocab) return;
    for (let d = 0; d < d_model; d++) out[row * d_model + d] = stored(W_E[at * row_stride + d]);
  });
  return { out };
};

const positionEmbedding: EmulatedKernel = (inputs, { batch, pos, d_model, n_ctx }) => {
  const [W_pos, firstPos] = [floats(inputs, 'W_pos'), integers(inputs, 'first_pos')];
  const out = new Float32Array(batch * pos * d_model);
  for (let i = 0; i < out.length; i++) {
    const row = Math.floor(i / d_model);
    const position = Math.min(firstPos[Math.floor(row / pos)] + (row % pos), n_ctx - 1);
    out[i] = stored(W_pos[position * d_model + (i % d_model)]);
  }
  return { out };
};

const add: EmulatedKernel = (inputs, _, __, { round }) => {
  const [a, b] = [floats(inputs, 'a'), floats(inputs, 'b')];
  return { out: Float32Array.from(a, (x, i) => stored(round(x + b[i]))) };
};

const norm: EmulatedKernel = (inputs, { d_model }, { centred, eps }, arithmetic) => {
  const { round } = arithmetic;
  const x = floats(inputs, 'x');
  const [w, b] = [optional(inputs, 'w'), optional(inputs, 'b')];
  const [givenScale, givenNormalized] = [optional(inputs, 'given_scale'), optional(inputs, 'given_normalized')];
  const sums = new Sums(arithmetic, d_model);
  const scale = new Float32Array(x.length / d_model);
  const normalized = new Float32Array(x.length);
  const out = new Float32Array(x.length);
  for (let row = 0; row < scale.length; row++) {
    const first = row * d_model;
    const mean = centred
      ? divide(
          sums.sum(d_model, BLOCK, (i) => x[first + i]),
          d_model,
        )
      : 0;
    const squares = sums.sum(d_model, BLOCK, (i) => {
      const deviation = round(x[first + i] - mean);
      return round(deviation * deviation);
    });
    const computed = squareRoot(round(divide(squares, d_model) + Math.fround(Number(eps))));
    scale[row] = stored(computed);
    const divisor = givenScale ? givenScale[row] : computed;
    for (let d = 0; d < d_model; d++) {
      const i = first + d;
      normalized[i] = stored(divide(round(x[i] - mean), divisor));
      const product = round((givenNormalized ? givenNormalized[i] : normalized[i]) * (w ? w[d] : 1));
      out[i] = stored(b ? round(product + b[d]) : product);
    }
  }
  return { scale, normalized, out };
};

const matmul: EmulatedKernel = (inputs, { d_in, d_out, d_out_vec4 }, _, arithmetic) => {
  const [x, W, b] = [floats(inputs, 'x'), floats(inputs, 'W'), optional(inputs, 'b')];
  const rows = x.length / d_in;
  const out = new Float32Array(rows * d_out);
  multiply(arithmetic, {
    ...{ groups: 1, rows, columns: d_out, depth: d_in, a: x, b: W, bStride: 4 * d_out_vec4 },
    aFirst: (_group, row) => row * d_in,
    bFirst: (_group, column) => column,
    store: (_group, row, column, sum) => {
      out[row * d_out + column] = stored(b ? arithmetic.round(sum + b[column]) : sum);
    },
  });
  return { out };
};

const headProjection: EmulatedKernel = (inputs, { n_heads, d_in, d_head, row_stride }, _, arithmetic) => {
  const [x, W, b] = [floats(inputs, 'x'), floats(inputs, 'W'), optional(inputs, 'b')];
  const rows = x.length / (n_heads * d_in);
  const out = new Float32Array(rows * n_heads * d_head);
  multiply(arithmetic, {
    ...{ groups: n_heads, rows, columns: d_head, depth: d_in, a: x, b: W, bStride: row_stride },
    aFirst: (head, row) => (row * n_heads + head) * d_in,
    bFirst: (head, column) => head * d_head + column,
    store: (head, row, column, sum) => {
      const value = b ? arithmetic.round(sum + b[head * d_head + column]) : sum;
      out[(row * n_heads + head) * d_head + column] = stored(value);
    },
  });
  return { out };
};

const copyHeads: EmulatedKernel = (inputs, { n_heads, d_model }) => {
  const x = floats(inputs, 'x');
  const at = (i: number) => Math.floor(i / (n_heads * d_model)) * d_model + (i % d_model);
  return { out: Float32Array.from({ length: x.length * n_heads }, (_, i) => x[at(i)]) };
};

const rotary: EmulatedKernel = (inputs, { batch, pos, n_heads, d_head, n_ctx, half }, _, { round }) => {
  const [x, cos, sin] = [floats(inputs, 'x'), floats(inputs, 'cos'), floats(inputs, 'sin')];
  const firstPos = integers(inputs, 'first_pos');
  const out = new Float32Array(x);
  for (let row = 0; row < batch * pos; row++) {
    const position = Math.min(firstPos[Math.floor(row / pos)] + (row % pos), n_ctx - 1);
    for (let head = 0; head < n_heads; head++) {
      const first = (row * n_heads + head) * d_head;
      for (let i = 0; i < half; i++) {
        const [low, high] = [x[first + i], x[first + half + i]];
        const [c, s] = [cos[position * half + i], sin[position * half + i]];
        out[first + i] = stored(round(round(low * c) - round(high * s)));
        out[first + half + i] = stored(round(round(high * c) + round(low * s)));
      }
    }
  }
  return { out };
};

/** The key-value head that a head reads. */
const keyValueHead = (head: number, heads: number, keyValueHeads: number) => Math.floor(head / (heads / keyValueHeads));

const attentionScores: EmulatedKernel = (inputs, dims, { scale, softCap }, arithmetic) => {
  const { batch, pos, keys, key_stride, n_heads, n_key_value_heads, d_head } = dims;
  const { round } = arithmetic;
  const [q, k, firstPos] = [floats(inputs, 'q'), floats(inputs, 'k_rows'), integers(inputs, 'first_pos')];
  const [factor, cap] = [Math.fround(Number(scale)), Math.fround(Number(softCap))];
  const out = new Float32Array(batch * n_heads * pos * keys);
  multiply(arithmetic, {
    ...{ groups: batch * n_heads, rows: pos, columns: keys, depth: d_head, a: q, b: k, bStride: 1 },
    aFirst: (group, row) => ((Math.floor(group / n_heads) * pos + row) * n_heads + (group % n_heads)) * d_head,
    bFirst: (group, key) => {
      const keyHead = keyValueHead(group % n_heads, n_heads, n_key_value_heads);
      return ((Math.floor(group / n_heads) * key_stride + key) * n_key_value_heads + keyHead) * d_head;
    },
    store: (group, row, key, sum) => {
      let score = round(sum * factor);
      if (cap) score = round(cap * hyperbolicTangent(divide(score, cap)));
      const isMasked = key > firstPos[Math.floor(group / n_heads)] + row;
      out[(group * pos + row) * keys + key] = isMasked ? MASKED : stored(score);
    },
  });
  return { out };
};

const attentionPattern: EmulatedKernel = (inputs, { keys }, _, arithmetic) => {
  const scores = floats(inputs, 'scores');
  const sums = new Sums(arithmetic, keys);
  const weights = new Float32Array(keys);
  const out = new Float32Array(scores.length);
  for (let first = 0; first < scores.length; first += keys) {
    let maximum = MASKED;
    for (let key = 0; key < keys; key++) maximum = Math.max(maximum, scores[first + key]);
    for (let key = 0; key < keys; key++) {
      const score = scores[first + key];
      weights[key] = score <= MASKED ? 0 : exponential(arithmetic.round(score - maximum));
    }
    const total = sums.sum(keys, BLOCK, (key) => weights[key]);
    for (let key = 0; key < keys; key++) out[first + key] = total === 0 ? 0 : stored(divide(weights[key], total));
  }
  return { out };
};

const attentionValues: EmulatedKernel = (inputs, dims, _, arithmetic) => {
  const { batch, pos, keys, key_stride, n_heads, n_key_value_heads, d_head } = dims;
  const out = new Float32Array(batch * pos * n_heads * d_head);
  multiply(arithmetic, {
    ...{ groups: batch * n_heads, rows: pos, columns: d_head, depth: keys, bStride: n_key_value_heads * d_head },
    ...{ a: floats(inputs, 'pattern'), b: floats(inputs, 'v') },
    aFirst: (group, row) => (group * pos + row) * keys,
    bFirst: (group, column) => {
      const valueHead = keyValueHead(group % n_heads, n_heads, n_key_value_heads);
      return (Math.floor(group / n_heads) * key_stride * n_key_value_heads + valueHead) * d_head + column;
    },
    store: (group, row, column, sum) => {
      out[((Math.floor(group / n_heads) * pos + row) * n_heads + (group % n_heads)) * d_head + column] = stored(sum);
    },
  });
  return { out };
};

/** Heads are the blocks of the sum: each head's part is a value (result), and counts as it is stored. */
const outputProjection: EmulatedKernel = (inputs, { n_heads, d_head, d_model, d_model_vec4 }, _, arithmetic) => {
  const [z, W_O, b_O] = [floats(inputs, 'z'), floats(inputs, 'W_O'), optional(inputs, 'b_O')];
  const given = optional(inputs, 'given_result');
  const rows = z.length / (n_heads * d_head);
  const result = new Float32Array(rows * n_heads * d_model);
  multiply(arithmetic, {
    ...{ groups: n_heads, rows, columns: d_model, depth: d_head, a: z, b: W_O, bStride: 4 * d_model_vec4 },
    block: d_head,
    aFirst: (head, row) => (row * n_heads + head) * d_head,
    bFirst: (head, column) => head * d_head * 4 * d_model_vec4 + column,
    store: (head, row, column, sum) => {
      result[(row * n_heads + head) * d_model + column] = stored(sum);
    },
  });
  const heads = given ?? result;
  const sums = new Sums(arithmetic, n_heads);
  const out = Float32Array.from({ length: rows * d_model }, (_, i) => {
    const [row, column] = [Math.floor(i / d_model), i % d_model];
    const total = sums.sum(n_heads, 1, (head) => heads[(row * n_heads + head) * d_model + column]);
    return stored(b_O ? arithmetic.round(total + b_O[column]) : total);
  });
  return { result, out };
};

/** Copies, so it leaves alone what the cache holds elsewhere: zeros here. */
const cacheAppend: EmulatedKernel = (inputs, { batch, pos, key_stride, n_key_value_heads, d_head }) => {
  const [x, firstPos] = [floats(inputs, 'x'), integers(inputs, 'first_pos')];
  const width = n_key_value_heads * d_head;
  const cache = new Float32Array(batch * key_stride * width);
  for (let row = 0; row < batch * pos; row++) {
    const b = Math.floor(row / pos);
    const position = firstPos[b] + (row % pos);
    if (position < key_stride) {
      cache.set(x.subarray(row * width, (row + 1) * width), (b * key_stride + position) * width);
    }
  }
  return { cache };
};

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const GELU_NEW = [Math.fround(2 * SQRT_2_OVER_PI * 0.044715), Math.fround(2 * SQRT_2_OVER_PI)];

/** Activation functions by name. */
const ACTIVATIONS: Readonly<Record<string, (x: number, arithmetic: Arithmetic) => number>> = {
  relu: (x) => (x > 0 || Number.isNaN(x) ? x : 0),
  silu: (x, { round }) => round(x * sigmoid(x)),
  gelu: (x, { round }) => round(x * normalCumulative(x)),
  gelu_new: (x, { round }) => {
    const inner = round(round(round(x * x) * GELU_NEW[0]) + GELU_NEW[1]);
    return round(x * sigmoid(round(x * inner)));
  },
};

const activation: EmulatedKernel = (inputs, { d_mlp }, { actFn }, arithmetic) => {
  const { round } = arithmetic;
  const act = ACTIVATIONS[String(actFn)];
  const [preLinear, bias] = [optional(inputs, 'pre_linear'), optional(inputs, 'b_in')];
  const given = optional(inputs, 'given_gate');
  const gate = given
    ? new Float32Array(given)
    : Float32Array.from(floats(inputs, 'pre'), (x) => stored(act(x, arithmetic)));
  const post = gate.map((activated, i) => {
    if (!preLinear) return activated;
    const product = round(activated * preLinear[i]);
    return stored(bias ? round(product + bias[i % d_mlp]) : product);
  });
  return { gate, post };
};

const softCap: EmulatedKernel = (inputs, _, { cap }, { round }) => {
  const limit = Math.fround(Number(cap));
  return {
    out: Float32Array.from(floats(inputs, 'x'), (x) => stored(round(limit * hyperbolicTangent(divide(x, limit))))),
  };
};

const unembed: EmulatedKernel = (inputs, dims, { firstColumn }, arithmetic) => {
  const { d_model, d_vocab_out, d_vocab_total, row_stride } = dims;
  const [x, W_U, b_U] = [floats(inputs, 'x'), floats(inputs, 'W_U'), optional(inputs, 'b_U')];
  const rows = x.length / d_model;
  const out = new Float32Array(rows * d_vocab_total);
  multiply(arithmetic, {
    ...{ groups: 1, rows, columns: d_vocab_out, depth: d_model, a: x, b: W_U, bStride: 1 },
    aFirst: (_group, row) => row * d_model,
    bFirst: (_group, column) => column * row_stride,
    store: (_group, row, column, sum) => {
      const at = Number(firstColumn) + column;
      out[row * d_vocab_total + at] = stored(b_U ? arithmetic.round(sum + b_U[at]) : sum);
    },
  });
  return { out };
};

/** By the name of the kernel. */
export const FORWARD_KERNELS: Readonly<Record<string, EmulatedKernel>> = {
  token_embedding: tokenEmbedding,
  position_embedding: positionEmbedding,
  add,
  norm,
  matmul,
  head_projection: headProjection,
  copy_heads: copyHeads,
  rotary,
  attention_scores: attentionScores,
  attention_pattern: attentionPattern,
  attention_values: attentionValues,
  output_projection: outputProjection,
  cache_append: cacheAppend,
  activation,
  soft_cap: softCap,
  unembed,
};
