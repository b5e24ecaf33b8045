// The study of precision: runs everything on circuit-zoo and, where it is there, stories260K, and gives what docs/precision.md is made
// of. In reproducible mode, so that the numbers are those of every adapter. Needs a WebGPU adapter in Node; minutes.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeAdapter, Model, type NumberFormat, requestDevice, type WeightNames } from '../../src/index.ts';
import {
  type Change,
  changeOf,
  type Measured,
  type MovedLogits,
  measureAll,
  measureRounded,
  roundEachValue,
} from './number_formats.ts';
import { measurePrecisionLoss, type PrecisionLoss, type WeightedModel, withWeights } from './precision_loss.ts';
import { type ChanceEffects, measureChance, measureOrders, type OrderEffects } from './sum_orders.ts';
import { type StudyData, tokenizeTask } from './tasks.ts';

const IOI = 'When Mary and John went to the store, John gave a drink to';
const ONCE = 'Once upon a time';
/** Tokens that stories260K adds to that, and tokens of it for what takes long. */
const ADDED = 60;
const SHORT = 24;
const STORIES = '../shared/models/stories260K';

/** From fine to coarse. */
export const FORMATS: readonly NumberFormat[] = ['tf32', 'f16', 'bf16', 'int8', 'fp8_e4m3', 'fp8_e5m2'];
/** Rounded values need a pass each; int8's scale of each row takes minutes for that on a software adapter. */
export const VALUE_FORMATS: readonly NumberFormat[] = ['bf16', 'fp8_e4m3', 'fp8_e5m2'];
/** The format in which parts are rounded alone: the coarsest. */
export const PARTS_FORMAT: NumberFormat = 'fp8_e5m2';
export const ALL = 'all';
const PARTS: Readonly<Record<string, WeightNames>> = {
  [ALL]: () => true,
  'token and position embeddings': ['embed.*', 'pos_embed.*'],
  attention: 'blocks.*.attn.*',
  MLP: 'blocks.*.mlp.*',
  "norms' gains and biases": ['blocks.*.ln*', 'ln_final.*'],
};
export const EACH_FORMAT: NumberFormat = 'bf16';

/** What one text shows. */
export interface TextResult {
  readonly model: string;
  readonly text: string;
  readonly loss: PrecisionLoss;
}

/** circuit-zoo with some of its numbers rounded. */
export interface Variant {
  /** Weights that are: `all`, or a part. */
  readonly part: string;
  readonly format: NumberFormat;
  /** Whether the values of the runs are as well. */
  readonly values: boolean;
  /** Parameters that are rounded. */
  readonly parameters: number;
  readonly change: Change;
}

/** What is measured on a long and a short text of each model. */
export interface ModelResult {
  readonly model: string;
  readonly rounded: readonly MovedLogits[];
  readonly orders: OrderEffects;
  readonly chance: ChanceEffects;
}

export interface StudyResult {
  readonly adapter: string;
  /** How the prompts were made. */
  readonly how: string;
  readonly texts: readonly TextResult[];
  readonly models: readonly ModelResult[];
  readonly measured: Measured;
  readonly unchanged: Change;
  readonly variants: readonly Variant[];
  readonly hasStories: boolean;
}

/** @param log is told what is being measured */
export async function study(root: string, log: (line: string) => void): Promise<StudyResult> {
  const data: StudyData = JSON.parse(readFileSync(join(root, 'scripts/study/tasks.json'), 'utf8'));
  const device = await requestDevice();
  const adapter = describeAdapter(device).text;
  log(adapter);
  const open = async (path: string) =>
    withWeights(await Model.load(join(root, path), { device, numerics: 'reproducible' }));
  const zoo = await open('models/circuit-zoo');
  const hasStories = existsSync(join(root, STORIES));
  if (!hasStories) log(`${STORIES} is not there: the page will have circuit-zoo alone`);
  const stories = hasStories ? await open(STORIES) : null;
  try {
    const { tokenizer } = zoo.model;
    if (!tokenizer) throw new Error('study: models/circuit-zoo has no tokenizer.json.');
    const inputs = { tasks: data.tasks.map((task) => tokenizeTask(task, tokenizer)), blocks: data.blocks };
    log('circuit-zoo: tasks in float32');
    const measured = await measureAll(zoo.model, inputs);
    const variants: Variant[] = [];
    for (const { part, format, values } of roundings()) {
      log(`circuit-zoo: weights (${part})${values ? ' and values' : ''} in ${format}`);
      const weights = PARTS[part];
      const change = changeOf(measured, await measureRounded(zoo.model, { weights, format, values }, inputs));
      variants.push({ part, format, values, parameters: parametersOf(zoo, weights), change });
    }
    const ioi = zoo.model.toTokens(IOI);
    const story = zoo.model.toTokens(data.story);
    const once = stories && (await continued(stories.model, ONCE));
    const texts: TextResult[] = [];
    const measureText = async (weighted: WeightedModel, model: string, text: string, tokens: number[]) => {
      log(`${model}: errors of ${text}`);
      texts.push({ model, text, loss: await measurePrecisionLoss(weighted, tokens) });
    };
    await measureText(zoo, 'circuit-zoo', 'a story', story);
    await measureText(zoo, 'circuit-zoo', `“${IOI}”`, ioi);
    if (stories && once) await measureText(stories, 'stories260K', `“${ONCE} …”`, once);
    const models = [await measureModel('circuit-zoo', zoo, { long: story, short: ioi }, log)];
    if (stories && once) {
      models.push(await measureModel('stories260K', stories, { long: once, short: once.slice(0, SHORT) }, log));
    }
    const unchanged = changeOf(measured, measured);
    return { adapter, how: data.how, texts, models, measured, unchanged, variants, hasStories };
  } finally {
    device.destroy();
  }
}

function roundings(): Pick<Variant, 'part' | 'format' | 'values'>[] {
  const parts = Object.keys(PARTS).filter((part) => part !== ALL);
  return [
    ...FORMATS.map((format) => ({ part: ALL, format, values: false })),
    ...parts.map((part) => ({ part, format: PARTS_FORMAT, values: false })),
    ...VALUE_FORMATS.map((format) => ({ part: ALL, format, values: true })),
  ];
}

function parametersOf({ model, weights }: WeightedModel, names: WeightNames): number {
  return model.weightNames(names).reduce((sum, name) => sum + (weights.get(name)?.length ?? 0), 0);
}

async function measureModel(
  name: string,
  weighted: WeightedModel,
  { long, short }: { readonly long: number[]; readonly short: number[] },
  log: (line: string) => void,
): Promise<ModelResult> {
  log(`${name}: one value at a time in ${EACH_FORMAT}`);
  const rounded = await roundEachValue(weighted.model, long, EACH_FORMAT);
  log(`${name}: orders of sums`);
  const { logits } = await weighted.model.run([long]);
  const orders = measureOrders(weighted, long, logits.data);
  log(`${name}: stochastic rounding`);
  return { model: name, rounded, orders, chance: measureChance(weighted, short) };
}

/** A text's tokens and those that the model adds greedily. */
async function continued(model: Model, text: string): Promise<number[]> {
  const tokens = model.toTokens(text);
  for await (const { token } of model.generate(text, { maxNewTokens: ADDED })) tokens.push(token);
  return tokens;
}
