// The built command line in a process of its own, as a user runs it. `npm test` builds it first.
import { spawn } from 'node:child_process';
import { fixtureUrl } from '../fixtures.ts';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface SpawnOptions {
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Sends SIGINT when it resolves. */
  readonly interruptAfter?: Promise<unknown>;
  /** Sends SIGINT when something comes on stdout. */
  readonly interruptAtOutput?: boolean;
}

/** Where nothing depends on the last bits: reproducible numerics ask the adapter first what it does to numbers, a second of compiling. */
export const FAST = ['--numerics', 'fast'] as const;

/** `hyaline …args`, run to its end in the repository's root. */
export function hyaline(
  args: readonly string[],
  { env, interruptAfter, interruptAtOutput }: SpawnOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fixtureUrl('bin/hyaline.js'), ...args], {
      cwd: fixtureUrl('.'),
      env: { ...process.env, HYALINE_DEBUG: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      if (interruptAtOutput && stdout === '') child.kill('SIGINT');
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    interruptAfter?.then(() => child.kill('SIGINT'));
  });
}

/** What a command says of its error: stderr without the notice that the adapter is a software one. */
export function complaint({ stderr }: Finished): string {
  return stderr.replace(/^hyaline: no GPU found; using SwiftShader .*\n/m, '').trimEnd();
}
