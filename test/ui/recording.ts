// Recorded sessions: the shipped one opens where there is no WebGPU; what the page records opens with the same bits.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { linkOf } from '../../src/ui/link.ts';
import { DEFAULT_STATE, type PageState } from '../../src/ui/state.ts';
import { VIEW_ENTRIES } from '../../src/ui/views/index.ts';
import type { PageDriver } from './page_driver.ts';

/** Views that do something only with a live model. */
const NEEDS_A_MODEL: readonly string[] = ['numerics', 'patching', 'generate', 'measure'];

export function recordingTests(driver: () => PageDriver): void {
  let tab: Page;
  const problems: string[] = [];
  const settled = () =>
    tab.waitForFunction(() => ['ready', 'failed'].includes(document.documentElement.dataset.state ?? ''));
  const show = async (state: Partial<PageState>) => {
    await tab.evaluate((link) => hyaline.open(link), linkOf({ ...DEFAULT_STATE, ...state }));
    await settled();
  };
  const problem = () =>
    tab.$eval('#problem', (element) => (element.hasAttribute('hidden') ? null : element.textContent));
  const predictions = () =>
    tab.$$eval('#next tbody tr', (rows) => rows.slice(0, 3).map((row) => row.textContent?.replace(/\s+/g, ' ')));

  beforeAll(async () => {
    const { browser, url } = driver();
    tab = await browser.newPage();
    await tab.setViewport({ width: 1280, height: 720 });
    tab.on('pageerror', (error) => problems.push(String(error)));
    tab.on('console', (message) => {
      if (['error', 'warn'].includes(message.type())) problems.push(message.text());
    });
    await tab.evaluateOnNewDocument(() => Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }));
    await tab.goto(url);
    await settled();
  });
  afterAll(() => tab.close());

  test('without WebGPU the page says what to do, and shows a recorded run', async () => {
    expect(await problem()).toBe(null);
    const banner = await tab.$eval('.recording', (section) => section.textContent?.replace(/\s+/g, ' ').trim());
    expect(banner).toMatch(
      /^This is a recording of one run, .* needs WebGPU\. This browser has no WebGPU \(navigator\.gpu is missing\)\. /,
    );
    const { page, show: showLive } = driver();
    await showLive({});
    const live = await page.$$eval('#next tbody tr', (rows) =>
      rows.slice(0, 3).map((row) => row.textContent?.replace(/\s+/g, ' ')),
    );
    expect(await predictions()).toEqual(live);
    expect(live[0]).toContain('" Mary"');
    const [tokens, names] = await tab.evaluate(() => {
      const { run } = hyaline.session;
      return [run?.tokens, run?.cache.names] as const;
    });
    expect(tokens?.length).toBe(15);
    expect(names).toEqual(await page.evaluate(() => hyaline.session.run?.cache.names));
  });

  test('every value of it has the bits that this adapter computes', async () => {
    const digest = (page: Page) =>
      page.evaluate(async () => {
        const { run } = hyaline.session;
        if (!run) return [];
        const hash = async (name: string) => {
          const { data } = await run.cache.get(name).read();
          return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', data))).join();
        };
        return Promise.all(run.cache.names.map(hash));
      });
    expect(await digest(tab)).toEqual(await digest(driver().page));
  });

  test('every view shows it, or says what it cannot', async () => {
    for (const [view, entry] of Object.entries(VIEW_ENTRIES)) {
      await show({ view: view as PageState['view'] });
      await tab.waitForSelector(`#view > ${entry.tag}`);
      const shown = await tab.waitForFunction(() => {
        const textOf = (of: Element | ShadowRoot): string =>
          [...of.querySelectorAll('*')].reduce(
            (text, { shadowRoot }) => (shadowRoot ? text + textOf(shadowRoot) : text),
            of.textContent ?? '',
          );
        const text = textOf(document.querySelector('#view') as Element).trim();
        return text !== '' && !/computing …/.test(text) && text;
      });
      const text = await shown.jsonValue();
      // What a view computes from the first state is in the recording; jobs that wait for a button are not.
      if (!NEEDS_A_MODEL.includes(view)) expect(text, view).not.toMatch(/Not in this recording/);
    }
    await show({ view: 'lens' });
    await tab.waitForSelector('hyaline-logit-lens >>> tbody td');
    const cells = await tab.$$('hyaline-logit-lens >>> tbody td');
    expect(cells.length).toBe(4 * 15);
    await show({ view: 'attention', layer: 0, head: 3 });
    await tab.waitForFunction(() => {
      const scores = document.querySelector('#view hyaline-attention')?.shadowRoot?.textContent ?? '';
      return /prev\s*0\.93/.test(scores); // of the head that looks one back
    });
    expect(problems).toEqual([]);
  });

  test('a link keeps what it selects; a new prompt, a change or another model is refused and loses nothing', async () => {
    await show({ view: 'model', hook: 'blocks.2.attn.hook_pattern', pos: 3 });
    expect(await tab.evaluate(() => hyaline.session.state)).toMatchObject({
      hook: 'blocks.2.attn.hook_pattern',
      pos: 3,
    });
    await show({});
    const before = await predictions();
    for (const state of [{ prompt: 'The capital of France is' }, { model: 'modular-addition', prompt: '1 2 113' }]) {
      await show(state);
      expect(await problem()).toMatch(/^device: this browser has no WebGPU/);
      expect(await predictions()).toEqual(before);
      expect(await tab.evaluate(() => hyaline.session.state.prompt)).toBe(DEFAULT_STATE.prompt);
    }
    await show({ pos: 3 });
  });

  test('what the page records opens with the same values, and so does what a recording records', async () => {
    const { page, show: showLive, settled: settledLive } = driver();
    await page.bringToFront(); // what is not in front draws nothing
    await showLive({
      prompt: 'The capital of France is',
      second: 'The capital of Japan is',
      edits: [
        {
          kind: 'patch',
          hook: 'blocks.2.hook_resid_pre',
          at: { pos: '4' },
          amount: 0,
          direction: null,
          expression: '',
          isOn: true,
        },
      ],
    });
    const bytes = (of: Page) =>
      of.evaluate(async () => Array.from(await hyaline.record(), (byte) => String.fromCharCode(byte)).join(''));
    const recorded = Buffer.from(await bytes(page), 'latin1');
    const folder = mkdtempSync(join(tmpdir(), 'hyaline-recording-'));
    try {
      const path = join(folder, 'session.safetensors');
      writeFileSync(path, recorded);
      const open = async (of: Page, file: string) => {
        const input = await of.$('#open-recording');
        await (input as never as { uploadFile(path: string): Promise<void> }).uploadFile(file);
      };
      await tab.bringToFront();
      await tab.click('#keep');
      await tab.waitForSelector('dialog[open] #open-recording');
      await open(tab, path);
      await tab.waitForFunction(() => hyaline.session.state.second !== '');
      await settled();
      expect(await problem()).toBe(null);
      expect(await tab.evaluate(() => hyaline.session.state)).toEqual(await page.evaluate(() => hyaline.session.state));
      const logits = (of: Page) =>
        of.evaluate(() => {
          const { before, after, second } = hyaline.session.runs;
          return [before, after, second].map((run) => Array.from(run?.logits.data.slice(-5) ?? []));
        });
      expect(await logits(tab)).toEqual(await logits(page));
      expect(Buffer.from(await bytes(tab), 'latin1').equals(recorded)).toBe(true);
      // A file that is none: what is shown stays.
      writeFileSync(join(folder, 'none.safetensors'), recorded.subarray(0, 100));
      await open(tab, join(folder, 'none.safetensors'));
      await tab.waitForFunction(() => document.documentElement.dataset.state === 'failed');
      expect(await problem()).toMatch(/^safetensors: none\.safetensors: /);
      expect(await logits(tab)).toEqual(await logits(page));
      // Where there is WebGPU, a recording is left by running something.
      await page.bringToFront();
      await page.click('#keep');
      await page.waitForSelector('dialog[open] #open-recording');
      await open(page, path);
      await page.waitForSelector('.recording');
      await showLive({ prompt: 'The capital of Kenya is' });
      await settledLive();
      expect(await page.$('.recording')).toBe(null);
      expect(await page.$eval('#next tbody td', (cell) => cell.textContent)).toBe('" Nairobi"');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    await showLive({});
  });
}
