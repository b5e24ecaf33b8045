// `hyaline generate`, run as a user runs it. That its tokens are the right ones is for test/hooks/generate.gpu.test.ts.
import { expect, test } from 'vitest';
import type { GenerateReport } from '../../src/cli/generate.ts';
import { complaint, FAST, hyaline } from './spawn.ts';

const ZOO = 'models/circuit-zoo';

test('the new text is all of stdout; the adapter and the speed stand on stderr', async () => {
  const finished = await hyaline(['generate', ZOO, 'The capital of France is', '--stop', '. The']);
  expect(finished).toMatchObject({ code: 0, stdout: ' Paris.\n' });
  const [adapter, timing, ...more] = complaint(finished).split('\n');
  expect(adapter).toMatch(/^hyaline: .+: (hardware|software fallback, runs on the CPU)$/);
  expect(timing).toMatch(
    /^hyaline: 3 tokens behind 6 \(ended by: stop token\); loaded in \d+ ms, first token after \d+ ms, then \d+\.\d tokens\/s$/,
  );
  expect(more).toEqual([]);
});

test('--json holds every token with its text and probability, drawn as asked, and the edits', async () => {
  const drawing = ['--temperature', '2', '--top-k', '5', '--top-p', '0.99', '--min-p', '0.001', '--seed', '3'];
  const edits = ['--zero', 'blocks.2.attn.hook_z:head=0', '--scale', 'blocks.*.hook_mlp_out=0.5:pos=8..'];
  const args = ['generate', ZOO, '--tokens', '0,407,440', '--max-new-tokens', '6', '--repetition-penalty', '1.5'];
  const finished = await hyaline([...args, ...drawing, ...edits, '--json', ...FAST]);
  expect(finished.code).toBe(0);
  const report: GenerateReport = JSON.parse(finished.stdout);
  expect(report).toMatchObject({
    model: ZOO,
    promptTokens: [0, 407, 440],
    interventions: ['--zero blocks.2.attn.hook_z:head=0', '--scale blocks.*.hook_mlp_out=0.5:pos=8..'],
  });
  const { tokens, texts, logProbs } = report;
  expect([tokens.length, texts.length]).toEqual([logProbs.length, logProbs.length]);
  for (const logProb of logProbs) expect(logProb).toBeLessThanOrEqual(0);
});

test('options out of range are named; a text or one row of tokens is wanted', async () => {
  const finished = await hyaline(['generate', ZOO, 'One day', '--top-p', '2', '--temperature', '-1', ...FAST]);
  expect(complaint(finished)).toBe(
    'hyaline: generate: options out of range: temperature -1 (0 or more), topP 2 (above 0, at most 1).',
  );
  expect(finished).toMatchObject({ code: 1, stdout: '' });
  expect(await hyaline(['generate', ZOO, '--tokens', '1;2'])).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'hyaline: generate: expected either a text or one row of --tokens, got 2 rows. See "hyaline generate --help".\n',
  });
});

test.runIf(process.platform !== 'win32')('Ctrl-C ends a text that is being written, with exit code 130', async () => {
  const finished = await hyaline(
    ['generate', ZOO, 'One day', '--max-new-tokens', '200', '--temperature', '1', ...FAST],
    {
      interruptAtOutput: true,
    },
  );
  expect([finished.code, complaint(finished)]).toEqual([130, 'hyaline: interrupted']);
  expect(finished.stdout).toMatch(/^.+\n$/);
});
