// The page: it calls the engine in the worker as if it were here, and every answer is a promise.
import { wrap } from 'comlink';
import type { Engine } from './worker.ts';

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
const engine = wrap<Engine>(worker);
const model = await engine.load(new URL('circuit-zoo/', document.baseURI).href);
const run = await model.runWithCache('When Mary and John went to the store, John gave a drink to', {
  names: 'blocks.2.attn.hook_pattern',
});

for (const { text, probability } of await run.topTokens(5)) {
  const item = document.createElement('li');
  item.textContent = `${JSON.stringify(text)} ${probability.toFixed(4)}`;
  document.querySelector('ol')?.append(item);
}

const { data, shape } = await run.read('blocks.2.attn.hook_pattern'); // [batch, head_index, query_pos, key_pos]
const [, , queries, keys] = shape;
const end = 3 * queries * keys; // of the last query of head 2
const lastRow = [...data.subarray(end - keys, end)];
const key = lastRow.indexOf(Math.max(...lastRow));
(document.querySelector('output') as HTMLOutputElement).value = `${key} with ${lastRow[key].toFixed(4)}`;
await run.destroy();
