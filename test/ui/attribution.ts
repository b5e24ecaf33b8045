// The view of direct logit attribution: its sum is the logit, a bar is what the head's own numbers say, and a click selects it.
import { expect, test } from 'vitest';
import { createEdit } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

const UNIT_ROUNDOFF = 2 ** -24;

/**
 * In float64, from what the run holds: what each head adds to the logit of a token at the last position, and Σ|term| of all that is
 * added up on the way, by which rounding errors are bounded.
 */
async function attributionInFloat64(token: number) {
  const { model, run } = hyaline.session;
  if (!model || !run) throw new Error('there is no run');
  const { nHeads, nLayers, dModel } = model.config;
  const last = run.ids.length - 1;
  const [scale, gain, unembed] = await Promise.all([
    run.cache.get('ln_final.hook_scale').read(),
    model.weight('ln_final.w'),
    model.weight('unembed.W_U'),
  ]);
  const [, dVocab] = unembed.shape;
  const heads: Record<string, number> = {};
  let size = 0;
  const project = (vector: Float32Array) => {
    const mean = vector.reduce((sum, x) => sum + x, 0) / dModel;
    let projected = 0;
    for (let i = 0; i < dModel; i++) {
      const weight = (gain.data[i] * unembed.data[i * dVocab + token]) / scale.data[last];
      projected += (vector[i] - mean) * weight;
      size += (Math.abs(vector[i]) + Math.abs(mean)) * Math.abs(weight);
    }
    return projected;
  };
  for (let layer = 0; layer < nLayers; layer++) {
    const { data } = await run.cache.get(`blocks.${layer}.attn.hook_result`).read();
    for (let head = 0; head < nHeads; head++) {
      const begin = (last * nHeads + head) * dModel;
      heads[`L${layer}H${head}`] = project(data.subarray(begin, begin + dModel));
    }
  }
  for (const name of run.cache.names.filter((each) => /hook_(mlp_out|embed|pos_embed)$/.test(each))) {
    const { data } = await run.cache.get(name).read();
    project(data.subarray(last * dModel, (last + 1) * dModel));
  }
  return { heads, size, dModel };
}

export function attributionTests(driver: () => PageDriver): void {
  const shown = () => driver().page.waitForSelector('.bars rect');
  const sums = () =>
    driver().page.$$eval('.sums tbody tr', (rows) =>
      rows.map((row) => [...row.querySelectorAll('td')].map((cell) => Number(cell.textContent))),
    );
  const bars = () =>
    driver().page.$$eval('.bars rect', (rects) =>
      Object.fromEntries(rects.map((rect) => (rect.getAttribute('aria-label') ?? '').split(': '))),
    );

  test('bars are what the values say in float64, and add up to the logit', async () => {
    const { page, show } = driver();
    await show({ view: 'attribution' });
    await shown();
    const { heads, size, dModel } = await page.evaluate(attributionInFloat64, 747);
    const told: Record<string, string> = await bars();
    expect(Object.keys(told)).toEqual(expect.arrayContaining(Object.keys(heads)));
    // Centring and projecting add d_model numbers each; scale, gain and division round three times; told are four digits.
    const bound = UNIT_ROUNDOFF * (2 * dModel + 3) * size;
    for (const [label, value] of Object.entries(heads)) {
      expect(Math.abs(Number(told[label]) - value)).toBeLessThanOrEqual(bound + 0.5e-3 * Math.abs(value));
    }
    const [[components, biases, sum, logit, difference]] = await sums();
    expect(Math.abs(components + biases - sum)).toBeLessThanOrEqual(1.5e-4 + 1e-12); // each is told with four decimals
    // The stream is the sum of all components, and the logit the projection of the stream.
    expect(Math.abs(difference)).toBeLessThanOrEqual(2 * bound + UNIT_ROUNDOFF * Object.keys(told).length * size);
    const predicted = await page.$eval('#next tbody td:nth-child(3)', (cell) => cell.textContent);
    expect(logit.toFixed(2)).toBe(Number(predicted).toFixed(2));
  });

  test('asks about one token less another, before and after changes', async () => {
    const { page, show } = driver();
    const edits = [createEdit('zero', 'blocks.2.attn.hook_z', { at: { head: '2' } })];
    await show({ view: 'attribution', answer: 747, edits });
    await shown();
    await page.$eval('#attributed-wrong', (input) => {
      Object.assign(input, { value: '" John"' });
      input.dispatchEvent(new Event('change'));
    });
    await page.waitForFunction(() => document.querySelectorAll('.sums tbody tr').length === 2);
    expect(await page.evaluate(() => hyaline.session.state.wrong)).toBe(682);
    const library = await page.evaluate(() => {
      const { before, after } = hyaline.session.runs;
      return [before, after].map((run) => {
        const { data, shape } = run!.logits;
        const last = (shape[1] - 1) * shape[2];
        return Number((data[last + 747] - data[last + 682]).toFixed(4));
      });
    });
    expect((await sums()).map(([, , , logit]) => logit)).toEqual(library);
    expect((await bars()).L2H2).toBe('0');
  });

  test('a bar selects its head by a key, and leads to its pattern', async () => {
    const { page, show } = driver();
    await show({ view: 'attribution' });
    await shown();
    await page.$eval('.bars [data-label="L1H1"]', (bar) => (bar as SVGElement).focus());
    await page.keyboard.press('Enter');
    await page.waitForSelector('.bars [data-label="L1H1"][aria-pressed="true"]:focus');
    const { hook, layer, head, index } = await page.evaluate(() => hyaline.session.state);
    expect({ hook, layer, head, index }).toEqual({
      hook: 'blocks.1.attn.hook_result',
      layer: 1,
      head: 1,
      index: { head_index: 1 },
    });
    await show({});
  });
}
