// The map of the page: the library's statistics at every place, what edits change, and where a click leads.
import { expect, test } from 'vitest';
import { createEdit } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

const EDIT = createEdit('zero', 'blocks.1.attn.hook_z', { at: { head: '0' } });

export function mapTests(driver: () => PageDriver): void {
  const place = (name: string) => `.place[data-name="${name}"]`;
  const unfoldAll = () =>
    driver().page.$$eval('.map-tools button', ([unfold]) => (unfold as HTMLButtonElement).click());
  /** Waits until no place that is shown waits for its statistics. */
  const computed = () =>
    driver().page.waitForFunction(() => {
      const numbers = [...document.querySelectorAll('.place-numbers')];
      return numbers.length > 0 && numbers.every(({ textContent }) => textContent !== '…');
    });

  test('a place tells the statistics that the library computes', async () => {
    const { page, show } = driver();
    await show({ layer: 1 });
    await page.focus(place('blocks.1.attn.hook_q'));
    await computed();
    const told = await page.$eval('.map-details', ({ textContent }) => textContent);
    const library = await page.evaluate(async () => {
      const { mean, std, norm, count } = await hyaline.session.run!.statistics('blocks.1.attn.hook_q');
      return [
        `mean ${mean.toPrecision(4)}`,
        `std ${std.toPrecision(4)}`,
        `norm ${norm.toPrecision(4)}`,
        `${count} numbers`,
      ];
    });
    expect(told).toContain('[1, 15, 4, 32] batch, pos, head_index, d_head · queries, after the bias');
    for (const figure of library) expect(told).toContain(figure);
  });

  test('every value of the model has a place, and folded blocks compute nothing', async () => {
    const { page, show } = driver();
    await show({ prompt: 'The capital of Peru is', layer: 0 });
    await computed();
    const keys = await page.evaluate(async () => [
      ...(await (hyaline.session.run as unknown as { analyses(): Promise<Map<string, unknown>> }).analyses()).keys(),
    ]);
    expect(keys).toContain('statistics blocks.0.attn.hook_q');
    expect(keys).toContain('statistics blocks.3.hook_resid_post');
    expect(keys).not.toContain('statistics blocks.3.attn.hook_q');
    await unfoldAll();
    const [places, names] = await page.evaluate(() => [
      [...document.querySelectorAll<HTMLElement>('.place')].map(({ dataset }) => dataset.name ?? ''),
      hyaline.session.model!.hooks.map(({ name }) => name),
    ]);
    expect(places.sort()).toEqual(names.sort());
  });

  test('marks the place that is edited, and those whose statistics change with it', async () => {
    const { page, show } = driver();
    await show({ edits: [EDIT], layer: 1 });
    await unfoldAll();
    await computed();
    const marked = (mark: string) =>
      page.$$eval(`.place.${mark}`, (places) => places.map((place) => (place as HTMLElement).dataset.name ?? ''));
    expect(await marked('edited')).toEqual(['blocks.1.attn.hook_z']);
    const changed = await marked('changed');
    expect(changed).toContain('blocks.1.hook_attn_out');
    expect(changed).toContain('logits');
    const before = ['blocks.0.hook_resid_post', 'blocks.1.attn.hook_q', 'blocks.1.attn.hook_pattern'];
    expect(changed.filter((name) => before.includes(name))).toEqual([]);
    const [told, library] = await page.evaluate(async () => {
      const { before, after } = hyaline.session.runs;
      const stds = await Promise.all([before, after].map((run) => run!.statistics('blocks.1.hook_attn_out')));
      const text = document.querySelector('.place[data-name="blocks.1.hook_attn_out"] .place-numbers')?.textContent;
      return [text, stds.map(({ std }) => std.toPrecision(3)).join(' → ')];
    });
    expect(told).toBe(library);
  });

  test('is found by name, walked by arrows, and opened by a click', async () => {
    const { page, show } = driver();
    await show({});
    await page.type('.map-tools input', 'blocks.2.*hook_k');
    await page.waitForFunction(() => document.querySelectorAll('.map-section').length === 1);
    const shown = await page.$$eval('.place', (places) => places.map((each) => (each as HTMLElement).dataset.name));
    expect(shown).toEqual(['blocks.2.hook_k_input', 'blocks.2.ln1.hook_k_out', 'blocks.2.attn.hook_k']);
    await page.focus(place('blocks.2.ln1.hook_k_out'));
    await page.keyboard.press('ArrowRight');
    expect(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.name)).toBe(
      'blocks.2.attn.hook_k',
    );
    await page.keyboard.press('Enter');
    const { hook, view, layer } = await page.evaluate(() => hyaline.session.state);
    expect({ hook, view, layer }).toEqual({ hook: 'blocks.2.attn.hook_k', view: 'value', layer: 2 });
    await show({});
  });
}
