// The benchmark in the page: its numbers are numbers, and its files can be read.
import { expect, test } from 'vitest';
import type { BenchmarkResult } from '../../src/ui/benchmark.ts';
import type { PageDriver } from './page_driver.ts';
import { LONGEST_TASK_MS, tasksOf } from './responsiveness.ts';

/** What a button of the page saves, as text. */
async function saved({ page }: PageDriver, button: string): Promise<string> {
  return page.evaluate(async (selector) => {
    const create = URL.createObjectURL;
    const blob = new Promise<Blob>((resolve) => {
      URL.createObjectURL = (given) => {
        resolve(given as Blob);
        return create.call(URL, given);
      };
    });
    document.querySelector<HTMLButtonElement>(selector)?.click();
    try {
      return await (await blob).text();
    } finally {
      URL.createObjectURL = create;
    }
  }, button);
}

const isPositive = (x: number) => Number.isFinite(x) && x > 0;

export function measureTests(driver: () => PageDriver): void {
  test('a quick measurement gives finite medians, a roofline, and files that can be read', async () => {
    const { page, show } = driver();
    await show({ view: 'measure' });
    await page.waitForSelector('view-measure .start');
    expect(await page.$eval('#software', (text) => text.textContent)).toMatch('This adapter is software');
    const tasks = await tasksOf(driver(), async () => {
      await page.click('view-measure .start');
      await page.waitForSelector('view-measure :is(.roofline svg, .problem)');
    });
    expect(tasks[0]).toBeLessThanOrEqual(LONGEST_TASK_MS);
    expect(await page.$$eval('view-measure .problem', (all) => all.map((one) => one.textContent))).toEqual([]);

    const result: BenchmarkResult = JSON.parse(await saved(driver(), '#measure-json'));
    const { limits, timings, operations, passTokens } = result;
    expect([limits.bandwidth, limits.gigaflops, limits.roundTripMs].every(isPositive)).toBe(true);
    expect(timings.map(({ name, tokens }) => `${name}, ${tokens}`)).toEqual([
      'run, 1',
      'run, 16',
      'run, every value kept, 16',
      'decode, per token, 16',
      'prompt in pieces of 16, 16',
    ]);
    for (const { lower, median, upper } of timings) {
      expect(isPositive(lower) && lower <= median && median <= upper && Number.isFinite(upper)).toBe(true);
    }
    // 4 blocks of 2 norms, queries with keys and values, attention, its projection, 2 products of the MLP; 3 before and 2 behind them.
    expect(operations.reduce((sum, { count }) => sum + count, 0)).toBe(4 * 7 + 3 + 2);
    expect(operations.every(({ ms, bytes }) => isPositive(ms) && isPositive(bytes))).toBe(true);
    // One product of queries: 2 · 16 · 128 · 128; with keys and values three of them.
    const queries = operations.find(({ kernel }) => kernel === 'qkv_projection');
    expect([passTokens, queries?.flops]).toEqual([16, 3 * 2 * 16 * 128 * 128]);
    expect(queries?.bytes).toBe(4 * (4 * 16 * 128 + 3 * 128 * 128));

    const products = operations.filter(({ flops }) => flops > 0);
    expect(await page.$$eval('.roofline svg circle', (all) => all.length)).toBe(products.length);
    const svg = await saved(driver(), '.roofline .save-svg');
    const width = await page.evaluate(async (text) => {
      const image = new Image();
      image.src = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }));
      await image.decode(); // an error where it is no picture
      return image.naturalWidth;
    }, svg);
    expect(width).toBeGreaterThan(600);
    expect(svg).toContain('attention z');
  });

  test('a measurement is stopped at once, and the one before is there again', async () => {
    const { page, show } = driver();
    await show({ view: 'measure' });
    await page.click('view-measure .start');
    await page.waitForSelector('view-measure .stop');
    expect(await page.$('view-measure .figures')).toBe(null);
    await page.click('view-measure .stop');
    await page.waitForSelector('view-measure .figures svg');
    const shown = await page.$$eval('view-measure .figures svg', (all) => all.length);
    expect(shown).toBe(3);
    expect(await page.$$eval('view-measure .problem', (all) => all.length)).toBe(0);
    await show({});
  });
}
