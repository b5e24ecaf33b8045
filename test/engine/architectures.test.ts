import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { transpose } from '../../src/engine/architectures/architecture.ts';
import { gpt2 } from '../../src/engine/architectures/gpt2.ts';
import { hookedTransformer } from '../../src/engine/architectures/hooked_transformer.ts';
import { architectureOf, type LoadedWeight } from '../../src/engine/architectures/index.ts';
import { llama } from '../../src/engine/architectures/llama.ts';
import { type Checkpoint, type MemoryTensor, memoryCheckpoint, openCheckpoint } from '../../src/engine/checkpoint.ts';
import { weightSpecs } from '../../src/engine/config.ts';
import { elementCount } from '../../src/engine/dtypes.ts';
import { loadWeights, parseConfig } from '../architectures.ts';
import { fixtureUrl, sharedExists } from '../fixtures.ts';

type Raw = Record<string, unknown>;

const GPT2: Raw = { model_type: 'gpt2', n_layer: 1, n_embd: 4, n_head: 2, n_positions: 3, n_inner: 5, vocab_size: 7 };
const LLAMA: Raw = {
  model_type: 'llama',
  num_hidden_layers: 1,
  hidden_size: 6,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 2,
  intermediate_size: 5,
  max_position_embeddings: 8,
  vocab_size: 7,
};
const HOOKED: Raw = {
  model_type: 'hooked_transformer',
  n_layers: 1,
  d_model: 6,
  d_head: 2,
  n_heads: 2,
  n_ctx: 4,
  d_vocab: 7,
  act_fn: 'relu',
};
const ARCHITECTURES = { gpt2, llama, hooked_transformer: hookedTransformer };

