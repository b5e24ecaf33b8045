// The whole forward pass in float32 arithmetic on the CPU: the model's graph with emulated kernels. What reproducible numerics promise
// is that every adapter gives these bits. With another arithmetic (another order of sums, stochastic rounding) it is the study of
// what that alone would change. It runs a million multiply-adds in a few milliseconds: for short texts and small models.
import { type ModelConfig, weightSpecs } from '../../engine/config.ts';
import { buildGraph, FIRST_POS, type Graph, type Operation, TOKENS } from '../../engine/graph.ts';
import { type RunShape, valueShape } from '../../engine/plan.ts';
import { bufferOf } from '../../engine/tasks.ts';
import { derivedSpecs, derivedWeight, packWeight, weightLayout } from '../../engine/weights.ts';
import type { Tensor } from '../../hooks/tensor.ts';
import { checkTokens } from '../../hooks/tokens.ts';
import { type Arithmetic, float32, MASKED, REPRODUCIBLE } from './arithmetic.ts';
import { FORWARD_KERNELS } from './forward_kernels.ts';

/** How an emulated pass differs from the engine's. */
export interface EmulationOptions {
  /** Rounding and the order of sums; the kernels' own if absent. `sequential`, `segments(64)`, `stochasticRounding(seed)`, … */
  readonly arithmetic?: Arithmetic;
}

/**
 * Every value of a forward pass over equally long rows of tokens, by hook name, in firing order: bit for bit what
 * `runWithCache(tokens)` gives in reproducible mode, on any adapter. Takes no GPU and no time off; about 4 ns per multiply-add.
 * @param weights by TransformerLens's names and layouts (`model.weight`); an absent bias is zero
 * @example
 * const values = emulateForward(model.config, weights, [[1, 2, 3]]);
 * values.get('blocks.0.attn.hook_pattern').data; // Float32Array, [1, n_heads, 3, 3]
 */
export function emulateForward(
  config: ModelConfig,
  weights: ReadonlyMap<string, Float32Array>,
  tokens: readonly (readonly number[])[],
  options: EmulationOptions = {},
): Map<string, Tensor> {
  const given = options.arithmetic ?? REPRODUCIBLE;
  const arithmetic = given.begin?.() ?? given;
  const rows = tokens.map((row) => [...row]);
  const { batch, pos, ids } = checkTokens(rows, config);
  const run: RunShape = { batch, pos, keys: pos, outputs: pos };

  const packed = packedWeights(config, weights);
  const graph = buildGraph(config, (name) => packed.has(name));
  const computed = new Map<string, Float32Array | Uint32Array>([
    [TOKENS, ids],
    [FIRST_POS, new Uint32Array(batch)],
  ]);
  const bufferName = (name: string) => bufferOf(graph, name, () => false);
  for (const operation of graph.operations) {
    if (isOnDemand(graph, operation)) continue;
    const inputs = Object.entries(operation.inputs).map(([binding, name]) => [binding, computed.get(bufferName(name))]);
    const ofWeights = Object.entries(operation.weights).map(([binding, name]) => [binding, packed.get(name)]);
    const outputs = FORWARD_KERNELS[operation.kernel.name](
      Object.fromEntries([...inputs, ...ofWeights]),
      { ...operation.dims, ...run, key_stride: pos },
      { firstToken: 0, firstColumn: 0, ...operation.options },
      arithmetic,
    );
    for (const [binding, name] of Object.entries(operation.outputs)) computed.set(name, outputs[binding]);
  }
  const values = [...graph.values.values()].filter(({ onDemand }) => !onDemand);
  return new Map(
    values.map((value) => {
      const { name, axes, masked } = value;
      const data = Float32Array.from(computed.get(bufferName(name)) ?? [], (v) =>
        masked && v === MASKED ? Number.NEGATIVE_INFINITY : v,
      );
      return [name, { name, data, shape: valueShape(value, run), axes: axes.map((axis) => axis.name) }];
    }),
  );
}

function isOnDemand(graph: Graph, { outputs }: Operation): boolean {
  return Object.values(outputs).every((name) => graph.values.get(name)?.onDemand);
}

/** Weights as they lie on the GPU: subnormal numbers are 0 there. */
function packedWeights(config: ModelConfig, weights: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> {
  const packed = new Map<string, Float32Array>();
  for (const spec of weightSpecs(config)) {
    const data = weights.get(spec.name);
    if (data) packed.set(spec.name, packWeight(spec, data.map(float32), weightLayout(spec, Number.POSITIVE_INFINITY)));
  }
  for (const spec of derivedSpecs(config)) packed.set(spec.name, derivedWeight(spec, config));
  return packed;
}
