// What circuit-zoo does with its weights, or one kind of value, in a smaller number format: its tasks, its induction heads, its logits.
import {
  type HookEntry,
  type Model,
  type NumberFormat,
  round,
  type Tensor,
  type WeightNames,
} from '../../src/index.ts';
import { divergence } from '../../src/numerics/prediction_errors.ts';
import { type BlocksResult, runBlocks, runTasks, type TaskResult } from './run_tasks.ts';
import { largestDistance, mean, relativeDistance } from './statistics.ts';
import { logitDifference, mostProbable, type ScoreKind, type Task } from './tasks.ts';

/** A run of everything: tasks and repeated blocks. */
export interface Measured {
  readonly tasks: readonly TaskResult[];
  readonly blocks: BlocksResult;
}

export interface Inputs {
  readonly tasks: readonly Task[];
  readonly blocks: readonly (readonly number[])[];
}

export async function measureAll(
  model: Model,
  { tasks, blocks }: Inputs,
  hooks: readonly HookEntry[] = [],
): Promise<Measured> {
  return { tasks: await runTasks(model, tasks, hooks), blocks: await runBlocks(model, blocks, hooks) };
}

export interface Rounding {
  readonly weights: WeightNames;
  readonly format: NumberFormat;
  /** Whether every value of the runs is rounded as well. */
  readonly values: boolean;
}

/** The same with weights, and perhaps values, in another format. */
export async function measureRounded(
  model: Model,
  { weights, format, values }: Rounding,
  inputs: Inputs,
): Promise<Measured> {
  const rounded = await model.roundWeights(weights, format);
  try {
    return await measureAll(model, inputs, values ? [[ownValues(model), round(format)]] : []);
  } finally {
    rounded.restore();
  }
}

/** Values that are computed in a usual run and are no other name of one. */
function ownValues(model: Model): string[] {
  return model.hooks.filter(({ onDemand, aliasOf }) => !onDemand && aliasOf === null).map(({ name }) => name);
}

/** What changed between two runs of the same prompts. */
export interface Change {
  readonly tasks: readonly TaskChange[];
  /** Prompts that have another most probable next token, of all. */
  readonly otherFirst: number;
  readonly prompts: number;
  /** Kullback-Leibler divergence of the changed distribution from the first one, in nats per prompt. */
  readonly meanDivergence: number;
  readonly maxDivergence: number;
  /** Mean logit of the indirect object less that of the subject. */
  readonly logitDifference: number;
  readonly loss: number;
  /** By head. */
  readonly attention: ReadonlyMap<string, number>;
  readonly largestPatternChange: ReadonlyMap<string, number>;
}

export interface TaskChange {
  readonly name: string;
  readonly kind: ScoreKind;
  readonly score: number;
  /** Prompts whose score fell, and rose. */
  readonly lost: number;
  readonly gained: number;
  /** As `meanDivergence`, of the task's prompts. */
  readonly divergence: number;
}

export function changeOf(before: Measured, after: Measured): Change {
  const pairs = before.tasks.map(({ results }, task) =>
    results.map((result, i) => ({ before: result.logits, after: after.tasks[task].results[i].logits })),
  );
  const divergences = pairs.map((ofTask) =>
    ofTask.map((pair) => divergence({ engine: pair.after, exact: pair.before })),
  );
  const ioi = after.tasks.filter(({ task }) => task.name.startsWith('indirect object'));
  const differences = ioi.flatMap(({ results }) =>
    results.map(({ logits, prompt }) => logitDifference(logits, prompt)),
  );
  return {
    tasks: after.tasks.map(({ task, score, results }, i) => {
      const steps = results.map((result, at) => result.score - before.tasks[i].results[at].score);
      const count = (test: (step: number) => boolean) => steps.filter(test).length;
      const [lost, gained] = [count((step) => !(step >= 0)), count((step) => step > 0)];
      return { name: task.name, kind: task.score, score, lost, gained, divergence: mean(divergences[i]) };
    }),
    otherFirst: pairs.flat().filter((pair) => mostProbable(pair.before) !== mostProbable(pair.after)).length,
    prompts: pairs.flat().length,
    meanDivergence: mean(divergences.flat()),
    maxDivergence: divergences.flat().reduce((most, one) => Math.max(most, one), 0),
    logitDifference: mean(differences),
    loss: after.blocks.loss,
    attention: after.blocks.attention,
    largestPatternChange: new Map(
      [...after.blocks.patterns].map(([head, pattern]) => [
        head,
        largestDistance(pattern, before.blocks.patterns.get(head) ?? []),
      ]),
    ),
  };
}

/** How far a rounding moves the logits of a text. */
export interface MovedLogits {
  /** A value, `all values` or `all weights`. */
  readonly name: string;
  /** RMS of the change, in units of the logits' RMS. */
  readonly relativeRms: number;
  /** Mean over positions, in nats. */
  readonly divergence: number;
}

/** Rounds all weights, all values, and one value at a time: each that is not another's name. */
export async function roundEachValue(model: Model, tokens: number[], format: NumberFormat): Promise<MovedLogits[]> {
  const { logits: before } = await model.run([tokens]);
  const names = ownValues(model);
  const moved: MovedLogits[] = [];
  const rounded = await model.roundWeights(() => true, format);
  try {
    moved.push(movedLogits('all weights', before, (await model.run([tokens])).logits));
  } finally {
    rounded.restore();
  }
  for (const name of ['all values', ...names]) {
    const where = name === 'all values' ? names : name;
    const { logits } = await model.run([tokens], { hooks: [[where, round(format)]] });
    moved.push(movedLogits(name, before, logits));
  }
  return moved;
}

function movedLogits(name: string, before: Tensor, after: Tensor): MovedLogits {
  const [, pos, dVocab] = before.shape;
  const row = ({ data }: Tensor, position: number) => data.subarray(position * dVocab, (position + 1) * dVocab);
  const divergences = Array.from({ length: pos }, (_, position) =>
    divergence({ engine: row(after, position), exact: row(before, position) }),
  );
  return { name, relativeRms: relativeDistance(after.data, before.data), divergence: mean(divergences) };
}
