// The guided tour: every number that a lesson states is what the page measures, and the last click is told right from wrong.
import { expect, test } from 'vitest';
import { LESSONS } from '../../src/ui/lessons/index.ts';
import { spectrumOf } from '../../src/ui/lessons/spectrum.ts';
import { VIEW_ENTRIES } from '../../src/ui/views/index.ts';
import type { PageDriver } from './page_driver.ts';

export function tourTests(driver: () => PageDriver): void {
  /** Waits until nothing is being measured; gives the panel's marks. */
  async function checks(): Promise<string[]> {
    const { page, settled } = driver();
    await settled();
    await page.waitForFunction(
      () => !/measuring …|computing …/.test(document.querySelector('page-tour')?.textContent ?? 'computing …'),
    );
    return page.$$eval('.checks li', (items) =>
      items.map((item) => (item.className === 'holds' ? 'holds' : (item.textContent ?? ''))),
    );
  }

  async function press(selector: string): Promise<void> {
    const { page, settled } = driver();
    await page.$eval(selector, (button) => (button as HTMLButtonElement).click());
    await settled();
  }

  async function verdict(): Promise<string> {
    await checks();
    const { page } = driver();
    await page.waitForSelector('.verdict p:is(.holds, .fails)');
    return page.$eval('.verdict p', (p) => `${p.className}: ${p.textContent?.replace(/\s+/g, ' ').trim()}`);
  }

  test.each(LESSONS.map((lesson, i) => [lesson.title, lesson, i] as const))(
    '%s: every number is as stated, to the final click',
    async (_, lesson, i) => {
      const { page, show } = driver();
      await show({ view: 'tour', model: lesson.model });
      await page.waitForSelector('.lesson');
      await press(`.lessons li:nth-child(${i + 1}) button`);
      for (const [at, step] of lesson.steps.entries()) {
        if (at > 0) await press('.tour button.primary');
        expect(await page.$eval('#step-title', (title) => title.textContent)).toBe(step.title);
        expect(await checks()).toEqual(step.checks.map(() => 'holds'));
        const isThere = VIEW_ENTRIES[step.state.view ?? 'model'] !== undefined;
        if (step.look && isThere) expect(await page.waitForSelector(step.look.at), step.look.at).not.toBe(null);
      }
      await page.waitForSelector('.choices button');
      expect(await page.$('.verdict p')).toBe(null);
      const labels = await page.$$eval('.choices button', (buttons) =>
        buttons.map((b) => b.getAttribute('aria-label')),
      );
      const right = labels.indexOf(RIGHT[i]);
      const wrong = right === 0 ? 1 : right - 1;
      await press(`.choices button:nth-child(${wrong + 1})`);
      expect(await verdict()).toMatch(/^fails: ✗ Not this one:/);
      await press(`.choices button:nth-child(${right + 1})`);
      expect(await verdict()).toMatch(/^holds: ✓ Right:/);
    },
  );

  test('a number that is not as stated is seen', async () => {
    const { page, show, settled } = driver();
    await show({ lesson: 0, step: 0, prompt: 'Words: lamp Anna river queen drum lamp Anna river' });
    await settled();
    expect(await checks()).toEqual([
      expect.stringMatching(/✗ probability of " drum": 0\.9983\s+expected; it is 0\.\d{4} here/),
    ]);
    await page.$$eval('.tour nav button', (buttons) => buttons.at(-1)?.click()); // set up again
    expect(await checks()).toEqual(['holds']);
    await show({});
  });

  test('a number that a prompt of the user does not have is told, and the lesson goes on', async () => {
    const { show } = driver();
    await show({ lesson: 1, step: 2, prompt: 'Mary' });
    const told = await checks();
    expect(told.map((text) => text.replace(/\s+/g, ' '))).toContainEqual(
      expect.stringMatching(/of 2\.0 to the second " John": 0\.919 could not be measured: there is no position 10/),
    );
    await show({});
  });

  test('the spectrum of a cosine is its frequency, with two directions', () => {
    const p = 13;
    const rows = Array.from({ length: p }, (_, a) => 2 * Math.cos((2 * Math.PI * 4 * a) / p + 1));
    const found = spectrumOf(
      rows.flatMap((x, a) => [x, 0, 5 + Math.sin((2 * Math.PI * 4 * a) / p)]),
      { p, columns: 3 },
    );
    expect(found.map(({ frequency }) => frequency)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(found[3].share).toBeCloseTo(1, 12);
    const [first, second] = found[3].directions;
    expect(first.reduce((sum, x, i) => sum + x * second[i], 0)).toBeCloseTo(0, 3); // four decimals each
    expect(Math.hypot(...first)).toBeCloseTo(1, 3);
  });
}

/** What is to be clicked in the end, in the order of the lessons. */
const RIGHT = [
  'switch off head 0.3',
  'switch off head 2.0',
  'patch position 5, is',
  'after block 2',
  "frequency 11: 21.8 % of the embedding's variance",
];
