// docs/elements.md against the elements: every property, event and CSS variable, and the code of the live examples.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import * as elements from '../../src/elements/index.ts';

const root = inject('repositoryRoot');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const page = read('docs/elements.md');

const CLASSES: Readonly<Record<string, { readonly properties: object }>> = {
  'hyaline-tokens': elements.HyalineTokens,
  'hyaline-attention': elements.HyalineAttention,
  'hyaline-logit-lens': elements.HyalineLogitLens,
  'hyaline-heatmap': elements.HyalineHeatmap,
  'hyaline-value': elements.HyalineValue,
};

/** The section about an element. */
const sectionOf = (tag: string) => page.split(/^## /m).find((section) => section.startsWith(`${tag}\n`)) ?? '';

/** Names of an element's properties, without those that are its own affair. */
function publicProperties(tag: string): string[] {
  const properties = Object.entries(CLASSES[tag].properties as Record<string, { state?: boolean }>);
  return properties.filter(([, { state }]) => !state).map(([name]) => name);
}

test.each(Object.keys(CLASSES))('docs/elements.md has every property of <%s>, and no other', (tag) => {
  const rows = sectionOf(tag).match(/^\| `.*?\|/gm) ?? [];
  const documented = rows.flatMap((row) => [...row.replace(/\(.*\)/, '').matchAll(/`(\w+)`/g)].map(([, name]) => name));
  expect(documented.sort()).toEqual(publicProperties(tag).sort());
});

test.each(Object.keys(CLASSES))(
  'docs/elements.md shows the code of the live example of <%s>, which is short',
  (tag) => {
    const html = read(`examples/elements/${tag.slice('hyaline-'.length)}.html`);
    const script =
      /<script type="module">\n([\s\S]*?)\n {4}<\/script>/.exec(html)?.[1].replace(/^ {6}/gm, '') ?? 'no script';
    const [, code] = /^```js\n([\s\S]*?)\n```/m.exec(sectionOf(tag)) ?? [];
    expect(code).toBe(script);
    expect(script.split('\n').filter(Boolean).length).toBeLessThan(10);
    const [, element] = /^```html\n(.*)\n```/m.exec(sectionOf(tag)) ?? [];
    expect(html).toContain(element);
  },
);

test('docs/elements.md has every CSS variable that the elements read, and no other', () => {
  const folder = join(root, 'src/elements');
  const sources = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
  const used = sources.flatMap((source) =>
    [...source.matchAll(/(?:var\(|')(--hyaline-[\w-]+)/g)].map(([, name]) => name),
  );
  const documented = [...page.matchAll(/^\| `(--hyaline-[\w-]+)`/gm)].map(([, name]) => name);
  expect(documented.sort()).toEqual([...new Set(used)].sort());
});
