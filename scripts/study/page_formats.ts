// The part of docs/precision.md on smaller number formats: tables of number_formats.ts and what they say.
import { markdownTable } from '../hook_table.ts';
import type { Change, MovedLogits, TaskChange } from './number_formats.ts';
import { kindOf, layerOf, percent, scientific } from './page_numbers.ts';
import { signTest } from './statistics.ts';
import { ALL, EACH_FORMAT, type ModelResult, PARTS_FORMAT, type StudyResult, type Variant } from './study.ts';
import { isRightOrWrong, type ScoreKind, scoreInterval } from './tasks.ts';

const SCORED: Readonly<Record<ScoreKind, string>> = {
  first: 'most probable token',
  preferred: 'above the wrong ones',
  likelier: 'likelier than the wrong ones',
  probability: 'probability',
  share: "share of the candidates'",
};

/** Half of the last digit that the model card's figures have. */
const CARD_ROUNDING = 0.00005;

export function formatsSection({ measured, unchanged, variants, models }: StudyResult): string {
  const results = measured.tasks.map(({ task, results: all, score }) => {
    const { low, high } = scoreInterval(
      task.score,
      all.map((result) => result.score),
    );
    const agrees = low - CARD_ROUNDING <= task.published && task.published <= high + CARD_ROUNDING;
    return { task, score, low, high, count: all.length, agrees };
  });
  const outside = results.filter(({ agrees }) => !agrees).map(({ task }) => task.name);
  const lines = results.map(({ task, score, low, high, count }) => [
    ...[task.name, SCORED[task.score], percent(task.published), String(task.n), percent(score), String(count)],
    `${percent(low)}–${percent(high)}`,
  ]);
  const head = ['task', 'scored by', 'model card, %', 'of', 'here, %', 'of', '95 % interval'];
  return `## Smaller number formats

Weights, or values, are rounded to what another format holds; arithmetic stays float32. To nearest, ties to even, beyond the largest
number that; int8 has one scale for each output channel of a weight.

### The tasks in float32

circuit-zoo's held-out tasks on ${unchanged.prompts} prompts, an even sample of those that its model card was measured on. The interval is Wilson's where a
prompt is right or wrong, that of a mean otherwise. ${outside.length === 0 ? `All ${results.length} intervals hold the card's figure.` : `Intervals that do not hold the card's figure: ${outside.join(', ')}.`}

${markdownTable([head, ...lines])}

### Weights, and values too, in fewer bits

*first*: prompts with another most probable next token than in float32; *divergence*: Kullback–Leibler, of the next token's
distribution from float32's, in nats, mean and largest; *IO − S*: mean logit difference of the indirect object prompts; then, on
blocks of 50 random tokens and their repetition: loss on the second block (nats per token), mean attention of the previous-token head
0.3 to the token before and of the induction heads 1.1, 1.2, 1.3 to the token after the last occurrence, and the largest change
of any entry of these four patterns.

${formatTable(unchanged, variants)}

${whatBreaks(variants)}

${partsText(variants)}

### Task by task

Score in percent; in brackets prompts that became wrong and right. Bold where a sign test says that this is no accident (p < 0.05, for
one task; with as many tasks as here one in twenty would be bold by accident).

${taskTable(unchanged, variants)}

### One value at a time in ${EACH_FORMAT}

Weights are exact, one value of the run is rounded: RMS of the logits' change over RMS of the logits, in units of ${EACH_FORMAT}'s unit
roundoff, 2⁻⁸. What a value costs here is what float32's rounding of it costs above, scaled.

${models.map(eachValue).join('\n\n')}`;
}

export const nameOf = ({ part, format, values }: Variant) =>
  `${part === ALL ? 'all weights' : part}${values ? ' and values' : ''}, ${format}`;

function formatTable(unchanged: Change, variants: readonly Variant[]): string {
  const heads = [...unchanged.attention.keys()];
  const row = (name: string, parameters: string, change: Change) => [
    name,
    parameters,
    String(change.otherFirst),
    scientific(change.meanDivergence),
    scientific(change.maxDivergence),
    change.logitDifference.toFixed(2),
    change.loss.toFixed(4),
    ...heads.map((head) => (change.attention.get(head) ?? Number.NaN).toFixed(3)),
    largestEntry(change).toFixed(4),
  ];
  const head = [
    'rounded',
    'parameters',
    `first, of ${unchanged.prompts}`,
    'divergence',
    'largest',
    'IO − S',
    'loss',
    ...heads,
    'entry',
  ];
  return markdownTable([
    head,
    row('nothing', '', unchanged),
    ...variants.map((variant) => row(nameOf(variant), String(variant.parameters), variant.change)),
  ]);
}

/** Of the patterns of the heads that are looked at. */
export function largestEntry({ largestPatternChange }: Change): number {
  return Math.max(...largestPatternChange.values());
}

