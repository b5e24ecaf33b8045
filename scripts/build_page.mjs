// Builds the page as users get it, for scripts and tests.
import { build } from 'vite';
import { root } from './run.mjs';

/** What Vite gives, with options of its `build`. Packages give their builds for production, though Vitest's NODE_ENV asks for others. */
export async function buildPage(options) {
  const before = process.env.NODE_ENV;
  process.env.NODE_ENV = 'production';
  try {
    return await build({ root, configFile: `${root}/vite.config.ts`, logLevel: 'error', build: options });
  } finally {
    if (before === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = before;
  }
}
