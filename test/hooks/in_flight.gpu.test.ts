// Generation with several steps under way at once: the same results as with one, whatever ends it, and nothing left behind.
import { describe, expect, test } from 'vitest';
import { add, type GenerateOptions, type HookEntry, Model, requestDevice } from '../../src/index.ts';
import { chooseToken } from '../../src/kernels/choose_token.ts';
import { uniformAt } from '../../src/kernels/philox.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl } from '../fixtures.ts';
import { countGpuCalls } from '../gpu_calls.ts';
import { TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const zoo = async () => Model.load(fixtureUrl('models/circuit-zoo'), { device: await testDevice() });

/** Rows of 6, 2 and 9 positions. */
const PROMPTS = [
  [0, 407, 440, 337, 1146, 371],
  [0, 905],
  [0, 905, 747, 376, 407, 440, 337, 12, 1024],
];

/** Everything that each step says. */
async function stepsOf(model: Model, options: GenerateOptions, prompts = PROMPTS) {
  const steps = [];
  for await (const step of model.generate(prompts, options)) steps.push(step);
  return steps;
}

const VECTOR = Array.from({ length: 128 }, (_, i) => Math.sin(7 * i));
const DRAWS: GenerateOptions = { temperature: 1.2, topK: 60, topP: 0.95, repetitionPenalty: 1.2, seed: 4 };
/** One position of the prompts, one that comes later, and all from one on. */
const STEERED: readonly HookEntry[] = [
  ['blocks.1.hook_resid_post', add(VECTOR, { scale: 6, pos: { from: 8 } })],
  ['blocks.0.hook_mlp_out', add(VECTOR, { scale: 9, pos: 1 })],
  ['blocks.2.hook_resid_pre', add(VECTOR, { scale: 20, pos: 11 })],
];

describe('several steps in flight', () => {
  test.each<[string, GenerateOptions]>([
    ['greedy', {}],
    ['draws with every filter', DRAWS],
    ['a prompt in pieces', { ...DRAWS, prefillChunk: 4 }],
    ['interventions at positions', { hooks: STEERED }],
  ])('%s: rows of different lengths get what they get with one', async (_, options) => {
    const model = await zoo();
    const one = await stepsOf(model, { ...options, maxNewTokens: 9, stopTokens: [], inFlight: 1 });
    expect(one.map(({ firstPos }) => firstPos).slice(1)).toEqual(
      Array.from({ length: 8 }, (_, i) => PROMPTS.map(({ length }) => length + i)),
    );
    for (const inFlight of [3, 8]) {
      const several = await stepsOf(model, { ...options, maxNewTokens: 9, stopTokens: [], inFlight });
      expect(several).toEqual(one);
    }
    model.destroy();
  });

  test('tokens and their probabilities are those that float64 gives on the logits of each step', async () => {
    const model = await zoo();
    const texts = PROMPTS.map((ids) => [...ids]);
    const options = { ...DRAWS, maxNewTokens: 6, stopTokens: [] };
    const drawn = await stepsOf(model, options);
    let step = 0;
    for await (const { rows, logits } of model.generate(PROMPTS, { ...options, returnLogits: true })) {
      const [, positions, width] = logits?.shape ?? [];
      for (const [row, ids] of texts.entries()) {
        const pos = step === 0 ? ids.length - 1 : 0;
        const own = logits?.data.subarray((row * positions + pos) * width, (row * positions + pos + 1) * width) ?? [];
        const exact = chooseToken(own, ids, options, uniformAt(4, { step, row }));
        expect(rows[row]?.token).toBe(exact.token);
        expect(Math.abs((rows[row]?.logProb ?? Number.NaN) - exact.logProb)).toBeLessThan(3e-6);
        ids.push(exact.token);
      }
      expect(rows).toEqual(drawn[step++].rows);
    }
    expect(step).toBe(6);
    model.destroy();
  });

  test('rows that stop in the middle are left out from there, and the others go on', async () => {
    const model = await zoo();
    const whole = await stepsOf(model, { maxNewTokens: 12, stopTokens: [] });
    const tokens = PROMPTS.map((_, row) => whole.map(({ rows }) => rows[row]?.token ?? -1));
    // A token of row 0's third step; the others stop there too if they have it.
    const stop = tokens[0][2];
    const ends = tokens.map((row) => (row.includes(stop) ? row.indexOf(stop) : 11));
    for (const inFlight of [1, 2, 3, 8]) {
      const steps = await stepsOf(model, { maxNewTokens: 12, stopTokens: [stop], inFlight });
      expect(steps.length).toBe(Math.max(...ends) + 1);
      for (const [step, { rows, firstPos }] of steps.entries()) {
        for (const [row, { length }] of PROMPTS.entries()) {
          expect(rows[row]?.token ?? null, `step ${step}, row ${row}`).toBe(
            step <= ends[row] ? tokens[row][step] : null,
          );
          if (step > 0) expect(firstPos[row]).toBe(length + Math.min(step - 1, ends[row]));
        }
      }
      expect(steps[ends[0]].rows[0]?.finished).toBe('stop token');
    }
    model.destroy();
  });

  test('functions of the user see each step once, and none behind the end', async () => {
    const model = await zoo();
    let calls = 0;
    const count = () => {
      calls++;
    };
    const [prompt] = PROMPTS;
    const [, , third] = await stepsOf(model, { maxNewTokens: 3, stopTokens: [] }, [prompt]);
    const hooks: readonly HookEntry[] = [['hook_embed', count]];
    const steps = await stepsOf(model, { maxNewTokens: 9, stopTokens: [third.token], hooks, inFlight: 8 }, [prompt]);
    expect([steps.length, calls]).toEqual([3, 3]);
    model.destroy();
  });

  test('a token creates nothing on the GPU, and everything is given back', async () => {
    const model = await zoo();
    const options = { ...DRAWS, stopTokens: [] };
    for (const maxNewTokens of [10, 40]) await stepsOf(model, { ...options, maxNewTokens });
    const held = model.memory;
    const created = async (maxNewTokens: number) => {
      const calls = await countGpuCalls(model.device, async (counted) => {
        await stepsOf(model, { ...options, maxNewTokens });
        expect(counted.liveBuffers).toBe(0);
      });
      return calls.created;
    };
    expect(await created(40)).toBe(await created(10));
    expect(model.memory).toEqual(held);
    model.destroy();
  });
});

describe('what ends a generation with steps in flight', () => {
  const options = { maxNewTokens: 30, stopTokens: [], inFlight: 6 };

  test('leaving the loop and an abort give everything back', async () => {
    const model = await zoo();
    for await (const _ of model.generate(PROMPTS, options)) break;
    const held = model.memory;
    for await (const _ of model.generate(PROMPTS, options)) break;
    expect(model.memory).toEqual(held);
    const controller = new AbortController();
    let count = 0;
    const aborted = async () => {
      for await (const _ of model.generate(PROMPTS, { ...options, signal: controller.signal }))
        if (++count === 4) controller.abort(new Error('enough'));
    };
    await expect(aborted()).rejects.toThrow('enough');
    expect(count).toBe(4);
    expect(model.memory.buffers).toBe(held.buffers);
    expect((await stepsOf(model, { ...options, maxNewTokens: 2 })).length).toBe(2);
    model.destroy();
  });

  test('a model that is destroyed says so, and leaves nothing behind', async () => {
    const calls = await countGpuCalls(await testDevice(), async () => {
      const model = await zoo();
      const steps = async () => {
        for await (const _ of model.generate(PROMPTS, options)) model.destroy();
      };
      await expect(steps()).rejects.toThrow('model: it has been destroyed. Load it again.');
      // What the CPU waited for is destroyed when the GPU is done with it.
      await model.device.queue.onSubmittedWorkDone();
    });
    expect(calls.liveBuffers).toBe(0);
  });

  test('whenever a model is destroyed or a generation aborted, both end with an error', async () => {
    const device = await testDevice();
    let ended = 0;
    for (let delay = 0; delay < 24; delay++) {
      const controller = new AbortController();
      const model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 3), { device, tilings: 'register 1x4' });
      const steps = stepsOf(model, { ...options, signal: controller.signal }, [[1, 2, 3]]).catch(String);
      await new Promise((resolve) => setTimeout(resolve, delay / 2));
      if (delay % 2 === 0) controller.abort();
      model.destroy();
      const outcome = await steps;
      // A fast machine may have been done by then: a token for each position from the prompt's last to that of the context.
      if (typeof outcome !== 'string') expect(outcome).toHaveLength(model.config.nCtx - 2);
      else {
        expect(outcome).toMatch(/it has been destroyed|aborted/);
        ended++;
      }
      expect(model.memory.bytes).toBe(0);
    }
    expect(ended).toBeGreaterThan(4);
  });

  test('a device that is lost says so', async () => {
    const device = await requestDevice();
    const model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 3), { device });
    const steps = async () => {
      for await (const _ of model.generate([1, 2, 3], options)) device.destroy();
    };
    await expect(steps()).rejects.toThrow('device: the GPU device was lost');
  });

  test('logits that are NaN are an error that says where, of a row that goes on', async () => {
    const model = await zoo();
    const nan = add(
      VECTOR.map(() => Number.NaN),
      { pos: 10, batch: 0 },
    );
    let count = 0;
    const broken = async () => {
      for await (const _ of model.generate(PROMPTS, { ...options, hooks: [['blocks.0.hook_resid_post', nan]] }))
        count++;
    };
    await expect(broken()).rejects.toThrow(
      'generate: the logits of row 0 behind 11 positions are NaN or infinite, so there is no next token.',
    );
    expect(count).toBe(5);
    const held = model.memory;
    await expect(broken()).rejects.toThrow('row 0');
    expect(model.memory).toEqual(held);
    model.destroy();
  });
});

test("a prompt token that is never predicted is nobody else's under a penalty", async () => {
  // 113 tokens are predicted, and 113 is the sign =; 50 + 63 = 113 is 0.
  const model = await Model.load(fixtureUrl('models/modular-addition'), { device: await testDevice() });
  const prompts = [
    [1, 2, 113],
    [50, 63, 113],
  ];
  const [{ rows }] = await stepsOf(model, { maxNewTokens: 1, repetitionPenalty: 1000 }, prompts);
  expect(rows.map((row) => row?.token)).toEqual([3, 0]);
  model.destroy();
});

test('steps in flight are a whole number from 1', async () => {
  const model = await zoo();
  await expect(stepsOf(model, { inFlight: 0 })).rejects.toThrow(
    'generate: inFlight must be a whole number from 1, got 0.',
  );
  model.destroy();
});
