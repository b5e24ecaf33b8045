import { expect, test } from 'vitest';
import { type ModelConfig, weightSpecs } from '../../src/engine/config.ts';
import { type ReferenceValue, referenceForward, referenceValues } from '../../src/numerics/reference.ts';
import { readJsonFixture } from '../fixtures.ts';
import { GOLDEN_TOKENS } from '../models/goldens.ts';
import { readTensors } from '../tensors.ts';

// The models of test/goldens, as their config.json has them. TransformerLens's defaults fill in the rest.
const gpt2: ModelConfig = {
  modelType: 'hooked_transformer',
  nLayers: 2,
  dModel: 32,
  nCtx: 16,
  nHeads: 4,
  nKeyValueHeads: 4,
  dHead: 8,
  dMlp: 64,
  dVocab: 29,
  dVocabOut: 29,
  actFn: 'gelu_new',
  gatedMlp: false,
  attnOnly: false,
  normalizationType: 'LN',
  finalNormalizationType: 'LN',
  eps: 1e-5,
  positionalEmbeddingType: 'standard',
  rotaryDim: 0,
  rotaryBase: 10000,
  attnScale: Math.sqrt(8),
  attnScoresSoftCap: null,
  outputLogitsSoftCap: null,
  tiedEmbedding: false,
  bosTokenId: null,
};
const goldens: Record<string, ModelConfig> = {
  gpt2,
  llama_gqa: {
    ...gpt2,
    nKeyValueHeads: 2,
    actFn: 'silu',
    gatedMlp: true,
    normalizationType: 'RMS',
    finalNormalizationType: 'RMS',
    positionalEmbeddingType: 'rotary',
    rotaryDim: 8,
  },
  relu_nonorm: { ...gpt2, actFn: 'relu', normalizationType: null, finalNormalizationType: null },
};

/** Weights by our names: TransformerLens marks grouped keys and values by an underscore (`_W_K`). */
async function readWeights(model: string): Promise<Map<string, Float32Array>> {
  const tensors = await readTensors(`test/goldens/${model}/model.safetensors`);
  return new Map(
    [...tensors].map(([name, { data }]) => [name.replace(/\._([Wb]_[KV])$/, '.$1'), Float32Array.from(data)]),
  );
}

const isOurs = (name: string) => /ln(1|2|_final)\.hook_out$|mlp\.hook_gate$/.test(name);

for (const [model, config] of Object.entries(goldens)) {
  const folder = `test/goldens/${model}`;

  test(`${model}: values have the names, the order and the shapes of TransformerLens`, async () => {
    const hooks = await readJsonFixture<Record<string, number[]>>(`${folder}/hooks.json`);
    delete hooks.loss;
    const values = referenceForward(config, await readWeights(model), GOLDEN_TOKENS[model]);
    const shapes = [...values.values()].filter(({ name }) => !isOurs(name)).map(({ name, shape }) => [name, shape]);
    expect(shapes).toEqual(Object.entries(hooks));
    for (const { axes, shape, data, bound } of values.values()) {
      expect(axes.length).toBe(shape.length);
      expect(data.length).toBe(shape.reduce((product, length) => product * length, 1));
      expect(bound.length).toBe(data.length);
    }
  });

  test(`${model}: every value agrees with TransformerLens in float64`, async () => {
    const golden = await readTensors(`${folder}/golden.f64.safetensors`);
    const values = referenceForward(config, await readWeights(model), GOLDEN_TOKENS[model]);
    for (const { name, data } of values.values()) {
      if (isOurs(name)) continue;
      const want = golden.get(name)!.data;
      for (let i = 0; i < data.length; i++) {
        const agrees = data[i] === want[i] || Math.abs(data[i] - want[i]) <= 1e-12 * Math.max(1, Math.abs(want[i]));
        if (!agrees) throw new Error(`${name}[${i}]: expected ${want[i]}, got ${data[i]}`);
      }
    }
  });

  test(`${model}: the largest error of PyTorch's float32 is below the largest bound of every value`, async () => {
    const values = referenceForward(config, await readWeights(model), GOLDEN_TOKENS[model]);
    type Errors = { f32_vs_f64: Record<string, [maxAbsolute: number, ...rest: unknown[]]> };
    const { f32_vs_f64: errors } = await readJsonFixture<Errors>(`${folder}/torch-f32-error.json`);
    for (const { name, bound } of values.values()) {
      if (isOurs(name)) continue;
      const largest = bound.reduce((a, b) => Math.max(a, b), 0);
      expect(largest, name).toBeGreaterThanOrEqual(errors[name][0]);
    }
  });
}

