// What the page shows as a program: the same model, prompt, changes and captured value with the library. It is TypeScript, and without a
// type in it plain JavaScript too. No DOM here.
import { selectionOf } from './edits.ts';
import { type Direction, type Edit, EMBEDDED_MODELS, type PageState } from './state.ts';

/** What of the page's run the program takes over. */
export interface CodeOptions {
  readonly state: PageState;
  /** The prompt's ids, for a model without a tokenizer; null where the text says them. */
  readonly ids: readonly number[] | null;
  /** The second prompt's. */
  readonly secondIds: readonly number[] | null;
  /** The names that a name or glob of a hook means. */
  readonly hookNames: (hook: string) => readonly string[];
}

/** Predictions that the program prints. */
const TOP = 5;

/** How an edit's function is called in the library. */
const FUNCTIONS: Readonly<Record<Edit['kind'], string>> = {
  zero: 'zeroAblate',
  scale: 'scale',
  add: 'add',
  projectOut: 'projectOut',
  patch: 'patchFrom',
  set: 'set',
  wgsl: 'wgsl',
};

/**
 * A program that runs where `hyaline` is installed and prints the page's prediction.
 * @throws Error where a change's indices are none
 */
export function codeOf(options: CodeOptions): string {
  const { state } = options;
  const { edits, directions } = programEdits(options);
  const on = state.edits.filter(({ isOn }) => isOn);
  const isAsked = (from: Direction['from']) => on.some(({ direction }) => direction?.from === from);
  const needsSecond = isAsked('difference') || on.some(({ kind }) => kind === 'patch');
  const functions = [...new Set(on.map(({ kind }) => FUNCTIONS[kind]))];
  const at = state.pos === -1 ? '' : `, { pos: ${state.pos} }`;
  return [
    `import { ${['Model', 'topTokens', ...functions].sort(byName).join(', ')} } from 'hyaline';`,
    '',
    `const model = await Model.load(${locationOf(state.model)}, { numerics: '${state.numerics}' });`,
    `const prompt = ${inputOf(state.prompt, options.ids)};`,
    ...(isAsked('difference') ? ['const { cache: before } = await model.runWithCache(prompt);'] : []),
    ...(needsSecond
      ? [`const { cache: second } = await model.runWithCache(${inputOf(state.second, options.secondIds)});`]
      : []),
    ...(isAsked('unembed') ? ["const unembed = await model.weight('unembed.W_U'); // [d_model, d_vocab_out]"] : []),
    ...(isAsked('embed') ? ["const embed = await model.weight('embed.W_E'); // [d_vocab, d_model]"] : []),
    ...directions,
    'const { logits, cache } = await model.runWithCache(prompt, {',
    `  names: ${JSON.stringify(state.hook)},`,
    ...(edits.length > 0 ? ['  hooks: [', ...edits.map((edit) => `    ${edit},`), '  ],'] : []),
    '});',
    `for (const { text, probability, logit } of topTokens(model, logits, ${TOP}${at})) {`,
    '  console.log(JSON.stringify(text), probability.toFixed(4), logit.toFixed(3));',
    '}',
    `const { data, shape, axes } = await cache.read(${JSON.stringify(state.hook)}); // a Float32Array`,
    'console.log(axes.join(), shape.join(), data[0]);',
    'model.destroy();',
    '',
  ].join('\n');
}

function byName(a: string, b: string): number {
  return a.toLowerCase() < b.toLowerCase() ? -1 : 1;
}

function locationOf(model: string): string {
  if ((EMBEDDED_MODELS as readonly string[]).includes(model)) return JSON.stringify(`models/${model}`);
  return JSON.stringify(model.replace(/^files:/, 'path/to/'));
}

function inputOf(text: string, ids: readonly number[] | null): string {
  return ids ? `[${ids.join(', ')}]` : JSON.stringify(text);
}

/** Entries of `hooks`, and the directions that they name. */
function programEdits({ state, hookNames }: CodeOptions): { edits: string[]; directions: string[] } {
  const edits: string[] = [];
  const directions: string[] = [];
  for (const edit of state.edits.filter(({ isOn }) => isOn)) {
    // A difference is another one at each value; everything else is the same at all that a glob means.
    const names = edit.direction?.from === 'difference' ? hookNames(edit.hook) : [edit.hook];
    for (const name of names) {
      let direction = '';
      if (edit.kind === 'add' || edit.kind === 'projectOut') {
        if (!edit.direction) throw new Error('choose a direction.');
        direction = `direction${directions.length + 1}`;
        directions.push(`const ${direction} = ${directionCode(edit.direction, name)};`);
      }
      edits.push(`[${JSON.stringify(name)}, ${callOf(edit, direction)}]`);
    }
  }
  return { edits, directions };
}

function callOf(edit: Edit, direction: string): string {
  const at = selectionOf(edit.at);
  const call = (...args: string[]) => `${FUNCTIONS[edit.kind]}(${args.filter(Boolean).join(', ')})`;
  switch (edit.kind) {
    case 'zero':
      return call(objectCode(at));
    case 'scale':
    case 'set':
      return call(String(edit.amount), objectCode(at));
    case 'add':
      return call(direction, objectCode({ ...at, scale: edit.amount }));
    case 'projectOut':
      return call(direction, objectCode(at));
    case 'patch':
      return call('second', objectCode(at));
    case 'wgsl':
      return `wgsl\`${edit.expression.replace(/[\\`]|\$\{/g, '\\$&')}\``;
  }
}

/** `{ head: [1, 2], pos: -1 }`; nothing where there is nothing in it. */
function objectCode(fields: object): string {
  const key = (name: string) => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));
  const entries = Object.entries(fields).map(([name, value]) => `${key(name)}: ${JSON.stringify(value)}`);
  return entries.length > 0 ? `{ ${entries.join(', ')} }` : '';
}

function directionCode(direction: Direction, name: string): string {
  switch (direction.from) {
    case 'numbers':
      return `Float32Array.of(${direction.numbers.join(', ')})`;
    case 'embed':
    case 'unembed': {
      const index = (token: number) =>
        direction.from === 'embed'
          ? `embed.data[${token} * embed.shape[1] + i]`
          : `unembed.data[i * unembed.shape[1] + ${token}]`;
      const width = direction.from === 'embed' ? 'embed.shape[1]' : 'unembed.shape[0]';
      const minus = direction.minus === null ? '' : ` - ${index(direction.minus)}`;
      return `Float32Array.from({ length: ${width} }, (_, i) => ${index(direction.token)}${minus})`;
    }
    case 'difference':
      return differenceCode(direction.pos, JSON.stringify(name));
  }
}

/** The second run's vector less the first one's: at a position, or of their means over positions. */
function differenceCode(pos: number | null, name: string): string {
  const at = pos === null ? null : pos < 0 ? `(pos - ${-pos})` : String(pos);
  const vector = at
    ? [`data.slice(${at} * width, (${at} + 1) * width)`]
    : [
        'Float32Array.from({ length: width }, (_, i) => {',
        '    let mean = 0;',
        '    for (let p = 0; p < pos; p++) mean += data[p * width + i] / pos;',
        '    return mean;',
        '  })',
      ];
  return [
    `[await before.read(${name}), await second.read(${name})]`,
    `  .map(({ data, shape: [, pos, width] }) => ${vector.join('\n  ')})`,
    '  .reduce((first, other) => other.map((x, i) => x - first[i]))',
  ].join('\n');
}
