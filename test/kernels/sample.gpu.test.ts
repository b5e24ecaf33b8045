// Draws on the GPU against the float64 choice: the same token, unless the random number lies within the bound of a boundary between two.
import { describe, expect, test } from 'vitest';
import { isNode } from '../../src/engine/node.ts';
import { byScore, chooseToken, penalized, type SamplingOptions } from '../../src/kernels/choose_token.ts';
import { U } from '../../src/kernels/kernel.ts';
import { uniformAt } from '../../src/kernels/philox.ts';
import { sample, weightError } from '../../src/kernels/sample.ts';
import { CHOICE_FIELDS, SAMPLE_PARAMETERS, sampleParameters, UNIT } from '../../src/kernels/sample_parameters.ts';
import { normal, seeded } from '../random.ts';
import { asFloats, GARBAGE, runKernel } from './harness.ts';

interface Drawn {
  readonly logits: Float32Array;
  readonly seen: Uint32Array;
  readonly options: SamplingOptions;
  readonly step: number;
  readonly row: number;
}

/** The tokens of rows that are drawn in one dispatch. */
async function drawOnGpu(rows: readonly Drawn[]): Promise<Uint32Array> {
  const batch = rows.length;
  const d_vocab_out = rows[0].logits.length;
  const dims = {
    ...{ batch, pos: 1, keys: 1, key_stride: 1, d_vocab_out },
    ...{ parameter_fields: SAMPLE_PARAMETERS, choice_fields: CHOICE_FIELDS },
  };
  const variant = { dims, options: { greedy: false }, arithmetic: 'fast' as const, has: () => true };
  const [logits, seen] = [new Float32Array(batch * d_vocab_out), new Uint32Array(batch * d_vocab_out)];
  const parameters = new Uint32Array(batch * SAMPLE_PARAMETERS);
  rows.forEach((drawn, i) => {
    logits.set(drawn.logits, i * d_vocab_out);
    seen.set(drawn.seen, i * d_vocab_out);
    parameters.set(sampleParameters(drawn.options, { at: 0, step: drawn.step, row: drawn.row }), i * SAMPLE_PARAMETERS);
  });
  const { token, choice } = await runKernel(sample, variant, { logits, parameters, seen }, GARBAGE[0]);
  token.forEach((id, i) => {
    expect(asFloats(choice)[i * CHOICE_FIELDS]).toBe(id);
  });
  return token;
}

const uniformOfRow = ({ options, step, row }: Drawn) => uniformAt(options.seed ?? 0, { step, row });
const textOf = ({ seen }: Drawn) => Array.from(seen.keys()).filter((id) => seen[id] === 1);

/**
 * Tokens that the GPU may draw: those whose part of the cumulative distribution the random number can fall into when each weight is off by its
 * bound, for every number of tokens that top_p and min_p may keep then.
 */
function allowedTokens(drawn: Drawn): number[] {
  const { temperature = 1, topK = Number.POSITIVE_INFINITY, topP = 1, minP = 0, repetitionPenalty = 1 } = drawn.options;
  const scores = penalized(drawn.logits, textOf(drawn), repetitionPenalty);
  const ids = byScore(scores);
  const below = ids.map((id) => scores[ids[0]] - scores[id]);
  // What lies up to each token, and by how much that can be off.
  const sums = [0];
  const errors = [0];
  for (const distance of below) {
    sums.push(sums[sums.length - 1] + Math.exp(-distance / temperature));
    errors.push(errors[errors.length - 1] + weightError(distance / temperature, 3) + UNIT);
  }
  const [total, error] = [sums[ids.length], errors[ids.length]];
  const first = (isThere: (count: number) => boolean) => ids.findIndex((_, i) => isThere(i + 1)) + 1 || ids.length;
  const allowed = temperature * Math.log(1 / minP);
  const near = (factor: number) => below.filter((distance) => distance <= allowed * factor).length;
  const fewest = Math.min(
    topK,
    first((n) => sums[n] + errors[n] >= (topP - 2 ** -32) * (total - error)),
    near(1 - 4 * U),
  );
  const most = Math.min(
    topK,
    topP < 1 ? first((n) => sums[n] - errors[n] >= topP * (total + error)) : ids.length,
    near(1 + 4 * U),
  );
  const u = uniformOfRow(drawn);
  const tokens = new Set<number>();
  for (let kept = Math.max(fewest, 1); kept <= Math.max(most, 1); kept++) {
    for (let i = 0; i < kept; i++) {
      const isReached = sums[i] - errors[i] <= u * (sums[kept] + errors[kept]);
      if (isReached && sums[i + 1] + errors[i + 1] > u * (sums[kept] - errors[kept]) - UNIT) tokens.add(ids[i]);
    }
  }
  return [...tokens];
}

