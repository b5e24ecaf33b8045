import { describe, expect, test } from 'vitest';
import { buildGraph, type Graph } from '../../src/engine/graph.ts';
import { add, Model, set, type Tensor } from '../../src/index.ts';
import { attentionPatternTruth } from '../../src/kernels/attention_pattern.ts';
import { attentionValuesTruth } from '../../src/kernels/attention_values.ts';
import { dotRoundings, gamma } from '../../src/kernels/kernel.ts';
import { referenceForward } from '../../src/numerics/reference.ts';
import { testDevice } from '../device.ts';
import { compare } from '../kernels/compare.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';
import { normal, seeded } from '../random.ts';
import { inChromeEvery } from '../sample.ts';
import { firstDifference } from '../tensors.ts';

type Values = Map<string, Tensor>;

async function runAll(
  model: Model,
  tokens: number[][],
  options: Parameters<Model['runWithCache']>[1] = {},
): Promise<Values> {
  const { cache } = await model.runWithCache(tokens, { names: () => true, ...options });
  const read = await Promise.all(cache.names.map((name) => cache.read(name)));
  cache.destroy();
  return new Map(read.map((tensor) => [tensor.name, tensor]));
}

/** Names whose values depend on this one, itself included. */
function dependents(graph: Graph, written: string): Set<string> {
  const changed = new Set([written]);
  // An alias follows what it is an alias of; an operation's outputs follow its inputs and the outputs before them.
  for (let size = 0; size !== changed.size; ) {
    size = changed.size;
    for (const { name, aliasOf } of graph.values.values()) if (aliasOf && changed.has(aliasOf)) changed.add(name);
    for (const { instead, ...usual } of graph.operations) {
      const { inputs, outputs } = instead?.written.includes(written) ? instead.operation : usual;
      let follows = Object.values(inputs).some((name) => changed.has(name));
      for (const [binding, name] of Object.entries(outputs)) {
        // The gate's activation does not see what it will multiply.
        if (follows && (binding !== 'gate' || changed.has(inputs.pre))) changed.add(name);
        follows ||= changed.has(name);
      }
    }
  }
  return changed;
}

const CONFIGS = inChromeEvery(4, [
  'hooked RMSPre, partial rotary, gated with b_in',
  'gpt2',
  'llama',
  'hooked without norms or MLP',
]);

