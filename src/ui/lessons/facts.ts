// Lesson: a fact that the weights remember, and where it is on its way through the model.
import { createEdit, type Edit } from '../state.ts';
import type { Choice, Lesson } from './lesson.ts';
import { attention, probability } from './measures.ts';

const FRANCE = 4;
const LAST = 5;
const both = { prompt: 'The capital of France is', second: 'The capital of Japan is' } as const;

/** The residual stream before a block takes the other prompt's place at one position. */
const patch = (layer: number, pos: number): Edit =>
  createEdit('patch', `blocks.${layer}.hook_resid_pre`, { at: { pos: String(pos) } });

const choice = (label: string, pos: number): Choice => ({
  label,
  description: `patch position ${pos}, ${label}`,
  edits: [patch(3, pos)],
  isRight: pos === LAST,
  says:
    pos === LAST
      ? 'By block 3 the last token holds most of the answer: the attention of block 2 has brought it there.'
      : pos === FRANCE
        ? 'Half right: the last block still reads a little from here (" Paris" falls), but the answer has already moved on.'
        : 'Both prompts have the same token here, and nothing of the country has come to it.',
});

export const FACTS: Lesson = {
  title: 'Memorised facts',
  about: 'The capital of France is not in the prompt. Follow the fact from the country to the answer.',
  model: 'circuit-zoo',
  steps: [
    {
      title: 'A fact in the weights',
      text: ['Nothing in the prompt says Paris. The model has learned sixty countries, and this is one of them.'],
      state: { prompt: both.prompt, view: 'lens' },
      look: { at: '#next', words: 'the table of next tokens.' },
      checks: [{ what: 'probability of " Paris"', expected: '0.9991', measure: probability([' Paris']) }],
    },
    {
      title: 'Another country beside it',
      text: [
        'A second prompt differs in one word. Its run is kept too: from now on any value of the first run can be replaced by the same value of the second. That is activation patching.',
      ],
      state: { ...both, view: 'lens' },
      checks: [
        {
          what: 'probability of " Tokyo" after the second prompt',
          expected: '0.9986',
          measure: probability([' Tokyo'], 'second'),
        },
      ],
    },
    {
      title: 'The fact is where the country is',
      text: [
        'Here the residual stream before block 2 is patched at the one token " France". The prompt still says France at the start of the pass; all that later blocks see at this token is Japan.',
      ],
      state: { ...both, view: 'patching', patchKind: 'resid_pre', edits: [patch(2, FRANCE)] },
      look: { at: '#next', words: 'the table of next tokens: the answer is the other capital.' },
      checks: [
        {
          what: 'probability of " Tokyo" after patching',
          expected: '0.9993',
          measure: probability([' Tokyo'], 'after'),
        },
      ],
    },
    {
      title: 'Heads that fetch it',
      text: ['The answer is needed at the last token. Heads 2.2 and 3.1 look from there at the country.'],
      state: { ...both, view: 'attention', layer: 3, head: 1 },
      look: { at: 'view-attention', words: 'the last row of 3.1: nearly all of it is on " France".' },
      checks: [
        {
          what: 'attention of 2.2 from the last token to " France"',
          expected: '0.927',
          measure: attention(2, 2, -1, FRANCE),
        },
        { what: 'of 3.1', expected: '0.990', measure: attention(3, 1, -1, FRANCE) },
      ],
    },
    {
      title: 'Your turn: where is it now?',
      text: ['One block further on, before block 3, the fact is no longer only where the country is.'],
      state: { ...both, view: 'patching', patchKind: 'resid_pre' },
      checks: [],
      task: {
        ask: 'Patch the residual stream before block 3 at one token, so that the model says " Tokyo".',
        layout: 'row',
        choices: ['The', ' capital', ' of', ' France', ' is'].map((text, i) => choice(text.trim(), i + 1)),
        check: { what: 'probability of " Tokyo"', expected: '0.9024', measure: probability([' Tokyo'], 'after') },
      },
    },
  ],
};
