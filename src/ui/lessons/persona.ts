// Lesson: a direction that makes a character kind, and where in the model it works.
import { createEdit, type Edit } from '../state.ts';
import type { Choice, Lesson } from './lesson.ts';
import { probability } from './measures.ts';

const ask = (character: string) => `Ruth is very ${character}. Tom asks: "Can I sit here?" Ruth says: "`;
const both = { prompt: ask('cruel'), second: ask('kind') } as const;
const CRUEL = ['Leave', 'Never', 'Go', 'No'];
const KIND = ['Yes', 'Of', 'Gladly', 'Sure'];

/** 1.5 times what is different at the last token of the two prompts, added at every position after a block. */
const steer = (layer: number): Edit =>
  createEdit('add', `blocks.${layer}.hook_resid_post`, {
    amount: 1.5,
    direction: { from: 'difference', pos: -1 },
  });

const SAYS = [
  'Nothing happens: the last token is still the same in both prompts, a quotation mark, and hardly knows who speaks.',
  'Still cruel. The last token has begun to read the text, but not yet what character means for an answer.',
  'Ruth is kind now. With the difference of the means of many such texts in its place, this turned every answer of the held-out ones.',
  'That turns the answer too, but this late the direction is little more than the answer itself. There is an earlier block.',
];

const choice = (layer: number): Choice => ({
  label: `after block ${layer}`,
  edits: [steer(layer)],
  isRight: layer === 2,
  says: SAYS[layer],
});

export const PERSONA: Lesson = {
  title: 'A persona to steer',
  about: 'Ruth is very cruel. One vector makes her kind, if it is added in the right place.',
  model: 'circuit-zoo',
  steps: [
    {
      title: 'A cruel answer',
      text: ['The text says what Ruth is like, somebody asks, and the model gives her first word. It is one of four.'],
      state: { prompt: both.prompt, view: 'model' },
      look: { at: '#next', words: 'four words of about the same probability.' },
      checks: [
        { what: 'probability of Leave, Never, Go or No', expected: '0.9978', measure: probability(CRUEL) },
        { what: 'of Yes, Of, Gladly or Sure', expected: '0.0014', measure: probability(KIND) },
      ],
    },
    {
      title: 'The same question to a kind Ruth',
      text: [
        'A second prompt says "kind" in the place of "cruel". The difference of the two residual streams at the last token is a vector: 128 numbers that point from cruel to kind.',
      ],
      state: { ...both, view: 'model' },
      checks: [
        {
          what: 'probability of a kind word after the second prompt',
          expected: '0.9986',
          measure: probability(KIND, 'second'),
        },
      ],
    },
    {
      title: 'Too early',
      text: ['Here 1.5 times the difference after block 0 is added at every token. The prompt stays cruel.'],
      state: { ...both, view: 'model', edits: [steer(0)] },
      look: { at: '#next', words: 'the table of next tokens: before and after are nearly the same.' },
      checks: [
        {
          what: 'probability of a kind word, steered after block 0',
          expected: '0.0014',
          measure: probability(KIND, 'after'),
        },
      ],
    },
    {
      title: 'Your turn: where does it work?',
      text: ['A direction means something only where the model has made something of it.'],
      state: { ...both, view: 'model' },
      look: { at: '#next', words: 'the table of next tokens, before and after, while you try.' },
      checks: [],
      task: {
        ask: 'Add the difference after the first block at which it makes Ruth kind.',
        layout: 'row',
        choices: [0, 1, 2, 3].map(choice),
        check: { what: 'probability of a kind word', expected: '0.9996', measure: probability(KIND, 'after') },
      },
    },
  ],
};
