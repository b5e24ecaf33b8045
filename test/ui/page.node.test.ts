// The page in real Chrome, feature by feature: each file beside this one registers the tests of one part, and all share one tab, because
// loading and compiling take most of the time.
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { openPage, type PageDriver } from './page_driver.ts';
import { predictionTests } from './predictions.ts';

let driver: PageDriver;

beforeAll(async () => {
  driver = await openPage({ root: inject('repositoryRoot') });
});

afterAll(async () => {
  await driver?.close();
});

/** Registers tests that take the shared page. */
export type PageTests = (page: () => PageDriver) => void;

describe('next tokens', () => predictionTests(() => driver));
