// The part of docs/precision.md on errors of float32 runs: tables of precision_loss.ts and what they say.
import { type NumericsFigure, type NumericsReport, type NumericsValue, numericsMap } from '../../src/index.ts';
import { markdownTable } from '../hook_table.ts';
import { inUnits, kindOf, layerOf, percent, spread } from './page_numbers.ts';
import type { BudgetEntry } from './precision_loss.ts';
import type { TextResult } from './study.ts';

export function lossSection(texts: readonly TextResult[]): string {
  return `## Where float32 loses precision

Each value's error against float64: RMS of the error over RMS of the true value, in u. *own*: what the value's own operation has of
that error, in percent; the rest came with its inputs. *×*: the relative error that came, over the largest relative error of an
input. One column for each block; other names of the same value are left out.

${texts.map(errorsOf).join('\n\n')}

### What amplifies, what damps

Means of × over blocks (geometric), with the least and the greatest; the three largest and the three smallest kinds of each text.

${amplificationTable(texts)}

A norm's scale damps because it is a mean over a whole vector, in which errors of either sign cancel; the stream damps because a
block adds its error to a sum that is larger than what the block adds.

${softmaxSection(texts)}

${scoresSection(texts)}

${budgetSection(texts)}`;
}

function errorsOf({ model, text, loss }: TextResult): string {
  const { report, tokens } = loss;
  const { changed, maxDivergence, closest } = report.predictions;
  const value = (name: string) => report.values.find((one) => one.name === name);
  return `### ${model}: ${text} (${tokens} tokens)

The logits are off by ${inUnits(value('logits')?.error.relativeRms)} u. ${changed === 0 ? 'No prediction changes' : `${changed} predictions change`}: the
closest decision is ${closest?.marginInErrors?.toPrecision(2)} times the largest error of its logits, and no distribution is further than ${maxDivergence?.toExponential(1)} nats from the true one.

${errorsTable(report)}

${outsideTable(report)}`;
}

const FIGURES: readonly (readonly [NumericsFigure, string, (figure: number | null) => string])[] = [
  ['relativeRms', 'u', inUnits],
  ['localShare', 'own', (share) => percent(share, 0)],
  ['amplification', '×', (x) => (x === null ? '' : x.toFixed(1))],
];

function ownValues({ values }: NumericsReport): NumericsValue[] {
  return values.filter(({ aliasOf }) => aliasOf === null);
}

function errorsTable(report: NumericsReport): string {
  const maps = FIGURES.map(([figure, , text]) => ({ ...numericsMap(ownValues(report), figure), text }));
  const [{ layers, rows }] = maps;
  const head = FIGURES.flatMap(([, name]) => layers.map((layer) => `${name} ${layer}`));
  const lines = rows.map(({ name }, row) => [
    `\`${name}\``,
    ...maps.flatMap((map) => map.rows[row].cells.map((cell) => map.text(cell))),
  ]);
  return markdownTable([['value', ...head], ...lines]);
}

function outsideTable(report: NumericsReport): string {
  const maps = FIGURES.map(([figure, , text]) => ({ ...numericsMap(ownValues(report), figure), text }));
  const lines = maps[0].outside.map(({ name }, row) => [
    `\`${name}\``,
    ...maps.map((map) => map.text(map.outside[row].cell)),
  ]);
  return markdownTable([['outside of the blocks', ...FIGURES.map(([, name]) => name)], ...lines]);
}

/** Amplifications of a report by kind of value, the largest mean first. */
export function amplifications(report: NumericsReport): { kind: string; mean: number; least: number; most: number }[] {
  const byKind = new Map<string, number[]>();
  for (const { name, amplification } of ownValues(report)) {
    if (amplification !== null && amplification > 0)
      byKind.set(kindOf(name), [...(byKind.get(kindOf(name)) ?? []), amplification]);
  }
  return [...byKind]
    .map(([kind, all]) => ({
      kind,
      mean: Math.exp(all.reduce((sum, x) => sum + Math.log(x), 0) / all.length),
      least: Math.min(...all),
      most: Math.max(...all),
    }))
    .sort((a, b) => b.mean - a.mean);
}

function amplificationTable(texts: readonly TextResult[]): string {
  const cell = ({ kind, mean, least, most }: ReturnType<typeof amplifications>[number]) =>
    `\`${kind}\` ${mean.toFixed(1)} (${least.toFixed(1)}–${most.toFixed(1)})`;
  const lines = texts.map(({ model, text, loss }) => {
    const kinds = amplifications(loss.report);
    return [`${model}: ${text}`, ...kinds.slice(0, 3).map(cell), ...kinds.slice(-3).map(cell)];
  });
  return markdownTable([['text', 'most', '', '', '', '', 'least'], ...lines]);
}

function softmaxSection(texts: readonly TextResult[]): string {
  const all = texts.flatMap(({ loss }) => loss.softmax);
  const worst = Math.max(...all.map(({ predicted, measured }) => Math.abs(predicted / measured - 1)));
  const bySize = all.map(({ predictedFromSize, measured }) => predictedFromSize / measured);
  const lines = texts.flatMap(({ model, text, loss }) =>
    loss.softmax.map(({ layer, scores, scoresError, measured, predicted, predictedFromSize }) => [
      `${model}: ${text}`,
      String(layer),
      scores.toFixed(1),
      inUnits(scoresError),
      inUnits(scoresError / scores),
      inUnits(measured),
      inUnits(predicted),
      inUnits(predictedFromSize),
      (measured / (scoresError / scores)).toFixed(1),
    ]),
  );
  const head = ['text', 'block', 'scores', 'their error', 'relatively', 'pattern', 'predicted', 'by size', '×'];
  return `### Why softmax amplifies

A probability is exp(score) over a sum of such: an absolute error δ of a score is a relative error δ of its probability. Float32 keeps
scores relatively exact, so the larger the scores, the larger δ; softmax does not divide by their size again. To first order a
probability p changes by p·(δ − Σpδ). The test: the pattern's error that this predicts from every score's error (*predicted*), beside
what float64's softmax of the engine's scores shows (*pattern*); and from the errors' size alone, as if they were independent
(*by size*). Scores and their error are RMS over what is not masked; all errors are in u.

${markdownTable([head, ...lines])}

The prediction is within ${(100 * worst).toPrecision(1)} % everywhere. Two factors make ×: how large the scores are, and how undecided the heads are: one that
gives all its attention to one key loses nothing. The size of the errors alone predicts ${spread(bySize)} times what is measured:
the errors of one query's scores are not independent.`;
}

