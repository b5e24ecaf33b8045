// The worker of the view `numerics`: float64 passes and precision studies would stop the page for seconds. It loads the page's model once
// more, on a device of its own, and does one task after the other.
import {
  adapterFingerprint,
  type HookEntry,
  Model,
  numericsReport,
  precisionStudy,
  requestDevice,
  round,
  topTokens,
} from '../index.ts';
import type { Progress } from './jobs.ts';
import type { NumericsResults, NumericsTask, Reply, Request, StudyResult } from './numerics_tasks.ts';

type Say = (progress: Progress) => void;
type Study = Extract<NumericsTask, { kind: 'study' }>;

let from: Extract<Request, { kind: 'model' }> | null = null;
let device: Promise<GPUDevice> | null = null;
let model: Promise<Model> | null = null;
let turn: Promise<unknown> = Promise.resolve();
const underWay = new Map<number, AbortController>();

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  if (data.kind === 'model') from = data;
  else if (data.kind === 'stop') underWay.get(data.id)?.abort(new DOMException('Stopped.', 'AbortError'));
  else {
    const controller = new AbortController();
    underWay.set(data.id, controller);
    turn = turn.then(() => answer(data.id, data.task, controller.signal));
  }
});

async function answer(id: number, task: NumericsTask, signal: AbortSignal): Promise<void> {
  const reply = (what: Reply) => postMessage(what);
  try {
    signal.throwIfAborted();
    const result = await perform(task, (progress) => reply({ id, kind: 'progress', progress }), signal);
    reply({ id, kind: 'result', result });
  } catch (error) {
    reply({ id, kind: 'error', message: error instanceof Error ? error.message : String(error) });
  } finally {
    underWay.delete(id);
  }
}

async function perform(
  task: NumericsTask,
  say: Say,
  signal: AbortSignal,
): Promise<NumericsResults[NumericsTask['kind']]> {
  if (task.kind === 'fingerprint') {
    say({ text: 'Computing with numbers that no compiler knows …', share: null });
    return adapterFingerprint(await acquireDevice());
  }
  const loaded = await load(say, signal);
  if (task.kind === 'study') return studied(loaded, task, say, signal);
  const phases = { weights: 'reading', values: 'comparing' };
  return numericsReport(loaded, task.tokens, {
    run: { numerics: task.numerics },
    signal,
    onProgress: ({ phase, name, done, total }) => say({ text: `${phases[phase]} ${name}`, share: done / total }),
  });
}

/** A device, until it is lost: then it takes the model with it. */
function acquireDevice(): Promise<GPUDevice> {
  device ??= requestDevice();
  const forget = () => {
    [device, model] = [null, null];
  };
  device.then(({ lost }) => lost.then(forget), forget);
  return device;
}

async function load(say: Say, signal: AbortSignal): Promise<Model> {
  if (model) return model;
  if (!from) throw new Error('numerics: the worker was not told which model.');
  const { location, numerics } = from;
  model = Model.load(location, {
    device: await acquireDevice(),
    numerics,
    signal,
    onProgress: ({ phase, loaded, total }) =>
      say({ text: `loading the model in a worker: ${phase}`, share: total > 0 ? loaded / total : null }),
  });
  model.catch(() => {
    model = null; // it may work the next time
  });
  return model;
}

async function studied(loaded: Model, task: Study, say: Say, signal: AbortSignal): Promise<StudyResult> {
  const { tokens, numerics, name, weights, values } = task;
  const study = await precisionStudy(
    loaded,
    tokens,
    [
      {
        name,
        ...(weights && { weights: [[weights.names, weights.format]] }),
        ...(values && { values: [[values.names, values.format]] }),
      },
    ],
    { numerics, signal, onProgress: ({ name, done, total }) => say({ text: name, share: done / total }) },
  );
  return { study, first: await firstTokens(loaded, task) };
}

/** The most probable token of every position, unrounded and rounded. */
async function firstTokens(loaded: Model, { tokens, numerics, weights, values }: Study): Promise<StudyResult['first']> {
  const top = async (hooks: readonly HookEntry[]) => {
    const { logits } = await loaded.run(tokens, { numerics, hooks });
    return tokens.map((_, pos) => topTokens(loaded, logits, 1, { pos })[0]);
  };
  const before = await top([]);
  const rounded = weights && (await loaded.roundWeights(weights.names, weights.format));
  try {
    const after = await top(values ? [[values.names, round(values.format)]] : []);
    return before.map((token, pos) => ({ before: token, after: after[pos] }));
  } finally {
    rounded?.restore();
  }
}
