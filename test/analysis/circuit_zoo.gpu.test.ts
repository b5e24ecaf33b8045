// The circuits that circuit-zoo's README names come out of the scores and attributions.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ActivationCache,
  add,
  attentionOffsetScore,
  decomposeResid,
  getFullResidDecomposition,
  inductionScore,
  logitAttrs,
  logitLens,
  lossPerToken,
  Model,
  meanAttention,
  previousTokenScore,
  stackHeadResults,
  topTokens,
} from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture } from '../fixtures.ts';
import { seeded } from '../random.ts';
import { IOI_PROMPTS } from './ioi_prompts.ts';

interface HeadDla {
  head: string;
  direct_logit_attribution: number;
  attention_to_IO: number;
  attention_to_S1: number;
  attention_to_S2: number;
}
interface Evaluation {
  induction: Record<string, number[][]> & {
    induction_heads: string[];
    previous_token_heads: string[];
    loss_second_block: number;
  };
  ioi: { heads: Record<'ABBA' | 'BABA', { strongest: HeadDla[] }> };
}

let model: Model;
let evaluation: Evaluation;
beforeAll(async () => {
  model = await Model.load(fixtureUrl('models/circuit-zoo'), { device: await testDevice() });
  evaluation = await readJsonFixture('models/circuit-zoo/evaluation.json');
});
afterAll(() => model.destroy());

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
/** Variance of one draw, from a sample. */
const variance = (values: readonly number[]) =>
  values.reduce((sum, v) => sum + (v - mean(values)) ** 2, 0) / (values.length - 1);

describe('BOS + block + block of 50 random tokens', () => {
  const LENGTH = 50;
  const ROWS = 4;
  /** Rows of the recorded measurement. */
  const RECORDED_ROWS = 48;
  const random = seeded(11);
  const tokens = Array.from({ length: ROWS }, () => {
    const ids = new Set<number>();
    while (ids.size < LENGTH) ids.add(1 + Math.floor(random() * 2047));
    return [0, ...ids, ...ids];
  });
  const second = { from: LENGTH + 1, to: 2 * LENGTH + 1 };
  let cache: ActivationCache;
  let losses: Float32Array;
  beforeAll(async () => {
    const { logits, ...run } = await model.runWithCache(tokens, { names: 'blocks.*.attn.hook_pattern' });
    cache = run.cache;
    losses = lossPerToken(logits, tokens).data;
  });
  afterAll(() => cache.destroy());

  test.each([
    ['previous_token_score', 1, { from: 2 }],
    ['current_token_score', 0, { from: 2 }],
    ['two_back_score', 2, { from: 2 }],
    ['induction_score', LENGTH - 1, second],
    ['duplicate_token_score', LENGTH, second],
  ] as const)('%s of every head is what the README measured', async (name, offset, query) => {
    const rows = await meanAttention(model, cache, { query, key: (q) => q - offset });
    const all = await attentionOffsetScore(model, cache, { offset, query });
    evaluation.induction[name].flat().forEach((want, head) => {
      const sample = Array.from({ length: ROWS }, (_, row) => rows.data[row * 16 + head]);
      expect(Math.abs(all.data[head] - mean(sample))).toBeLessThanOrEqual(1e-6);
      // Rounded to three digits; both are means over rows drawn at random. Six standard errors of their difference, where the
      // standard deviation is itself estimated from four rows, and is not taken to be below 0.001.
      const spread = Math.max(Math.sqrt(variance(sample)), 1e-3);
      const bound = 0.0005 + 6 * spread * Math.sqrt(1 / ROWS + 1 / RECORDED_ROWS);
      expect(bound, 'a bound that could tell nothing').toBeLessThan(0.1);
      expect(Math.abs(all.data[head] - want), `${Math.floor(head / 4)}.${head % 4}`).toBeLessThanOrEqual(bound);
    });
  });

  /** Names of the heads whose score is above a threshold, highest first. */
  const above = ({ data }: { data: Float32Array }, threshold: number) =>
    [...data.keys()]
      .filter((head) => data[head] > threshold)
      .sort((a, b) => data[b] - data[a])
      .map((head) => `${Math.floor(head / 4)}.${head % 4}`);

  test('the heads that the README names are those that the scores name', async () => {
    const { induction_heads, previous_token_heads } = evaluation.induction;
    const score = async (offset: number, query = {}) =>
      above(await attentionOffsetScore(model, cache, { offset, query: { from: 2, ...query } }), 0.3);
    expect(await score(1)).toEqual(previous_token_heads);
    expect((await score(LENGTH - 1, second)).sort()).toEqual([...induction_heads].sort());
    expect(await score(0)).toEqual(['0.0']);
    expect(await score(2)).toEqual(['0.2']);
    // detect_head divides by all attention of a head, that of the first block too, where there is nothing to repeat.
    expect(above(await previousTokenScore(model, cache), 0.3)).toEqual(previous_token_heads);
    expect(above(await inductionScore(model, cache, { tokens }), 0.3).sort()).toEqual([...induction_heads].sort());
  });

  test('the second block is predicted', () => {
    const ofSecond = Array.from({ length: ROWS }, (_, row) => losses.subarray(row * 100 + LENGTH + 1, (row + 1) * 100));
    // 0.006 in the README; its heads are not ablated here.
    expect(mean(ofSecond.map((loss) => mean([...loss])))).toBeLessThan(0.03);
  });
});

