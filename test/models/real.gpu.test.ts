import { describe, expect, test } from 'vitest';
import { isNode } from '../../src/engine/node.ts';
import { logitLens, Model, type TilingRequest, topTokens } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture, sharedExists } from '../fixtures.ts';
import { firstDifference } from '../tensors.ts';

const load = async (path: string, tilings?: TilingRequest) =>
  Model.load(fixtureUrl(path), { device: await testDevice(), tilings });

/** The most probable next token of every position of one row. */
async function predictions(model: Model, ids: number[]): Promise<number[]> {
  const { logits } = await model.run(ids);
  return ids.map((_, pos) => topTokens(model, logits, 1, { pos })[0].id);
}

interface Golden {
  prompts: {
    prompt: string;
    ids: number[];
    top5: { id: number; token: string; p: number }[];
    mean_abs_resid_post: number[];
  }[];
}

describe('circuit-zoo', () => {
  test('gives the recorded float64 predictions, and the recorded sizes of its residual stream', async () => {
    const model = await load('models/circuit-zoo');
    const { prompts } = await readJsonFixture<Golden>('models/circuit-zoo/golden.json');
    expect(prompts.length).toBe(5);
    for (const { prompt, ids, top5, mean_abs_resid_post } of prompts) {
      expect(model.toTokens(prompt)).toEqual(ids);
      const { logits, cache } = await model.runWithCache(prompt, { names: 'blocks.*.hook_resid_post' });
      const top = topTokens(model, logits, 5);
      expect(top.map(({ id, text }) => [id, text])).toEqual(top5.map(({ id, token }) => [id, token]));
      for (const [i, { p }] of top5.entries()) expect(Math.abs(top[i].probability - p)).toBeLessThanOrEqual(1e-5);
      for (const [layer, want] of mean_abs_resid_post.entries()) {
        const { data } = await cache.read(`blocks.${layer}.hook_resid_post`);
        const got = data.reduce((sum, v) => sum + Math.abs(v), 0) / data.length;
        // A mean of float32 values whose errors are below 1e-5 of their size on the TransformerLens goldens.
        expect(Math.abs(got / want - 1)).toBeLessThanOrEqual(1e-5);
      }
      cache.destroy();
    }
    model.destroy();
  });

  test('the last row of the logit lens is the prediction itself, bit for bit', async () => {
    const model = await load('models/circuit-zoo');
    const { logits, cache } = await model.runWithCache('The capital of France is', {
      names: 'blocks.*.hook_resid_post',
    });
    expect(firstDifference((await model.unembed(cache.get('blocks.3.hook_resid_post'))).data, logits.data)).toBe(-1);
    const lens = await logitLens(model, cache, { k: 5 });
    expect(lens.map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
    const want = topTokens(model, logits, 5);
    expect(lens[3].top.map(({ id, logit }) => [id, logit])).toEqual(want.map(({ id, logit }) => [id, logit]));
    for (const [i, { probability }] of want.entries()) {
      // One sum of float32 exponentials.
      expect(Math.abs(lens[3].top[i].probability / probability - 1)).toBeLessThanOrEqual(1e-5);
    }
    expect(lens[3].top[0].text).toBe(' Paris');
    cache.destroy();
    model.destroy();
  });

  test('reads its weights from the Hugging Face layout: induction after a repeated block', async () => {
    const model = await load('models/circuit-zoo');
    // README: a repeated block of random tokens is predicted with top-1 100 % by the induction heads.
    const block = Array.from({ length: 25 }, (_, i) => 300 + ((i * 617) % 1500));
    const ids = [0, ...block, ...block];
    const next = await predictions(model, ids);
    // From the second token of the second copy on, the first copy says what follows.
    expect(next.slice(26, 50)).toEqual(ids.slice(27, 51));
    model.destroy();
  });
});

const P = 113;
const PAIRS = Array.from({ length: P * P }, (_, i) => [Math.floor(i / P), i % P, P]);

test(`modular-addition adds ${PAIRS.length} of all 12,769 pairs right`, async () => {
  // Thousands of rows: a tile of four rows reads the weights a quarter as often, and compiles as fast as that of one.
  const model = await load('models/modular-addition', 'register 4x4');
  let right = 0;
  for (let first = 0; first < PAIRS.length; first += 1600) {
    const rows = PAIRS.slice(first, first + 1600);
    const { logits } = await model.run(rows, { logits: 'last' });
    rows.forEach(([a, b], batch) => {
      const row = logits.data.subarray(batch * P, (batch + 1) * P);
      const best = row.indexOf(row.reduce((x, y) => Math.max(x, y)));
      if (best === (a + b) % P) right++;
    });
  }
  expect(right).toBe(PAIRS.length);
  if (isNode()) expect(right).toBe(12_769);
  model.destroy();
});

describe.skipIf(!sharedExists)('stories260K', () => {
  const golden = () =>
    readJsonFixture<{ prompt_ids: number[]; greedy_ids: number[]; text_starts_with: string }>(
      '../shared/models/stories260K/golden.json',
    );

  test('writes the 200 greedy tokens and the text of llama2.c', async () => {
    const model = await load('../shared/models/stories260K');
    const { prompt_ids, greedy_ids, text_starts_with } = await golden();
    // One pass over the golden ids: each prediction is the next id. With the next test (a position's logits are the same bits
    // whatever follows it) and by induction, decoding token by token gives exactly these.
    const next = await predictions(model, greedy_ids.slice(0, -1));
    expect([...prompt_ids, ...next.slice(prompt_ids.length - 1)]).toEqual(greedy_ids);
    expect(next.length).toBe(200);
    const text = model.tokenizer?.decode([...prompt_ids, ...next], { skipSpecialTokens: true }) ?? '';
    // The recorded text goes on beyond these ids.
    expect(text.length).toBeGreaterThan(400);
    expect(text_starts_with.startsWith(text.trimStart())).toBe(true);
    model.destroy();
  });

  test('predicts from a text alone what it predicts inside a longer one, bit for bit', async () => {
    const model = await load('../shared/models/stories260K');
    const { greedy_ids } = await golden();
    const { logits } = await model.run(greedy_ids);
    const width = model.config.dVocabOut;
    for (const length of [1, 2, 3, 5, 6, 7, 8, 9, 16, 31, 63, 64, 65, 127, 128, 129, 200]) {
      const alone = (await model.run(greedy_ids.slice(0, length))).logits;
      expect(firstDifference(alone.data, logits.data.subarray(0, length * width)), `${length} tokens`).toBe(-1);
    }
    model.destroy();
  });

  test('decodes greedily, token by token', async () => {
    const model = await load('../shared/models/stories260K');
    const { prompt_ids, greedy_ids } = await golden();
    const ids = [...prompt_ids];
    while (ids.length < 33) {
      const { logits } = await model.run(ids);
      ids.push(topTokens(model, logits, 1)[0].id);
    }
    expect(ids).toEqual(greedy_ids.slice(0, 33));
    model.destroy();
  });
});

// A part's description, <SOS>, then chains of processes, each closed by <EOC>, and <EOS> after the last.
const CHAINS = [
  {
    part: [0, 8, 15, 17, 21, 25], // axisymmetric, normal holes, no thread, normal finish, normal tolerance, small batch
    chains: 'Turning, Drilling; SLM, Turning Secondary; Sand Casting, Turning Secondary',
  },
  {
    part: [2, 9, 15, 18, 22, 26], // prismatic, threaded holes, no thread, good finish, medium tolerance, medium batch
    chains: 'Milling, Drilling, Tapping, Grinding; Sand Casting, Drilling, Tapping, Milling Secondary, Grinding',
  },
  { part: [5, 7, 15, 16, 20, 28], chains: 'High Pressure Die Casting' }, // freeform, no holes, rough, mass production
];

describe.skipIf(!sharedExists)('capp-gpt2', () => {
  test.each(CHAINS)('plans $chains', async ({ part, chains }) => {
    const model = await load('../shared/models/capp-gpt2');
    const { token2id, id2token } = await readJsonFixture<{
      token2id: Record<string, number>;
      id2token: Record<string, string>;
    }>('../shared/models/capp-gpt2/token_mappings.json');
    const ids = [...part, token2id['<SOS>']];
    const written: string[] = [];
    while (ids.at(-1) !== token2id['<EOS>'] && written.length < 40) {
      const { logits } = await model.run(ids);
      const [top] = topTokens(model, logits, 1);
      if (written.length > 0) expect(top.probability).toBeGreaterThan(0.97);
      written.push(id2token[top.id]);
      ids.push(top.id);
    }
    expect(written.join(', ')).toBe(`${chains.replaceAll(';', ', <EOC>,')}, <EOC>, <EOS>`);
    model.destroy();
  });
});
