// What each intervention means: plain arithmetic on the CPU, done on values of an unedited run.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGraph } from '../../src/engine/graph.ts';
import { selectHooks } from '../../src/hooks/names.ts';
import { planWrites } from '../../src/hooks/writes.ts';
import {
  type ActivationCache,
  add,
  clamp,
  type HookEntry,
  type HookFunction,
  type Intervention,
  Model,
  meanAblate,
  patchFrom,
  projectOut,
  type Selection,
  scale,
  set,
  swapRows,
  type Tensor,
  wgsl,
  zeroAblate,
} from '../../src/index.ts';
import { dotRoundings, gamma, U } from '../../src/kernels/kernel.ts';
import { testDevice } from '../device.ts';
import { countGpuCalls } from '../gpu_calls.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { normal, seeded } from '../random.ts';
import { bitsOf, firstDifference } from '../tensors.ts';

/** GPT-2 of 2 layers, 3 heads of 4, 48 neurons; 3 rows of 5 tokens. */
let model: Model;
let tokens: number[][];
let before: ReadonlyMap<string, Tensor>;
let others: number[][];
let other: ActivationCache;
let otherValues: ReadonlyMap<string, Tensor>;

async function readAll(cache: ActivationCache): Promise<Map<string, Tensor>> {
  const tensors = await Promise.all(cache.names.map((name) => cache.read(name)));
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

beforeAll(async () => {
  model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 21), { device: await testDevice() });
  tokens = randomTokens(model.config, 3, 5, 22);
  others = randomTokens(model.config, 3, 5, 23);
  const { cache } = await model.runWithCache(tokens);
  before = await readAll(cache);
  cache.destroy();
  other = (await model.runWithCache(others)).cache;
  otherValues = await readAll(other);
});

afterAll(() => {
  other.destroy();
  model.destroy();
});

const was = (name: string) => before.get(name) as Tensor;

/** All values of a run with these hooks. */
async function run(hooks: readonly HookEntry[]): Promise<Map<string, Tensor>> {
  const { cache } = await model.runWithCache(tokens, { hooks });
  const values = await readAll(cache);
  cache.destroy();
  return values;
}

type Index = Readonly<Record<string, number>>;

/** The value's elements, each with its indices by axis. */
function elements({ axes, shape, data }: Tensor): { index: Index; value: number; at: number }[] {
  return Array.from(data, (value, at) => {
    let rest = at;
    const index: Record<string, number> = {};
    for (let a = shape.length - 1; a >= 0; a--) {
      index[axes[a]] = rest % shape[a];
      rest = Math.floor(rest / shape[a]);
    }
    return { index, value, at };
  });
}

/** The value is, bit for bit, what `f` makes of each element before. */
async function expectBits(
  name: string,
  what: Intervention | HookFunction,
  f: (value: number, index: Index, at: number) => number,
): Promise<void> {
  const want = Float32Array.from(elements(was(name)), ({ index, value, at }) => f(value, index, at));
  const got = (await run([[name, what]])).get(name) as Tensor;
  expect(firstDifference(got.data, want), name).toBe(-1);
}

const Z = 'blocks.0.attn.hook_z';
const PATTERN = 'blocks.1.attn.hook_pattern';
const SCORES = 'blocks.1.attn.hook_attn_scores';
const POST = 'blocks.0.mlp.hook_post';
const RESID = 'blocks.0.hook_resid_post';

