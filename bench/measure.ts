// What is measured, the same in a page and in Node: it is given the engine (the sources there, the built package here) and
// measures the adapter's limits, runs of one model, its kernels and how they grow. Not for starting a browser, nor for printing.
import type * as Hyaline from '../src/index.ts';
import { checkSameBits } from './checks.ts';
import { freeMatmulCases, freeMatmulRatios } from './free_matmul.ts';
import { type GrowthOptions, growthRatios, measureGrowth } from './growth.ts';
import { type Case, elapsedMs, interleave } from './interleave.ts';
import { measureKernels } from './kernels.ts';
import { measureLimits } from './limits.ts';
import { editCases, editRatios } from './measure_edits.ts';
import { numericsCases, numericsRatios } from './measure_numerics.ts';
import type { PeerCases, PeerContext } from './peers.ts';
import { profileRuns } from './profile.ts';
import { ratioQuartiles } from './quartiles.ts';
import { watchBindGroups } from './recorder.ts';
import type { Check, Growth, HeldMemory, LoadSample, Measurement, PlanCost, Timing } from './result.ts';
import { CIRCUIT_SIZED, GPT2_SMALL } from './shapes.ts';

type Engine = typeof Hyaline;
type Model = Hyaline.Model;

export interface MeasureOptions {
  /** URL or path of the model's folder. */
  readonly model: string;
  /** A prompt whose next token is known. */
  readonly golden: { readonly ids: readonly number[]; readonly token: string };
  /** Take hardware if there is some. */
  readonly hardware: boolean;
  /** As little as shows that everything works. */
  readonly quick: boolean;
  readonly warmUp: number;
  readonly repetitions: number;
  /** Models of real shapes as a whole, on software adapters too. */
  readonly shapes: boolean;
}

/** How far a measurement is. */
export interface Progress {
  readonly what: string;
  /** Of the whole measurement, from 0 to 1; its parts count the same, however long they take. */
  readonly share: number;
}

export type Say = (progress: Progress) => void;

/** Gets other engines ready to be timed beside ours. */
export type StartPeers = (context: PeerContext) => Promise<PeerCases>;

export const LENGTHS = [1, 15, 64, 192] as const;
export const MAIN_LENGTH = 64;
/** A step of decoding and a prompt. */
const PROFILED = [1, MAIN_LENGTH];
const PATTERN = 'blocks.1.attn.hook_pattern';
const STREAM = 'blocks.*.hook_resid_post';
/** Where growth is looked at; and, on hardware, models as a whole. */
const GROWTH_LENGTHS = [64, 512, 2048];
const QUICK_GROWTH_LENGTHS = [16, 64];
const SHAPE_LENGTHS = [64, 512, 1024];
const GROWTH_BATCHES = [1, 2, 4, 8];
const GROWTH_LAYERS = [2, 4, 8];
/** Long runs are few: they vary less. So are single operations, of which there are many. */
const GROWTH_REPETITIONS = 5;
const OPERATION_REPETITIONS = 10;

export const RUN = 'run';
export const RUN_KEEPING_ALL = 'run, everything captured';
export const RUN_KEEPING_KIND = 'run, one kind captured';
export const RUN_KEEPING_ONE = 'run, one pattern captured';
export const RUN_EDITED = 'run, one edit';

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
  watchBindGroups(device);
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

const PARTS = ['limits', 'checks', 'runs', 'edits', 'numerics', 'operations', 'growth', 'kernels', 'profile'] as const;

/** What a part says as it goes on: which part it is, and how far. */
function progressOf(say: Say) {
  return (part: (typeof PARTS)[number], done = 0, detail = '') =>
    say({ what: detail ? `${part}, ${detail}` : part, share: (PARTS.indexOf(part) + done) / PARTS.length });
}

/**
 * Loads, checks, then times everything in turns. Call it in a fresh browser or process: the first load is measured too.
 * @throws Error if a check of the engine's own fails: then there is nothing to time
 */
