// The TypeScript sources as modules, for scripts: Vite loads them as they stand. Nothing has to be built, and Node 20 has no types to
// strip.
import { createServer } from 'vite';
import { root } from './run.mjs';

/** Calls `f` with a function that loads a module by its path from the repository's root; stops the server afterwards. */
export async function withTypeScript(f) {
  const server = await createServer({
    root,
    configFile: false,
    appType: 'custom',
    logLevel: 'error',
    server: { middlewareMode: true, watch: null, hmr: false, ws: false },
    optimizeDeps: { noDiscovery: true },
  });
  try {
    return await f((path) => server.ssrLoadModule(path));
  } finally {
    await server.close();
  }
}
