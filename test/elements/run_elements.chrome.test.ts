// The elements that show a run, in a page: what they say against what the library reads, choosing by mouse and keyboard, and the quiet
// sentences for runs that lack something. One tiny model for all.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { HyalineLogitLens, HyalineTokens, ShownModel, ShownRun } from '../../src/elements/index.ts';
import '../../src/elements/index.ts';
import { type LensRow, logitLens, Model, type RunWithCacheResult, topTokens } from '../../src/index.ts';
import { testDevice, withErrorScopes } from '../device.ts';
import { TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const IDS = [3, 14, 15, 9, 14];
const MARKUP = '<img src=x onerror="globalThis.pwned = true">';
const LABEL = '<img·src=x·onerror="globalThis.pwned·=·true">';
/** Tokens that would be an attack if any of them were read as HTML. */
const WORDS: ShownModel = {
  config: { nLayers: 2, nHeads: 3 },
  tokenizer: { tokenText: (id) => (id === 3 ? MARKUP : ` é${id}`) },
};

let model: Model;
let run: RunWithCacheResult;

beforeAll(async () => {
  model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 1), { device: await testDevice() });
  run = await model.runWithCache([IDS], { names: ['blocks.*.hook_resid_post', 'blocks.*.attn.hook_pattern'] });
});

afterAll(() => {
  run.cache.destroy();
  model.destroy();
});

afterEach(() => {
  document.body.replaceChildren();
});

/** A test in which WebGPU must not complain. */
const gpuTest = (name: string, f: () => Promise<void>) =>
  test(name, async () => withErrorScopes(await testDevice(), f));

/** An element on the page, with these properties. */
function shown<Name extends 'hyaline-tokens' | 'hyaline-logit-lens'>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]>,
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), properties);
  document.body.append(element);
  return element;
}

const all = (element: HTMLElement, selector: string) => [
  ...(element.shadowRoot?.querySelectorAll<HTMLElement>(selector) ?? []),
];
const textOf = (element: HTMLElement, selector: string) =>
  all(element, selector).map((found) => found.textContent?.trim());

/** Details of the element's `hyaline-select` events, as they come. */
function selections(element: HTMLElement): unknown[] {
  const details: unknown[] = [];
  element.addEventListener('hyaline-select', (event) => details.push((event as CustomEvent).detail));
  return details;
}

function press(element: HTMLElement, key: string): void {
  const focused = element.shadowRoot?.activeElement ?? all(element, '[tabindex="0"]')[0];
  focused.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, composed: true, cancelable: true }));
}

const focused = (element: HTMLElement) => element.shadowRoot?.activeElement?.getAttribute('aria-label');

test('tokens: text, id, position and bytes, and nothing of it is HTML', async () => {
  const tokens = shown('hyaline-tokens', { model: WORDS, run });
  await tokens.updateComplete;
  expect(textOf(tokens, '.text')).toEqual([LABEL, '·é14', '·é15', '·é9', '·é14']);
  expect(textOf(tokens, '.id')).toEqual(['3', '14', '15', '9', '14']);
  expect(all(tokens, 'img')).toEqual([]);
  tokens.selected = 3;
  await tokens.updateComplete;
  expect(textOf(tokens, '.detail')).toEqual(['position 3 · id 9 · " é9" · bytes 20 c3 a9 39']);
  expect(Object.hasOwn(globalThis, 'pwned')).toBe(false);
});

test('tokens: a click and the arrow keys choose one, and focus follows', async () => {
  const tokens = shown('hyaline-tokens', { model: WORDS, run });
  await tokens.updateComplete;
  const details = selections(tokens);
  all(tokens, '[role=option]')[2].click();
  await tokens.updateComplete;
  for (const key of ['ArrowRight', 'End', 'ArrowRight', 'Home', 'ArrowLeft', 'x']) {
    press(tokens, key);
    await tokens.updateComplete;
  }
  expect(details.map((detail) => (detail as { pos: number }).pos)).toEqual([2, 3, 4, 4, 0, 0]);
  expect(details[1]).toEqual({ pos: 3, id: 9, text: ' é9' });
  expect(all(tokens, '[aria-selected=true]').length).toBe(1);
  expect(all(tokens, '[tabindex="0"]').length).toBe(1);
  expect(focused(tokens)).toContain('position 0, id 3');
});

test('tokens: values colour them, also for those who do not see', async () => {
  const tokens = shown('hyaline-tokens', { model, run, valuesName: 'loss', values: [null, 4, 1, 2, 0.5] });
  await tokens.updateComplete;
  const options = all(tokens, '[role=option]');
  expect(options.map((option) => option.style.backgroundColor)).toEqual([
    '',
    'rgb(253, 231, 37)', // the last of viridis
    expect.stringMatching(/^rgb/),
    expect.stringMatching(/^rgb/),
    expect.stringMatching(/^rgb/),
  ]);
  expect(options[1].getAttribute('aria-label')).toBe('"14", position 1, id 14, loss 4.000');
  expect(textOf(tokens, '.legend')[0]?.replace(/\s+/g, ' ')).toBe('loss 04.000');
  tokens.values = [1];
  await tokens.updateComplete;
  expect(textOf(tokens, '.foot')[0]).toContain('values: expected one number for each of 5 tokens, got 1.');
});

