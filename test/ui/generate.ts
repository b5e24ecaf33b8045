// Generation in the page: the library's tokens, with and without a direction that is added, steered by a slider, and stopped.
import { expect, test } from 'vitest';
import { quoteToken } from '../../src/elements/text.ts';
import { createEdit } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

const CRUEL = 'Ruth is very cruel. Tom asks: "Can I sit here?" Ruth says: "';
const KIND = 'Ruth is very kind. Tom asks: "Can I sit here?" Ruth says: "';
const HOOK = 'blocks.2.hook_resid_post';
/** What buffers for reading, which rest in a pool, may differ by; the keys and values of this text are 800 kB. */
const POOLED_BYTES = 64 * 1024;
const SETTINGS = { maxNewTokens: 6, temperature: 0.8, topK: 20, seed: 7 };

/** Waits until both texts have ended; gives their tokens in quotes, without changes and with them. */
async function generated({ page }: PageDriver): Promise<{ before: string[]; after: string[] }> {
  await page.waitForFunction(
    () => {
      const texts = [...document.querySelectorAll('view-generate .side [role="status"]')].map(
        (p) => p.textContent ?? '',
      );
      return texts.length > 0 && texts.every((text) => /ended by/.test(text));
    },
    { timeout: 60_000 },
  );
  const rows = await page.$$eval('#generated tbody tr', (trs) =>
    trs.map((tr) => [...tr.querySelectorAll('td')].map((cell) => cell.textContent ?? '')),
  );
  const column = (i: number) => rows.map((cells) => cells[i] ?? '').filter(Boolean);
  return { before: column(1), after: column(3) };
}

/** The library's tokens, with an amount of the difference of the prompts' last positions added by a function. */
async function libraryTokens({ page }: PageDriver, amount: number): Promise<string[]> {
  const texts = await page.evaluate(
    async ([hook, factor, settings]) => {
      const { model, runs } = hyaline.session;
      if (!model || !runs.before || !runs.second) throw new Error('no run');
      const [here, there] = await Promise.all([runs.before, runs.second].map((run) => run.cache.get(hook).read()));
      const width = here.shape[2];
      const [from, to] = [here, there].map(({ data }) => data.slice(-width));
      const texts: string[] = [];
      const steps = model.generate(runs.before.ids, {
        ...settings,
        numerics: 'reproducible',
        hooks:
          factor === 0
            ? []
            : [
                [
                  hook,
                  ({ data }) =>
                    data.map((x, i) => x + Math.fround(factor * Math.fround(to[i % width] - from[i % width]))),
                ],
              ],
      });
      for await (const { token } of steps) texts.push(model.tokenizer?.tokenText(token) ?? '');
      return texts;
    },
    [HOOK, amount, SETTINGS] as const,
  );
  return texts.map(quoteToken);
}

/** Stops a long text after some tokens; what is there stays. */
async function stopUnderWay({ page }: PageDriver): Promise<void> {
  const stopped = await page.evaluate(async () => {
    const status = () => document.querySelector('#generated-before [role="status"]')?.textContent ?? '';
    const until = async (wanted: RegExp) => {
      while (!wanted.test(status())) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await until(/^([3-9]|\d\d+) tokens/);
    document.querySelector<HTMLButtonElement>('#generate-stop')?.click();
    await until(/stopped$/);
    const first = status();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { first, later: status(), rows: document.querySelectorAll('#generated tbody tr').length };
  });
  expect(stopped.later).toBe(stopped.first);
  expect(stopped.rows).toBe(Number.parseInt(stopped.first, 10));
  expect(stopped.rows).toBeLessThan(200);
}

export function generateTests(driver: () => PageDriver): void {
  test('a text is continued as the library does, with and without steering, and the slider steers', async () => {
    const { page, show } = driver();
    const edits = [createEdit('add', HOOK, { direction: { from: 'difference', pos: -1 }, amount: 2 })];
    await show({ view: 'generate', prompt: CRUEL, second: KIND, edits, ...SETTINGS });
    const shown = await generated(driver());
    expect(shown.before).toEqual(await libraryTokens(driver(), 0));
    expect(shown.after).toEqual(await libraryTokens(driver(), 2));
    expect(shown.after).not.toEqual(shown.before);
    const text = await page.$eval('#generated-before .text', (p) => p.textContent ?? '');
    expect(text).toBe(CRUEL + shown.before.map((quoted) => JSON.parse(quoted)).join(''));

    await page.$eval('#steering', (slider) => {
      Object.assign(slider, { value: '0.75' });
      slider.dispatchEvent(new Event('input'));
    });
    await page.waitForFunction(() => hyaline.session.state.edits[0].amount === 0.75);
    await driver().settled();
    await page.waitForFunction(
      () => !/ended by/.test(document.querySelector('#generated-after [role="status"]')?.textContent ?? ''),
    );
    const steered = await generated(driver());
    expect(steered.after).toEqual(await libraryTokens(driver(), 0.75));
    expect(steered.before).toEqual(shown.before);

    await show({}); // and the link alone gives it again
    await show({ view: 'generate', prompt: CRUEL, second: KIND, edits: [{ ...edits[0], amount: 0.75 }], ...SETTINGS });
    expect(await generated(driver())).toEqual(steered);
  });

  test('a text that is stopped stays as it is and gives its memory back', async () => {
    const { page, show } = driver();
    await show({ view: 'generate', prompt: 'One day, Ella had a red', maxNewTokens: 200, temperature: 2 });
    await stopUnderWay(driver());
    const bytes = () => page.evaluate(() => hyaline.session.model?.memory.bytes ?? 0);
    const before = await bytes(); // with the plans of each length, at rest
    await page.click('#generate');
    await stopUnderWay(driver());
    expect(await bytes()).toBeLessThan(before + POOLED_BYTES);
    await page.$eval('#maxNewTokens', (input) => {
      Object.assign(input, { value: '3' });
      input.dispatchEvent(new Event('change'));
    });
    await page.click('#generate');
    expect((await generated(driver())).before).toHaveLength(3);
    await show({});
  });
}
