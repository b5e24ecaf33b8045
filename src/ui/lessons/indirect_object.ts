// Lesson: who gets the drink, and which heads decide it.
import { createEdit, FIRST_PROMPTS } from '../state.ts';
import type { Choice, Lesson } from './lesson.ts';
import { attention, attribution, logitDifference, probability } from './measures.ts';

const MARY = 747;
const JOHN = 682;
const names = { prompt: FIRST_PROMPTS['circuit-zoo'], answer: MARY, wrong: JOHN } as const;
const [RIGHT, WRONG] = [' Mary', ' John'] as const;

const choice = (layer: number, head: number): Choice => {
  const name = `${layer}.${head}`;
  const others: Readonly<Record<string, string>> = {
    '2.2':
      'That costs more than most, and " Molly" is now as likely as " Mary": 2.2 brings the name. But " John" is still far behind: another head decides between the two.',
    '1.1': 'The difference grows: 1.1 speaks for the wrong name, and the others have to overcome it.',
    '0.0':
      'Without 0.0 no token is read as itself, so nothing after it works. Choose among the blocks after the first.',
    '0.3':
      'Without 0.3 no token knows what stands before it, so nothing that depends on it works. Choose among the later blocks.',
  };
  const isRight = name === '2.0';
  const right =
    'Over all prompts of this kind the mean difference falls from 16.7 to 1.4 without 2.0. It reads the second " John", where the heads of block 1 have looked up whether John was named first or second, and speaks for the other one.';
  return {
    label: name,
    description: `switch off head ${name}`,
    edits: [createEdit('zero', `blocks.${layer}.attn.hook_z`, { at: { head: String(head) } })],
    isRight,
    says: isRight
      ? right
      : (others[name] ?? 'Some of the difference goes, or none. One head of the later blocks costs far more.'),
  };
};

export const INDIRECT_OBJECT: Lesson = {
  title: 'Indirect objects',
  about: 'Mary and John are there, and John gives a drink to … whom? Three heads argue about it.',
  model: 'circuit-zoo',
  steps: [
    {
      title: 'The right name',
      text: [
        'Two names are in the text, and the giver is named twice. The model has to say the other one. These two names never stood together in its training text.',
        'How sure it is shows in the difference of two logits: " Mary" less " John".',
      ],
      state: { ...names, view: 'model' },
      look: { at: '#next', words: 'the table of next tokens.' },
      checks: [
        { what: 'probability of " Mary"', expected: '0.9997', measure: probability([RIGHT]) },
        { what: 'logit of " Mary" less that of " John"', expected: '17.13', measure: logitDifference(RIGHT, WRONG) },
      ],
    },
    {
      title: 'What each head says for Mary',
      text: [
        'The logits are a sum over everything that was written into the last position. So the difference can be split: how much of it each head says directly.',
        'Two heads speak for Mary, one loudly for John.',
      ],
      state: { ...names, view: 'attribution' },
      look: { at: 'view-attribution', words: 'the bars of heads 2.0, 2.2 and 1.1.' },
      checks: [
        {
          what: 'direct attribution of 2.0 to Mary − John',
          expected: '4.97',
          measure: attribution(2, 0, RIGHT, WRONG),
        },
        { what: 'the same of 2.2', expected: '4.95', measure: attribution(2, 2, RIGHT, WRONG) },
        { what: 'the same of 1.1', expected: '-3.61', measure: attribution(1, 1, RIGHT, WRONG) },
      ],
    },
    {
      title: 'Where they look',
      text: [
        'From the last token 2.2 looks at Mary and copies her. 1.1 always copies the second name of the pair, whoever gives: here that is John, so it is wrong.',
        '2.0 looks at the second John, and speaks against him.',
      ],
      state: { ...names, view: 'attention', layer: 2, head: 0 },
      look: { at: 'view-attention', words: 'the last row of the pattern of 2.0; then choose 2.2 and 1.1.' },
      checks: [
        { what: 'attention of 2.2 from the last token to " Mary"', expected: '0.914', measure: attention(2, 2, -1, 2) },
        { what: 'of 1.1 to the first " John"', expected: '0.999', measure: attention(1, 1, -1, 4) },
        { what: 'of 2.0 to the second " John"', expected: '0.919', measure: attention(2, 0, -1, 10) },
      ],
    },
    {
      title: 'Your turn: who decides?',
      text: [
        'An attribution says what a head writes, not what would happen without it. Others may make up for it, or depend on it. So switch heads off and see.',
      ],
      state: { ...names, view: 'attribution' },
      look: { at: '#next', words: 'the table of next tokens, before and after, while you try.' },
      checks: [],
      task: {
        ask: 'Which single head after block 0 holds the difference up? Switch it off.',
        layout: 'heads',
        choices: Array.from({ length: 16 }, (_, i) => choice(i >> 2, i & 3)),
        check: {
          what: 'logit of " Mary" less that of " John"',
          expected: '4.05',
          measure: logitDifference(RIGHT, WRONG, 'after'),
        },
      },
    },
  ],
};
