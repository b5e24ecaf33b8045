// `npm run docs`: writes what the documentation takes from the code: the table of hooks from the graph (docs/hooks.md), and the table of
// errors from runs on this machine's adapter in Node (docs/accuracy.md, README.md).

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'vite';
import { root } from './run.mjs';

const write = (path, text) => {
  writeFileSync(join(root, path), text);
  console.log(`docs: wrote ${path}`);
};

// Vite loads the TypeScript sources as they stand: nothing has to be built, and Node 20 has no types to strip.
const server = await createServer({
  root,
  configFile: false,
  appType: 'custom',
  logLevel: 'error',
  server: { middlewareMode: true, watch: null, hmr: false, ws: false },
  optimizeDeps: { noDiscovery: true },
});
try {
  const { hookRows, hooksPage, replaceGenerated } = await server.ssrLoadModule('/scripts/hook_table.ts');
  const { accuracyPage, measureAccuracy, readmeAccuracy } = await server.ssrLoadModule('/scripts/accuracy_table.ts');
  const rows = hookRows();
  const accuracy = await measureAccuracy(root);
  write('docs/hooks.md', hooksPage(rows));
  write('docs/accuracy.md', accuracyPage(accuracy));
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  write('README.md', replaceGenerated(readme, 'accuracy', readmeAccuracy(accuracy)));
} finally {
  await server.close();
}
