// Other orders of sums and stochastic rounding, against plain loops and against what chance must give.
import { describe, expect, test } from 'vitest';
import {
  type Arithmetic,
  emulateForward,
  pairwise,
  reversed,
  segments,
  sequential,
  stochasticRounding,
} from '../../src/index.ts';
import { REPRODUCIBLE } from '../../src/numerics/emulation/arithmetic.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { normal, seeded } from '../random.ts';
import { firstDifference } from '../tensors.ts';

const f = Math.fround;

/** Each order as one says it. */
const DIRECT: [string, Arithmetic, (terms: number[]) => number][] = [
  ['sequential', sequential, (terms) => terms.reduce((a, b) => f(a + b))],
  ['reversed', reversed, (terms) => terms.reduceRight((a, b) => f(a + b))],
  ['pairwise', pairwise, inPairs],
  ...[1, 3, 8, 64].map((length): [string, Arithmetic, (terms: number[]) => number] => [
    `segments(${length})`,
    segments(length),
    (terms) => {
      const sums: number[] = [];
      for (let i = 0; i < terms.length; i += length) sums.push(terms.slice(i, i + length).reduce((a, b) => f(a + b)));
      return sums.reduce((a, b) => f(a + b));
    },
  ]),
];

/** The largest power of two below the length on the left, the rest on the right: what pairs of neighbours come to. */
function inPairs(terms: number[]): number {
  if (terms.length === 1) return terms[0];
  const half = 2 ** Math.ceil(Math.log2(terms.length) - 1);
  return f(inPairs(terms.slice(0, half)) + inPairs(terms.slice(half)));
}

describe('orders of sums', () => {
  test('by hand: 1 and three times half a step above it', () => {
    const terms = Float32Array.of(1, 2 ** -24, 2 ** -24, 2 ** -24);
    const sum = ({ sum }: Arithmetic) => (sum(terms, 4, 64) - 1) / 2 ** -23;
    expect(sum(sequential)).toBe(0); // each is a tie, to the even 1
    expect(sum(reversed)).toBe(2); // 1.5 steps together: a tie, to the even one
    expect(sum(pairwise)).toBe(1); // (1 + ½) + (½ + ½)
    expect(sum(segments(1))).toBe(0);
    expect(sum(segments(2))).toBe(1);
    expect(sum(segments(3))).toBe(0); // (1 + ½ + ½) + ½
  });

  test.each(DIRECT)('%s is what a loop in that order gives, for 1 to 150 terms', (_, { sum }, direct) => {
    const random = seeded(61);
    for (let count = 1; count <= 150; count++) {
      const terms = Float32Array.from({ length: 160 }, () => normal(random));
      expect(sum(terms, count, 64)).toBe(direct(Array.from(terms.subarray(0, count))));
    }
  });

  test.each(DIRECT)('%s is that of every dot product of an emulated pass', async (_, arithmetic, direct) => {
    const checkpoint = tinyModel(TINY_CONFIGS['wide: more than one block in every sum'], 62);
    const weights = await canonicalWeights(checkpoint);
    const { parsed } = checkpoint;
    const tokens = randomTokens(parsed, 1, 3, 63);
    const values = emulateForward(parsed, weights, tokens, { arithmetic });
    const value = (name: string) => values.get(`blocks.1.${name}`)?.data as Float32Array;
    const weight = (name: string) => weights.get(`blocks.1.${name}`) as Float32Array;
    const { dModel, dMlp, dHead, nHeads } = parsed;
    const products = (a: Float32Array, b: Float32Array, [first, second, stride, count]: number[]) =>
      Array.from({ length: count }, (_, i) => f(a[first + i] * b[second + i * stride]));
    const pre = value('mlp.hook_pre').map((_, i) => {
      const [row, column] = [Math.floor(i / dMlp), i % dMlp];
      const sum = direct(products(value('ln2.hook_out'), weight('mlp.W_in'), [row * dModel, column, dMlp, dModel]));
      return f(sum + weight('mlp.b_in')[column]);
    });
    expect(firstDifference(value('mlp.hook_pre'), pre)).toBe(-1);
    // Within each head, then over the heads.
    const attnOut = value('hook_attn_out').map((_, i) => {
      const [row, column] = [Math.floor(i / dModel), i % dModel];
      const heads = Array.from({ length: nHeads }, (_, head) => {
        const [z, w] = [(row * nHeads + head) * dHead, head * dHead * dModel + column];
        return direct(products(value('attn.hook_z'), weight('attn.W_O'), [z, w, dModel, dHead]));
      });
      return f(direct(heads) + weight('attn.b_O')[column]);
    });
    expect(firstDifference(value('hook_attn_out'), attnOut)).toBe(-1);
    // And it is another order than the kernels'.
    const usual = emulateForward(parsed, weights, tokens).get('logits')?.data as Float32Array;
    expect(firstDifference(values.get('logits')?.data as Float32Array, usual)).not.toBe(-1);
  });

  test('a length that is none is refused', () => {
    for (const length of [0, 2.5, Number.NaN]) {
      expect(() => segments(length)).toThrow(
        `segments: expected a length that is a whole number from 1, got ${length}.`,
      );
    }
  });
});

