import { describe, expect, test } from 'vitest';
import { dispatchesOf } from '../../src/engine/frame.ts';
import { Model, requestDevice, type Source, writeSafetensors } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl } from '../fixtures.ts';
import { countGpuCalls } from '../gpu_calls.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { normal, seeded } from '../random.ts';
import { firstDifference } from '../tensors.ts';

const zoo = async () => Model.load(fixtureUrl('models/circuit-zoo'), { device: await testDevice() });
const IDS = [0, 407, 440, 337, 1146, 371];

describe('a warm run', () => {
  test('creates no buffer, bind group, pipeline or shader, with captures or without', async () => {
    const model = await zoo();
    const run = async () => {
      await model.run(IDS);
      const { cache } = await model.runWithCache(IDS, { names: 'blocks.*.attn.hook_pattern' });
      await cache.read('blocks.2.attn.hook_pattern');
      cache.destroy();
    };
    await run();
    const { created, submits } = await countGpuCalls(model.device, run);
    expect(created).toBe(0);
    // One command buffer per run, one per value read (logits twice, one pattern).
    expect(submits).toBe(2 + 3);
    model.destroy();
  });

  test('200 runs leave the number of buffers as it was', async () => {
    const model = await zoo();
    const calls = await countGpuCalls(model.device, async (calls) => {
      await model.run(IDS);
      const held = calls.liveBuffers;
      for (let i = 0; i < 200; i++) await model.run(IDS);
      expect(calls.liveBuffers).toBe(held);
    });
    expect(calls.submits).toBe(2 * 201);
    model.destroy();
  });

  test('runs of many lengths do not pile up', async () => {
    const model = await zoo();
    const { memory } = model;
    for (let length = 1; length <= 40; length++) await model.run(IDS.concat(Array(length).fill(5)));
    // At most 16 plans are kept, each with its slots, tokens, first and last positions, scratch and uniforms; and staging buffers of at
    // most 8 sizes.
    const perPlan = model.plan({ pos: 60 }).slots.length + 5;
    expect(model.memory.buffers).toBeLessThanOrEqual(memory.buffers + 16 * perPlan + 8);
    expect(model.memory.buffers).toBeGreaterThan(memory.buffers + 10 * perPlan);
    model.destroy();
    expect(model.memory).toEqual({ buffers: 0, bytes: 0 });
  });
});

describe('what is held', () => {
  test('a model gives all buffers back when it is destroyed, and leaves the device alone', async () => {
    const device = await testDevice();
    const calls = await countGpuCalls(device, async () => {
      const model = await zoo();
      await model.run(IDS);
      const { cache } = await model.runWithCache(IDS);
      await cache.get('logits').stats();
      model.destroy();
    });
    expect(calls.buffers).toBeGreaterThan(60);
    expect(calls.liveBuffers).toBe(0);
    await (await zoo()).run(IDS); // the device still works
  });

  test('two caches of one prompt do not share values, and each can be freed alone', async () => {
    const model = await zoo();
    const first = await model.runWithCache(IDS, { names: 'hook_embed' });
    const second = await model.runWithCache([5, 6, 7, 8, 9, 10], { names: 'hook_embed' });
    const before = (await first.cache.read('hook_embed')).data;
    expect(firstDifference(before, (await second.cache.read('hook_embed')).data)).not.toBe(-1);
    second.cache.destroy();
    const third = await model.runWithCache([5, 6, 7, 8, 9, 11], { names: 'hook_embed' });
    expect(firstDifference(before, (await first.cache.read('hook_embed')).data)).toBe(-1);
    third.cache.destroy();
    first.cache.destroy();
    first.cache.destroy(); // twice is fine
    await expect(first.cache.read('hook_embed')).rejects.toThrow('cache: it has been destroyed');
    model.destroy();
  });

  test('runs that overlap in time do not disturb each other', async () => {
    const model = await zoo();
    const prompts = Array.from({ length: 5 }, (_, i) => [0, 100 + i, 200 + i, 300 + i]);
    const alone: Float32Array[] = [];
    for (const ids of prompts) alone.push((await model.run(ids)).logits.data);
    const together = await Promise.all(prompts.map((ids) => model.run(ids)));
    for (const [i, { logits }] of together.entries()) expect(firstDifference(logits.data, alone[i])).toBe(-1);
    model.destroy();
  });
});

