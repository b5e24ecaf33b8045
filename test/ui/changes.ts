// Changes inside of the run, made with the page's own controls, against the library in the same page. The oracles are hooks that are
// functions: another way to the same numbers than the page's interventions.
import { expect, test } from 'vitest';
import { ablateHead, atIndex, describeEdit, selectionOf } from '../../src/ui/edits.ts';
import { createEdit } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

const [MARY, JOHN] = [747, 682];
const SECOND = 'When John and Mary went to the store, Mary gave a drink to';

/** Logits of the prompt's last position as the page shows them: with the changes. */
async function shownLogits({ page }: PageDriver): Promise<number[]> {
  return page.evaluate(() => {
    const { data, shape } = hyaline.session.run?.logits ?? { data: [], shape: [0, 0, 0] };
    return Array.from(data.slice((shape[1] - 1) * shape[2]));
  });
}

/** Clicks and waits for the run that follows. */
async function click({ page, settled }: PageDriver, selector: string): Promise<void> {
  await page.click(selector);
  await settled();
}

const texts = ({ page }: PageDriver) =>
  page.$$eval('#changes button.name', (buttons) => buttons.map((button) => button.textContent));

export function changeTests(driver: () => PageDriver): void {
  test('a head that is ablated by the controls has the probability of the library, and off, order and removal follow', async () => {
    const { page, settled, show } = driver();
    await show({ hook: 'blocks.2.attn.hook_z', answer: MARY, wrong: JOHN });
    const before = await shownLogits(driver());
    await click(driver(), '#add-change');
    expect(await texts(driver())).toEqual(['zero blocks.2.attn.hook_z, head 0']);
    const library = await page.evaluate(async () => {
      const { model, runs } = hyaline.session;
      if (!model || !runs.before) throw new Error('no run');
      const { logits } = await model.run(runs.before.ids, {
        numerics: 'reproducible',
        hooks: [
          [
            'blocks.2.attn.hook_z',
            ({ data, shape }) => data.map((x, i) => (Math.floor(i / shape[3]) % shape[2] === 0 ? 0 : x)),
          ],
        ],
      });
      return Array.from(logits.data.slice(-logits.shape[2]));
    });
    expect(await shownLogits(driver())).toEqual(library);
    expect(library).not.toEqual(before);
    const total = library.reduce((sum, logit) => sum + Math.exp(logit - Math.max(...library)), 0);
    const probability = Math.exp(library[MARY] - Math.max(...library)) / total;
    const asked = await page.$$eval('#asked tr', (rows) =>
      rows.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent?.trim() ?? '')),
    );
    expect(asked[1][1]).toBe(`#1 ${probability.toFixed(4)}`);
    expect(asked[3][1]).toBe((library[MARY] - library[JOHN]).toFixed(3));
    expect(asked[3][0]).toBe((before[MARY] - before[JOHN]).toFixed(3));

    await page.select('#change-kind', 'scale');
    await click(driver(), '#add-change');
    await click(driver(), '[data-change="1"] [title="Earlier"]');
    expect((await texts(driver()))[0]).toBe('scale blocks.2.attn.hook_z, head 0, by 0.5');
    expect(await page.evaluate(() => document.activeElement?.closest('li')?.getAttribute('data-change'))).toBe('0');
    await click(driver(), '#all-off');
    expect(await shownLogits(driver())).toEqual(before);
    await click(driver(), '[data-change="1"] input[type="checkbox"]');
    expect(await shownLogits(driver())).toEqual(library);
    await click(driver(), '[data-change="0"] [title="Remove"]');
    expect(await texts(driver())).toEqual(['zero blocks.2.attn.hook_z, head 0']);
    await page.evaluate(() => hyaline.open(location.hash)); // the link holds it
    await settled();
    expect(await shownLogits(driver())).toEqual(library);
  });

  test('a slider runs once, when it rests', async () => {
    const { page, settled, show } = driver();
    await show({ edits: [createEdit('scale', 'blocks.1.hook_mlp_out')] });
    await page.click('#changes button.name');
    const runs = await page.evaluate(async () => {
      const seen = new Set([hyaline.session.runs.after]);
      const before = hyaline.session.runs.before;
      const note = () => seen.add(hyaline.session.runs.after);
      hyaline.session.addEventListener('change', note);
      const slider = document.querySelector<HTMLInputElement>('#changes .slider');
      if (!slider) throw new Error('no slider');
      for (const x of [0.6, 0.7, 0.8]) {
        slider.value = String(x);
        slider.dispatchEvent(new Event('input'));
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
      while (hyaline.session.status.activity === 'running') await new Promise((resolve) => setTimeout(resolve, 10));
      hyaline.session.removeEventListener('change', note);
      return { count: seen.size, isSame: hyaline.session.runs.before === before };
    });
    await settled();
    expect(runs).toEqual({ count: 2, isSame: true });
    expect((await texts(driver()))[0]).toBe('scale blocks.1.hook_mlp_out, by 0.8');
  });

  test('a broken expression is said beside the list, and the last good run stays', async () => {
    const { page, show } = driver();
    const edits = [createEdit('wgsl', 'blocks.0.hook_mlp_out', { expression: 'value * 0.5' })];
    await show({ edits });
    const good = await shownLogits(driver());
    await page.click('#changes button.name');
    await page.$eval('#changes textarea.expression', (area) => Object.assign(area, { value: 'value * hallo' }));
    await page.$eval('#changes textarea.expression', (area) => area.dispatchEvent(new Event('change')));
    await driver().settled();
    await page.waitForSelector('#changes-problem:not([hidden])');
    expect(await page.$eval('#changes-problem', (problem) => problem.textContent)).toMatch(/hallo/);
    expect(await page.$eval('#problem', (problem) => (problem as HTMLElement).hidden)).toBe(true);
    expect(await shownLogits(driver())).toEqual(good);
    await show({ edits: [ablateHead(9, 0)] });
    expect(await page.$eval('#changes-problem', (problem) => problem.textContent)).toMatch(
      /^Change 1: hooks: no value "blocks\.9\.attn\.hook_z"/,
    );
    await show({});
    expect(await page.$eval('#changes-problem', (problem) => (problem as HTMLElement).hidden)).toBe(true);
  });

  test('what is patched from the second prompt is what the library gives', async () => {
    const { page, settled, show } = driver();
    await show({ edits: [createEdit('patch', 'blocks.1.hook_resid_post', { at: { pos: '10' } })] });
    expect(await page.$eval('#changes-problem', (problem) => problem.textContent)).toBe(
      'Change 1: patching needs a second prompt to take values from.',
    );
    await page.click('#copy-prompt');
    await settled();
    expect(await page.evaluate(() => hyaline.session.state.second)).toBe(
      'When Mary and John went to the store, John gave a drink to',
    );
    await page.$eval('#second', (input, value) => Object.assign(input, { value }), SECOND);
    await page.type('#second', '\n');
    await settled();
    const library = await page.evaluate(async () => {
      const { model, runs } = hyaline.session;
      if (!model || !runs.before || !runs.second) throw new Error('no run');
      const other = await runs.second.cache.get('blocks.1.hook_resid_post').read();
      const { logits } = await model.run(runs.before.ids, {
        numerics: 'reproducible',
        hooks: [
          [
            'blocks.1.hook_resid_post',
            ({ data, shape }) => data.map((x, i) => (Math.floor(i / shape[2]) === 10 ? other.data[i] : x)),
          ],
        ],
      });
      return Array.from(logits.data.slice(-logits.shape[2]));
    });
    expect(await shownLogits(driver())).toEqual(library);
  });

  test('tokens are named by their text, in quotes, or by id', async () => {
    const { page, show } = driver();
    await show({});
    const name = async (text: string) => {
      await page.$eval('#wrong', (input, value) => Object.assign(input, { value }), text);
      await page.$eval('#wrong', (input) => input.dispatchEvent(new Event('change')));
      return page.evaluate(() => hyaline.session.state.wrong);
    };
    expect(await name('John')).toBe(JOHN);
    expect(await page.$eval('#wrong', (input) => (input as HTMLInputElement).value)).toBe('" John"');
    expect(await name('#747')).toBe(MARY);
    expect(await name('"John"')).not.toBe(JOHN);
    const kept = await page.evaluate(() => hyaline.session.state.wrong);
    expect(await name('drinking tea')).toBe(kept);
    expect(await page.$eval('#wrong', (input) => (input as HTMLInputElement).validationMessage)).toMatch(
      /is not one token but \d/,
    );
    expect(await name('')).toBeNull();
  });

  test('edits are said in words', () => {
    const name = (id: number) => `"${id}"`;
    expect(describeEdit(ablateHead(2, 0), name)).toBe('zero blocks.2.attn.hook_z, head 0');
    const direction = { from: 'unembed', token: 5, minus: 7 } as const;
    expect(describeEdit(createEdit('add', 'hook_embed', { direction, at: { pos: '-1' } }), name)).toBe(
      'add 4 × (unembed "5" − "7") to hook_embed, pos -1',
    );
    expect(atIndex({ batch: 0, pos: 3, head_index: 1 })).toEqual({ pos: '3', head: '1' });
    expect(selectionOf({ head: '0,2', pos: '3-5', key: '' })).toEqual({ head: [0, 2], pos: [3, 4, 5] });
  });
}