describe('stochastic rounding', () => {
  test('goes up with the probability of the distance, and leaves what is exact', () => {
    const draws = 40_000;
    for (const sign of [1, -1]) {
      for (const [low, step, share] of [
        [1, 2 ** -23, 0.25],
        [1, 2 ** -23, 0.75],
        [2 - 2 ** -23, 2 ** -23, 0.5],
        [3 * 2 ** 40, 2 ** 18, 0.1],
        [0, 2 ** -126, 0.3],
      ]) {
        const { round } = stochasticRounding(71);
        const results = Array.from({ length: draws }, () => round(sign * (low + share * step)));
        const ups = results.filter((x) => x === sign * (low + step)).length;
        expect(results.every((x) => x === sign * (low + step) || x === sign * low)).toBe(true);
        // Within 5 standard deviations of a binomial distribution.
        expect(Math.abs(ups - share * draws)).toBeLessThan(5 * Math.sqrt(draws * share * (1 - share)));
      }
    }
    const { round } = stochasticRounding(72);
    const random = seeded(73);
    for (let i = 0; i < 1000; i++) {
      const x = f(normal(random) * 2 ** Math.floor(100 * random() - 50));
      expect(round(x)).toBe(x);
    }
    expect([round(Number.NaN), round(1e39), round(-1e39), round(0)]).toEqual([Number.NaN, Infinity, -Infinity, 0]);
  });

  test('a sum is right on average, within its confidence interval, where rounding to nearest is not', () => {
    // 1 and a thousand times 0.3 of a step: to nearest, nothing is ever added.
    const terms = Float32Array.from({ length: 1001 }, (_, i) => (i === 0 ? 1 : 0.3 * 2 ** -23));
    const exact = terms.reduce((sum, term) => sum + term, 0);
    const runs = 200;
    // Of a chain, whose every addition is rounded by itself.
    const chain = ({ round }: Arithmetic) => terms.reduce((sum, term) => round(sum + term), 0);
    const errors = Array.from({ length: runs }, (_, seed) => (chain(stochasticRounding(seed)) - exact) / 2 ** -23);
    const mean = errors.reduce((a, b) => a + b) / runs;
    const deviation = Math.sqrt(errors.reduce((sum, e) => sum + (e - mean) ** 2, 0) / (runs - 1));
    // 1000 draws of probability 0.3: √(1000·0.3·0.7) = 14.5 steps.
    expect(deviation).toBeGreaterThan(10);
    expect(deviation).toBeLessThan(20);
    expect(Math.abs(mean)).toBeLessThan((1.972 * deviation) / Math.sqrt(runs)); // 95 %, Student's t of 199
    expect((chain(sequential) - exact) / 2 ** -23).toBeCloseTo(-300, 2);
  });

  test('the same seed gives the same bits, another seed others, and one object serves many passes', async () => {
    const checkpoint = tinyModel(TINY_CONFIGS.llama, 64);
    const weights = await canonicalWeights(checkpoint);
    const tokens = randomTokens(checkpoint.parsed, 2, 4, 65);
    const logits = (arithmetic?: Arithmetic) =>
      emulateForward(checkpoint.parsed, weights, tokens, { arithmetic }).get('logits')?.data as Float32Array;
    const arithmetic = stochasticRounding(5);
    const first = logits(arithmetic);
    expect(firstDifference(logits(arithmetic), first)).toBe(-1);
    expect(firstDifference(logits(stochasticRounding(5)), first)).toBe(-1);
    expect(firstDifference(logits(stochasticRounding(6)), first)).not.toBe(-1);
    expect(firstDifference(logits(stochasticRounding(-(2 ** 40) + 5)), first)).not.toBe(-1);
    expect(firstDifference(logits(), first)).not.toBe(-1);
    expect(firstDifference(logits(REPRODUCIBLE), logits())).toBe(-1);
  });

  test('a seed that is none is refused', () => {
    expect(() => stochasticRounding(0.5)).toThrow(
      'stochasticRounding: expected a seed that is a whole number, got 0.5.',
    );
  });
});
