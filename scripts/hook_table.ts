// docs/hooks.md and the head of its table in README.md, from the graphs of the three architectures. Pure: no files, no GPU.
import type { RawConfig } from '../src/engine/checkpoint.ts';
import type { ModelConfig } from '../src/engine/config.ts';
import { buildGraph, type GraphValue } from '../src/engine/graph.ts';
import { mergeOrders } from '../src/numerics/firing_order.ts';
import { parseConfig } from '../test/architectures.ts';
import { TINY_CONFIGS } from '../test/models/tiny.ts';

const HOOKED = TINY_CONFIGS.hooked_transformer;

/** config.json keys of a TransformerLens checkpoint that change which values there are. */
const HOOKED_CHOICES: Readonly<Record<string, RawConfig>> = {
  '`normalization_type: null`': { normalization_type: null },
  '`LNPre`, `RMSPre`': { normalization_type: 'LNPre' },
  '`attn_only`': { attn_only: true },
  rotary: { positional_embedding_type: 'rotary', rotary_dim: 4 },
  '`gated_mlp`': { gated_mlp: true },
};

/** One line of the table: a value, with `{i}` for the number of its block. */
export interface HookRow {
  readonly name: string;
  readonly shape: string;
  readonly description: string;
  readonly ours: boolean;
  readonly aliasOf: string;
  readonly gpt2: string;
  readonly llama: string;
  readonly hooked: string;
}

interface Listed {
  /** As it stands in one architecture, for the description and the alias there. */
  readonly shape: string;
  readonly description: string;
  readonly ours: boolean;
  readonly aliases: readonly string[];
}

type Listing = ReadonlyMap<string, Listed>;

/** Every value that can be read, in firing order: the values of all architectures merged, those of the blocks once. */
export function hookRows(): HookRow[] {
  const gpt2 = listing(TINY_CONFIGS.gpt2);
  const llama = listing(TINY_CONFIGS.llama);
  const hooked = listing(HOOKED);
  const choices = Object.entries(HOOKED_CHOICES).map(([text, change]) => ({
    text,
    values: listing({ ...HOOKED, ...change }),
  }));
  const all = [gpt2, llama, hooked, ...choices.map(({ values }) => values)];
  return mergeOrders(all.map((values) => [...values.keys()])).map((name) => {
    const listed = all.map((values) => values.get(name)).filter((value) => value !== undefined);
    const distinct = (texts: string[]) => [...new Set(texts)].filter(Boolean).join('; or ');
    // Keys and values have heads of their own in some architectures: the table marks the axis wherever that can be.
    const [shape] = listed.map((value) => value.shape).sort((a, b) => b.length - a.length);
    const mark = (values: Listing) => (values.has(name) ? '✓' : '–');
    const withIt = choices.filter(({ values }) => values.has(name)).map(({ text }) => text);
    const without = choices.filter(({ values }) => !values.has(name)).map(({ text }) => text);
    const onlyWith = withIt.length > 0 ? `with ${withIt.join(', ')}` : '–';
    const notWith = without.length > 0 ? `✓ but with ${without.join(', ')}` : '✓';
    return {
      name,
      shape,
      description: distinct(listed.map(({ description }) => description)),
      ours: listed[0].ours,
      aliasOf: distinct(listed.flatMap(({ aliases }) => aliases)),
      gpt2: mark(gpt2),
      llama: mark(llama),
      hooked: hooked.has(name) ? notWith : onlyWith,
    };
  });
}

function listing(raw: RawConfig): Listing {
  const config = parseConfig(raw);
  const values = new Map<string, Listed>();
  for (const value of buildGraph(config, () => true).values.values()) {
    const name = inBlock(value.name, value.layer);
    const { ours, onDemand } = value;
    const description = `${value.description}${onDemand ? '; only when asked for' : ''}`;
    const aliases = [...(values.get(name)?.aliases ?? [])];
    if (value.aliasOf !== null) aliases.push(`\`${inBlock(value.aliasOf, value.layer)}\``);
    values.set(name, { shape: shapeText(value, config), description, ours, aliases: [...new Set(aliases)] });
  }
  return values;
}

/** `blocks.{i}.…` for block `layer`, `blocks.{i-1}.…` for the one before it; after the blocks the one before is the last. */
function inBlock(name: string, layer: number | null): string {
  return name.replace(/^blocks\.(\d+)\./, (_, block) => {
    if (layer === null) return 'blocks.{n_layers-1}.';
    return Number(block) === layer ? 'blocks.{i}.' : 'blocks.{i-1}.';
  });
}

function shapeText({ axes }: GraphValue, { nHeads, nKeyValueHeads }: ModelConfig): string {
  const text = axes.map(({ name, size }) =>
    name === 'head_index' && size === nKeyValueHeads && nKeyValueHeads !== nHeads ? 'head_index†' : name,
  );
  return `[${text.join(', ')}]`;
}

/** Rows of a Markdown table, the first one its head. */
export function markdownTable([head, ...rows]: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const code = (text: string) => `\`${text}\``;

export function hooksPage(rows: readonly HookRow[]): string {
  const head = ['value', 'shape', 'what it is', 'name', 'is the same as', 'gpt2', 'llama', 'hooked_transformer'];
  const lines = rows.map(({ name, shape, description, ours, aliasOf, gpt2, llama, hooked }) => [
    ...[code(name), code(shape), description, ours ? 'ours' : 'TransformerLens', aliasOf, gpt2, llama, hooked],
  ]);
  return `<!-- Written by "npm run docs" from src/engine/graph.ts; do not edit. -->

# Every value that can be read and written

In firing order; \`{i}\` is the number of a block. All values are float32, row-major, and always have their batch axis.
A model's own list, with its sizes, is \`model.hooks\`.

${markdownTable([head, ...lines])}

- Names are those of TransformerLens 3.x, with its meaning on raw weights (nothing folded, nothing centred). Values that it leaves
  unnamed have a name of ours.
- "is the same as": the value has two names and, unless it is written, one buffer; reading either gives the same bits. Block 0 reads \`hook_embed\` where
  there is no position embedding, and its own sum where there is one.
- †: \`n_key_value_heads\` of them, which is less than \`n_heads\` in grouped-query attention.
- \`hook_attn_scores\`: masked scores read as −Infinity; on the GPU they hold the lowest float32.
- hooked_transformer: a checkpoint in TransformerLens's own names, whose config.json decides. \`rotary\` stands for
  \`positional_embedding_type: rotary\`. Where there is a cap, \`logits\` is no alias: it is \`unembed.hook_out\` after the cap.

Names are asked for exactly, by glob (\`blocks.*.attn.hook_pattern\`; \`*\` also crosses dots), as a list of these, or by a
predicate: \`model.runWithCache(tokens, { names })\`. A name that does not exist is an error that suggests the nearest one.
`;
}

/** `text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced. */
export function replaceGenerated(text: string, name: string, generated: string): string {
  const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs: expected ${begin.trim()} … ${end.trim()}, one before the other.`);
  return text.slice(0, from + begin.length) + generated + text.slice(to);
}