describe.each(CONFIGS)('%s', (config) => {
  const checkpoint = tinyModel(TINY_CONFIGS[config], 11);
  const graph = buildGraph(checkpoint.parsed, () => true);
  const names = [...graph.values.keys()];
  let prepared:
    | Promise<{ model: Model; tokens: number[][]; before: Values; weights: Map<string, Float32Array> }>
    | undefined;
  const prepare = () => {
    prepared ??= (async () => {
      const model = await Model.load(checkpoint, { device: await testDevice() });
      const tokens = randomTokens(model.config, 2, 7, 12);
      return { model, tokens, before: await runAll(model, tokens), weights: await canonicalWeights(checkpoint) };
    })();
    return prepared;
  };

  test.each(names)('%s: writing back what was read changes no bit of any value', async (name) => {
    const { model, tokens, before } = await prepare();
    const same = before.get(name) as Tensor;
    const after = await runAll(model, tokens, { hooks: [[name, set(same)]] });
    for (const [other, { data }] of before) {
      expect(firstDifference((after.get(other) as Tensor).data, data), other).toBe(-1);
    }
  });

  test.each(names)(
    '%s: writing something else changes what depends on it and nothing else, as the reference does',
    async (name) => {
      const { model, tokens, before, weights } = await prepare();
      const random = seeded(13);
      const written = before.get(name) as Tensor;
      // Noise, small enough to keep what follows alive; scales stay positive, and every masked score is unmasked.
      const noise = written.data.map((v) => {
        if (v === Number.NEGATIVE_INFINITY) return normal(random);
        return name.endsWith('hook_scale') ? v * (1 + random()) : v + 0.3 * normal(random);
      });
      const after = await runAll(model, tokens, { hooks: [[name, set(noise)]] });
      expect(firstDifference((after.get(name) as Tensor).data, noise), 'what was written').toBe(-1);
      const changed = dependents(graph, name);
      for (const [other, { data }] of before) {
        const differs = firstDifference((after.get(other) as Tensor).data, data) !== -1;
        expect(differs, `${other} ${changed.has(other) ? 'depends on it' : 'does not depend on it'}`).toBe(
          changed.has(other),
        );
      }
      // Every other value is what its operation makes of the values before it, the written one among them.
      const isOnDemand = (other: string) => graph.values.get(other)?.onDemand;
      const given = new Map(
        [...after].filter(([other]) => !isOnDemand(other)).map(([other, { data }]) => [other, data]),
      );
      // The reference has one ln1 for all heads: with a head's own input, it cannot follow into the projections.
      const isSplit = isOnDemand(name);
      // It looks at no key after the query: what follows from unmasked scores or a written pattern is checked below, in that block.
      const block = name.split('.').slice(0, 2).join('.');
      const isScores = name.endsWith('hook_attn_scores');
      const isPattern = name.endsWith('hook_pattern');
      const isCheckedBelow = (other: string) =>
        (isScores && other === `${block}.attn.hook_pattern`) ||
        ((isScores || isPattern) && other === `${block}.attn.hook_z`) ||
        (isSplit && changed.has(other) && ['q', 'k', 'v'].some((letter) => other === `${block}.attn.hook_${letter}`));
      for (const [other, want] of referenceForward(model.config, weights, tokens, given)) {
        if (other === name || isCheckedBelow(other)) continue;
        const axes = want.axes.map((axis, i) => ({ name: axis, size: want.shape[i] }));
        const finite = (data: ArrayLike<number>) => Array.from(data, (v) => (v === Number.NEGATIVE_INFINITY ? 0 : v));
        const got = (after.get(other) as Tensor).data;
        compare({ what: other, axes, got: finite(got), want: finite(want.data), bound: want.bound });
      }
      const value = (other: string) => after.get(`${block}.${other}`) as Tensor;
      const check = (other: string, want: Float64Array, bound: Float64Array) => {
        const { data, shape, axes } = value(other);
        compare({ what: other, axes: axes.map((axis, i) => ({ name: axis, size: shape[i] })), got: data, want, bound });
      };
      const { nHeads, nKeyValueHeads, dHead, dModel } = model.config;
      const [batch, pos] = [tokens.length, tokens[0].length];
      const run = { batch, pos, keys: pos, key_stride: pos };
      const heads = { n_heads: nHeads, n_key_value_heads: nKeyValueHeads, d_head: dHead };
      if (isScores) {
        const inputs = { scores: Float64Array.from(value('attn.hook_attn_scores').data) };
        const dims = { ...run, ...heads };
        check(
          'attn.hook_pattern',
          attentionPatternTruth.reference(inputs, dims, {}).out,
          attentionPatternTruth.tolerance(inputs, dims, {}).out,
        );
      }
      if (isScores || isPattern) {
        const inputs = {
          pattern: Float64Array.from(value('attn.hook_pattern').data),
          v: Float64Array.from(value('attn.hook_v').data),
        };
        const dims = { ...run, ...heads };
        check(
          'attn.hook_z',
          attentionValuesTruth.reference(inputs, dims, {}).out,
          attentionValuesTruth.tolerance(inputs, dims, {}).out,
        );
      }
      for (const letter of isSplit ? ['q', 'k', 'v'] : []) {
        if (!changed.has(`${block}.attn.hook_${letter}`)) continue;
        const count = letter === 'q' ? nHeads : nKeyValueHeads;
        const normed = after.has(`${block}.ln1.hook_${letter}_out`) ? `ln1.hook_${letter}_out` : `hook_${letter}_input`;
        const x = value(normed).data;
        const W = weights.get(`${block}.attn.W_${letter.toUpperCase()}`) as Float32Array;
        const b = weights.get(`${block}.attn.b_${letter.toUpperCase()}`) ?? new Float32Array(count * dHead);
        const want = new Float64Array(batch * pos * count * dHead);
        const bound = want.map((_, i) => {
          const [row, head, inner] = [Math.floor(i / dHead / count), Math.floor(i / dHead) % count, i % dHead];
          let magnitude = Math.abs(b[head * dHead + inner]);
          want[i] = b[head * dHead + inner];
          for (let d = 0; d < dModel; d++) {
            const term = x[(row * count + head) * dModel + d] * W[(head * dModel + d) * dHead + inner];
            want[i] += term;
            magnitude += Math.abs(term);
          }
          // The roundings of a dot product in the fixed order, and of the bias.
          return gamma(dotRoundings(dModel) + 2) * magnitude;
        });
        check(`attn.hook_${letter}`, want, bound);
      }
    },
  );

  test('after all that nothing more is held than after one run of each kind', async () => {
    const { model, tokens } = await prepare();
    const hooks = (name: string) => [[name, add(0.25)]] as const;
    const run = async () => {
      for (const name of names.slice(0, 8)) await model.run(tokens, { hooks: hooks(name) });
    };
    await run();
    const held = model.memory;
    for (let i = 0; i < 3; i++) await run();
    expect(model.memory).toEqual(held);
    model.destroy();
    expect(model.memory.buffers).toBe(0);
  });
});