describe('selections', () => {
  const cases: [string, Selection, (index: Index) => boolean][] = [
    [Z, {}, () => true],
    [Z, { head: 1 }, ({ head_index }) => head_index === 1],
    [Z, { head_index: -1 }, ({ head_index }) => head_index === 2],
    [Z, { head: [0, -1] }, ({ head_index }) => head_index !== 1],
    [Z, { head: { from: 1 } }, ({ head_index }) => head_index >= 1],
    [Z, { pos: { to: -1 } }, ({ pos }) => pos < 4],
    [Z, { pos: { from: 1, to: 3 } }, ({ pos }) => pos === 1 || pos === 2],
    [Z, { pos: { from: -2 } }, ({ pos }) => pos >= 3],
    [Z, { d_head: [3, 0] }, ({ d_head }) => d_head === 0 || d_head === 3],
    [Z, { batch: 1 }, ({ batch }) => batch === 1],
    [Z, { batch: [0, 2], pos: -1, head: 0 }, ({ batch, pos, head_index }) => batch !== 1 && pos === 4 && !head_index],
    [POST, { neuron: 47 }, ({ d_mlp }) => d_mlp === 47],
    [POST, { d_mlp: { from: 40 } }, ({ d_mlp }) => d_mlp >= 40],
    [PATTERN, { query: 3 }, ({ query_pos }) => query_pos === 3],
    [PATTERN, { query_pos: [-1], key: [0, 1] }, ({ query_pos, key_pos }) => query_pos === 4 && key_pos < 2],
    [PATTERN, { key_pos: 0, head: 2 }, ({ key_pos, head_index }) => key_pos === 0 && head_index === 2],
    ['logits', { d_vocab_out: 36 }, ({ d_vocab_out }) => d_vocab_out === 36],
    ['hook_embed', { d_model: -12 }, ({ d_model }) => d_model === 0],
  ];
  test.each(cases)('%s %o', async (name, selection, isSelected) => {
    await expectBits(name, zeroAblate(selection), (value, index) => (isSelected(index) ? 0 : value));
  });
});

