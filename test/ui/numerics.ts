// The view of the numbers: what it says is what the library says, in the page's words.
import { expect, test } from 'vitest';
import { Model, numericsReport, precisionStudy } from '../../src/index.ts';
import { createEdit, DEFAULT_STATE } from '../../src/ui/state.ts';
import { testDevice } from '../device.ts';
import { fixtureUrl, readJsonFixture } from '../fixtures.ts';
import type { PageDriver } from './page_driver.ts';
import { LONGEST_TASK_MS, tasksOf } from './responsiveness.ts';

/** Short: float64 passes take their time. */
const PROMPT = 'When Mary and John';
const TOKENS = 5;
const HOOK = 'blocks.2.attn.hook_z';

/** As cells show errors of float32. */
const small = (x: number | null | undefined) => (x === 0 ? '0' : x?.toExponential(1));

/** Name and text of every cell of the map in a part of the view. */
function cellsOf({ page }: PageDriver, part: string): Promise<(readonly [name: string, text: string])[]> {
  return page.$$eval(`${part} .value-map td button`, (cells) =>
    cells.map((cell) => [cell.dataset.value ?? '', cell.textContent ?? ''] as const),
  );
}

/** Starts a job of a part of the view, and waits for what it gives; meanwhile the page has nothing long to do. */
async function finish(driver: PageDriver, part: string, result: string): Promise<void> {
  const { page } = driver;
  const tasks = await tasksOf(driver, async () => {
    await page.click(`${part} .start`);
    await page.waitForSelector(`${part} :is(${result}, .job .problem)`, { timeout: 110_000 });
  });
  expect(await page.$$eval(`${part} .job .problem`, (all) => all.map((one) => one.textContent))).toEqual([]);
  expect(tasks[0]).toBeLessThanOrEqual(LONGEST_TASK_MS);
}