describe('indirect object: direct logit attribution to IO − S', () => {
  /** Of one prompt, at its last token: heads' attributions with the norm's gain, and where they look. */
  async function measure([prompt, io, s]: readonly [string, string, string]) {
    const ids = model.toTokens(prompt);
    const { cache } = await model.runWithCache(ids, {
      names: ['blocks.*.attn.hook_result', 'blocks.*.attn.hook_pattern', 'ln_final.hook_scale'],
    });
    const heads = stackHeadResults(model, cache, { pos: -1 });
    const { data } = await logitAttrs(heads, { tokens: io, incorrectTokens: s, gain: true });
    const places = [io, s].map((name) => {
      const at = ids.flatMap((id, i) => (model.tokenizer?.tokenText(id).trim() === name.trim() ? [i] : []));
      return at;
    });
    const [[atIO], [atS1, atS2]] = places;
    const looks = await Promise.all(
      [atIO, atS1, atS2].map((key) => meanAttention(model, cache, { query: -1, key: () => key })),
    );
    cache.destroy();
    return { dla: data, looks: looks.map((look) => look.data) };
  }

  test.each(['ABBA', 'BABA'] as const)('%s: the README’s table', async (order) => {
    const prompts: Awaited<ReturnType<typeof measure>>[] = [];
    for (const prompt of IOI_PROMPTS[order]) prompts.push(await measure(prompt));
    const { strongest } = evaluation.ioi.heads[order];
    expect(strongest.length).toBe(5);
    for (const row of strongest) {
      const [layer, index] = row.head.split('.').map(Number);
      const head = 4 * layer + index;
      const columns: [string, number, number[]][] = [
        ['DLA', row.direct_logit_attribution, prompts.map(({ dla }) => dla[head])],
        ['IO', row.attention_to_IO, prompts.map(({ looks }) => looks[0][head])],
        ['S1', row.attention_to_S1, prompts.map(({ looks }) => looks[1][head])],
        ['S2', row.attention_to_S2, prompts.map(({ looks }) => looks[2][head])],
      ];
      for (const [column, want, sample] of columns) {
        // 10 of the 150 prompts that the recorded mean is over: five standard errors, and its rounding to three digits.
        const error = Math.sqrt(variance(sample) * (1 / sample.length - 1 / 150));
        expect(Math.abs(mean(sample) - want), `${row.head} ${column}`).toBeLessThanOrEqual(0.0005 + 5 * error);
      }
    }
    // The two strongest heads are the README's, in its order.
    const average = Array.from({ length: 16 }, (_, head) => mean(prompts.map(({ dla }) => dla[head])));
    const ranked = [...average.keys()].sort((a, b) => Math.abs(average[b]) - Math.abs(average[a]));
    const named = ranked.slice(0, 3).map((head) => `${Math.floor(head / 4)}.${head % 4}`);
    expect(named.sort()).toEqual(['1.1', '2.0', '2.2']);
  });

  test('attributions with the gain add up to the difference of the logits', async () => {
    const prompt = 'When Mary and John went to the store, John gave a drink to';
    const { logits, cache } = await model.runWithCache(prompt);
    const [io, s] = [' Mary', ' John'].map((name) => model.toTokens(name, { prependBos: false })[0]);
    const last = logits.shape[1] - 1;
    const want = logits.data[last * 2048 + io] - logits.data[last * 2048 + s];
    const bias = await model.weight('ln_final.b');
    const embedding = await model.weight('embed.W_E');
    const ofBias = bias.data.reduce(
      (sum, b, d) => sum + b * (embedding.data[io * 128 + d] - embedding.data[s * 128 + d]),
      0,
    );
    for (const stack of [
      decomposeResid(model, cache, { pos: -1 }),
      getFullResidDecomposition(model, cache, { pos: -1 }),
    ]) {
      const { data } = await logitAttrs(stack, { tokens: ' Mary', incorrectTokens: ' John', gain: true });
      // Each of n components is off by about 10 units in its own last place, and so is the logit.
      const bound = 2 ** -24 * 32 * (data.reduce((sum, v) => sum + Math.abs(v), 0) + 2 * Math.abs(want));
      expect(bound).toBeLessThan(1e-3);
      expect(Math.abs(data.reduce((sum, v) => sum + v, 0) + ofBias - want)).toBeLessThanOrEqual(bound);
    }
    cache.destroy();
  });
});

