// Where the time of a run goes: every dispatch gets a compute pass of its own with a timestamp before and after it. The sum is
// more than the time of the run in one pass; the shares are what it is for. Chrome rounds timestamps (to 65 µs unless told
// otherwise), so a short dispatch is known only as the mean of many.
import type { Model } from '../src/index.ts';
import { quartiles } from './quartiles.ts';
import { recordDispatches } from './recorder.ts';
import { timestamps } from './replay.ts';
import type { KernelShare, Profile } from './result.ts';

const SLOWEST = 8;

/** Profiles a run of each of these inputs. */
export async function profileRuns(
  model: Model,
  inputs: readonly (readonly number[])[],
  repetitions: number,
): Promise<Profile[]> {
  const profiles: Profile[] = [];
  for (const tokens of inputs) {
    const dispatches = await recordDispatches(model.device, () => model.run(tokens));
    const rounds: number[][] = [];
    for (let i = -1; i < repetitions; i++) {
      const { spans } = await timestamps(model.device, dispatches.length, (encoder, writes) => {
        for (const [index, { pipeline, group, workgroups }] of dispatches.entries()) {
          const pass = encoder.beginComputePass({ timestampWrites: writes(index) });
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(...workgroups);
          pass.end();
        }
      });
      if (i >= 0) rounds.push(spans);
    }
    const total = (indices: readonly number[]) =>
      quartiles(rounds.map((round) => indices.reduce((sum, index) => sum + round[index], 0))).median;
    const kernels = [...new Set(dispatches.map(({ kernel }) => kernel))].map((kernel) => {
      const indices = dispatches.flatMap((dispatch, index) => (dispatch.kernel === kernel ? [index] : []));
      return { kernel, dispatches: indices.length, median: total(indices) };
    });
    const sum = kernels.reduce((all, { median }) => all + median, 0);
    const withShare = kernels.map((kernel): KernelShare => ({ ...kernel, share: kernel.median / sum }));
    const single = dispatches.map(({ label }, index) => ({ label, median: total([index]) }));
    profiles.push({
      name: `run, ${tokens.length} ${tokens.length === 1 ? 'token' : 'tokens'}`,
      kernels: withShare.sort((a, b) => b.median - a.median),
      slowest: single.sort((a, b) => b.median - a.median).slice(0, SLOWEST),
    });
  }
  return profiles;
}