/** Deterministic weights of about the size of a trained model's, norm gains near 1. */
function someWeights(config: ModelConfig): Map<string, Float32Array> {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return new Map(
    weightSpecs(config).map(({ name, shape }) => {
      const size = shape.reduce((product, length) => product * length, 1);
      const offset = /ln.*\.w$/.test(name) ? 1 : 0;
      return [name, Float32Array.from({ length: size }, () => offset + 0.3 * uniform())];
    }),
  );
}

const tokens = [
  [3, 1, 4, 1, 5, 9, 2],
  [2, 7, 1, 8, 2, 8, 1],
];

function greatestDifference(a: ReferenceValue, b: ReferenceValue): number {
  return a.data.reduce((most, value, i) => Math.max(most, value === b.data[i] ? 0 : Math.abs(value - b.data[i])), 0);
}

test('a model of one layer and one head gives the values computed by hand', () => {
  const config: ModelConfig = {
    ...gpt2,
    nLayers: 1,
    dModel: 2,
    nCtx: 2,
    nHeads: 1,
    nKeyValueHeads: 1,
    dHead: 1,
    dMlp: 1,
    dVocab: 2,
    dVocabOut: 2,
    actFn: 'relu',
    normalizationType: 'LN',
    finalNormalizationType: null,
    eps: 3,
    attnScale: 2,
  };
  const weights = new Map(
    Object.entries({
      'embed.W_E': [0, 2, 3, 1],
      'pos_embed.W_pos': [0, 0, 1, -1],
      'blocks.0.ln1.w': [4, 2],
      'blocks.0.ln1.b': [0, 1],
      'blocks.0.attn.W_Q': [1, 0],
      'blocks.0.attn.b_Q': [3],
      'blocks.0.attn.W_K': [0, 1],
      'blocks.0.attn.W_V': [1, 1],
      'blocks.0.attn.W_O': [8, -8],
      'blocks.0.attn.b_O': [0, 1],
      'blocks.0.ln2.w': [1, 1],
      'blocks.0.mlp.W_in': [1, 0],
      'blocks.0.mlp.b_in': [1],
      'blocks.0.mlp.W_out': [2, 0],
      'unembed.W_U': [1, 0, 0, 1],
    }).map(([name, data]) => [name, Float32Array.from(data)]),
  );
  const values = referenceForward(config, weights, [[0, 1]]);
  const data = (name: string) => [...values.get(name)!.data];
  // Embeddings (0, 2) and (3, 1) plus positions (0, 0) and (1, −1).
  expect(data('hook_embed')).toEqual([0, 2, 3, 1]);
  expect(data('hook_pos_embed')).toEqual([0, 0, 1, -1]);
  expect(data('blocks.0.hook_resid_pre')).toEqual([0, 2, 4, 0]);
  // Means 1 and 2, centred (−1, 1) and (2, −2), variances 1 and 4, plus 3, square roots 2 and √7.
  expect(data('blocks.0.ln1.hook_scale')).toEqual([2, Math.sqrt(7)]);
  const n = 2 / Math.sqrt(7);
  expect(data('blocks.0.ln1.hook_normalized')).toEqual([-0.5, 0.5, n, -n]);
  // Times (4, 2) plus (0, 1): (−2, 2) and (4n, 1 − 2n).
  expect(data('blocks.0.ln1.hook_out')).toEqual([-2, 2, 4 * n, 1 - 2 * n]);
  // q = first + 3, k = second, v = their sum.
  expect(data('blocks.0.attn.hook_q')).toEqual([1, 4 * n + 3]);
  expect(data('blocks.0.attn.hook_k')).toEqual([2, 1 - 2 * n]);
  expect(data('blocks.0.attn.hook_v')).toEqual([0, 4 * n + (1 - 2 * n)]);
  // q·k / 2; the first query does not see the second key.
  const [s10, s11] = [4 * n + 3, ((4 * n + 3) * (1 - 2 * n)) / 2];
  expect(data('blocks.0.attn.hook_attn_scores')).toEqual([1, Number.NEGATIVE_INFINITY, s10, s11]);
  // softmax(a, b) = (1 − p, p) with p = 1 / (1 + e^(a − b)).
  const p = 1 / (1 + Math.exp(s10 - s11));
  const pattern = data('blocks.0.attn.hook_pattern');
  expect(pattern.slice(0, 2)).toEqual([1, 0]);
  expect(pattern[2]).toBeCloseTo(1 - p, 14);
  expect(pattern[3]).toBeCloseTo(p, 14);
  // z = 0 and p·(1 + 2n); result = (8z, −8z); attn_out adds (0, 1).
  const z = p * (1 + 2 * n);
  const close = (name: string, want: number[]) =>
    data(name).forEach((got, i) => {
      expect(got, `${name}[${i}]`).toBeCloseTo(want[i], 13);
    });
  close('blocks.0.attn.hook_z', [0, z]);
  close('blocks.0.attn.hook_result', [0, 0, 8 * z, -8 * z]);
  close('blocks.0.hook_attn_out', [0, 1, 8 * z, 1 - 8 * z]);
  close('blocks.0.hook_resid_mid', [0, 3, 4 + 8 * z, 1 - 8 * z]);
  // ln2: centred (−1.5, 1.5), variance 2.25, scale √5.25; centred (d, −d) with d = (3 + 16z)/2, scale √(d² + 3).
  const d = (3 + 16 * z) / 2;
  close('blocks.0.ln2.hook_scale', [Math.sqrt(5.25), Math.sqrt(d * d + 3)]);
  // pre = first + 1, post = max(pre, 0), mlp_out = (2·post, 0).
  const post = [1 - 1.5 / Math.sqrt(5.25), 1 + d / Math.sqrt(d * d + 3)];
  close('blocks.0.mlp.hook_pre', post);
  close('blocks.0.mlp.hook_post', post);
  close('blocks.0.hook_mlp_out', [2 * post[0], 0, 2 * post[1], 0]);
  close('logits', [2 * post[0], 3, 4 + 8 * z + 2 * post[1], 1 - 8 * z]);
});

