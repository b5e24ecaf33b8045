// `npm start` as a user has it: the report in the terminal, and the page that it serves, in a Chrome of its own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, inject, test } from 'vitest';

const HOOKS = 92;

/** Runs the script; `output` grows while it runs. */
function start(args: readonly string[] = [], env: Record<string, string> = {}) {
  const cwd = inject('repositoryRoot');
  const child = spawn(process.execPath, ['scripts/start.mjs', ...args], { cwd, env: { ...process.env, ...env } });
  const running = { child, output: '', ended: once(child, 'close').then(([code]) => code as number | null) };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece) => {
      running.output += piece;
    });
  }
  return running;
}

test('npm start -- --once reports what the page measured and ends with exit code 0', async () => {
  const running = start(['--once'], { HYALINE_TILINGS: '' }); // the default ones; all other pages have what compiles fastest
  expect([await running.ended, running.output]).toEqual([0, expect.any(String)]);
  const { output } = running;
  const lines = output.split('\n').map((line) => line.trim());
  expect(output).toMatch(/^ {2}adapter {5}\S+/m);
  for (const row of ['load', 'compile', 'first run', 'warm run']) {
    expect(output).toMatch(new RegExp(`^ {2}${row} .*\\d m?s`, 'm'));
  }
  expect(lines[lines.findIndex((line) => line.startsWith('next token')) + 1]).toMatch(/^" Mary" +0\.9997 +19\.683$/);
  expect(lines.filter((line) => /^layer \d/.test(line))).toHaveLength(4);
  expect(lines.find((line) => line.startsWith('layer 3'))).toContain('" Mary" 0.9997');
  expect(lines.find((line) => line.startsWith('hook_embed'))).toMatch(/\[1, 15, 128\]( +-?\d\S*){4}$/);
  expect(output).toContain(`… 6 of ${HOOKS} readable values`);
  expect(output).not.toContain('Page:');
});

test('npm start says one thing and ends with exit code 1 when there is no Chrome', async () => {
  const running = start(['--once'], { CHROME_PATH: '/no/chrome' });
  expect(await running.ended).toBe(1);
  expect(running.output.trim()).toMatch(
    /^start: CHROME_PATH is "\/no\/chrome", which is not a program on this machine\./,
  );
});

test('npm start serves the page until Ctrl-C, which ends with exit code 0', async () => {
  const running = start();
  while (!running.output.includes('Page: ')) {
    if (running.child.exitCode !== null) throw new Error(running.output);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const served = await fetch(/Page: (\S+)/.exec(running.output)?.[1] ?? '');
  expect(await served.text()).toContain('<title>Hyaline');
  running.child.kill('SIGINT');
  expect(await running.ended).toBe(0);
});
