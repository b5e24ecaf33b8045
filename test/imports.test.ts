// Imports run one way: kernels ← engine ← hooks ← numerics and analysis ← the package root ← the elements ← the page. And there are no cycles.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { expect, inject, test } from 'vitest';

const root = inject('repositoryRoot');

/** What each folder of src may import, besides itself. `index` is the package root. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  kernels: [],
  engine: ['kernels'],
  hooks: ['engine', 'kernels'],
  numerics: ['hooks', 'engine', 'kernels'],
  analysis: ['hooks', 'engine', 'kernels'],
  index: ['kernels', 'engine', 'hooks', 'numerics', 'analysis'],
  cli: ['index'],
  elements: ['index'],
  ui: ['index', 'elements'],
};

interface Edge {
  readonly from: string;
  readonly to: string;
  /** `import type` and `export type`: counts for layers, not for cycles. */
  readonly isType: boolean;
}

const IMPORT =
  /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]/gm;

function importsOf(file: string, source: string): Edge[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return [...code.matchAll(IMPORT)].map(([, type, path, dynamicPath]) => ({
    from: file,
    to: posix.normalize(posix.join(posix.dirname(file), path ?? dynamicPath)),
    isType: type !== undefined,
  }));
}

/** `engine` for src/engine/plan.ts, `index` for src/index.ts. */
function layerOf(file: string): string {
  return file.split('/')[1].replace(/\.ts$/, '');
}

function layerProblems(edges: readonly Edge[]): string[] {
  const problems: string[] = [];
  for (const edge of edges) {
    const from = layerOf(edge.from);
    const to = layerOf(edge.to);
    const allowed = MAY_IMPORT[from];
    if (!allowed)
      problems.push(
        `${edge.from}: "${from}" is no layer of DESIGN §6 (there are ${Object.keys(MAY_IMPORT).join(', ')})`,
      );
    else if (!edge.to.startsWith('src/')) problems.push(`${edge.from} imports ${edge.to}, which is outside src`);
    else if (from !== to && !allowed.includes(to)) {
      problems.push(`${edge.from} imports ${edge.to}: ${from} may import ${allowed.join(', ') || 'nothing of ours'}`);
    }
  }
  return problems;
}

/** The files of one cycle, its first file again at the end; null when there is none. */
function findCycle(edges: readonly Edge[]): string[] | null {
  const next = new Map<string, string[]>();
  for (const { from, to, isType } of edges) {
    if (!isType) next.set(from, [...(next.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const to of next.get(file) ?? []) {
      const cycle = visit(to, [...path, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of next.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return null;
}

function sourceEdges(): Edge[] {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.ts$/.test(file),
  );
  return files.flatMap((file) => {
    const path = join(root, 'src', file);
    return importsOf(relative(root, path).replaceAll('\\', '/'), readFileSync(path, 'utf8'));
  });
}

test('no file of src imports from a layer above its own', () => {
  expect(layerProblems(sourceEdges())).toEqual([]);
});

test('no imports of src run in a circle', () => {
  expect(findCycle(sourceEdges())?.join(' → ') ?? null).toBe(null);
});

test('every import of src is of a file that exists, with its extension', () => {
  const edges = sourceEdges();
  expect(edges.length).toBeGreaterThan(0);
  const missing = edges.filter(({ to }) => !readdirSync(join(root, dirname(to))).includes(posix.basename(to)));
  expect(missing).toEqual([]);
});

test('the offending import is named when a layer is broken', () => {
  const source = `
    import type { Plan } from '../engine/plan.ts';
    // import { a } from '../ui/commented.ts';
    export { b } from './norm.ts';
    import {
      c,
      d,
    } from '../hooks/names.ts';
    const e = await import('../index.ts');`;
  const edges = importsOf('src/kernels/softmax.ts', source);
  expect(edges.map(({ to, isType }) => [to, isType])).toEqual([
    ['src/engine/plan.ts', true],
    ['src/kernels/norm.ts', false],
    ['src/hooks/names.ts', false],
    ['src/index.ts', false],
  ]);
  expect(layerProblems(edges)).toEqual([
    'src/kernels/softmax.ts imports src/engine/plan.ts: kernels may import nothing of ours',
    'src/kernels/softmax.ts imports src/hooks/names.ts: kernels may import nothing of ours',
    'src/kernels/softmax.ts imports src/index.ts: kernels may import nothing of ours',
  ]);
  expect(layerProblems([{ from: 'src/ui/page.ts', to: 'src/engine/plan.ts', isType: false }])).toHaveLength(1);
  expect(layerProblems([{ from: 'src/ui/page.ts', to: 'src/index.ts', isType: false }])).toEqual([]);
  expect(layerProblems([{ from: 'src/misc/a.ts', to: 'src/index.ts', isType: false }])).toHaveLength(1);
});

test('a circle is found, and one that only types close is none', () => {
  const circle = [
    { from: 'a', to: 'b', isType: false },
    { from: 'b', to: 'c', isType: false },
    { from: 'c', to: 'b', isType: false },
  ];
  expect(findCycle(circle)).toEqual(['b', 'c', 'b']);
  expect(findCycle([circle[0], circle[1], { ...circle[2], isType: true }])).toBe(null);
});
