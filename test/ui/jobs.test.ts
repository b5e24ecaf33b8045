// Jobs without a page: what ends them, and what they leave.
import { expect, test } from 'vitest';
import { Jobs, type Work } from '../../src/ui/jobs.ts';
import type { Session } from '../../src/ui/session.ts';

function sessionOf(run: object) {
  return Object.assign(new EventTarget(), { model: {}, device: {}, runs: { before: run, after: null, second: null } });
}

/** Never ends by itself; says whether it was stopped. */
function endless() {
  let signal: AbortSignal | undefined;
  const work: Work<never> = (_, given) => {
    signal = given;
    return new Promise((_, reject) => given.addEventListener('abort', () => reject(given.reason)));
  };
  return { work, isStopped: () => signal?.aborted };
}

test('work ends with the run that it is about, and that of the model goes on', () => {
  const [run, other] = [{}, {}];
  const session = sessionOf(run);
  const jobs = Jobs.of(session as unknown as Session);
  const [ofRun, ofModel] = [endless(), endless()];
  jobs.start(run, 'report', ofRun.work);
  jobs.start(session.model, 'benchmark', ofModel.work);
  session.dispatchEvent(new Event('change'));
  expect([ofRun.isStopped(), ofModel.isStopped()]).toEqual([false, false]);
  session.runs = { before: other, after: null, second: null } as never;
  session.dispatchEvent(new Event('change'));
  expect([ofRun.isStopped(), ofModel.isStopped()]).toEqual([true, false]);
  expect([jobs.get(run, 'report'), jobs.get(session.model, 'benchmark')?.state]).toEqual([null, 'pending']);
});

test('a result stays, and comes back where doing it again is stopped', async () => {
  const run = {};
  const session = sessionOf(run);
  const jobs = Jobs.of(session as unknown as Session);
  jobs.start(run, 'report', async () => 7);
  await Promise.resolve();
  const { work } = endless();
  jobs.restart(run, 'report', work);
  expect(jobs.get(run, 'report')?.state).toBe('pending');
  session.runs = { before: null, after: null, second: null } as never;
  session.dispatchEvent(new Event('change'));
  expect(jobs.get(run, 'report')).toEqual({ state: 'done', value: 7 });
});
