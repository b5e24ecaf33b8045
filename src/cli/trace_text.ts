// What `hyaline trace` prints for people.
import { type Column, formatNumber, formatTable } from './text.ts';
import type { TraceReport } from './trace.ts';

/** Rows of a batch that are shown; all of them are in `--json`. */
export const MAX_ROWS = 8;

export function formatTrace(report: TraceReport): string {
  const { model, tokens, timing } = report;
  const lines = [
    `adapter  ${report.adapter}`,
    `model    ${describeModel(model)}`,
    `numerics ${report.numerics}`,
    ...describeWeights(report.weights),
    `time     loaded in ${timing.loadMs.toFixed(0)} ms, ran in ${timing.runMs.toFixed(0)} ms`,
  ];
  if (report.interventions.length > 0) lines.push(`edited   ${report.interventions.join(' ')}`);
  const shown = Math.min(tokens.length, MAX_ROWS);
  for (let row = 0; row < shown; row++) lines.push('', ...formatRow(report, row));
  if (shown < tokens.length) lines.push('', `… and ${tokens.length - shown} more rows (--json has all)`);
  lines.push('', formatValues(report));
  if (report.digest) lines.push('', formatDigests(report.digest));
  return lines.join('\n');
}

/** One line. */
export function describeModel(model: TraceReport['model']): string {
  const { nHeads, nKeyValueHeads, normalizationType, positionalEmbeddingType } = model;
  const heads = nKeyValueHeads < nHeads ? `${nHeads} heads (${nKeyValueHeads} of keys and values)` : `${nHeads} heads`;
  const mlp = model.attnOnly ? 'no MLP' : `${model.gatedMlp ? 'gated ' : ''}${model.actFn} MLP of ${model.dMlp}`;
  const parts = [
    `${model.modelType}, ${model.nLayers} ${model.nLayers === 1 ? 'layer' : 'layers'}`,
    `d_model ${model.dModel}`,
    `${heads} of ${model.dHead}`,
    mlp,
    normalizationType ?? 'no norm',
    `${positionalEmbeddingType} positions`,
    `context ${model.nCtx}`,
    `vocabulary ${model.dVocab}`,
  ];
  return `${model.source} (${parts.join(', ')})`;
}

/** A line where matrices are not stored as they are; none otherwise. */
export function describeWeights(weights: TraceReport['weights']): string[] {
  return weights === 'f32' ? [] : [`weights  ${weights}`];
}

function formatRow({ tokens, tokenTexts, top }: TraceReport, row: number): string[] {
  const lines = [describeTokens({ tokens, tokenTexts }, row)];
  if (top[row].length === 0) return [...lines, 'no next token: the logits are not finite'];
  const table = top[row].map(({ id, text, probability, logit }) => [
    String(id),
    ...(tokenTexts ? [JSON.stringify(text)] : []),
    probability >= 1e-4 ? probability.toFixed(6) : probability.toExponential(2),
    logit.toFixed(4),
  ]);
  const heading = ['next', ...(tokenTexts ? ['token'] : []), 'probability', 'logit'];
  const columns: Column[] = ['right', ...(tokenTexts ? ['left' as const] : []), 'right', 'right'];
  return [...lines, formatTable([heading, ...table], columns)];
}

/** One row of the input: how many tokens, and which. */
export function describeTokens(
  { tokens, tokenTexts }: Pick<TraceReport, 'tokens' | 'tokenTexts'>,
  row: number,
): string {
  const name = tokens.length > 1 ? `row ${row}, ` : '';
  const texts = tokenTexts?.[row].map((text) => JSON.stringify(text)) ?? tokens[row].map(String);
  const count = `${texts.length} ${texts.length === 1 ? 'token' : 'tokens'}`;
  return `${name}${count}: ${texts.join(' ')}`;
}

function formatValues({ values }: TraceReport): string {
  const rows = values.map(({ name, shape, stats }) => [
    name,
    `[${shape.join(', ')}]`,
    ...[stats.mean, stats.std, stats.min, stats.max, stats.norm].map(formatNumber),
    leftOut(stats),
  ]);
  const heading = ['value', 'shape', 'mean', 'std', 'min', 'max', 'norm', ''];
  return formatTable([heading, ...rows], ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'left']);
}

/** All together in the last line. */
function formatDigests({ values, total }: NonNullable<TraceReport['digest']>): string {
  const rows = values.map(({ name, shape, sha256 }) => [name, `[${shape.join(', ')}]`, sha256]);
  const last = [`all ${values.length} values`, '', total];
  return formatTable([['value', 'shape', 'SHA-256'], ...rows, last], ['left', 'left', 'left']);
}

/** The elements that the statistics leave out. */
function leftOut({ nanCount, infiniteCount, maskedCount }: TraceReport['values'][number]['stats']): string {
  const counts = [
    { count: nanCount, word: 'NaN' },
    { count: infiniteCount, word: 'infinite' },
    { count: maskedCount, word: 'masked' },
  ];
  return counts
    .filter(({ count }) => count > 0)
    .map(({ count, word }) => `${count} ${word}`)
    .join(', ');
}
