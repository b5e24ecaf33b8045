// Decompositions and attributions against TransformerLens's own results, to within 3 × the error of PyTorch's float32 ones.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ActivationCache,
  accumulatedBias,
  accumulatedResid,
  decomposeResid,
  getFullResidDecomposition,
  getNeuronResults,
  logitAttrs,
  lossPerToken,
  Model,
  type ResidualStack,
  stackHeadResults,
  stackNeuronResults,
} from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, sharedExists } from '../fixtures.ts';
import { compare } from '../kernels/compare.ts';
import { GOLDEN_TOKENS } from '../models/goldens.ts';
import { type Float64Tensor, readTensors } from '../tensors.ts';

type Decomposition = (model: Model, cache: ActivationCache) => ResidualStack;

/** By golden: the stack whose vectors it holds. */
const STACKS: Readonly<Record<string, Decomposition>> = {
  'accumulated_resid/{}': (m, c) => accumulatedResid(m, c),
  'accumulated_resid/{"apply_ln": true}': (m, c) => accumulatedResid(m, c, { applyLn: true }),
  'accumulated_resid/{"incl_mid": true, "apply_ln": true}': (m, c) =>
    accumulatedResid(m, c, { inclMid: true, applyLn: true }),
  'accumulated_resid/{"layer": 1}': (m, c) => accumulatedResid(m, c, { layer: 1 }),
  'accumulated_resid/{"layer": 1, "mlp_input": true, "apply_ln": true}': (m, c) =>
    accumulatedResid(m, c, { layer: 1, mlpInput: true, applyLn: true }),
  'accumulated_resid/{"pos_slice": -1, "apply_ln": true}': (m, c) => accumulatedResid(m, c, { pos: -1, applyLn: true }),
  'decompose_resid/{}': (m, c) => decomposeResid(m, c),
  'decompose_resid/{"apply_ln": true}': (m, c) => decomposeResid(m, c, { applyLn: true }),
  'decompose_resid/{"layer": 1}': (m, c) => decomposeResid(m, c, { layer: 1 }),
  'decompose_resid/{"layer": 1, "mlp_input": true, "apply_ln": true}': (m, c) =>
    decomposeResid(m, c, { layer: 1, mlpInput: true, applyLn: true }),
  'decompose_resid/{"pos_slice": -1, "apply_ln": true}': (m, c) => decomposeResid(m, c, { pos: -1, applyLn: true }),
  'decompose_resid/mode_attn': (m, c) => decomposeResid(m, c, { mode: 'attn' }),
  'decompose_resid/mode_mlp': (m, c) => decomposeResid(m, c, { mode: 'mlp' }),
  'stack_head_results/{}': (m, c) => stackHeadResults(m, c),
  'stack_head_results/{"apply_ln": true}': (m, c) => stackHeadResults(m, c, { applyLn: true }),
  'stack_head_results/{"incl_remainder": true}': (m, c) => stackHeadResults(m, c, { inclRemainder: true }),
  'stack_head_results/{"pos_slice": -1, "apply_ln": true, "incl_remainder": true}': (m, c) =>
    stackHeadResults(m, c, { pos: -1, applyLn: true, inclRemainder: true }),
  // What these three hold follows from their numbers: all are of the last position, normalised.
  stack_neuron_results: (m, c) => stackNeuronResults(m, c, { pos: -1, applyLn: true }),
  full_decomp: (m, c) => getFullResidDecomposition(m, c, { pos: -1, applyLn: true, expandNeurons: false }),
};

/** The tokens of `logit_attrs` and of `full_decomp_neurons_proj`, found from their numbers. */
const [RIGHT, WRONG] = [4, 11];