describe('built-in interventions', () => {
  test('set takes a number, a vector of the last axes, and every element', async () => {
    const head = Array.from({ length: 4 }, (_, i) => i - 0.3);
    await expectBits(Z, set(2.5, { pos: 1 }), (v, { pos }) => (pos === 1 ? 2.5 : v));
    await expectBits(Z, set(head), (_, { d_head }) => head[d_head]);
    await expectBits(Z, set(head.slice(0, 2), { d_head: [2, 0] }), (v, { d_head }) =>
      d_head === 2 ? head[0] : d_head === 0 ? head[1] : v,
    );
    const all = (otherValues.get(Z) as Tensor).data;
    await expectBits(Z, set(all), (_, __, at) => all[at]);
    await expectBits(Z, set(otherValues.get(Z) as Tensor), (_, __, at) => all[at]);
    const nothing = Array(5 * 3 * 4).fill(7);
    await expectBits(Z, set(nothing, { batch: 2 }), (v, { batch }) => (batch === 2 ? 7 : v));
  });

  test('scale and clamp', async () => {
    const k = Math.fround(-0.7);
    await expectBits(POST, scale(k, { neuron: [1, 2] }), (v, { d_mlp }) =>
      d_mlp === 1 || d_mlp === 2 ? Math.fround(v * k) : v,
    );
    await expectBits(RESID, clamp(-0.5, 0.25, { pos: 2 }), (v, { pos }) =>
      pos === 2 ? Math.min(Math.max(v, -0.5), 0.25) : v,
    );
    await expectBits(RESID, clamp(0.125, 0.125), () => 0.125);
  });

  test('add, with one rounding or two', async () => {
    const random = seeded(31);
    const vector = Float32Array.from({ length: 12 }, () => normal(random));
    const got = (await run([[RESID, add(vector, { scale: 3, pos: [0, -1] })]])).get(RESID) as Tensor;
    for (const { index, value, at } of elements(was(RESID))) {
      const change = index.pos === 0 || index.pos === 4 ? 3 * vector[index.d_model] : 0;
      const bound = change === 0 ? 0 : U * (Math.abs(value + change) + 2 * Math.abs(change));
      expect(Math.abs(got.data[at] - (value + change))).toBeLessThanOrEqual(bound);
    }
  });

  test('projectOut leaves nothing along the direction and keeps the rest', async () => {
    const random = seeded(32);
    const direction = Array.from({ length: 12 }, () => 5 * normal(random));
    const norm = Math.sqrt(direction.reduce((sum, d) => sum + d * d, 0));
    const unit = Float32Array.from(direction, (d) => d / norm);
    const got = (await run([[RESID, projectOut(direction, { batch: 1 })]])).get(RESID) as Tensor;
    const values = was(RESID).data;
    for (const { index, value, at } of elements(was(RESID))) {
      const first = at - index.d_model;
      const terms = Array.from(unit, (u, i) => u * values[first + i]);
      const along = index.batch === 1 ? terms.reduce((a, b) => a + b) : 0;
      const want = value - along * unit[index.d_model];
      const size = terms.reduce((sum, term) => sum + Math.abs(term), 0) * Math.abs(unit[index.d_model]);
      const bound = index.batch === 1 ? gamma(dotRoundings(12)) * size + 2 * U * (Math.abs(want) + size) : 0;
      expect(Math.abs(got.data[at] - want)).toBeLessThanOrEqual(bound);
    }
  });

  test('patchFrom takes the same place, another one, one row for all, and a value of another name', async () => {
    const { data } = otherValues.get(Z) as Tensor;
    const place = (batch: number, pos: number, head: number, d: number) => ((batch * 5 + pos) * 3 + head) * 4 + d;
    await expectBits(Z, patchFrom(other), (_, __, at) => data[at]);
    await expectBits(Z, patchFrom(other, { pos: 3, head: 1 }), (v, { pos, head_index }, at) =>
      pos === 3 && head_index === 1 ? data[at] : v,
    );
    await expectBits(Z, patchFrom(other, { pos: 3 }, { at: { pos: 1 } }), (v, { batch, pos, head_index, d_head }) =>
      pos === 3 ? data[place(batch, 1, head_index, d_head)] : v,
    );
    await expectBits(
      Z,
      patchFrom(other, { pos: [0, 1] }, { at: { pos: [4, -2] } }),
      (v, { batch, pos, head_index, d_head }) =>
        pos < 2 ? data[place(batch, pos === 0 ? 4 : 3, head_index, d_head)] : v,
    );
    await expectBits(
      Z,
      patchFrom(other, {}, { at: { batch: 2 } }),
      (_, { pos, head_index, d_head }) => data[place(2, pos, head_index, d_head)],
    );
    const one = (await model.runWithCache(others[1], { names: [Z] })).cache;
    await expectBits(
      Z,
      patchFrom(one.get(Z)),
      (_, { pos, head_index, d_head }) => data[place(1, pos, head_index, d_head)],
    );
    one.destroy();
    const embed = otherValues.get('hook_embed') as Tensor;
    await expectBits(RESID, patchFrom(other.get('hook_embed')), (_, __, at) => embed.data[at]);
    const two = (await model.runWithCache(others[0].slice(0, 2), { names: [Z] })).cache;
    await expectBits(Z, patchFrom(two, { pos: 1 }), (v, { pos, head_index, d_head }) =>
      pos === 1 ? data[place(0, 1, head_index, d_head)] : v,
    );
    two.destroy();
  });

  test('swapRows gives each row what another one has, before anything is replaced', async () => {
    const rowElements = 5 * 3 * 4;
    const { data } = was(Z);
    const source = [2, 0, 1];
    await expectBits(Z, swapRows(source), (_, { batch }, at) => data[at + (source[batch] - batch) * rowElements]);
    await expectBits(Z, swapRows([1, 1, 1], { head: 0 }), (v, { batch, head_index }, at) =>
      head_index === 0 ? data[at + (1 - batch) * rowElements] : v,
    );
  });

  test('meanAblate takes a mean, or that of a cache over rows and positions, computed in the fixed order', async () => {
    await expectBits(POST, meanAblate(0.5, { neuron: 7 }), (v, { d_mlp }) => (d_mlp === 7 ? 0.5 : v));
    const source = otherValues.get(Z) as Tensor;
    const means: [string, Intervention, (index: Index) => boolean][] = [
      ['rows and positions', meanAblate(other, { head: 2 }), () => true],
      ['rows', meanAblate(other, { head: 2 }, { over: ['batch'] }), () => false],
    ];
    for (const [over, what] of means) {
      const got = (await run([[Z, what]])).get(Z) as Tensor;
      for (const { index, value, at } of elements(was(Z))) {
        if (index.head_index !== 2) {
          expect(got.data[at]).toBe(value);
          continue;
        }
        const alike = elements(source).filter(
          ({ index: i }) => i.head_index === 2 && i.d_head === index.d_head && (over !== 'rows' || i.pos === index.pos),
        );
        const mean = alike.reduce((sum, { value: v }) => sum + v, 0) / alike.length;
        const size = alike.reduce((sum, { value: v }) => sum + Math.abs(v), 0) / alike.length;
        expect(Math.abs(got.data[at] - mean)).toBeLessThanOrEqual(gamma(alike.length + 3) * size);
      }
    }
    const perRow = (await run([[PATTERN, meanAblate(other)]])).get(PATTERN) as Tensor;
    expect(perRow.data[0]).toBe(1); // the first query looks at the first key in every row
  });

  test('a glob is one entry for all that it matches', async () => {
    const values = await run([['blocks.*.attn.hook_z', zeroAblate({ head: 1 })]]);
    for (const layer of [0, 1]) {
      const { axes, shape, data, name } = values.get(`blocks.${layer}.attn.hook_z`) as Tensor;
      const kept = elements({ name, axes, shape, data }).filter(({ value }) => value !== 0);
      expect(kept.every(({ index }) => index.head_index !== 1)).toBe(true);
      expect(kept.length).toBe(3 * 5 * 2 * 4);
    }
    const both = await run([[[Z, RESID], set(1)]]);
    expect([Z, RESID].map((name) => (both.get(name) as Tensor).data.every((v) => v === 1))).toEqual([true, true]);
  });

  test('an alias that is edited changes what reads it under that name, and nothing else', async () => {
    const mid = was('blocks.1.hook_resid_mid').data;
    const values = await run([['blocks.1.hook_mlp_in', set(0.5)]]);
    const now = (name: string) => (values.get(name) as Tensor).data;
    expect(firstDifference(now('blocks.1.hook_resid_mid'), mid)).toBe(-1);
    expect(now('blocks.1.hook_mlp_in').every((v) => v === 0.5)).toBe(true);
    expect(firstDifference(now('blocks.1.hook_mlp_out'), was('blocks.1.hook_mlp_out').data)).not.toBe(-1);
    const sum = mid.map((v, i) => v + now('blocks.1.hook_mlp_out')[i]);
    expect(firstDifference(now('blocks.1.hook_resid_post'), sum)).toBe(-1);
  });
});

