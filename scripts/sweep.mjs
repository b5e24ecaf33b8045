// `npm run sweep`: the error of every scalar function over more than ten million arguments; writes docs/functions.md. A few minutes.
// `-- --count N` sets the number of arguments per function and mode. Fails where a bound or an emulation does not hold.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './run.mjs';
import { withTypeScript } from './typescript.mjs';

const { values } = parseArgs({ options: { count: { type: 'string', default: '1000000' } } });

await withTypeScript(async (load) => {
  const { functionsPage, sweepFunctions } = await load('/scripts/sweep_functions.ts');
  let failed = false;
  const result = await sweepFunctions(Number(values.count), (sweep) => {
    const { name, numerics, count, maxUlp, bound, notEmulated } = sweep;
    const isWrong = !(maxUlp <= bound) || (notEmulated ?? 0) > 0;
    failed ||= isWrong;
    const bits = notEmulated === null ? '' : `, ${notEmulated} differ from the emulation`;
    console.log(
      `${isWrong ? 'FAILS ' : ''}${name}, ${numerics}: ${maxUlp.toFixed(2)} of ${bound} ULP, ${count} arguments${bits}`,
    );
  });
  writeFileSync(join(root, 'docs/functions.md'), functionsPage(result));
  console.log('sweep: wrote docs/functions.md');
  if (failed) process.exitCode = 1;
});
