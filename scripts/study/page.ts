// docs/precision.md: the study's numbers as tables, and what they say. Sentences that depend on numbers are made from them.
import { brokenTasks, formatsSection, largestEntry, nameOf } from './page_formats.ts';
import { amplifications, lossSection, shareOfSides } from './page_loss.ts';
import { inUnits, percent, scientific, spread } from './page_numbers.ts';
import { furthest, ordersSection } from './page_orders.ts';
import { ALL, PARTS_FORMAT, type StudyResult, type TextResult } from './study.ts';

export function precisionPage(result: StudyResult): string {
  return `<!-- Written by "npm run study"; do not edit. -->

# Where precision goes

How exact a float32 run is, where its errors arise and what makes them grow; what smaller number formats do to a model whose circuits
are known; and what the order of sums changes by itself. The models are circuit-zoo (models/circuit-zoo) and stories260K
(karpathy/tinyllamas, which is not part of this repository${result.hasStories ? '' : ' and was not there for this page'}).

Runs are in reproducible mode, so their numbers are those of every adapter; the truth is the model in float64, from the same float32 weights.
u is float32's unit roundoff, 2⁻²⁴ ≈ 6.0e-8: what one rounding may cost relatively. Adapter: ${result.adapter} (in Node).

## In short

${shortSection(result)
  .map((line) => `- ${line}`)
  .join('\n')}

${lossSection(result.texts)}

${formatsSection(result)}

${ordersSection(result.models)}

## How it was made

\`npm run study\` writes this page, in minutes. Prompts and answers are in scripts/study/tasks.json (${result.how}).
What is measured is in scripts/study/precision_loss.ts, scripts/study/number_formats.ts and scripts/study/sum_orders.ts; scores are
those of models/circuit-zoo/recipe/evaluate.py.
`;
}

/** What a reader should take away, in numbers. */
function shortSection(result: StudyResult): string[] {
  return [...lossInShort(result.texts), ...formatsInShort(result), ordersInShort(result)];
}

const title = ({ model, text }: TextResult) => `${model}, ${text}`;

function lossInShort(texts: readonly TextResult[]): string[] {
  const errors = texts.map((one) => {
    const logits = one.loss.report.values.find(({ name }) => name === 'logits');
    return `${inUnits(logits?.error.relativeRms)} u (${title(one)})`;
  });
  const most = texts.map((one) => {
    const [{ kind, least, most }] = amplifications(one.loss.report);
    return `\`${kind}\` ×${least.toFixed(1)}–${most.toFixed(1)} (${title(one)})`;
  });
  const sides = texts.map((one) => {
    const [queries, keys] = shareOfSides(one);
    return `${percent(keys)} against ${percent(queries)} % (${title(one)})`;
  });
  const pattern = texts.flatMap(({ loss }) => loss.scores.map(({ queries, keys }) => keys.pattern / queries.pattern));
  return [
    `A float32 run errs by a few roundings: the logits' relative error is ${errors.join(', ')}.`,
    `What amplifies relative errors most: ${most.join(', ')}. Softmax turns a score's absolute error into a probability's relative one.`,
    `Rounding keys moves attention ${spread(pattern)} times as much as rounding queries, because softmax forgets what is common to all keys. ` +
      `Keys have more of the logits' error than queries: ${sides.join(', ')}.`,
  ];
}

function formatsInShort({ variants, unchanged }: StudyResult): string[] {
  const whole = variants.filter(({ part }) => part === ALL);
  const bf16 = whole.filter(({ format, values }) => format === 'bf16' && !values);
  const ofBf16 = bf16.map(({ change }) => {
    const shifts = [...change.attention].map(([head, score]) =>
      Math.abs(score - (unchanged.attention.get(head) ?? Number.NaN)),
    );
    const broken = brokenTasks(change).map(({ name }) => name);
    return (
      `Weights in bf16: ${broken.length === 0 ? 'no task gets worse' : `worse: ${broken.join(', ')}`}; mean attention of the induction and ` +
      `previous-token heads on their targets moves by ${Math.max(...shifts).toFixed(4)} at most, an entry of their patterns by ` +
      `${largestEntry(change).toFixed(3)} at most; KL divergence ${scientific(change.meanDivergence)} nats per prediction.`
    );
  });
  const broken = whole.filter(({ change }) => brokenTasks(change).length > 0);
  const first = broken.map(
    (variant) =>
      `${nameOf(variant)} (${brokenTasks(variant.change)
        .map(({ name }) => name)
        .join(', ')})`,
  );
  const parts = variants
    .filter(({ part }) => part !== ALL)
    .sort((a, b) => b.change.meanDivergence - a.change.meanDivergence)
    .map(({ part, parameters, change }) => `${part} ${scientific(change.meanDivergence)} nats (${parameters} numbers)`);
  return [
    ...ofBf16,
    `Tasks break in: ${first.join('; ') || 'none of the formats that were tried'}.`,
    `In ${PARTS_FORMAT} one part at a time: ${parts.join(', ')}.`,
  ];
}

function ordersInShort({ models }: StudyResult): string {
  const moved = models.map((result) => {
    const [name, { distance, largest, otherFirst }] = furthest(result);
    return `${inUnits(distance)} u, a single logit by ${scientific(largest)} (${result.model}, ${name}; ${otherFirst} other predictions)`;
  });
  return `The order of sums alone moves the logits by at most ${moved.join(', ')}.`;
}
