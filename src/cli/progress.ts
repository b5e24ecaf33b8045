// One line on stderr that says how far loading or other work is, on a terminal only.
import type { OnProgress } from '../index.ts';
import { megabytes } from './text.ts';

export interface ProgressLine {
  readonly onProgress: OnProgress;
  /** Shows how far something else is. */
  show(text: string): void;
  /** Wipes the line. */
  clear(): void;
}

const INTERVAL_MS = 100;
const WORDS = { download: 'reading', upload: 'uploading', compile: 'compiling' } as const;
const CLEAR_LINE = '\r\x1b[K';

/** Writes nothing where `stream` is no terminal. */
export function progressLine(stream: NodeJS.WriteStream = process.stderr): ProgressLine {
  let shownAt = Number.NEGATIVE_INFINITY;
  let isShown = false;
  const clear = () => {
    if (isShown) stream.write(CLEAR_LINE);
    isShown = false;
  };
  const show = (text: string) => {
    if (!stream.isTTY || performance.now() - shownAt < INTERVAL_MS) return;
    shownAt = performance.now();
    isShown = true;
    stream.write(`${CLEAR_LINE}${text}`.slice(0, CLEAR_LINE.length + (stream.columns || 80)));
  };
  return {
    clear,
    show,
    onProgress({ phase, file = '', loaded, total }) {
      if (phase === 'download' && loaded === total) return clear(); // others may write between files
      const say = phase === 'compile' ? String : megabytes;
      const amount = total > 0 ? `${say(loaded)} of ${say(total)}` : say(loaded);
      show(`${WORDS[phase]} ${file}: ${amount}`);
    },
  };
}
