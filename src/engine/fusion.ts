// Fewer dispatches where nobody looks: tasks whose values in between are hidden become one. A value is hidden if it is neither
// captured, given nor written, and only one task reads it. Fused kernels give the bits of the tasks that they stand for, so asking for
// a value un-fuses what hides it and changes nothing else. (One exception, of NaN and infinities in v: attention.ts.)
//
//   matmul or output_projection, add          → the same with a residual
//   matmul (two in a gated MLP), activation   → neurons
//   three matmuls, rotary, cache_append       → qkv_projection
//   attention_scores, _pattern, _values       → attention
import { activation } from '../kernels/activation.ts';
import { add } from '../kernels/add.ts';
import { attention, attentionScratch } from '../kernels/attention.ts';
import { attentionPattern } from '../kernels/attention_pattern.ts';
import { attentionScores } from '../kernels/attention_scores.ts';
import { attentionValues } from '../kernels/attention_values.ts';
import { cacheAppend } from '../kernels/cache_append.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { matmul } from '../kernels/matmul.ts';
import { neurons } from '../kernels/neurons.ts';
import { outputProjection } from '../kernels/output_projection.ts';
import { hasWholePairs, qkvProjection } from '../kernels/qkv_projection.ts';
import { rotary } from '../kernels/rotary.ts';
import type { ModelConfig } from './config.ts';
import { FIRST_POS, type RunAxis } from './graph.ts';
import type { BufferName, KernelTask, Task } from './tasks.ts';
import type { SharedPlace, WeightLayout } from './weights.ts';

/** What of the model and the adapter decides about fusing. */
export interface FusionLimits {
  readonly config: ModelConfig;
  /** Layouts: which weights lie in one buffer. */
  readonly weights: ReadonlyMap<string, WeightLayout>;
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxBufferSize: number;
  readonly invocations: number;
  readonly run: Readonly<Record<RunAxis, number>>;
}

/** What a rule looks at. */
interface Surroundings extends FusionLimits {
  readonly tasks: readonly KernelTask[];
  readonly producerOf: (buffer: BufferName | undefined) => KernelTask | undefined;
  /** The only task that sees a buffer; undefined where others do, or nobody. */
  readonly onlyReaderOf: (buffer: BufferName) => KernelTask | undefined;
  readonly isUnseen: (buffer: BufferName) => boolean;
}

/** Tasks, and the one that stands for them: in the place of `at`, which is one of them. */
interface Fusion {
  readonly replaced: readonly KernelTask[];
  readonly at: KernelTask;
  readonly by: KernelTask;
}

type Rule = (task: KernelTask, surroundings: Surroundings) => Fusion | null;

/**
 * The tasks with as few dispatches as their hidden values allow.
 * @param kept buffers that are captured or given
 */
export function fuse(tasks: readonly Task[], kept: ReadonlySet<BufferName>, limits: FusionLimits): readonly Task[] {
  return RULES.reduce((before, rule) => {
    const surroundings = survey(before, kept, limits);
    const gone = new Set<Task>();
    const placed = new Map<Task, KernelTask>();
    for (const task of surroundings.tasks) {
      const fusion = rule(task, surroundings);
      if (!fusion || fusion.replaced.some((one) => gone.has(one))) continue;
      for (const one of fusion.replaced) gone.add(one);
      placed.set(fusion.at, fusion.by);
    }
    return before.flatMap((task) => placed.get(task) ?? (gone.has(task) ? [] : [task]));
  }, tasks);
}

