// The frame of the page: what stands around every view, and how it is reached.
import { expect, test } from 'vitest';
import type { PageDriver } from './page_driver.ts';

export function frameTests(driver: () => PageDriver): void {
  test('the keyboard goes from tab to tab', async () => {
    const { page, show } = driver();
    await show({ view: 'attention' });
    const shown = () =>
      page.evaluate(() => [document.activeElement?.id, document.querySelector('[aria-selected="true"]')?.id]);
    await page.focus('#tab-attention');
    const after = async (key: 'ArrowRight' | 'ArrowLeft' | 'Home' | 'End') => {
      await page.keyboard.press(key);
      await page.waitForFunction(() => document.activeElement?.getAttribute('aria-selected') === 'true');
      return shown();
    };
    expect(await after('ArrowRight')).toEqual(['tab-lens', 'tab-lens']);
    expect(await after('Home')).toEqual(['tab-model', 'tab-model']);
    expect(await after('ArrowLeft')).toEqual(['tab-tour', 'tab-tour']);
    expect(await after('ArrowRight')).toEqual(['tab-model', 'tab-model']);
    expect(await after('End')).toEqual(['tab-tour', 'tab-tour']);
  });

  test('what a link says that cannot be is told on the page, and the rest is shown', async () => {
    const { page, show } = driver();
    await show({});
    await page.evaluate(() => hyaline.open('#view=lens&pos=last&<b>=1'));
    await page.waitForSelector('#link-problem');
    const told = await page.$$eval('#link-problem p', (lines) => lines.map(({ textContent }) => textContent));
    expect(told).toEqual([
      'The link\'s pos is "last", which cannot be.',
      'The link says "<b>", which this page does not know.',
    ]);
    expect(await page.evaluate(() => hyaline.session.state.view)).toBe('lens');
    await page.click('#link-problem button');
    await page.waitForFunction(() => !document.querySelector('#link-problem'));
  });

  test('on a phone nothing but what scrolls by itself is wider than the page', async () => {
    const { page, show } = driver();
    await page.setViewport({ width: 390, height: 844 });
    try {
      for (const view of ['patching', 'numerics'] as const) {
        await show({ view });
        await page.waitForSelector(`view-${view} select, view-${view} .study`);
        const wider = await page.evaluate(() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          return scrollWidth - clientWidth;
        });
        expect(wider, view).toBeLessThanOrEqual(0);
      }
      await page.click('#open-model summary');
      const box = await page.$eval('#open-model .popover', (popover) => popover.getBoundingClientRect().toJSON());
      expect(box.left).toBeGreaterThanOrEqual(0);
      expect(box.right).toBeLessThanOrEqual(390);
      await page.click('#open-model summary');
    } finally {
      await page.setViewport({ width: 1280, height: 720 });
    }
  });

  test('what opens another model closes by Escape and by a click elsewhere', async () => {
    const { page, show } = driver();
    await show({});
    const isOpen = () => page.$eval('#open-model', (details) => (details as HTMLDetailsElement).open);
    await page.click('#open-model summary');
    await page.focus('#open-hub');
    await page.keyboard.press('Escape');
    expect([await isOpen(), await page.evaluate(() => document.activeElement?.tagName)]).toEqual([false, 'SUMMARY']);
    await page.click('#open-model summary');
    await page.click('#open-hub');
    expect(await isOpen()).toBe(true);
    await page.click('h1');
    expect(await isOpen()).toBe(false);
  });
}