/** The message of the error that this config gives. */
function problem(raw: Raw): string {
  try {
    parseConfig(raw);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
}

/** All tensors that a model of this config wants, under their first names: element i of each is i. */
function countingTensors(raw: Raw): Record<string, MemoryTensor> {
  const config = parseConfig(raw);
  const map = ARCHITECTURES[raw.model_type as keyof typeof ARCHITECTURES].weightMap(config, raw);
  return Object.fromEntries(
    [...map.values()].map(({ from, shape }) => {
      return [from[0], { shape, data: Float32Array.from({ length: elementCount(shape) }, (_, i) => i) }];
    }),
  );
}

const load = (raw: Raw, tensors: Record<string, MemoryTensor> = countingTensors(raw)) =>
  loadWeights(parseConfig(raw), memoryCheckpoint(raw, tensors));

async function weightsOf(raw: Raw, tensors?: Record<string, MemoryTensor>): Promise<Map<string, LoadedWeight>> {
  const map = new Map<string, LoadedWeight>();
  for await (const weight of load(raw, tensors).weights()) map.set(weight.name, weight);
  return map;
}

describe('choosing an architecture', () => {
  test('model_type says which one', async () => {
    for (const [modelType, architecture] of Object.entries(ARCHITECTURES)) {
      expect(await architectureOf({ model_type: modelType })).toBe(architecture);
      expect(architecture.modelType).toBe(modelType);
    }
  });

  test('an unknown model_type lists those that are supported', async () => {
    await expect(architectureOf({ model_type: 'mamba' })).rejects.toThrow(
      'config: expected a model_type of "gpt2", "llama", "hooked_transformer", got "mamba". See ARCHITECTURE.md for adding one.',
    );
    await expect(architectureOf({})).rejects.toThrow(
      'config: expected a model_type of "gpt2", "llama", "hooked_transformer", got none. See ARCHITECTURE.md for adding one.',
    );
    await expect(architectureOf({ model_type: 'toString' })).rejects.toThrow('got "toString"');
  });
});

describe('every architecture', () => {
  const variants: [string, Raw][] = [
    ['gpt2', GPT2],
    ['gpt2, untied', { ...GPT2, tie_word_embeddings: false }],
    ['llama', LLAMA],
    ['llama, tied', { ...LLAMA, tie_word_embeddings: true }],
    ['llama with attention biases', { ...LLAMA, attention_bias: true }],
    ['hooked_transformer', HOOKED],
    ['hooked_transformer, gated, rotary', { ...HOOKED, gated_mlp: true, positional_embedding_type: 'rotary' }],
    ['hooked_transformer, attn_only', { ...HOOKED, attn_only: true, normalization_type: null }],
  ];

  test.each(variants)('%s: the weight map has each weight that must exist, in its size, and nothing else', (_, raw) => {
    const config = parseConfig(raw);
    const map = ARCHITECTURES[raw.model_type as keyof typeof ARCHITECTURES].weightMap(config, raw);
    const specs = new Map(weightSpecs(config).map((spec) => [spec.name, spec]));
    for (const spec of specs.values()) if (!spec.optional) expect(map.has(spec.name), spec.name).toBe(true);
    const sharedTensors = new Map<string, number>(); // c_attn holds three weights
    for (const { from } of map.values()) sharedTensors.set(from[0], (sharedTensors.get(from[0]) ?? 0) + 1);
    for (const [name, { from, shape }] of map) {
      const spec = specs.get(name);
      expect(spec, name).toBeDefined();
      expect(elementCount(shape)).toBe(elementCount(spec?.shape ?? []) * (sharedTensors.get(from[0]) ?? 0));
    }
  });

  test.each(variants)('%s: weights come tensor by tensor, one read at a time, whole', async (_, raw) => {
    const config = parseConfig(raw);
    let reads = 0;
    const memory = memoryCheckpoint(raw, countingTensors(raw));
    const counted: Checkpoint = {
      ...memory,
      async *read(wanted) {
        for await (const tensor of memory.read(wanted)) {
          reads++;
          yield tensor;
        }
      },
    };
    const { weights, warnings, sizeBytes } = loadWeights(config, counted);
    expect(reads).toBe(0);
    expect(warnings).toEqual([]);
    let total = 0;
    const names: string[] = [];
    for await (const { name, shape, data } of weights()) {
      names.push(name);
      expect(data.length, name).toBe(elementCount(shape));
      expect(reads).toBeLessThanOrEqual(names.length);
      total += data.byteLength;
    }
    expect(names.toSorted()).toEqual(
      weightSpecs(config)
        .map(({ name }) => name)
        .toSorted(),
    );
    expect(total).toBe(sizeBytes);
  });

  test.each(variants)('%s: each missing tensor is an error, each extra one a warning', (_, raw) => {
    const tensors = countingTensors(raw);
    for (const name of Object.keys(tensors)) {
      const { [name]: _, ...rest } = tensors;
      const optional = raw.model_type === 'hooked_transformer' && /\.b(_\w+)?$/.test(name);
      if (optional) load(raw, rest);
      else expect(() => load(raw, rest)).toThrow(name);
    }
    const extra = { ...tensors, 'something.else': { shape: [1], data: new Float32Array(1) } };
    expect(load(raw, extra).warnings).toEqual([
      `${raw.model_type}: tensors that the model does not use: something.else`,
    ]);
  });

  test.each(variants)('%s: any odd value gives a config or one error of ours', (_, raw) => {
    const odd = fc.oneof(fc.jsonValue(), fc.integer({ min: -3, max: 9 }), fc.double(), fc.constant(null), fc.boolean());
    const keys = [
      ...Object.keys(raw).filter((key) => key !== 'model_type'),
      'n_key_value_heads',
      'rope_parameters',
      'x',
    ];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), odd, { maxKeys: 3 }), (changes) => {
        const message = problem({ ...raw, ...changes });
        if (message !== 'no error') expect(message.startsWith(`${raw.model_type}: config values`)).toBe(true);
        else {
          const { nLayers, dModel, nHeads, nKeyValueHeads, dHead } = parseConfig({ ...raw, ...changes });
          for (const size of [nLayers, dModel, nHeads, nKeyValueHeads, dHead, nHeads / nKeyValueHeads]) {
            expect(Number.isSafeInteger(size) && size > 0).toBe(true);
          }
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe('gpt2 configs', () => {
  test('are read key by key', () => {
    expect(parseConfig({ ...GPT2, activation_function: 'gelu', layer_norm_epsilon: 1e-6, bos_token_id: 6 })).toEqual({
      modelType: 'gpt2',
      nLayers: 1,
      dModel: 4,
      nCtx: 3,
      nHeads: 2,
      nKeyValueHeads: 2,
      dHead: 2,
      dMlp: 5,
      dVocab: 7,
      dVocabOut: 7,
      actFn: 'gelu',
      gatedMlp: false,
      attnOnly: false,
      normalizationType: 'LN',
      finalNormalizationType: 'LN',
      eps: 1e-6,
      positionalEmbeddingType: 'standard',
      rotaryDim: 0,
      rotaryBase: 0,
      attnScale: Math.SQRT2,
      attnScoresSoftCap: null,
      outputLogitsSoftCap: null,
      tiedEmbedding: true,
      bosTokenId: 6,
    });
  });

  test('have defaults: gelu_new, 1e-5, an MLP of four times d_model, n_ctx as an older name', () => {
    const { n_positions: _, ...older } = { ...GPT2, n_inner: null, n_ctx: 9 } as Raw;
    expect(parseConfig(older)).toMatchObject({ actFn: 'gelu_new', eps: 1e-5, dMlp: 16, nCtx: 9, bosTokenId: null });
    expect(parseConfig({ ...GPT2, n_ctx: 9 }).nCtx).toBe(3);
    expect(parseConfig({ ...GPT2, scale_attn_weights: false }).attnScale).toBe(1);
  });

  test('may name a BOS of another vocabulary, which is none here', () => {
    expect(parseConfig({ ...GPT2, bos_token_id: 50256 }).bosTokenId).toBe(null);
  });

  test.each([
    ['gelu_new', 'gelu_new'],
    ['gelu_pytorch_tanh', 'gelu_new'],
    ['gelu_fast', 'gelu_new'],
    ['gelu', 'gelu'],
    ['relu', 'relu'],
    ['swish', 'silu'],
    ['silu', 'silu'],
  ])('call the activation %s, we %s', (theirs, ours) => {
    expect(parseConfig({ ...GPT2, activation_function: theirs }).actFn).toBe(ours);
  });

  test('with values that are not supported list all of them', () => {
    const raw = {
      ...GPT2,
      scale_attn_by_inverse_layer_idx: true,
      add_cross_attention: true,
      activation_function: 'mish',
      quantization_config: { bits: 4 },
      pruned_heads: { 0: [1] },
      attention_sinks: 4,
    };
    expect(problem(raw)).toBe(
      'gpt2: config values not supported: {"quantization_config": {"bits":4}, "add_cross_attention": true, ' +
        '"pruned_heads": {"0":[1]}, "scale_attn_by_inverse_layer_idx": true, "activation_function": "mish", "attention_sinks": 4}.\n' +
        '- quantization_config: expected null\n' +
        '- add_cross_attention: expected false\n' +
        '- pruned_heads: expected null or {}\n' +
        '- scale_attn_by_inverse_layer_idx: expected false\n' +
        '- activation_function: expected one of gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, silu, swish\n' +
        '- attention_sinks: not a key that this engine knows\n' +
        'Take a key out of config.json only if it does not change what the model computes.',
    );
  });

  test('with sizes that are missing, wrong or do not go together list all of them', () => {
    const raw = { model_type: 'gpt2', n_embd: 6, n_head: 4, n_layer: 0, n_positions: 2.5, vocab_size: '7' };
    expect(problem(raw)).toBe(
      'gpt2: config values not supported: {"n_embd": 6, "n_head": 4, "vocab_size": "7", "n_layer": 0, "n_positions": 2.5}.\n' +
        '- n_embd, n_head: expected n_embd to be a multiple of n_head\n' +
        '- vocab_size: expected a positive integer\n' +
        '- n_layer: expected a positive integer\n' +
        '- n_positions: expected a positive integer\n' +
        'Take a key out of config.json only if it does not change what the model computes.',
    );
    expect(problem({ model_type: 'gpt2' })).toBe(
      'gpt2: config values missing: n_embd, n_head, vocab_size, n_layer, n_positions.\n' +
        '- n_embd: expected a positive integer\n' +
        '- n_head: expected a positive integer\n' +
        '- vocab_size: expected a positive integer\n' +
        '- n_layer: expected a positive integer\n' +
        '- n_positions: expected a positive integer\n' +
        'Take a key out of config.json only if it does not change what the model computes.',
    );
  });
});

describe('gpt2 weights', () => {
  test('of attention come out of c_attn [d_model, 3 · d_model] by head', async () => {
    const weights = await weightsOf(GPT2); // d_model 4, 2 heads of 2; c_attn's element [m][c] is 12 m + c
    // W_Q[h][m][i] = c_attn[m][h·2 + i] = 12 m + 2 h + i
    expect([...(weights.get('blocks.0.attn.W_Q')?.data ?? [])]).toEqual([
      0, 1, 12, 13, 24, 25, 36, 37, 2, 3, 14, 15, 26, 27, 38, 39,
    ]);
    // W_K starts at column 4, W_V at column 8
    expect([...(weights.get('blocks.0.attn.W_K')?.data ?? [])]).toEqual([
      4, 5, 16, 17, 28, 29, 40, 41, 6, 7, 18, 19, 30, 31, 42, 43,
    ]);
    expect([...(weights.get('blocks.0.attn.W_V')?.data ?? [])]).toEqual([
      8, 9, 20, 21, 32, 33, 44, 45, 10, 11, 22, 23, 34, 35, 46, 47,
    ]);
    expect([...(weights.get('blocks.0.attn.b_Q')?.data ?? [])]).toEqual([0, 1, 2, 3]);
    expect([...(weights.get('blocks.0.attn.b_K')?.data ?? [])]).toEqual([4, 5, 6, 7]);
    expect([...(weights.get('blocks.0.attn.b_V')?.data ?? [])]).toEqual([8, 9, 10, 11]);
    expect(weights.get('blocks.0.attn.W_Q')).toMatchObject({
      shape: [2, 4, 2],
      axes: ['n_heads', 'd_model', 'd_head'],
    });
  });

  test('that are matrices keep their order: Conv1D is [in, out] already', async () => {
    const weights = await weightsOf(GPT2);
    for (const name of [
      'embed.W_E',
      'pos_embed.W_pos',
      'blocks.0.attn.W_O',
      'blocks.0.mlp.W_in',
      'blocks.0.mlp.W_out',
    ]) {
      const { data = new Float32Array(1), shape = [] } = weights.get(name) ?? {};
      expect([...data]).toEqual(Array.from({ length: elementCount(shape) }, (_, i) => i));
    }
  });

  test('may be untied: W_U is lm_head transposed', async () => {
    const weights = await weightsOf({ ...GPT2, tie_word_embeddings: false });
    const { data, shape } = weights.get('unembed.W_U') ?? {};
    expect(shape).toEqual([4, 7]);
    expect([...(data ?? [])].slice(0, 8)).toEqual([0, 4, 8, 12, 16, 20, 24, 1]); // lm_head[v][m] = 4 v + m
  });

  test('may have names without "transformer."', async () => {
    const withPrefix = countingTensors(GPT2);
    const without = Object.fromEntries(
      Object.entries(withPrefix).map(([name, t]) => [name.replace('transformer.', ''), t]),
    );
    expect(load(GPT2, without).warnings).toEqual([]);
    expect([...(await weightsOf(GPT2, without))]).toEqual([...(await weightsOf(GPT2, withPrefix))]);
  });

  test('have no unembedding bias: it is zero, and said to be absent', async () => {
    const bias = (await weightsOf(GPT2)).get('unembed.b_U');
    expect(bias).toMatchObject({ absent: true, shape: [7], data: new Float32Array(7) });
    expect((await weightsOf(GPT2)).get('blocks.0.attn.b_O')?.absent).toBe(false);
  });

  test('may stand beside masks and a copy of the embedding, of which nobody hears', () => {
    const one = { shape: [1], data: new Float32Array(1) };
    const names = ['transformer.h.0.attn.bias', 'h.0.attn.bias', 'transformer.h.0.attn.masked_bias', 'lm_head.weight'];
    const buffers = Object.fromEntries(names.map((name) => [name, one]));
    expect(load(GPT2, { ...countingTensors(GPT2), ...buffers }).warnings).toEqual([]);
  });

  test('that are missing, misshapen or integers are all listed, before anything is read', () => {
    const all = countingTensors(GPT2);
    const { 'transformer.ln_f.bias': _, 'transformer.h.0.attn.c_attn.weight': __, ...tensors } = all;
    tensors['transformer.wpe.weight'] = { shape: [4, 3], data: new Float32Array(12) };
    const memory = memoryCheckpoint(GPT2, tensors);
    const changed: Checkpoint = {
      ...memory,
      read: () => {
        throw new Error('nothing should be read');
      },
      tensors: new Map(
        [...memory.tensors].map(([name, tensor]) => {
          const dtype = name === 'transformer.wte.weight' ? 'I8' : tensor.dtype;
          return [name, { ...tensor, dtype }];
        }),
      ),
    };
    expect(() => loadWeights(parseConfig(GPT2), changed)).toThrow(
      new Error(
        'gpt2: the tensors do not fit config.json (tensors in memory):\n' +
          '- "transformer.wte.weight": expected one of F32, F16, BF16, F64, got I8\n' +
          '- "transformer.wpe.weight": expected shape [3, 4], got [4, 3]\n' +
          '- "transformer.h.0.attn.c_attn.weight" or "h.0.attn.c_attn.weight": expected a tensor [4, 12], got none\n' +
          '- "transformer.ln_f.bias" or "ln_f.bias": expected a tensor [4], got none',
      ),
    );
  });

  test('in float64 are rounded, with a warning', () => {
    const memory = memoryCheckpoint(GPT2, countingTensors(GPT2));
    const tensors = new Map(memory.tensors);
    const embedding = tensors.get('transformer.wte.weight');
    if (embedding) tensors.set('transformer.wte.weight', { ...embedding, dtype: 'F64' });
    expect(loadWeights(parseConfig(GPT2), { ...memory, tensors }).warnings).toEqual([
      'gpt2: float64 tensors rounded to float32: transformer.wte.weight',
    ]);
  });

  test('stop at an abort', async () => {
    const generator = load(GPT2).weights({ signal: AbortSignal.abort('enough') });
    await expect(generator.next()).rejects.toBe('enough');
  });
});

describe('llama configs', () => {
  test('are read key by key', () => {
    const raw = { ...LLAMA, rope_theta: 5e5, rms_norm_eps: 1e-5, tie_word_embeddings: true, bos_token_id: 1 };
    expect(parseConfig(raw)).toEqual({
      modelType: 'llama',
      nLayers: 1,
      dModel: 6,
      nCtx: 8,
      nHeads: 2,
      nKeyValueHeads: 1,
      dHead: 2,
      dMlp: 5,
      dVocab: 7,
      dVocabOut: 7,
      actFn: 'silu',
      gatedMlp: true,
      attnOnly: false,
      normalizationType: 'RMS',
      finalNormalizationType: 'RMS',
      eps: 1e-5,
      positionalEmbeddingType: 'rotary',
      rotaryDim: 2,
      rotaryBase: 5e5,
      attnScale: Math.SQRT2,
      attnScoresSoftCap: null,
      outputLogitsSoftCap: null,
      tiedEmbedding: true,
      bosTokenId: 1,
    });
  });

  test('have defaults: as many key heads as heads, d_model shared among heads, untied, 1e-6, θ 10,000', () => {
    const { num_key_value_heads: _, head_dim: __, ...raw } = { ...LLAMA, hidden_size: 8 } as Raw;
    expect(parseConfig({ ...raw, head_dim: null })).toMatchObject({
      nKeyValueHeads: 2,
      dHead: 4,
      tiedEmbedding: false,
      eps: 1e-6,
      rotaryBase: 10000,
    });
  });

  test('may give θ in rope_parameters', () => {
    const rope = { rope_type: 'default', rope_theta: 7 };
    expect(parseConfig({ ...LLAMA, rope_parameters: rope }).rotaryBase).toBe(7);
    expect(parseConfig({ ...LLAMA, rope_scaling: { type: 'default' }, rope_theta: 8 }).rotaryBase).toBe(8);
    expect(parseConfig({ ...LLAMA, rope_scaling: null }).rotaryBase).toBe(10000);
  });

  test('with values that are not supported list all of them', () => {
    const raw = {
      ...LLAMA,
      mlp_bias: true,
      sliding_window: 4096,
      partial_rotary_factor: 0.5,
      hidden_act: 'relu2',
      rope_scaling: { rope_type: 'llama3', factor: 8 },
    };
    expect(problem(raw)).toBe(
      'llama: config values not supported: {"mlp_bias": true, "sliding_window": 4096, "partial_rotary_factor": 0.5, ' +
        '"hidden_act": "relu2", "rope_scaling": {"rope_type":"llama3","factor":8}}.\n' +
        '- mlp_bias: expected false\n' +
        '- sliding_window: expected null\n' +
        '- partial_rotary_factor: expected null or 1\n' +
        '- hidden_act: expected one of gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, silu, swish\n' +
        '- rope_scaling: expected rope_type "default" and rope_theta, nothing else\n' +
        'Take a key out of config.json only if it does not change what the model computes.',
    );
  });

  test.each<[Raw, string]>([
    [
      { num_key_value_heads: 4 },
      'num_attention_heads, num_key_value_heads: expected num_attention_heads to be a multiple of num_key_value_heads',
    ],
    [
      { head_dim: null, hidden_size: 7 },
      'hidden_size, num_attention_heads: expected hidden_size to be a multiple of num_attention_heads where there is no head_dim',
    ],
    [{ head_dim: 3 }, 'head_dim: expected an even size of heads (it is rotated in pairs), got 3'],
    [{ rope_theta: -1 }, 'rope_theta: expected a number above 0'],
    [
      { rope_parameters: { rope_type: 'yarn' } },
      'rope_parameters: expected rope_type "default" and rope_theta, nothing else',
    ],
    [{ rope_parameters: 'default' }, 'rope_parameters: expected an object with rope_type "default" and rope_theta'],
    [{ rope_parameters: { rope_theta: '7' } }, 'rope_parameters: expected rope_theta above 0'],
  ])('%j is refused', (changes, line) => {
    expect(problem({ ...LLAMA, ...changes }).split('\n')).toContain(`- ${line}`);
  });
});

describe('llama weights', () => {
  test('of attention are torch.nn.Linear [out, in], transposed head by head', async () => {
    const weights = await weightsOf(LLAMA); // d_model 6, 2 heads of 2, 1 key head; q_proj [4, 6], element [o][m] is 6 o + m
    // W_Q[h][m][i] = q_proj[2 h + i][m] = 6 (2 h + i) + m
    const q = weights.get('blocks.0.attn.W_Q');
    expect(q?.shape).toEqual([2, 6, 2]);
    expect([...(q?.data ?? [])]).toEqual([
      ...[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11],
      ...[12, 18, 13, 19, 14, 20, 15, 21, 16, 22, 17, 23],
    ]);
    const k = weights.get('blocks.0.attn.W_K');
    expect(k?.shape).toEqual([1, 6, 2]);
    expect([...(k?.data ?? [])]).toEqual([0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
    // W_O[h][i][m] = o_proj[m][2 h + i] = 4 m + 2 h + i
    const o = weights.get('blocks.0.attn.W_O');
    expect(o?.shape).toEqual([2, 2, 6]);
    expect([...(o?.data ?? [])]).toEqual([
      ...[0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21],
      ...[2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23],
    ]);
  });

  test('of the MLP and the unembedding are transposed; gate and up are not confused', async () => {
    const tensors = countingTensors(LLAMA);
    tensors['model.layers.0.mlp.gate_proj.weight'] = { shape: [5, 6], data: new Float32Array(30).fill(7) };
    const weights = await weightsOf(LLAMA, tensors);
    expect(new Set(weights.get('blocks.0.mlp.W_gate')?.data)).toEqual(new Set([7]));
    const up = weights.get('blocks.0.mlp.W_in'); // W_in[m][n] = up_proj[n][m] = 6 n + m
    expect(up?.shape).toEqual([6, 5]);
    expect([...(up?.data ?? [])].slice(0, 6)).toEqual([0, 6, 12, 18, 24, 1]);
    const down = weights.get('blocks.0.mlp.W_out'); // W_out[n][m] = down_proj[m][n] = 5 m + n
    expect(down?.shape).toEqual([5, 6]);
    expect([...(down?.data ?? [])].slice(0, 7)).toEqual([0, 5, 10, 15, 20, 25, 1]);
    const unembedding = weights.get('unembed.W_U'); // W_U[m][v] = lm_head[v][m] = 6 v + m
    expect([...(unembedding?.data ?? [])].slice(0, 8)).toEqual([0, 6, 12, 18, 24, 30, 36, 1]);
  });

  test('have biases of attention where the config says so, and must then have all of them', async () => {
    const raw = { ...LLAMA, attention_bias: true };
    const weights = await weightsOf(raw);
    expect([...(weights.get('blocks.0.attn.b_Q')?.data ?? [])]).toEqual([0, 1, 2, 3]);
    expect(weights.get('blocks.0.attn.b_K')).toMatchObject({ shape: [1, 2], absent: false });
    expect(weights.get('blocks.0.attn.b_O')).toMatchObject({ shape: [6], absent: false });
    expect(() => load(raw, countingTensors(LLAMA))).toThrow('self_attn.o_proj.bias": expected a tensor [6], got none');
    expect(load(LLAMA, countingTensors(raw)).warnings[0]).toContain('model.layers.0.self_attn.q_proj.bias');
    expect((await weightsOf(LLAMA)).get('blocks.0.attn.b_Q')?.absent).toBe(true);
  });

  test('may stand beside rotary frequencies and, when tied, lm_head', () => {
    const one = { shape: [1], data: new Float32Array(1) };
    const raw = { ...LLAMA, tie_word_embeddings: true };
    const buffers = { 'model.layers.0.self_attn.rotary_emb.inv_freq': one, 'lm_head.weight': one };
    expect(load(raw, { ...countingTensors(raw), ...buffers }).warnings).toEqual([]);
  });
});

describe('hooked_transformer configs', () => {
  test('have the defaults of TransformerLens', () => {
    const { n_heads: _, ...raw } = HOOKED;
    expect(parseConfig({ ...raw, n_heads: -1, d_vocab_out: -1, attn_scale: -1, output_logits_soft_cap: -1 })).toEqual({
      modelType: 'hooked_transformer',
      nLayers: 1,
      dModel: 6,
      nCtx: 4,
      nHeads: 3,
      nKeyValueHeads: 3,
      dHead: 2,
      dMlp: 24,
      dVocab: 7,
      dVocabOut: 7,
      actFn: 'relu',
      gatedMlp: false,
      attnOnly: false,
      normalizationType: 'LN',
      finalNormalizationType: 'LN',
      eps: 1e-5,
      positionalEmbeddingType: 'standard',
      rotaryDim: 0,
      rotaryBase: 0,
      attnScale: Math.SQRT2,
      attnScoresSoftCap: null,
      outputLogitsSoftCap: null,
      tiedEmbedding: false,
      bosTokenId: null,
    });
    expect(parseConfig(raw)).toEqual(parseConfig({ ...raw, n_heads: -1 }));
  });

  test.each<[Raw, object]>([
    [{ normalization_type: null }, { normalizationType: null, finalNormalizationType: null }],
    [
      { normalization_type: null, final_rms: true },
      { normalizationType: null, finalNormalizationType: null },
    ],
    [{ normalization_type: 'LNPre' }, { normalizationType: 'LNPre', finalNormalizationType: 'LNPre' }],
    [
      { normalization_type: 'LN', final_rms: true },
      { normalizationType: 'LN', finalNormalizationType: 'RMS' },
    ],
    [
      { normalization_type: 'LNPre', final_rms: true },
      { normalizationType: 'LNPre', finalNormalizationType: 'RMSPre' },
    ],
    [{ normalization_type: 'RMS' }, { normalizationType: 'RMS', finalNormalizationType: 'RMS' }],
    [
      { attn_only: true, act_fn: 'solu_ln' },
      { attnOnly: true, dMlp: 0, actFn: 'relu' },
    ],
    [{ positional_embedding_type: 'rotary' }, { rotaryDim: 2, rotaryBase: 10000 }],
    [
      { positional_embedding_type: 'rotary', d_head: 6, rotary_dim: 4, rotary_base: 5 },
      { rotaryDim: 4, rotaryBase: 5 },
    ],
    [{ use_attn_scale: false, attn_scale: 3 }, { attnScale: 1 }],
    [{ attn_scale: 3 }, { attnScale: 3 }],
    [
      { attn_scores_soft_cap: 50, output_logits_soft_cap: 30 },
      { attnScoresSoftCap: 50, outputLogitsSoftCap: 30 },
    ],
    [
      { d_vocab_out: 3, gated_mlp: true, d_mlp: 9, eps: 1e-6 },
      { dVocabOut: 3, gatedMlp: true, dMlp: 9, eps: 1e-6 },
    ],
    [{ n_key_value_heads: 1 }, { nHeads: 2, nKeyValueHeads: 1 }],
    [{ dtype: 'torch.float32', device: 'cuda', seed: 1, init_mode: 'gpt2', use_attn_result: true }, { nHeads: 2 }],
  ])('%j is understood', (changes, expected) => {
    expect(parseConfig({ ...HOOKED, ...changes })).toMatchObject(expected);
  });

  test('with values that are not supported list all of them', () => {
    const raw = {
      ...HOOKED,
      use_local_attn: true,
      parallel_attn_mlp: true,
      attention_dir: 'bidirectional',
      num_experts: 8,
      positional_embedding_type: 'shortformer',
      act_fn: 'solu_ln',
      normalization_type: 'Batch',
    };
    expect(problem(raw)).toBe(
      'hooked_transformer: config values not supported: {"attention_dir": "bidirectional", "use_local_attn": true, ' +
        '"parallel_attn_mlp": true, "num_experts": 8, "normalization_type": "Batch", ' +
        '"positional_embedding_type": "shortformer", "act_fn": "solu_ln"}.\n' +
        '- attention_dir: expected causal\n' +
        '- use_local_attn: expected false\n' +
        '- parallel_attn_mlp: expected false\n' +
        '- num_experts: expected null\n' +
        '- normalization_type: expected one of LN, LNPre, RMS, RMSPre, null\n' +
        '- positional_embedding_type: expected one of standard, rotary\n' +
        '- act_fn: expected one of relu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, silu\n' +
        'Take a key out of config.json only if it does not change what the model computes.',
    );
  });

  test.each<[Raw, string]>([
    [{ act_fn: undefined }, 'act_fn: expected one of relu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, silu'],
    [
      { n_heads: undefined, d_head: 4 },
      'd_model, d_head: expected d_model to be a multiple of d_head where there is no n_heads',
    ],
    [{ n_key_value_heads: 3 }, 'n_heads, n_key_value_heads: expected n_heads to be a multiple of n_key_value_heads'],
    [
      { positional_embedding_type: 'rotary', rotary_dim: 4 },
      'rotary_dim, d_head: expected an even rotary_dim of at most d_head, got 4',
    ],
    [
      { positional_embedding_type: 'rotary', d_head: 3 },
      'rotary_dim, d_head: expected an even rotary_dim of at most d_head, got 3',
    ],
    [{ d_vocab: -1 }, 'd_vocab: expected a positive integer'],
    [{ eps: -1 }, 'eps: expected a number above 0'],
    [{ eps: 1e-60 }, 'eps: expected a number that float32 has, from 1.2e-38 to 3.4e38'],
    [{ eps: 1e-40 }, 'eps: expected a number that float32 has, from 1.2e-38 to 3.4e38'],
    [{ eps: 1e39 }, 'eps: expected a number that float32 has, from 1.2e-38 to 3.4e38'],
    [{ attn_scale: 1e-50 }, 'attn_scale: expected a number that float32 has, from 1.2e-38 to 3.4e38'],
    [{ attn_scale: 3e38 }, 'attn_scale: expected a number whose reciprocal float32 has, up to 8.5e37'],
    [
      { attn_scores_soft_cap: 1e-60 },
      'attn_scores_soft_cap: expected a number that float32 has, from 1.2e-38 to 3.4e38',
    ],
    [
      { output_logits_soft_cap: 1e60 },
      'output_logits_soft_cap: expected a number that float32 has, from 1.2e-38 to 3.4e38',
    ],
    [{ gated_mlp: 'yes' }, 'gated_mlp: expected true or false'],
    [{ use_qk_norm: true }, 'use_qk_norm: expected false'],
    [{ rotary_adjacent_pairs: true }, 'rotary_adjacent_pairs: expected false'],
  ])('%j is refused', (changes, line) => {
    expect(problem({ ...HOOKED, ...changes }).split('\n')).toContain(`- ${line}`);
  });
});

describe('hooked_transformer weights', () => {
  test('come as they are; missing biases are zero', async () => {
    const tensors = Object.fromEntries(
      Object.entries(countingTensors(HOOKED)).filter(([name]) => !/\.b(_\w+)?$/.test(name)),
    );
    const weights = await weightsOf(HOOKED, tensors);
    expect([...(weights.get('blocks.0.attn.W_Q')?.data ?? [])]).toEqual(Array.from({ length: 24 }, (_, i) => i));
    expect(weights.get('blocks.0.ln1.b')).toMatchObject({ absent: true, data: new Float32Array(6) });
  });

  test('of grouped keys and values may have the underscore of TransformerLens', async () => {
    const raw = { ...HOOKED, n_key_value_heads: 1 };
    const grouped = Object.fromEntries(
      Object.entries(countingTensors(raw)).map(([name, t]) => [name.replace(/\.([Wb]_[KV])$/, '._$1'), t]),
    );
    expect(Object.keys(grouped)).toContain('blocks.0.attn._W_K');
    expect(load(raw, grouped).warnings).toEqual([]);
    const weights = await weightsOf(raw, grouped);
    expect(weights.get('blocks.0.attn.W_K')).toMatchObject({ shape: [1, 6, 2], absent: false });
    expect(weights.get('blocks.0.attn.b_V')?.absent).toBe(false);
  });
});

test('transposing twice gives the matrices back', () => {
  const sizes = fc.record({
    batch: fc.integer({ min: 1, max: 3 }),
    rows: fc.integer({ min: 1, max: 5 }),
    columns: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(sizes, ({ batch, rows, columns }) => {
      const data = Float32Array.from({ length: batch * rows * columns }, (_, i) => i);
      const once = transpose(data, { batch, rows, columns });
      expect(once[rows > 1 ? 1 : 0]).toBe(rows > 1 ? columns : 0);
      expect(transpose(once, { batch, rows: columns, columns: rows })).toEqual(data);
    }),
    { seed: 1 },
  );
});

describe('real checkpoints', () => {
  const loads = async (path: string) => {
    const checkpoint = await openCheckpoint(fixtureUrl(path), { checkConfig: (config) => void parseConfig(config) });
    const config = parseConfig(checkpoint.config);
    const { warnings, weights } = loadWeights(config, checkpoint);
    expect(warnings).toEqual([]);
    let nonZero = 0;
    for await (const { name, shape, data, absent } of weights()) {
      expect(data.length, name).toBe(elementCount(shape));
      expect(data.every(Number.isFinite), name).toBe(true);
      if (!absent && data.some((value) => value !== 0)) nonZero++;
    }
    return { config, nonZero };
  };

  test.each([
    ['models/circuit-zoo', { modelType: 'gpt2', nLayers: 4, dHead: 32, bosTokenId: 0 }],
    [
      'models/modular-addition',
      { modelType: 'hooked_transformer', dVocab: 114, dVocabOut: 113, normalizationType: null },
    ],
    ['test/goldens/gpt2', { actFn: 'gelu_new', normalizationType: 'LN' }],
    ['test/goldens/llama_gqa', { nKeyValueHeads: 2, rotaryDim: 8, finalNormalizationType: 'RMS', gatedMlp: true }],
    ['test/goldens/relu_nonorm', { actFn: 'relu', normalizationType: null }],
  ])('%s loads without a warning', async (path, expected) => {
    const { config, nonZero } = await loads(path);
    expect(config).toMatchObject(expected);
    expect(nonZero).toBeGreaterThan(8);
  });

  test.skipIf(!sharedExists).each([
    ['models/stories260K', { modelType: 'llama', nHeads: 8, nKeyValueHeads: 4, tiedEmbedding: true, bosTokenId: 1 }],
    ['models/capp-gpt2', { modelType: 'gpt2', dVocab: 53, bosTokenId: null }],
  ])('../shared/%s loads without a warning', async (path, expected) => {
    const { config, nonZero } = await loads(`../shared/${path}`);
    expect(config).toMatchObject(expected);
    expect(nonZero).toBeGreaterThan(40);
  });
});