describe('several interventions', () => {
  test('on one value apply in the order given, functions among them', async () => {
    const hooks: HookEntry[] = [
      [Z, set(2, { head: 0 })],
      [Z, scale(3, { pos: 1 })],
      [Z, ({ data }) => data.map((v) => v - 1)],
      [Z, clamp(-10, 4)],
      [Z, zeroAblate({ pos: 0 })],
    ];
    const want = Float32Array.from(elements(was(Z)), ({ index, value }) => {
      const first = index.head_index === 0 ? 2 : value;
      const second = index.pos === 1 ? Math.fround(first * 3) : first;
      const third = Math.fround(second - 1);
      return index.pos === 0 ? 0 : Math.min(Math.max(third, -10), 4);
    });
    expect(firstDifference(((await run(hooks)).get(Z) as Tensor).data, want)).toBe(-1);
    const swapped = [hooks[1], hooks[0]];
    const other = ((await run(swapped)).get(Z) as Tensor).data;
    expect(other[3 * 4]).toBe(2); // row 0, position 1, head 0: set after it was scaled
  });

  test('on different rows are one dispatch, and each row has the bits that it has alone', async () => {
    const random = seeded(33);
    const vectors = [0, 1, 2].map(() => Float32Array.from({ length: 12 }, () => normal(random)));
    const hooks = vectors.map(
      (vector, batch): HookEntry => [RESID, add(vector, { scale: batch + 1, batch, pos: batch })],
    );
    const graph = buildGraph(model.config, () => true);
    const shape = { batch: 3, pos: 5, keys: 5, outputs: 5 };
    const planned = (entries: readonly HookEntry[]) =>
      planWrites(graph, [{ hooks: entries }], shape, (where) => selectHooks(graph, where)).planned.length;
    expect(planned(hooks)).toBe(1);
    expect(planned([...hooks, [RESID, add(1)]])).toBe(2); // touches rows that are already touched
    expect(planned([...hooks, [RESID, scale(1)], hooks[0]])).toBe(3); // the order is kept
    const { logits } = await model.run(tokens, { hooks });
    for (const [batch, vector] of vectors.entries()) {
      const alone = await model.run(tokens[batch], { hooks: [[RESID, add(vector, { scale: batch + 1, pos: batch })]] });
      const size = alone.logits.data.length;
      expect(firstDifference(logits.data.slice(batch * size, (batch + 1) * size), alone.logits.data)).toBe(-1);
    }
  });

  test('built-in ones add no submit and read nothing back', async () => {
    const device = await testDevice();
    const hooks: HookEntry[] = [
      [Z, zeroAblate({ head: 1 })],
      [RESID, add(1)],
      [RESID, patchFrom(other, { pos: 2 })],
      [POST, wgsl`value * 0.5`],
      [PATTERN, swapRows([1, 0, 2])],
    ];
    await model.run(tokens);
    await model.run(tokens, { hooks });
    const plain = await countGpuCalls(device, async () => void (await model.run(tokens)));
    const edited = await countGpuCalls(device, async () => void (await model.run(tokens, { hooks })));
    expect([edited.submits, edited.created]).toEqual([plain.submits, 0]);
  });
});