/** Rows of logits, tame and hard. */
const LOGITS: readonly ((random: () => number, id: number, count: number) => number)[] = [
  (random) => 3 * normal(random),
  (random) => Math.round(4 * normal(random)) / 2,
  (random, id, count) => normal(random) + (id === Math.floor(count / 2) ? 30 : 0),
  () => -1.5,
  (random, id) => (id % 3 === 1 ? -3.4028234663852886e38 : 2 * normal(random)),
  (random, id) => (id % 3 > 0 ? Number.NEGATIVE_INFINITY : 2 * normal(random)),
  (random) => 1e4 * normal(random),
  (random) => 1e-20 * normal(random),
  (random) => 1000 + normal(random),
  (random) => -100 + 5 * normal(random),
];
const TEMPERATURES = [1, 0.3, 1e-3, 1000, 1.7, 1e-40];
const FILTERS: readonly SamplingOptions[] = [
  {},
  { topK: 7 },
  { topP: 0.9 },
  { minP: 0.01 },
  { topK: 40, topP: 0.95, minP: 0.001 },
  { topK: 1 },
  { topP: 0.3, topK: 2 },
  { minP: 1 },
  { topP: 0.001 },
  { topP: 0.999 },
  { topK: 1_000_000 },
];
const PENALTIES = [1, 1.3, 0.7];

/** The kinds go round with periods that have no common factor but a few. */
function drawnRow(seed: number, dVocab: number): Drawn {
  const random = seeded(seed);
  const kind = LOGITS[seed % LOGITS.length];
  return {
    logits: Float32Array.from({ length: dVocab }, (_, id) => kind(random, id, dVocab)),
    seen: Uint32Array.from({ length: dVocab }, () => (random() < 0.3 ? 1 : 0)),
    options: {
      temperature: TEMPERATURES[Math.floor(seed / 7) % TEMPERATURES.length],
      ...FILTERS[seed % FILTERS.length],
      repetitionPenalty: PENALTIES[seed % PENALTIES.length],
      seed: 1e12 * Math.sin(seed) - ((1e12 * Math.sin(seed)) % 1),
    },
    step: seed % 1000,
    row: seed % 13,
  };
}

/** How often each vocabulary: fewer where the same code has run in Node. */
const COUNTS = [
  [1, 100],
  [3, 3000],
  [67, 6500],
  [257, 600],
  [1021, 200],
  [4099, 60],
].map(([dVocab, count]) => [dVocab, isNode() ? count : count / 10]);

describe('10,460 draws of all kinds: the token is that of float64 but where the random number is next to a boundary', () => {
  test.each(COUNTS)('a vocabulary of %i, %i times', async (dVocab, count) => {
    let [different, ambiguous] = [0, 0];
    for (let begin = 0; begin < count; begin += 1000) {
      const rows = Array.from({ length: Math.min(1000, count - begin) }, (_, i) => drawnRow(begin + i, dVocab));
      const tokens = await drawOnGpu(rows);
      rows.forEach((drawn, i) => {
        const exact = chooseToken(drawn.logits, textOf(drawn), drawn.options, uniformOfRow(drawn)).token;
        const allowed = allowedTokens(drawn);
        if (allowed.length > 1) ambiguous++;
        if (tokens[i] === exact) return;
        different++;
        expect(allowed, `row ${begin + i}: ${JSON.stringify(drawn.options)}, ${exact} in float64`).toContain(tokens[i]);
      });
    }
    console.log(`vocabulary ${dVocab}: ${different} of ${count} tokens are not float64's, ${ambiguous} may be`);
    expect(ambiguous).toBeLessThanOrEqual(count / 100);
    expect(different).toBeLessThanOrEqual(ambiguous);
  });
});

test('with equal weights a token is the random number itself, of any seed, step and row', async () => {
  const seeds = [0, 7, -1, 2 ** 32, -(2 ** 40) - 3, Number.MAX_SAFE_INTEGER];
  const rows = Array.from({ length: 60 }, (_, i) => ({
    logits: new Float32Array(4096),
    seen: new Uint32Array(4096),
    options: { temperature: 1, seed: seeds[i % seeds.length] },
    step: 17 * i,
    row: i % 7,
  }));
  expect([...(await drawOnGpu(rows))]).toEqual(rows.map((drawn) => Math.floor(4096 * uniformOfRow(drawn))));
});

/** χ² of counts against probabilities. */
function chiSquare(counts: readonly number[], probabilities: readonly number[]): number {
  const total = counts.reduce((a, b) => a + b);
  return counts.reduce(
    (sum, count, i) => sum + (count - total * probabilities[i]) ** 2 / (total * probabilities[i]),
    0,
  );
}

test('3,000 draws fall as the probabilities say', async () => {
  const random = seeded(3);
  const logits = Float32Array.from({ length: 17 }, () => normal(random));
  const probabilities = (temperature: number) => {
    const weights = Array.from(logits, (logit) => Math.exp(logit / temperature));
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / total);
  };
  const counts = new Array<number>(17).fill(0);
  for (let step = 0; step < 3; step++) {
    const row = { logits, seen: new Uint32Array(17), options: { temperature: 0.8, seed: 5 }, step };
    for (const id of await drawOnGpu(Array.from({ length: 1000 }, (_, i) => ({ ...row, row: i })))) counts[id]++;
  }
  // 16 degrees of freedom: one in a thousand samples is beyond 39.25 (the seed is fixed, so it is the same sample each time).
  expect(chiSquare(counts, probabilities(0.8))).toBeLessThan(39.25);
  // As many draws tell this temperature from one that is a quarter higher.
  expect(chiSquare(counts, probabilities(1))).toBeGreaterThan(39.25);
});
