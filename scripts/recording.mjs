// `npm run recording`: writes the recording that the page shows where there is no WebGPU. The built page makes it in headless Chrome, from
// its first state: each view is opened, so that what it computes is recorded too.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from 'puppeteer';
import { preview } from 'vite';
import { buildPage } from './build_page.mjs';
import { chromeFlags, findChrome } from './chrome.mjs';
import { root } from './run.mjs';

const FILE = 'src/ui/recordings/circuit-zoo.safetensors';
/** How long a view may compute. */
const VIEW_MS = 60_000;

/** Opens each tab and waits until nothing on it is being computed any more; gives the recording. */
async function record(page) {
  const tabs = await page.$$eval('[role="tab"]', (buttons) => buttons.map(({ id }) => id));
  for (const id of tabs) {
    await page.$eval(`#${id}`, (tab) => tab.click());
    await page.waitForFunction(
      () =>
        document.querySelector('#view > *') &&
        !/computing …|measuring …/.test(document.querySelector('#view').textContent),
      { timeout: VIEW_MS },
    );
  }
  await page.$eval(`#${tabs[0]}`, (tab) => tab.click());
  const text = await page.evaluate(async () => {
    const bytes = await globalThis.hyaline.record();
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  });
  return Buffer.from(text, 'latin1');
}

const folder = mkdtempSync(join(tmpdir(), 'hyaline-recording-'));
// The page asks for the recording by its address, so there has to be one to build it.
writeFileSync(join(root, FILE), '', { flag: 'a' });
await buildPage({ outDir: folder });
const server = await preview({
  root,
  configFile: false,
  logLevel: 'error',
  build: { outDir: folder },
  preview: { port: 0 },
});
const browser = await launch({ executablePath: findChrome() ?? undefined, args: chromeFlags(), headless: true });
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 720 });
  await page.goto(server.resolvedUrls.local[0]);
  await page.waitForFunction(() => ['ready', 'failed'].includes(document.documentElement.dataset.state), {
    timeout: 0,
  });
  const bytes = await record(page);
  writeFileSync(join(root, FILE), bytes);
  console.log(`recording: wrote ${FILE}, ${(bytes.length / 1e6).toFixed(2)} MB`);
} finally {
  await browser.close();
  await new Promise((resolve) => server.httpServer.close(resolve));
  rmSync(folder, { recursive: true, force: true });
}
