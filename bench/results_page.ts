// RESULTS.md: each result's findings and table stand between two marks, which name its file. `npm run bench -- --results` writes the part between
// them; what is said around it is written by hand.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatResult } from './format.ts';
import type { BenchmarkResult } from './result.ts';
import { summary } from './summary.ts';

const PART = /<!-- result: (\S+\.json) -->\n[\s\S]*?<!-- end of result -->/g;

/** The marks and what is between them. */
export function resultPart(file: string, result: BenchmarkResult): string {
  const sentences = summary(result).map((sentence) => `- ${sentence}`);
  const table = ['```text', formatResult(result), '```'];
  const source = `\`results/${file}\`; load averages include the benchmark itself, and ratios are of turns in the same rounds.`;
  return [`<!-- result: ${file} -->`, ...sentences, '', source, '', ...table, '<!-- end of result -->'].join('\n');
}

/** The files whose tables the page shows, each with its part as it stands there. */
export function shownResults(page: string): { file: string; part: string }[] {
  return [...page.matchAll(PART)].map(([part, file]) => ({ file, part }));
}

const adapterOf = (file: string) => file.replace(/^\d{4}-\d\d-\d\d-/, '');

/**
 * Puts a result in the place of the one of the same adapter, or at the end under a heading of its own.
 * @returns the page, and the file that it no longer shows, if that is another one
 */
export function withResult(
  page: string,
  file: string,
  result: BenchmarkResult,
): { page: string; replaced: string | null } {
  const part = resultPart(file, result);
  const before = shownResults(page).find((shown) => adapterOf(shown.file) === adapterOf(file));
  if (!before) {
    const heading = `## ${result.runtimes[0].adapter.text}`;
    return { page: `${page.trimEnd()}\n\n${heading}\n\n${part}\n`, replaced: null };
  }
  // A function: `$` in a table is not to be taken for a pattern's.
  return { page: page.replace(before.part, () => part), replaced: before.file === file ? null : before.file };
}

/** Updates RESULTS.md, and takes away the file that it no longer shows. */
export function updateResultsPage(root: string, file: string, result: BenchmarkResult): void {
  const path = join(root, 'bench', 'RESULTS.md');
  const { page, replaced } = withResult(readFileSync(path, 'utf8'), file, result);
  writeFileSync(path, page);
  if (replaced && existsSync(join(root, 'bench', 'results', replaced)))
    rmSync(join(root, 'bench', 'results', replaced));
}
