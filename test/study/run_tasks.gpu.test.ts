// The study's runs on the model: what they measure is what the model card says.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { INDUCTION_HEADS, PREVIOUS_TOKEN_HEAD, runBlocks, runTasks } from '../../scripts/study/run_tasks.ts';
import { type StudyData, scoreInterval, tokenizeTask } from '../../scripts/study/tasks.ts';
import { Model } from '../../src/index.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture } from '../fixtures.ts';

let model: Model;
let data: StudyData;
beforeAll(async () => {
  model = await Model.load(fixtureUrl('models/circuit-zoo'), { device: await testDevice() });
  data = await readJsonFixture('scripts/study/tasks.json');
});
afterAll(() => model.destroy());

test('accuracies of two tasks are those of the model card, within the error of a sample', async () => {
  const { tokenizer } = model;
  if (!tokenizer) throw new Error('circuit-zoo has a tokenizer.');
  const stored = data.tasks.filter(({ name }) => name === 'greater-than' || name === 'pronouns');
  const results = await runTasks(
    model,
    stored.map((task) => tokenizeTask(task, tokenizer)),
  );
  expect(results.map(({ task }) => task.score)).toEqual(['probability', 'preferred']);
  for (const { task, results: all, score } of results) {
    const { low, high } = scoreInterval(
      task.score,
      all.map((result) => result.score),
    );
    expect(all.length).toBe(40);
    expect(low <= score && score <= high).toBe(true);
    expect(low <= task.published && task.published <= high, `${task.name}: ${low} to ${high}`).toBe(true);
    expect(high - low).toBeLessThan(0.1);
  }
  // A prompt's logits are those of its own run, to the bit.
  const { prompt, logits } = results[0].results[7];
  const whole = await model.run(prompt.tokens);
  expect(logits).toStrictEqual(whole.logits.data.slice(-logits.length));
});

test('repeated blocks are predicted, and attention is counted where it is', async () => {
  const blocks = data.blocks.slice(0, 2).map((block) => block.slice(0, 20));
  const { loss, attention, patterns } = await runBlocks(model, blocks);
  expect(loss).toBeLessThan(0.05); // the model card says 0.01 for blocks of 25, about 8 for what is not repeated
  const length = blocks[0].length;
  const pos = 1 + 2 * length;
  for (const [layer, head] of [PREVIOUS_TOKEN_HEAD, ...INDUCTION_HEADS]) {
    const name = `${layer}.${head}`;
    const [first, back] = layer === 0 ? [2, 1] : [length + 1, length - 1];
    const pattern = patterns.get(name) ?? new Float32Array();
    let sum = 0;
    for (const row of blocks.keys()) {
      for (let query = first; query < pos; query++) sum += pattern[(row * pos + query) * pos + query - back];
    }
    expect(pattern.length).toBe(blocks.length * pos * pos);
    expect(attention.get(name)).toBeCloseTo(sum / (blocks.length * (pos - first)), 5);
    expect(attention.get(name), name).toBeGreaterThan(0.8);
  }
});
