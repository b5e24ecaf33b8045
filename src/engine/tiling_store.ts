// Where measured tilings are kept between loads: localStorage in browsers, a file of the user's cache folder in Node. Whatever cannot be
// read or written is as if nothing had been kept: it costs speed, never a result. Not for anything that has to be found again. Beside them
// lies what somebody set by hand, `HYALINE_TILINGS`.
import { isTilingName, type TilingName } from '../kernels/tiling.ts';
import { isNode, nodeModule } from './node.ts';

/** Key in localStorage. */
const KEY = 'hyaline/tilings';

/** Of a variable in Node, of an item of localStorage in browsers. */
const VARIABLE = 'HYALINE_TILINGS';

/** `{ [adapter]: { [class]: tiling } }`, as it is kept. */
type Kept = Record<string, Record<string, string>>;

/** What was measured on an adapter, by class of products. */
export function rememberedTilings(adapter: string): Map<string, TilingName> {
  const entries = Object.entries(read()[adapter] ?? {});
  return new Map(entries.filter((entry): entry is [string, TilingName] => isTilingName(entry[1])));
}

/** Keeps what was measured on an adapter, beside what was measured of other products and on others. */
export function rememberTilings(adapter: string, measured: ReadonlyMap<string, TilingName>): void {
  const kept = read();
  kept[adapter] = { ...kept[adapter], ...Object.fromEntries(measured) };
  try {
    write(JSON.stringify(kept, null, 1));
  } catch {
    // A full or forbidden store: it is measured again next time.
  }
}

/** What `HYALINE_TILINGS` says of models whose caller says nothing; undefined where nobody set it. */
export function tilingVariable(): string | undefined {
  if (isNode()) return process.env[VARIABLE] || undefined;
  try {
    return localStorage.getItem(VARIABLE) || undefined;
  } catch {
    return undefined; // workers have no localStorage, and some pages may not look at theirs
  }
}

/** The file in Node: in `$XDG_CACHE_HOME`, `%LOCALAPPDATA%` or `~/.cache`. */
export function tilingFile(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const path = nodeModule('node:path');
  const cache = XDG_CACHE_HOME || LOCALAPPDATA || path.join(nodeModule('node:os').homedir(), '.cache');
  return path.join(cache, 'hyaline', 'tilings.json');
}

function read(): Kept {
  try {
    const text = isNode() ? nodeModule('node:fs').readFileSync(tilingFile(), 'utf8') : localStorage.getItem(KEY);
    const kept: unknown = JSON.parse(text ?? '{}');
    if (!isRecord(kept)) return {};
    return Object.fromEntries(
      Object.entries(kept).filter((entry): entry is [string, Kept[string]] => isRecord(entry[1])),
    );
  } catch {
    return {};
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function write(text: string): void {
  if (!isNode()) {
    localStorage.setItem(KEY, text);
    return;
  }
  const fs = nodeModule('node:fs');
  const file = tilingFile();
  fs.mkdirSync(nodeModule('node:path').dirname(file), { recursive: true });
  // Another process reads the old file or the new one, never half of it.
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, text);
  fs.renameSync(temporary, file);
}
