// Runs a program and waits for it. Plain Node, no dependencies. Shared by the scripts of this folder.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Runs a program with this terminal's input and output; resolves to its exit code (127 when it cannot be started, 124 when it
 * had to be ended after `timeoutMs`). With `onOutput`, what it writes goes there as text instead, and it has no input.
 */
export function run(command, args, { env = {}, timeoutMs = 0, stdio = 'inherit', onOutput } = {}) {
  return new Promise((resolve) => {
    const streams = onOutput ? ['ignore', 'pipe', 'pipe'] : stdio;
    const child = spawn(command, args, { cwd: root, stdio: streams, env: { ...process.env, ...env } });
    if (onOutput) for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', onOutput);
    let timedOut = false;
    let killTimer;
    const timer =
      timeoutMs > 0 &&
      setTimeout(() => {
        timedOut = true;
        child.kill('SIGTERM');
        killTimer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      }, timeoutMs);
    const finish = (code) => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      resolve(timedOut ? 124 : code);
    };
    child.on('error', () => finish(127));
    child.on('close', (code) => finish(code ?? 1));
  });
}

/** Runs npm: the one that runs this script, or the one on the PATH. */
export function runNpm(args, options) {
  const npm = process.env.npm_execpath;
  if (npm?.endsWith('.js')) return run(process.execPath, [npm, ...args], options);
  return process.platform === 'win32' ? run('cmd.exe', ['/c', 'npm', ...args], options) : run('npm', args, options);
}

/** Runs the command line of an installed package, e.g. `runPackage('vitest', ['run'])`. */
export function runPackage(name, args, options) {
  const folder = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = typeof bin === 'string' ? bin : (bin[name.split('/').at(-1)] ?? Object.values(bin)[0]);
  return run(process.execPath, [join(folder, file), ...args], options);
}
