// That the table of cases is complete, and what the WGSL of every variant in it may not contain.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { edit } from '../../src/kernels/edit.ts';
import { type Kernel, type KernelTruth, kernelSource } from '../../src/kernels/kernel.ts';
import { CASES } from './cases.ts';
import { TRUTHS } from './truths.ts';

const folder = join(inject('repositoryRoot'), 'src', 'kernels');

function isKernel(value: unknown): value is Kernel {
  return typeof value === 'object' && value !== null && 'wgsl' in value && 'bindings' in value;
}

function isTruth(value: unknown): value is KernelTruth {
  return typeof value === 'object' && value !== null && 'reference' in value && 'tolerance' in value;
}

/** The one file that makes kernels, from a value's axes and what to do with it. */
const EDIT_OF_ONE = edit([{ name: 'batch', size: 'batch' }], 'zero');

test('every file of src/kernels that exports a kernel exports its truth, and has its cases in the table, under the name of the file', async () => {
  const kernels: Record<string, Kernel> = {};
  const truths: Record<string, KernelTruth> = {};
  for (const file of readdirSync(folder)) {
    if (!file.endsWith('.ts') || file.endsWith('.d.ts')) continue;
    const all = Object.values(await import(join(folder, file)));
    const exported = all.filter(isKernel);
    expect(exported.length, `kernels in ${file}`).toBeLessThanOrEqual(1);
    for (const truth of all.filter(isTruth)) truths[file.replace(/\.ts$/, '')] = truth;
    if (file === 'edit.ts') exported.push(EDIT_OF_ONE);
    if (exported.length > 0) kernels[file.replace(/\.ts$/, '')] = exported[0];
  }
  expect(Object.keys(CASES).sort()).toEqual(Object.keys(kernels).sort());
  expect(TRUTHS).toEqual(truths);
  expect(Object.keys({ ...truths, edit }).sort()).toEqual(Object.keys(kernels).sort());
  for (const [file, cases] of Object.entries(CASES)) {
    expect(kernels[file].name).toBe(file);
    expect(cases.length).toBeGreaterThan(3);
    expect(
      cases.every(({ kernel }) => kernel === kernels[file] || file === 'edit'),
      file,
    ).toBe(true);
  }
});

const ALL = Object.values(CASES).flat();

test('no two cases of a kernel have the same title, and every title tells its seed', () => {
  const titles = ALL.map(({ kernel, title }) => `${kernel.name}: ${title}`);
  expect(new Set(titles).size).toBe(titles.length);
  for (const { title, seed } of ALL) expect(title).toMatch(new RegExp(`seed ${seed}$`));
});

/** The distinct shaders of the table, without comments. */
const SOURCES = new Map(
  ALL.map(({ kernel, variant, title }) => [
    kernelSource(kernel, variant).replace(/\/\/.*$/gm, ''),
    `${kernel.name}: ${title}`,
  ]),
);

test('the table needs no more than 350 shaders, which bounds the time of its tests', () => {
  expect(SOURCES.size).toBeLessThanOrEqual(350);
});

/** What adapters may compute as badly as they like, or in another way on each. */
const BUILT_IN =
  /\b(exp|exp2|log|log2|pow|sqrt|inverseSqrt|sin|cos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|asinh|acosh|atanh|length|distance|normalize|dot|smoothstep|mix)\s*\(/g;

/** Divisions whose divisor is not plainly a u32: WGSL converts nothing, so an integer divisor makes an integer division. */
function floatDivisions(source: string): string[] {
  const integers = new Set([...source.matchAll(/\bconst (\w+) = [^;]*\du?;/g)].map(([, name]) => name));
  for (const name of [...integers]) if (!new RegExp(`\\bconst ${name} = [^;.]*;`).test(source)) integers.delete(name);
  for (const [, name] of source.matchAll(/\blet (\w+): u32 =/g)) integers.add(name);
  // A constant may be another name of a constant.
  for (const [, name, of] of source.matchAll(/\bconst (\w+) = (\w+);/g)) if (integers.has(of)) integers.add(name);
  const isInteger = (term: string) =>
    /^\d+u$/.test(term) || /^run\.(batch|pos|keys|key_stride)$/.test(term) || integers.has(term);
  return [...source.matchAll(/\/=?\s*(\([^()]*\)|[\w.]+|.)/g)]
    .filter(([, divisor]) => {
      const terms = divisor.replace(/^\(|\)$/g, '').split(/\s*[*/%]\s*/);
      return !terms.every(isInteger);
    })
    .map(([text]) => text);
}

test('the search for divisions finds those of floats, and those only', () => {
  const source = 'const width = 8u;\nconst eps = 1.0f;\nconst stride = width;\n';
  expect(floatDivisions(`${source} let a = i / 4u; i /= width; let b = i / (width * stride) % run.pos;`)).toEqual([]);
  expect(floatDivisions(`${source} let b: u32 = 3u; let c: f32 = 2.0; a / b`)).toEqual([]);
  expect(floatDivisions(`${source} let b: u32 = 3u; let c: f32 = 2.0; a / c`)).toEqual(['/ c']);
  expect(floatDivisions(`${source} a / b`)).toEqual(['/ b']);
  expect(floatDivisions(`${source} a / eps`)).toEqual(['/ eps']);
  expect(floatDivisions(`${source} a / 2.0`)).toEqual(['/ 2.0']);
  expect(floatDivisions(`${source} a /= (width * x)`)).toEqual(['/= (width * x)']);
  expect(floatDivisions(`${source} 1.0 / f32(d)`)).toEqual(['/ f32']);
});

test('no shader has a bitcast in a constant, which Firefox does not compile', () => {
  for (const [source, name] of SOURCES) expect(source.match(/^const .*bitcast.*$/gm) ?? [], name).toEqual([]);
});

test('no shader uses a transcendental built-in function, a division of floats, an infinity or a NaN', () => {
  expect('let y = exp (x) + inverseSqrt(x);'.match(BUILT_IN)).toEqual(['exp (', 'inverseSqrt(']);
  for (const [source, name] of SOURCES) {
    expect(source.match(BUILT_IN) ?? [], name).toEqual([]);
    expect(floatDivisions(source), name).toEqual([]);
    expect(source.match(/\b(Infinity|NaN|undefined|null|true|false)\b\w*|NaNu|undefinedu/g) ?? [], name).toEqual([]);
  }
});
