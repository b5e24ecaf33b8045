// The page while it works: how long its tasks keep the main thread, and what a hundred interactions leave on the GPU.
import { expect, test } from 'vitest';
import { VIEWS } from '../../src/ui/state.ts';
import type { PageDriver } from './page_driver.ts';

export const LONGEST_TASK_MS = 50;
/** What web.dev calls good is 0.1. */
const LARGEST_SHIFT = 0.01;
const INTERACTIONS = 100;
/**
 * What comes and goes without being lost: up to 16 plans rest with the few buffers of theirs (of a text that is generated, which
 * ones depends on where it was overtaken), and buffers for reading rest in a pool by size. A leak of a buffer in every other
 * interaction is more than that, and so is one run's values (a megabyte).
 */
const POOLED = { buffers: 40, bytes: 256 * 1024 };

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** CPU time of the thread, in microseconds: what else the machine does is not in it. */
  readonly tdur?: number;
  /** Elapsed time, for tasks that were too short for the clock of the thread. */
  readonly dur?: number;
  readonly args: { readonly name?: string };
}

/** CPU milliseconds of the tasks of the page's main thread while `act` runs, longest first. */
export async function tasksOf({ page }: PageDriver, act: () => Promise<void>): Promise<number[]> {
  await page.tracing.start({ categories: ['toplevel', '__metadata'] });
  await act();
  const trace = await page.tracing.stop();
  const { traceEvents } = JSON.parse(new TextDecoder().decode(trace)) as { traceEvents: readonly TraceEvent[] };
  const pid = traceEvents.find(({ args }) => args.name === 'Renderer')?.pid;
  const isMain = new Set(
    traceEvents.filter(({ args }) => args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`),
  );
  expect(pid).toBeDefined();
  return traceEvents
    .filter(({ name, ph, pid, tid }) => name.endsWith('RunTask') && ph === 'X' && isMain.has(`${pid} ${tid}`))
    .map(({ tdur, dur }) => (tdur ?? dur ?? Number.POSITIVE_INFINITY) / 1000)
    .sort((a, b) => b - a);
}

/** Adds up Chrome's layout shifts from now on, in `layoutShift`. Runs in the page. */
export function countShifts(): void {
  globalThis.layoutShift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) layoutShift += (entry as PerformanceEntry & { value: number }).value;
  }).observe({ type: 'layout-shift', buffered: true });
}

declare global {
  var layoutShift: number;
}

export function responsivenessTests(driver: () => PageDriver): void {
  test('the page does not jump while it loads', async () => {
    const { shiftWhileLoading } = driver();
    expect(shiftWhileLoading).toBeLessThan(LARGEST_SHIFT);
  });

  test(`a run of 64 tokens keeps the main thread for at most ${LONGEST_TASK_MS} ms at a time`, async () => {
    const { page, show } = driver();
    const prompt = 'The capital of France is Paris. '.repeat(9).trim();
    await show({ prompt }); // compiles, and makes buffers
    const tasks = await tasksOf(driver(), async () => {
      await page.evaluate(() => hyaline.session.rerun());
      await new Promise((resolve) => setTimeout(resolve, 500)); // the statistics that the view shows
    });
    expect(await page.evaluate(() => hyaline.session.run?.ids.length)).toBeGreaterThanOrEqual(64);
    expect(tasks.length).toBeGreaterThan(10);
    expect(tasks[0]).toBeLessThanOrEqual(LONGEST_TASK_MS);
  });

  test(`${INTERACTIONS} interactions leave GPU memory where it was`, async () => {
    const { page, show } = driver();
    await show({});
    /** Every kind of thing that a user does, the same each time. */
    const round = () =>
      page.evaluate(async (views) => {
        const { session } = hyaline;
        const rest = () => new Promise((resolve) => setTimeout(resolve, 30));
        for (const view of views) {
          await session.update({ view });
          await rest();
        }
        await session.update({ pos: 3, hook: 'blocks.1.attn.hook_pattern', layer: 1, head: 2 });
        await session.update({ prompt: 'The capital of Spain is' });
        await session.update({ prompt: 'The capital of France is' });
        await session.update({ pos: -1, view: 'model' });
        while (session.run?.cache.names.length === 0) await rest();
        // What views still compute of runs that are gone holds buffers until it is done.
        let [last, quiet] = ['', 0];
        while (quiet < 10) {
          await rest();
          const now = JSON.stringify(liveOnGpu);
          [last, quiet] = [now, now === last ? quiet + 1 : 0];
        }
        return { ...liveOnGpu };
      }, VIEWS);
    const perRound = VIEWS.length + 4;
    await round(); // each plan's frame at rest, each view's own
    const before = await round();
    for (let done = 0; done < INTERACTIONS; done += perRound) await round();
    const after = await round();
    expect(after.textures).toBe(before.textures);
    expect(after.buffers).toBeLessThanOrEqual(before.buffers + POOLED.buffers);
    expect(after.bytes).toBeLessThanOrEqual(before.bytes + POOLED.bytes);
  });
}