describe('an aborted load', () => {
  test.each(['download', 'upload', 'compile'] as const)(
    'during %s throws the reason and frees everything',
    async (phase) => {
      const device = await testDevice();
      const reason = new Error('enough');
      const calls = await countGpuCalls(device, async () => {
        const controller = new AbortController();
        const onProgress = (progress: { phase: string }) => {
          if (progress.phase === phase) controller.abort(reason);
        };
        const load = Model.load(fixtureUrl('models/circuit-zoo'), { device, onProgress, signal: controller.signal });
        await expect(load).rejects.toBe(reason);
      });
      expect(calls.liveBuffers).toBe(0);
      // Pipelines compile while weights come: a pipeline that is there already may be told before the first weight is.
      if (phase !== 'compile') expect(calls.buffers > 0).toBe(phase === 'upload');
    },
  );

  test('does not begin when the signal is already aborted', async () => {
    const signal = AbortSignal.abort();
    const device = await testDevice();
    await expect(Model.load(fixtureUrl('models/circuit-zoo'), { device, signal })).rejects.toBe(signal.reason);
  });
});

test('pipelines are compiled while the weights come', async () => {
  const device = await requestDevice(); // none of its pipelines is there yet
  const { config, tensors } = tinyModel({ ...TINY_CONFIGS.gpt2, n_positions: 3 }, 1);
  const files: Record<string, Uint8Array> = {
    'config.json': new TextEncoder().encode(JSON.stringify(config)),
    'model.safetensors': writeSafetensors(
      Object.entries(tensors).map(([name, { shape, data }]) => ({ name, dtype: 'F32', shape, data })),
    ),
  };
  let onCompiled = () => {};
  const compiling = new Promise<void>((resolve) => {
    onCompiled = resolve;
  });
  // A server that sends the second half of a file when a pipeline has been compiled.
  const source: Source = {
    description: 'patient',
    async open(file) {
      const bytes = files[file];
      const chunks = async function* () {
        yield bytes.subarray(0, bytes.length >> 1);
        if (file === 'model.safetensors') await compiling;
        yield bytes.subarray(bytes.length >> 1);
      };
      return bytes ? { description: file, sizeBytes: bytes.length, chunks: chunks() } : null;
    },
  };
  const model = await Model.load(source, { device, onProgress: ({ phase }) => phase === 'compile' && onCompiled() });
  expect((await model.run([[1, 2, 3]])).logits.shape).toEqual([1, 3, 37]);
  model.destroy();
  device.destroy();
});

test('loading reports every phase, with counts that grow to their total', async () => {
  const device = await testDevice();
  const seen = new Map<string, { loaded: number; total: number }>();
  const model = await Model.load(fixtureUrl('models/circuit-zoo'), {
    device,
    onProgress: ({ phase, file, loaded, total }) => {
      const key = phase === 'download' ? `${phase} ${file}` : phase;
      expect(loaded).toBeGreaterThanOrEqual(seen.get(key)?.loaded ?? 0);
      seen.set(key, { loaded, total });
    },
  });
  const expected = ['config.json', 'model.safetensors', 'tokenizer.json'].map((file) => `download ${file}`);
  for (const key of [...expected, 'upload', 'compile']) {
    const last = seen.get(key);
    expect(last?.loaded, key).toBe(last?.total);
    expect(last?.total, key).toBeGreaterThan(0);
  }
  model.destroy();
});

