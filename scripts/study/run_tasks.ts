// Runs of circuit-zoo on its tasks and on repeated random blocks, and what they show. Needs a GPU; knows nothing of number formats.
import { attentionOffsetScore, type HookEntry, lossPerToken, type Model, type Tensor } from '../../src/index.ts';
import { mean } from './statistics.ts';
import { type Prompt, scorePrompt, type Task } from './tasks.ts';

/** What a model makes of a task, prompt by prompt. */
export interface TaskResult {
  readonly task: Task;
  /** `logits` are those of the next token; scores are from 0 to 1, see `ScoreKind`. */
  readonly results: readonly { readonly prompt: Prompt; readonly logits: Float32Array; readonly score: number }[];
  /** Their mean. */
  readonly score: number;
}

/** Runs all prompts, those of one length together. */
export async function runTasks(
  model: Model,
  tasks: readonly Task[],
  hooks: readonly HookEntry[] = [],
): Promise<TaskResult[]> {
  const byLength = new Map<number, Prompt[]>();
  for (const prompt of tasks.flatMap(({ prompts }) => prompts)) {
    const { length } = prompt.tokens;
    byLength.set(length, [...(byLength.get(length) ?? []), prompt]);
  }
  const nextLogits = new Map<Prompt, Float32Array>();
  for (const [length, group] of byLength) {
    const tokens = group.map((prompt) => prompt.tokens);
    const { logits } = await model.run(tokens, { hooks });
    const size = logits.shape[2];
    group.forEach((prompt, row) => {
      const end = (row + 1) * length * size;
      nextLogits.set(prompt, logits.data.slice(end - size, end));
    });
  }
  return tasks.map((task) => {
    const results = task.prompts.map((prompt) => {
      const logits = nextLogits.get(prompt) ?? new Float32Array();
      return { prompt, logits, score: scorePrompt(task.score, logits, prompt) };
    });
    return { task, results, score: mean(results.map(({ score }) => score)) };
  });
}

/** Heads of circuit-zoo by what models/circuit-zoo/README.md found that they do: [layer, head]. */
export const INDUCTION_HEADS = [
  [1, 1],
  [1, 2],
  [1, 3],
] as const;
export const PREVIOUS_TOKEN_HEAD = [0, 3] as const;

/** What a model makes of blocks of random tokens, each with its repetition behind it. */
export interface BlocksResult {
  /** Mean loss over the second blocks, from their second token on, in nats per token. */
  readonly loss: number;
  /** Mean attention of heads to the token after the previous occurrence, or the token before; by `layer.head`. */
  readonly attention: ReadonlyMap<string, number>;
  /** Their patterns, [batch, query_pos, key_pos]; by `layer.head`. */
  readonly patterns: ReadonlyMap<string, Float32Array>;
}

/** Runs BOS + block + block. */
export async function runBlocks(
  model: Model,
  blocks: readonly (readonly number[])[],
  hooks: readonly HookEntry[] = [],
): Promise<BlocksResult> {
  const length = blocks[0].length;
  const bos = model.tokenizer?.bosTokenId ?? 0;
  const tokens = blocks.map((block) => [bos, ...block, ...block]);
  const { logits, cache } = await model.runWithCache(tokens, { hooks, names: 'blocks.*.attn.hook_pattern' });
  try {
    const { data, shape } = lossPerToken(logits, tokens);
    const losses = [...data].filter((_, i) => i % shape[1] > length);
    const after = await attentionOffsetScore(model, cache, { offset: length - 1, query: { from: length + 1 } });
    const before = await attentionOffsetScore(model, cache, { offset: 1, query: { from: 2 } });
    const attention = new Map<string, number>();
    const patterns = new Map<string, Float32Array>();
    for (const [layer, head] of [PREVIOUS_TOKEN_HEAD, ...INDUCTION_HEADS]) {
      const score = layer === PREVIOUS_TOKEN_HEAD[0] ? before : after;
      attention.set(`${layer}.${head}`, score.data[layer * model.config.nHeads + head]);
      const pattern = await cache.read(`blocks.${layer}.attn.hook_pattern`);
      patterns.set(`${layer}.${head}`, headOf(pattern, head));
    }
    return { loss: mean(losses), attention, patterns };
  } finally {
    cache.destroy();
  }
}

/** One head of a pattern: [batch, query_pos, key_pos]. */
function headOf({ data, shape: [batch, heads, queries, keys] }: Tensor, head: number): Float32Array {
  const size = queries * keys;
  const out = new Float32Array(batch * size);
  for (let row = 0; row < batch; row++) {
    const start = (row * heads + head) * size;
    out.set(data.subarray(start, start + size), row * size);
  }
  return out;
}
