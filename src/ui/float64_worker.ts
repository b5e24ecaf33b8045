// The worker that computes a prompt's values in float64, which would stop the page for seconds. It reads the page's model once more, on the
// CPU, and keeps the values of its last pass: another value of the same prompt comes at once.
import { readWeights, referenceForward } from '../index.ts';
import type { Float64Reply, Float64Request } from './float64_client.ts';

type Weights = Awaited<ReturnType<typeof readWeights>>;

let weights: Promise<Weights> | null = null;
let pass: { readonly tokens: string; readonly values: ReadonlyMap<string, Float64Array> } | null = null;
let turn: Promise<unknown> = Promise.resolve();

addEventListener('message', ({ data }: MessageEvent<Float64Request>) => {
  turn = turn.then(() => answer(data));
});

async function answer(request: Float64Request): Promise<void> {
  const reply = (what: Float64Reply) => postMessage(what);
  const { id } = request;
  try {
    reply({ id, data: await float64Value(request) });
  } catch (error) {
    reply({ id, message: error instanceof Error ? error.message : String(error) });
  }
}

async function float64Value({ location, config, tokens, name }: Float64Request): Promise<Float64Array> {
  weights ??= readWeights(location);
  weights.catch(() => {
    weights = null; // it may work the next time
  });
  const key = tokens.join();
  if (pass?.tokens !== key) {
    pass = null;
    const values = referenceForward(config, await weights, [[...tokens]]);
    pass = { tokens: key, values: new Map(Array.from(values, ([name, { data }]) => [name, data])) };
  }
  const data = pass.values.get(name);
  if (!data) throw new Error(`The float64 pass has no value ${name}.`);
  return data;
}
