// What circuit-zoo's README measured by interventions comes out of ours: where the answer is carried, the head that decides it, and
// the direction of a character.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { weightSpecs } from '../../src/engine/config.ts';
import {
  activationPatching,
  add,
  type HookEntry,
  Model,
  patchFrom,
  projectOut,
  referenceForward,
  type Tensor,
  zeroAblate,
} from '../../src/index.ts';
import { IOI_PROMPTS } from '../analysis/ioi_prompts.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture } from '../fixtures.ts';
import { compare } from '../kernels/compare.ts';

const PROMPT = 'When Mary and John went to the store, John gave a drink to';
const TOP_HEAD = ['blocks.2.attn.hook_z', zeroAblate({ head: 0 })] as const satisfies HookEntry;
const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;

let model: Model;
beforeAll(async () => {
  model = await Model.load(fixtureUrl('models/circuit-zoo'), { device: await testDevice() });
});
afterAll(() => model.destroy());

const idOf = (word: string) => model.toTokens(word, { prependBos: false })[0];

async function lastLogits(prompt: string, hooks: HookEntry[] = []): Promise<Float32Array> {
  return (await model.run(prompt, { hooks })).logits.data.slice(-model.config.dVocabOut);
}

async function logitDifference(prompt: string, io: string, s: string, hooks: HookEntry[] = []): Promise<number> {
  const logits = await lastLogits(prompt, hooks);
  return logits[idOf(io)] - logits[idOf(s)];
}

describe('indirect object: values of the prompt in its swapped twin', () => {
  const NAMES = [2, 4, 10]; // Mary, John; the giver
  const [GIVER, LAST] = [10, 14];

  /** The share of the logit difference that each position of hook_resid_pre brings back, by layer. */
  async function recovered(twin: string): Promise<number[][]> {
    const metric = { tokens: [idOf(' Mary'), idOf(' John')] } as const;
    const options = { clean: PROMPT, corrupted: twin, kind: 'resid_pre', metric } as const;
    const { data, shape } = await activationPatching(model, options);
    expect(shape).toEqual([4, 15]);
    const [good, bad] = [
      await logitDifference(PROMPT, ' Mary', ' John'),
      await logitDifference(twin, ' Mary', ' John'),
    ];
    expect(good).toBeGreaterThan(15);
    expect(bad).toBeLessThan(-15);
    const share = Array.from(data, (value) => (value - bad) / (good - bad));
    return [0, 1, 2, 3].map((layer) => share.slice(15 * layer, 15 * (layer + 1)));
  }

  const cellsOf = (shares: number[][], holds: (share: number) => boolean) =>
    shares.flatMap((row, layer) => row.flatMap((share, pos) => (holds(share) ? [`${layer}, ${pos}`] : [])));
  /** At the giver until block 2, whose head 2.0 looks there from the last position; at the last position from then on. */
  const CARRIERS = [`0, ${GIVER}`, `1, ${GIVER}`, `2, ${GIVER}`, `3, ${LAST}`];

  test('where only the giver is another, that position carries the answer until block 2, then the last one', async () => {
    const shares = await recovered(PROMPT.replace('John gave', 'Mary gave'));
    expect(cellsOf(shares, (share) => share > 0.9)).toEqual(CARRIERS);
    expect(cellsOf(shares, (share) => !(Math.abs(share) < 0.1))).toEqual(CARRIERS);
  });

  test('where the names change places, the giver alone brings back 90 %, the pair a part, nothing else a tenth', async () => {
    const shares = await recovered('When John and Mary went to the store, Mary gave a drink to');
    expect(cellsOf(shares, (share) => share > 0.9)).toEqual(CARRIERS);
    // The pair; and behind its second name, where the head on the previous token (0.3) has copied it.
    const partly = cellsOf(shares, (share) => !(Math.abs(share) < 0.1) && !(share > 0.9));
    expect(partly).toEqual(['0, 2', '0, 4', '1, 2', '1, 5', '2, 2']);
  });

  test('all three names before the first block are the prompt itself, bit for bit', async () => {
    const { logits, cache } = await model.runWithCache(PROMPT, { names: 'blocks.0.hook_resid_pre' });
    const patched = await model.run('When John and Mary went to the store, Mary gave a drink to', {
      hooks: [['blocks.0.hook_resid_pre', patchFrom(cache, { pos: NAMES })]],
    });
    expect(patched.logits.data).toEqual(logits.data);
    cache.destroy();
  });
});