export async function measure(
  engine: Engine,
  options: MeasureOptions,
  { peers: startPeers, say }: { peers?: StartPeers; say: Say },
): Promise<Measurement> {
  const progress = progressOf(say);
  const { warmUp, repetitions, quick } = options;
  const { device, model, sample: firstLoad } = await openModel(engine, options);
  const errors: string[] = [];
  device.addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
  const adapter = engine.describeAdapter(device);
  const isSoftware = adapter.isFallback;
  const skipped: string[] = [];
  progress('limits', 0, adapter.text);
  const fingerprint = await engine.adapterFingerprint(device);
  const limits = await measureLimits(device, { isSoftware, passes: quick ? 3 : 9 });
  const weights = model.memory;
  const input = (length: number) => tokensOfLength(length, options.golden.ids);

  progress('checks');
  const plans = await measurePlans(model, input);
  const edits = await editCases(engine, model, input);
  const checks = [...(await checkEngine(engine, model, options.golden, input)), ...edits.checks];
  const failed = checks.filter(({ passed }) => !passed);
  if (failed.length > 0) {
    const what = failed.map(({ name, detail }) => `${name} (${detail})`).join('; ');
    throw new Error(`not timed, because the numbers are wrong: ${what}.`);
  }
  const sayPeer = (line: string) => progress('checks', 0.5, line);
  const others = await startPeers?.({ hyaline: engine, model, input, say: sayPeer });

  const timings: Timing[] = [];
  const time = async (part: (typeof PARTS)[number], cases: readonly Case[], rounds = repetitions) => {
    if (cases.length === 0) return;
    const onRound = (done: number) => progress(part, done / rounds, `round ${done} of ${rounds}`);
    timings.push(...(await interleave(cases, { warmUp, repetitions: rounds, onRound })));
  };
  // In rounds of their own: a model keeps the plans of its last 16 kinds of run, and everything here has to be warm.
  await time('runs', [...ownCases(engine, model, input), ...(others?.runs ?? [])]);
  await time('edits', [...edits.cases, ...(others?.decodes ?? [])]);
  // A quick benchmark is spared what has to compile much.
  const ofNumerics = { lengths: quick ? [MAIN_LENGTH] : PROFILED, input, products: !quick };
  const numerics = await numericsCases(model, ofNumerics);
  const squares = quick ? null : await freeMatmulCases(engine, device);
  await time('numerics', [...numerics, ...(squares?.cases ?? [])]);
  await time('operations', others?.operations ?? [], Math.min(repetitions, OPERATION_REPETITIONS));
  const samples = (name: string) =>
    timings.find((timing) => timing.engine === 'hyaline' && timing.name === name && timing.tokens === MAIN_LENGTH)
      ?.samples ?? [];
  const captureRatio = ratioQuartiles(samples(RUN), samples(RUN_KEEPING_ALL));
  for (const cases of [edits, squares, others]) cases?.destroy();

  const { growth, held, left } = await grow(engine, device, options, {
    isSoftware,
    onRound: (done, of) => progress('growth', done, of),
  });
  skipped.push(...left);
  const kernels = await measureKernels(engine, device, {
    limits,
    isSoftware,
    quick,
    onShape: (done, total, shape) => progress('kernels', done / total, shape),
  });
  skipped.push(...kernels.skipped);

  progress('profile');
  const hasTimestamps = device.features.has('timestamp-query');
  const profiles = hasTimestamps ? await profileRuns(model, PROFILED.map(input), repetitions) : [];
  const embedded = { model: 'circuit-zoo', bytes: model.memory.bytes };
  const memory: HeldMemory = { gpu: [embedded, ...held], host: hostMemory() };
  model.destroy();
  device.destroy();
  if (errors.length > 0) throw new Error(`WebGPU reported errors: ${errors.join('; ')}`);
  return {
    adapter,
    fingerprint,
    limits,
    firstLoad,
    checks,
    timings,
    captureRatio,
    ratios: [
      ...editRatios(timings),
      ...numericsRatios(timings, ofNumerics),
      ...(squares ? freeMatmulRatios(timings) : []),
      ...growthRatios(growth, CIRCUIT_SIZED.name),
    ],
    growth,
    kernels: kernels.kernels,
    plans,
    weights,
    memory,
    peers: others?.peers() ?? [],
    profiles,
    profileProblem: hasTimestamps ? null : 'the adapter has no timestamp queries',
    skipped,
  };
}

