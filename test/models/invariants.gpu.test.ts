// The invariants in one property: whatever architecture, shape, batch, chunks, captures and numerics a run has, every value of a row
// has the bits that it has when the row runs alone, whole, with everything captured. In Chrome few rows take the tile of
// one row, many that of four; both occur.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isNode } from '../../src/engine/node.ts';
import { Model, type Numerics, type Tensor, type TilingRequest } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { randomTokens, TINY_CONFIGS, tinyModel } from './tiny.ts';

const CASES = isNode() ? 220 : 4;
const SEED = 20;

interface Drawn {
  readonly config: string;
  readonly numerics: Numerics;
  /** Rows and positions. */
  readonly batch: number;
  readonly length: number;
  /** Lengths of consecutive chunks through a key-value cache; none: whole. */
  readonly chunks: readonly number[];
  /** Which of the values are captured, by their place in firing order as a share of all. */
  readonly captures: readonly number[];
  readonly seed: number;
}

/** Each is a set of pipelines more; the bits of all others are those of the emulation (test/numerics/emulation.node.test.ts). */
const REPRODUCIBLE = ['gpt2', 'llama', 'hooked RMSPre, partial rotary, gated with b_in'];

const cases = fc
  .record({
    of: fc.oneof(
      fc.record({ numerics: fc.constant<Numerics>('fast'), config: fc.constantFrom(...Object.keys(TINY_CONFIGS)) }),
      fc.record({ numerics: fc.constant<Numerics>('reproducible'), config: fc.constantFrom(...REPRODUCIBLE) }),
    ),
    batch: fc.integer({ min: 1, max: 6 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
    isChunked: fc.boolean(),
    captures: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 4 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
  })
  .map(({ of, share, cuts, isChunked, ...rest }): Drawn => {
    const drawn = { ...of, ...rest };
    const { nCtx } = tinyModel(TINY_CONFIGS[drawn.config], 1).parsed;
    const length = 1 + Math.floor(share * (Math.min(nCtx, 20) - 1));
    const ends = [...new Set(cuts.map((cut) => Math.ceil(cut * length)).filter((end) => end > 0 && end < length))];
    const places = [0, ...ends.sort((a, b) => a - b), length];
    const chunks = isChunked ? places.slice(1).map((end, i) => end - places[i]) : [];
    return { ...drawn, length, chunks };
  });

const models = new Map<string, Promise<Model>>();

/** Loaded once; freed at the end. */
function modelOf(config: string): Promise<Model> {
  const loading = models.get(config) ?? loadModel(config);
  models.set(config, loading);
  return loading;
}

async function loadModel(config: string): Promise<Model> {
  const device = await testDevice();
  // From six rows on another one, as by default; that one has eight rows, and takes long to compile.
  const tilings: TilingRequest = ({ sizes }) => (sizes.rows < 6 ? 'register 1x4' : 'register 4x4');
  return Model.load(tinyModel(TINY_CONFIGS[config], 7), { device, tilings: isNode() ? undefined : tilings });
}

async function readValues(
  model: Model,
  tokens: number[][],
  options: Parameters<Model['runWithCache']>[1],
): Promise<Map<string, Tensor>> {
  const { cache, logits } = await model.runWithCache(tokens, options);
  const values = await Promise.all(cache.names.map((name) => cache.read(name)));
  cache.destroy();
  return new Map([...values, logits].map((value) => [value.name, value]));
}

/** The first place at which a row of a part of a run differs from the row alone, in words; null if there is none. */
function difference(part: Tensor, row: number, firstPos: number, alone: Tensor): string | null {
  const { axes, shape } = part;
  const keys = axes.indexOf('key_pos');
  const index = shape.map(() => 0);
  const perRow = part.data.length / shape[0];
  for (let i = 0; i < perRow; i++) {
    let rest = i;
    for (let axis = shape.length - 1; axis > 0; axis--) {
      index[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    let at = 0;
    for (let axis = 1; axis < shape.length; axis++) {
      const isPosition = axes[axis] === 'pos' || axes[axis] === 'query_pos';
      at = at * alone.shape[axis] + index[axis] + (isPosition ? firstPos : 0);
    }
    // Keys that come later are in the row alone, and masked.
    if (keys > 0 && index[keys] >= alone.shape[keys]) continue;
    const [got, want] = [part.data[row * perRow + i], alone.data[at]];
    if (!Object.is(got, want)) return `${part.name} [${[row, ...index.slice(1)].join(', ')}]: ${got}, alone ${want}`;
  }
  return null;
}

test(`${CASES} drawn runs: every value has the bits of its row alone, whole, with everything captured (seed ${SEED})`, async () => {
  let compared = 0;
  const property = fc.asyncProperty(cases, async (drawn) => {
    const { config, numerics, batch, length, chunks, captures, seed } = drawn;
    const model = await modelOf(config);
    const tokens = randomTokens(model.config, batch, length, seed);
    const usual = model.hooks.filter(({ onDemand }) => !onDemand);
    const names = captures.map((share) => usual[Math.floor(share * usual.length)].name);
    const alone = await Promise.all(tokens.map((row) => readValues(model, [row], { numerics })));
    const options = { numerics, names: [...names, 'logits'] };
    const compareWith = (values: Map<string, Tensor>, firstPos: number) => {
      for (const [name, value] of values) {
        for (let row = 0; row < batch; row++) {
          const whole = alone[row].get(name);
          if (!whole) throw new Error(`${name} is not among the values of a row alone`);
          expect(difference(value, row, firstPos, whole)).toBeNull();
          compared += value.data.length / batch;
        }
      }
    };
    if (chunks.length === 0) {
      compareWith(await readValues(model, tokens, options), 0);
      compareWith(await readValues(model, tokens, options), 0);
      return;
    }
    using keyValueCache = model.createKeyValueCache({ batch });
    let first = 0;
    for (const count of chunks) {
      const part = tokens.map((row) => row.slice(first, first + count));
      compareWith(await readValues(model, part, { ...options, keyValueCache }), first);
      first += count;
    }
  });
  try {
    await fc.assert(property, { numRuns: CASES, seed: SEED, endOnFailure: true });
  } finally {
    for (const model of models.values()) (await model).destroy();
    models.clear();
  }
  console.log(`${CASES} runs, ${compared} numbers compared, none differs`);
  expect(compared).toBeGreaterThan(CASES * 100);
});
