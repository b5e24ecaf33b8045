// `npm run study`: where models lose precision, what smaller number formats do to circuit-zoo's tasks and heads, and what the order of
// sums changes; writes docs/precision.md. Some minutes; goes on without stories260K where ../shared is not there, and says so.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';
import { withTypeScript } from './typescript.mjs';

await withTypeScript(async (load) => {
  const { study } = await load('/scripts/study/study.ts');
  const { precisionPage } = await load('/scripts/study/page.ts');
  const began = performance.now();
  const result = await study(root, (line) => {
    console.log(`study: ${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${line}`);
  });
  writeFileSync(join(root, 'docs/precision.md'), precisionPage(result));
  console.log('study: wrote docs/precision.md');
});