describe('WGSL expressions', () => {
  test('see the value and its indices', async () => {
    await expectBits(Z, wgsl`value * 0.5`, (v) => Math.fround(v * 0.5));
    await expectBits(Z, wgsl`select(value, f32(batch * 100u + pos * 10u + head_index), d_head == 1u)`, (v, i) =>
      i.d_head === 1 ? i.batch * 100 + i.pos * 10 + i.head_index : v,
    );
    await expectBits(
      PATTERN,
      wgsl`f32(query_pos - key_pos)
      + 0.5`,
      (_, { query_pos, key_pos }) => ((query_pos - key_pos) >>> 0) + 0.5,
    );
    await expectBits('ln_final.hook_scale', wgsl`value + f32(one) // the last axis has one element`, (v) => v);
  });

  test('count positions from the start of the text', async () => {
    const hooks: HookEntry[] = [
      [RESID, wgsl`value + f32(pos)`],
      [PATTERN, wgsl`value * f32(query_pos + 10u * key_pos)`],
    ];
    const whole = (await model.run(tokens[0], { hooks })).logits.data;
    const cache = model.createKeyValueCache();
    const first = (await model.run(tokens[0].slice(0, 2), { hooks, keyValueCache: cache })).logits.data;
    const rest = (await model.run(tokens[0].slice(2), { hooks, keyValueCache: cache })).logits.data;
    cache.destroy();
    expect(firstDifference(Float32Array.from([...first, ...rest]), whole)).toBe(-1);
  });

  test('take numbers, which do not compile it again when they change', async () => {
    const edit = (k: number, from: number) => wgsl`select(value, ${k} * value, f32(pos) >= ${from})`;
    const want =
      (k: number, from: number) =>
      (v: number, { pos }: Index) =>
        pos >= from ? Math.fround(v * k) : v;
    await expectBits(Z, edit(2, 1), want(2, 1));
    const calls = await countGpuCalls(await testDevice(), async () => {
      await expectBits(Z, edit(-4, 3), want(-4, 3));
    });
    expect([calls.pipelines, calls.shaderModules]).toEqual([0, 0]);
  });
});

