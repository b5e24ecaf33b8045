// The doctor's real check: a small model computed on the adapter, every value compared with float64, twice for equal bits, and in
// reproducible mode against the emulation.
import {
  type ActivationCache,
  emulateForward,
  Model,
  type ModelInMemory,
  type Numerics,
  type ReferenceValue,
  referenceForward,
} from '../index.ts';

export interface CheckResult {
  readonly ok: boolean;
  /** Values that were compared. */
  readonly values: number;
  /** One sentence each; empty when ok. */
  readonly problems: readonly string[];
  readonly elapsedMs: number;
}

const TOKENS = [3, 14, 15, 9, 26, 5, 0];

/** A GPT-2-like model of two layers and odd sizes, with fixed pseudo-random weights. */
export function checkModel(): ModelInMemory {
  const [dVocab, nCtx, dModel, nHeads, dHead, dMlp] = [37, 11, 15, 3, 5, 22];
  const config = {
    model_type: 'hooked_transformer',
    n_layers: 2,
    d_model: dModel,
    n_ctx: nCtx,
    n_heads: nHeads,
    d_head: dHead,
    d_mlp: dMlp,
    d_vocab: dVocab,
    act_fn: 'gelu_new',
    normalization_type: 'LN',
  };
  const shapes: Record<string, number[]> = { 'embed.W_E': [dVocab, dModel], 'pos_embed.W_pos': [nCtx, dModel] };
  for (const block of ['blocks.0', 'blocks.1']) {
    for (const norm of ['ln1', 'ln2']) {
      shapes[`${block}.${norm}.w`] = [dModel];
      shapes[`${block}.${norm}.b`] = [dModel];
    }
    for (const letter of ['Q', 'K', 'V']) {
      shapes[`${block}.attn.W_${letter}`] = [nHeads, dModel, dHead];
      shapes[`${block}.attn.b_${letter}`] = [nHeads, dHead];
    }
    shapes[`${block}.attn.W_O`] = [nHeads, dHead, dModel];
    shapes[`${block}.attn.b_O`] = [dModel];
    shapes[`${block}.mlp.W_in`] = [dModel, dMlp];
    shapes[`${block}.mlp.b_in`] = [dMlp];
    shapes[`${block}.mlp.W_out`] = [dMlp, dModel];
    shapes[`${block}.mlp.b_out`] = [dModel];
  }
  shapes['ln_final.w'] = [dModel];
  shapes['ln_final.b'] = [dModel];
  shapes['unembed.W_U'] = [dModel, dVocab];
  shapes['unembed.b_U'] = [dVocab];

  const random = randomNumbers();
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b)).map(() => random());
    return [name, { shape, data }];
  });
  return { config, tensors: Object.fromEntries(tensors) };
}

/** Uniform in [−½, ½), always the same: a linear congruential generator (Numerical Recipes, "quick and dirty"). */
function randomNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
}

/** Runs the check on a device. Whatever goes wrong is a problem in the result, not an exception. */
export async function checkDevice(device: GPUDevice, signal: AbortSignal): Promise<CheckResult> {
  const start = performance.now();
  const done = (values: number, problems: readonly string[]): CheckResult => {
    return { ok: problems.length === 0, values, problems, elapsedMs: performance.now() - start };
  };
  try {
    const small = checkModel();
    const model = await Model.load(small, { device, signal });
    try {
      const first = await readAll(model, 'fast');
      const second = await readAll(model, 'fast');
      const weights = new Map(Object.entries(small.tensors).map(([name, { data }]) => [name, data]));
      // With the engine's own values given, each bound is that of one operation.
      const reference = referenceForward(model.config, weights, [TOKENS], first);
      const emulated = new Map(
        [...emulateForward(model.config, weights, [TOKENS])].map(([name, { data }]) => [name, data]),
      );
      return done(reference.size, [
        ...compareWithReference(first, reference),
        ...compareBits(first, second, 'two runs of the same tokens differ'),
        ...compareBits(
          emulated,
          await readAll(model, 'reproducible'),
          'reproducible bits differ from the emulated ones',
        ),
      ]);
    } finally {
      model.destroy();
    }
  } catch (error) {
    signal.throwIfAborted();
    return done(0, [error instanceof Error ? error.message : String(error)]);
  }
}

async function readAll(model: Model, numerics: Numerics): Promise<Map<string, Float32Array>> {
  const { cache } = await model.runWithCache(TOKENS, { numerics });
  try {
    return await readCache(cache);
  } finally {
    cache.destroy();
  }
}

async function readCache(cache: ActivationCache): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const name of cache.names) values.set(name, (await cache.read(name)).data);
  return values;
}

/** Every value against its float64 truth and its error bound; a NaN is outside of every bound. */
export function compareWithReference(
  values: ReadonlyMap<string, Float32Array>,
  reference: ReadonlyMap<string, ReferenceValue>,
): string[] {
  const problems: string[] = [];
  for (const [name, { data, bound }] of reference) {
    const value = values.get(name);
    if (value?.length !== data.length) {
      problems.push(`${name}: expected ${data.length} numbers, got ${value?.length ?? 'none'}`);
      continue;
    }
    const isWrong = (x: number, i: number) => !(x === data[i] || Math.abs(x - data[i]) <= bound[i]);
    const i = value.findIndex(isWrong);
    if (i < 0) continue;
    const count = value.filter(isWrong).length;
    problems.push(
      `${name}: ${count} of ${data.length} numbers are wrong, the first is element ${i}: expected ${data[i]} ± ${bound[i]}, got ${value[i]}`,
    );
  }
  return problems;
}

/** `problem` for every value that has other bits. */
export function compareBits(
  first: ReadonlyMap<string, Float32Array>,
  second: ReadonlyMap<string, Float32Array>,
  problem: string,
): string[] {
  const bits = (data: Float32Array | undefined) => data && new Uint32Array(data.buffer, data.byteOffset, data.length);
  return [...first.keys()].flatMap((name) => {
    const [a, b] = [bits(first.get(name)), bits(second.get(name))];
    const isSame = a !== undefined && b?.length === a.length && a.every((word, i) => word === b[i]);
    return isSame ? [] : [`${name}: ${problem}`];
  });
}
