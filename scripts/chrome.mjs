// Where a Chrome or Chromium is, and the flags that give it WebGPU. Shared by set-up, tests, start and benchmarks; plain Node,
// no dependencies. Not for starting one.

import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const SYSTEM_NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

const USUAL_PLACES = {
  linux: ['/usr/bin', '/usr/local/bin', '/snap/bin', '/opt/google/chrome', '/opt/chromium.org/chromium'].flatMap(
    (folder) => SYSTEM_NAMES.map((name) => `${folder}/${name}`),
  ),
  darwin: ['', homedir()].flatMap((root) => [
    `${root}/Applications/Google Chrome.app/Contents/MacOS/Google Chrome`,
    `${root}/Applications/Chromium.app/Contents/MacOS/Chromium`,
  ]),
  win32: [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA].flatMap((root) =>
    root ? [`${root}\\Google\\Chrome\\Application\\chrome.exe`, `${root}\\Chromium\\Application\\chrome.exe`] : [],
  ),
};

/** The binary inside one version of Puppeteer's cache, by platform: `<version>/<folder>/<binary>`. */
const PUPPETEER_BINARIES = {
  linux: ['chrome'],
  darwin: ['Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing'],
  win32: ['chrome.exe'],
};

/** The error for a CHROME_PATH that leads nowhere; null when it is unset or right. */
export function checkChromePath(env = process.env) {
  if (!env.CHROME_PATH || isProgram(env.CHROME_PATH)) return null;
  return `CHROME_PATH is "${env.CHROME_PATH}", which is not a program on this machine. Correct it, or unset it to have Chrome looked for.`;
}

/** The path of a Chrome: CHROME_PATH, then Puppeteer's cache (newest first), then the system's; null when there is none. */
export function findChrome(env = process.env, platform = process.platform) {
  if (env.CHROME_PATH) {
    const problem = checkChromePath(env);
    if (problem) throw new Error(problem);
    return env.CHROME_PATH;
  }
  return [...puppeteerChromes(env, platform), ...systemChromes(env, platform)].find(isProgram) ?? null;
}

/**
 * Flags for WebGPU in a headless Chrome: on SwiftShader (software, the same everywhere) or, with HYALINE_ADAPTER=hardware, on
 * the machine's GPU.
 */
export function chromeFlags(env = process.env, platform = process.platform) {
  const flags = [
    '--enable-unsafe-webgpu',
    '--disable-background-networking',
    '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding',
    '--no-first-run',
  ];
  if (env.HYALINE_ADAPTER === 'hardware') {
    if (platform === 'linux') flags.push('--enable-features=Vulkan', '--ignore-gpu-blocklist');
  } else {
    flags.push('--use-webgpu-adapter=swiftshader');
  }
  // Chrome refuses its sandbox to root, and small /dev/shm of containers kills large pages.
  if (platform === 'linux') flags.push('--no-sandbox', '--disable-dev-shm-usage');
  return flags;
}

function puppeteerChromes(env, platform) {
  const versions = join(env.PUPPETEER_CACHE_DIR || join(env.HOME || homedir(), '.cache', 'puppeteer'), 'chrome');
  const newestFirst = (a, b) => b.localeCompare(a, 'en', { numeric: true });
  return folders(versions)
    .sort(newestFirst)
    .flatMap((version) => folders(join(versions, version)).map((build) => join(versions, version, build)))
    .flatMap((build) => (PUPPETEER_BINARIES[platform] ?? []).map((binary) => join(build, binary)));
}

function systemChromes(env, platform) {
  const onPath = (env.PATH ?? '').split(delimiter).filter(Boolean);
  const suffix = platform === 'win32' ? '.exe' : '';
  const found = SYSTEM_NAMES.flatMap((name) => onPath.map((folder) => join(folder, name + suffix)));
  return [...found, ...(USUAL_PLACES[platform] ?? [])];
}

function folders(path) {
  if (!existsSync(path)) return [];
  return readdirSync(path).filter((name) => statSync(join(path, name), { throwIfNoEntry: false })?.isDirectory());
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Hands HYALINE_TILINGS on to a page of Puppeteer's before it opens anything: there it is an item of localStorage. */
export async function handOnTilings(page, env = process.env) {
  const set = (tilings) => localStorage.setItem('HYALINE_TILINGS', tilings);
  if (env.HYALINE_TILINGS) await page.evaluateOnNewDocument(set, env.HYALINE_TILINGS);
}
