// The views of the logit lens and of attention: the elements with what the library computes, before and after changes.
import { expect, test } from 'vitest';
import { ablateHead } from '../../src/ui/edits.ts';
import { createEdit } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

const EDIT = createEdit('zero', 'blocks.1.attn.hook_z', { at: { head: '0' } });

export function lensAndAttentionTests(driver: () => PageDriver): void {
  test('the lens ends in what the model predicts, before and after changes, and a cell selects its stream', async () => {
    const { page, show } = driver();
    await show({ view: 'lens', edits: [EDIT] });
    await page.waitForFunction(() => document.querySelectorAll('hyaline-logit-lens').length === 2);
    const [shown, predicted] = await page.evaluate(() => {
      const lenses = [...document.querySelectorAll('hyaline-logit-lens')];
      const { before, after } = hyaline.session.runs;
      const largest = [before, after].map((run) => {
        const { data, shape } = run!.logits;
        return Math.max(...data.subarray((shape[1] - 1) * shape[2]));
      });
      return [lenses.map(({ rows }) => rows!.at(-1)!.top[0].logit), largest];
    });
    expect(shown).toEqual(predicted);
    const [chosen, edge] = await page.evaluate(async () => {
      const { shadowRoot, updateComplete } = document.querySelector('hyaline-logit-lens')!;
      await updateComplete;
      const cells = shadowRoot!.querySelectorAll('[data-row="0"]');
      return [[...cells].at(-1)!, shadowRoot!.querySelector('.scroll')!].map((e) => e.getBoundingClientRect().right);
    });
    expect(chosen).toBeLessThanOrEqual(edge + 1); // scrolled to: it is the last of 15
    await page.evaluate(async () => {
      const lens = document.querySelector('hyaline-logit-lens')!;
      await lens.updateComplete;
      (lens.shadowRoot!.querySelector('[data-row="2"][data-column="6"]') as HTMLElement).click();
    });
    const { pos, layer, hook } = await page.evaluate(() => hyaline.session.state);
    expect({ pos, layer, hook }).toEqual({ pos: 6, layer: 2, hook: 'blocks.2.hook_resid_post' });
  });

  test('attention shows both runs with their scores, and a head is selected for all views', async () => {
    const { page, show } = driver();
    await show({ view: 'attention', edits: [EDIT] });
    await page.waitForFunction(() => document.querySelectorAll('hyaline-attention').length === 2);
    const scores = await page.evaluate(async () => {
      const { before } = hyaline.session.runs;
      const pattern = await before!.cache.get('blocks.0.attn.hook_pattern').read();
      const [, heads, positions] = pattern.shape;
      const previous = Array.from({ length: heads }, (_, head) => {
        let sum = 0;
        for (let q = 1; q < positions; q++) sum += pattern.data[(head * positions + q) * positions + q - 1];
        return sum / positions;
      });
      return {
        previous,
        shown: [...document.querySelector('hyaline-attention')!.scores![0].scores.data.slice(0, heads)],
      };
    });
    for (const [head, score] of scores.previous.entries()) expect(scores.shown[head]).toBeCloseTo(score, 6);
    await page.evaluate(async () => {
      const attention = document.querySelector('hyaline-attention')!;
      await attention.updateComplete;
      (attention.shadowRoot!.querySelector('[data-layer="3"][data-head="1"]') as HTMLElement).click();
    });
    const { layer, head, hook, index } = await page.evaluate(() => hyaline.session.state);
    expect({ layer, head, hook, index }).toEqual({
      layer: 3,
      head: 1,
      hook: 'blocks.3.attn.hook_pattern',
      index: { head_index: 1 },
    });
    await page.click('#ablate-head');
    await driver().settled();
    expect(await page.evaluate(() => hyaline.session.state.edits)).toEqual([EDIT, ablateHead(3, 1)]);
    expect(await page.$eval('#ablate-head', (button) => (button as HTMLButtonElement).disabled)).toBe(true);
    await show({});
  });
}
