// What `hyaline diff` prints for people: a first line that says where the files part, then a table of all values.
import type { ValueComparison } from '../index.ts';
import type { DiffReport } from './diff.ts';
import { type Column, formatTable, shortestFloat32 } from './text.ts';

export function formatDiff(report: DiffReport): string {
  const { files, values, onlyInA, onlyInB } = report;
  const lines = [verdict(report), ...counts(values), '', `a  ${files.a}`, `b  ${files.b}`];
  if (values.length > 0) lines.push('', formatValues(values));
  lines.push(...missing('a', onlyInA), ...missing('b', onlyInB));
  return lines.join('\n');
}

const hasOtherNumbers = ({ problem, differing }: ValueComparison) => problem !== null || differing > 0;
const hasOtherDtypes = ({ problem, dtypes }: ValueComparison) => problem === null && dtypes.a !== dtypes.b;

function verdict({ first, values, onlyInA, onlyInB }: DiffReport): string {
  if (first) return `first difference: ${describeFirst(first)}`;
  if (values.length === 0) return 'no value is in both files';
  const all = `all ${countOf(values.length)}${onlyInA.length + onlyInB.length > 0 ? ' that both files have' : ''}`;
  if (values.every(({ same }) => same)) return `same bits in ${all}`;
  return `same numbers as float32 in ${all}, but not the same dtypes`;
}

function counts(values: readonly ValueComparison[]): string[] {
  const [numbers, dtypes] = [hasOtherNumbers, hasOtherDtypes].map((differs) => values.filter(differs).length);
  const lines: string[] = [];
  if (numbers > 0) lines.push(`${numbers} of ${countOf(values.length)} ${numbers === 1 ? 'differs' : 'differ'}`);
  if (dtypes > 0) lines.push(`${countOf(dtypes)} with different dtypes: their numbers are compared as float32`);
  return lines;
}

function describeFirst({ name, problem, dtypes, first }: ValueComparison): string {
  if (!first) return `${name}: ${problem}`;
  const [a, b] = [formatElement(first.a, dtypes), formatElement(first.b, dtypes)];
  const apart = Number.isNaN(first.ulp) ? '' : `, ${first.ulp} ULP`;
  return `${name} [${first.index.join(', ')}]: ${a} (${first.aBits}) and ${b} (${first.bBits})${apart}`;
}

function formatValues(values: readonly ValueComparison[]): string {
  const rows = values.map((value) => {
    const { name, shapes, elements, differing, first, dtypes, medianUlp, maxUlp, maxAbs, problem } = value;
    const distances = [String(medianUlp), String(maxUlp), maxAbs === 0 ? '0' : maxAbs.toExponential(1)];
    return [
      name,
      `[${shapes.a.join(', ')}]`,
      problem === null ? `${differing}/${elements}` : '',
      first ? `[${first.index.join(', ')}]` : '',
      first ? formatElement(first.a, dtypes) : '',
      first ? formatElement(first.b, dtypes) : '',
      ...(problem === null ? distances : ['', '', '']),
      notes(value),
    ];
  });
  const heading = ['value', 'shape', 'differing', 'first at', 'a', 'b', 'median ULP', 'max ULP', 'max abs', ''];
  const columns: Column[] = ['left', 'left', 'right', 'left', 'right', 'right', 'right', 'right', 'right', 'left'];
  return formatTable([heading, ...rows], columns);
}

/** What the numbers do not say. */
function notes(value: ValueComparison): string {
  const { problem, dtypes, nanOnOneSide } = value;
  const dtypeNote = hasOtherDtypes(value) ? `${dtypes.a} and ${dtypes.b}` : null;
  const nanNote = nanOnOneSide > 0 ? `${nanOnOneSide} NaN on one side` : null;
  return [problem ?? dtypeNote, nanNote].filter((note) => note !== null).join('; ');
}

/** With as many digits as tell it from its neighbours. */
function formatElement(x: number, dtypes: ValueComparison['dtypes']): string {
  if (Object.is(x, -0)) return '-0';
  const isWide = dtypes.a === dtypes.b && !['F32', 'F16', 'BF16'].includes(dtypes.a);
  return isWide ? String(x) : shortestFloat32(x);
}

function missing(side: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  return ['', `only in ${side}: ${countOf(names.length)}`, ...names.map((name) => `  ${name}`)];
}

function countOf(values: number): string {
  return values === 1 ? '1 value' : `${values} values`;
}