function survey(tasks: readonly Task[], kept: ReadonlySet<BufferName>, limits: FusionLimits): Surroundings {
  const readers = new Map<BufferName, Task[]>();
  const producers = new Map<BufferName, Task>();
  for (const task of tasks) {
    for (const buffer of new Set<BufferName>(Object.values(task.inputs))) {
      readers.set(buffer, [...(readers.get(buffer) ?? []), task]);
    }
    for (const buffer of Object.values(task.outputs)) producers.set(buffer, task);
  }
  const kernelTask = (task: Task | undefined) => (task?.kind === 'kernel' ? task : undefined);
  const readersOf = (buffer: BufferName) => (kept.has(buffer) ? null : (readers.get(buffer) ?? []));
  return {
    ...limits,
    tasks: tasks.flatMap((task) => kernelTask(task) ?? []),
    producerOf: (buffer) => (buffer === undefined ? undefined : kernelTask(producers.get(buffer))),
    onlyReaderOf: (buffer) => {
      const of = readersOf(buffer);
      return of?.length === 1 ? kernelTask(of[0]) : undefined;
    },
    isUnseen: (buffer) => readersOf(buffer)?.length === 0,
  };
}

const uses = (task: KernelTask | undefined, kernel: Kernel): task is KernelTask => task?.operation.kernel === kernel;

/** A product that is added to the stream right away. */
const addResidual: Rule = (task, { producerOf, onlyReaderOf }) => {
  if (!uses(task, add)) return null;
  const { a, b } = task.inputs;
  for (const [own, residual] of [
    [b, a],
    [a, b],
  ]) {
    const product = producerOf(own);
    if (!uses(product, matmul) && !uses(product, outputProjection)) continue;
    if (own === residual || onlyReaderOf(own) !== task || 'residual' in product.inputs) continue;
    const inputs = { ...product.inputs, residual };
    const outputs = { ...product.outputs, out: task.outputs.out };
    return { replaced: [product, task], at: task, by: { ...product, inputs, outputs } };
  }
  return null;
};

/** The MLP's first half. */
const intoNeurons: Rule = (task, { producerOf, onlyReaderOf, isUnseen }) => {
  if (!uses(task, activation) || 'given_gate' in task.inputs) return null;
  if (task.outputs.gate && !isUnseen(task.outputs.gate)) return null;
  const { pre, pre_linear: preLinear } = task.inputs;
  const [product, linear] = [producerOf(pre), producerOf(preLinear)];
  if (!uses(product, matmul) || onlyReaderOf(pre) !== task) return null;
  if (preLinear) {
    if (!uses(linear, matmul) || onlyReaderOf(preLinear) !== task) return null;
    if (linear.inputs.x !== product.inputs.x || 'b' in linear.operation.weights) return null;
  }
  const weights = {
    ...product.operation.weights,
    ...(linear && { W_linear: linear.operation.weights.W }),
    ...task.operation.weights,
  };
  const options = { ...task.operation.options, gated: linear !== undefined };
  return {
    replaced: [product, ...(linear ? [linear] : []), task],
    at: task,
    by: {
      kind: 'kernel',
      operation: { ...product.operation, kernel: neurons, options, weights },
      inputs: product.inputs,
      outputs: { post: task.outputs.post },
    },
  };
};

