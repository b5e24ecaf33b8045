// A process that measures the built package on Dawn. Started by run.ts, with messages both ways: it gets
// `{ kind: 'measure' | 'load', options }`, sends `{ say: progress }` while it works and `{ result }` or `{ problem }` at the end.

import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

process.once('message', async ({ kind, options }) => {
  const say = (progress) => process.send({ say: progress });
  let answer;
  try {
    const engine = await import('../dist/index.js');
    const file = fileURLToPath(new URL('measure.ts', import.meta.url));
    const { module } = await runnerImport(file, { configFile: false, logLevel: 'silent' });
    const result =
      kind === 'load' ? await module.measureLoad(engine, options) : await module.measure(engine, options, { say });
    answer = { result };
  } catch (error) {
    answer = { problem: error.message };
  }
  process.send(answer, () => process.exit(0));
});
