// What is measured, the same in a page and in Node: it is given the engine (the sources there, the built package here) and
// measures runs of one model. Not for starting a browser, nor for printing.
import type * as Hyaline from '../src/index.ts';
import { checkSameBits } from './checks.ts';
import { type Case, elapsedMs, interleave } from './interleave.ts';
import { editCases, editRatios } from './measure_edits.ts';
import { numericsCases, numericsRatios } from './measure_numerics.ts';
import type { PeerCases, PeerContext } from './peers.ts';
import { profileRuns } from './profile.ts';
import { ratioQuartiles } from './quartiles.ts';
import type { Check, LoadSample, Measurement, PlanCost, Timing } from './result.ts';

type Engine = typeof Hyaline;
type Model = Hyaline.Model;

export interface MeasureOptions {
  /** URL or path of the model's folder. */
  readonly model: string;
  /** A prompt whose next token is known. */
  readonly golden: { readonly ids: readonly number[]; readonly token: string };
  /** Take hardware if there is some. */
  readonly hardware: boolean;
  readonly warmUp: number;
  readonly repetitions: number;
  readonly profile: boolean;
}

/** Gets other engines ready to be timed beside ours. */
export type StartPeers = (context: PeerContext) => Promise<PeerCases>;

export const LENGTHS = [1, 15, 64, 192] as const;
export const MAIN_LENGTH = 64;
/** A step of decoding and a prompt. */
const PROFILED = [1, MAIN_LENGTH];
const PATTERN = 'blocks.1.attn.hook_pattern';

export const RUN = 'run';
export const RUN_KEEPING_ALL = 'run, everything captured';
export const RUN_KEEPING_ONE = 'run, one pattern captured';

/** The golden prompt again and again: what a run costs does not depend on which tokens they are. */
export function tokensOfLength(length: number, ids: readonly number[]): number[] {
  return Array.from({ length }, (_, index) => ids[index % ids.length]);
}

/** Every value that a run can keep without computing more: some are computed only when asked for. */
const everything = ({ hooks }: Model) => hooks.filter(({ onDemand }) => !onDemand).map(({ name }) => name);

async function openDevice({ requestDevice }: Engine, hardware: boolean): Promise<GPUDevice> {
  const isNode = typeof window === 'undefined';
  // In a page the browser's flags have chosen the adapter already.
  return requestDevice({ label: 'bench', forceFallbackAdapter: isNode && !hardware });
}

/** Loads the model, runs it, and loads it again; gives the second one, which has not run yet. */
async function openModel(engine: Engine, options: MeasureOptions) {
  const phases = { download: 0, upload: 0, compile: 0 };
  let start = performance.now();
  const device = await openDevice(engine, options.hardware);
  const deviceMs = performance.now() - start;
  start = performance.now();
  let last = start;
  const first = await engine.Model.load(options.model, {
    device,
    onProgress({ phase }) {
      const now = performance.now();
      phases[phase] += now - last;
      last = now;
    },
  });
  const load = performance.now() - start;
  const tokens = tokensOfLength(MAIN_LENGTH, options.golden.ids);
  const firstRun = await elapsedMs(() => first.run(tokens));
  await first.run(tokens);
  const warmRun = await elapsedMs(() => first.run(tokens));
  first.destroy();
  start = performance.now();
  const model = await engine.Model.load(options.model, { device });
  const secondLoad = performance.now() - start;
  const sample: LoadSample = { device: deviceMs, ...phases, load, firstRun, warmRun, secondLoad };
  return { device, model, sample };
}

/** One load and the first runs, where nothing of the kind has run before: call it in a fresh browser or process. */
export async function measureLoad(engine: Engine, options: MeasureOptions): Promise<LoadSample> {
  const { device, model, sample } = await openModel(engine, options);
  model.destroy();
  device.destroy();
  return sample;
}

/**
 * Loads, checks, then times everything in turns. Call it in a fresh browser or process: the first load is measured too.
 * @throws Error if a check of the engine's own fails: then there is nothing to time
 */
