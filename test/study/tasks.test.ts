// The study's tasks without a GPU: the data file is what it must be, and scores are those of models/circuit-zoo/recipe/evaluate.py.
import { describe, expect, test } from 'vitest';
import {
  logitDifference,
  mostProbable,
  type ScoreKind,
  type StudyData,
  scoreInterval,
  scorePrompt,
  tokenizeTask,
} from '../../scripts/study/tasks.ts';
import { createTokenizer } from '../../src/engine/tokenizer.ts';
import { readJsonFixture } from '../fixtures.ts';

type Json = Record<string, unknown>;

const data = await readJsonFixture<StudyData>('scripts/study/tasks.json');
const tokenizer = await createTokenizer(
  await readJsonFixture<Json>('models/circuit-zoo/tokenizer.json'),
  await readJsonFixture<Json>('models/circuit-zoo/tokenizer_config.json'),
);
const { vocab_size: vocabulary, n_ctx: context } = await readJsonFixture<Record<'vocab_size' | 'n_ctx', number>>(
  'models/circuit-zoo/config.json',
);

describe('tasks.json', () => {
  test('has every task of the model card', () => {
    expect(data.tasks.map(({ name }) => name)).toEqual([
      ...['indirect object, ABBA', 'indirect object, BABA'],
      ...['facts, capital', 'facts, currency', 'facts, language', 'recall', 'greater-than', 'pronouns', 'agreement'],
      ...['closing bracket', 'docstring', 'acronym', "story's owner"],
      ...['persona, one described', 'persona, both described', 'truthful', 'liar'],
    ]);
  });

  test.each(data.tasks.map((task) => [task.name, task] as const))(
    '%s: prompts fit the model, answers are one token and never wrong too',
    (_, stored) => {
      const task = tokenizeTask(stored, tokenizer);
      expect(task.prompts.length).toBe(40);
      expect(task.n).toBeGreaterThanOrEqual(task.prompts.length);
      expect(task.published).toBeGreaterThan(0.5);
      expect(task.published).toBeLessThanOrEqual(1);
      for (const { tokens, right, wrong } of task.prompts) {
        expect(tokens[0]).toBe(tokenizer.bosTokenId);
        expect(tokens.length).toBeLessThanOrEqual(context);
        expect(right.length).toBeGreaterThan(0);
        expect(wrong.length > 0).toBe(task.score !== 'first');
        expect(new Set([...right, ...wrong]).size).toBe(right.length + wrong.length);
        for (const id of [...tokens, ...right, ...wrong]) expect(id >= 0 && id < vocabulary).toBe(true);
      }
    },
  );

  test('blocks are of 50 different tokens, none of them the BOS', () => {
    expect(data.blocks.length).toBe(16);
    for (const block of data.blocks) {
      expect([block.length, new Set(block).size]).toEqual([50, 50]);
      for (const id of block) expect(Number.isInteger(id) && id > 0 && id < vocabulary).toBe(true);
    }
  });

  test('an answer of two tokens is refused by name', () => {
    const task = {
      name: 'a',
      score: 'first',
      published: 1,
      n: 1,
      prompts: [{ prompt: 'The', right: [' tomatopot'] }],
    } as const;
    expect(() => tokenizeTask(task, tokenizer)).toThrow(/^tasks: a: " tomatopot" is \d+ tokens, expected one\.$/);
  });
});

describe('scores', () => {
  // Probabilities 1/16, 2/16, 4/16, 8/16, 1/16.
  const logits = Float32Array.of(0, 1, 2, 3, 0).map((power) => power * Math.LN2);
  const score = (kind: ScoreKind, right: number[], wrong: number[]) => scorePrompt(kind, logits, { right, wrong });

  test('first: the most probable of all tokens', () => {
    expect([score('first', [3], []), score('first', [2], [])]).toEqual([1, 0]);
    expect(score('first', [3], [2])).toBe(1);
    expect(mostProbable(Float32Array.of(1, 2, 2))).toBe(1);
  });

  test('preferred: above every wrong alternative, whatever else is more probable', () => {
    expect([score('preferred', [2], [0, 1]), score('preferred', [2], [0, 3]), score('preferred', [0], [4])]).toEqual([
      1, 0, 0,
    ]);
  });

  test('likelier: more probability together', () => {
    expect([score('likelier', [0, 1, 2], [3]), score('likelier', [3], [0, 1, 2])]).toEqual([0, 1]);
    expect(score('likelier', [1, 2, 4], [0])).toBe(1);
  });

  test('probability of all tokens, share of the candidates', () => {
    expect(score('probability', [1, 2], [0])).toBeCloseTo(6 / 16, 6);
    expect(score('share', [1, 2], [0, 4])).toBeCloseTo(6 / 8, 6);
    expect(logitDifference(logits, { right: [3], wrong: [1, 2] })).toBeCloseTo(Math.LN2, 6);
  });

  test('NaN is never a right answer', () => {
    const broken = Float32Array.of(1, Number.NaN, 0);
    const prompt = { right: [0], wrong: [2] };
    for (const kind of ['first', 'likelier'] as const) expect(scorePrompt(kind, broken, prompt)).toBe(0);
    for (const kind of ['probability', 'share'] as const) expect(scorePrompt(kind, broken, prompt)).toBe(Number.NaN);
    expect(scorePrompt('preferred', broken, { right: [1], wrong: [2] })).toBe(0);
  });

  test('the interval of right answers is of a share, that of probabilities of a mean', () => {
    const { low, high } = scoreInterval('first', [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    expect([low, high].map((x) => x.toFixed(3))).toEqual(['0.596', '0.982']); // Wilson's for 9 of 10
    expect(scoreInterval('probability', [0.5, 0.5, 0.5])).toEqual({ low: 0.5, high: 0.5 });
  });
});