test('a bound is the one computed by hand', () => {
  const config: ModelConfig = {
    ...gpt2,
    nLayers: 0,
    dModel: 2,
    nCtx: 1,
    dVocab: 1,
    dVocabOut: 1,
    normalizationType: null,
    finalNormalizationType: null,
  };
  const weights = new Map(
    Object.entries({ 'embed.W_E': [1, 2], 'pos_embed.W_pos': [1, -5], 'unembed.W_U': [3, -4], 'unembed.b_U': [1] }).map(
      ([name, data]) => [name, Float32Array.from(data)],
    ),
  );
  const values = referenceForward(config, weights, [[0]]);
  const u = 2 ** -24;
  const expectBound = (name: string, want: number[]) =>
    want.forEach((bound, i) => {
      expect(values.get(name)!.bound[i] / bound, `${name}[${i}]`).toBeCloseTo(1, 5);
    });
  // Weights are exact; the sum (2, −3) is rounded once.
  expect([...values.get('hook_embed')!.bound]).toEqual([0, 0]);
  expectBound('unembed.hook_in', [2 * u, 3 * u]);
  // 2·3 + 3·4 + 1 = 19. Products meet 1 rounding of their own, 2 + 1 + 1 of segment, block and total, and the bias's: 6u·18.
  // The bias meets 1: u. Inherited: 2u·3 + 3u·4 = 18u.
  expect([...values.get('logits')!.data]).toEqual([19]);
  expectBound('logits', [(6 * 18 + 1 + 18) * u]);
});