/** The three projections of attention, whose matrices share a buffer; what queries and keys go through next; and the cache. */
const intoQkvProjection: Rule = (q, surroundings) => {
  const { tasks, onlyReaderOf, config, weights, maxStorageBuffersPerShaderStage } = surroundings;
  const attn = /^(.*)\.W_Q$/.exec(q.operation.weights.W ?? '')?.[1];
  if (!uses(q, matmul) || attn === undefined) return null;
  const sibling = (letter: string) =>
    tasks.find((task) => uses(task, matmul) && task.operation.weights.W === `${attn}.W_${letter}`);
  const [k, v] = [sibling('K'), sibling('V')];
  if (!k || !v || [k, v].some(({ inputs }) => inputs.x !== q.inputs.x)) return null;
  const hasBias = [q, k, v].map(({ operation }) => 'b' in operation.weights);
  if (new Set(hasBias).size > 1) return null;
  const places = (kind: 'W' | 'b') => ['Q', 'K', 'V'].map((letter) => weights.get(`${attn}.${kind}_${letter}`)?.shared);
  const [matrices, biases] = [places('W'), places('b')];
  if (!matrices.every((place) => place) || (hasBias[0] && !biases.every((place) => place))) return null;

  const turn = (task: KernelTask) => {
    const reader = onlyReaderOf(task.outputs.out);
    return uses(reader, rotary) ? reader : undefined;
  };
  const [turnQ, turnK] = hasWholePairs(config.dHead, config.rotaryDim / 2) ? [turn(q), turn(k)] : [];
  const turns = turnQ && turnK ? [turnQ, turnK] : [];
  const last = (task: KernelTask, turned: KernelTask | undefined) =>
    (turns.length > 0 && turned ? turned : task).outputs.out;
  const append = (buffer: BufferName) => {
    const reader = onlyReaderOf(buffer);
    return uses(reader, cacheAppend) ? reader : undefined;
  };
  const [keys, values] = [last(k, turnK), v.outputs.out];
  const [appendK, appendV] = [append(keys), append(values)];
  const tables = turns.length > 0 ? turns[0].operation.weights : {};
  const needsPosition = turns.length > 0 || appendK || appendV;
  const inputs = { x: q.inputs.x, ...(needsPosition && { first_pos: FIRST_POS }) };
  const shared = { W: `${attn}.W_QKV`, ...(hasBias[0] && { b: `${attn}.b_QKV` }), ...tables };
  const outputs = {
    q: last(q, turnQ),
    ...(appendK ? { k_cache: appendK.outputs.cache } : { k: keys }),
    ...(appendV ? { v_cache: appendV.outputs.cache } : { v: values }),
  };
  const bindings = [inputs, shared, outputs].reduce((count, part) => count + Object.keys(part).length, 0);
  if (bindings > maxStorageBuffersPerShaderStage) return null;

  const first = (place: SharedPlace | undefined, bytes: number) => (place?.offset ?? 0) / bytes;
  const dims = {
    ...{ d_in: q.operation.dims.d_in, d_in_vec4: q.operation.dims.d_in_vec4 },
    ...{ n_heads: config.nHeads, n_key_value_heads: config.nKeyValueHeads, d_head: config.dHead },
    ...{ half: turns.length > 0 ? config.rotaryDim / 2 : 0, n_ctx: config.nCtx },
    ...{ k_first: first(matrices[1], 16), v_first: first(matrices[2], 16), qkv_vec4: (matrices[0]?.size ?? 0) / 16 },
    ...{ k_bias: first(biases[1], 4), v_bias: first(biases[2], 4), qkv_biases: (biases[0]?.size ?? 0) / 4 },
  };
  return {
    replaced: [q, k, v, ...turns, ...[appendK, appendV].flatMap((task) => task ?? [])],
    at: q,
    by: {
      kind: 'kernel',
      operation: { ...q.operation, kernel: qkvProjection, dims, weights: shared },
      inputs,
      outputs,
    },
  };
};

/** Scores, softmax and values. */
const intoAttention: Rule = (task, { producerOf, onlyReaderOf, run, invocations, ...limits }) => {
  if (!uses(task, attentionValues)) return null;
  const softmax = producerOf(task.inputs.pattern);
  if (!uses(softmax, attentionPattern) || onlyReaderOf(task.inputs.pattern) !== task) return null;
  const scores = producerOf(softmax.inputs.scores);
  if (!uses(scores, attentionScores) || onlyReaderOf(softmax.inputs.scores) !== softmax) return null;
  const { dims, options } = scores.operation;
  const maxBytes = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const scratch = attentionScratch({ ...dims, ...run }, maxBytes);
  if (!scratch) return null;
  return {
    replaced: [scores, softmax, task],
    at: task,
    by: {
      kind: 'kernel',
      operation: {
        ...scores.operation,
        kernel: attention,
        dims: { ...dims, ...scratch },
        options: { ...options, invocations },
      },
      inputs: { ...scores.inputs, v: task.inputs.v },
      outputs: task.outputs,
    },
  };
};

const RULES: readonly Rule[] = [addResidual, intoNeurons, intoQkvProjection, intoAttention];