export function numericsTests(driver: () => PageDriver): void {
  let model: Model;
  const library = async () => {
    model ??= await Model.load(fixtureUrl('models/circuit-zoo'), {
      device: await testDevice(),
      numerics: 'reproducible',
    });
    return model;
  };

  test('all values of the recorded prompt have the recorded digests; a change shows from where on they have others', async () => {
    const { page, show } = driver();
    const names = Object.keys((await readJsonFixture<{ values: object }>('models/circuit-zoo/digests.json')).values);
    await show({ view: 'numerics' });
    await page.waitForSelector('.digest-verdict[data-verdict="same"]');
    const verdict = () => page.$eval('.digest-verdict', (text) => text.textContent?.replace(/\s+/g, ' '));
    expect(await verdict()).toBe(`✓ All ${names.length} values have the recorded bits.`);
    await show({ view: 'numerics', edits: [createEdit('scale', HOOK)] });
    await page.waitForSelector('.digest-verdict[data-verdict="other"]');
    const changed = names.length - names.indexOf(HOOK);
    expect(await verdict()).toMatch(
      `✗ ${changed} of ${names.length} values have other bits than the recorded ones, from ${HOOK} on.`,
    );
    const cells = await cellsOf(driver(), 'numerics-digests');
    const same = cells.filter(([, text]) => text.startsWith('✓')).map(([name]) => name);
    expect(new Set(same)).toEqual(new Set(names.slice(0, names.indexOf(HOOK))));
  });

  test('the map has the figures of numericsReport; a value is selected by click', async () => {
    const { page, show } = driver();
    await show({ view: 'numerics', prompt: PROMPT });
    const [, { values, findings }] = await Promise.all([
      finish(driver(), 'numerics-errors', '.value-map'),
      library().then((of) => numericsReport(of, PROMPT)),
    ]);
    const expected = new Map(values.map((value) => [value.name, value]));
    const cells = await cellsOf(driver(), 'numerics-errors');
    expect(cells.length).toBe(values.length);
    expect(cells).toEqual(cells.map(([name]) => [name, small(expected.get(name)?.error.relativeRms)]));
    const text = await page.$eval('numerics-errors .findings', (list) => list.textContent);
    expect(text).toContain(findings.mostLocal[0].name);
    expect(text).toContain(`✓ Float64 predicts the same next token at all ${TOKENS} positions.`);

    await page.select('#figure', 'parts');
    const parts = await cellsOf(driver(), 'numerics-errors');
    const [inherited, local] = parts.filter(([name]) => name === HOOK).map(([, figure]) => figure);
    const value = expected.get(HOOK);
    expect([inherited, local]).toEqual([small(value?.inherited.relativeRms), small(value?.local.relativeRms)]);
    await page.click(`numerics-errors [data-value="${HOOK}"]`);
    expect(await page.evaluate(() => [hyaline.session.state.view, hyaline.session.state.hook])).toEqual([
      'value',
      HOOK,
    ]);
  });

  test('a study of bf16 weights says what precisionStudy says; one that is stopped says nothing', async () => {
    const { page, show } = driver();
    await show({ view: 'numerics', prompt: PROMPT });
    const study = library().then((of) => precisionStudy(of, PROMPT, [{ name: 'bf16', weights: [['*.W_*', 'bf16']] }]));
    const [{ cases }] = await Promise.all([study, finish(driver(), 'numerics-study', '#studies')]);
    const rows = () =>
      page.$$eval('#studies tbody tr', (all) =>
        all.map((row) => [...row.children].map((cell) => cell.textContent?.trim())),
      );
    const { meanKl, maxKl, topAgreement, tokens } = cases[1].prediction;
    const kept = Math.round(TOKENS * topAgreement);
    const expected = [
      '*.W_* bf16',
      small(meanKl),
      small(maxKl),
      `${kept} of ${TOKENS}`,
      tokens[0].got?.toFixed(4),
      '–',
    ];
    expect((await rows())[2]).toEqual(expected);
    expect(await page.$$eval('numerics-study .findings li', (all) => all.length)).toBe(TOKENS - kept);
    const errors = new Map(cases[1].values.map(({ name, rmsRelative }) => [name, small(rmsRelative)]));
    const cells = await cellsOf(driver(), 'numerics-study');
    expect(cells.length).toBe(errors.size);
    expect(cells).toEqual(cells.map(([name]) => [name, errors.get(name)]));

    // Another setting of the slider starts at once.
    await page.focus('#study-weight-format');
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector('numerics-study .stop');
    await page.click('numerics-study .stop');
    await page.waitForSelector('numerics-study .start');
    expect(await rows()).toHaveLength(3);
    expect(await page.evaluate(() => hyaline.session.state.study.weightFormat)).toBe('int8');
    await show({ view: 'numerics', prompt: PROMPT, study: { ...DEFAULT_STATE.study, weights: 'no such weight' } });
    await page.click('numerics-study .start');
    await page.waitForSelector('numerics-study .job .problem');
    expect(await page.$eval('numerics-study .job .problem', (text) => text.textContent)).toMatch('no such weight');
  });

  test("the adapter's fingerprint is told, and the worker ends when nobody has looked for a minute", async () => {
    const { page, show } = driver();
    await show({ view: 'numerics' });
    await finish(driver(), 'numerics-adapter', '#fingerprint');
    expect(await page.$eval('#fingerprint', (id) => id.textContent)).toMatch(/^[0-9a-f]{8}$/);
    const statements = await page.$$eval('.statements li', (all) => all.map((one) => one.textContent));
    expect(statements).toContainEqual(
      expect.stringMatching(/sums, differences and products are rounded to\s+nearest even/),
    );
    const workers = () => page.workers().filter((worker) => worker.url().includes('numerics_worker'));
    expect(workers()).toHaveLength(1);
    await page.evaluate(() => {
      const wait = setTimeout;
      globalThis.setTimeout = ((what: () => void, ms: number, ...rest: []) =>
        wait(what, ms === 60_000 ? 0 : ms, ...rest)) as typeof setTimeout;
    });
    await show({ view: 'model' });
    await expect.poll(() => workers().length).toBe(0);
    model?.destroy();
  });
}
