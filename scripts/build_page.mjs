// Builds the page as users get it, for scripts and tests.
import { build } from 'vite';
import { root } from './run.mjs';

/** What Vite gives, with options of its `build`. */
export function buildPage(options) {
  return inProduction(() => build({ root, configFile: `${root}/vite.config.ts`, logLevel: 'error', build: options }));
}

/** Calls `f`, in which Vite takes the packages' builds for production, though Vitest's NODE_ENV asks for others. */
export async function inProduction(f) {
  const before = process.env.NODE_ENV;
  process.env.NODE_ENV = 'production';
  try {
    return await f();
  } finally {
    if (before === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = before;
  }
}