const changedByAccident = ({ lost, gained }: TaskChange) => !(signTest(lost, gained) < 0.05);

/** Tasks that are right or wrong, and more often wrong than before by no accident. */
export function brokenTasks({ tasks }: Change): TaskChange[] {
  return tasks.filter((task) => isRightOrWrong(task.kind) && task.lost > task.gained && !changedByAccident(task));
}

function whatBreaks(variants: readonly Variant[]): string {
  const lines = variants
    .filter(({ part }) => part === ALL)
    .map((variant) => {
      const { tasks } = variant.change;
      const counted = tasks.filter(({ kind }) => isRightOrWrong(kind));
      const total = (of: 'lost' | 'gained') => String(counted.reduce((sum, task) => sum + task[of], 0));
      const moved = [...tasks].sort((a, b) => b.divergence - a.divergence);
      return [
        nameOf(variant),
        total('lost'),
        total('gained'),
        brokenTasks(variant.change)
          .map(({ name }) => name)
          .join('; ') || 'none',
        ...moved.slice(0, 3).map(({ name, divergence }) => `${name} (${scientific(divergence)})`),
      ];
    });
  return `What breaks first: prompts of the tasks with right and wrong answers that became wrong and right, tasks that lost more than accident
explains (the test below), and the three tasks whose predictions moved most (mean divergence).

${markdownTable([['rounded', 'wrong', 'right', 'broken', 'moved most', '', ''], ...lines])}`;
}

/** Which part of the weights does it. */
function partsText(variants: readonly Variant[]): string {
  const parts = variants.filter(({ part }) => part !== ALL);
  const whole = variants.find(({ part, format, values }) => part === ALL && format === PARTS_FORMAT && !values);
  const parameters = whole?.parameters ?? Number.NaN;
  const sorted = [...parts].sort((a, b) => b.change.meanDivergence - a.change.meanDivergence);
  const text = sorted.map(({ part, parameters: of, change }) => {
    return `${part} ${scientific(change.meanDivergence)} (${percent(of / parameters)} % of the parameters)`;
  });
  const onHeads = [...parts].sort((a, b) => largestEntry(b.change) - largestEntry(a.change))[0];
  return `In ${PARTS_FORMAT} one part at a time, by divergence: ${text.join(', ')}; all of them ${scientific(whole?.change.meanDivergence ?? Number.NaN)}. The four heads'
patterns move most with the ${onHeads.part}. (Embeddings serve both ends: a token's vector is also what its logit is made with.)`;
}

function taskTable(unchanged: Change, variants: readonly Variant[]): string {
  const shown = variants.filter(({ part }) => part === ALL);
  const cell = (task: TaskChange) => {
    if (!isRightOrWrong(task.kind)) return percent(task.score);
    const change = task.lost + task.gained === 0 ? '' : ` (−${task.lost} +${task.gained})`;
    const text = `${percent(task.score)}${change}`;
    return changedByAccident(task) ? text : `**${text}**`;
  };
  const lines = unchanged.tasks.map((task, i) => [
    task.name,
    percent(task.score),
    ...shown.map(({ change }) => cell(change.tasks[i])),
  ]);
  const head = shown.map(({ format, values }) => `${format}${values ? ' + values' : ''}`);
  return markdownTable([['task', 'float32', ...head], ...lines]);
}

const BF16_UNIT = 2 ** -8;

function eachValue({ model, rounded, orders }: ModelResult): string {
  const text = ({ relativeRms }: MovedLogits) => (relativeRms / BF16_UNIT).toFixed(2);
  const values = rounded.filter(({ name }) => !name.startsWith('all '));
  const layers = [...new Set(values.map(({ name }) => layerOf(name)))].filter((layer) => layer !== null);
  const kinds = [...new Set(values.filter(({ name }) => layerOf(name) !== null).map(({ name }) => kindOf(name)))];
  const find = (kind: string, layer: number) =>
    values.find(({ name }) => kindOf(name) === kind && layerOf(name) === layer);
  const lines = kinds.map((kind) => [
    `\`${kind}\``,
    ...layers.map((layer) => {
      const one = find(kind, layer);
      return one ? text(one) : '';
    }),
  ]);
  const outside = values.filter(({ name }) => layerOf(name) === null);
  const all = rounded.filter(({ name }) => name.startsWith('all '));
  const most = [...values].sort((a, b) => b.relativeRms - a.relativeRms).slice(0, 4);
  return `#### ${model} (${orders.tokens} tokens)

${markdownTable([['value', ...layers.map((layer) => `block ${layer}`)], ...lines])}

Outside of the blocks: ${outside.map((one) => `\`${one.name}\` ${text(one)}`).join(', ')}. Together: ${all.map((one) => `${one.name} ${text(one)}`).join(', ')}.
Most: ${most.map((one) => `\`${one.name}\` ${text(one)}`).join(', ')}.`;
}
