// circuit-zoo's held-out tasks: prompts with what may come next, and how a prediction is scored, as models/circuit-zoo/recipe/evaluate.py
// does. Pure: tasks.json is made by make_tasks.py, and running prompts is in `run_tasks.ts`.
import { type Interval, meanInterval, shareInterval } from './statistics.ts';

/**
 * - `first`: 1 where the most probable token is the answer, else 0.
 * - `preferred`: 1 where the answer's logit is above those of all wrong alternatives.
 * - `likelier`: 1 where the right words have more probability together than the wrong ones.
 * - `probability`: that of the right words.
 * - `share`: what they have of the probability of all candidates.
 */
export type ScoreKind = 'first' | 'preferred' | 'likelier' | 'probability' | 'share';

/** A task as tasks.json has it. Words are text that is one token, or numbers of `words`. */
export interface StoredTask {
  readonly name: string;
  readonly score: ScoreKind;
  /** Mean score of the `n` prompts of which these are an even sample, in models/circuit-zoo/evaluation.json. */
  readonly published: number;
  readonly n: number;
  /** Candidates of every prompt; those that are not right are wrong. */
  readonly words?: readonly string[];
  readonly prompts: readonly {
    readonly prompt: string;
    readonly right: readonly (string | number)[];
    readonly wrong?: readonly string[];
  }[];
}

export interface StudyData {
  readonly how: string;
  /** A longer text of the corpus. */
  readonly story: string;
  readonly tasks: readonly StoredTask[];
  /** Blocks of random token ids. */
  readonly blocks: readonly (readonly number[])[];
}

/** A prompt as token ids, BOS in front. */
export interface Prompt {
  readonly tokens: readonly number[];
  readonly right: readonly number[];
  readonly wrong: readonly number[];
}

export interface Task extends Omit<StoredTask, 'prompts' | 'words'> {
  readonly prompts: readonly Prompt[];
}

interface Tokenizing {
  encode(text: string): number[];
  textToTokens(text: string): number[];
}

/**
 * Text to token ids.
 * @throws Error naming the task where an answer is not one token
 */
export function tokenizeTask({ words, prompts, ...task }: StoredTask, tokenizer: Tokenizing): Task {
  const wordId = (word: string): number => {
    const ids = tokenizer.encode(word);
    if (ids.length !== 1) throw new Error(`tasks: ${task.name}: "${word}" is ${ids.length} tokens, expected one.`);
    return ids[0];
  };
  const candidates = words?.map(wordId) ?? [];
  const idOf = (word: string | number) => (typeof word === 'string' ? wordId(word) : candidates[word]);
  return {
    ...task,
    prompts: prompts.map(({ prompt, right, wrong }) => {
      const rightIds = right.map(idOf);
      return {
        tokens: tokenizer.textToTokens(prompt),
        right: rightIds,
        wrong: wrong?.map(wordId) ?? candidates.filter((id) => !rightIds.includes(id)),
      };
    }),
  };
}

/** What the logits of the next token are worth, from 0 to 1; 0 or NaN where they are NaN. */
export function scorePrompt(kind: ScoreKind, logits: Float32Array, { right, wrong }: Omit<Prompt, 'tokens'>): number {
  const largest = (ids: readonly number[]) => Math.max(...ids.map((id) => logits[id]));
  switch (kind) {
    case 'first':
      return Number(right.includes(mostProbable(logits)));
    case 'preferred':
      return Number(largest(right) > largest(wrong));
    case 'likelier':
      return Number(totalOf(logits, right) > totalOf(logits, wrong));
    case 'probability':
      return totalOf(logits, right) / totalOf(logits, [...logits.keys()]);
    case 'share':
      return totalOf(logits, right) / (totalOf(logits, right) + totalOf(logits, wrong));
  }
}

/** Whether scores of this kind are 0 or 1. */
export function isRightOrWrong(kind: ScoreKind): boolean {
  return kind === 'first' || kind === 'preferred' || kind === 'likelier';
}

/** 95 % interval of the mean score of all prompts like these: of a share where scores are 0 or 1. */
export function scoreInterval(kind: ScoreKind, scores: readonly number[]): Interval {
  if (!isRightOrWrong(kind)) return meanInterval(scores);
  const right = scores.filter((score) => score === 1).length;
  return shareInterval(right, scores.length);
}

/** The answer's logit less that of the best wrong alternative. */
export function logitDifference(logits: Float32Array, { right, wrong }: Omit<Prompt, 'tokens'>): number {
  return Math.max(...right.map((id) => logits[id])) - Math.max(...wrong.map((id) => logits[id]));
}

/** The first of the largest logits; −1 where one is NaN. */
export function mostProbable(logits: Float32Array): number {
  return logits.indexOf(largestOf(logits));
}

/** Sum of exponentials of these logits, in units of the largest of all. */
function totalOf(logits: Float32Array, ids: readonly number[]): number {
  const maximum = largestOf(logits);
  return ids.reduce((sum, id) => sum + Math.exp(logits[id] - maximum), 0);
}

/** NaN if one is NaN. */
function largestOf(logits: Float32Array): number {
  return logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
}
