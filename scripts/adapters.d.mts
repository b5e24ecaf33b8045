// Types of adapters.mjs.

import type { VitestReport } from './test_counts.mjs';

export interface Driver {
  /** Its JSON file. */
  readonly icd: string;
  readonly version: string | null;
  /** Why it cannot run; null where it can. */
  readonly problem: string | null;
}

/** How a run of one test file ended. */
export interface FinishedRun {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly report: VitestReport | null;
}

export interface Judgement {
  readonly outcome: 'passed' | 'failed' | 'crashed';
  readonly detail: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function driverFolders(env?: Environment): string[];
export function findDrivers(options?: { readonly env?: Environment; readonly folders?: readonly string[] }): Driver[];
export function mesaVersion(library: Buffer): string | null;
export function judge(run: FinishedRun): Judgement;
export function testOnDriver(runFile: () => Promise<FinishedRun>): Promise<Judgement>;
export function testAdapters(options: {
  readonly drivers: readonly Driver[];
  readonly files: readonly string[];
  readonly runFile: (file: string, icd: string) => Promise<FinishedRun>;
}): Promise<{ readonly lines: readonly string[]; readonly failed: boolean }>;
