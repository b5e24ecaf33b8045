// The built page in a real Chrome, for tests: built once, served from a sub-path as a static host would, driven by its links.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, launch, type Page } from 'puppeteer';
import { type PreviewServer, preview } from 'vite';
import { buildPage as buildPageTo } from '../../scripts/build_page.mjs';
import { chromeFlags, findChrome, handOnTilings } from '../../scripts/chrome.mjs';
import { linkOf } from '../../src/ui/link.ts';
import type {} from '../../src/ui/main.ts'; // the global `hyaline`
import { type PageState, startOf } from '../../src/ui/state.ts';
import type {} from './responsiveness.ts'; // the global `layoutShift`

export interface PageDriver {
  readonly browser: Browser;
  readonly page: Page;
  /** Where the page is. */
  readonly url: string;
  /** Chrome's cumulative layout shift until the first run was shown, where `countShifts` counts it. */
  readonly shiftWhileLoading: number | undefined;
  /** What the console and the network said that they should not. Tests that provoke something take it out. */
  readonly problems: string[];
  /** Goes to a state by its link, in the same tab: no new load where the model stays. Waits until work has ended. */
  show(state: Partial<PageState>): Promise<void>;
  /** Waits until the page has loaded, run or failed. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** Files that a model may lack: asking for them is how the engine knows, and Chrome's console says that they are not there. */
const OPTIONAL =
  /\/models\/modular-addition\/(tokenizer|tokenizer_config|generation_config|model\.safetensors\.index)\.json$/;

/** What the page looks like when it is opened for the first time. */
export interface OpenOptions {
  readonly root: string;
  readonly flags?: readonly string[];
  /** Run in the page before anything else. */
  readonly prepare?: (page: Page) => Promise<void>;
  readonly state?: Partial<PageState>;
  /** A folder of the built page, to build it only once. */
  readonly built?: string;
}

/** Builds the page into a folder below a sub-path; gives the folder that a server serves. */
export async function buildPage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'hyaline-page-'));
  await buildPageTo({ outDir: join(folder, 'some', 'sub-path') });
  return folder;
}

export async function openPage({ root, flags = [], prepare, state = {}, built }: OpenOptions): Promise<PageDriver> {
  const folder = built ?? (await buildPage());
  const server: PreviewServer = await preview({
    root,
    configFile: false,
    appType: 'mpa',
    logLevel: 'silent',
    build: { outDir: folder },
    preview: { port: 0, host: 'localhost' },
  });
  const url = `${server.resolvedUrls?.local[0]}some/sub-path/`;
  const browser = await launch({
    executablePath: findChrome() ?? undefined,
    args: [...chromeFlags(), ...flags],
    headless: true,
  });
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 720 });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(`exception: ${error instanceof Error ? error.message : error}`));
  page.on('console', (message) => {
    const { url: about = '' } = message.location();
    const isProblem = ['error', 'warn'].includes(message.type()) && !OPTIONAL.test(about);
    if (isProblem) problems.push(`console: ${message.text()} (${about})`);
  });
  page.on('request', (request) => {
    const foreign = !request.url().startsWith(url) && !/^(data|blob):/.test(request.url());
    if (foreign) problems.push(`request: ${request.url()}`);
  });
  const settled = async () => {
    await page.waitForFunction(() => ['ready', 'failed'].includes(document.documentElement.dataset.state ?? ''));
  };
  await handOnTilings(page);
  await prepare?.(page);
  await page.goto(url + linkOf({ ...startOf(state.model ?? 'circuit-zoo'), ...state }));
  await settled();
  const shiftWhileLoading = await page.evaluate(() =>
    new Promise(requestAnimationFrame).then(() => globalThis.layoutShift),
  );
  return {
    browser,
    shiftWhileLoading,
    page,
    url,
    problems,
    settled,
    async show(next) {
      const link = linkOf({ ...startOf(next.model ?? 'circuit-zoo'), ...next });
      await page.evaluate(async (hash) => {
        await hyaline.open(hash);
      }, link);
      await settled();
    },
    async close() {
      await browser.close();
      await new Promise<void>((resolve) => server.httpServer.close(() => resolve()));
      if (!built && existsSync(folder)) rmSync(folder, { recursive: true, force: true });
    },
  };
}