test('rows of a pattern sum to 1, and keys after the query have none of it', () => {
  const values = referenceForward(gpt2, someWeights(gpt2), tokens);
  for (let layer = 0; layer < gpt2.nLayers; layer++) {
    const pattern = values.get(`blocks.${layer}.attn.hook_pattern`)!;
    const scores = values.get(`blocks.${layer}.attn.hook_attn_scores`)!;
    const pos = pattern.shape[3];
    for (let row = 0; row < pattern.data.length / pos; row++) {
      const cells = pattern.data.subarray(row * pos, (row + 1) * pos);
      expect(cells.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 14);
      for (let key = (row % pos) + 1; key < pos; key++) {
        const at = row * pos + key;
        expect([pattern.data[at], pattern.bound[at]]).toEqual([0, 0]);
        expect([scores.data[at], scores.bound[at]]).toEqual([Number.NEGATIVE_INFINITY, 0]);
      }
    }
  }
});

test('the residual stream is the sum of what was written to it', () => {
  const values = referenceForward(gpt2, someWeights(gpt2), tokens);
  const read = (name: string) => values.get(name)!.data;
  const written = ['hook_embed', 'hook_pos_embed'];
  for (let layer = 0; layer < gpt2.nLayers; layer++)
    written.push(`blocks.${layer}.hook_attn_out`, `blocks.${layer}.hook_mlp_out`);
  read(`blocks.${gpt2.nLayers - 1}.hook_resid_post`).forEach((got, i) => {
    expect(got).toBeCloseTo(
      written.reduce((sum, name) => sum + read(name)[i], 0),
      12,
    );
  });
});

test('a sequence gives the same values alone, in a batch and as the start of a longer one', () => {
  for (const config of Object.values(goldens)) {
    const weights = someWeights(config);
    const batched = referenceForward(config, weights, tokens).get('logits')!;
    const prefix = referenceForward(config, weights, [tokens[1].slice(0, 4)]).get('logits')!;
    const start = batched.data.length / 2;
    expect([...batched.data.slice(start, start + prefix.data.length)]).toEqual([...prefix.data]);
    expect([...batched.bound.slice(start, start + prefix.bound.length)]).toEqual([...prefix.bound]);
  }
});

test('attention-only models have no MLP, no ln2 and no hook_resid_mid', () => {
  const config: ModelConfig = { ...gpt2, attnOnly: true, dMlp: 0, nLayers: 1 };
  const values = referenceForward(config, someWeights(config), tokens);
  expect([...values.keys()].slice(-11)).toEqual([
    'blocks.0.attn.hook_pattern',
    'blocks.0.attn.hook_z',
    'blocks.0.attn.hook_result',
    'blocks.0.hook_attn_out',
    'blocks.0.hook_resid_post',
    'ln_final.hook_scale',
    'ln_final.hook_normalized',
    'ln_final.hook_out',
    'unembed.hook_in',
    'unembed.hook_out',
    'logits',
  ]);
  const read = (name: string) => values.get(name)!.data;
  read('blocks.0.hook_resid_post').forEach((got, i) => {
    expect(got).toBe(read('blocks.0.hook_resid_pre')[i] + read('blocks.0.hook_attn_out')[i]);
  });
});

test('norms without weights equal norms with gain 1 and bias 0', () => {
  for (const type of ['LN', 'RMS'] as const) {
    const config: ModelConfig = { ...gpt2, normalizationType: type, finalNormalizationType: type };
    const weights = someWeights(config);
    for (const name of weights.keys()) {
      if (/ln.*\.w$/.test(name)) weights.set(name, new Float32Array(config.dModel).fill(1));
      if (/ln.*\.b$/.test(name)) weights.delete(name);
    }
    const pre: ModelConfig = { ...config, normalizationType: `${type}Pre`, finalNormalizationType: `${type}Pre` };
    const values = referenceForward(pre, weights, tokens);
    expect([...values.keys()].filter((name) => /ln.*hook_out$/.test(name))).toEqual([]);
    expect(greatestDifference(values.get('logits')!, referenceForward(config, weights, tokens).get('logits')!)).toBe(0);
  }
});

test('a tied unembedding is the transpose of the embedding', () => {
  const config: ModelConfig = { ...gpt2, tiedEmbedding: true };
  const weights = someWeights(config);
  const embedding = weights.get('embed.W_E')!;
  const unembedding = new Float32Array(embedding.length);
  for (let token = 0; token < config.dVocab; token++) {
    for (let i = 0; i < config.dModel; i++)
      unembedding[i * config.dVocab + token] = embedding[token * config.dModel + i];
  }
  const untied = new Map([...weights, ['unembed.W_U', unembedding] as const]);
  const values = [referenceForward(config, weights, tokens), referenceForward(gpt2, untied, tokens)];
  expect(greatestDifference(values[0].get('logits')!, values[1].get('logits')!)).toBe(0);
});