describe('functions', () => {
  test('see the value with its name and shape, return, write, or leave it; sync or async', async () => {
    const seen: unknown[] = [];
    const double: HookFunction = ({ name, shape, axes, data, write }) => {
      seen.push({ name, shape, axes });
      write(data.map((v) => 2 * v));
    };
    await expectBits(Z, double, (v) => 2 * v);
    expect(seen).toEqual([{ name: Z, shape: [3, 5, 3, 4], axes: ['batch', 'pos', 'head_index', 'd_head'] }]);
    await expectBits(
      Z,
      async ({ data }) => Array.from(data, (v) => v / 2),
      (v) => v / 2,
    );
    await expectBits(
      Z,
      ({ data }) => void data.fill(9),
      (v) => v,
    );
  });

  test('several work in one pass, each on what the one before made of it', async () => {
    const order: string[] = [];
    const note =
      (what: string): HookFunction =>
      async ({ data }) => {
        order.push(what);
        await Promise.resolve();
        return data.map((v) => v + 1);
      };
    const values = await run([
      [RESID, note('second')],
      ['hook_embed', note('first')],
      [RESID, note('third')],
      ['logits', note('last')],
    ]);
    expect(order).toEqual(['first', 'second', 'third', 'last']);
    const plusOne = was('hook_embed').data.map((v) => v + 1);
    expect(firstDifference((values.get('hook_embed') as Tensor).data, plusOne)).toBe(-1);
    const [resid, mid, out] = [RESID, 'blocks.0.hook_resid_mid', 'blocks.0.hook_mlp_out'].map(
      (name) => (values.get(name) as Tensor).data,
    );
    expect(
      firstDifference(
        resid,
        mid.map((v, i) => Math.fround(Math.fround(Math.fround(v + out[i]) + 1) + 1)),
      ),
    ).toBe(-1);
  });

  test('that throw end the run with that exception; the model goes on and holds nothing more', async () => {
    const { logits } = await model.run(tokens);
    const failing: HookEntry[] = [
      [Z, ({ data }) => data],
      [RESID, () => Promise.reject(new RangeError('mine'))],
    ];
    await expect(model.run(tokens, { hooks: failing })).rejects.toThrow(new RangeError('mine'));
    const held = model.memory;
    for (let i = 0; i < 3; i++) await expect(model.run(tokens, { hooks: failing })).rejects.toThrow('mine');
    expect(model.memory).toEqual(held);
    expect(firstDifference((await model.run(tokens)).logits.data, logits.data)).toBe(-1);
  });

  test.each([
    ['a number', () => 3, `hooks: the function for ${Z} gave number; expected an array of numbers or nothing.`],
    ['too few elements', () => [1, 2], `hooks: ${Z} has 180 elements [3, 5, 3, 4]; 2 were written.`],
  ])('that give %s are told so', async (_, f, message) => {
    await expect(model.run(tokens, { hooks: [[Z, f]] })).rejects.toThrow(message);
  });
});

describe('masked scores', () => {
  const isMasked = ({ query_pos, key_pos }: Index) => key_pos > query_pos;

  test('are unmasked by setting them, and then count', async () => {
    const values = await run([[SCORES, set(0, { query: 1 })]]);
    const pattern = elements(values.get(PATTERN) as Tensor).filter(({ index }) => index.query_pos === 1);
    for (const { value } of pattern) expect(value).toBeCloseTo(1 / 5, 6);
  });

  test('stay masked when they are added to or scaled', async () => {
    const infinite = Number.NEGATIVE_INFINITY;
    await expectBits(SCORES, scale(-2), (v, index) => (isMasked(index) ? infinite : Math.fround(-2 * v)));
    await expectBits(SCORES, add(1000), (v, index) => (isMasked(index) ? infinite : Math.fround(v + 1000)));
  });

  test('read and write as −∞: masking by hand, and all of them written back', async () => {
    const infinite = Number.NEGATIVE_INFINITY;
    const hide: HookFunction = ({ data, shape }) =>
      data.map((v, i) => (i % shape[3] === 0 && i % 25 > 4 ? infinite : v));
    const values = await run([[SCORES, hide]]);
    for (const { index, value } of elements(values.get(PATTERN) as Tensor)) {
      if (index.query_pos > 0 && index.key_pos === 0) expect(value).toBe(0);
    }
    await expectBits(SCORES, set(was(SCORES)), (v) => v);
    await expectBits(SCORES, set(infinite, { key: 0, query: 2 }), (v, { key_pos, query_pos }) =>
      key_pos === 0 && query_pos === 2 ? infinite : v,
    );
  });

  test('an infinity stays one where nothing can be masked', async () => {
    const values = await run([['logits', set(Number.NEGATIVE_INFINITY, { d_vocab_out: 3 })]]);
    const logits = elements(values.get('logits') as Tensor);
    expect(logits.filter(({ value }) => value === Number.NEGATIVE_INFINITY).length).toBe(15);
  });
});