describe('the logit lens', () => {
  test('over all positions: its last rows are the predictions themselves', async () => {
    const { logits, cache } = await model.runWithCache('The capital of France is', { names: '*hook_resid_*' });
    const lens = await logitLens(model, cache, { k: 3, pos: {} });
    expect(lens.length).toBe(4 * 6);
    for (const { name, batch, pos, top } of lens.filter(({ layer }) => layer === 3)) {
      expect(name).toBe('blocks.3.hook_resid_post');
      const want = topTokens(model, logits, 3, { batch, pos });
      expect(top.map(({ id, text, logit }) => [id, text, logit])).toEqual(
        want.map(({ id, text, logit }) => [id, text, logit]),
      );
      expect(Math.abs(top[0].probability / want[0].probability - 1)).toBeLessThanOrEqual(1e-5);
    }
    const mids = await logitLens(model, cache, { names: ['blocks.*.hook_resid_mid', 'blocks.0.hook_resid_pre'] });
    expect(mids.map(({ name }) => name)).toEqual([
      'blocks.0.hook_resid_pre',
      ...[0, 1, 2, 3].map((layer) => `blocks.${layer}.hook_resid_mid`),
    ]);
    expect(mids[0].pos).toBe(5);
    await expect(logitLens(model, cache, { names: 'hook_mlp_out' })).rejects.toThrow(
      'logitLens: no captured value matches hook_mlp_out.',
    );
    cache.destroy();
  });

  test('of a stream that is NaN: NaN, and no token that there is not', async () => {
    const { cache } = await model.runWithCache('The capital of France is', {
      names: 'blocks.3.hook_resid_post',
      hooks: [['blocks.3.hook_resid_post', add(Number.NaN)]],
    });
    const [{ top }] = await logitLens(model, cache, { names: cache.names, k: 3 });
    expect(top[0].probability).toBeNaN();
    for (const { id } of top) expect(id).toBeLessThan(model.config.dVocabOut);
    cache.destroy();
  });
});
