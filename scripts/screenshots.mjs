// `npm run screenshots`: every view of the page, in light and dark and on a phone in landscape, as docs/screenshots/VIEW-LOOK.webp. The
// page is built first, and shows what its links say; work that a view only does when asked is asked for.
//   npm run screenshots -- lens value    these views alone

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from 'puppeteer';
import { preview } from 'vite';
import { buildPage } from './build_page.mjs';
import { chromeFlags, findChrome } from './chrome.mjs';
import { root } from './run.mjs';
import { withTypeScript } from './typescript.mjs';

const LOOKS = {
  light: { scheme: 'light', viewport: { width: 1280, height: 720 } },
  dark: { scheme: 'dark', viewport: { width: 1280, height: 720 } },
  phone: { scheme: 'light', viewport: { width: 844, height: 390 } },
};

const SECOND = 'When Mary and John went to the store, Mary gave a drink to';

/** What a view shows besides the first prompt, where that alone would show little of it. */
const STATES = {
  value: { hook: 'blocks.2.attn.hook_pattern', index: { head_index: 2 } },
  attention: { layer: 2, head: 2 },
  patching: { second: SECOND },
  generate: { prompt: 'One day, Ella had a red' },
  tour: { lesson: 1 },
};

/** Buttons that make a view do its work. */
const BEGIN = '#view :is(button.start, #generate):not(:disabled)';
/** Of WebP: text is sharp, and a picture has half the bytes of its PNG. */
const QUALITY = 85;
/** For how long a page that has done its work stays as it is. */
const QUIET_MS = 2500;
const LONGEST_MS = 180_000;

/** Resolves when what the page says has not changed for a while. */
async function quiet(page) {
  const end = performance.now() + LONGEST_MS;
  let last = '';
  for (let since = performance.now(); performance.now() - since < QUIET_MS; ) {
    if (performance.now() > end) throw new Error(`the page still changes after ${LONGEST_MS / 1000} s.`);
    const text = await page.$eval('main', (main) => main.innerText + main.querySelectorAll('*').length);
    if (text !== last) [last, since] = [text, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Pictures of what the page shows now; a phone is scrolled to the view itself. */
async function shoot(page, view, folder) {
  for (const [look, { scheme, viewport }] of Object.entries(LOOKS)) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.setViewport(viewport);
    await page.evaluate((isPhone) => {
      const top = document.querySelector('#view-section').getBoundingClientRect().top;
      scrollTo(0, isPhone ? scrollY + top : 0);
    }, look === 'phone');
    await quiet(page); // what is drawn by size is drawn again
    const file = `${view}-${look}.webp`;
    const { length } = await page.screenshot({ path: join(folder, file), quality: QUALITY });
    console.log(`screenshots: ${file}, ${(length / 1000).toFixed(0)} kB`);
  }
}

/** Opens the built page, and shows one view after the other. */
async function shootAll({ built, wanted, folder, links }) {
  const server = await preview({
    root,
    configFile: false,
    appType: 'mpa',
    logLevel: 'silent',
    build: { outDir: built },
    preview: { port: 0, host: 'localhost' },
  });
  const browser = await launch({ executablePath: findChrome(), args: chromeFlags(), headless: true });
  try {
    const page = await browser.newPage();
    await page.setViewport(LOOKS.light.viewport);
    page.on('pageerror', ({ message }) => {
      console.error(`screenshots: exception: ${message}`);
      process.exitCode = 1;
    });
    await page.goto(server.resolvedUrls.local[0]);
    for (const view of wanted) {
      await page.waitForFunction(() => document.documentElement.dataset.state === 'ready', { timeout: LONGEST_MS });
      await page.setViewport(LOOKS.light.viewport);
      await page.evaluate((link) => globalThis.hyaline.open(link), links[view]);
      await quiet(page);
      for (const button of await page.$$(BEGIN)) await button.evaluate((element) => element.click());
      await quiet(page);
      await shoot(page, view, folder);
    }
  } finally {
    await browser.close();
    await new Promise((resolve) => server.httpServer.close(resolve));
  }
}

const { views, links } = await withTypeScript(async (load) => {
  const { startOf } = await load('/src/ui/state.ts');
  const { linkOf } = await load('/src/ui/link.ts');
  const { VIEW_ENTRIES } = await load('/src/ui/views/index.ts');
  const names = Object.keys(VIEW_ENTRIES);
  const linkTo = (view) => linkOf({ ...startOf('circuit-zoo'), ...STATES[view], view });
  return { views: names, links: Object.fromEntries(names.map((view) => [view, linkTo(view)])) };
});
const asked = process.argv.slice(2);
const unknown = asked.filter((view) => !views.includes(view));
if (unknown.length > 0) {
  console.error(`screenshots: there is no view ${unknown.join(', ')}; there are ${views.join(', ')}.`);
  process.exit(1);
}
const folder = join(root, 'docs', 'screenshots');
mkdirSync(folder, { recursive: true });
const built = mkdtempSync(join(tmpdir(), 'hyaline-screenshots-'));
try {
  await buildPage({ outDir: built });
  await shootAll({ built, folder, links, wanted: asked.length > 0 ? asked : views });
} finally {
  rmSync(built, { recursive: true, force: true });
}