test('rotary positions turn the pair (i, i + rotaryDim/2) and pass the rest through', () => {
  const config: ModelConfig = { ...goldens.llama_gqa, rotaryDim: 4, rotaryBase: 100 };
  const values = referenceForward(config, someWeights(config), tokens);
  const before = values.get('blocks.0.attn.hook_k')!.data;
  const after = values.get('blocks.0.attn.hook_rot_k')!;
  const [pos, head] = [3, 1];
  const start = (pos * config.nKeyValueHeads + head) * config.dHead;
  // Angles 3·100^0 = 3 and 3·100^(−2/4) = 0.3.
  const want = [3, 0.3].map((angle, i) => [
    before[start + i] * Math.cos(angle) - before[start + i + 2] * Math.sin(angle),
    before[start + i + 2] * Math.cos(angle) + before[start + i] * Math.sin(angle),
  ]);
  const got = [...after.data.slice(start, start + config.dHead)];
  [want[0][0], want[1][0], want[0][1], want[1][1], ...before.slice(start + 4, start + 8)].forEach((value, i) => {
    expect(got[i]).toBeCloseTo(value, 14);
  });
});

test('soft caps bound scores and logits, and change little when they are far away', () => {
  const weights = someWeights(gpt2);
  const plain = referenceForward(gpt2, weights, tokens);
  const scores = plain.get('blocks.0.attn.hook_attn_scores')!;
  const capped = referenceForward({ ...gpt2, attnScoresSoftCap: 0.5, outputLogitsSoftCap: 2 }, weights, tokens);
  capped.get('blocks.0.attn.hook_attn_scores')!.data.forEach((score, i) => {
    expect(score).toBeCloseTo(
      scores.data[i] === Number.NEGATIVE_INFINITY ? scores.data[i] : 0.5 * Math.tanh(scores.data[i] / 0.5),
      14,
    );
  });
  capped.get('logits')!.data.forEach((logit, i) => {
    expect(logit).toBeCloseTo(2 * Math.tanh(capped.get('unembed.hook_out')!.data[i] / 2), 14);
  });
  const far = referenceForward({ ...gpt2, attnScoresSoftCap: 1e6, outputLogitsSoftCap: 1e6 }, weights, tokens);
  expect(greatestDifference(far.get('logits')!, plain.get('logits')!)).toBeLessThan(1e-9);
});

test('given the values of a float32 run, every bound is of the size of one rounding error', () => {
  for (const config of Object.values(goldens)) {
    const weights = someWeights(config);
    // The best float32 run there is: each value is made from the ones before it and rounded once.
    const run = new Map<string, Float32Array>();
    const pass = referenceValues(config, weights, tokens);
    for (let step = pass.next(); !step.done; step = pass.next(run.get(step.value.name))) {
      run.set(step.value.name, Float32Array.from(step.value.data));
    }
    for (const { name, data, bound } of referenceForward(config, weights, tokens, run).values()) {
      data.forEach((want, i) => {
        const got = run.get(name)![i];
        const within = got === want || Math.abs(got - want) <= bound[i];
        if (!within) throw new Error(`${name}[${i}]: got ${got}, want ${want}, bound ${bound[i]}`);
        if (bound[i] > 1e-4) throw new Error(`${name}[${i}]: value ${want}, bound ${bound[i]}`);
      });
    }
  }
});