export async function measure(
  engine: Engine,
  options: MeasureOptions,
  { peers: startPeers, say }: { peers?: StartPeers; say: (line: string) => void },
): Promise<Measurement> {
  const { device, model, sample: firstLoad } = await openModel(engine, options);
  const errors: string[] = [];
  device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
  const adapter = engine.describeAdapter(device);
  say(`adapter: ${adapter.text}`);
  const fingerprint = await engine.adapterFingerprint(device);
  const weights = model.memory;
  const tokens = new Map(LENGTHS.map((length) => [length, tokensOfLength(length, options.golden.ids)]));
  const input = (length: number) => tokens.get(length as (typeof LENGTHS)[number]) ?? [];
  const ofLength = (length: number) => tokensOfLength(length, options.golden.ids);

  say('costs and checks');
  const plans = await measurePlans(model, options.golden.ids);
  const edits = await editCases(engine, model, ofLength);
  const checks = [...(await checkEngine(engine, model, options.golden, input)), ...edits.checks];
  // A quick benchmark is spared the pipelines of another length.
  const numericsLengths = options.repetitions > 3 ? PROFILED : [MAIN_LENGTH];
  const numerics = await numericsCases(model, numericsLengths, ofLength);
  const failed = checks.filter(({ passed }) => !passed);
  if (failed.length > 0) {
    const what = failed.map(({ name, detail }) => `${name} (${detail})`).join('; ');
    throw new Error(`not timed, because the numbers are wrong: ${what}.`);
  }
  const peers = await startPeers?.({ hyaline: engine, model, input: ofLength, say });

  const { warmUp, repetitions } = options;
  // In rounds of their own: a model keeps the plans of its last 16 kinds of run, and everything here has to be warm.
  const timings: Timing[] = [];
  for (const [what, group] of [
    ['runs', [...ownCases(model, input), ...(peers?.runs ?? [])]],
    ['edits', [...edits.cases, ...(peers?.decodes ?? [])]],
    ['numerics', numerics.cases],
    ['operations', peers?.operations ?? []],
  ] as const) {
    if (group.length === 0) continue;
    const onRound = (done: number) => say(`round ${done} of ${repetitions}, ${what}`);
    timings.push(...(await interleave(group, { warmUp, repetitions, onRound })));
  }
  const samples = (name: string) =>
    timings.find((timing) => timing.engine === 'hyaline' && timing.name === name && timing.tokens === MAIN_LENGTH)
      ?.samples ?? [];
  const captureRatio = ratioQuartiles(samples(RUN), samples(RUN_KEEPING_ALL));
  const ratios = [...editRatios(timings), ...numericsRatios(timings, numericsLengths)];
  edits.destroy();
  numerics.destroy();
  peers?.destroy();

  let profiles: Measurement['profiles'] = [];
  let profileProblem: string | null = null;
  if (options.profile) {
    say('profile');
    if (device.features.has('timestamp-query')) profiles = await profileRuns(model, PROFILED.map(input), repetitions);
    else profileProblem = 'the adapter has no timestamp queries';
  }
  model.destroy();
  device.destroy();
  if (errors.length > 0) throw new Error(`WebGPU reported errors: ${errors.join('; ')}`);
  return {
    adapter,
    fingerprint,
    firstLoad,
    checks,
    timings,
    captureRatio,
    ratios,
    plans,
    weights,
    peers: peers?.peers ?? [],
    profiles,
    profileProblem,
  };
}

function ownCases(model: Model, input: (length: number) => number[]): Case[] {
  const timeCapture = (names: string | string[]) => async () => {
    const start = performance.now();
    const { cache } = await model.runWithCache(input(MAIN_LENGTH), { names });
    const elapsed = performance.now() - start;
    cache.destroy();
    return elapsed;
  };
  const engine = 'hyaline';
  const runs = LENGTHS.map((tokens): Case => {
    return { name: RUN, engine, tokens, time: () => elapsedMs(() => model.run(input(tokens))) };
  });
  return [
    ...runs,
    { name: RUN_KEEPING_ONE, engine, tokens: MAIN_LENGTH, time: timeCapture(PATTERN) },
    { name: RUN_KEEPING_ALL, engine, tokens: MAIN_LENGTH, time: timeCapture(everything(model)) },
  ];
}

/** Runs each kind for the first time, so that what it adds to the model's memory can be seen. */
async function measurePlans(model: Model, ids: readonly number[]): Promise<PlanCost[]> {
  const costs: PlanCost[] = [];
  const add = async (name: string, pos: number, names?: string | string[]) => {
    const before = model.memory;
    const tokens = tokensOfLength(pos, ids);
    if (names === undefined) await model.run(tokens);
    else (await model.runWithCache(tokens, { names })).cache.destroy();
    const after = model.memory;
    const plan = model.plan({ pos, names });
    costs.push({
      name: `${name}, ${pos} ${pos === 1 ? 'token' : 'tokens'}`,
      dispatches: plan.steps.filter(({ kind }) => kind === 'dispatch').length,
      values: plan.slotOf.size,
      buffers: after.buffers - before.buffers,
      bytes: after.bytes - before.bytes,
    });
  };
  for (const length of LENGTHS) await add(RUN, length);
  await add(RUN_KEEPING_ONE, MAIN_LENGTH, PATTERN);
  await add(RUN_KEEPING_ALL, MAIN_LENGTH, everything(model));
  return costs;
}

async function checkEngine(
  { topTokens }: Engine,
  model: Model,
  golden: MeasureOptions['golden'],
  input: (length: number) => number[],
): Promise<Check[]> {
  const { logits } = await model.run(golden.ids);
  const [top] = topTokens(model, logits, 1);
  const checks: Check[] = [
    {
      name: `the golden prompt's next token is ${JSON.stringify(golden.token)}`,
      passed: top.text === golden.token,
      detail: `${JSON.stringify(top.text)}, p = ${top.probability.toFixed(4)}`,
    },
  ];
  const patterns = [...LENGTHS.map((length) => [length, everything(model)] as const), [MAIN_LENGTH, PATTERN] as const];
  for (const [length, names] of patterns) {
    const plain = await model.run(input(length));
    const { logits, cache } = await model.runWithCache(input(length), { names });
    cache.destroy();
    const what = names === PATTERN ? 'one pattern' : 'everything';
    checks.push(
      checkSameBits(`logits of ${length} tokens, ${what} captured against nothing`, logits.data, plain.logits.data),
    );
  }
  return checks;
}
