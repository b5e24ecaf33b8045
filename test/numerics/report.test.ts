// The report on runs that were made by hand: each value rounded once, with errors put in. No GPU.
import { expect, test } from 'vitest';
import { NUMERICS_FIGURES, type NumericsReport, numericsMap } from '../../src/index.ts';
import { referenceValues } from '../../src/numerics/reference.ts';
import { reportOnRun } from '../../src/numerics/report.ts';
import { canonicalWeights, randomTokens, TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

/** A change to one value of a run, after it was rounded. */
type Change = (data: Float32Array) => void;

const checkpoint = tinyModel(TINY_CONFIGS.gpt2, 1);
const config = checkpoint.parsed;
const weights = await canonicalWeights(checkpoint);
const tokens = randomTokens(config, 2, 5, 2);

/** The best float32 run there is (each value is made from the ones before it and rounded once), but for changes to some values. */
function roundedRun(changes: Readonly<Record<string, Change>> = {}): Map<string, Float32Array> {
  const run = new Map<string, Float32Array>();
  const pass = referenceValues(config, weights, tokens);
  for (let step = pass.next(); !step.done; step = pass.next(run.get(step.value.name))) {
    const data = Float32Array.from(step.value.data);
    changes[step.value.name]?.(data);
    run.set(step.value.name, data);
  }
  return run;
}

function report(run: ReadonlyMap<string, Float32Array>, options: Parameters<typeof reportOnRun>[1] = {}) {
  const read = (name: string) => run.get(name)!;
  return reportOnRun({ config, weights, tokens, read, tokenText: (id) => `<${id}>` }, options);
}

const find = ({ values }: NumericsReport, name: string) => values.find((value) => value.name === name)!;

test('values of a run that rounds each once have half a step of their own, and inherit the rest', async () => {
  const clean = await report(roundedRun());
  expect(clean.values.map(({ name }) => name)).toEqual([...roundedRun().keys()]);
  for (const { name, counts, local, inherited, localBound, error, aliasOf, rms } of clean.values) {
    expect(localBound, name).toMatchObject({ within: true, outside: 0, unbounded: 0 });
    // Half a step of the largest element, which is at most √n times the RMS; values are the true ones to 10⁻³.
    expect(local.max, name).toBeLessThanOrEqual(2 ** -24 * 1.001 * Math.sqrt(counts.compared) * Number(rms));
    if (aliasOf !== null) expect([name, local.max]).toEqual([name, 0]);
    if (error.max !== 0) expect(Number(local.share) + Number(inherited.share), name).toBe(1);
  }
  expect(clean.findings.outsideBound).toEqual([]);
  // The first sum of two float32 numbers inherits nothing; its bound is half a step.
  const first = find(clean, 'blocks.0.hook_resid_pre');
  expect([first.local.share, first.inherited.max, first.amplification]).toEqual([1, 0, null]);
  expect(Number(first.localBound.ratio)).toBeLessThanOrEqual(1);
});

test('with original weights, what the smaller ones do is a part of every error, and predictions are compared with theirs', async () => {
  const originalWeights = new Map([...weights].map(([name, data]) => [name, data.map((x) => x * (1 + 2 ** -7))]));
  const found = await report(roundedRun(), { originalWeights });
  const original = new Map<string, Float64Array>();
  for (const { name, data } of referenceValues(config, originalWeights, tokens)) original.set(name, data);
  const exact = new Map<string, Float64Array>();
  for (const { name, data } of referenceValues(config, weights, tokens)) exact.set(name, data);
  for (const value of found.values) {
    const { name, local, inherited, weights: part, localBound, error } = value;
    const difference = exact.get(name)!.map((x, i) => (Number.isFinite(x) ? Math.abs(x - original.get(name)![i]) : 0));
    expect(part?.max, name).toBe(Math.max(...difference));
    expect(localBound.within, name).toBe(true); // of the operation with the weights that it had
    expect(value.amplification).toBe(null);
    if (error.max === 0) continue;
    const shares = Number(local.share) + Number(inherited.share) + Number(part?.share);
    expect(Math.abs(shares - 1), name).toBeLessThanOrEqual(2 ** -50);
  }
  // The first embedding is a row of the weights: 2⁻⁷ of it, relatively, to the truth.
  const embed = find(found, 'hook_embed');
  expect(embed.weights?.relativeRms).toBeCloseTo(2 ** -7 / (1 + 2 ** -7), 7);
  expect(found.predictions.maxDivergence).toBeGreaterThan((await report(roundedRun())).predictions.maxDivergence ?? 1);
  const same = await report(roundedRun(), { originalWeights: weights });
  for (const { name, weights: part } of same.values) expect(part?.max, name).toBe(0);
});

test('an error put into one value is its own there, inherited by what follows, and nothing before', async () => {
  const place = 'blocks.0.hook_mlp_out';
  const changed = await report(
    roundedRun({
      [place]: (data) => {
        data[3 * config.dModel + 7] += 0.01; // row 0, position 3
      },
    }),
  );
  const clean = await report(roundedRun());
  const names = clean.values.map(({ name }) => name);
  for (const name of names.slice(0, names.indexOf(place))) {
    expect(find(changed, name), name).toStrictEqual(find(clean, name));
  }
  const { error, local, inherited, localBound, worstPositions, worstElement } = find(changed, place);
  expect(local.max).toBeCloseTo(0.01, 6);
  // |⟨part, error⟩| ≤ ‖part‖·‖error‖, so the share of a part is at most the quotient of its length and the error's.
  expect(Math.abs(1 - Number(local.share))).toBeLessThanOrEqual(Number(inherited.rms) / Number(error.rms));
  expect(inherited.share).toBeLessThan(1e-3);
  expect(inherited.rms).toBe(find(clean, place).inherited.rms);
  expect([localBound.within, localBound.outside]).toEqual([false, 1]);
  expect(worstElement?.index).toEqual([0, 3, 7]);
  expect(worstPositions[0]).toMatchObject({ row: 0, pos: 3, token: tokens[0][3], text: `<${tokens[0][3]}>` });
  // What reads it knows of the error, and has made none of it.
  const after = names.slice(names.indexOf(place) + 1);
  expect(after.length).toBeGreaterThan(10);
  for (const name of after) {
    const value = find(changed, name);
    expect(Math.abs(Number(value.local.share)), name).toBeLessThan(1e-3);
    expect(value.inherited.rms, name).toBeGreaterThan(100 * Number(find(clean, name).error.rms));
    expect(value.localBound.within, name).toBe(true);
  }
  expect(changed.findings.outsideBound).toEqual([place]);
  expect(changed.findings.mostLocal[0].name).toBe(place);
});

test('NaN is counted where it is and said to be made where it begins; it reaches no figure', async () => {
  const place = 'blocks.1.attn.hook_v';
  const broken = await report(
    roundedRun({
      [place]: (data) => {
        data[0] = Number.NaN;
      },
    }),
  );
  expect(broken.findings.notFinite[0]).toEqual({ name: place, count: 1, made: 1 });
  const later = broken.findings.notFinite.slice(1);
  expect(later.map(({ name }) => name)).toContain('unembed.hook_out');
  expect(later.map(({ made }) => made)).toEqual(later.map(() => 0));
  expect(find(broken, place).counts).toMatchObject({ nan: 1, notFiniteMade: 1, infinite: 0 });
  // Position 0 of row 0 is looked at by all that follow: 5 of 10 positions have no logits left.
  expect(broken.predictions.notFinite).toBe(5);
  expect(broken.predictions.positions.filter(({ divergence }) => divergence === null).length).toBe(5);
  expect(broken.findings.outsideBound[0]).toBe(place);
  expect(JSON.parse(JSON.stringify(broken))).toStrictEqual(broken); // NaN and infinities would come back as null
});

test('a report is plain data, with nothing in it that JSON would change', async () => {
  const clean = await report(roundedRun());
  expect(JSON.parse(JSON.stringify(clean))).toStrictEqual(clean);
  expect(clean.tokens).toEqual(tokens);
  expect(clean.tokenTexts?.[0][0]).toBe(`<${tokens[0][0]}>`);
  for (const { ulps, counts } of clean.values) {
    expect(ulps.histogram.length).toBe(clean.ulpBins.length + 1);
    expect(ulps.histogram.reduce((sum, count) => sum + count, 0)).toBe(counts.compared);
  }
});

test('rounding changes no prediction of this model, and a wrong logit one', async () => {
  const clean = await report(roundedRun(), { k: 3 });
  expect(clean.predictions).toMatchObject({ k: 3, changed: 0, reordered: 0, notFinite: 0 });
  expect(clean.predictions.positions.length).toBe(10);
  expect(clean.predictions.maxDivergence).toBeLessThan(1e-12);
  const margins = clean.predictions.positions.map(({ marginInErrors }) => Number(marginInErrors));
  expect(clean.predictions.closest?.marginInErrors).toBe(Math.min(...margins));
  const wrong = await report(
    roundedRun({
      logits: (data) => {
        data[2 * config.dVocabOut + 4] = 100; // row 0, position 2
      },
    }),
  );
  expect(wrong.predictions).toMatchObject({ k: 5, changed: 1, reordered: 1 });
  expect(wrong.predictions.positions[2]).toMatchObject({ row: 0, pos: 2, engineTop: 4, token: tokens[0][2] });
  expect(wrong.predictions.closest).toBe(wrong.predictions.positions[2]);
});

test('the map has a row for each kind of value, in firing order, and a column for each block', async () => {
  const clean = await report(roundedRun(), { figure: 'localShare' });
  const { figure, layers, rows, outside } = clean.map;
  expect([figure, layers]).toEqual(['localShare', [0, 1]]);
  expect(rows.map(({ name }) => name)).toEqual(
    clean.values.flatMap(({ name }) => (name.startsWith('blocks.0.') ? name.slice('blocks.0.'.length) : [])),
  );
  const row = rows.find(({ name }) => name === 'mlp.hook_post');
  expect(row?.cells).toEqual([0, 1].map((layer) => find(clean, `blocks.${layer}.mlp.hook_post`).local.share));
  expect(outside.map(({ name }) => name).slice(0, 3)).toEqual(['hook_embed', 'hook_pos_embed', 'ln_final.hook_scale']);
  for (const other of NUMERICS_FIGURES) {
    const cells = numericsMap(clean.values, other).rows.flatMap((one) => one.cells);
    expect(
      cells.some((cell) => cell !== null && cell > 0),
      other,
    ).toBe(true);
  }
  expect(() => numericsMap(clean.values, 'relative' as 'maxUlp')).toThrow(
    'numerics: no figure "relative". There are relativeRms, localRms, ',
  );
});

test('a list of some values leaves the others out of the values and the map, not of the findings', async () => {
  const isListed = (name: string) => /blocks\.1\.hook_mlp_out|hook_embed/.test(name);
  const some = await report(roundedRun(), { isListed });
  expect(some.values.map(({ name }) => name)).toEqual(['hook_embed', 'blocks.1.hook_mlp_out']);
  expect([some.map.layers, some.map.rows.length, some.map.outside.length]).toEqual([[1], 1, 1]);
  expect(some.findings).toEqual((await report(roundedRun())).findings);
});

test('progress counts values to their end, and an abort ends between two of them', async () => {
  const seen: string[] = [];
  const run = roundedRun();
  await report(run, { onProgress: ({ phase, name, done, total }) => seen.push(`${phase} ${name} ${done}/${total}`) });
  expect(seen.length).toBe(run.size);
  expect(seen.at(-1)).toBe(`values logits ${run.size}/${run.size}`);
  const controller = new AbortController();
  let done = 0;
  const aborted = report(run, {
    signal: controller.signal,
    onProgress: () => {
      if (++done === 3) controller.abort(new Error('enough'));
    },
  });
  await expect(aborted).rejects.toThrow('enough');
  expect(done).toBe(3);
});