test('given an edited value, what follows is that of the edit and what comes before is untouched', () => {
  const weights = someWeights(gpt2);
  const name = 'blocks.0.attn.hook_z';
  const plain = referenceForward(gpt2, weights, tokens);
  // Without head 2's output: the same as zeros in its rows of W_O.
  const edited = plain.get(name)!.data.map((value, i) => (Math.floor(i / gpt2.dHead) % gpt2.nHeads === 2 ? 0 : value));
  const patched = referenceForward(gpt2, weights, tokens, new Map([[name, edited]]));
  const ablated = new Map(weights);
  const headSize = gpt2.dHead * gpt2.dModel;
  ablated.set(
    'blocks.0.attn.W_O',
    weights.get('blocks.0.attn.W_O')!.map((w, i) => (Math.floor(i / headSize) === 2 ? 0 : w)),
  );
  const want = referenceForward(gpt2, ablated, tokens);
  const names = [...plain.keys()];
  for (const before of names.slice(0, names.indexOf(name) + 1)) {
    expect(greatestDifference(patched.get(before)!, plain.get(before)!), before).toBe(0);
  }
  for (const after of names.slice(names.indexOf(name) + 1)) {
    expect(greatestDifference(patched.get(after)!, want.get(after)!), after).toBe(0);
  }
  expect(greatestDifference(patched.get('logits')!, plain.get('logits')!)).toBeGreaterThan(0.01);
});

test('a value given for every hook changes what follows it', () => {
  for (const config of Object.values(goldens)) {
    const weights = someWeights(config);
    const plain = referenceForward(config, weights, tokens);
    for (const { name, data } of plain.values()) {
      if (name === 'logits') continue;
      const changed = referenceForward(config, weights, tokens, new Map([[name, data.map((value) => value * 0.5)]]));
      expect(greatestDifference(changed.get('logits')!, plain.get('logits')!), name).toBeGreaterThan(1e-6);
    }
  }
});

test('a norm whose scale may be all rounding error has no finite bound, and never NaN', () => {
  // Equal elements: the true scale is √eps = 10⁻⁸, while the sum and the mean are rounded near 1000.
  const config: ModelConfig = { ...gpt2, eps: 1e-16 };
  const weights = someWeights(config);
  weights.set('embed.W_E', new Float32Array(config.dVocab * config.dModel).fill(1000.1));
  weights.set('pos_embed.W_pos', new Float32Array(config.nCtx * config.dModel));
  const values = referenceForward(config, weights, tokens);
  expect(values.get('blocks.0.ln1.hook_scale')!.bound[0]).toBe(Number.POSITIVE_INFINITY);
  expect(values.get('logits')!.bound[0]).toBe(Number.POSITIVE_INFINITY);
  for (const { name, data, bound } of values.values()) {
    expect(data.some(Number.isNaN), name).toBe(false);
    expect(
      bound.every((b) => b >= 0),
      name,
    ).toBe(true);
  }
});

test('a weight that is missing or of another size is named', () => {
  const weights = someWeights(gpt2);
  weights.delete('blocks.1.attn.W_O');
  expect(() => referenceForward(gpt2, weights, tokens)).toThrow(
    'reference: the weight blocks.1.attn.W_O [4, 8, 32] is missing.',
  );
  weights.set('blocks.1.attn.W_O', new Float32Array(3));
  expect(() => referenceForward(gpt2, weights, tokens)).toThrow(
    'reference: expected 1024 elements for the weight blocks.1.attn.W_O [4, 8, 32], got 3.',
  );
});

test('a given value of an unknown name or another size is named', () => {
  const run = (name: string) => () => referenceForward(gpt2, someWeights(gpt2), tokens, new Map([[name, [1, 2]]]));
  expect(run('blocks.2.hook_resid_pre')).toThrow(
    'reference: given values that this model does not have: blocks.2.hook_resid_pre.',
  );
  expect(run('hook_embed')).toThrow('reference: expected 448 elements for the given hook_embed [2, 7, 32], got 2.');
});

test('tokens that the model cannot take are named', () => {
  const weights = someWeights(gpt2);
  const run = (rowsOfTokens: number[][]) => () => referenceForward(gpt2, weights, rowsOfTokens);
  expect(run([])).toThrow('tokens: expected rows of one length, at least 1; got lengths none.');
  expect(run([[1, 2], [3]])).toThrow('tokens: expected rows of one length, at least 1; got lengths 2, 1.');
  expect(run([[0, 29, -1]])).toThrow('tokens: expected integers from 0 to 28, got 29, -1.');
  expect(run([Array(17).fill(0)])).toThrow('tokens: expected at most 16 per row (n_ctx), got 17.');
});
