// Tokens and predictions of the page: what the library says.
import { expect, test } from 'vitest';
import type { PageDriver } from './page_driver.ts';

export function predictionTests(driver: () => PageDriver): void {
  test('the first prompt predicts Mary', async () => {
    const { page } = driver();
    const first = await page.$eval('#next tbody tr', (row) =>
      [...row.querySelectorAll('td')].map((cell) => cell.textContent),
    );
    expect(first).toEqual(['" Mary"', '0.9997', '19.683', '747']);
  });

  test('another prompt is typed and run', async () => {
    const { page, settled, show } = driver();
    await page.$eval('#prompt', (input) => Object.assign(input, { value: '' }));
    await page.type('#prompt', 'The capital of France is');
    await page.click('#run');
    await settled();
    expect(await page.$eval('#next tbody td', (cell) => cell.textContent)).toBe('" Paris"');
    expect(await page.evaluate(() => location.hash)).toBe('#prompt=The+capital+of+France+is');
    await show({});
  });

  test('a prompt that is too long is explained, and the one before stays', async () => {
    const { page, show } = driver();
    await show({ prompt: 'The capital of France is' });
    await show({ prompt: 'drink '.repeat(300) });
    expect(await page.$eval('#problem', (problem) => problem.textContent)).toMatch(
      /^tokens: \d+ tokens are longer than this model's context of 256/,
    );
    expect(await page.$eval('#next tbody td', (cell) => cell.textContent)).toBe('" Paris"');
  });

  test('what looks like HTML stays text', async () => {
    const { page, show } = driver();
    await show({ prompt: '<img src=x onerror="document.title = 1"><x-stranger>', view: 'model' });
    expect(await page.$('img, x-stranger')).toBe(null);
    expect(await page.title()).toMatch(/^Hyaline/);
    await show({});
  });
}
