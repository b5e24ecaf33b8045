// Which heads does an answer need? Each is set to zero in turn; all copies of the prompt run as one batch.
import { Model, sweep, topTokens, zeroAblate } from 'hyaline';

const prompt = 'When Mary and John went to the store, John gave a drink to';
const model = await Model.load(new URL('../../models/circuit-zoo', import.meta.url));

const { logits } = await model.run(prompt, { logits: 'last' });
const [{ text, probability }] = topTokens(model, logits, 1);
console.log(JSON.stringify(text), probability.toFixed(4));

const { nLayers, nHeads } = model.config;
const heads = Array.from({ length: nLayers * nHeads }, (_, i) => [Math.floor(i / nHeads), i % nHeads]);
const copies = heads.map(([layer, head]) => [[`blocks.${layer}.attn.hook_z`, zeroAblate({ head })]]);
const [mary, john] = [' Mary', ' John'].map((name) => model.toTokens(name, { prependBos: false })[0]);
const { data } = await sweep(model, prompt, copies, { metric: { tokens: [mary, john] } });

console.log('logit of " Mary" less that of " John" without a head:');
for (const [i, [layer, head]] of heads.entries()) console.log(`  block ${layer}, head ${head}: ${data[i].toFixed(2)}`);
model.destroy();