test('NaN may be written, and the run says so', async () => {
  const nan = Number.NaN;
  const warning = `hooks: NaN was written to ${Z}`;
  for (const what of [set(nan), add([nan, 0, 0, 0]), scale(nan), wgsl`value * ${nan}`, () => Array(180).fill(nan)]) {
    expect((await model.run(tokens, { hooks: [[Z, what]] })).warnings).toEqual([warning]);
  }
  expect((await model.run(tokens, { hooks: [[Z, set(1)]] })).warnings).toEqual([]);
  const { data } = (await run([[Z, set(nan, { head: 0 })]])).get(Z) as Tensor;
  expect(bitsOf(data).filter((bits) => (bits & 0x7fffffff) > 0x7f800000).length).toBe(60);
});

describe('what cannot be done is refused before any GPU call, and the model goes on', () => {
  const refused: [string, () => readonly HookEntry[], string][] = [
    [
      'an unknown axis',
      () => [[Z, zeroAblate({ neuron: 1 })]],
      `hooks: ${Z} has no axis "neuron"; it has batch, pos, head_index, d_head.`,
    ],
    [
      'an index beyond the axis',
      () => [[Z, zeroAblate({ head: 3 })]],
      `hooks: ${Z} has 3 elements along head_index; index 3 is outside of -3 … 2.`,
    ],
    ['a negative index beyond it', () => [[Z, zeroAblate({ pos: [0, -6] })]], 'index -6 is outside of -5 … 4.'],
    ['a fraction', () => [[Z, zeroAblate({ pos: 0.5 })]], 'index 0.5 is outside of -5 … 4.'],
    ['a range beyond it', () => [[Z, zeroAblate({ pos: { to: 6 } })]], 'index 6 is outside of -5 … 4.'],
    [
      'an empty list',
      () => [[Z, zeroAblate({ pos: [] })]],
      `hooks: ${Z}: no index along pos is selected, so nothing would be written.`,
    ],
    [
      'one axis by two names',
      () => [[Z, zeroAblate({ head: 1, head_index: 2 })]],
      `hooks: ${Z}: head_index is selected twice; "head_index" is the same axis.`,
    ],
    [
      'values that do not fit',
      () => [[Z, set([1, 2, 3])]],
      `set: 3 values do not fit ${Z}, of which [batch 3, pos 5, head_index 3, d_head 4] are selected. Give one number, or as many as its last axes have.`,
    ],
    ['no value', () => [[Z, set([])]], 'set: 0 values do not fit'],
    [
      'a direction of another length',
      () => [[Z, projectOut([1, 0])]],
      `projectOut: ${Z} needs a direction over the whole of d_head (4 elements), got 2.`,
    ],
    [
      'a direction among masked scores',
      () => [[SCORES, projectOut([1, 0, 0, 0, 0])]],
      `projectOut: ${SCORES} holds masked scores, which have no direction.`,
    ],
    [
      'a mean of masked scores',
      () => [[SCORES, meanAblate(other)]],
      `meanAblate: ${SCORES} holds masked scores, which have no mean.`,
    ],
    [
      'a mean over what is not there',
      () => [[PATTERN, meanAblate(other, {}, { over: ['pos'] })]],
      `meanAblate: ${PATTERN} has no axis pos.`,
    ],
    [
      'too few rows',
      () => [[Z, swapRows([1, 0])]],
      'swapRows: expected one row of 0 … 2 for each of 3 rows, got [1, 0].',
    ],
    [
      'a value with other axes',
      () => [[Z, patchFrom(other.get(RESID))]],
      `patchFrom: ${Z} [batch, pos, head_index, d_head] cannot take the values of ${RESID} [batch, pos, d_model].`,
    ],
    [
      'scores into a pattern',
      () => [[PATTERN, patchFrom(other.get(SCORES))]],
      `patchFrom: ${PATTERN} [batch, head_index, query_pos, key_pos] cannot take the values of ${SCORES}`,
    ],
    [
      'as many sources as targets',
      () => [[Z, patchFrom(other, { pos: [0, 1, 2] }, { at: { pos: [0, 1] } })]],
      `patchFrom: ${Z}: 3 elements along pos are selected, but { at } gives 2.`,
    ],
    [
      'a name that is not there',
      () => [['blocks.2.attn.hook_z', zeroAblate()]],
      'hooks: no value "blocks.2.attn.hook_z". This model has blocks 0–1; did you mean "blocks.1.attn.hook_z"?',
    ],
    [
      'a glob that matches nothing',
      () => [['blocks.*.hook_zz', zeroAblate()]],
      'hooks: no value matches "blocks.*.hook_zz".',
    ],
    [
      'a predicate that matches nothing',
      () => [[() => false, zeroAblate()]],
      'hooks: a predicate matched no value, so nothing would be written.',
    ],
    [
      'no intervention',
      () => [[Z, 'zero' as unknown as Intervention]],
      `hooks: ${Z}: expected an intervention or a function, got string.`,
    ],
    ['no pair', () => ['hook_embed' as unknown as HookEntry], 'hooks: expected [where, what], got string.'],
  ];
  test.each(refused)('%s', async (_, hooks, message) => {
    const entries = hooks();
    const calls = await countGpuCalls(await testDevice(), async () => {
      await expect(model.run(tokens, { hooks: entries })).rejects.toThrow(message);
    });
    expect([calls.created, calls.submits]).toEqual([0, 0]);
    expect(firstDifference((await model.run(tokens)).logits.data, was('logits').data)).toBe(-1);
  });

  test('what is wrong whatever the model', () => {
    expect(() => clamp(1, 0)).toThrow('clamp: expected min ≤ max, got 1 and 0.');
    expect(() => projectOut([0, 0])).toThrow(
      'projectOut: expected a direction of finite length above 0, got length 0.',
    );
    expect(() => wgsl``).toThrow('wgsl: expected an expression over `value`, got nothing.');
    expect(() => wgsl`value * ${'2' as unknown as number}`).toThrow('wgsl: only numbers can be put in, got string.');
  });

  test('a cache of another model, of another length, and a freed one', async () => {
    const wide = { ...TINY_CONFIGS.gpt2, n_embd: 24, n_head: 6 };
    const stranger = await Model.load(tinyModel(wide, 1), { device: await testDevice() });
    const { cache } = await stranger.runWithCache(tokens);
    const refuse = async (what: Intervention, message: string) => {
      await expect(model.run(tokens, { hooks: [[Z, what]] })).rejects.toThrow(message);
    };
    await refuse(
      patchFrom(cache),
      `patchFrom: ${Z} has 3 elements along head_index, the source 6. Is the cache of another model?`,
    );
    stranger.destroy();
    const short = (
      await model.runWithCache(
        others.map((row) => row.slice(0, 4)),
        { names: [Z, RESID] },
      )
    ).cache;
    await refuse(patchFrom(short), `patchFrom: ${Z} has 5 elements along pos, the source 4. Say which with { at: … }.`);
    await refuse(patchFrom(short, { pos: 4 }), 'along pos, the source 4. Say which with { at: … }.');
    const what = patchFrom(short, { pos: 0 });
    short.destroy();
    await refuse(what, 'cache: it has been destroyed, its values are gone. Keep what you read, or run again.');
    await refuse(patchFrom({} as ActivationCache), 'patchFrom: expected a cache or a value of a cache, got object.');
    expect(firstDifference((await model.run(tokens)).logits.data, was('logits').data)).toBe(-1);
  });
});

describe('WGSL that does not compile is shown with line and column', () => {
  const broken: [string, Intervention, RegExp][] = [
    [
      'an unknown name',
      wgsl`select(valu, 0.0, pos > 2u)`,
      /^hooks: wgsl expression, 1:8: unresolved value 'valu'\n {2}select\(valu, 0.0, pos > 2u\)\n {9}\^$/,
    ],
    [
      'in the second line',
      wgsl`value
  + pos`,
      /^hooks: wgsl expression, (1:1|2:3): .*\n/,
    ],
    [
      'an end that is missing',
      wgsl`max(value, 0.0`,
      /^hooks: wgsl expression, 1:15: .*\n {2}max\(value, 0\.0\n {16}\^/,
    ],
  ];
  test.each(broken)('%s', async (_, what, message) => {
    const calls = await countGpuCalls(await testDevice(), async () => {
      const error: Error = await model.run(tokens, { hooks: [[Z, what]] }).then(
        () => new Error('it ran'),
        (reason) => reason,
      );
      expect(error.message).toMatch(message);
    });
    expect([calls.submits, calls.buffers]).toEqual([0, 0]);
    expect(firstDifference((await model.run(tokens)).logits.data, was('logits').data)).toBe(-1);
  });
});
