// Rounding values to other number formats: what roundTo makes of each element, and what follows from that.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HookEntry, Model, type NumberFormat, round, set, sweep, type Tensor } from '../../src/index.ts';
import { NUMBER_FORMATS, roundGroups } from '../../src/kernels/formats.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { firstDifference } from '../tensors.ts';

/** Llama-like: rotary positions, a gated MLP, two key heads for four heads. */
const CONFIG = 'hooked RMSPre, partial rotary, gated with b_in';
const SCORES = 'blocks.1.attn.hook_attn_scores';

let model: Model;
let tokens: number[][];
let before: ReadonlyMap<string, Tensor>;

async function run(hooks: readonly HookEntry[]): Promise<Map<string, Tensor>> {
  const { cache } = await model.runWithCache(tokens, { hooks });
  const tensors = await Promise.all(cache.names.map((name) => cache.read(name)));
  cache.destroy();
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

/** The value with every element rounded; int8 by rows of the last axis. Masked scores stay, and count for no scale. */
function rounded({ data, shape }: Tensor, format: NumberFormat): Float32Array {
  const width = shape[shape.length - 1];
  const finite = data.map((x) => (x === Number.NEGATIVE_INFINITY ? 0 : x));
  const all = roundGroups(format, finite, (i) => Math.floor(i / width));
  return all.map((x, i) => (data[i] === Number.NEGATIVE_INFINITY ? data[i] : x));
}

beforeAll(async () => {
  model = await Model.load(tinyModel(TINY_CONFIGS[CONFIG], 41), { device: await testDevice() });
  tokens = randomTokens(model.config, 2, 6, 42);
  before = await run([]);
});

afterAll(() => model.destroy());

test('a rounded value is what roundTo makes of each element; all that follows is as if those had been set, and nothing else changes', async () => {
  const names = [...before.keys()];
  const written = names.filter((name) => !name.startsWith('blocks.0'));
  for (const [i, name] of written.entries()) {
    const format = NUMBER_FORMATS[i % NUMBER_FORMATS.length];
    const want = rounded(before.get(name) as Tensor, format);
    const after = await run([[name, round(format)]]);
    const asSet = await run([[name, set(want)]]);
    expect(firstDifference((after.get(name) as Tensor).data, want), `${name} in ${format}`).toBe(-1);
    for (const other of names) {
      const { data } = after.get(other) as Tensor;
      expect(firstDifference(data, (asSet.get(other) as Tensor).data), `${other} after ${name}`).toBe(-1);
      // What fires before it cannot depend on it, but for another name of the same value.
      if (names.indexOf(other) < names.indexOf(name)) {
        expect(firstDifference(data, (before.get(other) as Tensor).data), `${other} before ${name}`).toBe(-1);
      }
    }
    const isLeftAlone = name.endsWith('hook_scale') && format === 'int8'; // rows of one element
    const differs = firstDifference((after.get(name) as Tensor).data, (before.get(name) as Tensor).data) !== -1;
    expect(differs, `${name} in ${format}`).toBe(!isLeftAlone);
  }
  expect(written.length).toBeGreaterThan(20);
});

describe.each(NUMBER_FORMATS)('%s', (format) => {
  test('masked scores stay masked, and only selected elements are rounded', async () => {
    const scores = before.get(SCORES) as Tensor;
    const want = rounded(scores, format);
    const after = (await run([[SCORES, round(format, { query: [1, -1], key: { to: 3 } })]])).get(SCORES) as Tensor;
    const isSelected = (i: number) => [1, 5].includes(Math.floor(i / 6) % 6) && i % 6 < 3;
    expect(
      firstDifference(
        after.data,
        scores.data.map((x, i) => (isSelected(i) ? want[i] : x)),
      ),
    ).toBe(-1);
  });

  test('the same in one pass, through a key-value cache, and as a copy of a sweep', async () => {
    const hooks: HookEntry[] = [
      [SCORES, round(format)],
      ['blocks.*.attn.hook_v', round(format)],
      ['blocks.0.hook_mlp_out', round(format)],
    ];
    const { logits } = await model.run(tokens, { hooks });
    const width = model.config.dVocabOut;
    const last = logits.data.filter((_, i) => Math.floor(i / width) % 6 === 5);

    using cache = model.createKeyValueCache({ batch: 2 });
    await model.run(
      tokens.map((row) => row.slice(0, 4)),
      { hooks, keyValueCache: cache },
    );
    const rest = await model.run(
      tokens.map((row) => row.slice(4)),
      { hooks, keyValueCache: cache },
    );
    const cached = rest.logits.data.filter((_, i) => Math.floor(i / width) % 2 === 1);
    expect(firstDifference(cached, last)).toBe(-1);

    const of = (row: Float32Array) => row[1] - row[2];
    const { data } = await sweep(model, tokens, [[], hooks], { metric: { of } });
    expect(data[1]).toBe((of(last) + of(last.subarray(width))) / 2);
    expect(data[0]).not.toBe(data[1]);
  });
});

test('what is no format is refused when the intervention is made', () => {
  expect(() => round('float16' as 'f16')).toThrow(
    'round: expected a number format (f16, bf16, tf32, fp8_e4m3, fp8_e5m2, int8), got "float16".',
  );
});
