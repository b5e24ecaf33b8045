// What axe-core finds on the page: nothing serious or critical, on any view, in light and dark.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AxeResults, RunOptions } from 'axe-core';
import { expect, inject, test } from 'vitest';
import { createEdit } from '../../src/ui/state.ts';
import { SHOWN_VIEWS, showView } from './each_view.ts';
import type { PageDriver } from './page_driver.ts';

const AXE = readFileSync(join(inject('repositoryRoot'), 'node_modules', 'axe-core', 'axe.min.js'), 'utf8');

/** With a change and a second prompt, there is more to see. */
const STATE = {
  second: 'When Mary and John went to the store, Mary gave a drink to',
  edits: [createEdit('zero', 'blocks.2.attn.hook_z', { at: { head: '0' } })],
};

/** One line for each element that breaks a rule. */
function seriousViolations({ violations }: AxeResults): string[] {
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, any, all, none }) => {
        const why = [...any, ...all, ...none].map(({ message }) => message).join(' ');
        return `${id}: ${target.join(' ')}: ${why}`;
      }),
    );
}

export function accessibilityTests(driver: () => PageDriver): void {
  /** Runs axe-core on what the page shows. */
  async function violationsOf(options: RunOptions): Promise<string[]> {
    const { page } = driver();
    await page.evaluate(`globalThis.axe ?? (() => { ${AXE} })()`); // the policy refuses a script element
    const results = await page.evaluate((options) => {
      const { axe } = globalThis as unknown as { axe: { run(options: RunOptions): Promise<AxeResults> } };
      return axe.run({ resultTypes: ['violations'], ...options });
    }, options);
    return seriousViolations(results);
  }

  test.each(SHOWN_VIEWS)('the view %s has no serious violation', async (view) => {
    const { page } = driver();
    await showView(driver(), view, STATE);
    await page.waitForNetworkIdle({ idleTime: 250 }); // charts are loaded when they are first drawn
    await page.waitForFunction(() => !document.querySelector('#view')?.textContent?.includes('computing …'));
    expect(await violationsOf({})).toEqual([]);
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    try {
      expect(await violationsOf({ runOnly: ['color-contrast'] })).toEqual([]); // all else is the same
    } finally {
      await page.emulateMediaFeatures([]);
    }
  });

  test('a step of a lesson and the dialog of what can be kept have no serious violation', async () => {
    const { page, show } = driver();
    for (const lesson of [
      { lesson: 4, step: 4, model: 'modular-addition' },
      { lesson: 0, step: 4 },
    ]) {
      await show(lesson);
      await page.waitForSelector('.choices button');
      expect(await violationsOf({})).toEqual([]);
    }
    await page.$eval('#keep', (button) => (button as HTMLElement).click());
    await page.waitForSelector('page-keep dialog[open] #code');
    expect(await violationsOf({})).toEqual([]);
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
    try {
      expect(await violationsOf({ runOnly: ['color-contrast'] })).toEqual([]);
    } finally {
      await page.emulateMediaFeatures([]);
      await page.evaluate(() => document.querySelector('dialog')?.close());
    }
    await show({});
  });

  test('what axe-core calls serious is found', async () => {
    const { page, show } = driver();
    await show({});
    await page.$eval('body', (body) => {
      const input = Object.assign(document.createElement('input'), { id: 'nameless' });
      const text = Object.assign(document.createElement('p'), { id: 'pale', textContent: 'pale' });
      text.style.cssText = 'color: #bbb; background: #fff';
      body.append(input, text);
    });
    const found = await violationsOf({});
    await page.$$eval('#nameless, #pale', (elements) => {
      for (const element of elements) element.remove();
    });
    expect(found.map((line) => line.split(': ').slice(0, 2))).toEqual([
      ['color-contrast', '#pale'],
      ['label', '#nameless'],
    ]);
  });
}
