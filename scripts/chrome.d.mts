// Types of chrome.mjs, which stays plain JavaScript because it runs before anything is installed.

type Environment = Readonly<Record<string, string | undefined>>;

export function checkChromePath(env?: Environment): string | null;
export function findChrome(env?: Environment, platform?: string): string | null;
export function chromeFlags(env?: Environment, platform?: string): string[];
export function handOnTilings(
  page: { evaluateOnNewDocument(set: (tilings: string) => void, tilings: string): Promise<unknown> },
  env?: Environment,
): Promise<void>;