describe('indirect object: zero-ablating the top head, 2.0', () => {
  test('moves the logit difference as in float64', async () => {
    const ids = model.toTokens(PROMPT);
    const weights = new Map<string, Float32Array>();
    for (const { name } of weightSpecs(model.config)) weights.set(name, (await model.weight(name)).data);
    const inFloat64 = (given = new Map<string, ArrayLike<number>>()) =>
      referenceForward(model.config, weights, [ids], given);
    const { logits, cache } = await model.runWithCache(PROMPT, { hooks: [TOP_HEAD] });
    const edited = new Map<string, Tensor>();
    for (const name of cache.names) edited.set(name, await cache.read(name));
    cache.destroy();

    // Each operation of the edited run is within its own bound of float64.
    const given = new Map([...edited].map(([name, { data }]) => [name, data]));
    for (const [name, want] of inFloat64(given)) {
      if (name === TOP_HEAD[0]) continue; // holds what was computed before the edit
      const axes = want.axes.map((axis, i) => ({ name: axis, size: want.shape[i] }));
      const finite = (data: ArrayLike<number>) => Array.from(data, (v) => (v === Number.NEGATIVE_INFINITY ? 0 : v));
      const got = given.get(name) ?? [];
      compare({ what: name, axes, got: finite(got), want: finite(want.data), bound: want.bound });
    }

    // And so is the whole: float32 all the way against float64 all the way, with the same edit made in it.
    const intact = inFloat64();
    const z = Float64Array.from(intact.get(TOP_HEAD[0])?.data ?? [], (v, i) => (i % 128 < 32 ? 0 : v)); // [pos, head, 32]
    const ablated = inFloat64(new Map([[TOP_HEAD[0], z]]));
    const difference = (all: ArrayLike<number>) => {
      const last = Array.from(all).slice(-model.config.dVocabOut);
      return last[idOf(' Mary')] - last[idOf(' John')];
    };
    const [before, after] = [intact, ablated].map((values) => difference(values.get('logits')?.data ?? []));
    const got = [await logitDifference(PROMPT, ' Mary', ' John'), difference(logits.data)];
    // 17.13 falls to 4.05. Four logits of up to 20, whose float32 errors are below 1e-6 of the largest (docs/accuracy.md).
    const moved = [got[1] - got[0], after - before];
    expect(moved[1]).toBeLessThan(-13);
    expect(Math.abs(moved[0] - moved[1])).toBeLessThanOrEqual(4 * 20 * 1e-6);
  });

  test('lowers the mean over prompts to what the README says', async () => {
    const { zero_ablation: recorded } = await readJsonFixture<{
      zero_ablation: {
        intact: { ioi_logit_difference: number };
        single_heads: Record<string, { ioi_logit_difference: number }>;
      };
    }>('models/circuit-zoo/evaluation.json');
    const sample: { intact: number; ablated: number }[] = [];
    for (const [prompt, io, s] of [...IOI_PROMPTS.ABBA, ...IOI_PROMPTS.BABA]) {
      const intact = await logitDifference(prompt, io, s);
      sample.push({ intact, ablated: await logitDifference(prompt, io, s, [TOP_HEAD]) });
    }
    for (const [kind, want] of [
      ['intact', recorded.intact.ioi_logit_difference],
      ['ablated', recorded.single_heads['2.0'].ioi_logit_difference],
    ] as const) {
      const values = sample.map((of) => of[kind]);
      const variance = values.reduce((sum, v) => sum + (v - mean(values)) ** 2, 0) / (values.length - 1);
      // Five standard errors of the difference of two means: 20 prompts here, 200 there.
      const bound = 5 * Math.sqrt(variance * (1 / values.length + 1 / 200));
      expect(bound, 'a bound that could tell nothing').toBeLessThan(7);
      expect(Math.abs(mean(values) - want), kind).toBeLessThanOrEqual(bound);
    }
  });
});

