// Activation patching in the page: the library's numbers, cells that become changes, and sweeps that are cancelled.
import { expect, test } from 'vitest';
import type { PageDriver } from './page_driver.ts';

const CLEAN = 'When John and Mary went to the store, Mary gave a drink to';
/** A short one of its form, for tests that compute much. */
const SHORT = { prompt: 'The capital of France is', second: 'The capital of Spain is' };

/** What buffers for reading, which rest in a pool, may differ by; the copies of one pass have several MB. */
const POOLED_BYTES = 64 * 1024;

interface ShownMap {
  readonly shape: readonly number[];
  readonly data: readonly number[];
  readonly corrupted: number;
  readonly clean: number;
}

async function finished({ page }: PageDriver): Promise<void> {
  await page.waitForSelector('view-patching hyaline-heatmap', { timeout: 60_000 });
}

/** What the prompt's run has kept of the sweep that is shown. */
async function shownMap({ page }: PageDriver): Promise<ShownMap> {
  return page.evaluate(async () => {
    const { runs, state } = hyaline.session;
    const kept = [...((await runs.before?.analyses()) ?? [])] as [string, ShownMap][];
    const [map] = kept.filter(([key]) => key.startsWith(`patching ${state.patchKind} `)).map(([, value]) => value);
    return map;
  });
}

/** Cancels once some patches are done, and waits until that is said. */
async function cancelUnderWay({ page }: PageDriver): Promise<void> {
  const status = await page.evaluate(async () => {
    const text = () => document.querySelector('#patch-status')?.textContent ?? '';
    const until = async (wanted: RegExp) => {
      while (!wanted.test(text())) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await until(/^[1-9]\d* of 240/);
    document.querySelector<HTMLButtonElement>('#patch-cancel')?.click();
    await until(/^Stopped/);
    return text();
  });
  expect(status).toMatch(/^Stopped after [1-9]\d* of 240 patches\.$/);
}

export function patchingTests(driver: () => PageDriver): void {
  test('a sweep over heads has the numbers of single runs, and a cell becomes a change that gives its number', async () => {
    const { page, settled, show } = driver();
    await show({ view: 'patching', patchKind: 'attn_head_out_all_pos', second: CLEAN, wrong: 682 });
    await finished(driver());
    const { shape, data, corrupted, clean } = await shownMap(driver());
    expect(shape).toEqual([4, 4]);
    const shown = () =>
      page.$eval('#asked tr:last-child', (row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent));
    expect(await shown()).toEqual([corrupted.toFixed(3)]);
    expect(corrupted).toBeGreaterThan(10);
    expect(clean).toBeLessThan(-10);

    // By the keyboard: from the first cell to layer 2, head 0.
    const focus = async () =>
      page.$eval('view-patching hyaline-heatmap', (map) =>
        map.shadowRoot?.querySelector<HTMLElement>('[tabindex]')?.focus(),
      );
    await focus();
    for (const key of ['ArrowDown', 'ArrowDown', 'Enter'] as const) await page.keyboard.press(key);
    await page.waitForSelector('#patch-cell');
    const text = await page.$eval('#patch-cell', (cell) => cell.textContent ?? '');
    const [, layer, head] = /patch blocks\.(\d)\.attn\.hook_z, head (\d), from/.exec(text) ?? [];
    const metric = data[4 * Number(layer) + Number(head)];
    expect(text).toContain(`logit difference ${metric.toFixed(3)}`);
    expect(text).toContain(`recovery ${((metric - corrupted) / (clean - corrupted)).toFixed(4)}`);
    await page.click('#patch-add');
    await settled();
    expect(await page.evaluate(() => hyaline.session.state.edits.length)).toBe(1);
    const difference = await page.evaluate(() => {
      const { data, shape } = hyaline.session.runs.after?.logits ?? { data: [], shape: [0, 0, 0] };
      const last = (shape[1] - 1) * shape[2];
      return data[last + 747] - data[last + 682];
    });
    expect(difference).toBe(metric);
  });

  test('positions are patched as the library does it, one by one', async () => {
    const { page, show } = driver();
    await show({ view: 'patching', patchKind: 'resid_pre', ...SHORT });
    // Another kind, and back before the first sweep has heard of its end.
    await page.evaluate(async () => {
      for (const patchKind of ['resid_mid', 'resid_pre']) {
        await hyaline.session.update({ patchKind });
        await document.querySelector<HTMLElement & { updateComplete: Promise<unknown> }>('view-patching')
          ?.updateComplete;
      }
    });
    await finished(driver());
    const { shape, data } = await shownMap(driver());
    const [layer, pos] = [1, 4];
    const library = await page.evaluate(
      async ([at, position]) => {
        const { model, runs } = hyaline.session;
        if (!model || !runs.before || !runs.second) throw new Error('no run');
        const name = `blocks.${at}.hook_resid_pre`;
        const other = await runs.second.cache.get(name).read();
        const { logits } = await model.run(runs.before.ids, {
          hooks: [
            [
              name,
              ({ data, shape }) => data.map((x, i) => (Math.floor(i / shape[2]) === position ? other.data[i] : x)),
            ],
          ],
        });
        const top = (tensor: { data: Float32Array; shape: readonly number[] }) => {
          const row = tensor.data.slice(-tensor.shape[2]);
          return row.indexOf(row.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY));
        };
        const row = logits.data.slice(-logits.shape[2]);
        return row[top(runs.before.logits)] - row[top(runs.second.logits)];
      },
      [layer, pos],
    );
    expect(data[layer * shape[1] + pos]).toBe(library);
  });

  test('a sweep that is cancelled says how far it came, gives its memory back, and can be run again', async () => {
    const { page, show } = driver();
    await show({ view: 'model', second: CLEAN });
    await show({ view: 'patching', patchKind: 'attn_head_out_by_pos', second: CLEAN });
    const bytes = () => page.evaluate(() => hyaline.session.model?.memory.bytes ?? 0);
    await cancelUnderWay(driver());
    expect(await page.$('view-patching hyaline-heatmap')).toBeNull();
    const after = await bytes();
    await page.click('#patch-again');
    await cancelUnderWay(driver());
    expect(await bytes()).toBeLessThan(after + POOLED_BYTES);
    await show({ view: 'model' });
    expect(await page.$eval('#next tbody td', (cell) => cell.textContent)).toBe('" Mary"');
  });

  test('what stands in the way is said', async () => {
    const { page, show } = driver();
    const message = () => page.$eval('#patching-message', (p) => p.textContent);
    await show({ view: 'patching' });
    expect(await message()).toBe('Patching takes values from a second prompt. Type one under "Changes".');
    await show({ view: 'patching', second: 'Hello' });
    expect(await message()).toMatch(/^The prompt has 15 tokens, the second one \d+\. Position by position/);
    await show({ view: 'patching', prompt: SHORT.prompt, second: SHORT.prompt });
    expect(await message()).toMatch(/^Both prompts are followed by " Paris", so there is no difference/);
    await show({});
  });
}
