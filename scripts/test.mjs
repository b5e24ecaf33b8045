// `npm test`: types, format and lint, build, then the tests: without a GPU, then at the same time on the GPU in Node, on the GPU in
// Chrome, and those for Node alone. The last line is `N passed, N failed, N skipped`. Arguments go to Vitest (`npm test -- softmax`),
// and then types and lint are left out.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNpm, runPackage } from './run.mjs';
import { countTests, sumCounts } from './test_counts.mjs';

/** A check that is not done then is ended and counts as failed: there is a summary before a limit of ten minutes. */
const deadline = performance.now() + 9 * 60_000;
const vitestArguments = process.argv.slice(2);
const isFiltered = vitestArguments.length > 0;
const biomeArguments = ['ci', '--error-on-warnings', ...(process.stdout.isTTY ? [] : ['--colors=off']), '.'];
const reports = mkdtempSync(join(tmpdir(), 'hyaline-test-'));

async function check(code) {
  const isGood = (await code) === 0;
  return { isCheck: true, passed: isGood ? 1 : 0, failed: isGood ? 0 : 1, skipped: 0 };
}

/** The tests of a project, or of its files whose names end in `part`. */
async function testProject(project, options, part = '') {
  const report = join(reports, `${project}${part}.json`);
  const args = ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const filter = isFiltered ? ['--passWithNoTests', ...vitestArguments] : [part].filter(Boolean);
  const code = await runPackage('vitest', [...args, ...filter], options);
  let json = null;
  try {
    json = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    // Vitest ended before it could report: counted as a failure below.
  }
  return countTests(json, code, { isFiltered });
}

/** Two halves of one project, in two processes: the device that files share is of use to the first alone. */
const onNode = isFiltered
  ? [['tests on the GPU in Node', (options) => testProject('node', options)]]
  : [
      ['tests on the GPU in Node', (options) => testProject('node', options, '.gpu.test.ts')],
      ['tests for Node alone', (options) => testProject('node', options, '.node.test.ts')],
    ];

/** In this order; those of one stage run side by side. */
const stages = [
  [['types', (options) => check(runPackage('typescript', ['--noEmit'], options))]],
  [['format and lint', (options) => check(runPackage('@biomejs/biome', biomeArguments, options))]],
  [['build', (options) => check(runNpm(['run', '--silent', 'build'], options))]],
  [['tests without a GPU', (options) => testProject('unit', options)]],
  [...onNode, ['tests on the GPU in Chrome', (options) => testProject('chrome', options)]],
].slice(isFiltered ? 2 : 0);

const counts = [];
const lines = [];

async function runCheck(title, start, options) {
  const begin = performance.now();
  const count = await start({ ...options, timeoutMs: Math.max(1, deadline - begin) });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const verdict = count.failed === 0 ? 'ok' : `FAILED${count.problem ? ` (${count.problem})` : ''}`;
  return { count, line: `${title.padEnd(28)} ${verdict}, ${seconds} s` };
}

function record({ count, line }) {
  counts.push(count);
  lines.push(line);
  console.log(line);
}

/** The first writes to the terminal while it runs; what the others wrote follows when it is done. */
async function runStage([[title, start], ...others]) {
  console.log(`\n── ${title}${others.map(([other], i) => `${i ? ', ' : '; meanwhile '}${other}`).join('')} ──`);
  const running = others.map(([other, startOther]) => {
    const output = [];
    return { other, output, done: runCheck(other, startOther, { onOutput: (text) => output.push(text) }) };
  });
  record(await runCheck(title, start, {}));
  for (const { other, output, done } of running) {
    const result = await done;
    console.log(`\n── ${other} ──\n${output.join('').trim()}`);
    record(result);
  }
}

for (const stage of stages) await runStage(stage);
rmSync(reports, { recursive: true, force: true });

const { passed, failed, skipped } = sumCounts(counts, { isFiltered });
console.log(`\n${lines.join('\n')}\n`);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