describe('an embedding larger than one binding', () => {
  const vocabularies = {
    gpt2: { vocab_size: 517 },
    'llama untied, with biases, one key head': { vocab_size: 333 },
    hooked_transformer: { d_vocab: 401 },
  };

  test.each(Object.entries(vocabularies))('is cut for both ends, and no bit changes: %s', async (name, vocabulary) => {
    const device = await testDevice();
    const checkpoint = tinyModel({ ...TINY_CONFIGS[name], ...vocabulary }, 5);
    const whole = await Model.load(checkpoint, { device });
    const pieces = await Model.load(checkpoint, { device, maxBindingSizeBytes: 8192 });
    const kernels = (model: Model) => dispatchesOf(model.plan({ pos: 3 })).map(({ kernel }) => kernel);
    const count = (model: Model, kernel: string) => kernels(model).filter((k) => k === kernel).length;
    expect([count(whole, 'token_embedding'), count(whole, 'unembed')]).toEqual([1, 1]);
    expect(count(pieces, 'token_embedding')).toBeGreaterThan(2);
    expect(count(pieces, 'unembed')).toBeGreaterThan(2);
    for (const tokens of [
      [[0, 1, whole.config.dVocab - 1]],
      ...Array.from({ length: 6 }, (_, i) => randomTokens(whole.config, 1, 3, i)),
    ]) {
      expect(firstDifference((await pieces.run(tokens)).logits.data, (await whole.run(tokens)).logits.data)).toBe(-1);
    }
    whole.destroy();
    pieces.destroy();
  });

  test('runs on a device with the default limits: 154 MB of embedding, 128 MiB per binding', async () => {
    const small = await requestDevice({ limits: 'default' });
    expect(small.limits.maxStorageBufferBindingSize).toBe(2 ** 27);
    const [dVocab, dModel] = [600_000, 64];
    const random = seeded(9);
    const embedding = Float32Array.from({ length: dVocab * dModel }, () => random() - 0.5);
    const tensors: Record<string, { shape: number[]; data: Float32Array<ArrayBuffer> }> = {
      'embed.W_E': { shape: [dVocab, dModel], data: embedding },
    };
    const weight = (tensorName: string, ...shape: number[]) => {
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => normal(random) / 8);
      tensors[tensorName] = { shape, data };
    };
    weight('pos_embed.W_pos', 4, dModel);
    for (const letter of ['Q', 'K', 'V']) weight(`blocks.0.attn.W_${letter}`, 1, dModel, dModel);
    weight('blocks.0.attn.W_O', 1, dModel, dModel);
    // The unembedding is the embedding's transpose in other hands: W_U [d_model, d_vocab].
    const unembedding = new Float32Array(dVocab * dModel);
    for (let id = 0; id < dVocab; id++)
      for (let d = 0; d < dModel; d++) unembedding[d * dVocab + id] = embedding[id * dModel + d];
    tensors['unembed.W_U'] = { shape: [dModel, dVocab], data: unembedding };
    const config = {
      model_type: 'hooked_transformer',
      ...{ n_layers: 1, d_model: dModel, n_ctx: 4, d_head: dModel, n_heads: 1, d_vocab: dVocab, attn_only: true },
      normalization_type: null,
    };
    const model = await Model.load({ config, tensors }, { device: small });
    expect(dispatchesOf(model.plan({ pos: 2 })).filter(({ kernel }) => kernel === 'unembed').length).toBe(2);
    const ids = [3, 599_999];
    const { logits, cache } = await model.runWithCache(ids, { names: ['hook_embed', 'unembed.hook_in'] });
    const embedded = (await cache.read('hook_embed')).data;
    ids.forEach((id, pos) => {
      const row = embedded.subarray(pos * dModel, (pos + 1) * dModel);
      expect(firstDifference(row, embedding.subarray(id * dModel, (id + 1) * dModel))).toBe(-1);
    });
    const x = (await cache.read('unembed.hook_in')).data;
    for (const column of [0, 1, 299_999, 524_287, 524_288, 524_289, 599_998, 599_999]) {
      let dot = 0;
      let magnitude = 0;
      for (let d = 0; d < dModel; d++) {
        dot += x[dModel + d] * embedding[column * dModel + d];
        magnitude += Math.abs(x[dModel + d] * embedding[column * dModel + d]);
      }
      // 64 terms in segments of 8: at most 1 + 8 + 8 + 1 roundings each.
      expect(Math.abs(logits.data[dVocab + column] - dot)).toBeLessThanOrEqual(18.1 * 2 ** -24 * magnitude);
    }
    cache.destroy();
    model.destroy();
    small.destroy();
  });
});
