// Opening models: a folder that is dropped, files that are broken, a name on the hub; and a device that is lost.
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HTTPRequest } from 'puppeteer';
import { expect, inject, test } from 'vitest';
import type { PageDriver } from './page_driver.ts';

const models = join(inject('repositoryRoot'), 'models');

export function loadingTests(driver: () => PageDriver): void {
  const state = () => driver().page.evaluate(() => hyaline.session.state);
  const first = () => driver().page.$eval('#next tbody td', (cell) => cell.textContent);
  const problem = () =>
    driver().page.$eval('#problem', (element) => (element.hasAttribute('hidden') ? null : element.textContent));
  /** Does something that loads or runs, and waits for its end. */
  const after = async (act: () => Promise<unknown>) => {
    await driver().page.evaluate(() => {
      document.documentElement.dataset.state = 'waiting';
    });
    await act();
    await driver().settled();
  };

  test('broken files are explained, and nothing is lost', async () => {
    const { page, show } = driver();
    await show({ prompt: 'The capital of France is' });
    const folder = mkdtempSync(join(tmpdir(), 'hyaline-broken-'));
    writeFileSync(join(folder, 'config.json'), readFileSync(join(models, 'circuit-zoo', 'config.json')));
    writeFileSync(
      join(folder, 'model.safetensors'),
      readFileSync(join(models, 'circuit-zoo', 'model.safetensors')).subarray(0, 100_000),
    );
    const input = await page.$('#open-files');
    await after(async () =>
      (input as never as { uploadFile(...paths: string[]): Promise<void> }).uploadFile(
        join(folder, 'config.json'),
        join(folder, 'model.safetensors'),
      ),
    );
    expect(await problem()).toMatch(/^safetensors: model\.safetensors: .*/s);
    expect(await first()).toBe('" Paris"');
    expect(await state()).toMatchObject({ model: 'circuit-zoo', prompt: 'The capital of France is' });
    await after(async () =>
      (input as never as { uploadFile(...paths: string[]): Promise<void> }).uploadFile(
        join(models, 'circuit-zoo', 'model.safetensors'),
      ),
    );
    expect(await problem()).toMatch(/but no recorded session; a model is opened with its config\.json\.$/);
    expect(await first()).toBe('" Paris"');
    await after(() => page.click('#run'));
    expect([await problem(), await first()]).toEqual([null, '" Paris"']);
  });

  test('a folder is dropped, and its model runs', async () => {
    const { page, show } = driver();
    await show({ prompt: 'The capital of France is' });
    // To another tab, as soon as it loads.
    await page.evaluate(() => {
      const { session } = hyaline;
      const leave = () => {
        if (session.status.activity !== 'loading') return;
        session.removeEventListener('change', leave);
        void session.update({ view: 'tour' });
      };
      session.addEventListener('change', leave);
    });
    const client = await page.createCDPSession();
    const data = { items: [], files: [join(models, 'modular-addition')], dragOperationsMask: 1 };
    const at = { x: 600, y: 400, data };
    const drop = async () => {
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        await client.send('Input.dispatchDragEvent', { type, ...at });
      }
    };
    await after(drop);
    expect([await problem(), (await state()).prompt]).toEqual([null, '1 2 3']); // no tokenizer, no text
    await after(() => page.evaluate(() => hyaline.session.update({ prompt: '37 90 113' })));
    await after(drop);
    expect(await problem()).toBe(null);
    expect(await state()).toMatchObject({ model: 'files:modular-addition', prompt: '37 90 113', view: 'tour' });
    expect(await first()).toBe(`#${(37 + 90) % 113}`);
  });

  test('a lost device is replaced, and the state stays', async () => {
    const { page } = driver();
    const before = await page.evaluate(() => location.hash);
    await after(() => page.evaluate(() => hyaline.session.device?.destroy()));
    expect(await problem()).toBe(null);
    expect(await page.evaluate(() => location.hash)).toBe(before);
    expect(await first()).toBe('#14');
  });

  test('where no other device can be had that is said, and whoever asks again asks for one device', async () => {
    const { page } = driver();
    await after(() =>
      page.evaluate(() => {
        const { requestAdapter } = GPU.prototype;
        GPU.prototype.requestAdapter = () => {
          GPU.prototype.requestAdapter = requestAdapter;
          return Promise.resolve(null);
        };
        hyaline.session.device?.destroy();
      }),
    );
    expect(await problem()).toMatch(/adapter/);
    const devices = await page.evaluate(async () => {
      const { requestDevice } = GPUAdapter.prototype;
      let devices = 0;
      GPUAdapter.prototype.requestDevice = function (...options) {
        devices++;
        return requestDevice.apply(this, options);
      };
      await Promise.all([hyaline.session.rerun(), hyaline.session.rerun()]);
      GPUAdapter.prototype.requestDevice = requestDevice;
      return devices;
    });
    expect([devices, await problem(), await first()]).toEqual([1, null, '#14']);
  });

  test("a tab's code that cannot be had is asked for once, and again by its tab", async () => {
    const { browser, url } = driver();
    const page = await browser.newPage();
    const asked: string[] = [];
    try {
      await page.setRequestInterception(true);
      page.on('request', (request) => {
        if (!/\/assets\/lens-.*\.js$/.test(request.url())) return void request.continue();
        asked.push(request.url());
        request.abort();
      });
      await page.goto(`${url}#model=none&view=lens`); // a model that is not there takes no time
      await page.waitForNetworkIdle({ idleTime: 200 });
      expect(asked).toHaveLength(1);
      await page.click('#tab-lens');
      await page.waitForNetworkIdle({ idleTime: 100 });
      expect(asked).toHaveLength(2);
    } finally {
      await page.close();
    }
  });

  test('a name on the hub is fetched from there, and only then', async () => {
    const { page, show, problems } = driver();
    const folder = join(models, 'modular-addition');
    const files = ['config.json', 'model.safetensors'];
    const asked: string[] = [];
    const answer = (request: HTTPRequest) => {
      const url = new URL(request.url());
      if (url.hostname !== 'huggingface.co') return void request.continue();
      asked.push(url.pathname);
      const headers = { 'Access-Control-Allow-Origin': '*' };
      if (url.pathname.startsWith('/api/models/')) {
        const siblings = files.map((name) => ({ rfilename: name, size: statSync(join(folder, name)).size }));
        request.respond({ status: 200, headers, body: JSON.stringify({ sha: 'a'.repeat(40), siblings }) });
        return;
      }
      const file = join(folder, url.pathname.split('/').at(-1) ?? '');
      if (existsSync(file)) request.respond({ status: 200, headers, body: readFileSync(file) });
      else request.respond({ status: 404, headers });
    };
    expect(problems.join('\n')).toBe('');
    await page.setRequestInterception(true);
    page.on('request', answer);
    try {
      await page.click('#open-model summary');
      await page.type('#open-hub', 'someone/addition');
      await after(() => page.keyboard.press('Enter'));
      expect(await problem()).toBe(null);
      expect(await state()).toMatchObject({ model: 'hf:someone/addition' });
      expect(await first()).toBe('#14');
      expect(asked.filter((path) => path.endsWith('/config.json'))).toHaveLength(1);
      for (const path of asked) expect(path).toContain('/someone/addition/');
    } finally {
      page.off('request', answer);
      await page.setRequestInterception(false);
      problems.splice(0); // what was asked of the hub, and files that it does not have
    }
    await show({});
    expect(await first()).toBe('" Mary"');
  });
}
