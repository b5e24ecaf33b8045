// Lesson: how a text that repeats is continued, and which heads do it.
import { createEdit } from '../state.ts';
import type { Choice, Lesson } from './lesson.ts';
import { attention, probability } from './measures.ts';

const PROMPT = 'Words: lamp Anna river queen drum lamp Anna river queen';
const prompt = { prompt: PROMPT };

/** Heads of layer and index, switched off. */
const zeroHead = (layer: number, head: string) => createEdit('zero', `blocks.${layer}.attn.hook_z`, { at: { head } });

const choice = (layer: number, head: number): Choice => {
  const name = `${layer}.${head}`;
  const others: Readonly<Record<string, string>> = {
    '0.0':
      'The prediction is gone, but so is almost everything else: 0.0 looks at the token itself, and what it writes is part of how every token is read. Look at its pattern: the head that is asked for looks one back.',
    '0.2':
      'That hurts, but 0.2 looks two tokens back, not one. See its pattern in the view below: the bright line is one further from the diagonal.',
  };
  const isRight = name === '0.3';
  const usual =
    layer === 0
      ? 'This head does not look at the token before.'
      : 'Heads of later blocks do not write what the induction heads of block 1 read. Choose one of block 0.';
  const right =
    'Without 0.3 no token knows what stands before it, so the induction heads find nothing: two heads in different blocks that work together.';
  return {
    label: name,
    description: `switch off head ${name}`,
    edits: [zeroHead(layer, String(head))],
    isRight,
    says: isRight ? right : (others[name] ?? usual),
  };
};

export const INDUCTION: Lesson = {
  title: 'Induction',
  about: 'A list of words begins again. How does the model know what comes next?',
  model: 'circuit-zoo',
  steps: [
    {
      title: 'A list that begins again',
      text: [
        'The prompt lists five words in no order, then begins again: "lamp Anna river queen". Nothing in the language says that "drum" comes next. Only the prompt itself does.',
      ],
      state: { ...prompt, view: 'model' },
      look: { at: '#next', words: 'the table of next tokens: " drum" is first.' },
      checks: [{ what: 'probability of " drum"', expected: '0.9983', measure: probability([' drum']) }],
    },
    {
      title: 'A head that looks one back',
      text: [
        'Every head of an attention layer says for each token which earlier tokens it reads. Head 3 of block 0, written 0.3, always reads the token just before.',
        'What it copies there lets each token say "queen stood before me".',
      ],
      state: { ...prompt, view: 'attention', layer: 0, head: 3 },
      look: { at: 'view-attention', words: 'the bright line just below the diagonal of head 0.3.' },
      checks: [
        {
          what: 'attention of 0.3 from the last token, " queen", to " river" before it',
          expected: '1.000',
          measure: attention(0, 3, -1, -2),
        },
      ],
    },
    {
      title: 'Heads that complete the pattern',
      text: [
        'Heads 1.1, 1.2 and 1.3 are induction heads: from the second " queen" they look for a token that says "queen stood before me". That is " drum", and they copy it.',
      ],
      state: { ...prompt, view: 'attention', layer: 1, head: 2 },
      look: {
        at: 'view-attention',
        words:
          'the second line, further from the diagonal: from each repeated word to the word after its first appearance.',
      },
      checks: [
        { what: 'attention of 1.2 from the last token to " drum"', expected: '0.917', measure: attention(1, 2, -1, 7) },
        { what: 'the same of 1.1', expected: '0.898', measure: attention(1, 1, -1, 7) },
        { what: 'the same of 1.3', expected: '0.848', measure: attention(1, 3, -1, 7) },
      ],
    },
    {
      title: 'Without the induction heads',
      text: [
        'To look is not to cause. Here the three heads are switched off: their outputs are set to 0 during the pass, and everything after them is computed again.',
      ],
      state: { ...prompt, view: 'attention', layer: 1, head: 2, edits: [zeroHead(1, '1-3')] },
      look: { at: '#next', words: 'the table of next tokens: before and after stand side by side.' },
      checks: [
        {
          what: 'probability of " drum" without 1.1, 1.2 and 1.3',
          expected: '0.0076',
          measure: probability([' drum'], 'after'),
        },
      ],
    },
    {
      title: 'Your turn: the head behind them',
      text: [
        'The induction heads can only find "queen stood before me" because an earlier head wrote it. All heads work again now.',
      ],
      state: { ...prompt, view: 'attention', layer: 0, head: 3 },
      checks: [],
      task: {
        ask: 'Switch off the one head that the induction heads depend on.',
        layout: 'heads',
        choices: Array.from({ length: 16 }, (_, i) => choice(i >> 2, i & 3)),
        check: { what: 'probability of " drum"', expected: '0.0024', measure: probability([' drum'], 'after') },
      },
    },
  ],
};
