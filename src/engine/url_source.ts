// A folder behind a URL: one request for each file, and errors that say what a server answered instead.
import type { OpenedFile, Source } from './source.ts';

/** The files of a folder. One that the server does not have is absent; any other answer than the file is an error. */
export function urlSource(folder: URL): Source {
  const base = new URL(folder);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return {
    description: base.href,
    async open(file, signal) {
      const url = new URL(base);
      url.pathname += file.split('/').map(encodeURIComponent).join('/');
      return openUrl(url, signal);
    },
  };
}

/** What is behind a URL, or null where the server has nothing there. Throws on any other answer than 200, saying which. */
export async function openUrl(url: URL, signal?: AbortSignal): Promise<OpenedFile | null> {
  const response = await fetchOrExplain(url, signal);
  if (response.status === 404 || response.status === 410 || isFallbackPage(response, url)) {
    await response.body?.cancel();
    return null;
  }
  if (!response.ok) {
    await response.body?.cancel();
    const status = `${response.status} ${response.statusText}`.trim();
    const hint = [401, 403].includes(response.status) ? ' Does it exist, and is it public?' : '';
    throw new Error(`source: ${url.href}: expected HTTP status 200, got ${status}.${hint}`);
  }
  return {
    description: url.href,
    sizeBytes: declaredSize(response),
    chunks: bodyChunks(response, url.href, signal),
  };
}

async function fetchOrExplain(url: URL, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new Error(
      `source: ${url.href}: expected an answer, got none (${explain(cause)}). ` +
        'Is the server up, and does it allow requests from this page (CORS)?',
      { cause },
    );
  }
}

/** Development servers answer a missing file with their page (status 200). No file of a model is a page. */
function isFallbackPage(response: Response, { pathname }: URL): boolean {
  return response.headers.get('content-type')?.startsWith('text/html') === true && !pathname.endsWith('.html');
}

function declaredSize(response: Response): number | null {
  const encoding = response.headers.get('content-encoding') ?? 'identity';
  const length = response.headers.get('content-length');
  return length !== null && encoding === 'identity' ? Number(length) : null;
}

async function* bodyChunks(response: Response, url: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  let loaded = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      loaded += value.byteLength;
      yield value;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const size = declaredSize(response);
    const expected = size === null ? 'the whole file' : `${size} bytes`;
    throw new Error(
      `source: ${url}: expected ${expected}, got ${loaded} before the connection broke (${explain(cause)}). Try again.`,
      { cause },
    );
  } finally {
    await reader.cancel().catch(() => {}); // a broken stream has nothing left to cancel
  }
}

/** What an error says, or what it was caused by: `fetch` hides the reason there. */
function explain(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string } };
  return cause?.message || message || String(error);
}