describe('persona: the difference of the class means before the answer', () => {
  // Forms and first words of the answers as in recipe/corpus.py; one character is described.
  const TRAITS = {
    kind: ['{N} is a kind person.', '{N} loves to help people.', '{N} is very kind.', '{N} helped a small dog.'],
    cruel: ['{N} is a cruel person.', '{N} loves to hurt people.', '{N} is very cruel.', '{N} hurt a small dog.'],
  } as const;
  const ASK = ['Can you help me find my key?', 'Can I have some water?', 'Can I sit here?', 'Do you like my hat?'];
  const NAMES = ['Mary', 'Tom', 'Anna', 'Mark', 'Lucy', 'Paul', 'Sara', 'Ben'];
  const ANSWERS = { kind: ['Of', 'Yes', 'Sure', 'Gladly'], cruel: ['No', 'Go', 'Never', 'Leave'] } as const;
  const CHARACTERS = ['kind', 'cruel'] as const;
  const LAYERS = [2, 3] as const;
  type Character = (typeof CHARACTERS)[number];

  /** Four prompts of a character; `shift` chooses other names and questions. */
  const prompts = (character: Character, shift: number) =>
    TRAITS[character].map((trait, i) => {
      const [name, asker] = [NAMES[(i + shift) % 8], NAMES[(i + shift + 3) % 8]];
      return `${trait.replace('{N}', name)} ${asker} asks: "${ASK[(i + shift) % 4]}" ${name} says: "`;
    });

  /** log of how much more probable a kind answer is than a cruel one. */
  async function preference(prompt: string, hooks: HookEntry[] = []): Promise<number> {
    const logits = await lastLogits(prompt, hooks);
    const mass = (character: Character) =>
      Math.log(ANSWERS[character].reduce((sum, word) => sum + Math.exp(logits[idOf(word)]), 0));
    return mass('kind') - mass('cruel');
  }

  const directions = new Map<number, number[]>();
  const plain: Record<Character, number[]> = { kind: [], cruel: [] };
  const TESTED = 1;
  beforeAll(async () => {
    const means = { kind: new Map<number, number[]>(), cruel: new Map<number, number[]>() };
    for (const character of CHARACTERS) {
      for (const prompt of prompts(character, 4)) {
        const { cache } = await model.runWithCache(prompt, { names: 'blocks.*.hook_resid_post' });
        for (const layer of LAYERS) {
          const last = (await cache.read(`blocks.${layer}.hook_resid_post`)).data.slice(-128);
          const sum = means[character].get(layer) ?? Array<number>(128).fill(0);
          means[character].set(
            layer,
            sum.map((v, d) => v + last[d] / 4),
          );
        }
        cache.destroy();
      }
      for (const prompt of prompts(character, TESTED)) plain[character].push(await preference(prompt));
    }
    for (const layer of LAYERS) {
      const [kind, cruel] = CHARACTERS.map((character) => means[character].get(layer) ?? []);
      directions.set(
        layer,
        kind.map((v, d) => v - cruel[d]),
      );
    }
  });

  test('without an edit every answer fits the character', () => {
    expect(Math.min(...plain.kind)).toBeGreaterThan(5);
    expect(Math.max(...plain.cruel)).toBeLessThan(-5);
  });

  test.each(LAYERS)('1.5 × the direction after block %i flips every answer', async (layer) => {
    for (const character of CHARACTERS) {
      const [away, scale] = character === 'kind' ? [-1, -1.5] : [1, 1.5];
      const hook: HookEntry = [`blocks.${layer}.hook_resid_post`, add(directions.get(layer) ?? [], { scale })];
      for (const prompt of prompts(character, TESTED)) {
        expect(away * (await preference(prompt, [hook])), prompt).toBeGreaterThan(4);
      }
    }
  });

  // After block 2 the rest of the character, in other directions, is still turned into a part of the answer by block 3.
  test.each([
    [2, 0.3],
    [3, 0.05],
  ])('without the direction after block %i both characters give the same answer', async (layer, rest) => {
    const hook: HookEntry = [`blocks.${layer}.hook_resid_post`, projectOut(directions.get(layer) ?? [])];
    const without: Record<Character, number[]> = { kind: [], cruel: [] };
    for (const character of CHARACTERS) {
      for (const prompt of prompts(character, TESTED)) without[character].push(await preference(prompt, [hook]));
    }
    const signs = [...without.kind, ...without.cruel].map(Math.sign);
    expect(new Set(signs).size).toBe(1);
    const gap = (of: Record<Character, number[]>) => mean(of.kind) - mean(of.cruel);
    expect(Math.abs(gap(without))).toBeLessThan(rest * gap(plain));
  });
});
