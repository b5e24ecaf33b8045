// The text of `hyaline numerics` for runs that went wrong, which no model here does. No GPU.
import { expect, test } from 'vitest';
import { formatNumerics } from '../../src/cli/numerics_text.ts';
import { referenceValues } from '../../src/numerics/reference.ts';
import { reportOnRun } from '../../src/numerics/report.ts';
import { canonicalWeights, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const checkpoint = tinyModel(TINY_CONFIGS.gpt2, 1);
const config = checkpoint.parsed;
const weights = await canonicalWeights(checkpoint);

/** The text of a report on a run of rounded values, of which one element is changed. */
async function textOf(place: string, element: number, to: number, asMap = false): Promise<string> {
  const tokens = [[1, 2, 3]];
  const run = new Map<string, Float32Array>();
  const pass = referenceValues(config, weights, tokens);
  for (let step = pass.next(); !step.done; step = pass.next(run.get(step.value.name))) {
    const data = Float32Array.from(step.value.data);
    if (step.value.name === place) data[element] = to;
    run.set(step.value.name, data);
  }
  const read = (name: string) => run.get(name)!;
  const report = await reportOnRun({ config, weights, tokens, read, tokenText: null }, { figure: 'maxUlp' });
  const model = { ...config, source: 'tiny', warnings: [] };
  return formatNumerics(
    { ...report, adapter: 'none', numerics: 'reproducible', weights: 'f32', model, timing: { loadMs: 1, reportMs: 2 } },
    asMap,
  );
}

test('NaN is said where it is, where it began, and what it does to predictions', async () => {
  const text = await textOf('blocks.1.attn.hook_z', 0, Number.NaN);
  expect(text).toMatch(/^blocks\.1\.attn\.hook_z .* {2}1 NaN$/m);
  expect(text).toMatch(/^unembed\.hook_out .* {2}37 NaN$/m);
  expect(text).toMatch(
    /^NOT FINITE: blocks\.1\.attn\.hook_z holds 1 NaN or infinite element, 1 made there from finite numbers; so do 14 more\.$/m,
  );
  expect(text).toMatch(/^OUTSIDE: blocks\.1\.attn\.hook_z has elements that are not within the error bound/m);
  expect(text).toMatch(/^NOT FINITE: 1 of 3 positions predict nothing\.$/m);
  expect(text).toMatch(/^Float64 predicts the same next token at all 2 positions/m);
});

test('an error above its bound is said where it is, and changed predictions are counted', async () => {
  const text = await textOf('unembed.hook_out', 5, 1000);
  expect(text).toMatch(/^unembed\.hook_out .* {2}1 OUTSIDE THE BOUND$/m);
  expect(text).toMatch(
    /^OUTSIDE: unembed\.hook_out has elements that are not within the error bound of its operation; no other value does\.$/m,
  );
  expect(text).toMatch(
    /^Float64 predicts the same next token at 2 of 3 positions, and the same first 5 in the same order at 2 of them\.$/m,
  );
});

test('a map of some figure has a column for each block, and a list of what is in none', async () => {
  const text = await textOf('none', 0, 0, true);
  expect(text).toMatch(/^maxUlp +block 0 +block 1$/m);
  expect(text).toMatch(/^attn\.hook_pattern +\d+ +\d+$/m);
  expect(text).toMatch(/^maxUlp\nhook_embed +0\nhook_pos_embed +0$/m);
});