describe.skipIf(!sharedExists).each(['gpt2', 'llama_gqa'])('%s', (name) => {
  let model: Model;
  let cache: ActivationCache;
  let logits: Awaited<ReturnType<Model['run']>>['logits'];
  let golden: Map<string, Float64Tensor>;
  let theirs: Map<string, Float64Tensor>;

  beforeAll(async () => {
    golden = await readTensors(`../shared/goldens/${name}/golden.ops.f64.safetensors`);
    theirs = await readTensors(`../shared/goldens/${name}/golden.ops.f32.safetensors`);
    model = await Model.load(fixtureUrl(`test/goldens/${name}`), { device: await testDevice() });
    ({ logits, cache } = await model.runWithCache(GOLDEN_TOKENS[name]));
  });
  afterAll(() => {
    cache.destroy();
    model.destroy();
  });

  /** Within 3 × the largest error of their float32 values. */
  function check(key: string, got: ArrayLike<number>): void {
    const want = golden.get(key)?.data ?? new Float64Array();
    const error = (theirs.get(key)?.data ?? new Float64Array()).reduce(
      (most, v, i) => Math.max(most, Math.abs(v - want[i])),
      0,
    );
    expect(error, key).toBeGreaterThan(0);
    const bound = Float64Array.from(want, () => 3 * error);
    compare({ what: key, axes: [{ name: 'element', size: want.length }], got, want, bound });
  }

  test.each(Object.entries(STACKS))('%s', async (key, decompose) => {
    const stack = decompose(model, cache);
    const { data, shape } = await stack.read();
    check(key, data);
    // The axis of a single position stays.
    const [components, batch, ...rest] = golden.get(key)?.shape ?? [];
    expect(shape).toEqual([components, batch, ...(rest.length === 1 ? [1] : []), ...rest]);
    expect(stack.labels.length).toBe(components);
    expect(new Set(stack.labels).size).toBe(components);
  });

  test('logit_attrs, of the whole decomposition and of neurons alone', async () => {
    const stack = decomposeResid(model, cache, { pos: -1 });
    const { data, shape } = await logitAttrs(stack, { tokens: RIGHT, incorrectTokens: WRONG });
    check('logit_attrs', data);
    expect(shape).toEqual([stack.labels.length, 2, 1]);
    const full = getFullResidDecomposition(model, cache, { pos: -1 });
    check('full_decomp_neurons_proj', (await logitAttrs(full, { tokens: RIGHT })).data);
    const { data: W_U } = await model.weight('unembed.W_U');
    const { dModel, dVocabOut } = model.config;
    const direction = Array.from({ length: dModel }, (_, d) => W_U[d * dVocabOut + RIGHT]);
    const normed = getFullResidDecomposition(model, cache, { pos: -1, applyLn: true });
    check('full_decomp_neurons_proj', (await normed.project(direction)).data);
  });

  test('accumulated_bias2', async () => {
    const want = golden.get('accumulated_bias2')?.data ?? new Float64Array();
    const { data } = await accumulatedBias(model, { layer: 2 });
    // Both files hold float32 sums of the same biases: they add four terms in float32, we round once.
    const biases = await Promise.all(
      [0, 1].flatMap((l) => [model.weight(`blocks.${l}.attn.b_O`), model.weight(`blocks.${l}.mlp.b_out`)]),
    );
    const bound = Float64Array.from(want, (_, d) => 4 * 2 ** -24 * biases.reduce((s, b) => s + Math.abs(b.data[d]), 0));
    compare({ what: 'accumulated_bias2', axes: [{ name: 'd_model', size: want.length }], got: data, want, bound });
  });

  test('loss_per_token and loss', async () => {
    const perToken = lossPerToken(logits, GOLDEN_TOKENS[name]);
    check('loss_per_token', perToken.data);
    const [f64, f32] = await Promise.all(
      ['f64', 'f32'].map((type) => readTensors(`../shared/goldens/${name}/golden.${type}.safetensors`)),
    );
    const want = f64.get('loss')?.data[0] ?? Number.NaN;
    const error = Math.abs((f32.get('loss')?.data[0] ?? Number.NaN) - want);
    const mean = perToken.data.reduce((sum, loss) => sum + loss, 0) / perToken.data.length;
    // Theirs may be exact by luck; a loss is as exact as its logits, of which theirs are off by more than this.
    expect(Math.abs(mean - want)).toBeLessThanOrEqual(3 * Math.max(error, 2 ** -24 * Math.abs(want)));
  });

  test('start_at_layer1, stop_at_layer1 and stop_at_layer_neg1', async () => {
    for (const [key, layer] of [
      ['stop_at_layer1', 1],
      ['stop_at_layer_neg1', -1],
    ] as const) {
      const { residual } = await model.run(GOLDEN_TOKENS[name], { stopAtLayer: layer });
      check(key, residual.data);
    }
    const started = await model.run(cache.get('blocks.1.hook_resid_pre'), { startAtLayer: 1 });
    check('start_at_layer1', started.logits.data);
  });

  test('getNeuronResults are the stack with its first axis moved', async () => {
    const want = await stackNeuronResults(model, cache, { layer: 1, neuron: [3, -1], pos: { from: 7 } }).read();
    const got = await getNeuronResults(model, cache, { layer: 0, neuron: [3, -1], pos: { from: 7 } });
    expect(want.shape).toEqual([2, 2, 2, 32]);
    expect(got.shape).toEqual([2, 2, 2, 32]);
    for (let neuron = 0; neuron < 2; neuron++) {
      for (let row = 0; row < 4; row++) {
        const at = 32 * (row * 2 + neuron);
        const from = 32 * (neuron * 4 + row);
        expect(got.data.subarray(at, at + 32)).toEqual(want.data.subarray(from, from + 32));
      }
    }
  });
});
