// What `hyaline numerics` prints for people.
import type { Findings, NumericsMap, NumericsValue, Predictions } from '../index.ts';
import type { NumericsCommandReport } from './numerics.ts';
import { type Column, formatNumber, formatTable } from './text.ts';
import { describeModel, describeTokens, describeWeights, MAX_ROWS } from './trace_text.ts';

export function formatNumerics(report: NumericsCommandReport, asMap: boolean): string {
  const { tokens, timing, findings, predictions, map, values } = report;
  const lines = [
    `adapter  ${report.adapter}`,
    `model    ${describeModel(report.model)}`,
    `numerics ${report.numerics}`,
    ...describeWeights(report.weights),
    `time     loaded in ${timing.loadMs.toFixed(0)} ms, compared in ${timing.reportMs.toFixed(0)} ms`,
    '',
  ];
  const shown = Math.min(tokens.length, MAX_ROWS);
  for (let row = 0; row < shown; row++) lines.push(describeTokens(report, row));
  if (shown < tokens.length) lines.push(`… and ${tokens.length - shown} more rows (--json has all)`);
  lines.push('', asMap ? formatMap(map) : formatValues(values, tokens.length), '');
  lines.push(...describeFindings(findings), ...describePredictions(predictions, tokens.length));
  return lines.join('\n');
}

/** Errors as they are told everywhere here: two digits. */
function small(error: number | null): string {
  if (error === null) return '-';
  return error === 0 ? '0' : error.toExponential(1);
}

function short(figure: number | null): string {
  if (figure === null) return '-';
  const isPlain = figure === 0 || (Math.abs(figure) >= 1e-3 && Math.abs(figure) < 1e6);
  return isPlain ? formatNumber(Number(figure.toPrecision(3))) : figure.toExponential(1);
}

function formatValues(values: readonly NumericsValue[], rows: number): string {
  const lines = values.map((value) => [
    value.name,
    small(value.error.relativeRms),
    ...(value.weights ? [small(value.weights.relativeRms)] : []),
    short(value.ulps.median),
    short(value.ulps.max),
    value.local.share === null ? '-' : value.local.share.toFixed(3).replace(/^-(0\.0*)$/, '$1'),
    short(value.amplification),
    short(value.localBound.ratio),
    describeWorst(value, rows),
    remarks(value),
  ]);
  const weights = values.some((value) => value.weights) ? ['of weights'] : [];
  const figures = ['error', ...weights, 'median ULP', 'max ULP', 'own part', 'inherited', 'of bound'];
  const heading = ['value', ...figures, 'worst at', ''];
  const numbers = figures.map((): Column => 'right');
  return formatTable([heading, ...lines], ['left', ...numbers, 'left', 'left']);
}

function describeWorst({ worstPositions: [worst] }: NumericsValue, rows: number): string {
  return worst === undefined ? '-' : describePosition(worst, rows);
}

function describePosition(
  { row, pos, text }: { readonly row: number; readonly pos: number; readonly text: string | null },
  rows: number,
): string {
  return `${rows > 1 ? `${row}, ` : ''}${pos}${text === null ? '' : ` ${JSON.stringify(text)}`}`;
}

/** What a reader of the figures must know of the elements that they leave out. */
function remarks({ counts, localBound, aliasOf }: NumericsValue): string {
  const amounts = [
    { count: counts.nan, word: 'NaN' },
    { count: counts.infinite, word: 'infinite' },
    { count: counts.unreferenced, word: 'without a float64 number' },
    { count: localBound.outside, word: 'OUTSIDE THE BOUND' },
    { count: localBound.unbounded, word: 'without a bound' },
    { count: counts.masked, word: 'masked' },
  ];
  return [
    ...amounts.filter(({ count }) => count > 0).map(({ count, word }) => `${count} ${word}`),
    ...(aliasOf === null ? [] : [`is ${aliasOf}`]),
  ].join(', ');
}

function formatMap({ figure, layers, rows, outside }: NumericsMap): string {
  const say = figure === 'relativeRms' || figure === 'localRms' || figure === 'inheritedRms' ? small : short;
  const columns: Column[] = ['left', ...layers.map(() => 'right' as const)];
  const inside = formatTable(
    [[figure, ...layers.map((layer) => `block ${layer}`)], ...rows.map(({ name, cells }) => [name, ...cells.map(say)])],
    columns,
  );
  if (outside.length === 0) return inside;
  const rest = formatTable([[figure, ''], ...outside.map(({ name, cell }) => [name, say(cell)])], ['left', 'right']);
  return rows.length === 0 ? rest : `${inside}\n\n${rest}`;
}

function describeFindings(findings: Findings): string[] {
  const { notFinite, outsideBound, closestToBound, mostLocal, mostAmplified } = findings;
  const lines: string[] = [];
  for (const { name, count, made } of notFinite.slice(0, 1)) {
    const origin = made > 0 ? `${made} made there from finite numbers` : 'all from its inputs';
    const what = `${name} holds ${count} NaN or infinite ${count === 1 ? 'element' : 'elements'}, ${origin}`;
    lines.push(`NOT FINITE: ${what}; ${others(notFinite.length - 1)}.`);
  }
  if (outsideBound.length > 0) {
    const what = `${outsideBound[0]} has elements that are not within the error bound of its operation`;
    lines.push(`OUTSIDE: ${what}; ${others(outsideBound.length - 1)}.`);
  } else if (closestToBound !== null) {
    const { name, ratio } = closestToBound;
    lines.push(
      `Every value is within the error bound of its operation. ${name} comes closest, to ${short(ratio)} of it.`,
    );
  }
  const own = mostLocal.map(({ name, relativeRms }) => `${name} (${small(relativeRms)})`);
  if (own.length > 0) lines.push(`Operations add most error, in units of the value's size, in ${listed(own)}.`);
  const grown = mostAmplified.filter(({ amplification }) => amplification > 1);
  const places = grown.map(({ name, amplification }) => `${name} (×${short(amplification)})`);
  if (places.length > 0) lines.push(`Relative errors of the inputs grow most in ${listed(places)}.`);
  return lines;
}

const others = (count: number) => (count === 0 ? 'no other value does' : `so do ${count} more`);

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function describePredictions(predictions: Predictions, rows: number): string[] {
  const { positions, changed, reordered, notFinite, closest, k, maxDivergence } = predictions;
  const told = positions.length - notFinite;
  const lines: string[] = [];
  if (notFinite > 0) lines.push(`NOT FINITE: ${notFinite} of ${positions.length} positions predict nothing.`);
  if (told === 0) return lines;
  const same =
    changed === 0
      ? told === 1
        ? 'at its one position'
        : `at all ${told} positions`
      : `at ${told - changed} of ${told} positions`;
  const order = reordered === 0 ? 'everywhere' : `at ${told - reordered} of them`;
  lines.push(`Float64 predicts the same next token ${same}, and the same first ${k} in the same order ${order}.`);
  if (closest?.marginInErrors != null) {
    const apart = `${short(closest.marginInErrors)} times its largest error apart`;
    lines.push(`The closest call is at ${describePosition(closest, rows)}: its first two logits lie ${apart}.`);
  }
  lines.push(`The divergence (KL) of these predictions from float64's is at most ${small(maxDivergence)} nats.`);
  return lines;
}
