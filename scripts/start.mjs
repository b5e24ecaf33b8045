// `npm start`: opens the page in headless Chrome, prints what it measured there, and serves the page until Ctrl-C.
//   --once          end after the report
//   --prompt TEXT   run this instead of the page's own prompt

import { parseArgs, stripVTControlCharacters, styleText } from 'node:util';
import { launch } from 'puppeteer';
import { createLogger, createServer } from 'vite';
import { chromeFlags, findChrome, handOnTilings } from './chrome.mjs';
import { formatReport } from './report.mjs';
import { root } from './run.mjs';

const TIMEOUT_MS = 120_000;
/** How long a page with a problem may take to explain it. */
const GRACE_MS = 1000;
const FIRST_PORT = 5173;

/** What must be closed before this program ends, last opened first. */
const open = [];

async function close() {
  for (const thing of open.splice(0).reverse()) await thing.close().catch(() => {}); // it may be gone already
}

/** The page's files, on the first free port of localhost. It serves what it read first: for development there is `npm run dev`. */
async function serve(problems) {
  const logger = createLogger('silent');
  logger.error = (message) => problems.push(`server: ${stripVTControlCharacters(message).trim().split('\n')[0]}`);
  const server = await createServer({
    root,
    configFile: `${root}/vite.config.ts`,
    customLogger: logger,
    server: { host: 'localhost', port: FIRST_PORT, strictPort: false, watch: null, hmr: false },
  });
  open.push(server);
  // Vite's own listener would end this program before Chrome is closed, with exit code 143.
  process.removeAllListeners('SIGTERM');
  process.once('SIGTERM', end);
  await server.listen();
  return server.resolvedUrls.local[0];
}

let ending = false;

/** Ctrl-C is the normal end. */
async function end() {
  ending = true;
  await close();
  process.exit(0);
}

async function launchChrome() {
  const executablePath = findChrome();
  if (!executablePath) throw new Error('there is no Chrome on this machine. Run "npm start", which gets one.');
  const handleSignals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false }; // they are handled below
  const browser = await launch({ executablePath, args: chromeFlags(), headless: true, ...handleSignals });
  open.push(browser);
  return browser;
}

/** The page's report; throws with what the page, its console or the server says when anything is wrong. */
async function readReport(browser, url, problems) {
  const page = await browser.newPage();
  const problemGrace = new Promise((resolve) => {
    const add = (problem) => {
      problems.push(problem);
      setTimeout(resolve, GRACE_MS);
    };
    page.on('pageerror', (error) => add(`exception: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') add(`console: ${message.text()} (${message.location().url ?? 'page'})`);
    });
  });
  await handOnTilings(page);
  await page.goto(url);
  const ended = () => ['ready', 'failed'].includes(document.documentElement.dataset.state);
  // A page that could not even start never ends; one that did explains a problem better than its console.
  await Promise.race([page.waitForFunction(ended, { timeout: 0 }), problemGrace]);
  const explained = await page.$eval('#problem', (element) => (element.hidden ? null : element.textContent));
  if (explained) throw new Error(explained);
  const report = problems.length === 0 && (await page.evaluate(() => globalThis.hyaline.report()));
  if (problems.length > 0) throw new Error(`the page has errors:\n  ${[...new Set(problems)].join('\n  ')}`);
  return report;
}

function timeout() {
  return new Promise((_, reject) => {
    const message = `no report after ${TIMEOUT_MS / 1000} s; the machine may be too busy or too slow. Try again, or open the page yourself with "npm run dev".`;
    setTimeout(() => reject(new Error(message)), TIMEOUT_MS).unref();
  });
}

async function main() {
  const { values: options } = parseArgs({ options: { once: { type: 'boolean' }, prompt: { type: 'string' } } });
  const problems = [];
  const url = new URL(await serve(problems));
  if (options.prompt !== undefined) url.hash = new URLSearchParams({ prompt: options.prompt });
  const browser = await launchChrome();
  const report = await Promise.race([readReport(browser, url.href, problems), timeout()]);
  const style = (format) => (process.stdout.hasColors?.() ? (text) => styleText(format, text) : String);
  console.log(
    formatReport(report, {
      wantsHardware: process.env.HYALINE_ADAPTER === 'hardware',
      bold: style('bold'),
      dim: style('dim'),
    }),
  );
  if (options.once) return close();
  await browser.close();
  console.log(`Page: ${url.href}\nCtrl-C ends.`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, end);

try {
  await main();
} catch (error) {
  if (ending) await new Promise(() => {}); // closing is what broke it
  await close();
  console.error(`start: ${error.message}`);
  process.exit(1);
}
