// The inspector on the page: the library's bits under the pointer, float64 beside them, what is compared, and what is pinned.
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { readWeights, referenceForward, toBits, ulp, ulpDistance } from '../../src/index.ts';
import { createEdit } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

const PATTERN = 'blocks.1.attn.hook_pattern';
const EDIT = createEdit('zero', 'blocks.1.attn.hook_z', { at: { head: '0' } });

/** The numbers of a value of a run that the page shows. */
async function numbersOf({ page }: PageDriver, name: string, run: 'before' | 'after' | 'second' = 'before') {
  return page.evaluate(
    async (name, run) => [...(await hyaline.session.runs[run]!.cache.get(name).read()).data],
    name,
    run,
  );
}

export function valueTests(driver: () => PageDriver): void {
  /** What the table of one number says, by its headings; once it speaks of an element. */
  const number = async (): Promise<Record<string, string>> => {
    const { page } = driver();
    await page.waitForFunction(async () => {
      const inspector = document.querySelector('hyaline-value');
      await inspector?.updateComplete;
      const text = inspector?.shadowRoot?.querySelector('dl.number dd.decimal')?.textContent;
      return text !== undefined && /\d/.test(text ?? '');
    });
    return page.$eval('hyaline-value', (inspector) => {
      const terms = [...inspector.shadowRoot!.querySelectorAll('dl.number dt')];
      return Object.fromEntries(
        terms.map((term) => [term.textContent, term.nextElementSibling?.textContent?.trim() ?? '']),
      );
    });
  };
  /** Middle of a cell of the picture, of so many rows and columns. */
  const middleOf = (row: number, column: number, rows: number, columns: number) =>
    driver().page.$eval(
      'hyaline-value',
      (inspector, row, column, rows, columns) => {
        const plot = inspector.shadowRoot!.querySelector('hyaline-heatmap')!.shadowRoot!.querySelector('.plot')!;
        plot.scrollIntoView({ block: 'center' });
        const { left, top, width, height } = plot.getBoundingClientRect();
        return { x: left + ((column + 0.5) * width) / columns, y: top + ((row + 0.5) * height) / rows };
      },
      row,
      column,
      rows,
      columns,
    );
  const ready = () => driver().page.waitForFunction(() => document.querySelector('hyaline-value')?.value);
  /** Then the selected number is told. */
  const pointNowhere = () => driver().page.mouse.move(0, 0);
  const place = (query: number, key: number) => ({ batch: 0, head_index: 2, query_pos: query, key_pos: key });

  test('the number under the pointer has the bits that the library reads', async () => {
    const { page, show } = driver();
    await show({ view: 'value', hook: PATTERN, index: { head_index: 2 } });
    await ready();
    const { x, y } = await middleOf(14, 4, 15, 15);
    await page.mouse.move(x, y);
    const told = await number();
    const data = await numbersOf(driver(), PATTERN);
    const x32 = data[(2 * 15 + 14) * 15 + 4];
    expect(told.element).toContain('head_index 2');
    expect(told.bits).toBe(`0x${toBits(x32).toString(16).padStart(8, '0')}`);
    expect(Math.fround(Number(told.decimal))).toBe(x32);
    await page.mouse.click(x, y);
    await page.waitForFunction(() => hyaline.session.state.index.key_pos === 4);
    expect(await page.evaluate(() => hyaline.session.state.index)).toEqual(place(14, 4));
    await pointNowhere();
  });

  test('beside it stands the float64 number of a worker, and the error in units of the last place', async () => {
    const { page, show } = driver();
    const hook = 'blocks.2.hook_resid_post';
    await show({ view: 'value', hook, index: { batch: 0, pos: 14, d_model: 77 } });
    await page.waitForFunction(() => document.querySelector('hyaline-value')?.reference);
    const told = await number();
    const { ids, config } = await page.evaluate(() => {
      const { model, run } = hyaline.session;
      return { ids: [...run!.ids], config: model!.config };
    });
    const weights = await readWeights(join(inject('repositoryRoot'), 'models', 'circuit-zoo'));
    const truth = referenceForward(config, weights, [ids]).get(hook)!.data[14 * 128 + 77];
    // Two engines of JavaScript may differ in the last digits of exp and tanh.
    expect(Math.abs(Number(told.float64) - truth)).toBeLessThanOrEqual(1e-12 * Math.abs(truth));
    const x = (await numbersOf(driver(), hook))[14 * 128 + 77];
    const error = Math.abs(x - Number(told.float64)) / ulp(Number(told.float64));
    expect(Number.parseFloat(told.error)).toBeCloseTo(error, 3 - Math.ceil(Math.log10(error))); // told with four digits
    expect(await page.$eval('#float64-state', ({ textContent }) => textContent)).toMatch(/^of every element/);
  });

  test('with changes the run before them is compared, and float64 is not', async () => {
    const { page, show } = driver();
    const hook = 'blocks.1.hook_resid_mid';
    await show({ view: 'value', hook, index: { batch: 0, pos: 14, d_model: 5 }, edits: [EDIT] });
    await page.waitForFunction(() => document.querySelector('hyaline-value')?.compared);
    const told = await number();
    const at = 14 * 128 + 5;
    const [before, after] = [await numbersOf(driver(), hook), await numbersOf(driver(), hook, 'after')];
    expect(before[at]).not.toBe(after[at]);
    expect(Math.fround(Number(told.decimal))).toBe(after[at]);
    expect(Math.fround(Number.parseFloat(told.compared))).toBe(before[at]);
    expect(await page.$eval('#float64-state', ({ textContent }) => textContent)).toMatch(/^not with changes/);
  });

  test('another prompt, token or value is compared', async () => {
    const { page, show } = driver();
    const hook = 'blocks.1.hook_resid_post';
    const at = 3 * 128 + 5;
    const state = { view: 'value', hook, index: { batch: 0, pos: 3, d_model: 5 } } as const;
    const compared = async () => {
      await page.waitForFunction(() => document.querySelector('hyaline-value')?.compared);
      return Math.fround(Number.parseFloat((await number()).compared));
    };
    const second = 'When John and Mary went to the store, Mary gave a drink to';
    await show({ ...state, second, compared: 'second' });
    expect(await compared()).toBe((await numbersOf(driver(), hook, 'second'))[at]);
    await show({ ...state, pos: 7, compared: 'token' });
    expect(await compared()).toBe((await numbersOf(driver(), hook))[7 * 128 + 5]);
    await show({ ...state, compared: 'blocks.3.hook_mlp_out' });
    expect(await compared()).toBe((await numbersOf(driver(), 'blocks.3.hook_mlp_out'))[at]);
  });

  test('a value that is computed when asked for takes one more run, freed with the run', async () => {
    const { page, show } = driver();
    await show({
      view: 'value',
      hook: 'blocks.2.hook_q_input',
      index: { batch: 0, pos: 4, head_index: 1, d_model: 9 },
    });
    await ready();
    const x = (await numbersOf(driver(), 'blocks.2.hook_resid_pre'))[4 * 128 + 9];
    expect(Math.fround(Number((await number()).decimal))).toBe(x);
    const problem = await page.evaluate(async () => {
      const value = await hyaline.session.run!.capture!('blocks.2.hook_q_input');
      await hyaline.session.update({ prompt: 'The capital of Peru is' });
      return value.read().then(
        () => 'read',
        (error) => String(error),
      );
    });
    expect(problem).toContain('has been destroyed');
  });

  test('pinned numbers stay beside those of another prompt', async () => {
    const { page, show } = driver();
    const hook = 'blocks.3.hook_resid_post';
    const first = { prompt: 'The capital of France is', hook, index: { batch: 0, pos: 5, d_model: 1 } };
    await show({ view: 'value', ...first });
    const pinned = (await numbersOf(driver(), hook))[5 * 128 + 1];
    await page.waitForSelector('#pin:not(:disabled)');
    await page.click('#pin');
    await page.waitForSelector('#pins tbody tr');
    await page.evaluate(() => hyaline.session.update({ prompt: 'The capital of Spain is' }));
    const now = (await numbersOf(driver(), hook))[5 * 128 + 1];
    const cells = () =>
      page.$$eval('#pins tbody td.number', (cells) => cells.map(({ textContent }) => textContent?.trim() ?? ''));
    await page.waitForFunction(
      () => ![...document.querySelectorAll('#pins tbody td.number')].some(({ textContent }) => textContent === '…'),
    );
    const [was, is, difference, ulps] = (await cells()).map(Number);
    expect([Math.fround(was), Math.fround(is)]).toEqual([pinned, now]);
    expect(difference).toBeCloseTo(pinned - now, 2);
    expect(ulps).toBe(ulpDistance(pinned, now));
    // A run that was stopped: the prompt is the pin's, what is shown is not.
    const prompts = await page.evaluate(async (prompt) => {
      const { session } = hyaline;
      const stopped = session.update({ prompt });
      session.cancel();
      await stopped;
      await new Promise(requestAnimationFrame);
      return [session.state.prompt, session.shownState.prompt];
    }, first.prompt);
    expect(prompts).toEqual([first.prompt, 'The capital of Spain is']);
    expect((await cells()).slice(0, 2).map(Number).map(Math.fround)).toEqual([pinned, now]);
    await page.evaluate(() => hyaline.session.update({ prompt: 'The capital of Spain is' }));
    const link = await page.evaluate(() => location.hash);
    await show({});
    await page.evaluate((link) => hyaline.open(link), link);
    await page.waitForSelector('#pins tbody tr');
    await page.click('#pins tbody button:first-of-type');
    await page.waitForFunction(() => hyaline.session.run?.tokens.includes(' France'));
    expect(await page.evaluate(() => hyaline.session.state.index)).toEqual(first.index);
    await page.$$eval('#pins tbody button', (buttons) => (buttons[1] as HTMLButtonElement).click());
    await page.waitForFunction(() => !document.querySelector('#pins'));
    await show({});
  });
}
