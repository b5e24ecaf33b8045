// Lesson: how a network that has grokked addition modulo 113 adds: with cosines of a few frequencies.
import { createEdit, FIRST_PROMPTS } from '../state.ts';
import type { Choice, Lesson } from './lesson.ts';
import { attention, type Measure, type Measured, probability } from './measures.ts';
import { type Frequency, spectrumOf } from './spectrum.ts';

const P = 113;
const KEY = [11, 38, 46, 50];
const prompt = { prompt: FIRST_PROMPTS['modular-addition'] } as const;

/** How the embedding varies along the numbers 0 … 112. */
function embeddingSpectrum({ before }: Measured): Promise<Frequency[]> {
  if (!before) throw new Error('there is no run.');
  return before.analysis('tour: spectrum of W_E', async (model) => {
    const { data, shape } = await model.weight('embed.W_E'); // [114, 128]; the last row is "="
    return spectrumOf(data, { p: P, columns: shape[1] });
  });
}

/** How the logits of the answer vary along the 113 answers. */
async function logitSpectrum({ before }: Measured): Promise<Frequency[]> {
  if (!before) throw new Error('there is no run.');
  const { data } = before.logits;
  return spectrumOf(data.subarray(data.length - P), { p: P, columns: 1 });
}

const share =
  (spectrum: (of: Measured) => Promise<Frequency[]>, frequencies: readonly number[]): Measure =>
  async (of) => {
    const found = await spectrum(of);
    return frequencies.reduce((sum, frequency) => sum + found[frequency - 1].share, 0);
  };

function choice({ frequency, share, directions }: Frequency): Choice {
  const says: Readonly<Record<number, string>> = {
    11: 'Without the two directions of frequency 11 the network is sure of a wrong answer. Its numbers lie on circles, and this is the one it needs most.',
    38: 'A key frequency too: the answer is wrong now. But there is a bar that is higher.',
    46: 'A key frequency, and the network is less sure now. But there is a bar that is higher.',
    50: 'A key frequency; for these two numbers the others make up for it. There is a bar that is higher.',
  };
  const percent = `${(100 * share).toFixed(1)} %`;
  return {
    label: String(frequency),
    description: `frequency ${frequency}: ${percent} of the embedding's variance`,
    share,
    edits: directions.map((numbers) =>
      createEdit('projectOut', 'hook_embed', { at: { pos: '0-1' }, direction: { from: 'numbers', numbers } }),
    ),
    isRight: frequency === 11,
    says: says[frequency] ?? 'The network hardly uses this frequency: nothing happens.',
  };
}

export const FOURIER: Lesson = {
  title: 'Addition on circles',
  about: 'A network that was only shown sums modulo 113 found trigonometry. See its frequencies, and take one away.',
  model: 'modular-addition',
  steps: [
    {
      title: 'An exact answer',
      text: [
        'The tokens are numbers from 0 to 112, and 113 stands for "=". The network adds modulo 113: 37 + 90 = 127, which is 14.',
        'It saw 30 % of all sums, learned them by heart, and long after that began to be right on the others. That is called grokking.',
      ],
      state: { ...prompt, view: 'model' },
      look: { at: '#next', words: 'the table of next tokens.' },
      checks: [{ what: 'probability of 14', expected: '1.0000', measure: probability(['14']) }],
    },
    {
      title: 'Two numbers, one place',
      text: [
        'One attention layer brings both numbers to "=". Its four heads read them in different proportions; what they bring is added up, and 512 neurons see only that sum.',
      ],
      state: { ...prompt, view: 'attention', layer: 0, head: 0 },
      look: { at: 'view-attention', words: 'the last row of each head.' },
      checks: [
        { what: 'attention of head 0.0 from "=" to 37', expected: '0.347', measure: attention(0, 0, -1, 0) },
        { what: 'of head 0.0 to 90', expected: '0.651', measure: attention(0, 0, -1, 1) },
        { what: 'of head 0.2 to 37', expected: '0.886', measure: attention(0, 2, -1, 0) },
      ],
    },
    {
      title: 'The logits are waves',
      text: [
        'Look at the logits of all 113 answers in their order: they rise and fall. As a sum of waves over the answers, nearly all of it is in four frequencies: 11, 38, 46 and 50.',
        'Each wave is cos(2πk(a + b − c)/113): highest where c is the answer. The four agree only there.',
      ],
      state: { ...prompt, view: 'value', hook: 'logits' },
      look: { at: 'view-value', words: 'the last row, and how it repeats.' },
      checks: [
        {
          what: 'share of frequency 11 in the variance of the logits',
          expected: '0.569',
          measure: share(logitSpectrum, [11]),
        },
        { what: 'of 11, 38, 46 and 50 together', expected: '0.986', measure: share(logitSpectrum, KEY) },
      ],
    },
    {
      title: 'So is the embedding',
      text: [
        'Where do the waves come from? The embedding has 128 numbers for each of 0 to 112. Read along the numbers these are waves too, mostly of the same frequencies: every number is a point on a few circles.',
        'cos(x + y) = cos x cos y − sin x sin y does the rest: adding numbers is turning circles.',
      ],
      state: { ...prompt, view: 'value', hook: 'hook_embed' },
      checks: [
        {
          what: 'share of frequency 46 in the variance of W_E',
          expected: '0.180',
          measure: share(embeddingSpectrum, [46]),
        },
        { what: 'of 11, 38, 46 and 50 together', expected: '0.729', measure: share(embeddingSpectrum, KEY) },
      ],
    },
    {
      title: 'Your turn: take a circle away',
      text: [
        'The bars are the spectrum of the embedding: how much of it varies with each frequency. A click takes the two directions of a frequency out of both numbers.',
      ],
      state: { ...prompt, view: 'model' },
      checks: [],
      task: {
        ask: 'Click the frequency with the largest power.',
        layout: 'bars',
        choices: async (of) => (await embeddingSpectrum(of)).map(choice),
        check: { what: 'probability of 14', expected: '0.000004', measure: probability(['14'], 'after') },
      },
    },
  ],
};
