// Three projects. `unit`: *.test.ts, in Node without a GPU. `node`: *.gpu.test.ts on Dawn in Node, and *.node.test.ts, which
// are for Node alone. `chrome`: most of the same *.gpu.test.ts in headless Chrome, and *.chrome.test.ts, which are for Chrome alone.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { chromeFlags, findChrome } from './scripts/chrome.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const shared = join(dirname(root), 'shared');

declare module 'vitest' {
  export interface ProvidedContext {
    /** Absolute path of the repository, with forward slashes. */
    repositoryRoot: string;
    /** Whether the folder `../shared` is there; a plain clone has none. */
    sharedExists: boolean;
    /** The value of HYALINE_ADAPTER. */
    adapter: string;
    /** The tilings of models in tests that ask for none, as in HYALINE_TILINGS. */
    tilings: string;
  }
}

/**
 * Whole models run in the tiling that compiles fastest, which changes no bit: kernels are tested in all of them. Those of test/models/tiny
 * have the default in Chrome, and so have the benchmark's page and that of `npm start -- --once`.
 */
const tilings = process.env.HYALINE_TILINGS ?? 'register 1x4';

const provide = {
  repositoryRoot: root.replaceAll('\\', '/'),
  sharedExists: existsSync(shared),
  adapter: process.env.HYALINE_ADAPTER ?? '',
  tilings,
};
const onGpu = { provide, testTimeout: 120_000, hookTimeout: 120_000, isolate: false, fileParallelism: false };

/**
 * Chrome has the Dawn and the adapter that Node has. These run in Node alone: what they are about is seen in Chrome through the page
 * (test/ui: predictions, sweeps, attribution, patching), or is arithmetic of kernels of which Chrome
 * compiles samples in any case.
 */
const NODE_ALONE = [
  'test/analysis/*.gpu.test.ts',
  'test/kernels/{sample,weight_access}.gpu.test.ts',
  'test/models/{real,stored_weights}.gpu.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{gpu,node,chrome}.test.ts'],
          provide,
          testTimeout: 120_000,
        },
      },
      {
        // One process for all files: they share the device and its pipelines.
        test: {
          name: 'node',
          include: ['test/**/*.{gpu,node}.test.ts'],
          pool: 'forks',
          maxWorkers: 1,
          env: { HYALINE_TILINGS: tilings },
          ...onGpu,
        },
      },
      {
        appType: 'custom', // a missing file is a 404, not a page
        server: { fs: { allow: [root, shared] } },
        optimizeDeps: { entries: ['src/**/*.ts', 'test/**/*.{gpu,chrome}.test.ts'], exclude: ['webgpu'] },
        test: {
          name: 'browser', // its only instance is the project `chrome`
          include: ['test/**/*.{gpu,chrome}.test.ts'],
          exclude: NODE_ALONE,
          setupFiles: ['test/tilings.chrome.ts'],
          ...onGpu,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            ui: false,
            provider: playwright({
              launchOptions: { executablePath: findChrome() ?? undefined, args: chromeFlags() },
            }),
            instances: [{ browser: 'chromium', name: 'chrome' }],
          },
        },
      },
    ],
  },
});