test('tokens: ids without a run, and sentences where there is nothing', async () => {
  const tokens = shown('hyaline-tokens', { ids: [7] });
  await tokens.updateComplete;
  expect(textOf(tokens, '.text')).toEqual(['7']);
  const empty: [Partial<HyalineTokens>, string][] = [
    [{ ids: null }, 'No run yet.'],
    [{ run: { cache: { ...recordedCache, tokens: null } } }, 'The tokens of this run are not known.'],
    [{ run, batch: 3 }, 'No tokens.'],
  ];
  for (const [properties, sentence] of empty) {
    Object.assign(tokens, properties);
    await tokens.updateComplete;
    expect(textOf(tokens, '[role=status]')).toEqual([sentence]);
  }
});

/** A recording that captured nothing. */
const recordedCache: ShownRun['cache'] = {
  names: [],
  tokens: [IDS],
  has: () => false,
  get: (name) => {
    throw new Error(`no ${name}`);
  },
};

/** What the lens says once it has computed. */
async function settled(lens: HyalineLogitLens): Promise<void> {
  await expect.poll(() => lens.shadowRoot?.textContent).not.toContain('Computing …');
  await expect.poll(() => all(lens, '[aria-busy=true]').length).toBe(0);
}

gpuTest('logit lens: the last row is the model, for every position', async () => {
  const lens = shown('hyaline-logit-lens', { model, run, k: 3 });
  await settled(lens);
  expect(textOf(lens, 'tbody th')).toEqual(['0', '1 = model']);
  expect(textOf(lens, 'thead th').slice(1)).toEqual(IDS.map((id, pos) => `${pos}${id}`));
  const cells = all(lens, 'tbody tr:last-child td');
  expect(cells.length).toBe(IDS.length);
  for (const [pos, cell] of cells.entries()) {
    cell.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));
    await lens.updateComplete;
    const top = topTokens(model, run.logits, 3, { pos });
    expect(textOf(lens, 'li span:first-child')).toEqual(top.map(({ text }) => `"${text}"`));
    // four decimals of a float32
    const errors = textOf(lens, 'li span:last-child').map((text, i) => Math.abs(Number(text) - top[i].probability));
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.5e-4 + 1e-6);
    expect(cell.textContent?.trim()).toBe(top[0].text);
  }
  expect(all(lens, '[popover]')[0].matches(':popover-open')).toBe(true);
});

gpuTest('logit lens: arrow keys move, Enter chooses, Escape closes', async () => {
  const lens = shown('hyaline-logit-lens', { model, run });
  await settled(lens);
  const details = selections(lens);
  for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Enter']) {
    press(lens, key);
    await lens.updateComplete;
    await lens.updateComplete; // focus opens the list
  }
  const [row] = (await logitLens(model, run.cache, { pos: 2, names: 'blocks.1.hook_resid_post' })) as [LensRow];
  expect(details).toEqual([{ layer: 1, pos: 2, token: row.top[0] }]);
  expect(focused(lens)).toContain('blocks.1.hook_resid_post, position 2');
  expect(all(lens, '[aria-selected=true]').map(({ dataset }) => ({ ...dataset }))).toEqual([{ row: '1', column: '2' }]);
  expect(all(lens, '[popover]')[0].matches(':popover-open')).toBe(true);
  press(lens, 'Escape');
  await lens.updateComplete;
  expect(all(lens, '[popover]')[0].matches(':popover-open')).toBe(false);
});

gpuTest('logit lens: recorded rows overtake a computation, and are no HTML', async () => {
  const lens = shown('hyaline-logit-lens', { model, run });
  await lens.updateComplete;
  expect(textOf(lens, '[role=status]')).toEqual(['Computing …']);
  const top = [{ id: 3, text: MARKUP, probability: 0.5, logit: 1 }];
  lens.rows = [{ name: 'blocks.0.hook_resid_post', layer: 0, batch: 0, pos: 4, top }];
  await lens.updateComplete;
  await logitLens(model, run.cache, { pos: {} }); // by now the first one has ended, too
  await settled(lens);
  expect(textOf(lens, 'td')).toEqual([LABEL]);
  expect(textOf(lens, 'thead th')).toEqual(['block', '414']);
  expect(all(lens, 'img')).toEqual([]);
});

gpuTest('logit lens: a quiet sentence where there is nothing to show', async () => {
  const lens = shown('hyaline-logit-lens', { model });
  const gone = await model.runWithCache([IDS], { names: 'blocks.*.hook_resid_post' });
  gone.cache.destroy();
  const lacking = await model.runWithCache([IDS], { names: 'blocks.1.hook_resid_post' });
  const empty: [Partial<HyalineLogitLens>, string][] = [
    [{}, 'No run yet.'],
    [{ run: { cache: recordedCache } }, 'There are no rows for this recorded run.'],
    [{ run: lacking }, 'This run did not capture blocks.0.hook_resid_post. Ask for it with { names: … }.'],
    [{ run: gone }, 'cache: it has been destroyed, its values are gone. Keep what you read, or run again.'],
  ];
  for (const [properties, sentence] of empty) {
    Object.assign(lens, properties);
    await lens.updateComplete;
    await settled(lens);
    expect(textOf(lens, '[role=status]')).toEqual([sentence]);
  }
  lacking.cache.destroy();
});
