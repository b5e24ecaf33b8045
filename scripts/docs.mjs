// `npm run docs`: writes what the documentation takes from the code: the table of hooks from the graph (docs/hooks.md), and the table of
// errors from runs on this machine's adapter in Node (docs/accuracy.md, README.md).

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';
import { withTypeScript } from './typescript.mjs';

const write = (path, text) => {
  writeFileSync(join(root, path), text);
  console.log(`docs: wrote ${path}`);
};

await withTypeScript(async (load) => {
  const { hookRows, hooksPage, replaceGenerated } = await load('/scripts/hook_table.ts');
  const { accuracyPage, measureAccuracy, readmeAccuracy } = await load('/scripts/accuracy_table.ts');
  const rows = hookRows();
  const accuracy = await measureAccuracy(root);
  write('docs/hooks.md', hooksPage(rows));
  write('docs/accuracy.md', accuracyPage(accuracy));
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  write('README.md', replaceGenerated(readme, 'accuracy', readmeAccuracy(accuracy)));
});
