// The documentation against what it is about: generated tables are fresh, and every file that a page names is there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { hookRows, hooksPage, replaceGenerated } from '../scripts/hook_table.ts';

const root = inject('repositoryRoot');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The first line that differs, or null. */
function staleLine(path: string, text: string, fresh: string): string | null {
  const [lines, freshLines] = [text.split('\n'), fresh.split('\n')];
  const at = Array.from({ length: Math.max(lines.length, freshLines.length) }, (_, i) => i).find(
    (i) => lines[i] !== freshLines[i],
  );
  if (at === undefined) return null;
  return `${path}:${at + 1}: expected "${freshLines[at] ?? ''}", got "${lines[at] ?? ''}". Run "npm run docs".`;
}

test('docs/hooks.md is what the graph says; otherwise run "npm run docs"', () => {
  expect(staleLine('docs/hooks.md', read('docs/hooks.md'), hooksPage(hookRows()))).toBe(null);
});

test('a stale page is named with its first line that differs', () => {
  expect(staleLine('a.md', 'x\ny\n', 'x\nz\n')).toBe('a.md:2: expected "z", got "y". Run "npm run docs".');
  expect(staleLine('a.md', 'x', 'x\ny')).toBe('a.md:2: expected "y", got "". Run "npm run docs".');
  expect(() => replaceGenerated('no marks', 'hooks', '')).toThrow('docs: expected <!-- hooks --> … <!-- /hooks -->');
});

const PAGES = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', ...pages('docs'), 'test/QUARANTINES.md'];

function pages(folder: string): string[] {
  const names = readdirSync(join(root, folder));
  return names.filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name}`);
}

test.each(PAGES)('%s links to files and names files that exist', (page) => {
  const text = read(page);
  const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path]) => join(dirname(page), path));
  const named = [...text.matchAll(/\b(?:src|test|scripts|bin|bench|docs)\/[\w./-]*\.\w+/g)].map(([path]) => path);
  const missing = [...links, ...named].filter((path) => !path.includes('NAME') && !existsSync(join(root, path)));
  expect(missing).toEqual([]);
});

test('README.md has fewer than 200 lines', () => {
  expect(read('README.md').split('\n').length).toBeLessThan(200);
});