function scoresSection(texts: readonly TextResult[]): string {
  const lines = texts.flatMap(({ model, text, loss }) =>
    loss.scores.map(({ layer, queries, keys, commonKey }) => [
      `${model}: ${text}`,
      String(layer),
      percent(commonKey, 0),
      ...[queries, keys].flatMap(({ change, common, pattern }) => [
        inUnits(change),
        percent(common, 0),
        inUnits(pattern),
      ]),
    ]),
  );
  const ratios = texts.map(({ model, text, loss }) => {
    const all = loss.scores.map(({ queries, keys }) => keys.pattern / queries.pattern);
    return `${spread(all)} times (${model}: ${text})`;
  });
  const shares = texts.map((one) => {
    const [queries, keys] = shareOfSides(one).map((share) => percent(share));
    return `${queries} and ${keys} % (${one.model}: ${one.text})`;
  });
  const head = ['text', 'block', 'common key'];
  const ofEach = ['queries', 'keys'].flatMap((side) => [`${side}: scores`, 'common', 'pattern']);
  return `### Keys need precision, queries do not

What the rounding of the queries alone, and of the keys alone (projection and, where there is one, rotation) does to the scores and to
the pattern, in u; which part of the scores' squared change is *common* to all keys of a query; and what the mean key of each head has
of its keys' squared lengths (*common key*), in percent.

${markdownTable([[...head, ...ofEach], ...lines])}

Both move the scores alike. But a query's error meets all of its keys: as far as these are alike, all scores of the query shift by the
same number, which softmax does not see. A key's error moves one score of each query by itself. So keys move the pattern more than
queries do: ${ratios.join(', ')}. Of the logits' error, queries and keys have ${shares.join(', ')}.`;
}

/** What the rounding of queries, and of keys, has of the logits' error. */
export function shareOfSides({ loss }: TextResult): number[] {
  return ['q', 'k'].map((side) => shareOf(loss.budget, [`attn.hook_${side}`, `attn.hook_rot_${side}`]));
}

/** What values of these kinds have of the logits' error. */
function shareOf(budget: readonly BudgetEntry[], kinds: readonly string[]): number {
  return budget.filter(({ name }) => kinds.includes(kindOf(name))).reduce((sum, { share }) => sum + share, 0);
}

/** Kinds with less than this of the logits' error stand together. */
const SHOWN = 0.015;

function budgetSection(texts: readonly TextResult[]): string {
  return `### What the logits' error is made of

The float64 pass that is given the engine's values up to one of them, less the pass that is given those before it: what this value's
rounding does to the logits, all that follows included. These changes add up to the logits' error; *share* is the part of the error
that a change is, ⟨change, error⟩ / ⟨error, error⟩, in percent. Kinds with less than ${percent(SHOWN)} % stand together.

${texts.map(budgetOf).join('\n\n')}`;
}

function budgetOf({ model, text, loss }: TextResult): string {
  const { budget, report } = loss;
  const layers = [...new Set(budget.map(({ name }) => layerOf(name)))].filter((layer) => layer !== null);
  const columns = [...layers, null];
  const kinds = [...new Set(budget.map(({ name }) => kindOf(name)))];
  const isShown = (kind: string) => Math.abs(shareOf(budget, [kind])) >= SHOWN;
  const row = (title: string, of: readonly BudgetEntry[]) => {
    const sum = (entries: readonly BudgetEntry[]) => entries.reduce((total, { share }) => total + share, 0);
    const cells = columns.map((layer) => of.filter(({ name }) => layerOf(name) === layer));
    return [title, ...cells.map((entries) => (entries.length === 0 ? '' : percent(sum(entries)))), percent(sum(of))];
  };
  const largestFirst = kinds.filter(isShown).sort((a, b) => shareOf(budget, [b]) - shareOf(budget, [a]));
  const others = budget.filter(({ name }) => !isShown(kindOf(name)));
  const most = [...budget].sort((a, b) => b.share - a.share).slice(0, 4);
  const error = report.values.find(({ name }) => name === 'logits')?.error.relativeRms ?? Number.NaN;
  const size = Math.sqrt(budget.reduce((sum, { relativeRms }) => sum + relativeRms ** 2, 0));
  const lines = [
    ...largestFirst.map((kind) =>
      row(
        `\`${kind}\``,
        budget.filter(({ name }) => kindOf(name) === kind),
      ),
    ),
    row('others', others),
    row('all', budget),
  ];
  return `#### ${model}: ${text}

${markdownTable([['share of', ...layers.map((layer) => `block ${layer}`), 'outside', 'all'], ...lines])}

Single values with most: ${most.map(({ name, share }) => `\`${name}\` ${percent(share)} %`).join(', ')}. Were all changes
independent, they would make an error of ${inUnits(size)} u; it has ${inUnits(error)} u.`;
}
