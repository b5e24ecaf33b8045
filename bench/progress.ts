// Progress in the terminal: a bar where there is one and cli-progress is installed (in report/); elsewhere a line for each step.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Progress } from './measure.ts';

export interface TerminalProgress {
  say(progress: Progress): void;
  end(): void;
}

/** cli-progress, as far as it is used here. */
interface CliProgress {
  readonly SingleBar: new (
    options: object,
    preset: object,
  ) => {
    start(total: number, value: number, payload: object): void;
    update(value: number, payload: object): void;
    stop(): void;
  };
  readonly Presets: { readonly shades_classic: object };
}

/** @param runtime what measures: the bar's name */
export function terminalProgress(root: string, runtime: string): TerminalProgress {
  return process.stderr.isTTY ? progressBar(root, runtime) : progressLines(runtime);
}

function progressBar(root: string, runtime: string): TerminalProgress {
  let library: CliProgress;
  try {
    library = createRequire(join(root, 'bench', 'report', 'package.json'))('cli-progress');
  } catch {
    return progressLines(runtime); // it is not installed: the lines say the same
  }
  const format = `${runtime} {bar} {percentage} % | {duration_formatted} | {what}`;
  const options = { format, hideCursor: true, clearOnComplete: true, stopOnComplete: false, stream: process.stderr };
  const bar = new library.SingleBar(options, library.Presets.shades_classic);
  bar.start(1, 0, { what: '' });
  return { say: ({ what, share }) => bar.update(share, { what }), end: () => bar.stop() };
}

/** One line for each step; not for each of its rounds. */
function progressLines(runtime: string): TerminalProgress {
  let last = '';
  return {
    say({ what }) {
      const step = what.replace(/, round .*/, '');
      if (step !== last) console.error(`${runtime}: ${step}`);
      last = step;
    },
    end() {},
  };
}
