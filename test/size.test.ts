// What the library costs a page, and that a page pays only for what it uses.
import { expect, test } from 'vitest';
import { bundle, isPageWithin, isWithin, measurePage, measureSizes, pageLine, sizeTable } from '../scripts/size.mjs';

/** Parts that a page which runs a model and reads hooks has no use for. */
const UNUSED =
  /^src\/(analysis|numerics|cli|ui)\/|^src\/hooks\/(generate|sampling|copies|statistics|tune|rounded_weights)\.ts$|^src\/engine\/(tuner|hub|file_store)\.ts$|weight_codec|architectures\/(gpt2|llama|hooked)|fingerprint|dawn|picomatch/;

const sizes = await measureSizes();

test('every bundle keeps to its limits', () => {
  console.log(sizeTable(sizes));
  expect(sizes.filter((size) => !isWithin(size)).map(({ title }) => title)).toEqual([]);
  for (const { atFirst } of sizes) expect(atFirst.gzip).toBeGreaterThan(10_000); // there is something in it
});

test('a page that reads hooks loads no generation, sweeps, numerics, hub, tuner, encoders or Dawn with its own script', () => {
  const { atFirst, onDemand } = sizes[0];
  const files = [...atFirst.modules.keys()];
  expect(files).toContain('src/hooks/model.ts');
  expect(files).toContain('src/kernels/matmul.ts');
  expect(files.filter((file) => UNUSED.test(file))).toEqual([]);
  const later = [...onDemand.modules.keys()];
  for (const file of [
    'src/hooks/generate.ts',
    'src/hooks/sampling.ts',
    'src/engine/fingerprint.ts',
    'src/engine/dawn.ts',
    'src/engine/architectures/gpt2.ts',
    'src/engine/hub.ts',
    'src/engine/file_store.ts',
    'src/engine/tuner.ts',
    'src/hooks/tune.ts',
    'src/hooks/rounded_weights.ts',
    'src/kernels/weight_codec.ts',
  ]) {
    expect(later).toContain(file);
  }
  expect(later.filter((file) => /^src\/(analysis|numerics|cli|ui)\//.test(file))).toEqual([]);
});

test('what kernels are held to is in no bundle', async () => {
  const truths = /\btolerance\b/;
  const { atFirst } = await bundle("export { matmulTruth } from './src/kernels/matmul.ts';");
  expect(atFirst.text).toMatch(truths);
  for (const { title, atFirst, onDemand } of sizes) {
    expect([title, truths.test(atFirst.text), truths.test(onDemand.text)]).toEqual([title, false, false]);
  }
});

test('a function that needs no GPU brings no kernels', async () => {
  const { atFirst, onDemand } = await bundle("export { ulpDistance, roundTo } from 'hyaline';");
  const files = [...atFirst.modules.keys()].filter((file) => file.startsWith('src/')).sort();
  expect(files).toEqual(['src/kernels/formats.ts', 'src/kernels/kernel.ts', 'src/numerics/float32.ts']);
  expect(onDemand.bytes).toBe(0);
});

test('no page loads a module that only Node has; Dawn is not followed, and imported only where it is asked for', () => {
  const imported = /(?:\bfrom|\bimport|import\(|require\()\s*["'`](?:node:|webgpu)[^"'`]*/g;
  for (const { title, atFirst, onDemand } of sizes) {
    expect([title, atFirst.text.match(imported)]).toEqual([title, null]);
    expect([title, onDemand.text.match(imported)?.filter((match) => match !== 'import(`webgpu') ?? []]).toEqual([
      title,
      [],
    ]);
    const files = [...atFirst.modules.keys(), ...onDemand.modules.keys()];
    expect(files.filter((file) => file.includes('node_modules/webgpu/'))).toEqual([]);
  }
});

test('a bundle beyond its limit says so', () => {
  const [{ title, atFirst, onDemand }] = sizes;
  const limits = { atFirst: atFirst.gzip / 1000 - 0.001, all: 1000 };
  expect(isWithin({ title, atFirst, onDemand, limits })).toBe(false);
  expect(sizeTable([{ title, atFirst, onDemand, limits }])).toMatch(/ over [\d.]+ at first or 1000 in all$/);
});

test('the page keeps to its limits, its own code and what it loads at first', async () => {
  const page = await measurePage();
  console.log(pageLine(page));
  const files = ({ atFirst, onDemand }: typeof page.all) => [...atFirst.modules.keys(), ...onDemand.modules.keys()];
  const [all, withoutPackages, own] = [page.all, page.withoutPackages, page.own].map(files);
  for (const file of ['src/ui/views/model.ts', 'src/elements/heatmap.ts']) {
    for (const each of [all, withoutPackages, own]) expect(each).toContain(file);
  }
  const isPackage = (file: string) => file.startsWith('node_modules/');
  expect(all.some((file) => file.startsWith('node_modules/lit-html/'))).toBe(true);
  expect(withoutPackages.filter(isPackage)).toEqual([]);
  expect(withoutPackages).toContain('src/hooks/model.ts');
  expect(own.filter((file) => isPackage(file) || /^src\/(?!ui|elements)/.test(file))).toEqual([]);
  expect([...page.all.atFirst.modules.keys()]).toContain('src/ui/app.ts');
  expect(isPageWithin(page)).toBe(true);
  const beyond = { ...page.own, onDemand: { ...page.own.onDemand, gzip: 200_001 - page.own.atFirst.gzip } };
  expect(isPageWithin({ ...page, own: beyond })).toBe(false);
  expect(pageLine({ ...page, own: beyond })).toMatch(/ over 200 of own code or 200 at first$/);
});