/** Growth of a model of the embedded one's size; on hardware, and where it is asked for, of GPT-2 as well. */
async function grow(
  engine: Engine,
  device: GPUDevice,
  { quick, shapes, repetitions, warmUp }: MeasureOptions,
  { isSoftware, onRound }: { isSoftware: boolean; onRound: (share: number, shape: string) => void },
): Promise<{ growth: Growth[]; held: HeldMemory['gpu']; left: string[] }> {
  const few = Math.min(repetitions, GROWTH_REPETITIONS);
  const small = { shape: CIRCUIT_SIZED, lengths: GROWTH_LENGTHS, batches: GROWTH_BATCHES, layers: GROWTH_LAYERS };
  const little = { lengths: QUICK_GROWTH_LENGTHS, batches: [1, 2], layers: [2, 4] };
  const plans: Omit<GrowthOptions, 'warmUp' | 'repetitions' | 'onRound'>[] = [quick ? { ...small, ...little } : small];
  const isWhole = shapes || (!isSoftware && !quick);
  // 1,024 tokens of it would take a software adapter minutes.
  const lengths = isSoftware ? SHAPE_LENGTHS.slice(0, 1) : SHAPE_LENGTHS;
  if (isWhole) plans.push({ shape: GPT2_SMALL, lengths, batches: [], layers: [] });
  const growth: Growth[] = [];
  const held: { model: string; bytes: number }[] = [];
  for (const [index, plan] of plans.entries()) {
    const rounds = { warmUp: Math.min(warmUp, 1), repetitions: few };
    const share = (done: number) => onRound((index + done / few) / plans.length, plan.shape.name);
    const grown = await measureGrowth(engine, device, { ...plan, ...rounds, onRound: share });
    growth.push(...grown.growth);
    held.push({ model: plan.shape.name, bytes: grown.bytes });
  }
  const why = quick ? 'a quick run' : 'a software adapter; --shapes measures it';
  return { growth, held, left: isWhole ? [] : [`${GPT2_SMALL.name} as a whole: ${why}`] };
}

/** The most that the Node process has held, or what the page's heap holds now. */
function hostMemory(): number | null {
  if (typeof process !== 'undefined' && process.resourceUsage) return 1024 * process.resourceUsage().maxRSS;
  const { memory } = performance as unknown as { memory?: { usedJSHeapSize: number } };
  return memory?.usedJSHeapSize ?? null;
}

function ownCases({ add }: Engine, model: Model, input: (length: number) => number[]): Case[] {
  const timeCapture = (names: string | string[]) => async () => {
    const start = performance.now();
    const { cache } = await model.runWithCache(input(MAIN_LENGTH), { names });
    const elapsed = performance.now() - start;
    cache.destroy();
    return elapsed;
  };
  const engine = 'hyaline';
  const tokens = MAIN_LENGTH;
  const direction = Float32Array.from({ length: model.config.dModel }, (_, i) => Math.sin(i));
  const hooks: Hyaline.HookEntry[] = [['blocks.1.hook_resid_post', add(direction, { scale: 0.1 })]];
  const runs = LENGTHS.map((tokens): Case => {
    return { name: RUN, engine, tokens, time: () => elapsedMs(() => model.run(input(tokens))) };
  });
  return [
    ...runs,
    { name: RUN_KEEPING_ONE, engine, tokens, time: timeCapture(PATTERN) },
    { name: RUN_KEEPING_KIND, engine, tokens, time: timeCapture(STREAM) },
    { name: RUN_KEEPING_ALL, engine, tokens, time: timeCapture(everything(model)) },
    { name: RUN_EDITED, engine, tokens, time: () => elapsedMs(() => model.run(input(tokens), { hooks })) },
  ];
}

/** Runs each kind for the first time, so that what it adds to the model's memory can be seen. */
async function measurePlans(model: Model, input: (length: number) => number[]): Promise<PlanCost[]> {
  const costs: PlanCost[] = [];
  const add = async (name: string, pos: number, names?: string | string[]) => {
    const before = model.memory;
    const tokens = input(pos);
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
