// The part of docs/precision.md on the order of sums: tables of sum_orders.ts and what they say.
import { markdownTable } from '../hook_table.ts';
import { inUnits, percent, scientific } from './page_numbers.ts';
import { mean, meanInterval } from './statistics.ts';
import type { ModelResult } from './study.ts';
import { KERNELS, type Moved, QUANTILE, SEEDS } from './sum_orders.ts';

export function ordersSection(models: readonly ModelResult[]): string {
  return `## The order of sums

Whole passes in emulated float32 arithmetic, in which nothing but the order of sums differs: dot products, means and softmax's sums.
The kernels add segments of 8 in blocks of 64. *error*: RMS of the logits' error against float64 over RMS of the logits, in u; *moved*:
the same of their distance from the kernels'; *largest*: the largest change of a logit; *first*: positions with another most probable token.

${ordersTable(models)}

${ordersText(models)}

### Rounding by chance

Every product and sum rounded up or down by chance, so that it is right on average, in the kernels' order: ${SEEDS} seeds. Means over
seeds with their 95 % intervals (Student's); *error* and *largest* as above, of round to nearest as well. If rounding errors
were independent of one another and even in size, chance would make √2 of nearest's error. The last two columns: how many logits of
round to nearest, and of float64, lie in the interval in which one more seed would lie 95 times of 100.

${chanceTable(models)}`;
}

const isKernels = ([name]: readonly [string, Moved]) => name === KERNELS;

function ordersTable(models: readonly ModelResult[]): string {
  const lines = models.flatMap(({ model, orders }) =>
    orders.orders.map(([name, { error, distance, largest, otherFirst }]) => [
      `${model} (${orders.tokens} tokens)`,
      name,
      ...[inUnits(error), inUnits(distance), scientific(largest), String(otherFirst)],
    ]),
  );
  return markdownTable([['text', 'order', 'error', 'moved', 'largest', 'first'], ...lines]);
}

/** The order that is furthest from the kernels' on a text. */
export function furthest({ orders }: ModelResult): readonly [string, Moved] {
  return orders.orders.reduce((most, one) => (one[1].distance > most[1].distance ? one : most));
}

function ordersText(models: readonly ModelResult[]): string {
  const sentences = models.map((result) => {
    const [name, { distance, largest }] = furthest(result);
    const kernels = result.orders.orders.filter(isKernels)[0][1].error;
    const worst = Math.max(...result.orders.orders.map(([, { error }]) => error));
    const bf16 = result.rounded.find((moved) => moved.name === 'all weights')?.relativeRms ?? Number.NaN;
    return (
      `${result.model}: the order alone moves the logits by ${inUnits(distance)} u at most (${name}), a single one by ${scientific(largest)}; ` +
      `the worst order errs ${(worst / kernels).toFixed(1)} times as much as the kernels'. Weights in bf16 move the same logits ` +
      `${(bf16 / distance).toExponential(0)} times as far.`
    );
  });
  const areEngine = models.every(({ orders }) => orders.isEngine);
  return `${sentences.join('\n')}
The emulated kernels' logits are ${areEngine ? "the engine's own, bit for bit" : "NOT the engine's own on this adapter"}.`;
}

function chanceTable(models: readonly ModelResult[]): string {
  const lines = models.map(({ model, chance }) => {
    const [errors, largest] = [chance.seeds.map(({ error }) => error), chance.seeds.map((seed) => seed.largest)];
    const interval = (sample: number[], text: (x: number) => string) => {
      const { low, high } = meanInterval(sample, QUANTILE);
      return `${text(mean(sample))} (${text(low)}–${text(high)})`;
    };
    return [
      `${model} (${chance.tokens} tokens)`,
      inUnits(chance.nearest.error),
      interval(errors, inUnits),
      (mean(errors) / chance.nearest.error).toFixed(2),
      interval(largest, scientific),
      percent(chance.coversNearest),
      percent(chance.coversExact),
    ];
  });
  const head = [
    'text',
    'nearest: error',
    'chance: error',
    'times',
    'chance: largest',
    'nearest inside, %',
    'float64 inside, %',
  ];
  return markdownTable([head, ...lines]);
}
