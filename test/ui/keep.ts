// What is kept of the page: its link, values as files, pictures, and the program that does the same.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { fromBits, readSafetensors, SafetensorsFile, toBits, topTokens } from '../../src/index.ts';
import { csvParts, jsonParts } from '../../src/ui/export.ts';
import { linkOf } from '../../src/ui/link.ts';
import { createEdit, type PageState, startOf } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

const root = inject('repositoryRoot');

export function keepTests(driver: () => PageDriver): void {
  let downloads: string;

  beforeAll(async () => {
    downloads = mkdtempSync(join(tmpdir(), 'hyaline-downloads-'));
    const session = await driver().page.createCDPSession();
    await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: downloads });
  });
  afterAll(() => rmSync(downloads, { recursive: true, force: true }));
  beforeEach(() => driver().page.evaluate(() => document.querySelector('dialog')?.close()));

  async function openDialog(): Promise<void> {
    const { page } = driver();
    await page.$eval('#keep', (button) => (button as HTMLElement).click());
    await page.waitForSelector('page-keep dialog[open]');
  }

  /** Presses a button of the dialog that saves a file; gives its bytes. */
  async function saved(file: string): Promise<Buffer> {
    await driver().page.$eval(`[data-file="${file}"]`, (button) => (button as HTMLElement).click());
    const path = join(downloads, file);
    for (let wait = 0; wait < 200 && !existsSync(path); wait++) await new Promise((resolve) => setTimeout(resolve, 50));
    const bytes = readFileSync(path);
    rmSync(path);
    return bytes;
  }

  /** Bits of a value of the run that is shown, as `cache.read` gives them. */
  const bitsOf = (name: string) =>
    driver().page.evaluate(async (hook) => {
      const { data } = (await hyaline.session.run?.cache.get(hook).read()) ?? { data: new Float32Array() };
      return Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length));
    }, name);

  test('values as safetensors are what cache.read gives, bit for bit, and named as they are', async () => {
    await driver().show({
      hook: 'blocks.1.attn.hook_attn_scores',
      edits: [createEdit('zero', 'blocks.0.hook_mlp_out')],
    });
    await openDialog();
    const all = new Uint8Array(await saved('values.safetensors'));
    const file = await SafetensorsFile.open(all, 'values.safetensors');
    const names = await driver().page.evaluate(() => hyaline.session.run?.cache.names);
    expect(file.names).toEqual(names);
    expect(file.names).toContain('logits');
    expect(file.metadata).toMatchObject({ model: 'circuit-zoo', numerics: 'reproducible' });
    const one = new Uint8Array(await saved('blocks_1_attn_hook_attn_scores.safetensors'));
    for (const name of ['hook_embed', 'blocks.1.attn.hook_attn_scores', 'blocks.3.mlp.hook_post', 'logits']) {
      const { data, shape } = readSafetensors(all, name, 'values.safetensors');
      expect(shape[0]).toBe(1); // batch
      expect(Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length)), name).toEqual(await bitsOf(name));
    }
    const { data } = readSafetensors(one, 'blocks.1.attn.hook_attn_scores', 'one.safetensors');
    expect(data).toContain(Number.NEGATIVE_INFINITY);
    expect(Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length))).toEqual(
      await bitsOf('blocks.1.attn.hook_attn_scores'),
    );
  });

  test('JSON and CSV give every number back', async () => {
    await driver().show({ hook: 'blocks.1.attn.hook_attn_scores' });
    await openDialog();
    const want = (await bitsOf('blocks.1.attn.hook_attn_scores')).map(fromBits);
    const json = JSON.parse((await saved('blocks_1_attn_hook_attn_scores.json')).toString());
    expect([json.name, json.shape]).toEqual(['blocks.1.attn.hook_attn_scores', [1, 4, 15, 15]]);
    expect(json.data.map((x: number | string) => Math.fround(Number(x)))).toEqual(want);
    const [header, ...lines] = (await saved('blocks_1_attn_hook_attn_scores.csv')).toString().trimEnd().split('\n');
    expect(header).toBe('batch,head_index,query_pos,key_pos,value');
    expect(lines.length).toBe(want.length);
    expect(lines.map((line) => Math.fround(Number(line.split(',')[4])))).toEqual(want);
    expect(lines[(2 * 15 + 7) * 15 + 3].startsWith('0,2,7,3,')).toBe(true);
  });

  test('hard numbers in text', () => {
    const data = Float32Array.of(-0, 2 ** -149, 3.4028234663852886e38, 0.1, NaN, -Infinity, 16777217, 1 / 3);
    const tensor = { name: 'x', data, shape: [2, 4], axes: ['pos', 'd'] };
    const bits = (numbers: Iterable<number>) => Array.from(numbers, (x) => toBits(Math.fround(x)));
    const json = JSON.parse([...jsonParts(tensor)].join(''));
    expect(bits(json.data.map(Number))).toEqual(bits(data));
    const lines = [...csvParts(tensor)].join('').trimEnd().split('\n');
    expect(bits(lines.slice(1).map((line) => Number(line.split(',')[2])))).toEqual(bits(data));
    expect(lines[5]).toBe('1,0,NaN');
  });

  test('a link in a fresh tab gives the same digests', async () => {
    const { browser, page, url, show } = driver();
    await show({
      prompt: 'The capital of France is',
      edits: [createEdit('scale', 'blocks.1.hook_mlp_out', { at: { pos: '2-4' } })],
    });
    const digest = async (of: typeof page) => {
      await of.$eval('#keep', (button) => (button as HTMLElement).click());
      await of.waitForSelector('dialog[open] #show-digest, dialog[open] #digest');
      await of.$$eval('#show-digest', (buttons) => (buttons[0] as HTMLElement | undefined)?.click());
      await of.waitForFunction(() => /^[0-9a-f]{64}$/.test(document.querySelector('#digest')?.textContent ?? ''));
      return of.$eval('#digest', (code) => code.textContent);
    };
    const shared = await page.evaluate(() => location.href);
    const first = await digest(page);
    const tab = await browser.newPage();
    try {
      await tab.goto(shared);
      await tab.waitForFunction(() => document.documentElement.dataset.state === 'ready');
      expect(await tab.evaluate(() => hyaline.session.state)).toEqual(await page.evaluate(() => hyaline.session.state));
      expect(await digest(tab)).toBe(first);
    } finally {
      await tab.close();
    }
    await page.bringToFront();
    await show({ prompt: 'The capital of France is' });
    expect(await digest(page)).not.toBe(first);
    expect(shared.startsWith(`${url}#`)).toBe(true);
  });

  test('a view with a picture gives it as a file', async () => {
    const { page, show } = driver();
    await show({ view: 'attribution' });
    await page.waitForFunction(() =>
      [...document.querySelectorAll('#view *')].some((e) => e.matches('svg') || e.shadowRoot?.querySelector('canvas')),
    );
    await page.waitForFunction(() => !/computing …/.test(document.querySelector('#view')?.textContent ?? ''));
    await openDialog();
    await page.waitForSelector('.pictures [data-file]');
    const files = await page.$$eval('.pictures [data-file]', (buttons) =>
      buttons.map((b) => b.getAttribute('data-file') ?? ''),
    );
    const png = files.find((file) => file.endsWith('.png'));
    const svg = files.find((file) => file.endsWith('.svg'));
    expect([png, svg].filter(Boolean).length).toBeGreaterThan(0);
    if (svg) {
      const text = (await saved(svg)).toString();
      expect(text).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
      expect(/var\(--|class=|<style/.exec(text)?.[0]).toBe(undefined);
    }
    if (png) {
      const bytes = await saved(png);
      expect(bytes.subarray(1, 4).toString()).toBe('PNG');
      // Painted: not one colour.
      const colours = await page.evaluate(async (base64) => {
        const image = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
        context.drawImage(image, 0, 0);
        return new Set(new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer)).size;
      }, bytes.toString('base64'));
      expect(colours).toBeGreaterThan(2);
    }
  });

  /** One of each kind of change and direction. */
  const PROGRAMS: readonly Partial<PageState>[] = [
    {
      prompt: 'Words: lamp Anna river queen drum lamp Anna river queen',
      hook: 'blocks.1.attn.hook_pattern',
      edits: [
        createEdit('zero', 'blocks.1.attn.hook_z', { at: { head: '1-2' } }),
        createEdit('scale', 'blocks.*.hook_mlp_out', { at: { pos: '-1' }, amount: 0.25 }),
        createEdit('zero', 'blocks.0.hook_attn_out', { isOn: false }),
        createEdit('add', 'blocks.1.hook_resid_post', { direction: { from: 'unembed', token: 682, minus: 747 } }),
        createEdit('projectOut', 'blocks.2.hook_resid_post', { direction: { from: 'embed', token: 682, minus: null } }),
        createEdit('set', 'blocks.0.mlp.hook_post', { at: { neuron: '3,5' }, amount: -0.1 }),
      ],
    },
    {
      prompt: 'The capital of "France" is\\',
      second: 'The capital of `Japan` is',
      hook: 'blocks.3.hook_resid_post',
      pos: 3,
      edits: [
        createEdit('patch', 'blocks.2.hook_resid_pre', { at: { pos: '4' } }),
        createEdit('add', 'blocks.*.hook_resid_post', { amount: 0.5, direction: { from: 'difference', pos: null } }),
        createEdit('add', 'blocks.2.hook_resid_post', { amount: -1.5, direction: { from: 'difference', pos: -1 } }),
        createEdit('wgsl', 'blocks.3.mlp.hook_post', { expression: 'select(value, 0.5 * value, pos > 2u)' }),
      ],
    },
    {
      model: 'modular-addition',
      prompt: '37 90 113',
      hook: 'blocks.0.mlp.hook_post',
      edits: [
        createEdit('projectOut', 'hook_embed', {
          at: { pos: '0-1' },
          direction: {
            from: 'numbers',
            numbers: Array.from({ length: 128 }, (_, i) => Number(Math.cos(i).toFixed(3))),
          },
        }),
      ],
    },
  ];

  test('copied as code, it runs in Node and prints what the page shows', async () => {
    const { page, show } = driver();
    // Below dist, where `hyaline` is this package by its own name; `npm test` builds first.
    mkdirSync(join(root, 'dist'), { recursive: true });
    const folder = mkdtempSync(join(root, 'dist', 'programs-'));
    try {
      const want: string[] = [];
      for (const [i, state] of PROGRAMS.entries()) {
        await show({ ...startOf(state.model ?? 'circuit-zoo'), ...state });
        expect(await page.$eval('#problem', (p) => (p as HTMLElement).innerText)).toBe('');
        await openDialog();
        await page.waitForSelector('#code');
        writeFileSync(join(folder, `${i}.mjs`), await page.$eval('#code', (code) => code.textContent ?? ''));
        await page.evaluate(() => document.querySelector('dialog')?.close());
        const shown = await page.evaluate(async () => {
          const { run, shown, state } = hyaline.session;
          if (!run) return null;
          const { data, shape, axes } = await run.cache.get(state.hook).read();
          const texts = Array.from(
            { length: run.logits.shape[2] },
            (_, id) => shown?.tokenizer?.tokenText(id) ?? String(id),
          );
          const { logits } = run;
          return {
            logits: { ...logits, data: Array.from(logits.data) },
            pos: state.pos,
            texts,
            value: `${axes.join()} ${shape.join()} ${data[0]}`,
          };
        });
        if (!shown) throw new Error('there is no run');
        const logits = { ...shown.logits, data: Float32Array.from(shown.logits.data) };
        for (const { id, probability, logit } of topTokens({ tokenizer: null }, logits, 5, { pos: shown.pos })) {
          want.push(`${JSON.stringify(shown.texts[id])} ${probability.toFixed(4)} ${logit.toFixed(3)}`);
        }
        want.push(shown.value);
      }
      const files = readdirSync(folder)
        .sort()
        .map((file) => pathToFileURL(join(folder, file)).href);
      const program = files.map((file) => `await import(${JSON.stringify(file)});`).join('\n');
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
        cwd: root,
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
      expect(stdout.trimEnd().split('\n')).toEqual(want);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    await show({});
    expect(linkOf(startOf('circuit-zoo'))).toBe('#');
  });
}
