// Workers of the page, under its Content-Security-Policy: where a browser knows trusted types, an address becomes a script's only here.

/** As far as it is needed; TypeScript's DOM library does not have it yet. */
interface TrustedTypes {
  createPolicy(name: string, rules: ScriptUrls): ScriptUrls;
}

interface ScriptUrls {
  createScriptURL(url: string): string;
}

const POLICY = 'hyaline-worker'; // index.html names it

let scriptUrls: ScriptUrls = { createScriptURL: checkOwn };
scriptUrls =
  (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes?.createPolicy(POLICY, scriptUrls) ?? scriptUrls;

/**
 * A module worker out of one of the page's own files.
 * @throws Error for a file of another origin
 */
export function createOwnWorker(url: URL): Worker {
  return new Worker(scriptUrls.createScriptURL(url.href), { type: 'module' });
}

function checkOwn(url: string): string {
  if (new URL(url).origin === location.origin) return url;
  throw new Error(`page: expected a script of ${location.origin}, got ${url}.`);
}
